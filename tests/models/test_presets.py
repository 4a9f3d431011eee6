"""nnU-Net and TotalSegmentator by name: their command lines, folders and label maps, with their programs played.

The played programs keep the contract that the real ones have: arguments, names of files, what they write and where.
nnU-Net itself is tried by side_by_side/nnunet_through_the_door.py.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from vesalius import sandbox
from vesalius.bench.challenge import run_challenge
from vesalius.errors import VesaliusError
from vesalius.media.volume import Volume, read_header, read_labels, read_volume, write_volume
from vesalius.models.presets.totalsegmentator import classes
from vesalius.models.protocol import open_model
from vesalius.records import Message, Part, Question
from vesalius.sandbox import Limits

LIMITS = {"seconds": 20, "memory_mb": 512, "disk_mb": 64, "processes": 32}
AFFINE = np.array([[-1.5, 0, 0, 30], [0, -1.5, 0, 40], [0, 0, 4.0, -50], [0, 0, 0, 1]])

NNUNET = """
import argparse, array, gzip, json, pathlib, shutil, sys
parser = argparse.ArgumentParser()
for name in ("-i", "-o", "-m"):
    parser.add_argument(name, required=True, type=pathlib.Path)
parser.add_argument("-f", nargs="+", default=["0", "1", "2", "3", "4"])
parser.add_argument("-chk", default="checkpoint_final.pth")
parser.add_argument("-step_size", type=float, default=0.5)
parser.add_argument("-device", choices=["cpu", "cuda", "mps"], default="cuda")
parser.add_argument("-npp", type=int, default=3)
parser.add_argument("-nps", type=int, default=3)
parser.add_argument("--disable_tta", action="store_true")
parser.add_argument("--disable_progress_bar", action="store_true")
args = parser.parse_args()
print(" ".join(sys.argv[1:]))
described = json.loads((args.m / "dataset.json").read_text())
(args.m / "plans.json").read_text()
for fold in args.f:
    (args.m / f"fold_{fold}" / args.chk).read_bytes()
end = described["file_ending"]
count = len(described["channel_names"])
for first in sorted(args.i.glob(f"*_0000{end}")):
    case = first.name[: -len(f"_0000{end}")]
    for n in range(count):
        (args.i / f"{case}_{n:04}{end}").read_bytes()
    if end != ".nii.gz":
        shutil.copyfile(first, args.o / f"{case}{end}")
        continue
    data = gzip.open(first).read()
    voxels = array.array("h", data[352:])
    header = bytearray(data[:352])
    header[70:74] = 2, 0, 8, 0
    with gzip.open(args.o / f"{case}.nii.gz", "wb") as mask:
        mask.write(bytes(header) + bytes(1 if v > 100 else 2 if v < -500 else 0 for v in voxels))
for name in ("dataset.json", "plans.json"):
    shutil.copyfile(args.m / name, args.o / name)
(args.o / "predict_from_raw_data_args.json").write_text("{}")
"""

TOTALSEGMENTATOR = """
import argparse, json, os, pathlib, shutil, sys
parser = argparse.ArgumentParser()
parser.add_argument("-i", required=True, type=pathlib.Path)
parser.add_argument("-o", required=True, type=pathlib.Path)
parser.add_argument("-ml", "--ml", action="store_true")
parser.add_argument("-ns", "--nr_thr_saving", type=int, default=6)
parser.add_argument("-f", "--fast", action="store_true")
parser.add_argument("-ff", "--fastest", action="store_true")
parser.add_argument("-ta", "--task", default="total")
parser.add_argument("-d", "--device", choices=["gpu", "cpu", "mps"], default="gpu")
args = parser.parse_args()
print(" ".join(sys.argv[1:]))
settings = pathlib.Path(os.environ["TOTALSEG_HOME_DIR"]) / "config.json"
said = json.loads(settings.read_text())
print(json.dumps(said))
said["prediction_counter"] += 1
settings.write_text(json.dumps(said))
assert said["send_usage_stats"] is False and args.ml and args.i.is_file()
assert any(pathlib.Path(os.environ["TOTALSEG_WEIGHTS_PATH"]).iterdir())
recorded = pathlib.Path(__file__).parent.parent / f"recorded_{args.task}.nii.gz"
shutil.copyfile(recorded, args.o)
"""


def _refusal() -> str | None:
    try:
        sandbox.check(Limits(5, 128, 16, 32))
    except VesaliusError as error:
        return str(error)
    return None


REFUSAL = _refusal()
limited = pytest.mark.skipif(REFUSAL is not None, reason=f"programs cannot be limited here: {REFUSAL}")


def environment(folder: Path, tool: str, script: str) -> Path:
    """A venv's bones: bin/python that leads out of it, and a command that begins with its path."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    program = folder / "bin" / tool
    program.write_text(f"#!{folder}/bin/python -I{script}")
    program.chmod(0o755)
    return folder


@pytest.fixture
def home(tmp_path):
    """A folder that nobody can read too: root runs programs as nobody."""
    for path in (tmp_path, *tmp_path.parents[:1]):
        path.chmod(0o755)
    return tmp_path


@pytest.fixture
def nnunet(home):
    """Opens a played nnU-Net."""
    env = environment(home / "env", "nnUNetv2_predict_from_modelfolder", NNUNET)
    opened = []

    def build(
        labels=None, channels=("CT",), ending=".nii.gz", folds=("0",), where="Dataset1_X/A__nnUNetPlans__2d", url="",
        **more,
    ):  # fmt: skip
        model = home / where
        for fold in folds:
            (model / f"fold_{fold}").mkdir(parents=True, exist_ok=True)
            (model / f"fold_{fold}" / "checkpoint_final.pth").write_bytes(b"weights")
        (model / "plans.json").write_text("{}")
        described = {
            "channel_names": {str(n): name for n, name in enumerate(channels)},
            "labels": labels or {"background": 0, "bright": 1, "air": 2},
            "numTraining": 1,
            "file_ending": ending,
        }
        (model / "dataset.json").write_text(json.dumps(described | more))
        keep = str(home / "kept")
        opened.append(open_model(f"nnu=command:nnunet?model={model}&env={env}{url}", **LIMITS, keep=keep))
        return opened[-1]

    yield build
    for model in opened:
        model.close()


def image(path: Path, shape=(12, 10, 6), value=200) -> Path:
    data = np.zeros(shape, np.int16)
    data[2:6, 3:7, 1:4] = value
    data[8:10] = -1000
    write_volume(path, Volume(data, AFFINE))
    return path


def asked(*paths: Path, id="p-1") -> Question:
    parts = [Part.of("volume", path) for path in paths]
    return Question(id, (Message("user", (*parts, Part.of_text("Segment."))),), type="mask")


def ask(model, *paths: Path):
    (answer,) = model.answer([asked(*paths)])
    return answer


@limited
def test_a_trained_nnunet_is_called_as_its_documentation_says_and_answers_with_its_own_names(nnunet, home):
    model = nnunet(folds=("0", "3"), url="&tta=false")
    said = model.check()
    assert "A__nnUNetPlans__2d, folds 0, 3, of CT: bright, air" in said and "bubblewrap" in said
    answer = ask(model, image(home / "ct_0000.nii.gz"))
    assert answer.status == "answered", answer.reason
    (part,) = answer.message.parts
    assert part.labels == {1: "bright", 2: "air"}
    mask, given = read_labels(part.path), read_volume(home / "ct_0000.nii.gz")
    assert np.array_equal(mask.data == 1, given.data > 100) and np.array_equal(mask.data == 2, given.data < -500)
    assert np.array_equal(mask.affine, given.affine)
    line = model.outcomes["p-1"].stdout.strip()
    assert line == (
        f"-i /input -o /output -m {home}/Dataset1_X/A__nnUNetPlans__2d -f 0 3 -chk checkpoint_final.pth "
        "-step_size 0.5 -device cpu -npp 1 -nps 1 --disable_progress_bar --disable_tta"
    )


@limited
def test_a_batch_is_one_call_of_nnunet(nnunet, home):
    model = nnunet(url="&batch=8")
    paths = [image(home / f"{name}_0000.nii.gz", (12, 10, 5 + n)) for n, name in enumerate("abc")]
    answers = list(model.answer(asked(path, id=path.name) for path in paths))
    assert [answer.status for answer in answers] == ["answered"] * 3
    assert len({id(outcome) for outcome in model.outcomes.values()}) == 1
    for answer, path in zip(answers, paths, strict=True):
        assert read_header(answer.message.parts[0].path).shape == read_header(path).shape


@limited
def test_dicom_nrrd_and_plain_nifti_are_converted_before(nnunet, home, shared_data):
    model = nnunet()
    for name in ("ct.nrrd", "ct.nii", "ct.mha"):
        answer = ask(model, image(home / name))
        mask = read_labels(answer.message.parts[0].path)
        assert np.array_equal(mask.data == 1, read_volume(home / name).data > 100)
        assert np.allclose(mask.affine, AFFINE)
    series = shared_data / "volumes" / "totalsegmentator_dicom" / "ct_series"
    mask = read_labels(ask(model, series).message.parts[0].path)
    assert mask.shape == read_volume(series).shape and 0 < (mask.data == 1).mean() < 1


@limited
def test_a_model_that_takes_nrrd_gets_it_and_its_mask_comes_back_as_nifti(nnunet, home):
    answer = ask(nnunet(ending=".nrrd"), image(home / "ct.nii.gz", value=1))
    assert answer.status == "failed" and "voxels are negative" in answer.reason  # the played model copies its image
    plain = np.zeros((8, 8, 4), np.int16)
    plain[2:5, 2:5] = 2
    write_volume(home / "flat.nii.gz", Volume(plain, AFFINE))
    answer = ask(nnunet(ending=".nrrd"), home / "flat.nii.gz")
    mask = read_labels(answer.message.parts[0].path)
    assert np.array_equal(mask.data, plain) and np.allclose(mask.affine, AFFINE)


@limited
def test_a_model_of_several_channels_wants_all_of_them(nnunet, home):
    model = nnunet(channels=("T1", "T2", "FLAIR"))
    first = image(home / "x_0000.nii.gz")
    alone = ask(model, first)
    assert alone.status == "failed" and "1 volumes are asked about" in alone.reason
    assert "3 (T1, T2, FLAIR)" in alone.reason
    assert ask(model, first, image(home / "x_0001.nii.gz"), image(home / "x_0002.nii.gz")).status == "answered"


@limited
def test_what_goes_wrong_is_a_failed_answer_with_the_words_of_nnunet(nnunet, home):
    model = nnunet()
    (home / "Dataset1_X/A__nnUNetPlans__2d/plans.json").unlink()
    failed = ask(model, image(home / "ct.nii.gz"))
    assert failed.status == "failed" and "exit code 1" in failed.reason and "plans.json" in failed.reason
    (home / "broken.nii.gz").write_bytes(b"")
    assert "the file is empty" in ask(model, home / "broken.nii.gz").reason


@limited
def test_a_mask_of_another_shape_is_not_taken(home):
    script = """
import pathlib, shutil
shutil.copyfile(pathlib.Path(__file__).parent.parent / "recorded.nii.gz", "/output/0.nii.gz")
"""
    env = environment(home / "env", "nnUNetv2_predict_from_modelfolder", script)
    write_volume(env / "recorded.nii.gz", Volume(np.ones((4, 4, 4), np.uint8), AFFINE))
    model = home / "A__P__2d"
    (model / "fold_all").mkdir(parents=True)
    (model / "fold_all" / "checkpoint_final.pth").touch()
    (model / "plans.json").write_text("{}")
    (model / "dataset.json").write_text('{"labels": {"background": 0, "x": 1}, "channel_names": {"0": "CT"}}')
    opened = open_model(f"command:nnunet?model={model}&env={env / 'bin'}", **LIMITS)
    answer = ask(opened, image(home / "ct.nii.gz"))
    assert answer.status == "failed" and "its shape is (4, 4, 4), the image's (12, 10, 6)" in answer.reason
    opened.close()


def test_a_model_of_regions_is_refused_unless_its_ids_are_the_challenges(nnunet):
    regions = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}
    with pytest.raises(VesaliusError, match=r"model of regions.*ids=challenge"):
        nnunet(labels=regions, regions_class_order=[1, 2, 3])
    model = nnunet(labels=regions, regions_class_order=[1, 2, 3], url="&ids=challenge")
    assert model.runner.names(Path("mask.nii.gz")) is None


def test_wrong_folders_of_models_are_said_with_what_to_do(nnunet, home):
    nnunet()
    found = nnunet()
    again = open_model(f"command:nnunet?model={home / 'Dataset1_X'}&env={home / 'env'}")
    assert again.runner.model == found.runner.model
    nnunet(where="Dataset1_X/B__nnUNetPlans__2d")
    with pytest.raises(VesaliusError, match="holds 2 trained models — name one: A__nnUNetPlans__2d, B__"):
        open_model(f"command:nnunet?model={home / 'Dataset1_X'}&env={home / 'env'}")
    with pytest.raises(VesaliusError, match="second stage of a cascade"):
        nnunet(where="Dataset2_X/A__nnUNetPlans__3d_cascade_fullres")
    with pytest.raises(VesaliusError, match=r"checkpoint_best.pth: is not there"):
        nnunet(url="&checkpoint=checkpoint_best.pth")
    with pytest.raises(VesaliusError, match="names no model"):
        open_model("command:nnunet")
    (home / "empty").mkdir()
    with pytest.raises(VesaliusError, match="holds no trained model"):
        open_model(f"command:nnunet?model={home / 'empty'}")
    with pytest.raises(VesaliusError, match="there is no nnUNetv2_predict_from_modelfolder in it"):
        open_model(f"command:nnunet?model={found.runner.model}&env={home / 'empty'}")
    with pytest.raises(VesaliusError, match=r"takes \.png files"):
        nnunet(ending=".png")


def test_a_framework_that_is_not_installed_is_said(nnunet, monkeypatch):
    model = nnunet().runner.model
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(VesaliusError, match="is not installed — name its environment"):
        open_model(f"command:nnunet?model={model}")


def test_the_identity_is_weights_and_environment_and_not_where_they_lie(nnunet, home):
    before = nnunet().identity()
    (home / "env" / "bin" / "__pycache__").mkdir()
    (home / "env" / "bin" / "__pycache__" / "x.pyc").write_bytes(b"compiled")
    assert nnunet().identity() == before
    moved = nnunet(where="elsewhere/A__nnUNetPlans__2d").identity()
    assert moved["model"] == before["model"] and moved == before
    assert nnunet(url="&tta=false").identity() != before
    (home / "env" / "bin" / "more.py").write_text("changed = True")
    changed = nnunet().identity()
    assert changed["env"] != before["env"]
    model = nnunet()
    (model.runner.model / "fold_0" / "checkpoint_final.pth").write_bytes(b"other weights")
    assert open_model(f"command:nnunet?model={model.runner.model}&env={home / 'env'}").identity() != changed


@pytest.fixture
def totalsegmentator(home, shared_data):
    """Opens a played TotalSegmentator that gives what the real one once gave."""
    env = environment(home / "env", "TotalSegmentator", TOTALSEGMENTATOR)
    volumes = shared_data / "volumes"
    recorded = {
        "total": volumes / "totalsegmentator_ct_sm" / "model_total_1.5mm.nii.gz",
        "total_mr": volumes / "totalsegmentator_mr_sm" / "model_total_mr.nii.gz",
        "body": volumes / "totalsegmentator_ct_sm" / "model_nnunet_T300_body.nii.gz",
    }
    for task, file in recorded.items():
        shutil.copyfile(file, env / f"recorded_{task}.nii.gz")
    weights = home / "totalseg" / "nnunet" / "results"
    for number in (291, 292, 293, 294, 295, 297):
        (weights / f"Dataset{number}_X").mkdir(parents=True)

    def build(options: str = "", **more):
        url = f"ts=command:totalsegmentator?env={env}&weights={weights}{options}"
        return open_model(url, **LIMITS | {"keep": str(home / "kept")} | more)

    build.weights = weights
    return build


@limited
@pytest.mark.parametrize(
    ("task", "image_of", "count"),
    [("total", "totalsegmentator_ct_sm", 117), ("total_mr", "totalsegmentator_mr_sm", 50),
     ("body", "totalsegmentator_ct_sm", 2)],
)  # fmt: skip
def test_totalsegmentators_recorded_output_becomes_a_mask_with_its_names(
    totalsegmentator, shared_data, home, task, image_of, count
):
    (totalsegmentator.weights.parent.parent / "config.json").write_text(
        '{"totalseg_id": "x", "send_usage_stats": true, "prediction_counter": 7, "license_number": "aca_0123"}'
    )
    model = totalsegmentator(f"&task={task}&fast=true" if task == "total" else f"&task={task}")
    answer = ask(model, shared_data / "volumes" / image_of / "image.nii.gz")
    assert answer.status == "answered", answer.reason
    (part,) = answer.message.parts
    assert len(part.labels) == count and part.labels == classes()[task]
    recorded = read_labels(home / "env" / f"recorded_{task}.nii.gz")
    assert np.array_equal(read_labels(part.path).data, recorded.data)
    line, settings = model.outcomes["p-1"].stdout.strip().splitlines()
    fast = " --fast" if task == "total" else ""
    assert line == (
        f"-i /input/0_0000.nii.gz -o /output/mask.nii.gz --ml --task {task} --device cpu --nr_thr_saving 1{fast}"
    )
    assert json.loads(settings)["license_number"] == "aca_0123"  # a licence goes along; statistics never go out
    model.close()


def test_the_published_names_are_those_of_every_recorded_output(shared_data):
    volumes = shared_data / "volumes"
    found = {file: read_header(file).names for file in sorted(volumes.glob("totalsegmentator_*/model_total*.nii.gz"))}
    assert len(found) >= 5
    for file, names in found.items():
        assert names == classes()["total_mr" if "_mr" in file.name else "total"], file
    for task, names in classes().items():
        assert names and all(isinstance(i, int) and name == name.strip() for i, name in names.items()), task
        assert len(set(names.values())) == len(names), task


def test_the_preset_says_that_it_was_checked_against_recorded_output_only(totalsegmentator):
    model = totalsegmentator("&fast=true")
    if REFUSAL is None:
        assert "task total (117 classes); this preset was checked against recorded output only" in model.check()
    with pytest.raises(VesaliusError, match="lacks Dataset298 — download them first"):
        totalsegmentator("&fastest=true").check()
    with pytest.raises(VesaliusError, match="one case a call"):
        totalsegmentator("&batch=4")
    with pytest.raises(VesaliusError, match="no such folder of weights"):
        open_model("command:totalsegmentator?weights=/nowhere/at/all")


@limited
def test_in_a_challenge_its_names_meet_those_of_touchstone(totalsegmentator, shared_data, home):
    """gall_bladder is gallbladder, postcava is inferior_vena_cava: by name, whatever the ids."""
    source = shared_data / "volumes" / "totalsegmentator_ct_sm"
    mask = read_labels(source / "model_total_1.5mm.nii.gz")
    theirs = {name: i for i, name in mask.names.items()}
    touchstone = ["aorta", "gall_bladder", "kidney_left", "kidney_right", "liver", "postcava", "spleen", "stomach"]
    called = {"gall_bladder": "gallbladder", "postcava": "inferior_vena_cava"}
    reference = np.zeros(mask.shape, np.uint8)
    for number, name in enumerate(touchstone, 1):
        reference[mask.data == theirs[called.get(name, name)]] = number
    place = home / "challenge"
    (place / "images").mkdir(parents=True)
    (place / "labels").mkdir()
    shutil.copyfile(source / "image.nii.gz", place / "images" / "a_0000.nii.gz")
    write_volume(place / "labels" / "a.nii.gz", Volume(reference, mask.affine))
    ids = {name: number for number, name in enumerate(touchstone, 1)}
    (place / "challenge.yaml").write_text(
        f"name: t\nimages: images\nlabels: labels\nstructures: {json.dumps(ids)}\nmetrics: [dsc]\n"
        "limits: {seconds: 20, memory_mb: 512, disk_mb: 64, processes: 32}\n"
    )
    url = f"ts=command:totalsegmentator?env={home / 'env'}&weights={totalsegmentator.weights}"
    summary = run_challenge(place / "challenge.yaml", [url], home / "run", workers=1)
    assert summary.statuses == {"ts": {"answered": 1}}
    scores = pl.read_parquet(summary.table).filter(pl.col("metric") == "dsc")
    present = {name for name in touchstone if (reference == ids[name]).any()}
    assert {"aorta", "postcava"} <= present
    values = dict(scores.filter(pl.col("target").is_in(list(present))).select("target", "value").iter_rows())
    assert values == dict.fromkeys(present, 1.0)
