"""Voxel counts of all labels in one pass over both masks, and the renumbering that makes one pass possible.

Knows arrays; leaves files and names to its callers. Labels of any integer width become indices 1..K of the smallest
unsigned type first (nothing is copied where they are that already).
"""

# mypy: disable-error-code="call-arg"
# (numba's decorators hide the signatures of what they wrap)

from collections.abc import Sequence

import numpy as np

from vesalius.errors import VesaliusError
from vesalius.media.kernels import njit


def integers(array: np.ndarray, what: str) -> np.ndarray:
    """The array with an unsigned integer type, its values checked.

    Raises:
        VesaliusError: NaN or infinity (`nan`), fractions such as 0.9999 (`fractional`), negative labels (`negative`).
    """
    array = np.asarray(array)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)  # numba knows the machine's byte order only
    if array.dtype == bool:
        return array.view(np.uint8)
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise VesaliusError(f"the {what} holds NaN or infinity", remedy="save labels as integers", code="nan")
        whole = np.rint(array)
        if (wrong := whole != array).any():
            problem = f"the {what} holds {array[wrong].flat[0]:g}, which is no label"
            raise VesaliusError(problem, remedy="threshold probabilities and save integers", code="fractional")
        if array.size and np.abs(whole).max() >= 2**63:
            raise VesaliusError(f"the {what} holds {whole.max():g}, which is no label", code="large")
        array = whole.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise VesaliusError(f"the {what} has type {array.dtype}, which holds no labels", code="type")
    if array.dtype.kind == "i":
        if array.size and array.min() < 0:
            raise VesaliusError(f"the {what} holds the negative label {array.min()}", code="negative")
        return array.view(array.dtype.str.replace("i", "u"))
    return array


def renumber(array: np.ndarray, groups: Sequence[Sequence[int]]) -> np.ndarray:
    """Index volume: voxels whose label is in groups[k] become k + 1, all others 0 (the array itself if they are so)."""
    count = len(groups)
    dtype = np.dtype(np.uint8 if count < 256 else np.uint16 if count < 65536 else np.uint32)
    if all(tuple(ids) == (k + 1,) for k, ids in enumerate(groups)) and array.max(initial=0) <= count:
        return array.astype(dtype, copy=False)
    largest = max((max(ids) for ids in groups if ids), default=0)
    contiguous = array.flags.c_contiguous or array.flags.f_contiguous
    if largest < 1 << 24 and contiguous:
        table = np.zeros(largest + 1, dtype)
        for k, ids in enumerate(groups):
            table[list(ids)] = k + 1
        flat = array.T.reshape(-1) if array.flags.f_contiguous else array.reshape(-1)
        out = _look_up(flat, table)
        return out.reshape(array.shape[::-1]).T if array.flags.f_contiguous else out.reshape(array.shape)
    out = np.zeros_like(array, dtype=dtype)
    for k, ids in enumerate(groups):
        out[np.isin(array, list(ids))] = k + 1
    return out


@njit(cache=True, nogil=True)
def _look_up(flat, table):
    """By blocks: sixteen equal voxels, most of a volume, are looked up once."""
    out = np.zeros(len(flat), table.dtype)
    size, n = len(table), len(flat)
    for start in range(0, n, 16):
        stop = min(start + 16, n)
        first = flat[start]
        alike = True
        for i in range(start, stop):
            alike &= flat[i] == first
        if alike:
            if first < size and table[first] != 0:
                for i in range(start, stop):
                    out[i] = table[first]
            continue
        for i in range(start, stop):
            if flat[i] < size:
                out[i] = table[flat[i]]
    return out


@njit(cache=True, nogil=True)
def foreground(reference, prediction):
    """First and end z, first and end y of the rows where either index volume (z, y, x) holds a label (0s if none)."""
    depth, height, width = reference.shape
    first_z, end_z, first_y, end_y = depth, 0, height, 0
    for z in range(depth):
        for y in range(height):
            r, p = reference[z, y], prediction[z, y]
            seen = r[0] | p[0]
            for x in range(1, width):
                seen |= r[x] | p[x]
            if seen != 0:
                first_z, end_z = min(first_z, z), z + 1
                first_y, end_y = min(first_y, y), max(end_y, y + 1)
    return (first_z, end_z, first_y, end_y) if end_z else (0, 0, 0, 0)


@njit(cache=True, nogil=True)
def count(reference, prediction, box, labels, partner):
    """Voxel counts of labels 1..labels in two index volumes (z, y, x), in one pass over the rows of `foreground`.

    Returns int64 arrays (labels + 1,): reference, prediction, their intersection, and |reference k ∩ prediction
    partner[k]|, which tells what exchanging a pair (left and right) would bring.
    """
    width = reference.shape[2]
    in_reference, in_prediction = np.zeros(labels + 1, np.int64), np.zeros(labels + 1, np.int64)
    shared, exchanged = np.zeros(labels + 1, np.int64), np.zeros(labels + 1, np.int64)
    changes = np.zeros((width + 8) // 8 * 8, np.bool_)
    words = changes.view(np.uint64)
    for z in range(box[0], box[1]):
        for y in range(box[2], box[3]):
            r, p = reference[z, y], prediction[z, y]
            for x in range(1, width):
                changes[x] = (r[x] != r[x - 1]) | (p[x] != p[x - 1])
            changes[width] = True  # closes the last run
            start = 0
            for w in range(len(words)):
                if words[w] == 0:
                    continue
                for x in range(8 * w, min(8 * w + 8, width + 1)):
                    if not changes[x]:
                        continue
                    a, b, run = r[start], p[start], x - start
                    in_reference[a] += run
                    in_prediction[b] += run
                    if a == b:
                        shared[a] += run
                    if partner[a] == b:
                        exchanged[a] += run
                    start = x
    return in_reference, in_prediction, shared, exchanged
