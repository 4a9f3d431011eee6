"""The demo on a handful of cases: whole, again, killed, and refused."""

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from vesalius.cli import app, demo_network, demo_steps
from vesalius.cli.kernels import coarse
from vesalius.errors import VesaliusError
from vesalius.models.classical import MODELS
from vesalius.phantom.hospitals import plan_cases


@pytest.fixture(scope="module")
def small():
    """Ten small scans instead of 74, one metric, networks of a few steps."""

    def plans(seed):
        return [coarse(p) for p in plan_cases(seed, training=2, test=1) if p.case != "C001"]

    few = {name: {"steps": 2, "learning_rate": 1e-3} for name in ("warmup", "general", "expert", "gate")}
    few |= {"calibration": 2, "after": (1,)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_steps, "plan_cases", plans)
        patch.setattr(demo_steps, "METRICS", ("dsc",))
        patch.setattr(demo_steps, "GROUPS", "site")
        patch.setattr(demo_network, "STUDY", {**demo_network.STUDY, **few})
        yield


@pytest.fixture(scope="module")
def done(small, tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    return out, CliRunner().invoke(app, ["demo", "--out", str(out), "--no-open"])


def test_one_command_builds_judges_and_says_where_the_report_is(done):
    out, result = done
    assert result.exit_code == 0, result.output
    assert "Report:" in result.output and "D and E, unseen" in result.output
    assert "vesalius bench score" in result.output and "vesalius bench report" in result.output
    page = (out / "report" / "report.html").read_text("utf-8")
    assert all(model in page for model in MODELS)
    table = pl.read_parquet(out / "scores.parquet")
    assert set(table["model"]) == set(MODELS) and table["case"].n_unique() == 5
    assert json.loads((out / "predictions" / "atlas" / "dataset.json").read_text())["labels"]["liver"]


def test_networks_are_clicked_beside_the_segmenters_and_what_was_forgotten_is_said(done):
    out, result = done
    table = pl.read_parquet(out / "clicks.parquet")
    whole = {"generalist", "tuned", "joined", "seeds", *MODELS}
    assert set(table["model"]) == {*whole, "expert pancreas", "expert gall_bladder"}
    assert set(table.filter(model="expert pancreas")["target"]) == {"pancreas"}
    assert table["case"].n_unique() == 5 and set(table["metric"]) == {"dsc@1"}
    walker = [t.filter(model="walker", metric=m).sort("case", "target")["value"].to_list()
              for t, m in ((table, "dsc@1"), (pl.read_parquet(out / "scores.parquet"), "dsc"))]  # fmt: skip
    assert walker[0] == walker[1]  # it takes no clicks
    assert "joined model" in result.output and "take none" in result.output
    said = json.loads((out / "report_clicks" / "report.json").read_text("utf-8"))["forgetting"]
    assert {answer["question"] for answer in said["answers"]} >= {"joined_expert", "joined_generalist", "tuned_forgets"}


def test_nothing_is_perfect_and_all_learn_something(done):
    out, _ = done
    dsc = pl.read_parquet(out / "scores.parquet").filter(metric="dsc").group_by("model").agg(pl.col("value").mean())
    assert dsc["value"].max() < 0.95 and dsc["value"].min() > 0.05


def test_again_does_nothing_anew(done):
    out, _ = done
    job = demo_steps.Demo(out)
    assert (job.make_hospitals(), job.learn_and_segment()) == (0, 0)
    assert job.score().done_now == 0
    job.click()
    assert job.write_reports() == 0


def test_a_report_that_was_removed_is_written_again_alone(done):
    out, _ = done
    (out / "report" / "report.html").unlink()
    assert demo_steps.Demo(out).write_reports() == 1
    assert (out / "report" / "report.html").exists()


def test_what_was_cleared_is_built_again_not_scored_as_missing(done):
    out, _ = done
    gone = next((out / "predictions" / "walker").glob("*.nii.gz"))
    gone.unlink()
    (out / "networks" / "experts" / "pancreas" / "training.json").unlink()
    job = demo_steps.Demo(out)
    job.make_hospitals(), job.learn_and_segment()
    assert gone.exists()
    assert job.score().failed == 0


def test_another_seed_is_another_cohort(done):
    out, _ = done
    one, other = demo_steps.Demo(out, 0), demo_steps.Demo(out, 1)
    assert one._fit_unit("atlas").stamp != other._fit_unit("atlas").stamp


def test_a_folder_of_somebody_elses_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(VesaliusError, match="something else"):
        demo_steps.Demo(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(VesaliusError, match="is a file"):
        demo_steps.Demo(tmp_path / "file")
