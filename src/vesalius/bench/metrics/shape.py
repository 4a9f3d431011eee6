"""Metrics of bands and skeletons: boundary IoU and clDice, on boolean masks of one grid.

Masks come padded by one voxel, so that the border of the image is outside. Leaves empty masks to `segmentation.py`.
"""

from collections.abc import Sequence

import numpy as np


def bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """Slices around the true voxels of a boolean array; empty slices where there are none."""
    box = []
    for axis in range(mask.ndim):
        other = tuple(a for a in range(mask.ndim) if a != axis)
        hit = np.flatnonzero(mask.any(axis=other))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1) if len(hit) else slice(0, 0))
    return tuple(box)


def boundary_iou(reference: np.ndarray, prediction: np.ndarray, spacing: Sequence[float], width: float) -> float:
    """IoU of the inner bands of both masks (Cheng et al., CVPR 2021, eq. 2, with distances in mm).

    A voxel is in the band if the centre of a voxel outside the mask lies within `width` mm, or across a face: where
    the spacing is wider than the band, the band is one voxel thick.
    """
    bands = [_band(mask, spacing, width) for mask in (reference, prediction)]
    return float((bands[0] & bands[1]).sum() / (bands[0] | bands[1]).sum())


def _band(mask: np.ndarray, spacing: Sequence[float], width: float) -> np.ndarray:
    from scipy import ndimage

    near = ndimage.distance_transform_edt(mask, sampling=spacing) <= width
    return mask & (near | ~ndimage.binary_erosion(mask))


def cldice(reference: np.ndarray, prediction: np.ndarray) -> float:
    """Centreline Dice (Shit et al., CVPR 2021, eqs. 1-2): harmonic mean of each skeleton's share in the other mask.

    Skeletons by Lee's algorithm in 3D and Zhang's in 2D (scikit-image), as in the published code.
    """
    skeletons = _skeleton(reference), _skeleton(prediction)
    sensitivity = (skeletons[0] & prediction).sum() / skeletons[0].sum()
    precision = (skeletons[1] & reference).sum() / skeletons[1].sum()
    return float(2 * precision * sensitivity / (precision + sensitivity)) if precision + sensitivity else 0.0


def _skeleton(mask: np.ndarray) -> np.ndarray:
    """The mask's skeleton. Lee's thinning leaves nothing of compact parts (2×2×2, 4×4×4): they stand for themselves."""
    from scipy import ndimage
    from skimage.morphology import skeletonize

    thin = skeletonize(mask) > 0
    parts, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
    kept = ndimage.maximum(thin, parts, np.arange(count + 1)).astype(bool)
    return thin | (mask & ~kept[parts])
