"""Crops: every layout, balanced by class, the same whenever they are asked for, and those that use will cut."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from vesalius.errors import VesaliusError
from vesalius.media.volume import Volume, read_volume, write_volume
from vesalius.nets.sam3d.crop import Preprocessing, Scan, Window, normalise
from vesalius.train.data import Cases, Crops, Source, augmentation, collate, cut, find, on_lattice, truths

HOW = Preprocessing(size=16, spacing=4.0, lattice=4)


def crops(world: Path, tmp_path: Path, cache: str = "memory", source: Source | None = None, **more) -> Crops:
    return Crops(Cases(find([source or Source(folder=world)]), HOW, cache, tmp_path), 40, 0, least=5, **more)


def as_folders(world: Path, out: Path, combined: bool) -> Path:
    """The same cases as TotalSegmentator has them (a file an organ), or AbdomenAtlas (combined_labels beside)."""
    for file in sorted((world / "labelsTr").glob("*.nii.gz")):
        case = out / file.name.removesuffix(".nii.gz")
        labels = read_volume(file)
        write_volume(case / "ct.nii.gz", read_volume(world / "imagesTr" / f"{case.name}_0000.nii.gz"))
        for label, name in ((1, "ball"), (2, "rod")):
            organ = Volume((labels.data == label).astype(np.uint8), labels.affine)
            write_volume(case / "segmentations" / f"{name}.nii.gz", organ)
        if combined:
            write_volume(case / "combined_labels.nii.gz", labels)
    return out


@pytest.mark.parametrize("layout", ["nnunet", "images and labels", "totalsegmentator", "abdomenatlas"])
def test_every_layout_gives_the_same_crops(layout: str, world: Path, tmp_path: Path) -> None:
    sources = {
        "nnunet": lambda: Source(folder=world),
        "images and labels": lambda: Source(images=world / "imagesTr", labels=world / "labelsTr"),
        "totalsegmentator": lambda: Source(folder=as_folders(world, tmp_path / "ts", False)),
        "abdomenatlas": lambda: Source(folder=as_folders(world, tmp_path / "aa", True)),
    }
    found = crops(world, tmp_path / "x", source=sources[layout]())
    wanted = crops(world, tmp_path / "y")
    assert set(found.classes) == {"ball", "rod"}
    for i in range(6):
        assert torch.equal(found[i]["pixel_values"], wanted[i]["pixel_values"])
        assert torch.equal(found[i]["truth"], wanted[i]["truth"]) and found[i]["target"] == wanted[i]["target"]


def test_classes_come_equally_often_and_cases_all(world: Path, tmp_path: Path) -> None:
    found = crops(world, tmp_path)
    items = [found[i] for i in range(40)]
    assert Counter(item["target"][0] for item in items) == {"ball": 20, "rod": 20}
    assert {item["case"] for item in items} == {f"case{i}" for i in range(4)}


def test_sample_i_is_the_same_in_any_order_and_from_either_cache(world: Path, tmp_path: Path) -> None:
    augment = ("flip", "turn", "intensity")
    one = crops(world, tmp_path / "a", augment=augment, jitter=3)
    two = crops(world, tmp_path / "b", "disk", augment=augment, jitter=3)
    forwards, backwards = [one[i] for i in range(6)], [two[i] for i in reversed(range(6))][::-1]
    for a, b in zip(forwards, backwards, strict=True):
        assert torch.equal(a["pixel_values"], b["pixel_values"]) and torch.equal(a["truth"], b["truth"])
    assert not torch.equal(forwards[0]["pixel_values"], forwards[2]["pixel_values"])
    again = crops(world, tmp_path / "b", "disk", augment=augment, jitter=3)
    assert torch.equal(again[3]["pixel_values"], forwards[3]["pixel_values"])
    assert list((tmp_path / "b" / "cache").glob("*.pt"))


def test_a_training_crop_is_the_crop_that_use_cuts_there(world: Path, tmp_path: Path) -> None:
    cases = Cases(find([Source(folder=world, cases=("case1",))]), HOW, "memory", tmp_path)
    scan = Scan(read_volume(world / "imagesTr" / "case1_0000.nii.gz"), HOW)
    np.testing.assert_allclose(
        normalise(cut(cases[0]["image"], np.array([1, -2, 3]), 16, HOW.beyond)),
        scan.crop(Window((1, -2, 3)))[0, 0].numpy(), atol=1e-4,
    )  # fmt: skip


def test_a_second_run_reads_the_cache_and_not_the_files(world: Path, tmp_path: Path, monkeypatch) -> None:
    Cases(find([Source(folder=world)]), HOW, "disk", tmp_path)
    monkeypatch.setattr("vesalius.train.data.on_lattice", lambda *_: pytest.fail("read again"))
    again = Cases(find([Source(folder=world)]), HOW, "disk", tmp_path)
    assert again[2]["image"].dtype == np.float32 and again[2]["layers"][0].dtype == np.uint16


def test_truth_lies_on_what_is_bright_after_every_augmentation(world: Path, tmp_path: Path) -> None:
    found = crops(world, tmp_path, augment=("flip", "turn", "intensity"), structures=("ball",))
    for i in range(8):
        image, truth = found[i]["pixel_values"][0], found[i]["truth"][0] > 0
        assert image[truth].mean() > image[~truth].mean() + 1


def test_structures_of_a_case_are_found_with_their_boxes(world: Path) -> None:
    (case,) = find([Source(folder=world, cases=("case0",))])
    item = on_lattice(case, HOW)
    layer, ids = item["targets"]["rod"]
    where = np.argwhere(np.isin(item["layers"][layer], ids))
    box, count = item["boxes"]["rod"]
    assert count == len(where) and (box == [where.min(0), where.max(0)]).all()
    assert {name for name, _ in truths(case)} == {"ball", "rod"}


def test_conditions_and_structures_choose_and_wrong_ones_are_said(world: Path) -> None:
    some = find([Source(folder=world, metadata=world / "patients.csv", select="site = B")])
    assert [case.case for case in some] == ["case1", "case3"]
    with pytest.raises(VesaliusError, match="no case fulfils «site = C»"):
        find([Source(folder=world, metadata=world / "patients.csv", select="site = C")])
    with pytest.raises(VesaliusError, match="no structure is called liver — structures are: ball, rod"):
        find([Source(folder=world, structures=("liver",))])
    with pytest.raises(VesaliusError, match="`select` needs `metadata`"):
        find([Source(folder=world, select="site = A")])
    with pytest.raises(VesaliusError, match="a source needs `folder`"):
        find([Source(images=world)])


def test_a_broken_case_is_said_and_left_out_and_only_broken_ones_are_an_error(world: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(world, copy)
    (copy / "imagesTr" / "case2_0000.nii.gz").write_bytes(b"nothing")
    cases = Cases(find([Source(folder=copy)]), HOW, "disk", tmp_path / "x")
    assert len(cases.problems) == 1 and "case2_0000" in cases.problems[0]
    assert all(2 not in numbers for numbers in cases.index.values())
    for file in (copy / "imagesTr").iterdir():
        file.write_bytes(b"nothing")
    with pytest.raises(VesaliusError, match="no case can be read"):
        Cases(find([Source(folder=copy)]), HOW, "disk", tmp_path / "y")


def test_structures_too_small_for_the_lattice_are_said(world: Path, tmp_path: Path) -> None:
    with pytest.raises(VesaliusError, match="no case holds 100000 voxels of ball, rod at 4 mm"):
        Crops(Cases(find([Source(folder=world)]), HOW, "memory", tmp_path), 4, 0, least=100000)
    with pytest.raises(VesaliusError, match="no augmentation is called blur"):
        augmentation(["blur"])


def test_a_batch_is_tensors_and_names(world: Path, tmp_path: Path) -> None:
    found = crops(world, tmp_path)
    batch = collate([found[0], found[1]])
    assert batch["pixel_values"].shape == batch["truth"].shape == (2, 1, 16, 16, 16)
    assert batch["truth"].unique().tolist() == [0, 1] and len(batch["target"]) == 2
    assert json.dumps(batch["seed"].tolist())


def test_crops_around_clicks_lie_where_use_would_put_its_window(world: Path, tmp_path: Path) -> None:
    found = crops(world, tmp_path, around="click", structures=("ball",), augment=())
    scan = Scan(read_volume(world / "imagesTr" / "case0_0000.nii.gz"), HOW)
    wanted = set()
    for at in np.argwhere(dict(truths(found.cases.cases[0]))["ball"]):
        wanted.add(scan.window((at + 0.5) * scan.step).corner)
    corners = {tuple(found._corner(found.cases[0], "ball", np.random.default_rng(i))) for i in range(60)}
    assert corners <= wanted
