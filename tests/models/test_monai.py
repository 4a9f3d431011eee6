"""MONAI Bundles as models: laid out as the model zoo lays them out, answered on the image's own grid."""

import json
import shutil
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import polars as pl
import pytest

from vesalius.bench.challenge import run_challenge
from vesalius.errors import VesaliusError
from vesalius.media.volume import Volume, read_labels, read_volume, write_volume
from vesalius.models.protocol import open_model
from vesalius.records import Message, Part, Question

torch = pytest.importorskip("torch")
monai = pytest.importorskip("monai")

UNET = {
    "_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8], "strides": [2],
    "num_res_units": 1, "norm": "batch",
}  # fmt: skip
POINTWISE = {"_target_": "torch.nn.Conv3d", "in_channels": 1, "out_channels": 2, "kernel_size": 1}
SOFTMAX = {"_target_": "Activationsd", "keys": "pred", "softmax": True}
INVERT = {
    "_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image",
    "nearest_interp": False, "to_tensor": True,
}  # fmt: skip
ARGMAX = {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}
SAVE = {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir", "output_ext": "@output_ext"}


def inference(network: dict, post: list[dict], keys: str = "image") -> dict:
    """As the zoo's spleen_ct_segmentation has it: what needs ignite, data or a folder is there and never touched."""
    return {
        "imports": ["$import glob", "$import os"],
        "bundle_root": ".",
        "output_dir": "$@bundle_root + '/eval'",
        "output_ext": ".nii.gz",
        "dataset_dir": "/nowhere/Task09_Spleen",
        "datalist": "$list(sorted(glob.glob(@dataset_dir + '/imagesTs/*.nii.gz')))",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": network,
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": keys, "reader": "ITKReader"},
                {"_target_": "EnsureChannelFirstd", "keys": keys},
                {"_target_": "Orientationd", "keys": keys, "axcodes": "RAS"},
                {"_target_": "Spacingd", "keys": keys, "pixdim": [1.5, 1.5, 2.0], "mode": "bilinear"},
                {"_target_": "ScaleIntensityRanged", "keys": keys, "a_min": -57, "a_max": 164, "b_min": 0, "b_max": 1,
                 "clip": True},
                {"_target_": "EnsureTyped", "keys": keys},
            ],
        },
        "dataset": {"_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]", "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 4},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [32, 32, 32], "sw_batch_size": 2, "overlap": 0.25},
        "postprocessing": {"_target_": "Compose", "transforms": post},
        "handlers": [{"_target_": "StatsHandler", "iteration_log": False}],
        "evaluator": {"_target_": "SupervisedEvaluator", "network": "@network", "inferer": "@inferer"},
        "checkpointloader": {
            "_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/model.pt'",
            "load_dict": {"model": "@network"},
        },
        "initialize": ["$monai.utils.set_determinism(seed=123)", "$@checkpointloader(@evaluator)"],
        "run": ["$@evaluator.run()"],
    }  # fmt: skip


def metadata(channels: dict[str, str], inputs: int = 1) -> dict:
    image = {"type": "image", "num_channels": inputs, "spatial_shape": [32, 32, 32], "channel_def": {"0": "image"}}
    pred = {"type": "image", "num_channels": len(channels), "spatial_shape": [32, 32, 32], "channel_def": channels}
    data = {"inputs": {"image": image}, "outputs": {"pred": pred}}
    return {"name": "Bright things", "version": "0.2.0", "monai_version": "1.4.0", "network_data_format": data}


def brighter(middle: float = 0.5, gain: float = 20.0):
    """A network that finds what is brighter than the middle of its window."""
    network = torch.nn.Conv3d(1, 2, 1)
    with torch.no_grad():
        network.weight[:, 0, 0, 0, 0] = torch.tensor([-gain, gain])
        network.bias[:] = torch.tensor([gain * middle, -gain * middle])
    return network


@pytest.fixture
def make(tmp_path):
    """Writes a bundle and opens it."""
    opened = []

    def build(
        network=POINTWISE, post=(SOFTMAX, INVERT, ARGMAX, SAVE), channels=None, weights=None, change=None, meta=None,
        url="{}", suffix=".json",
    ):  # fmt: skip
        root = tmp_path / "bright"
        shutil.rmtree(root, ignore_errors=True)
        (root / "configs").mkdir(parents=True)
        (root / "models").mkdir()
        config = inference(network, list(post))
        if change:
            change(config)
        (root / "configs" / f"inference{suffix}").write_text(json.dumps(config))  # JSON is YAML
        meta = meta or metadata(channels or {"0": "background", "1": "spleen"})
        (root / "configs" / "metadata.json").write_text(json.dumps(meta))
        torch.save((weights or brighter()).state_dict(), root / "models" / "model.pt")
        opened.append(open_model("bright=monai:" + url.format(root), keep=str(tmp_path / "kept"), device="cpu"))
        return opened[-1]

    yield build
    for model in opened:
        model.close()


def oblique(spacing, degrees=(20, -10, 15)) -> np.ndarray:
    turn = np.eye(3)
    for axis, degree in enumerate(np.deg2rad(degrees)):
        i, j = [k for k in range(3) if k != axis]
        one = np.eye(3)
        one[i, i] = one[j, j] = np.cos(degree)
        one[i, j], one[j, i] = -np.sin(degree), np.sin(degree)
        turn = turn @ one
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(spacing)
    affine[:3, 3] = (-40, 25, 110)
    return affine


GRIDS = {
    "RAS, isotropic": np.diag([1.5, 1.5, 2.0, 1.0]),
    "LPS, anisotropic": np.diag([-0.9, -0.9, 5.0, 1.0]),
    "PIR, permuted": np.array([[0, 0, 2.0, 5], [-1.2, 0, 0, 7], [0, -1.4, 0, 9], [0, 0, 0, 1.0]]),
    "oblique, anisotropic": oblique((0.8, 1.1, 3.0)),
    "oblique, left-handed": oblique((-1.1, 0.9, 2.5)),
}


def ball(path: Path, affine=GRIDS["RAS, isotropic"], shape=(40, 36, 24), middle=(18, 16, 11), radius=14.0):
    """A bright ball of `radius` mm off the middle of an image; returns where it is."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1) - middle
    inside = np.linalg.norm(index @ affine[:3, :3].T, axis=-1) < radius
    data = np.where(inside, 160, -50).astype(np.int16)
    write_volume(path, Volume(data, affine))
    return inside


def ask(model, *paths: Path):
    parts = [Part.of("volume", path) for path in paths]
    (answer,) = model.answer([Question("case-1", (Message("user", (*parts, Part.of_text("Segment."))),), type="mask")])
    assert answer.id == "case-1"
    return answer


def dice(a, b) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("grid", GRIDS)
def test_a_mask_has_exactly_the_images_grid_and_lies_where_the_structure_is(make, tmp_path, grid):
    sitk = pytest.importorskip("SimpleITK")
    inside = ball(tmp_path / "ct.nii.gz", GRIDS[grid])
    answer = ask(make(), tmp_path / "ct.nii.gz")
    assert answer.status == "answered", answer.reason
    (part,) = answer.message.parts
    assert part.type == "mask" and part.labels == {1: "spleen"} and answer.seconds > 0
    mask, image = nib.load(part.path), nib.load(tmp_path / "ct.nii.gz")
    assert mask.shape == image.shape and np.array_equal(mask.affine, image.affine)
    ours, theirs = sitk.ReadImage(part.path), sitk.ReadImage(str(tmp_path / "ct.nii.gz"))
    assert ours.GetSize() == theirs.GetSize() and ours.GetOrigin() == theirs.GetOrigin()
    assert ours.GetDirection() == theirs.GetDirection() and ours.GetSpacing() == theirs.GetSpacing()
    assert dice(np.asarray(mask.dataobj) == 1, inside) > 0.93


def test_a_real_unet_answers_and_its_bundle_says_what_it_is(make, tmp_path):
    torch.manual_seed(0)
    network = monai.networks.nets.UNet(**{k: v for k, v in UNET.items() if k != "_target_"})
    model = make(UNET, weights=network)
    ball(tmp_path / "ct.nii.gz")
    assert "Bright things 0.2.0: spleen; UNet, 1,927 parameters, on cpu" in model.check()
    answer = ask(model, tmp_path / "ct.nii.gz")
    assert answer.status == "answered"
    assert set(np.unique(read_labels(answer.message.parts[0].path).data)) <= {0, 1}


def test_nothing_is_written_into_the_bundle_and_its_data_set_is_never_looked_for(make, tmp_path):
    model = make()
    before = sorted(p.name for p in model.bundle.root.rglob("*"))
    ball(tmp_path / "ct.nii.gz")
    ask(model, tmp_path / "ct.nii.gz")
    assert sorted(p.name for p in model.bundle.root.rglob("*")) == before


def test_where_a_bundle_does_not_invert_scores_are_brought_back_and_not_labels(make, tmp_path):
    fine = np.diag([0.5, 0.5, 0.5, 1.0])
    inside = ball(tmp_path / "ct.nii.gz", fine, (44, 44, 44), (21, 22, 20), 8.0)
    labels_first = (SOFTMAX, ARGMAX, INVERT | {"nearest_interp": True})
    found = {}
    for name, post in {"added": (SOFTMAX, ARGMAX), "labels": labels_first}.items():
        answer = ask(make(post=post, weights=brighter(gain=2)), tmp_path / "ct.nii.gz")
        found[name] = dice(read_labels(answer.message.parts[0].path).data == 1, inside)
    assert found["added"] > 0.95 and found["added"] > found["labels"] + 0.02, found


def test_a_bundle_without_postprocessing_gives_the_channel_with_the_highest_score(make, tmp_path):
    inside = ball(tmp_path / "ct.nii.gz")
    answer = ask(make(change=lambda config: config.pop("postprocessing")), tmp_path / "ct.nii.gz")
    assert answer.message.parts[0].labels == {1: "spleen"}
    assert dice(read_labels(answer.message.parts[0].path).data == 1, inside) > 0.93


def test_yaml_a_zip_with_a_folder_in_it_and_torchscript_are_bundles_too(make, tmp_path):
    ball(tmp_path / "ct.nii.gz")
    model = make(suffix=".yaml")
    expected = read_labels(ask(model, tmp_path / "ct.nii.gz").message.parts[0].path).data.copy()
    root = model.bundle.root
    torch.jit.script(brighter()).save(str(root / "models" / "model.ts"))
    (root / "models" / "model.pt").unlink()
    config = json.loads((root / "configs" / "inference.yaml").read_text())
    del config["checkpointloader"], config["network_def"]
    (root / "configs" / "inference.yaml").write_text(json.dumps(config))
    with zipfile.ZipFile(tmp_path / "bright.zip", "w") as archive:
        for file in root.rglob("*"):
            archive.write(file, f"bright_v0.2.0/{file.relative_to(root)}")
    zipped = open_model(f"monai:{tmp_path / 'bright.zip'}?device=cpu")
    assert "Conv3d" in zipped.check()
    assert np.array_equal(read_labels(ask(zipped, tmp_path / "ct.nii.gz").message.parts[0].path).data, expected)
    where = Path(zipped.keep)
    zipped.close()
    assert not where.exists()


def test_nrrd_and_a_dicom_series_go_in_and_masks_lie_on_their_grids(make, tmp_path, shared_data):
    model = make()
    inside = ball(tmp_path / "ct.nrrd", GRIDS["oblique, anisotropic"])
    mask = read_labels(ask(model, tmp_path / "ct.nrrd").message.parts[0].path)
    assert dice(mask.data == 1, inside) > 0.93
    series = read_volume(shared_data / "volumes" / "totalsegmentator_dicom" / "ct_series")
    small = make(change=lambda config: config["preprocessing"]["transforms"][3].update(pixdim=[6, 6, 6]))
    answer = ask(small, shared_data / "volumes" / "totalsegmentator_dicom" / "ct_series")
    mask = read_labels(answer.message.parts[0].path)
    assert mask.shape == series.shape and np.allclose(mask.affine, series.affine, atol=1e-3)


def _nan(path):
    data = np.zeros((20, 20, 20), np.float32)
    data[3, 4, 5] = np.nan
    write_volume(path, Volume(data, np.eye(4)))


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (_nan, "1 of its voxels are no numbers"),
        (lambda path: ball(path, shape=(40, 36, 1)), "has one slice"),
        (lambda path: nib.save(nib.Nifti1Image(np.zeros((9, 9, 9, 4), np.int16), np.eye(4)), path), "4 dimensions"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: None, "no such file"),
    ],
    ids=["nan", "one slice", "4D", "empty", "missing"],
)
def test_a_volume_that_cannot_be_answered_fails_with_its_reason_and_the_next_is_answered(make, tmp_path, write, words):
    model = make()
    write(tmp_path / "bad.nii.gz")
    answer = ask(model, tmp_path / "bad.nii.gz")
    assert answer.status == "failed" and answer.message is None and words in answer.reason
    ball(tmp_path / "good.nii.gz")
    assert ask(model, tmp_path / "good.nii.gz").status == "answered"


def test_several_channels_are_given_together_or_the_answer_says_how_many_are_needed(make, tmp_path):
    network = torch.nn.Conv3d(2, 2, 1)
    with torch.no_grad():
        network.weight[:, :, 0, 0, 0] = torch.tensor([[-20.0, 0.0], [20.0, 0.0]])
        network.bias[:] = torch.tensor([10.0, -10.0])

    def listed(config):  # a list of files becomes the channels, as in brats_mri_segmentation
        del config["preprocessing"]["transforms"][1]

    meta = metadata({"0": "background", "1": "tumour"}, inputs=2)
    model = make(POINTWISE | {"in_channels": 2}, weights=network, meta=meta, change=listed)
    inside = ball(tmp_path / "t1.nii.gz")
    ball(tmp_path / "t2.nii.gz", radius=5)
    answer = ask(model, tmp_path / "t1.nii.gz", tmp_path / "t2.nii.gz")
    assert answer.status == "answered", answer.reason
    assert dice(read_labels(answer.message.parts[0].path).data == 1, inside) > 0.93
    alone = ask(model, tmp_path / "t1.nii.gz")
    assert alone.status == "failed" and "the bundle takes 2 (image, channel 1)" in alone.reason
    ball(tmp_path / "other.nii.gz", shape=(40, 36, 20))
    assert "another grid than the first channel" in ask(model, tmp_path / "t1.nii.gz", tmp_path / "other.nii.gz").reason


def _sigmoid(*post):
    return ({"_target_": "Activationsd", "keys": "pred", "sigmoid": True}, INVERT,
            {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5}, *post)  # fmt: skip


def test_masks_of_channels_become_labels_unless_they_overlap(make, tmp_path):
    inside = ball(tmp_path / "ct.nii.gz")
    model = make(post=_sigmoid(), channels={"0": "dark", "1": "bright"})
    answer = ask(model, tmp_path / "ct.nii.gz")
    assert answer.message.parts[0].labels == {1: "dark", 2: "bright"}
    labels = read_labels(answer.message.parts[0].path).data
    assert dice(labels == 2, inside) > 0.93 and (labels[~inside] == 1).mean() > 0.95
    same = torch.nn.Conv3d(1, 2, 1)
    torch.nn.init.constant_(same.weight, 20.0)
    torch.nn.init.constant_(same.bias, -10.0)
    both = ask(make(post=_sigmoid(), channels={"0": "whole", "1": "core"}, weights=same), tmp_path / "ct.nii.gz")
    assert both.status == "failed" and "overlap" in both.reason


def test_ids_that_the_metadata_does_not_name_are_named_by_labels_or_the_answer_fails(make, tmp_path):
    ball(tmp_path / "ct.nii.gz")
    ids = {"_target_": "Lambdad", "keys": "pred", "func": "$lambda x: torch.where(x[[1]] > 0, 4, 0)"}
    channels = {"0": "core", "1": "whole"}
    unnamed = ask(make(post=_sigmoid(ids), channels=channels), tmp_path / "ct.nii.gz")
    assert unnamed.status == "failed" and "labels=FILE" in unnamed.reason
    (tmp_path / "labels.yaml").write_text("whole: 4\n")
    named = make(post=_sigmoid(ids), channels=channels, url="{}?labels=" + str(tmp_path / "labels.yaml"))
    answer = ask(named, tmp_path / "ct.nii.gz")
    assert answer.status == "answered" and answer.message.parts[0].labels == {4: "whole"}
    meta = metadata({"0": "background", "1": "spleen"})
    del meta["network_data_format"]["outputs"]["pred"]["channel_def"]
    with pytest.raises(VesaliusError, match="names no channels"):
        make(meta=meta).check()


def _break(name):
    def broken(root: Path):
        config, meta, weights = root / "configs" / "inference.json", root / "configs" / "metadata.json", root / "models"
        given = json.loads(config.read_text())
        match name:
            case "no metadata":
                meta.unlink()
            case "metadata no JSON":
                meta.write_text("{")
            case "no format":
                meta.write_text("{}")
            case "2D":
                data = metadata({"1": "x"})
                data["network_data_format"]["inputs"]["image"]["spatial_shape"] = [64, 64]
                meta.write_text(json.dumps(data))
            case "no config":
                config.unlink()
            case "config no JSON":
                config.write_text("{")
            case "no weights":
                (weights / "model.pt").unlink()
            case "weights of another":
                torch.save(torch.nn.Linear(2, 2).state_dict(), weights / "model.pt")
            case "weights that are code":
                torch.save(brighter(), weights / "model.pt")
            case "unknown class":
                config.write_text(json.dumps(given | {"network_def": {"_target_": "NoSuchNet"}}))
            case "download":
                code = "$monai.apps.utils.download_url('http://example.org/net.pt', @bundle_root + '/net.pt')"
                config.write_text(json.dumps(given | {"network_def": code}))
            case "no inferer":
                del given["inferer"]
                config.write_text(json.dumps(given))

    return broken


@pytest.mark.parametrize(
    ("name", "file", "words"),
    [
        ("no metadata", "metadata.json", "cannot be read"),
        ("metadata no JSON", "metadata.json", "is no JSON"),
        ("no format", "metadata.json", "network_data_format"),
        ("2D", "metadata.json", "images of 2 dimensions"),
        ("no config", "bright", "has no configs/inference.json"),
        ("config no JSON", "inference.json", "cannot be made"),
        ("no weights", "bright", "model.pt"),
        ("weights of another", "model.pt", "weights cannot be loaded"),
        ("weights that are code", "model.pt", "tensors alone"),
        ("unknown class", "inference.json", "NoSuchNet"),
        ("download", "inference.json", "may not use the network"),
        ("no inferer", "inference.json", "has no inferer"),
    ],
)
def test_a_bad_bundle_is_one_clear_error_with_file_and_remedy(make, name, file, words):
    root = make().bundle.root
    _break(name)(root)
    with pytest.raises(VesaliusError) as caught:
        open_model(f"monai:{root}?device=cpu").check()
    assert words in str(caught.value) and file in caught.value.file and caught.value.remedy
    assert "\n" not in str(caught.value)


def test_there_is_no_bundle_or_no_zip(tmp_path):
    with pytest.raises(VesaliusError, match="there is no such bundle"):
        open_model(f"monai:{tmp_path / 'nothing'}")
    (tmp_path / "x.zip").write_bytes(b"PK but not really")
    with pytest.raises(VesaliusError, match=r"no \.zip"):
        open_model(f"monai:{tmp_path / 'x.zip'}")


def test_a_bundles_own_scripts_are_found_and_those_of_another_never(make, tmp_path):
    ball(tmp_path / "ct.nii.gz")

    def own(config):
        config["network_def"] = {"_target_": "scripts.net.Net"}

    for value in (1, 2):
        model = make(change=own)
        scripts = model.bundle.root / "scripts"
        scripts.mkdir()
        (scripts / "__init__.py").touch()
        (scripts / "net.py").write_text(
            f"import torch\nVALUE = {value}\nclass Net(torch.nn.Conv3d):\n"
            f"    def __init__(self):\n        super().__init__(1, 2, 1)\n        self.value = {value}\n"
        )
        root = scripts.parent
        moved = root.rename(root.with_name(f"bundle_{value}"))
        again = open_model(f"monai:{moved}?device=cpu")
        assert again.opened.network.value == value
        assert ask(again, tmp_path / "ct.nii.gz").status == "answered"


def test_the_identity_changes_with_weights_configuration_and_label_map_and_not_with_the_device(make, tmp_path):
    model = make()
    before = model.identity()
    assert open_model(f"monai:{model.bundle.root}?device=cuda:3").identity() == before
    torch.save(brighter(0.4).state_dict(), model.bundle.root / "models" / "model.pt")
    after = open_model(f"monai:{model.bundle.root}").identity()
    (tmp_path / "labels.yaml").write_text("spleen: 1\n")
    named = open_model(f"monai:{model.bundle.root}?labels={tmp_path / 'labels.yaml'}").identity()
    assert len({json.dumps(one) for one in (before, after, named)}) == 3


def test_in_a_challenge_a_bundles_names_meet_the_references_whatever_their_ids_and_words(make, tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    inside = ball(tmp_path / "images" / "a_0000.nii.gz", GRIDS["oblique, anisotropic"])
    reference = np.where(inside, 7, 0).astype(np.uint8)
    write_volume(tmp_path / "labels" / "a.nii.gz", Volume(reference, GRIDS["oblique, anisotropic"]))
    _nan(tmp_path / "images" / "b_0000.nii.gz")
    write_volume(tmp_path / "labels" / "b.nii.gz", Volume(np.full((20, 20, 20), 7, np.uint8), np.eye(4)))
    (tmp_path / "challenge.yaml").write_text(
        "name: veins\nimages: images\nlabels: labels\nstructures: {postcava: 7}\nmetrics: [dsc]\n"
    )
    root = make(channels={"0": "background", "1": "inferior_vena_cava"}).bundle.root
    url = f"veins=monai:{root}?device=cpu"
    summary = run_challenge(tmp_path / "challenge.yaml", [url], tmp_path / "run", workers=1)
    assert summary.statuses == {"veins": {"answered": 1, "failed": 1}}
    scores = pl.read_parquet(summary.table).filter(metric="dsc").sort("case")
    assert scores["target"].to_list() == ["postcava", "postcava"]
    assert scores["value"][0] > 0.93 and scores["value"][1] == 0
    assert run_challenge(tmp_path / "challenge.yaml", [url], tmp_path / "run", workers=1).asked_now == 0


def test_a_question_without_a_volume_fails(make):
    (answer,) = make().answer([Question("q", (Message("user", (Part.of_text("Which organ?"),)),))])
    assert answer.status == "failed" and "0 volumes" in answer.reason
