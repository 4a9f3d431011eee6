"""`bench score`: hostile input becomes rows with reasons, kills lose nothing, names and grids are brought together."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import polars as pl
import pytest

from vesalius.bench import score as scoring
from vesalius.bench.metrics.segmentation import Settings, score
from vesalius.bench.score_case import Case, mirrored
from vesalius.errors import VesaliusError
from vesalius.formats.labels import read_label_map

VESALIUS = Path(sys.executable).with_name("vesalius")
AFFINE = np.diag([0.8, 0.8, 3.0, 1.0])
LABELS = {"liver": 1, "kidney_left": 2, "kidney_right": 3}


def phantom(seed=0):
    data = np.zeros((24, 24, 12), np.uint8)
    shift = seed % 3
    data[3 + shift : 12, 4:14, 2:9] = 1
    data[15:20, 3:8, 3:8] = 2
    data[15:20, 14:19, 3:8] = 3
    return data


def save(path, data, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, affine), path)


def declare(folder, labels=LABELS):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, **labels}}))


@pytest.fixture
def folders(tmp_path):
    references, predictions = tmp_path / "references", tmp_path / "predictions"
    declare(references)
    for i in range(4):
        save(references / f"case {i} é.nii.gz", phantom(i))
        save(predictions / f"case {i} é.nii.gz", np.roll(phantom(i), 1, 0))
    return predictions, references


def run(predictions, references, out=None, **template):
    settings = template.pop("settings", Settings(("dsc", "hd95", "volume_difference")))
    names = {k: template.pop(k) for k in ("models", "pattern", "pairs", "model") if k in template}
    images = template.pop("images", None)
    pairings = scoring.plan(predictions, references, **names)
    cases = scoring.jobs(pairings, Case("", "", None, None, settings=settings, **template), references, images)
    out = out or Path(references).parent / "scores.parquet"
    summary = scoring.run(pairings, cases, out, benchmark="test", workers=1)
    return summary, scoring.read_table(out)


def of(table, case, **columns):
    table = table.filter(pl.col("case") == case)
    for column, value in columns.items():
        table = table.filter(pl.col(column) == value)
    return table


def test_the_table_holds_what_the_pure_function_says(folders):
    summary, table = run(*folders)
    assert (summary.pairs, summary.scored, summary.last_line()) == (4, 4, "scored 4 of 4")
    assert table.height == 4 * 3 * 3
    expected = score(
        np.roll(phantom(2), 1, 0), phantom(2), (0.8, 0.8, 3.0), LABELS, ["dsc", "hd95", "volume_difference"]
    )
    got = of(table, "case 2 é").select("metric", "target", "value", "status").rows(named=True)
    key = lambda r: (r["target"], r["metric"])  # noqa: E731
    for ours, theirs in zip(sorted(got, key=key), sorted(expected, key=key), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)  # the header holds spacing as float32


def truncated(path):
    save(path, np.random.default_rng(0).integers(0, 3, (24, 24, 12)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:-700])


def half_of_the_voxels(path):
    save(path, phantom())
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-2000]))


HOSTILE = {
    "truncated gzip": (truncated, "unreadable"),
    "half of the voxels": (half_of_the_voxels, "unreadable"),
    "0 bytes": (lambda p: p.write_bytes(b""), "unreadable"),
    "no NIfTI": (lambda p: p.write_bytes(b"hello" * 100), "unreadable"),
    "wrong shape": (lambda p: save(p, phantom()[:-1]), "shape"),
    "0.9999": (lambda p: save(p, phantom() * np.float32(0.9999)), "fractional"),
    "NaN": (lambda p: save(p, np.where(phantom() == 0, np.nan, 1).astype(np.float32)), "nan"),
    "negative": (lambda p: save(p, -phantom().astype(np.int16)), "negative"),
    "shifted by 3 mm": (lambda p: save(p, phantom(), AFFINE + np.array([[0, 0, 0, 3.0]] + [[0] * 4] * 3)), "geometry"),
    "missing": (lambda p: p.unlink(), "missing"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_broken_prediction_is_a_row_with_a_reason_and_the_worst_value(folders, what):
    predictions, _ = folders
    breaks, code = HOSTILE[what]
    breaks(predictions / "case 1 é.nii.gz")
    summary, table = run(*folders)
    assert (summary.scored, summary.failed, summary.reasons) == (3, 1, {code: 1})
    lost = of(table, "case 1 é")
    assert set(lost["status"]) == {"failed"} and lost.height == 9
    assert all(reason.startswith(f"{code}: ") for reason in lost["reason"])
    assert set(of(lost, "case 1 é", metric="dsc")["value"]) == {0.0}
    diagonal = float(np.linalg.norm(np.array([24, 24, 12]) * [0.8, 0.8, 3.0]))
    assert of(lost, "case 1 é", metric="hd95")["value"].to_list() == pytest.approx([diagonal] * 3, rel=1e-5)
    volume = of(lost, "case 1 é", metric="volume_difference", target="kidney_left")["value"].item()
    assert volume == pytest.approx(-125 * 0.8 * 0.8 * 3 / 1000, rel=1e-5)
    assert set(of(table, "case 2 é")["status"]) == {"ok"}


@pytest.mark.parametrize(
    "harmless",
    [
        lambda p: save(p, np.roll(phantom(1), 1, 0).astype(np.float32)),
        lambda p: save(p, np.roll(phantom(1), 1, 0), AFFINE + 1e-8),
        lambda p: save(p, np.roll(phantom(1), 1, 0)[..., None]),
    ],
    ids=["labels as floats", "another affine in the eighth digit", "a fourth axis of one"],
)
def test_what_is_no_error_is_scored_alike(folders, harmless):
    _, before = run(*folders)
    harmless(folders[0] / "case 1 é.nii.gz")
    summary, after = run(*folders)
    assert summary.failed == 0
    assert after["value"].to_list() == pytest.approx(before["value"].to_list(), rel=1e-6)


def test_flipped_axes_of_one_grid_are_turned_back_without_loss_and_said(folders):
    _, before = run(*folders)
    affine = AFFINE.copy()
    affine[0] = [-0.8, 0, 0, 0.8 * 23]
    save(folders[0] / "case 1 é.nii.gz", np.roll(phantom(1), 1, 0)[::-1], affine)
    summary, after = run(*folders)
    assert after["value"].to_list() == pytest.approx(before["value"].to_list(), rel=1e-6)
    assert any("turned onto the reference's grid" in w for w in summary.warnings)


def test_another_grid_is_resampled_only_when_asked_and_then_recorded(folders):
    fine = np.repeat(phantom(1), 2, axis=2)
    affine = np.diag([0.8, 0.8, 1.5, 1.0])
    affine[2, 3] = -0.75
    save(folders[0] / "case 1 é.nii.gz", fine, affine)
    assert run(*folders)[0].reasons == {"shape": 1}
    summary, table = run(*folders, resample=True)
    assert summary.failed == 0 and any("brought onto the reference's grid" in w for w in summary.warnings)
    assert set(of(table, "case 1 é", metric="dsc")["value"]) == {1.0}


def test_a_broken_reference_can_be_scored_by_nobody_and_is_said(folders):
    (folders[1] / "case 0 é.nii.gz").write_bytes(b"")
    summary, table = run(*folders)
    assert (summary.scored, summary.failed, summary.unscorable) == (3, 0, 1)
    lost = of(table, "case 0 é")
    assert set(lost["status"]) == {"unscorable"} and lost["value"].null_count() == lost.height == 9


def test_swapped_left_and_right_are_flagged(folders):
    swapped = phantom(1)
    swapped[phantom(1) == 2], swapped[phantom(1) == 3] = 3, 2
    save(folders[0] / "case 1 é.nii.gz", swapped)
    summary, table = run(*folders)
    said = of(table, "case 1 é", target="kidney_left", metric="dsc")
    assert said["value"].item() == 0 and "left and right look exchanged" in said["reason"].item()
    assert any("left and right look exchanged" in w for w in summary.warnings)
    assert of(table, "case 1 é", target="liver")["reason"].null_count() == 3


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("kidney_left", "kidney_right"),
        ("Left Lung", "Right Lung"),
        ("femur-R", "femur-L"),
        ("liver", None),
        ("cleft", None),
    ],
)
def test_partners_are_found_by_the_words_of_their_names(name, other):
    assert mirrored(name) == other


def test_a_label_that_nobody_declared_is_said_with_its_voxels(folders):
    odd = phantom(1)
    odd[0, 0, :5] = 77
    save(folders[0] / "case 1 é.nii.gz", odd)
    summary, table = run(*folders)
    said = "predictions/case 1 é: the prediction holds label 77, which no name declares (5 voxels)"
    assert said in summary.warnings
    assert set(table["target"]) == set(LABELS)


def test_voxels_that_the_reference_says_to_ignore_are_not_judged(folders):
    declare(folders[1], {**LABELS, "ignore": 4})
    ignored = phantom(1)
    ignored[12:14] = 4
    save(folders[1] / "case 1 é.nii.gz", ignored)
    save(folders[0] / "case 1 é.nii.gz", np.where(ignored == 4, 1, ignored).astype(np.uint8))
    _, table = run(*folders)
    assert set(of(table, "case 1 é", metric="dsc")["value"]) == {1.0} and "ignore" not in set(table["target"])


def test_a_structure_that_no_reference_or_no_prediction_has_is_a_warning(folders):
    declare(folders[1], {**LABELS, "spleen": 9})
    for i in range(4):
        save(folders[0] / f"case {i} é.nii.gz", np.where(phantom(i) == 1, 0, phantom(i)).astype(np.uint8))
    warnings = run(*folders)[0].warnings
    assert "no reference holds spleen: is the label map right?" in warnings
    assert "predictions never predicts liver: is its label map right?" in warnings


def test_names_meet_across_layouts_and_spellings(folders, tmp_path):
    _, before = run(*folders)
    organs = tmp_path / "totalsegmentator"
    for i in range(4):
        data = np.roll(phantom(i), 1, 0)
        for file, label in {"liver": 1, "left_kidney": 2, "right_kidney": 3}.items():
            save(organs / f"case {i} é" / "segmentations" / f"{file}.nii.gz", (data == label).astype(np.uint8))
    _, after = run(organs, folders[1], tmp_path / "organs.parquet")
    assert after["value"].to_list() == pytest.approx(before["value"].to_list(), rel=1e-9)


def test_a_model_with_other_ids_is_scored_by_name(folders, tmp_path):
    _, before = run(*folders)
    other = tmp_path / "other"
    declare(other, {"kidney_right": 30, "liver": 10, "kidney_left": 20})
    for i in range(4):
        save(other / f"case {i} é.nii.gz", np.roll(phantom(i), 1, 0).astype(np.uint16) * 10)
    _, after = run(other, folders[1], tmp_path / "other.parquet")
    assert after["value"].to_list() == before["value"].to_list()


@pytest.mark.parametrize("names", [("Liver", "Kidney_L", "Kidney_R"), ("LIVER", "Lt Kidney", "KidneyRight")])
def test_sides_are_known_by_their_abbreviations(folders, tmp_path, names):
    _, before = run(*folders)
    other = tmp_path / "other"
    declare(other, {names[0]: 1, names[1]: 2, names[2]: 3})
    for i in range(4):
        save(other / f"case {i} é.nii.gz", np.roll(phantom(i), 1, 0))
    _, after = run(other, folders[1], tmp_path / "other.parquet")
    assert after["value"].to_list() == before["value"].to_list()


def test_a_name_that_is_not_found_lists_those_there_are_and_a_map_of_names_helps(folders, tmp_path):
    organs = tmp_path / "organs"
    for i in range(4):
        for name, label in {"Leber": 1, "kidney_left": 2, "kidney_right": 3}.items():
            save(organs / f"case {i} é" / f"{name}.nii.gz", (phantom(i) == label).astype(np.uint8))
    summary, table = run(organs, folders[1], tmp_path / "a.parquet")
    reason = of(table, "case 0 é", target="liver", metric="dsc")["reason"].item()
    assert reason == "the prediction has nothing called liver (it has: Leber, kidney_left, kidney_right)"
    assert any("--prediction-labels can say which is it" in w for w in summary.warnings)
    (tmp_path / "names.yaml").write_text("liver: Leber\n")
    names = read_label_map(tmp_path / "names.yaml")
    _, table = run(organs, folders[1], tmp_path / "b.parquet", prediction_labels=names)
    assert set(of(table, "case 0 é", metric="dsc")["value"]) == {1.0}


def test_labels_taken_by_their_numbers_are_said_to_be(folders):
    (folders[1] / "dataset.json").unlink()
    summary, _ = run(*folders)
    assert any("the reference's labels have no names and are taken by their numbers" in w for w in summary.warnings)
    declare(folders[0])
    summary, table = run(*folders)
    assert any("is taken for theirs" in w for w in summary.warnings) and set(table["target"]) == set(LABELS)


def test_somebodys_file_is_not_overwritten_and_a_replaced_table_is_said(folders, tmp_path):
    (tmp_path / "patients.csv").write_text("case\n1\n")
    with pytest.raises(VesaliusError, match="is there already and no table of this command's"):
        run(*folders, tmp_path / "patients.csv")
    assert (tmp_path / "patients.csv").read_text() == "case\n1\n"
    run(*folders, model="a")
    summary, table = run(*folders, model="b")
    assert summary.warnings[0].endswith("held a too; another --out would have kept both")
    assert set(table["model"]) == {"b"}


def test_a_misspelt_target_of_the_tolerance_is_said_before_scoring(folders):
    with pytest.raises(VesaliusError, match=r"--tolerance names livr — structures are: kidney_left"):
        run(*folders, settings=Settings(("nsd",), {"livr": 3, "default": 2}))
    with pytest.raises(VesaliusError, match="says nothing of kidney_left, kidney_right — add them, or default=2"):
        run(*folders, settings=Settings(("nsd",), {"liver": 3}))


def test_organs_by_name_against_labels_without_names_is_an_error_that_says_how(folders, tmp_path):
    (folders[1] / "dataset.json").unlink()
    for i in range(4):
        save(tmp_path / "organs" / f"case {i} é" / "liver.nii.gz", (phantom(i) == 1).astype(np.uint8))
        save(tmp_path / "organs" / f"case {i} é" / "spleen.nii.gz", (phantom(i) == 2).astype(np.uint8))
    summary, table = run(tmp_path / "organs", folders[1], tmp_path / "x.parquet")
    assert summary.reasons == {"labels": 4} and "--labels" in table["reason"][0]


def test_labels_without_names_have_a_row_in_every_case(folders):
    (folders[1] / "dataset.json").unlink()
    save(folders[1] / "case 1 é.nii.gz", phantom(1) * 0)
    save(folders[0] / "case 1 é.nii.gz", phantom(1) * 0)
    _, table = run(*folders)
    assert set(table["target"]) == {"label_1", "label_2", "label_3"} and table.height == 4 * 3 * 3
    assert set(of(table, "case 1 é")["status"]) == {"both_empty"}


def test_two_files_that_claim_one_case_are_a_failure_that_names_both(folders):
    save(folders[0] / "case 1 é.nii", phantom(1))
    summary, table = run(*folders)
    assert summary.reasons == {"duplicate": 1}
    assert "case 1 é.nii and case 1 é.nii.gz" in of(table, "case 1 é")["reason"][0]


def test_several_models_are_one_table_and_unmatched_cases_are_named(folders, tmp_path):
    models = tmp_path / "models"
    shutil.copytree(folders[0], models / "a")
    shutil.copytree(folders[0], models / "b")
    (models / "b" / "case 3 é.nii.gz").rename(models / "b" / "case 33.nii.gz")
    summary, table = run(models, folders[1], models=True)
    assert sorted(set(table["model"])) == ["a", "b"] and summary.pairs == 8
    assert summary.unmatched_predictions == {"b": ["case 33"]} and summary.unmatched_references == {"b": ["case 3 é"]}
    pairs = pl.read_csv(tmp_path / "scores.cases.csv")
    assert pairs.filter(pl.col("outcome") == "unmatched")["case"].to_list() == ["case 33"]


def test_a_folder_of_models_is_recognised_where_the_switch_was_forgotten(folders, tmp_path):
    shutil.copytree(folders[0], tmp_path / "models" / "a")
    with pytest.raises(VesaliusError, match="its folders look like models: add --models"):
        run(tmp_path / "models", folders[1])


def test_a_pattern_pairs_files_that_nobody_renamed(folders):
    for i in range(4):
        (folders[0] / f"case {i} é.nii.gz").rename(folders[0] / f"seg_case {i} é_run7.nii.gz")
    summary, _ = run(*folders, pattern="seg_{case}_run7")
    assert summary.scored == 4
    with pytest.raises(VesaliusError, match="no prediction matches a reference"):
        run(*folders)


def test_lesions_are_listed_one_by_one(folders, tmp_path):
    pairings = scoring.plan(*folders)
    settings = Settings(("instance_f1", "instance_recall"), size_bins=(0.1,))
    cases = scoring.jobs(pairings, Case("", "", None, None, settings=settings, lesions=True), folders[1])
    out = tmp_path / "s.csv"
    scoring.run(pairings, cases, out, benchmark="b", lesions=tmp_path / "lesions.csv", workers=1)
    table = pl.read_csv(tmp_path / "lesions.csv")
    assert table.height == 4 * 3 * 2 and table["matched"].null_count() == 0
    assert "instance_recall:0-0.1ml" in scoring.read_table(out)["metric"].to_list()


def test_settings_and_versions_stand_in_the_file(folders):
    run(*folders)
    facts = json.loads(pl.read_parquet_metadata(folders[0].parent / "scores.parquet")["vesalius"])
    assert facts["settings"]["tolerance"] == 2.0 and facts["provenance"]["versions"]["numba"]


def test_the_command_says_how_many_and_exits_with_it(folders):
    (folders[0] / "case 1 é.nii.gz").write_bytes(b"")
    out = folders[0].parent / "scores.csv"
    command = [VESALIUS, "bench", "score", *folders, "--out", out, "--workers", "1", "--metrics", "dsc"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].endswith("scored 3 of 4; 1 failed (1 unreadable), each a row with its reason")
    assert "case 1 é: failed: unreadable:" in done.stderr
    summary = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True).stdout)
    assert (summary["scored"], summary["done_now"]) == (3, 0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere", "references"], "nowhere: there is no such folder"),
        (["predictions", "references", "--metrics", "dice"], "no metric is called dice — known are: dsc"),
        (["predictions", "references", "--tolerance", "two"], "--tolerance two holds what is no number"),
        (["predictions", "references", "--out", "s.xlsx"], ".xlsx is no table format"),
        (["predictions", "empty"], "empty: no masks in it"),
        (["predictions", "references", "--pattern", "x"], "{case}"),
        ([], "give PREDICTIONS and REFERENCES"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(folders, arguments, says):
    (folders[0].parent / "empty").mkdir()
    done = subprocess.run(
        [VESALIUS, "bench", "score", *arguments], capture_output=True, text=True, cwd=folders[0].parent
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: ") and says in done.stderr


def test_killed_in_the_middle_and_started_again_gives_the_same_table_and_scores_nothing_twice(tmp_path):
    for i in range(200):
        reference = phantom(i).repeat(3, 0).repeat(3, 1).repeat(3, 2)
        save(tmp_path / "references" / f"c{i:03}.nii", reference)
        save(tmp_path / "predictions" / f"c{i:03}.nii", np.roll(reference, 2, 0))
    declare(tmp_path / "references")
    command = [VESALIUS, "bench", "score", "predictions", "references", "--workers", "2", "--out"]
    subprocess.run([*command, "whole.parquet"], cwd=tmp_path, check=True, capture_output=True)
    driver = subprocess.Popen([*command, "killed.parquet"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    state, stop = tmp_path / "killed.parquet.run", time.monotonic() + 60
    while not state.exists() or _done(state) < 20:
        assert time.monotonic() < stop and driver.poll() is None
        time.sleep(0.01)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    before = _done(state)
    assert 20 <= before < 200 and not (tmp_path / "killed.parquet").exists()
    done = subprocess.run(
        [*command, "killed.parquet", "--json"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert json.loads(done.stdout)["done_now"] == 200 - before
    whole, resumed = (pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("whole", "killed"))
    assert whole.equals(resumed)


def _done(state):
    import sqlite3

    try:
        connection = sqlite3.connect(f"file:{state}?mode=ro", uri=True, timeout=0.01)
        return connection.execute("SELECT count(*) FROM units").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
