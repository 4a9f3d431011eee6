"""From the patient to a crop and back: windows of a volume, normalised, and logits on the volume's own grid.

A window is a cube of `size` voxels of `spacing` mm (times a zoom) on a lattice that begins at the volume's edge. Its
axes are the volume's, in the order nearest to right, front, head, so that linear interpolation is a small matrix along
each
axis, both ways: logits return from low resolution to any grid without a cube between, and it is logits that are
interpolated, never labels (TotalSegmentator#283). What was used in training travels with the weights, as
`preprocessor_config.json`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from transformers.feature_extraction_utils import FeatureExtractionMixin

from vesalius.errors import VesaliusError
from vesalius.media.grid import same_axes, spacing_of
from vesalius.media.volume import Volume

RAS = SimpleNamespace(shape=(1, 1, 1), affine=np.eye(4))
SLAB = 1 << 24  # values of logits that are made at once on the way back


class Preprocessing(FeatureExtractionMixin):
    """How crops are cut.

    Args:
        size: voxels along each side.
        spacing: mm, isotropic.
        clip: least and greatest intensity kept (CT: -1000 to 1000 HU in the public training), or None.
        pad: intensity beyond the volume's edge, before normalisation.
        lattice: voxels between places where windows may begin; clicks near each other share an embedding.
    """

    def __init__(
        self,
        size: int = 128,
        spacing: float = 1.5,
        clip: tuple[float, float] | list[float] | None = None,
        pad: float = 0.0,
        lattice: int = 8,
        **more: Any,
    ):
        self.size, self.spacing, self.pad, self.lattice = size, spacing, pad, lattice
        self.clip = None if clip is None else list(clip)
        super().__init__(**more)

    @property
    def beyond(self) -> float:
        """Intensity beyond the volume's edge, clipped."""
        return self.pad if self.clip is None else min(max(self.pad, self.clip[0]), self.clip[1])


@dataclass(frozen=True)
class Window:
    """Where a crop lies: the lattice index of its first voxel, and by how much its voxels are larger than usual."""

    corner: tuple[int, int, int]
    zoom: float = 1.0


class Scan:
    """A volume that windows are cut from.

    Attributes:
        volume: as it came.
        data, affine: the same voxels, axes in the order nearest to RAS (a view).
        step: mm along each of these axes.
        extent: mm along each of these axes.
    """

    def __init__(self, volume: Volume, preprocessing: Preprocessing):
        """Takes a volume.

        Raises:
            VesaliusError: code `shape` (no three dimensions, a single slice), `nan`, or `content` (nothing above zero).
        """
        self.volume, self.how = volume, preprocessing
        _check(volume)
        self.data, self.affine = same_axes(volume.data, volume.affine, RAS)
        self.step = np.array(spacing_of(self.affine))
        self.extent = self.step * self.data.shape

    def mm(self, zoom: float = 1.0) -> float:
        """Side of a window's voxel."""
        return self.how.spacing * zoom

    def along(self, points: np.ndarray) -> np.ndarray:
        """RAS mm -> mm from the volume's first edge along its axes, (n, 3)."""
        back = np.linalg.inv(self.affine)
        return (np.reshape(points, (-1, 3)) @ back[:3, :3].T + back[:3, 3] + 0.5) * self.step

    def window(self, low: np.ndarray, high: np.ndarray | None = None, zoom: float = 1.0) -> Window:
        """A window around a box (mm along the axes), within the volume if it can be; larger where the box needs it."""
        high = low if high is None else high
        side = self.how.size * self.how.spacing
        zoom = max(zoom, float(np.max(high - low)) / (0.85 * side))
        corner = place((low + high) / 2 / self.mm(zoom), np.ceil(self.extent / self.mm(zoom)), self.how)
        return Window(tuple(int(i) for i in corner), zoom)  # type: ignore[arg-type]

    def voxels(self, along: np.ndarray, window: Window) -> np.ndarray:
        """mm along the axes -> voxels of the crop, (n, 3)."""
        return along / self.mm(window.zoom) - 0.5 - np.array(window.corner)

    def affine_of(self, window: Window) -> np.ndarray:
        """Crop index -> RAS mm."""
        turn = self.affine[:3, :3] / self.step
        voxel = self.mm(window.zoom)
        first = (np.array(window.corner) + 0.5) * voxel - self.step / 2
        out = np.eye(4)
        out[:3, :3], out[:3, 3] = turn * voxel, self.affine[:3, 3] + turn @ first
        return out

    def lattice(self) -> tuple[int, ...]:
        """Voxels of the lattice that hold the volume, along each axis."""
        return tuple(int(n) for n in np.ceil(self.extent / self.how.spacing - 1e-6))

    def nearest(self, data: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Labels (axes as `self.data`) on the first `shape` voxels of the lattice, by nearest neighbour."""
        places = [
            np.clip(np.round((np.arange(n) + 0.5) * self.how.spacing / step - 0.5).astype(int), 0, m - 1)
            for n, step, m in zip(shape, self.step, data.shape, strict=True)
        ]
        return data[np.ix_(*places)]

    def cut(
        self,
        window: Window,
        data: np.ndarray | None = None,
        beyond: float | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> np.ndarray:
        """Intensities in a window, float32 (size, size, size) or `shape`, clipped, `pad` beyond the volume.

        `data`, with axes as `self.data`, is cut instead of the volume where it is given: unclipped, `beyond` beyond it.
        """
        out, outside = (self.data, self.how.pad) if data is None else (data, beyond or 0.0)
        wanted = zip(shape or (self.how.size,) * 3, window.corner, self.step, strict=True)
        places = [(np.arange(n) + corner + 0.5) * self.mm(window.zoom) / step - 0.5 for n, corner, step in wanted]
        box = [_around(at, n) for at, n in zip(places, out.shape, strict=True)]
        out = out[tuple(box)]  # a long scan is not copied for one window
        for axis, at in enumerate(places):
            out = _take(out, at - box[axis].start, axis, outside)
        out = np.ascontiguousarray(out, np.float32)
        return out if self.how.clip is None or data is not None else np.clip(out, *self.how.clip, out=out)

    def crop(self, window: Window) -> torch.Tensor:
        """A normalised crop, (1, 1, size, size, size)."""
        return torch.from_numpy(normalise(self.cut(window)))[None, None]

    def spread(
        self, logits: np.ndarray, window: Window, ratio: float
    ) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
        """Low-resolution logits on the volume's voxels, slab by slab.

        Args:
            logits: (i, j, k), of a crop or of a longer stretch from the window's corner on.
            window: whose corner and zoom count.
            ratio: voxels of a crop along a voxel of the logits.

        Yields:
            where (slices of `self.data`) and logits there, float32; voxels beyond the logits are left out.
        """
        matrices, boxes = [], []
        for axis in range(3):
            at = ((np.arange(self.data.shape[axis]) + 0.5) * self.step[axis]) / self.mm(window.zoom)
            at = (at - window.corner[axis]) / ratio - 0.5  # low-resolution index
            inside = np.flatnonzero((at >= -0.5) & (at <= logits.shape[axis] - 0.5))
            if not len(inside):
                return
            boxes.append(slice(int(inside[0]), int(inside[-1]) + 1))
            matrices.append(_matrix(at[inside], logits.shape[axis]))
        plane = matrices[0].shape[0] * matrices[1].shape[0]
        half = np.tensordot(matrices[1], np.tensordot(matrices[0], logits.astype(np.float32), (1, 0)), (1, 1))
        for start in range(0, len(matrices[2]), step := max(1, SLAB // plane)):
            part = matrices[2][start : start + step]
            where = (*boxes[:2], slice(boxes[2].start + start, boxes[2].start + start + len(part)))
            yield where, np.tensordot(half, part, (2, 1)).swapaxes(0, 1)

    def faces(self, mask: np.ndarray, window: Window) -> list[str]:
        """Faces of the window that a mask (bool, of a crop at any resolution) touches and the volume goes on beyond."""
        room = np.ceil(self.extent / self.mm(window.zoom) - 1e-6)
        found = []
        for axis, (low, high) in enumerate((("left", "right"), ("back", "front"), ("lower", "upper"))):
            if window.corner[axis] > 0 and mask.take(0, axis).any():
                found.append(low)
            if window.corner[axis] + self.how.size < room[axis] and mask.take(-1, axis).any():
                found.append(high)
        return found


def place(middle: np.ndarray, shape: np.ndarray, how: Preprocessing) -> np.ndarray:
    """Where a window around a place begins: on the lattice's steps, within the volume, or around a smaller one.

    Args:
        middle: of the window, in voxels of the lattice, (3,).
        shape: of the volume, in voxels of the lattice, (3,).
        how: size and steps.
    """
    room = np.asarray(shape, int) - how.size
    corner = np.round((middle - how.size / 2) / how.lattice) * how.lattice
    return np.where(room > 0, np.clip(corner, 0, np.maximum(room, 0)), np.floor(room / 2)).astype(int)


def normalise(crop: np.ndarray) -> np.ndarray:
    """Mean 0 and standard deviation 1 over the voxels above zero, as in the public code; all voxels are moved.

    A crop in which fewer than two voxels are above zero, or all are alike, becomes zeros.
    """
    above = crop[crop > 0]
    spread = above.std(ddof=1) if len(above) > 1 else 0.0
    return (crop - above.mean()) / spread if spread > 0 else np.zeros_like(crop)


def empty_like(volume: Volume, dtype: Any = bool) -> tuple[np.ndarray, np.ndarray]:
    """An empty array on a volume's own grid, and the same memory with its axes as in `Scan.data`."""
    out = np.zeros(volume.shape, dtype, order="F")
    return out, same_axes(out, volume.affine, RAS)[0]


def _check(volume: Volume) -> None:
    data = volume.data
    if data.ndim != 3:
        remedy = "give one volume: split a series into its frames"
        raise VesaliusError(f"has {data.ndim} dimensions, not 3", file=volume.path, remedy=remedy, code="shape")
    if min(data.shape) < 2:
        problem = f"is a single slice, {' x '.join(map(str, data.shape))} voxels"
        raise VesaliusError(problem, file=volume.path, remedy="give a volume of several slices", code="shape")
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        wrong = ~np.isfinite(data)
        first = tuple(int(i) for i in np.unravel_index(np.argmax(wrong), data.shape))
        problem = f"{int(wrong.sum()):,} voxels are not numbers, the first at {first}"
        remedy = "set them to the value of air or of the background"
        raise VesaliusError(problem, file=volume.path, remedy=remedy, code="nan")
    if data.max() <= 0:
        problem = f"no voxel is above zero (the largest is {data.max():.4g})"
        remedy = "crops are normalised over positive voxels: give Hounsfield units, or intensities that begin at 0"
        raise VesaliusError(problem, file=volume.path, remedy=remedy, code="content")


def _around(at: np.ndarray, n: int) -> slice:
    """The indices, of n, that interpolation at ascending places takes from."""
    low = int(np.clip(np.floor(at[0]), 0, n - 1))
    return slice(low, int(np.clip(np.floor(at[-1]) + 2, low + 1, n)))


def _take(data: np.ndarray, at: np.ndarray, axis: int, beyond: float) -> np.ndarray:
    """Linear interpolation along one axis at places (index); `beyond` half a voxel outside."""
    n = data.shape[axis]
    place = np.clip(at, 0, n - 1)
    low = np.minimum(place.astype(int), max(n - 2, 0))
    share = (place - low).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(3)])
    out = data.take(low, axis).astype(np.float32)
    out += share * (data.take(np.minimum(low + 1, n - 1), axis).astype(np.float32) - out)
    outside = (at < -0.5) | (at > n - 0.5)
    out[tuple(outside if i == axis else slice(None) for i in range(3))] = beyond
    return out


def _matrix(at: np.ndarray, n: int) -> np.ndarray:
    """Linear interpolation from n values at places (index), beyond the ends the end's value: (len(at), n) float32."""
    place = np.clip(at, 0, n - 1)
    low = np.minimum(place.astype(int), max(n - 2, 0))
    out, rows = np.zeros((len(at), n), np.float32), np.arange(len(at))
    out[rows, low] = 1 - (place - low)
    out[rows, np.minimum(low + 1, n - 1)] += place - low
    return out
