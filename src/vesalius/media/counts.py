"""How many voxels of each label an array holds; leaves what the labels mean to `formats/`."""

# mypy: disable-error-code="call-arg"
# (numba's decorators hide the signatures of what they wrap)

import numpy as np

from vesalius.media.kernels import njit


def present(array: np.ndarray) -> list[int]:
    """Labels other than 0 that occur in an unsigned array, ascending."""
    if array.dtype.itemsize > 2:
        return [int(v) for v in np.unique(array) if v]
    return [int(v) for v in np.flatnonzero(label_counts(array)) if v]


def label_counts(array: np.ndarray) -> np.ndarray:
    """Voxels of each value of a uint8 or uint16 array (int64, (256,) or (65536,)); many times faster than bincount."""
    flat = array.T.reshape(-1) if array.flags.f_contiguous else np.ascontiguousarray(array).reshape(-1)
    return _label_counts(flat, 1 << (8 * array.dtype.itemsize))


@njit(cache=True, nogil=True)
def _label_counts(flat, size):
    """By runs: eight equal voxels after each other are counted at once."""
    counts = np.zeros(size, np.int64)
    i, n = 0, len(flat)
    while i < n:
        value, start = flat[i], i
        i += 1
        while i + 8 <= n:
            alike = True
            for j in range(8):
                alike &= flat[i + j] == value
            if not alike:
                break
            i += 8
        while i < n and flat[i] == value:
            i += 1
        counts[value] += i - start
    return counts
