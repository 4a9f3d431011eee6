"""Regions: what may be asked, where decoys lie, and that marks can be seen on any ground."""

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from vesalius.errors import VesaliusError
from vesalius.instruct import draw, regions
from vesalius.instruct.labelled import Labelled, MaskFile, Polygons, Region, RunLengths, bright, components


class Array:
    def __init__(self, mask):
        self.mask = mask

    def load(self):
        return self.mask


def of(*found):
    return Labelled(Path("x.png"), "x.png", regions=tuple(found))


def block(shape, top, left, bottom, right):
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


SHAPE = (100, 120)


def test_nested_boxes_have_one_answer_or_none():
    cell = Region("cell", (10, 10, 60, 60))
    nucleus = Region("nucleus", (12, 12, 22, 22))
    image = of(cell, nucleus, Region("cell", (50, 10, 100, 60)))
    assert regions.check(image, 0, "box", SHAPE).box == (10, 10, 60, 60), "4 % of it are nucleus"
    with pytest.raises(regions.Unfit, match="«cell» lies in it"):
        regions.check(image, 1, "box", SHAPE)
    assert regions.check(image, 1, "box", SHAPE, one_label=False)
    half = of(cell, replace(nucleus, box=(10, 10, 60, 40)))
    with pytest.raises(regions.Unfit, match="«nucleus» lies in it"):
        regions.check(half, 0, "box", SHAPE)


def test_masks_that_overlap_or_do_not_fit():
    organ, lesion = Array(block(SHAPE, 10, 10, 60, 60)), Array(block(SHAPE, 20, 20, 50, 50))
    image = of(Region("organ", mask=organ), Region("lesion", mask=lesion))
    with pytest.raises(regions.Unfit, match="lesion"):
        regions.check(image, 0, "contour", SHAPE)
    half_size = of(Region("organ", mask=Array(organ.mask[::2, ::2])))
    assert regions.check(half_size, 0, "mask", SHAPE).mask.shape == SHAPE
    with pytest.raises(regions.Unfit, match="the mask has 50×100 pixels, the image 120×100"):
        regions.check(of(Region("organ", mask=Array(np.ones((100, 50), bool)))), 0, "mask", SHAPE)


@pytest.mark.parametrize(
    ("region", "why"),
    [
        (Region("a", (5, 5, 7, 60)), "too small"), (Region("a", (0, 0, 120, 100)), "holds all"),
        (Region("a", (200, 5, 220, 60)), "outside"), (Region("a", mask=Array(np.zeros(SHAPE, bool))), "empty"),
        (Region("a"), "neither"),
    ],
)  # fmt: skip
def test_regions_that_nobody_could_answer(region, why):
    with pytest.raises(regions.Unfit, match=why):
        regions.check(of(region), 0, "box", SHAPE)


@pytest.mark.parametrize("granularity", ["box", "mask", "contour"])
def test_a_decoy_has_the_shape_and_lies_beside_all_of_its_kind(granularity):
    ours, another = block(SHAPE, 10, 10, 40, 40), block(SHAPE, 50, 60, 90, 100)
    ours[10:20, 10:20] = False
    image = of(Region("polyp", mask=Array(ours)), Region("polyp", mask=Array(another)))
    pixels = np.random.default_rng(0).integers(80, 120, (*SHAPE, 3)).astype(np.uint8)
    pixels[:, 100:] = 0  # the endoscope's frame
    for seed in range(5):
        found = regions.decoy(image, 0, granularity, pixels, Random(seed))
        assert found.mask.sum() == (900 if granularity == "box" else 800)
        assert (found.mask & (ours | another)).sum() <= 0.02 * found.mask.sum()
        assert found.mask[:, 100:].sum() <= 0.02 * found.mask.sum(), "a black corner would be a giveaway"
        again = regions.decoy(image, 0, granularity, pixels, Random(seed))
        assert (again.mask == found.mask).all()


def test_no_place_for_a_decoy_and_a_tree_turned_over():
    grey = np.full((*SHAPE, 3), 90, np.uint8)
    with pytest.raises(regions.Unfit, match="no place"):
        regions.decoy(of(Region("liver", mask=Array(block(SHAPE, 5, 5, 95, 100)))), 0, "mask", grey, Random(0))
    tree = np.zeros(SHAPE, bool)
    for i in range(100):
        tree[i, i : i + 3] = True
    found = regions.decoy(of(Region("vessels", mask=Array(tree))), 0, "mask", grey, Random(0))
    assert found.mask.sum() == tree.sum() and (found.mask & tree).sum() <= 0.25 * tree.sum()


@pytest.mark.parametrize("ground", [0, 128, 255, "cyan", "noise"])
@pytest.mark.parametrize("size", [(30, 24), (400, 300), (3000, 2000)])
@pytest.mark.parametrize("granularity", ["box", "mask", "contour"])
def test_marks_are_seen_on_any_ground(ground, size, granularity):
    width, height = size
    pixels = np.full((height, width, 3), 0 if isinstance(ground, str) else ground, np.uint8)
    if ground == "cyan":
        pixels[:] = draw.MARK
    elif ground == "noise":
        pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)
    mask = block((height, width), height // 4, width // 4, height // 2, width // 2)
    box = (width // 4, height // 4, width // 2, height // 2)
    shown = draw.draw(pixels, granularity, box, mask, 1024)
    plain = draw.draw(pixels, "image", None, None, 1024)
    assert max(shown.shape) <= 1024 and min(shown.shape[:2]) >= 256
    if plain.shape == shown.shape and not (ground == "cyan" and granularity == "mask"):
        changed = (np.abs(shown.astype(int) - plain) > 60).any(axis=2)
        assert changed.sum() > 4 * min(shown.shape[:2]) / 8
    inside = shown[
        int(0.3 * shown.shape[0]) : int(0.4 * shown.shape[0]), int(0.3 * shown.shape[1]) : int(0.4 * shown.shape[1])
    ]
    if granularity != "mask" and ground == 128:
        assert (np.abs(inside.astype(int) - 128) < 3).all(), "lines hide nothing of the region"


def test_a_region_at_the_edge_is_still_marked():
    pixels = np.full((300, 300, 3), 128, np.uint8)
    for granularity in ("box", "contour"):
        shown = draw.draw(pixels, granularity, (0, 0, 300, 150), block((300, 300), 0, 0, 150, 300), 1024)
        marked = (shown == draw.MARK).all(axis=2)
        assert marked[:6].any() and marked[:, :6].any() and marked[:, -6:].any() and marked[140:160].any()


def test_files_hold_pixels_and_nothing_else(tmp_path):
    from PIL.PngImagePlugin import PngInfo

    notes = PngInfo()
    notes.add_text("label", "melanoma")
    image = Image.new("RGB", (40, 30), "grey")
    image.save(tmp_path / "melanoma.png", pnginfo=notes)
    exif = image.getexif()
    exif[270] = "melanoma"
    exif[274] = 6
    image.save(tmp_path / "melanoma.jpg", exif=exif)
    for name in ("melanoma.png", "melanoma.jpg"):
        for lossless in (True, False):
            assert b"melanoma" not in draw.encode(draw.open_image(tmp_path / name), lossless)
    assert draw.open_image(tmp_path / "melanoma.jpg").shape == (40, 30, 3), "turned upright, as viewers do"
    assert draw.open_image(tmp_path / "melanoma.jpg", (40, 30)).shape == (30, 40, 3), "unless boxes say otherwise"


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "I;16", "I", "CMYK", "F"])
def test_pictures_of_every_kind(tmp_path, mode):
    values = np.linspace(0, 60000, 64 * 48).reshape(48, 64)
    if mode in ("I;16", "I", "F"):
        image = Image.fromarray(values.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]))
    else:
        image = Image.fromarray((values / 256).astype(np.uint8)).convert("RGB").convert(mode)
    image.save(tmp_path / "x.tif")
    pixels = draw.open_image(tmp_path / "x.tif")
    assert pixels.shape == (48, 64, 3) and pixels.dtype == np.uint8 and np.ptp(pixels) > 150


def test_no_picture_is_one_line(tmp_path):
    (tmp_path / "a.png").write_text("no")
    with pytest.raises(VesaliusError, match=r"^a.png: the image cannot be read \(this is no picture\)"):
        draw.open_image(tmp_path / "a.png")


def test_masks_whatever_they_came_as(tmp_path):
    wanted = np.zeros((30, 40), bool)
    wanted[5:20, 10:30] = True
    wanted[8:12, 15:18] = False
    packed = RunLengths.unpacked("a9??00000000DE5;KE5;KE5;70000000000000000000000W9", (40, 30))  # by pycocotools 2.0
    assert (packed.load() == wanted).all()
    with pytest.raises(VesaliusError, match="run lengths of 30 pixels for 4×4"):
        RunLengths((10, 20), (4, 4)).load()
    square = Polygons(((4.0, 4.0, 16.0, 4.0, 16.0, 16.0, 4.0, 16.0),), (40, 30)).load()
    assert square.shape == (30, 40) and square[10, 10] and not square[20, 10] and 144 <= square.sum() <= 169
    colours = np.zeros((30, 40, 3), np.uint8)
    colours[:10] = (255, 0, 0)
    colours[20:] = (0, 0, 255)
    Image.fromarray(colours).save(tmp_path / "c.png")
    assert MaskFile(tmp_path / "c.png", "#0000ff").load().sum() == 400
    parts = np.zeros((30, 40), np.uint8)
    parts[2:5, 2:5] = parts[20:25, 20:25] = 1
    Image.fromarray(parts).save(tmp_path / "p.png")
    assert components(bright(parts))[1] == 2
    assert MaskFile(tmp_path / "p.png", None, 2).load().sum() == 25
    assert MaskFile(tmp_path / "p.png").load().sum() == 34
    assert not bright(np.zeros((3, 3), np.uint8)).any()
