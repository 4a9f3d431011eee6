"""The forgetting study: planted gains and losses are found, said and drawn; wrong files get one clear line."""

import json
import re
import shutil

import numpy as np
import polars as pl
import pytest
import typer
import yaml
from typer.testing import CliRunner

from vesalius.bench.report import Settings, analyse, write
from vesalius.bench.report.forgetting import answers, headline, read_study, section
from vesalius.bench.report.forgetting.study import seed_of
from vesalius.cli.bench_report import report
from vesalius.errors import VesaliusError
from vesalius.pages.charts import save
from vesalius.records import SCORE_SCHEMA

STUDY = {
    "generalist": "general", "experts": {"expert": ["pancreas"]}, "fine_tuned": {"tuned": "pancreas, spleen"},
    "joined": "joined", "continued": "longer", "metric": "dsc@5",
}  # fmt: skip
CLASSES = ("liver", "spleen", "aorta", "pancreas")


def scores(seeds: int = 5, model="{}", case="s{seed}_c{c}") -> tuple[pl.DataFrame, pl.DataFrame]:
    """Five runs, sixteen cases each: planted is what the tests below look for."""
    rng = np.random.default_rng(0)
    rows, cases = [], {}
    for seed in range(seeds):
        for c in range(16):
            out = c >= 8
            name = case.format(seed=seed, c=c)
            cases[name] = {"case": name, "seed": seed, "site": "B" if out else "A", "patient": f"{seed}{c // 2}"}
            for target in CLASSES:
                if target == "pancreas" and c % 4 == 0:
                    continue  # the structure is not there
                general = 0.8 - 0.1 * out + rng.normal(0, 0.05)
                task = target == "pancreas"
                expert = general + (0.1 if task else -0.2) + rng.normal(0, 0.01)
                joined = (expert if task else general) + rng.normal(0, 0.003)
                if out and target == "aorta":
                    joined -= 0.06
                tuned = general + (0.1 if target in ("pancreas", "spleen") else -0.2) + rng.normal(0, 0.01)
                values = {"general": general, "expert": expert, "tuned": tuned, "joined": joined}
                values["longer"] = general + 0.005 + rng.normal(0, 0.005)
                rows += [
                    {"model": model.format(name_, seed=seed), "case": name, "metric": metric, "target": target,
                     "value": value - less, "status": "ok"}
                    for name_, value in values.items() for metric, less in (("dsc@1", 0.1), ("dsc@5", 0.0))
                ]  # fmt: skip
    return pl.DataFrame(rows, schema_overrides=SCORE_SCHEMA), pl.DataFrame(list(cases.values()))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forgetting")
    table, cases = scores()
    table.write_parquet(folder / "scores.parquet")
    cases.write_csv(folder / "cases.csv")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    return folder


def settings(world, **more):
    plain = {"metadata": world / "cases.csv", "in_distribution": "site=A", "replicates": 200}
    return Settings(**(plain | {"forgetting": world / "study.yaml"} | more))


@pytest.fixture(scope="module")
def made(world):
    analysis = analyse([world / "scores.parquet"], settings(world, metrics=("dsc@5",)))
    write(analysis, world / "out", "A small study", figures=False)
    return analysis, world / "out"


def found(analysis, question, side):
    return next(one for one in answers(analysis.comparison) if (one.question.key, one.side) == (question, side))


def test_what_was_planted_is_found(made):
    analysis, _ = made
    said = {(one.question.key, one.side): one.word for one in answers(analysis.comparison)}
    for question in ("expert_generalist", "tuned_generalist", "tuned_forgets", "joined_expert", "expert_continued"):
        assert said[question, "in"] == said[question, "out"] == "yes", question
    assert said["joined_generalist", "in"] == "yes" and said["continued_generalist", "in"] == "no"
    assert analysis.comparison.seeds == ("0", "1", "2", "3", "4") and not analysis.comparison.crossed
    rows = analysis.frames["forgetting"].filter(question="joined_generalist", side="out")
    verdicts = dict(rows.select("target", "verdict").iter_rows())
    assert verdicts | {"average": ""} == {
        "liver": "equivalent",
        "spleen": "equivalent",
        "aorta": "worse",
        "average": "",
    }
    gain = analysis.frames["forgetting"].filter(question="expert_generalist", side="in", target="pancreas")
    assert gain["difference"][0] == pytest.approx(0.1, abs=0.01) and gain["ci_low"][0] > 0.08
    assert gain["n"][0] == 30 and gain["units"][0] == 5, "absent structures take no part; the seeds are the units"
    assert gain["mean_first"][0] - gain["mean_second"][0] == pytest.approx(gain["difference"][0])


def test_a_loss_on_one_class_is_said_beside_the_average(made):
    analysis, _ = made
    one = found(analysis, "joined_generalist", "out")
    assert one.word != "yes" and (one.outcome == "worse" or "worse on aorta" in one.said)
    assert "2 equivalent" in one.reason and "5 seeds, 40 cases" in one.reason
    assert "generalist on the rest out of distribution (−0.0" in headline(analysis.comparison)


def test_a_model_that_forgets_nothing_is_said_to_forget_nothing(world, tmp_path):
    table = pl.read_parquet(world / "scores.parquet").filter(pl.col("target") != "aorta")
    table.write_parquet(tmp_path / "s.parquet")
    said = headline(analyse([tmp_path / "s.parquet"], settings(world)).comparison)
    assert said.startswith("The joined model forgets nothing beyond ±0.020: it is equivalent to the experts")
    assert "and to the generalist on the rest, in and out of distribution (its own mean: DSC, 5 clicks 0." in said


def test_the_seeds_stand_by_themselves(made):
    by_seed = made[0].frames["forgetting_seeds"].filter(question="tuned_forgets", side="in", target="average")
    assert by_seed["seed"].to_list() == ["0", "1", "2", "3", "4"]
    average = made[0].frames["forgetting"].filter(question="tuned_forgets", side="in", target="average")
    assert average["difference"][0] == pytest.approx(by_seed["difference"].mean())


def test_it_lies_in_the_reports_folder(made):
    analysis, out = made
    assert pl.read_csv(out / "forgetting.csv").height == analysis.frames["forgetting"].height
    assert (out / "forgetting_seeds.csv").exists()
    title, spec = section.draw(analysis.comparison)["forgetting_joined_generalist_out"]
    save(spec, out.parent / "figure", title)
    assert "undecided" in (out.parent / "figure.svg").read_text() and (out.parent / "figure.png").exists()
    data = json.loads((out / "report.json").read_text())
    assert data["forgetting"]["margin"] == 0.02 and data["forgetting"]["metric"] == "dsc@5"
    assert len(data["forgetting"]["answers"]) == 16 and data["tables"]["forgetting"][0]["verdict"] == "better"
    assert any(source["layout"] == "study" for source in data["provenance"]["inputs"])
    html = (out / "report.html").read_text()
    body = re.sub(r"<script.*?</script>", "", html, flags=re.S)
    drawn = set(re.findall(r'data-chart="(forgetting_[^"]+)"', body))
    assert len(drawn) == 16 and drawn <= set(json.loads(re.search(r'id="data">(.*?)</script>', html, re.S)[1])["specs"])
    assert "margin ±0.020 (the default)" in analysis.rules["Forgetting"]
    other = out.parent / "again"
    shutil.copytree(out, other)
    plain = analyse([out.parent / "scores.parquet"], Settings(replicates=100, metrics=("dsc@5",)))
    write(plain, other, figures=False)
    assert not (other / "forgetting.csv").exists() and "forgetting" not in json.loads(
        (other / "report.json").read_text()
    )


def test_runs_can_be_told_by_names_of_cases_or_of_models(world, tmp_path):
    plain = analyse([world / "scores.parquet"], settings(world)).frames["forgetting"]
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY | {"seed": "s{seed}_*"}))
    cases = pl.read_csv(world / "cases.csv").drop("seed")
    cases.write_csv(tmp_path / "cases.csv")
    more = {"metadata": tmp_path / "cases.csv", "forgetting": tmp_path / "study.yaml"}
    assert analyse([world / "scores.parquet"], settings(world, **more)).frames["forgetting"].equals(plain)

    table, cases = scores(model="{}-{seed}", case="c{c}")
    table.write_parquet(tmp_path / "models.parquet")
    cases.drop("seed").write_csv(tmp_path / "cases.csv")
    text = yaml.safe_dump(STUDY).replace("expert:", "expert-{seed}:").replace("tuned: p", "tuned-{seed}: p")
    text = re.sub(r"(general|joined|longer)$", r"\1-{seed}", text, flags=re.M)
    (tmp_path / "study.yaml").write_text(text)
    analysis = analyse([tmp_path / "models.parquet"], settings(world, **more))
    assert analysis.comparison.crossed and len(analysis.comparison.seeds) == 5
    assert "the same under every seed" in analysis.rules["Forgetting"]
    row = analysis.frames["forgetting"].filter(question="expert_generalist", side="in", target="pancreas")
    assert row["first"][0] == "expert-*" and row["n"][0] == 30 and row["verdict"][0] == "better"


def test_without_seeds_patients_are_the_units_and_sides_may_be_one(world, tmp_path):
    cases = pl.read_csv(world / "cases.csv").drop("seed")
    cases.write_csv(tmp_path / "cases.csv")
    asked = settings(world, metadata=tmp_path / "cases.csv", cluster="patient", in_distribution=None)
    analysis = analyse([world / "scores.parquet"], asked)
    row = analysis.frames["forgetting"].filter(question="joined_generalist", target="liver")
    assert row["side"].to_list() == ["all"] and row["units"][0] == 40 and row["n"][0] == 80
    assert "Seed by seed" not in section.section(analysis.comparison).html


def test_a_failed_case_counts_as_the_worst(world, tmp_path):
    table = pl.read_parquet(world / "scores.parquet")
    lost = (pl.col("model") == "joined") & (pl.col("case") == "s0_c1")
    table = table.with_columns(
        value=pl.when(lost).then(0.0).otherwise("value"),
        status=pl.when(lost).then(pl.lit("failed")).otherwise("status"),
    )
    table.write_parquet(tmp_path / "s.parquet")
    frame = analyse([tmp_path / "s.parquet"], settings(world)).frames["forgetting"]
    row = frame.filter(question="joined_generalist", side="in", target="liver")
    assert row["n"][0] == 40 and row["difference"][0] < -0.015


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"generalist": "nobody"}, "key generalist: no scores of a model nobody — models are: expert, general, joined"),
        ({"experts": {"expert": ["brain"]}}, "key experts.expert: no scores of a class brain — classes are: liver"),
        ({"experts": {"a": ["liver"], "b": ["liver"]}}, "liver has two experts"),
        ({"experts": {"expert": []}}, "expert names no class"),
        ({"experts": None}, "key experts: write model"),
        ({"metric": "nsd"}, "key metric: no scores of nsd — metrics are: dsc@1, dsc@5"),
        ({"margin": 0}, "key margin"),
        ({"margin": "wide"}, "key margin"),
        ({"seed": "run"}, "key seed: the metadata have no column run"),
        ({"seed": "x{seed}"}, "fits none of the cases — cases are called s0_c0"),
        ({"jointed": "joined"}, "has no key jointed — keys are: generalist, experts"),
        ({"joined": "joined-{seed}", "seed": None}, "no scores of a model joined-"),
    ],
)
def test_one_clear_line_for_each_wrong_key(world, tmp_path, change, words):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY | change))
    with pytest.raises(VesaliusError) as error:
        analyse([world / "scores.parquet"], settings(world, forgetting=tmp_path / "study.yaml"))
    assert words in str(error.value) and str(tmp_path / "study.yaml") in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no YAML"),
        ("- general", "holds no map of keys"),
        ("experts: {a: [liver]}", "lacks the key generalist"),
        ("generalist: g", "nothing is compared"),
        ("generalist: g\ncontinued: c\njoined: j", "`joined` needs `experts`"),
    ],
)
def test_one_clear_line_for_each_wrong_file(tmp_path, text, words):
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(VesaliusError, match=words):
        read_study(tmp_path / "study.yaml")
    with pytest.raises(VesaliusError, match="cannot be read"):
        read_study(tmp_path / "nothing.yaml")


def test_a_distance_needs_a_margin_of_its_own_and_shorter_is_better(world, tmp_path):
    table = pl.read_parquet(world / "scores.parquet").filter(metric="dsc@5")
    table.with_columns(metric=pl.lit("hd95"), value=20 * (1 - pl.col("value"))).write_parquet(tmp_path / "s.parquet")
    study = {key: value for key, value in STUDY.items() if key != "metric"}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    asked = settings(world, forgetting=tmp_path / "study.yaml")
    with pytest.raises(VesaliusError, match="hd95 is in mm — give the difference in mm"):
        analyse([tmp_path / "s.parquet"], asked)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study | {"margin": 0.5}))
    row = analyse([tmp_path / "s.parquet"], asked).frames["forgetting"].row(0, named=True)
    assert row["difference"] == pytest.approx(2, abs=0.2) and row["mean_first"] < row["mean_second"]
    assert row["verdict"] == "better"


@pytest.mark.parametrize(
    ("pattern", "name", "seed"),
    [("s{seed}_*", "s12_a_3", "12"), ("m-{seed}", "m-3", "3"), ("m-{seed}", "n-3", None), ("{seed}*", "7x", "7")],
)
def test_the_seed_in_a_name(pattern, name, seed):
    assert seed_of(pattern, name) == seed


def test_the_command_says_it_and_its_help_teaches_it(world):
    app = typer.Typer()
    app.command()(report)
    arguments = [str(world / "scores.parquet"), "--metadata", str(world / "cases.csv"), "--in-distribution", "site=A"]
    arguments += ["--forgetting", str(world / "study.yaml"), "--out", str(world / "cli"), "--no-figures"]
    plain = CliRunner().invoke(app, [*arguments, "--replicates", "100", "--metric", "dsc@5"])
    assert plain.exit_code == 0
    assert "Do the experts beat the generalist on their classes? In distribution: Yes" in " ".join(plain.stdout.split())
    helped = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    assert "generalist: general" in helped and "margin: 0.02" in helped


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_section_in_a_browser(made):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for width, scheme in ((1280, "light"), (390, "dark")):
            page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
            complaints = []
            page.on("console", lambda m, c=complaints: c.append(m.text) if m.type in ("error", "warning") else None)
            page.on("pageerror", lambda e, c=complaints: c.append(str(e)))
            page.goto((made[1] / "report.html").as_uri())
            page.wait_for_function("document.querySelectorAll('#forgetting .chart svg').length === 16")
            boxes = [chart.bounding_box() for chart in page.query_selector_all("#forgetting .chart svg")]
            assert all(box["width"] > 200 and box["x"] + box["width"] <= width + 1 for box in boxes)
            assert (boxes[0]["y"] == boxes[1]["y"]) == (width == 1280), "sides beside each other where there is room"
            page.locator("#forgetting details").first.evaluate("e => e.open = true")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.locator("#forgetting .headline").inner_text() == headline(made[0].comparison)
            assert complaints == []
        browser.close()
