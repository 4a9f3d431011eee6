"""How deep in a mask each voxel lies, exactly: the lower envelope of parabolas along each axis in turn.

Felzenszwalb and Huttenlocher, Distance Transforms of Sampled Functions, 2012. Several times as fast as
`scipy.ndimage.distance_transform_edt`, which also finds where the nearest voxel is.
"""

from collections.abc import Sequence

import numpy as np

from vesalius.media.kernels import njit


def depth(mask: np.ndarray, spacing: Sequence[float] | np.ndarray) -> np.ndarray:
    """The distance of each voxel to the nearest one that is not in the mask, 0 outside.

    Args:
        mask: bool, (x, y, z).
        spacing: mm of a voxel along each axis.

    Returns:
        float64, mm; infinity where every voxel is in the mask.
    """
    squares = np.where(mask, np.inf, 0.0)
    for axis, step in enumerate(spacing):
        _along(np.moveaxis(squares, axis, -1), float(step))
    return np.sqrt(squares, out=squares)


@njit(cache=True, nogil=True)
def _along(squares, step):
    """Lowers squared distances to the least that is reached along the last axis."""
    n = squares.shape[2]
    given, middle, start = np.empty(n), np.empty(n, np.int64), np.empty(n)  # parabolas: height, where, from where least
    square = step * step
    for i in range(squares.shape[0]):
        for j in range(squares.shape[1]):
            last = -1
            for q in range(n):
                height = squares[i, j, q]
                given[q] = height
                if height == np.inf:
                    continue
                meets = -np.inf
                while last >= 0:
                    p = middle[last]
                    meets = (height - given[p]) / (2 * square * (q - p)) + (q + p) / 2
                    if meets > start[last]:
                        break
                    last -= 1
                    meets = -np.inf
                last += 1
                middle[last], start[last] = q, meets
            if last < 0:
                continue
            at = 0
            for q in range(n):
                while at < last and start[at + 1] < q:
                    at += 1
                p = middle[at]
                squares[i, j, q] = square * (q - p) * (q - p) + given[p]
