"""The click protocol: where clicks go, what is scored, what a failure is."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from vesalius.bench.clicks import Protocol, next_click, run, run_case
from vesalius.bench.metrics import metric
from vesalius.errors import VesaliusError
from vesalius.media.volume import Volume, write_volume
from vesalius.models.promptable import Segmentation


def ball(shape=(20, 20, 20), centre=(9, 9, 9), radius=5.0) -> np.ndarray:
    at = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    return ((at - centre) ** 2).sum(-1) <= radius**2


class Balls:
    """Answers with a ball around each positive click; keeps what it was asked."""

    def __init__(self, volume: Volume):
        self.volume, self.asked = volume, []

    def segment(self, prompts, **_):
        self.asked.append(list(prompts))
        back = np.linalg.inv(self.volume.affine)
        mask = np.zeros(self.volume.shape, bool)
        for prompt in prompts:
            index = back[:3, :3] @ prompt.at + back[:3, 3]
            near = ball(self.volume.shape, index, 3.0)
            mask = mask | near if prompt.positive else mask & ~near
        return Segmentation(mask)


IMAGE = Volume(np.ones((20, 20, 20), np.int16), np.array([[0, -2.0, 0, 30], [2, 0, 0, -5], [0, 0, 3, 8], [0, 0, 0, 1]]))


def test_random_clicks_fall_evenly_on_all_that_is_wrong_and_know_its_side() -> None:
    truth, mask = ball(), ball(centre=(12, 9, 9))
    rng = np.random.default_rng(0)
    found = [next_click(mask, truth, "random", rng) for _ in range(2000)]
    assert all(mask[v] != truth[v] and truth[v] == positive for v, positive in found)
    share = np.mean([positive for _, positive in found])
    assert share == pytest.approx((truth & ~mask).sum() / (truth ^ mask).sum(), abs=0.03)
    assert len({v for v, _ in found}) > 0.9 * (truth ^ mask).sum()


def test_the_deepest_click_is_the_middle_of_the_largest_error_in_mm() -> None:
    truth = ball((30, 30, 30), (9, 9, 9), 6) | ball((30, 30, 30), (22, 22, 22), 3)
    assert next_click(np.zeros_like(truth), truth, "deepest", np.random.default_rng(0)) == ((9, 9, 9), True)
    extra = truth | ball((30, 30, 30), (22, 8, 22), 4)
    assert next_click(extra, truth, "deepest", np.random.default_rng(0)) == ((22, 8, 22), False)
    flat = np.zeros((20, 20, 20), bool)
    flat[2:9, 2:9, 2:4] = True  # 7 x 7 x 2 voxels: thin where slices are 1 mm, thick where they are 9
    flat[12:17, 12:17, 12:16] = True
    assert next_click(np.zeros_like(flat), flat, "deepest", np.random.default_rng(0), (1, 1, 1))[0][0] > 10
    assert next_click(np.zeros_like(flat), flat, "deepest", np.random.default_rng(0), (1, 1, 9))[0][0] < 10


def test_at_a_volumes_edge_a_region_is_as_shallow_as_anywhere() -> None:
    truth = np.zeros((9, 9, 9), bool)
    truth[0:5, 2:7, 2:7] = True
    assert next_click(np.zeros_like(truth), truth, "deepest", np.random.default_rng(0))[0] == (2, 4, 4)


def test_where_nothing_is_wrong_the_truth_is_clicked_again_and_an_empty_truth_never() -> None:
    truth = ball()
    voxel, positive = next_click(truth, truth, "random", np.random.default_rng(0))
    assert positive and truth[voxel]
    assert next_click(np.zeros_like(truth), np.zeros_like(truth), "random", np.random.default_rng(0)) is None


def test_clicks_are_in_the_patient_scores_after_the_asked_numbers_and_the_model_sees_no_truth() -> None:
    session, truth = Balls(IMAGE), ball()
    rows = list(run_case(session, [("liver", truth)], Protocol((1, 3, 5), metrics=("dsc", "nsd")), "case"))
    assert [row["metric"] for row in rows] == [f"{m}@{n}" for n in (1, 3, 5) for m in ("dsc", "nsd")]
    assert [len(asked) for asked in session.asked] == [1, 2, 3, 4, 5]
    back = np.linalg.inv(IMAGE.affine)
    first = np.round(back[:3, :3] @ session.asked[0][0].at + back[:3, 3]).astype(int)
    assert truth[tuple(first)] and session.asked[0][0].positive
    wanted = 2 * (session.segment(session.asked[0]).mask & truth).sum()
    wanted /= session.segment(session.asked[0]).mask.sum() + truth.sum()
    assert rows[0]["value"] == pytest.approx(wanted)


def test_every_model_gets_the_same_first_click_and_another_seed_another() -> None:
    def first(seed: int) -> tuple:
        session = Balls(IMAGE)
        list(run_case(session, [("liver", ball())], Protocol((1,), seed=seed), "case"))
        return session.asked[0][0].at

    assert first(0) == first(0) != first(1)


def test_an_absent_structure_has_rows_without_value_and_a_failing_one_the_worst() -> None:
    class Failing(Balls):
        def segment(self, prompts, **_):
            if len(prompts) == 2:
                raise VesaliusError("no window", remedy="zoom out")
            return super().segment(prompts)

    truths = {"gone": np.zeros((20, 20, 20), bool), "liver": ball()}
    rows = list(run_case(Failing(IMAGE), truths.items(), Protocol((1, 3), metrics=("dsc",)), "case"))
    assert [(r["target"], r["metric"], r["status"]) for r in rows] == [
        ("gone", "dsc@1", "both_empty"), ("gone", "dsc@3", "both_empty"), ("liver", "dsc@1", "ok"),
        ("liver", "dsc@3", "failed"),
    ]  # fmt: skip
    assert rows[0]["value"] is None and "nothing to click on" in rows[0]["reason"]
    assert rows[3]["value"] == 0 and "no window — zoom out" in rows[3]["reason"]


def test_what_a_model_says_of_its_own_iou_is_scored_by_that_iou() -> None:
    class Sure(Balls):
        def segment(self, prompts, **_):
            return Segmentation(super().segment(prompts).mask, confidence=0.9)

    session, truth = Sure(IMAGE), ball()
    rows = list(run_case(session, [("liver", truth)], Protocol((1, 3), metrics=("iou",)), "case"))
    found = {row["metric"]: row["value"] for row in rows}
    for n in (1, 3):
        assert found[f"confidence_error@{n}"] == pytest.approx(0.9 - found[f"iou@{n}"])
    assert metric("confidence_error@3").better == "zero"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"after": (0, 1)}, "scores after"),
        ({"after": ()}, "scores after"),
        ({"way": "centre"}, "no way to click is called centre"),
        ({"crop": "all"}, "no crop is called all"),
        ({"metrics": ("dcs",)}, "no metric is called dcs"),
    ],
)
def test_wrong_settings_are_said_before_the_work(settings, said: str) -> None:
    with pytest.raises(VesaliusError, match=said):
        Protocol(**settings)


def test_a_window_around_the_truth_is_asked_of_models_that_have_one() -> None:
    with pytest.raises(VesaliusError, match="has no window"):
        raise next(
            VesaliusError(row["reason"])
            for row in run_case(Balls(IMAGE), [("liver", ball())], Protocol((1,), crop="truth"), "case")
        )


def test_scores_after_clicks_are_known_to_reports() -> None:
    assert metric("nsd@10").title == "NSD, 10 clicks" and metric("hd95@1").better == "lower"
    assert metric("dsc@x").better == "higher"


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for number, centre in enumerate([(8, 9, 9), (10, 9, 9), (9, 11, 9)]):
        image = np.where(ball(centre=centre), 120, 40) + np.random.default_rng(number).normal(0, 5, (20, 20, 20))
        write_volume(
            tmp_path / "images" / f"c{number}_0000.nii.gz", Volume(image.astype(np.int16), np.diag([2.0, 2, 2, 1]))
        )
        write_volume(
            tmp_path / "labels" / f"c{number}.nii.gz",
            Volume(ball(centre=centre).astype(np.uint8), np.diag([2.0, 2, 2, 1])),
        )
    (tmp_path / "labels" / "dataset.json").write_text('{"labels": {"background": 0, "ball": 1}}')
    return tmp_path


def test_folders_become_the_score_table_once_and_a_broken_case_is_a_row(folders: Path) -> None:
    (folders / "images" / "c1_0000.nii.gz").write_bytes(b"broken")
    protocol = Protocol((1, 2), metrics=("dsc",))
    arguments = (folders / "images", folders / "labels", {"grow": "seeds:"}, folders / "out.parquet", protocol)
    summary = run(*arguments)
    table = pl.read_parquet(folders / "out.parquet")
    assert (summary.pairs, summary.failed, summary.done_now) == (3, 1, 3)
    good = table.filter(pl.col("case") != "c1", pl.col("metric") == "dsc@2")
    assert good["value"].min() > 0 and good["status"].to_list() == ["ok", "ok"]
    bad = table.filter(pl.col("case") == "c1")
    assert bad["value"].to_list() == [0, 0] and bad["target"].to_list() == ["ball"] * 2
    assert run(*arguments).done_now == 0
    with pytest.raises(VesaliusError, match="no structure is called liver — structures are: ball"):
        run(*arguments, structures=["liver"])
    with pytest.raises(VesaliusError, match="no reference is called c9"):
        run(*arguments, cases=["c9"])
    with pytest.raises(VesaliusError, match="takes no clicks"):
        run(folders / "images", folders / "labels", {"x": "random:1"}, folders / "x.parquet", protocol)


def test_confidence_has_a_table_of_its_own_is_summed_up_and_memory_is_said_before(folders: Path, capfd) -> None:
    from vesalius.nets.sam3d import Sam3DConfig, Sam3DModel
    from vesalius.nets.sam3d.crop import Preprocessing

    sizes = {"image_size": 32, "patch_size": 8, "hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    decoder = {"prompt_dim": 48, "decoder_heads": 1, "num_multimask_outputs": 0, "iou_trained": True}
    Sam3DModel(Sam3DConfig(**sizes, **decoder, global_attn_indexes=[0])).save_pretrained(folders / "model")
    Preprocessing(size=32, spacing=2).save_pretrained(folders / "model")
    models = {"net": f"sam3d:{folders / 'model'}", "grow": "seeds:"}
    protocol = Protocol((1, 2), metrics=("iou",))
    summary = run(folders / "images", folders / "labels", models, folders / "out.parquet", protocol)
    assert "a worker takes about 0." in capfd.readouterr().err
    scores, beside = (pl.read_parquet(folders / f"out{middle}.parquet") for middle in ("", ".confidence"))
    assert set(scores["metric"]) == {"iou@1", "iou@2"} and len(scores) == 12
    assert set(beside["metric"]) == {"confidence_error@1", "confidence_error@2"} and set(beside["model"]) == {"net"}
    last = beside.filter(pl.col("metric") == "confidence_error@2")["value"]
    ((model, name, bias, error),) = summary.confidence
    assert (model, name) == ("net", "confidence_error@2")
    assert (bias, error) == pytest.approx((last.mean(), last.abs().mean()))
