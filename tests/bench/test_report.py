"""A report from end to end on a small world, and one clear line for each wrong input."""

import csv
import json
import re
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from vesalius.bench.report import Settings, analyse, write
from vesalius.bench.report.verdict import verdict
from vesalius.cli.bench_report import report
from vesalius.errors import VesaliusError

ISSUE_COLUMNS = {
    "summary": "metric,model,target,n,missing,mean,sd,median,q1,q3,ci_low,ci_high",
    "pairwise": "metric,target,better,worse,n,p,p_holm,significant,effect",
    "ranking": "metric,target,model,rank,rank_low,rank_high,p_first",
    "groups": "metric,model,target,factor,test,group_a,group_b,n_a,n_b,statistic,p,p_adjusted",
    "gap": "metric,model,target,n_in,n_out,mean_in,mean_out,gap,ci_low,ci_high,p",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Three models on forty cases of two hospitals; `good` leads, `fair` and `fair2` are alike, hospital E is hard."""
    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(0)
    hard = np.arange(40) >= 25
    for model, level in (("good", 0.9), ("fair", 0.7), ("fair2 & <co>", 0.7)):
        path = folder / "scores" / model
        path.mkdir(parents=True)
        for metric in ("dsc", "nsd"):
            values = np.clip(level - 0.15 * hard[:, None] + rng.normal(0, 0.05, (40, 2)), 0, 1)
            rows = [
                f"case {c},{values[c, 0]},{values[c, 1] if c % 5 else ''}\n"
                for c in range(40)
                if (model, c) != ("fair", 3)
            ]
            (path / f"{metric}.csv").write_text("name,liver,spleen\n" + "".join(rows))
    rows = [f"case {c};{'E' if hard[c] else 'A'};{20 + c};p{c // 2}\n" for c in range(39)]
    (folder / "meta.csv").write_text("id;site;age;patient\n" + "".join(rows))
    return folder


@pytest.fixture(scope="module")
def made(world):
    settings = Settings(metadata=world / "meta.csv", groups="site,age:10", in_distribution="site=A", replicates=200)
    analysis = analyse([world / "scores"], settings)
    said = write(analysis, world / "out", "A small world")
    return analysis, said, world / "out"


def test_the_csvs_have_the_issues_columns_first(made):
    for name, columns in ISSUE_COLUMNS.items():
        assert (made[2] / f"{name}.csv").read_text().startswith(columns), name


def test_the_same_inputs_and_seed_give_the_same_csvs(made, world):
    analysis, _, out = made
    write(analyse([world / "scores"], analysis.settings), world / "again", figures=False)
    for name in ISSUE_COLUMNS:
        assert (out / f"{name}.csv").read_bytes() == (world / "again" / f"{name}.csv").read_bytes()


def test_the_verdict_says_what_the_numbers_say(made):
    analysis, said, _ = made
    assert said.headline.startswith("good leads: significantly better than each of the other 2 models")
    assert said.headline.endswith("(DSC, average of 2 structures).")
    text = " ".join(said.points)
    assert "Out of distribution good is worse" in text
    assert "fair lacks up to 1 of 40 cases" in text
    assert "1 case without metadata" in " ".join(analysis.notes)


def test_equals_are_called_equals(world):
    frame = pl.DataFrame(
        {"model": m, "case": str(c), "metric": "dsc", "target": "x", "value": 0.5 + 0.01 * ((c * k) % 7)}
        for m, k in (("a", 1), ("b", 2)) for c in range(30)
    )  # fmt: skip
    frame.write_parquet(world / "alike.parquet")
    headline = verdict(analyse([world / "alike.parquet"], Settings(replicates=100))).headline
    assert "not distinguishable from" in headline or "share the first rank" in headline


def test_the_page_stands_alone(made):
    html = (made[2] / "report.html").read_text()
    outside = re.sub(r"<script>.*?</script>", "", html, flags=re.S)
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", outside)
    assert "vega.github.io/schema" not in outside
    assert "fair2 &amp; &lt;co&gt;" in html
    headings = [int(level) for level in re.findall(r"<h([1-6])", outside)]
    assert headings[0] == 1 and all(b - a <= 1 for a, b in pairwise(headings))
    data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.S).group(1))
    named = set(re.findall(r'data-chart="([^"]+)"', json.dumps(data["views"]).replace('\\"', '"')))
    assert named and named <= set(data["specs"])


def test_figures_and_json_lie_beside_it(made):
    figures = {path.name for path in (made[2] / "figures").iterdir()}
    for kind in ("leaderboard", "boxes", "pairwise", "stability", "rules", "gap", "groups_site", "groups_age"):
        assert {f"{kind}_dsc_average.png", f"{kind}_dsc_average.svg"} <= figures
    data = json.loads((made[2] / "report.json").read_text())
    with open(made[2] / "summary.csv") as file:
        first = next(csv.DictReader(file))
    assert data["tables"]["summary"][0]["mean"] == float(first["mean"])
    assert data["provenance"]["inputs"][0]["sha256"] and "Missing predictions" in data["rules"]


def test_failed_rows_count_with_the_worst_value_and_are_listed(world):
    rows = [("a", c, 0.8, "ok", None) for c in "123"] + [("b", c, 0.9, "ok", None) for c in "12"]
    rows += [("b", "3", 0.0, "failed", "gzip stream ends early")]
    frame = pl.DataFrame(rows, schema=["model", "case", "value", "status", "reason"], orient="row")
    frame.with_columns(metric=pl.lit("dsc"), target=pl.lit("liver")).write_parquet(world / "failed.parquet")
    analysis = analyse([world / "failed.parquet"], Settings(replicates=100))
    write(analysis, world / "failed", figures=False)
    summary = {r["model"]: r for r in analysis.frames["summary"].filter(pl.col("target") == "liver").to_dicts()}
    assert summary["b"]["mean"] == pytest.approx(0.6) and summary["b"]["n_failed"] == 1
    html = (world / "failed" / "report.html").read_text()
    assert "1 prediction failed." in html and "Cases scored</dt><dd>3<small>0 missing, 0 failed" in html
    assert "gzip stream ends early" in html and "worst (the default for these tables)" in html
    ignoring = analyse([world / "failed.parquet"], Settings(replicates=100, missing="ignore"))
    assert ignoring.frames["summary"].filter(pl.col("model") == "b")["mean"][0] == pytest.approx(0.9)


def test_what_the_scoring_depended_on_stands_in_the_rules(world, tmp_path):
    table = analyse([world / "scores"], Settings(replicates=100)).tables.frame
    facts = {"tolerance": {"liver": 3, "default": 2.0}, "empty": "present", "connectivity": 26}
    facts |= {"instance_iou": 0.5, "boundary_width": 2.0}
    table.write_parquet(tmp_path / "s.parquet", metadata={"vesalius": json.dumps({"settings": facts})})
    rules = analyse([tmp_path / "s.parquet"], Settings(replicates=100)).rules
    assert "NSD tolerance: liver 3, default 2 mm. Empty masks: policy «present»" in rules["Scoring of masks"]


def test_a_folder_gets_one_report_and_keeps_what_is_not_of_a_report(world, tmp_path):
    settings = Settings(metadata=world / "meta.csv", in_distribution="site=A", groups="site", replicates=100)
    write(analyse([world / "scores"], settings), tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    write(analyse([world / "scores"], Settings(replicates=100)), tmp_path / "out", figures=False)
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert "report.html" in left and "notes.txt" in left and not left & {"gap.csv", "groups.csv", "group_means.csv"}
    assert not list((tmp_path / "out" / "figures").iterdir())


def test_somebodys_folder_is_refused(world, tmp_path):
    (tmp_path / "summary.csv").write_text("mine")
    (tmp_path / "photo.jpg").write_text("mine")
    with pytest.raises(VesaliusError, match=r"holds something else than a report \(photo.jpg\)"):
        write(analyse([world / "scores"], Settings(replicates=100)), tmp_path)
    assert (tmp_path / "summary.csv").read_text() == "mine"


def test_a_handful_of_cases_gets_no_verdict_on_the_gap(world):
    settings = Settings(metadata=world / "meta.csv", in_distribution="age<57", replicates=100)
    points = " ".join(verdict(analyse([world / "scores"], settings)).points)
    assert "good has only 2 cases out of distribution: too few for a statement" in points
    assert "Out of distribution" not in points
    page = write(analyse([world / "scores"], settings), world / "few", figures=False) and world / "few" / "report.html"
    assert "Gap, in minus out" not in page.read_text()


def test_a_folder_that_cannot_be_written_is_one_clear_line(world, tmp_path, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("vesalius.bench.report.files.replacing", denied)
    with pytest.raises(VesaliusError, match=r"cannot be written \(Permission denied\).*choose another --out"):
        write(analyse([world / "scores"], Settings(replicates=100)), tmp_path)


def test_figures_that_no_report_drew_stay(world, tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "holiday.png").write_text("mine")
    write(analyse([world / "scores"], Settings(replicates=100)), tmp_path, figures=False)
    assert (tmp_path / "figures" / "holiday.png").exists()


def test_bins_name_the_first_value_that_is_no_number(world, tmp_path):
    (tmp_path / "m.csv").write_text("id;age\n" + "".join(f"case {c};{c},5\n" for c in range(39)) + "case 39;k.A.\n")
    with pytest.raises(VesaliusError, match=r"«k\.A\.».*write it as empty"):
        analyse([world / "scores"], Settings(metadata=tmp_path / "m.csv", groups="age:10"))


def test_groups_that_are_all_too_small_are_said(world):
    settings = Settings(metadata=world / "meta.csv", groups="patient", replicates=100)
    notes = analyse([world / "scores"], settings).notes
    assert "groups by patient: every group has fewer than 10 cases and is left out" in notes


def test_failed_cases_take_no_picture_from_others(world):
    from vesalius.bench.report.worst import _worst

    rows = [("a", "1", 0.0, "failed"), ("a", "2", 0.0, "missed"), ("a", "3", 0.8, "ok")]
    frame = pl.DataFrame(rows, schema=["model", "case", "value", "status"], orient="row")
    frame = frame.with_columns(metric=pl.lit("dsc"), target=pl.lit("liver"), reason=pl.lit(None, pl.String))
    frame.write_parquet(world / "slots.parquet")
    analysis = analyse([world / "slots.parquet"], Settings(replicates=100))
    assert _worst(analysis, "dsc", 2)["case"].to_list() == ["2", "3"]
    assert "0 structures" not in " ".join(verdict(analysis).points)


def test_select_keeps_cases_by_their_metadata(world):
    analysis = analyse([world / "scores"], Settings(metadata=world / "meta.csv", select="site=E", replicates=100))
    assert len(analysis.cases) == 14
    assert "--select «site=E» keeps 14 of 40 cases" in analysis.notes


def test_clusters_are_said_to_be_drawn(world):
    analysis = analyse([world / "scores"], Settings(metadata=world / "meta.csv", cluster="patient", replicates=100))
    assert "draws 21 units by patient for 40 cases" in " ".join(analysis.notes)
    assert "Clusters" in analysis.rules
    assert "from the 21 patients (patient) of the 39 cases" in " ".join(verdict(analysis).points)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"select": "site=A"}, "give --metadata"),
        ({"select": ""}, "give --metadata"),
        ({"metadata": True, "select": "site=X"}, "keeps none of 40 cases"),
        ({"metadata": True, "select": "sity=A"}, "unknown column sity"),
        ({"metadata": True, "in_distribution": "site in (A, E)"}, "met by every one"),
        ({"metadata": True, "groups": "race"}, "columns are: site, age, patient"),
        ({"metadata": True, "cluster": "person"}, "unknown column person"),
        ({"metrics": ("hd95",)}, "metrics are: dsc, nsd"),
    ],
)
def test_one_clear_line_for_each_wrong_option(world, options, words):
    if options.get("metadata"):
        options = options | {"metadata": world / "meta.csv"}
    with pytest.raises(VesaliusError, match=words):
        analyse([world / "scores"], Settings(replicates=100, **options))


def test_the_command_prints_a_leaderboard_or_json(world):
    app = typer.Typer()
    app.command()(report)
    arguments = [
        str(world / "scores"),
        "--metadata",
        str(world / "meta.csv"),
        "--out",
        str(world / "cli"),
        "--no-figures",
        "--replicates",
        "100",
    ]
    plain = CliRunner().invoke(app, arguments)
    assert plain.exit_code == 0 and "good" in plain.stdout and "report.html" in plain.stdout
    machine = CliRunner().invoke(app, [*arguments, "--json"])
    found = json.loads(machine.stdout)
    assert found["leaderboard"][0]["model"] == "good" and found["metric"] == "dsc"
    lonely = CliRunner().invoke(app, [*arguments, "--references", str(world)])
    assert isinstance(lonely.exception, VesaliusError)


def test_the_worst_cases_are_shown(world):
    from vesalius.bench.report.worst import Pictures
    from vesalius.media.volume import Volume, write_volume

    reference = np.zeros((24, 24, 12), dtype=np.uint8)
    reference[6:16, 6:16, 3:9] = 1
    rows = []
    for c, shift in enumerate((1, 4, 8)):
        for name, data in (("references", reference), ("predictions/m", np.roll(reference, shift, 0))):
            write_volume(world / name / f"case{c}.nii.gz", Volume(data, np.eye(4)))
        write_volume(world / "images" / f"case{c}.nii.gz", Volume(reference.astype(np.float32) * 100, np.eye(4)))
        rows.append({"model": "m", "case": f"case{c}", "metric": "dsc", "target": "label_1", "value": 1 - shift / 10})
    pl.DataFrame(rows).write_parquet(world / "pictures.parquet")
    analysis = analyse([world / "pictures.parquet"], Settings(replicates=100))
    (world / "references" / "case1.nii.gz").write_bytes(b"broken")
    write(
        analysis,
        world / "pictures",
        pictures=Pictures(world / "references", world / "predictions", world / "images", 2),
        figures=False,
    )
    html = (world / "pictures" / "report.html").read_text()
    assert html.count("data:image/") >= 4 and "case2" in html
    assert "pictures: m, case1" in html, "a broken file is a note, not the end"
