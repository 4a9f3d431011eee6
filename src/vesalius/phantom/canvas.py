"""Where a phantom is painted: warped patient coordinates, solid shapes as signed distances, soft edges.

Knows geometry alone; anatomy is in `surroundings.py` and `organs.py`. Patient coordinates are RAS millimetres: x to the
patient's right, y to the front, z to the head; the origin lies on the midline, z = 0 at the second lumbar vertebra.
A shape is a function of (x, y, z) that gives about the distance in mm to its surface, negative inside.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from vesalius.media.kernels import njit

Vector = Sequence[float] | np.ndarray
Field = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
EVERYWHERE: Box = ((-1e9, 1e9), (-1e9, 1e9), (-1e9, 1e9))


def smooth_noise(rng: np.random.Generator, shape: Sequence[int], cells: Vector) -> np.ndarray:
    """Smooth random field (float32, variance about one): a cubic B-spline, random coefficients every `cells` voxels."""
    counts = [max(4, round(n / cell) + 4) for n, cell in zip(shape, cells, strict=True)]
    out = rng.standard_normal(counts).astype(np.float32)
    for axis, (n, m) in enumerate(zip(shape, counts, strict=True)):
        out = np.moveaxis(np.tensordot(_spline_basis(n, m), out, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(3.0 * out)


def _spline_basis(n: int, m: int) -> np.ndarray:
    """Uniform cubic B-splines: matrix (n samples, m coefficients)."""
    place = np.linspace(0, m - 3 - 1e-6, n)
    first = place.astype(int)
    f = place - first
    weights = ((1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3)
    basis = np.zeros((n, m), np.float32)
    for offset, weight in enumerate(weights):
        basis[np.arange(n), first + offset] += weight / 6
    return basis


def ellipsoid(centre: Vector, radii: Vector, axes: np.ndarray | None = None) -> tuple[Field, Box]:
    """An ellipsoid and its box; rows of `axes` are the directions of its radii."""
    axes = np.eye(3) if axes is None else np.asarray(axes, float)
    (cx, cy, cz), reach = centre, np.sqrt(((axes * np.asarray(radii, float)[:, None]) ** 2).sum(axis=0))
    rows = [[float(v) for v in row / radius] for row, radius in zip(axes, radii, strict=True)]

    def distance(x, y, z):
        x, y, z = x - cx, y - cy, z - cz
        r = np.sqrt(sum((a * x + b * y + c * z) ** 2 for a, b, c in rows))
        return np.sqrt(x * x + y * y + z * z) * (1 - 1 / np.maximum(r, 1e-3))

    return distance, _around(np.array([np.asarray(centre) - reach, np.asarray(centre) + reach]))


def tilted(about_x: float = 0, about_y: float = 0, about_z: float = 0) -> np.ndarray:
    """Axes turned by degrees about x, then y, then z, for `ellipsoid`."""
    turn = np.eye(3)
    for i, degrees in enumerate((about_x, about_y, about_z)):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        a, b = [k for k in range(3) if k != i]
        step = np.eye(3)
        step[a, a], step[a, b], step[b, a], step[b, b] = c, -s, s, c
        turn = turn @ step
    return turn


@dataclass
class Canvas:
    """A voxel grid in a patient.

    Attributes:
        x, y, z: patient coordinates of the voxel centres in mm, warped: shape (nx, ny, nz), float32.
        edge: width in mm over which a surface fades (partial volume within a slice).
        hu: what has been painted, in HU.
        labels: which structure each voxel belongs to.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    edge: float
    hu: np.ndarray = field(init=False)
    labels: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.hu = np.full(self.x.shape, -1000, np.float32)
        self.labels = np.zeros(self.x.shape, np.uint8)
        # Least and greatest coordinate of each index, so that a box in mm becomes slices whatever the warp.
        self._range = [
            (c.min(axis=others), c.max(axis=others))
            for c, others in ((self.x, (1, 2)), (self.y, (0, 2)), (self.z, (0, 1)))
        ]

    def within(self, box: Box, margin: float = 8.0) -> tuple[slice, ...] | None:
        """Index ranges that hold a box in mm; None where it lies outside."""
        out = []
        for (low, high), (least, greatest) in zip(box, self._range, strict=True):
            hit = np.flatnonzero((greatest >= low - margin) & (least <= high + margin))
            if not len(hit):
                return None
            out.append(slice(int(hit[0]), int(hit[-1]) + 1))
        return tuple(out)

    def paint(
        self, shape: Field | np.ndarray, box: Box, hu: float | Field | np.ndarray, label: int | None = 0, *,
        rough: np.ndarray | None = None, clip: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        """Paints a shape over what is there.

        Args:
            shape: signed distance in mm, as a function of the coordinates or on the whole grid.
            box: mm, holds the shape.
            hu: value inside, a function of the coordinates, or values on the whole grid.
            label: structure inside; None keeps what was there (a vessel in the liver is liver).
            rough: mm to add to the distance, on the whole grid.
            clip: signed distance of another shape that it stays inside, on the whole grid.
        """
        at = self.within(box)
        if at is None:
            return
        x, y, z = self.x[at], self.y[at], self.z[at]
        distance = shape[at] if isinstance(shape, np.ndarray) else shape(x, y, z)
        if rough is not None:
            distance = distance + rough[at]
        if clip is not None:
            distance = soft_max(distance, clip[at], blend=4)
        cover = np.clip(0.5 - distance / self.edge, 0, 1)
        if not cover.any():
            return
        target = self.hu[at]
        inside = hu(x, y, z) if callable(hu) else hu[at] if isinstance(hu, np.ndarray) else hu
        target += cover * (inside - target)
        if label is not None:
            self.labels[at][distance < 0] = label

    def tube(
        self, points: Sequence[Sequence[float]], hu: float | Field, label: int | None = 0, *, flat: float = 1.0,
        rough: np.ndarray | None = None, thicker: float = 0.0, clip: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        """Paints a tube through `points` (x, y, z, radius), bends rounded; `flat` < 1 presses it front to back.

        Args:
            points: at least two.
            hu, label, rough, clip: as for `paint`.
            flat: depth over width.
            thicker: mm to add to every radius (walls and contents of the same course).
        """
        way = _curve(np.asarray(points, float))
        radius = way[:, 3] + thicker
        box = _around(np.array([(way[:, :3] - radius[:, None]).min(0), (way[:, :3] + radius[:, None]).max(0)]))

        def distance(x, y, z):
            out = np.full(x.shape, 1e3, np.float32)
            for a, b in pairwise(way):
                at = _near((x, y, z), a[:3], b[:3], max(a[3], b[3]) + thicker + 12)
                if at is not None:
                    _to_piece(out[at], x[at], y[at], z[at], a, b, thicker, flat)
            return out

        self.paint(distance, box, hu, label, rough=rough, clip=clip)


@njit(cache=True, nogil=True)
def _to_piece(out, x, y, z, a, b, thicker, flat):
    """Lowers `out` to the distance from the surface of a tube's straight piece from `a` to `b` (x, y, z, radius)."""
    dx, dy, dz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    square = max(dx * dx + dy * dy + dz * dz, 1e-6)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for k in range(out.shape[2]):
                px, py, pz = x[i, j, k] - a[0], y[i, j, k] - a[1], z[i, j, k] - a[2]
                t = min(max((px * dx + py * dy + pz * dz) / square, 0.0), 1.0)
                px, py, pz = px - t * dx, (py - t * dy) / flat, pz - t * dz
                away = np.sqrt(px * px + py * py + pz * pz) - (a[3] + t * (b[3] - a[3]) + thicker)
                if away < out[i, j, k]:
                    out[i, j, k] = away


def _near(coordinates, a, b, reach: float) -> tuple[slice, ...] | None:
    """Index ranges of a block whose coordinates come within reach of a segment, judged along its middle lines."""
    out = []
    for axis, c in enumerate(coordinates):
        middle = [n // 2 for n in c.shape]
        line = c[tuple(slice(None) if i == axis else middle[i] for i in range(3))]
        low, high = min(a[axis], b[axis]) - reach - 10, max(a[axis], b[axis]) + reach + 10
        hit = np.flatnonzero((line >= low) & (line <= high))
        if not len(hit):
            return None
        out.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return tuple(out)


def _curve(points: np.ndarray, pieces: int = 3) -> np.ndarray:
    """Catmull-Rom curve through points, `pieces` straight pieces between two."""
    if len(points) < 3:
        return points
    ends = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    out = [points[0]]
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        for t in np.arange(1, pieces + 1) / pieces:
            out.append(
                0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
            )
    return np.array(out)


def _around(corners: np.ndarray) -> Box:
    (x0, y0, z0), (x1, y1, z1) = corners.tolist()
    return (x0, x1), (y0, y1), (z0, z1)


def soft_max(*distances: np.ndarray, blend: float = 8.0) -> np.ndarray:
    """Intersection with rounded edges: a polynomial maximum that differs from the sharp one within `blend` mm."""
    out = distances[0]
    for other in distances[1:]:
        near = np.clip(0.5 + 0.5 * (out - other) / blend, 0, 1)
        out = other + near * (out - other) + blend * near * (1 - near)
    return out


def without(shape: Field, hole: Field) -> Field:
    """A shape less another."""
    return lambda x, y, z: np.maximum(shape(x, y, z), -hole(x, y, z))
