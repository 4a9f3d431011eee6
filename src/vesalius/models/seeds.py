"""`seeds:`, region growing from clicks: the promptable model without weights, the baseline of those with weights.

    seeds:      seeds:?spread=3

The first click grows a region: voxels as bright as its surroundings, joined to it without a narrow neck, in the
smallest window that holds them. Later ones correct it: where it is even around them they grow, too, unless that is out
of all proportion; elsewhere they add a small ball. Negative clicks take what they would grow and what is nearer to them
than to a positive one. Knows brightness and distances in mm, and nothing of anatomy or of units, so CT and MR are
alike. Works in RAS order, so that the order of a file's axes cannot matter. Leaves what a prompt is to `promptable.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from vesalius.errors import VesaliusError
from vesalius.media.distance import depth as depth_in
from vesalius.media.grid import same_axes
from vesalius.media.volume import Volume
from vesalius.models.growing import (
    Box,
    blocks,
    bounds,
    brightness,
    core,
    finer,
    grow,
    nearer,
    odd,
    parts,
    to_the_edge,
)
from vesalius.models.promptable import Prompt, Segmentation, check_prompts

WINDOWS = (24.0, 64.0, 160.0)  # mm from the click to the window's faces; the next one where a region touches a face
VOXELS = 36  # along each half window at most: what bounds time and memory, whatever the volume's size
CONTEST = 72  # voxels along each axis at most where positive and negative regions are told apart
STRICTER = ((1.0, 1.0), (0.7, 1.6), (0.5, 2.4))  # times spread and neck, one after the other while a region leaks
PROPORTION = (1.5, 0.1)  # of what there is, a later click may add at most; the second where it is otherwise bright
BALL = (5.0, 15.0)  # mm, radius of a later click's ball at least and at most
_RAS = np.eye(4)


class Options(BaseModel):
    """How regions grow."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    spread: float = Field(2.5, gt=0, description="How unlike a click's surroundings may be, in standard deviations.")
    neck: float = Field(0.35, ge=0, lt=1, description="Necks up to this share of a region's half width are cut.")
    widest: float = Field(6.0, ge=0, description="Half width in mm from which on no neck is cut.")


def promptable(target: str, name: str, options: Options) -> "Seeds":
    """The model; `target` stays empty.

    Raises:
        VesaliusError: there is a target.
    """
    if target:
        raise VesaliusError(f"seeds:{target} — it has no weights to open", remedy="write seeds:", code="model")
    return Seeds(name, options)


def connect(target: str, name: str, options: Options) -> NoReturn:
    """Refuses: it answers clicks, and no questions."""
    remedy = "open it with vesalius view IMAGE --model seeds:, or in the click protocol"
    raise VesaliusError("seeds: answers clicks, not questions", remedy=remedy, code="model")


class Seeds:
    """The classical promptable model; see the module."""

    organs: tuple[str, ...] = ()
    experts: tuple[str, ...] = ()

    def __init__(self, name: str, options: Options):
        self.name = name
        self.options = options

    def open(self, volume: Volume) -> "SeedSession":
        """Begins with a volume.

        Raises:
            VesaliusError: code `content`: one slice, NaN or infinity, the same value everywhere.
        """
        return SeedSession(volume, self.options)


@dataclass(frozen=True, eq=False)
class _Region:
    """What one click grew.

    Attributes:
        mask: bool, in `box` (RAS voxels).
        cut: whether it reached the widest window's face.
        middle, spread: brightness inside.
    """

    box: Box
    mask: np.ndarray
    cut: bool
    middle: float
    spread: float


class SeedSession:
    """One volume; a click's region is kept, so that each further click costs its own growth alone."""

    def __init__(self, volume: Volume, options: Options):
        self.volume = volume
        self.options = options
        data, self._affine = same_axes(np.asarray(volume.data), volume.affine, Volume(volume.data, _RAS))
        # Rounded, so that the noise of an affine never decides about a step.
        self._spacing = np.round(np.linalg.norm(self._affine[:3, :3], axis=0), 4)
        self._data = data
        self._regions: dict[tuple[int, ...], _Region] = {}
        low, high = data.min(), data.max()
        problem = None
        if min(data.shape) < 2:
            problem = f"a volume of shape {volume.shape}: no region can grow in it"
        elif not (np.isfinite(low) and np.isfinite(high)):
            problem = "it holds NaN or infinity"
        elif low == high:
            problem = f"every voxel is {low:g}"
        if problem:
            raise VesaliusError(problem, file=volume.path, remedy="give a volume with a patient in it", code="content")

    def segment(
        self,
        prompts: Sequence[Prompt],
        *,
        organ: str | None = None,
        expert: str | None = None,
        start: np.ndarray | None = None,
        probability: bool = False,
    ) -> Segmentation:
        """The structure that the prompts mean; see `promptable.Session`.

        A mask to go on from is kept wherever no click's region reaches. Growing knows no probability: where one is
        asked for, it is 0 or 255.
        """
        if organ or expert:
            what = f"organ {organ}" if organ else f"expert {expert}"
            raise VesaliusError(f"seeds: knows no {what}", remedy="click on the structure", code="prompt")
        check_prompts(prompts, self.volume)
        boxes = [self._box(p) for p in prompts if p.is_box]
        clicks = [(self._index(p.at), p.positive) for p in prompts if not p.is_box]
        seeds = [at for at, positive in clicks if positive]
        if boxes and not seeds:
            seeds = [self._typical(box) for box in boxes]
        if not seeds and start is None:
            remedy = "click on the structure, draw a box around it, or give a mask to go on from"
            raise VesaliusError("nothing to go by: no positive click", remedy=remedy, code="prompt")
        # In the memory order of the file, so that turning the mask back costs no walk across it.
        mask = self._ras(start) if start is not None else np.zeros_like(self._data, bool)
        notes = self._add(mask, seeds, boxes)
        self._take(mask, seeds, [at for at, positive in clicks if not positive])
        for at, positive in clicks:
            mask[at] = positive
        back, _ = same_axes(mask, self._affine, self.volume)
        back = np.asfortranarray(back)
        likelihood = back.view(np.uint8) * np.uint8(255) if probability else None
        return Segmentation(back, notes=tuple(notes), probability=likelihood)

    def _add(self, mask: np.ndarray, seeds: list[tuple[int, ...]], boxes: list[Box]) -> list[str]:
        """Adds the regions of positive clicks, inside the boxes where there are any; what is odd about them."""
        notes = []
        start = mask.any()
        allowed = None
        if boxes:
            allowed = np.zeros(self._data.shape, bool)
            for box in boxes:
                allowed[box] = True
        for at in seeds:
            first = self._region(seeds[0], rescue=True)
            where, found = first.box, first.mask
            if at != seeds[0] or start:
                where, found = self._correction(at, mask, first, self._local(seeds[0])[1])
            found = found if allowed is None else found & allowed[where]
            mask[where] |= found
            if at == seeds[0] and (first.cut or np.count_nonzero(found) < 8):
                mm = "({:.0f}, {:.0f}, {:.0f}) mm".format(*(self._affine[:3, :3] @ at + self._affine[:3, 3]))
                wide = f"{2 * WINDOWS[-1]:.0f} mm"
                cut = f"the region of the click at {mm} reaches the face of its window of {wide}: it is cut there"
                notes.append(cut if first.cut else f"hardly anything around the click at {mm} is like it")
        return notes

    def _correction(self, at: tuple[int, ...], mask: np.ndarray, first: _Region, even: float) -> tuple[Box, np.ndarray]:
        """What a click adds to a mask that there is: its region, or, where that says little, a ball."""
        if self._local(at)[1] <= 2 * even:
            region = self._region(at)
            more = np.count_nonzero(region.mask & ~mask[region.box])
            if not region.cut and more <= PROPORTION[self._unlike(at, first)] * np.count_nonzero(mask):
                return region.box, region.mask
        return self._ball(at, mask, first)

    def _local(self, at: tuple[int, ...]) -> tuple[float, float]:
        """Middle and spread of brightness close around a voxel, with which a region's growth begins in any window."""
        from scipy import ndimage

        steps = self._steps(WINDOWS[0])
        box = tuple(slice(max(0, int(i - 5 * s)), int(i + 5 * s + 1)) for i, s in zip(at, steps, strict=True))
        here = tuple(int((i - b.start) // s) for i, b, s in zip(at, box, steps, strict=True))
        image = ndimage.gaussian_filter(blocks(self._data[box].astype(np.float32, order="C"), steps, np.mean), 0.8)
        return brightness(image[tuple(slice(max(0, i - 2), i + 3) for i in here)], 0.0)

    def _steps(self, half: float) -> np.ndarray:
        """Voxels a block along each axis in a window."""
        return odd(max(half / VOXELS, float(self._spacing.min())) / self._spacing)

    def _ball(self, at: tuple[int, ...], mask: np.ndarray, first: _Region) -> tuple[Box, np.ndarray]:
        """A ball around a later click that reaches into the mask, without what is brighter or darker than both."""
        from scipy import ndimage

        reach = np.ceil(BALL[1] / self._spacing).astype(int)
        box = tuple(slice(max(0, int(i - r)), int(i + r + 1)) for i, r in zip(at, reach, strict=True))
        here = tuple(i - s.start for i, s in zip(at, box, strict=True))
        offsets = np.indices(mask[box].shape).T - here
        away = np.linalg.norm(offsets * self._spacing, axis=-1).T
        inside = mask[box]
        gap = float(away[inside].min()) if inside.any() else BALL[1]
        image = ndimage.gaussian_filter(self._data[box].astype(np.float32, order="C"), 1.0 / self._spacing)
        low, high = sorted((float(image[here]), first.middle))
        around = image[away <= BALL[0]]
        slack = self.options.spread * max(first.spread, brightness(around, 0.0)[1])
        ball = (away <= min(max(BALL[0], gap + 3.0), BALL[1])) & (image >= low - slack) & (image <= high + slack)
        ball[here] = True
        joined = parts(ball)
        return box, joined == joined[here]  # type: ignore[return-value]

    def _take(self, mask: np.ndarray, seeds: list[tuple[int, ...]], against: list[tuple[int, ...]]) -> None:
        """Takes from the mask what negative clicks grow and what lies nearer to them than to a positive click."""
        if not against or not mask.any():
            return
        taken = np.zeros_like(mask)
        for at in against:
            where, found = self._against(at, mask, seeds)
            taken[where] |= found
        taken &= mask
        if not taken.any():
            return
        box = bounds(mask, against + seeds)
        mask[box] &= ~(taken[box] & self._nearer(mask[box], box, seeds, against))

    def _against(self, at: tuple[int, ...], mask: np.ndarray, seeds: list[tuple[int, ...]]) -> tuple[Box, np.ndarray]:
        """What a negative click claims: its region, without what is rather as bright as the structure; or a ball."""
        from scipy import ndimage

        region = self._region(at)
        if not seeds:
            return region.box, region.mask
        first, (middle, spread) = self._region(seeds[0], rescue=True), self._local(at)
        if spread > 2 * self._local(seeds[0])[1]:
            return self._ball(at, mask, first)
        if not self._unlike(at, first):
            return region.box, region.mask
        image = ndimage.gaussian_filter(self._data[region.box].astype(np.float32, order="C"), 0.8)
        own = region.mask & (np.abs(image - middle) < np.abs(image - first.middle))
        return (region.box, own) if np.count_nonzero(own) >= 27 else self._ball(at, mask, first)

    def _unlike(self, at: tuple[int, ...], first: _Region) -> bool:
        """Whether it is otherwise bright around a voxel than in the first region."""
        middle, spread = self._local(at)
        return abs(middle - first.middle) > self.options.spread * max(spread, first.spread)

    def _nearer(self, mask: np.ndarray, box: Box, seeds, against) -> np.ndarray:
        """Where paths inside the mask from negative clicks are shorter than from positive ones; shape of the box.

        Paths are long where brightness changes and near the surface, so that two organs grown into one part at the
        neck between them.
        """
        from scipy import ndimage

        size = np.array(mask.shape)
        mm = max(self._spacing.min(), (size * self._spacing).max() / CONTEST)
        steps = odd(mm / self._spacing)
        inside = blocks(mask, steps, np.max)
        spacing = self._spacing * steps
        smooth = ndimage.gaussian_filter(blocks(self._data[box].astype(np.float32, order="C"), steps, np.mean), 0.7)
        change = np.linalg.norm([np.asarray(ndimage.sobel(smooth, axis)) for axis in range(3)], axis=0)
        change /= max(float(np.median(change[inside])), 1e-6) if inside.any() else 1.0
        depth = depth_in(np.pad(inside, 1), spacing)[1:-1, 1:-1, 1:-1]
        first = np.array([s.start for s in box])

        def coarse(points) -> list[tuple[int, ...]]:
            return [tuple((np.array(p) - first) // steps) for p in points]

        foe = coarse(against)
        own = coarse(seeds) or core(depth, foe, spacing)
        cost = np.where(inside, 1 + change + 2 * depth.max() / np.maximum(depth, spacing.min()), np.inf)
        for at in own + foe:
            if not np.isfinite(cost[at]):
                cost[at] = 1.0
        won = nearer(cost, spacing, own, foe)
        for axis, step in enumerate(steps):
            won = np.repeat(won, step, axis=axis)
        return won[tuple(slice(0, n) for n in mask.shape)]

    def _region(self, at: tuple[int, ...], rescue: bool = False) -> _Region:
        if (*at, rescue) not in self._regions:
            self._regions[*at, rescue] = self._grown(at, rescue)
        return self._regions[*at, rescue]

    def _grown(self, at: tuple[int, ...], rescue: bool) -> _Region:
        """The region of a click, in the smallest window whose faces it does not touch; `rescue` tries leaks again."""
        for half in WINDOWS:
            steps = self._steps(half)
            # Whole blocks of voxels, the click in the middle of its own.
            reach = np.maximum(1, np.round(half / (self._spacing * steps))).astype(int)
            first = np.array(at) - steps * reach - steps // 2
            end = first + steps * (2 * reach + 1)
            low, high = np.maximum(first, 0), np.minimum(end, self._data.shape)
            box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
            outer = [(int(a), int(b)) for a, b in zip(low - first, end - high, strict=True)]
            window = np.pad(self._data[box].astype(np.float32, order="C"), outer, mode="edge")
            coarse = blocks(window, steps, np.mean)
            known = tuple(
                slice(a // int(s), n - b // int(s)) for (a, b), s, n in zip(outer, steps, coarse.shape, strict=True)
            )
            middle = tuple(int(r - k.start) for r, k in zip(reach, known, strict=True))
            tries = STRICTER if rescue and half == WINDOWS[-1] else STRICTER[:1]
            for strict in tries:
                region, *inside = grow(
                    coarse[known],
                    middle,
                    self._spacing * steps,
                    self._local(at),
                    self.options.spread * strict[0],
                    self.options.neck * strict[1],
                    self.options.widest * strict[1],
                )
                last = half == WINDOWS[-1] and strict is tries[-1]
                if last or not _touches(region, outer):
                    region = to_the_edge(region, coarse[known], inside[1])
                cut = _touches(region, outer)
                if not cut:
                    break
            if not cut:
                break
        found = np.zeros(coarse.shape, bool)
        found[known] = region
        # What was found, or the click alone, a block wider since its surface is made smooth, inside the volume.
        held = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in bounds(found, [reach]))
        fine = finer(found[held], steps)
        begin = first + steps * [s.start for s in held]
        low, high = np.maximum(begin, 0), np.minimum(begin + fine.shape, self._data.shape)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        fine = fine[tuple(slice(int(a), int(b)) for a, b in zip(low - begin, high - begin, strict=True))]
        return _Region(box, fine, cut, *inside)  # type: ignore[arg-type]

    def _ras(self, mask: np.ndarray) -> np.ndarray:
        if mask.shape != self.volume.shape:
            problem = f"a start mask of shape {mask.shape} for a volume of {self.volume.shape}"
            raise VesaliusError(problem, remedy="give it on the volume's grid", code="geometry")
        return np.array(same_axes(mask.astype(bool), self.volume.affine, Volume(mask, _RAS))[0])

    def _index(self, at) -> tuple[int, ...]:
        """The voxel (RAS order) that holds a point; on a border between two, the one of larger index."""
        index = np.linalg.inv(self._affine) @ [*at, 1.0]
        whole = np.floor(np.round(index[:3], 5) + 0.5).astype(int).clip(0, np.array(self._data.shape) - 1)
        return tuple(int(i) for i in whole)

    def _box(self, prompt: Prompt) -> Box:
        corners = np.array([self._index(prompt.at[:3]), self._index(prompt.at[3:])])
        low, high = corners.min(axis=0), corners.max(axis=0)
        return tuple(slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))  # type: ignore[return-value]

    def _typical(self, box: Box) -> tuple[int, ...]:
        """The voxel near the middle of a box that is as bright as most of the middle."""
        thirds = tuple(slice(s.start + (s.stop - s.start) // 3, s.stop - (s.stop - s.start) // 3) for s in box)
        middle = self._data[thirds].astype(np.float32, order="C")
        unlike = np.abs(middle - np.median(middle)) / max(float(middle.std()), 1e-6)
        centre = [(n - 1) / 2 for n in middle.shape]
        away = sum(((i - c) / max(c, 1)) ** 2 for i, c in zip(np.indices(middle.shape), centre, strict=True))
        best = np.unravel_index(int(np.argmin(unlike + np.round(away, 6))), middle.shape)
        return tuple(int(s.start + i) for s, i in zip(thirds, best, strict=True))


def _touches(region: np.ndarray, outer: Sequence[tuple[int, int]]) -> bool:
    """Whether a region reaches a face of its window; `outer`: voxels of each face that lie outside the volume."""
    return any(
        bool(np.take(region, end, axis).any())
        for axis, faces in enumerate(outer)
        for end, beyond in zip((0, -1), faces, strict=True)
        if not beyond
    )
