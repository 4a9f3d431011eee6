"""Whether a region can be asked about, and where its shape would enclose nothing of the kind.

Knows sizes, overlaps and *decoys*: the same shape moved to where the object is not, for the "no" of "does the contour
outline a polyp?". Leaves drawing to `draw`, and which regions there are to the readers.
"""

from dataclasses import dataclass
from random import Random

import numpy as np

from vesalius.instruct.labelled import Box, Labelled, Region, box_of

LEAST_SIDE = 0.03  # of the image's longer side: smaller regions are hard to see under a line
MOST_BOX = 0.9  # of the image's area: a box around everything says nothing
OTHERS = 0.1  # share of a region that other labels may cover
_TRIES = 150  # places that are tried for a decoy
_FREE = 0.02  # share of a decoy that may lie on the real thing
_FLIPPED = 0.25  # the same of a tree of vessels, which has no empty place and is turned over where it stands
_TREE = 0.3  # such a shape fills less of its box
_ALIKE = 60.0  # grey levels (of 255) between the decoy's ground and the region's
_BLANK = 0.02  # more of a decoy than of the region may lie on black or white: a dark corner would be a giveaway


@dataclass(frozen=True, eq=False)
class Marked:
    """A region in pixels of its image: `mask` is bool (rows, columns), the filled box where there is no mask."""

    box: Box
    mask: np.ndarray


class Unfit(Exception):
    """The region cannot be asked about; says why."""


def marked(region: Region, shape: tuple[int, int]) -> Marked:
    """Box and mask of a region.

    Args:
        region: what the set says.
        shape: (rows, columns) of the image.

    Raises:
        Unfit: the region is empty or lies outside.
        VesaliusError: its mask cannot be read.
    """
    mask = None
    if region.mask is not None:
        mask = region.mask.load()
        if mask.shape != shape:
            mask = _fitted(mask, shape)
        if not mask.any():
            raise Unfit("the mask is empty")
    box = _clipped(region.box, shape) if region.box else box_of(mask) if mask is not None else None
    if box is None:
        raise Unfit("there is neither box nor mask")
    return Marked(box, _filled(box, shape) if mask is None else mask)


def _fitted(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A mask drawn at another resolution of the same picture."""
    from PIL import Image

    rows, columns = mask.shape[:2]
    if abs(columns / rows - shape[1] / shape[0]) > 0.02 * shape[1] / shape[0]:
        raise Unfit(f"the mask has {columns}×{rows} pixels, the image {shape[1]}×{shape[0]}")
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(image.resize(shape[::-1], Image.Resampling.NEAREST)) >= 128


def _clipped(box: Box, shape: tuple[int, int]) -> Box:
    left, upper, right, lower = max(box[0], 0), max(box[1], 0), min(box[2], shape[1]), min(box[3], shape[0])
    if right - left < 1 or lower - upper < 1:
        raise Unfit("the box lies outside the image")
    return left, upper, right, lower


def _filled(box: Box, shape: tuple[int, int]) -> np.ndarray:
    left, upper, right, lower = (round(x) for x in box)
    mask = np.zeros(shape, bool)
    mask[upper : max(lower, upper + 1), left : max(right, left + 1)] = True
    return mask


def check(image: Labelled, number: int, granularity: str, shape: tuple[int, int], one_label: bool = True) -> Marked:
    """The region in pixels, if a question about it has one answer.

    Args:
        image: with all its regions.
        number: of the region.
        granularity: `box`, `mask` or `contour`.
        shape: (rows, columns) of the image.
        one_label: whether objects of other labels within it make it unfit.

    Raises:
        Unfit: too small, too large, or another label lies in it.
    """
    region = image.regions[number]
    ours = marked(region, shape)
    left, upper, right, lower = ours.box
    if min(right - left, lower - upper) < max(4.0, LEAST_SIDE * max(shape)):
        raise Unfit("the region is too small")
    if granularity == "box" and (right - left) * (lower - upper) > MOST_BOX * shape[0] * shape[1]:
        raise Unfit("the box holds all of the image")
    if one_label:
        area = _filled(ours.box, shape) if granularity == "box" else ours.mask
        for other in image.regions:
            if other.label != region.label and _covered(area, other, ours.box, shape) > OTHERS:
                raise Unfit(f"«{other.label}» lies in it")
    return ours


def _covered(area: np.ndarray, other: Region, box: Box, shape: tuple[int, int]) -> float:
    """The share of an area that another region takes."""
    if other.box and not (other.box[0] < box[2] and other.box[2] > box[0] and other.box[1] < box[3]
                          and other.box[3] > box[1]):  # fmt: skip
        return 0.0
    try:
        theirs = marked(other, shape)
    except Unfit:
        return 0.0
    return float((area & theirs.mask).sum()) / max(float(area.sum()), 1.0)


def decoy(image: Labelled, number: int, granularity: str, pixels: np.ndarray, rng: Random) -> Marked:
    """The region's shape where nothing of its label is, on ground that looks most like the region's own.

    Args:
        image: with all its regions.
        number: of the region whose shape is moved.
        granularity: `box`, `mask` or `contour`.
        pixels: the image, uint8 (rows, columns, 3).
        rng: the places that are tried.

    Raises:
        Unfit: there is no such place.
    """
    shape = (pixels.shape[0], pixels.shape[1])
    ours = check(image, number, granularity, shape, one_label=False)
    taken = np.zeros(shape, bool)
    for other in image.regions:
        if other.label == image.regions[number].label:
            taken |= marked(other, shape).mask
    area = _filled(ours.box, shape) if granularity == "box" else ours.mask
    left, upper, right, lower = (int(x) for x in box_of(area))
    stamp = area[upper:lower, left:right]
    grey = pixels.mean(axis=2)
    blank = (grey < 16) | (grey > 250)
    wanted = _look(grey[upper:lower, left:right][stamp])
    most_blank = float(blank[upper:lower, left:right][stamp].mean()) + _BLANK
    best, least = None, _ALIKE
    for _ in range(_TRIES if 2 * stamp.size <= taken.size else 0):  # more than half leaves no place beside it
        x, y = rng.randint(0, shape[1] - stamp.shape[1]), rng.randint(0, shape[0] - stamp.shape[0])
        turned = stamp[:: rng.choice((1, -1)), :: rng.choice((1, -1))]
        place = np.s_[y : y + stamp.shape[0], x : x + stamp.shape[1]]
        if taken[place][turned].mean() > _FREE or blank[place][turned].mean() > most_blank:
            continue
        unlike = float(np.abs(_look(grey[place][turned]) - wanted).sum())
        if unlike < least:
            best, least = _stamped(turned, place, shape), unlike
    if best is None and stamp.mean() < _TREE:
        turns = [area[::-1], area[:, ::-1], area[::-1, ::-1]]
        lying = [(float(taken[turn].mean()), i) for i, turn in enumerate(turns)]
        overlap, i = min(lying)
        best = turns[i] if overlap <= _FLIPPED else None
    if best is None:
        raise Unfit("there is no place for its shape beside it")
    return Marked(box_of(best), best)


def _look(values: np.ndarray) -> np.ndarray:
    return np.array([values.mean(), values.std()])


def _stamped(stamp: np.ndarray, place: tuple[slice, slice], shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[place] = stamp
    return mask
