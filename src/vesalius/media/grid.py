"""Where voxels lie in the patient: grids, how two of them differ, and labels moved from one onto another.

Knows affines (index -> RAS mm, as in NIfTI) and nothing about files. A grid is anything with `shape` (three numbers of
voxels) and `affine` (4x4).
"""

from itertools import product
from typing import Protocol

import numpy as np

from vesalius.errors import VesaliusError

# How far apart two corners may lie, in voxels, for the grids to be the same. Headers store float32, so directions
# differ in the eighth digit between tools (nnUNet#1157, #2526); a real shift is a whole voxel or several millimetres.
TOLERANCE = 0.1


class Grid(Protocol):
    """Anything that says how many voxels it has and where they lie."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each index axis."""

    @property
    def affine(self) -> np.ndarray:
        """4x4, voxel index (centre of voxel 0 at 0) -> RAS mm."""


def spacing_of(affine: np.ndarray) -> tuple[float, float, float]:
    """Voxel size in mm along each index axis, from a 4x4 affine."""
    x, y, z = np.sqrt((np.asarray(affine, float)[:3, :3] ** 2).sum(axis=0))
    return float(x), float(y), float(z)


def orientation_of(affine: np.ndarray) -> str:
    """Where each index axis points, as letters: "RAS", "LPS", ... (nearest axis of the patient)."""
    import nibabel as nib

    return "".join(nib.orientations.aff2axcodes(affine))


def check_affine(affine: np.ndarray, file=None) -> None:
    """Refuses an affine in which no distance can be measured.

    Raises:
        VesaliusError: code `geometry` where a value is not finite, a spacing is zero, or the axes are not at right
            angles (to 0.6 degrees): distances along such axes are not index times spacing.
    """
    remedy = "export the file again with its true spacing; it is never assumed"
    if not np.isfinite(affine).all():
        raise VesaliusError("the affine holds NaN or infinity", file=file, remedy=remedy, code="geometry")
    spacing = np.array(spacing_of(affine))
    if not (spacing > 0).all():
        raise VesaliusError(f"the spacing is {_mm(spacing)}", file=file, remedy=remedy, code="geometry")
    directions = affine[:3, :3] / spacing
    skew = np.abs(directions.T @ directions - np.eye(3)).max()
    if skew > 0.01:
        raise VesaliusError(
            f"the index axes are not at right angles (cosine {skew:.3f})",
            file=file,
            remedy="resample it to a rectangular grid",
            code="geometry",
        )


def corners(grid: Grid) -> np.ndarray:
    """Centres of the eight corner voxels in RAS mm, shape (8, 3)."""
    indices = np.array(list(product(*((0, n - 1) for n in grid.shape[:3]))), float)
    return indices @ grid.affine[:3, :3].T + grid.affine[:3, 3]


def grid_difference(a: Grid, b: Grid, tolerance: float = TOLERANCE) -> str | None:
    """What keeps two grids from being one, in plain words; None if they agree.

    They agree if their shapes are equal and each of the eight corners of `a` lies within `tolerance` times the
    smallest spacing of the same corner of `b`. Directions that differ in the eighth digit are no difference; a shift
    of 3 mm, a flipped axis or another slice distance are.
    """
    apart = corners(a) - corners(b)
    spacings = np.array(spacing_of(a.affine)), np.array(spacing_of(b.affine))
    limit = tolerance * min(spacings[0].min(), spacings[1].min())
    worst = np.sqrt((apart**2).sum(axis=1)).max()
    same_shape = tuple(a.shape) == tuple(b.shape)
    if same_shape and worst <= limit:
        return None
    orientations = orientation_of(a.affine), orientation_of(b.affine)
    if orientations[0] != orientations[1]:
        return f"orientation {orientations[0]} against {orientations[1]}"
    if not same_shape:
        return f"shape {tuple(a.shape)} against {tuple(b.shape)}"
    if np.abs((spacings[0] - spacings[1]) * (np.array(a.shape) - 1)).max() > limit:
        return f"spacing {_mm(spacings[0])} against {_mm(spacings[1])}"
    if np.ptp(apart, axis=0).max() <= limit:
        return f"shifted by {_mm(apart.mean(axis=0))}"
    return f"turned: corners lie up to {worst:.3g} mm apart"


def same_axes(data: np.ndarray, affine: np.ndarray, reference: Grid) -> tuple[np.ndarray, np.ndarray]:
    """The array with its axes permuted and flipped into the reference's order, and its new affine. Views, lossless."""
    import nibabel as nib

    from_, to = (nib.orientations.io_orientation(x) for x in (affine, reference.affine))
    transform = nib.orientations.ornt_transform(from_, to)
    turned = nib.orientations.apply_orientation(data, transform)
    return turned, affine @ nib.orientations.inv_ornt_aff(transform, data.shape)


def nearest(data: np.ndarray, affine: np.ndarray, reference: Grid) -> np.ndarray:
    """Labels at the voxel centres of `reference`, by nearest neighbour; 0 where `data` has no voxel."""
    from scipy import ndimage

    to_source = np.linalg.inv(affine) @ reference.affine
    # Rounding of headers must not push a centre just outside the first or last voxel: out of reach is half a voxel.
    padded = np.pad(data, 1)
    return ndimage.affine_transform(
        padded, to_source[:3, :3], to_source[:3, 3] + 1, tuple(reference.shape), order=0, mode="constant", cval=0
    )


def _mm(values) -> str:
    return "(" + ", ".join(f"{value:.4g}" if abs(value) >= 5e-5 else "0" for value in values) + ") mm"
