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
    squares = _first(np.ascontiguousarray(mask), float(spacing[0]))
    for axis in (1, 2):
        _along(np.moveaxis(squares, axis, -1), float(spacing[axis]))
    return np.sqrt(squares, out=squares)


@njit(cache=True, nogil=True)
def _first(mask, step):
    """Squared distances along the first axis: a count of steps from the last voxel outside, forth and back."""
    nx, ny, nz = mask.shape
    squares = np.zeros(mask.shape)
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                if mask[i, j, k]:
                    squares[i, j, k] = squares[i - 1, j, k] + 1 if i else np.inf
    square = step * step
    for i in range(nx - 1, -1, -1):
        for j in range(ny):
            for k in range(nz):
                if mask[i, j, k] and i < nx - 1:
                    squares[i, j, k] = min(squares[i, j, k], squares[i + 1, j, k] + 1)
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                count = squares[i, j, k]
                squares[i, j, k] = square * count * count
    return squares


@njit(cache=True, nogil=True)
def _along(squares, step):
    """Lowers squared distances to the least that is reached along the last axis.

    Voxels outside the mask part a line: what lies beyond one of them is further than it.
    """
    n = squares.shape[2]
    given, middle, start = np.empty(n), np.empty(n, np.int64), np.empty(n)  # parabolas: height, where, from where least
    square = step * step
    for i in range(squares.shape[0]):
        for j in range(squares.shape[1]):
            q = 0
            while q < n:
                if squares[i, j, q] == 0:
                    q += 1
                    continue
                begin = max(q - 1, 0)
                while q < n and squares[i, j, q] > 0:
                    q += 1
                end = min(q + 1, n)
                last = -1
                for q in range(begin, end):
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
                q = end
                if last < 0:
                    continue
                at = 0
                for r in range(begin, end):
                    while at < last and start[at + 1] < r:
                        at += 1
                    p = middle[at]
                    squares[i, j, r] = square * (r - p) * (r - p) + given[p]
