"""Surfaces of labelled masks and exact distances between them, for all labels of a case in one pass.

The surface model is that of google-deepmind/surface-distance: surface elements sit on the corners between voxels; each
is weighted by the marching-cubes area of its 2×2×2 neighbourhood, so the cut of the volume's border is surface too.
A second model (`voxel=True`) takes the mask's own boundary voxels with weight one, as MONAI and medpy do.

Distances are exact and float64. Only surface points are asked for, most lie within a few voxels of the other surface,
and neighbours have neighbouring answers: so each point searches outward over rows of a bitmap, in order of distance,
starting from its predecessor's answer. Where that grows dearer than a transform (half an organ missing, a ball in a
shell), the rest is left to `envelope.py`. Leaves what is computed from distances to `directed.py`.

Arrays are indexed (z, y, x) with x contiguous; callers transpose Fortran-ordered volumes instead of copying them.
"""

# mypy: disable-error-code="call-arg, assignment"
# (numba's decorators hide the signatures of what they wrap)

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import types
from numba.extending import intrinsic

from vesalius.bench.metrics import envelope
from vesalius.media.kernels import njit

Spacing = tuple[float, float, float]
Box = tuple[int, int, int, int]  # first and end z, first and end y of the rows that hold labels


@dataclass(frozen=True, slots=True)
class Surfaces:
    """Surface elements of all labels, sorted by label.

    Attributes:
        points: int32 (n, 3), corner (or voxel) indices z, y, x.
        codes: uint8 (n,), the 2×2×2 neighbourhood, a bit a voxel; 0 for the voxel model.
        starts: int64 (labels + 2,); label k owns elements starts[k]:starts[k + 1].
    """

    points: np.ndarray
    codes: np.ndarray
    starts: np.ndarray

    def of(self, label: int) -> slice:
        """Where that label's elements stand."""
        return slice(int(self.starts[label]), int(self.starts[label + 1]))


@lru_cache(maxsize=64)
def area_table(spacing: Spacing) -> np.ndarray:
    """Surface area in mm² of each of the 256 neighbourhood codes (float64, (256,)).

    Bit 7 - (4z + 2y + x) of a code is the voxel at (z, y, x). The areas are those of marching cubes at edge midpoints;
    inside corners that touch only diagonally are separate, and more than four corners are taken as their complement, as
    in surface-distance's table (equal to rounding; tests/bench/test_surfaces.py compares all codes).
    """
    sz, sy, sx = spacing
    normal = np.array([sy * sx, sz * sx, sz * sy])  # area of a cell face across each axis
    return np.array([sum(_patch_area(patch, normal) for patch in _patches(code)) for code in range(256)], dtype=float)


@lru_cache(maxsize=256)
def _patches(code: int) -> list[list[tuple[int, int, int]]]:
    """Inside corners of a code (of its complement if more than four), split into face-connected groups."""
    if code.bit_count() > 4:
        code = 255 - code
    corners = [((b >> 2) & 1, (b >> 1) & 1, b & 1) for b in range(8) if code >> (7 - b) & 1]
    patches: list[list[tuple[int, int, int]]] = []
    for corner in corners:
        near = [p for p in patches if any(_steps(corner, other) == 1 for other in p)]
        patches = [p for p in patches if p not in near] + [[corner, *(c for p in near for c in p)]]
    return patches


def _steps(a: tuple[int, int, int], b: tuple[int, int, int]) -> int:
    return sum(i != j for i, j in zip(a, b, strict=True))


def _patch_area(corners: list[tuple[int, int, int]], normal: np.ndarray) -> float:
    """Area that separates one face-connected group of at most four corners from the rest of the cube.

    `normal` weights a surface's direction with the spacing: a triangle cutting one corner has the area vector
    (1, 1, 1)/8 in voxels, so |normal|/8 in mm²; the other shapes follow from the triangles of their polygon.
    """
    degree = [sum(_steps(a, b) == 1 for b in corners) for a in corners]
    spans = [len({c[axis] for c in corners}) > 1 for axis in range(3)]
    full = float(np.linalg.norm(normal))
    match len(corners), max(degree), sum(spans):
        case 1, _, _:  # a corner: a triangle
            return full / 8
        case 2, _, _:  # an edge: a rectangle along it
            return float(np.linalg.norm(normal[np.logical_not(spans)])) / 2
        case 3, _, _:  # an L: a pentagon
            return float(normal[spans.index(False)]) / 2 + full * 3 / 8
        case 4, _, 2:  # a face: a rectangle
            return float(normal[spans.index(False)])
        case 4, 3, _:  # a corner and its three neighbours: a flat hexagon
            return full * 3 / 4
    # a chain that turns twice: a bent hexagon; its middle edge meets both flaps
    first, second = (c for c, d in zip(corners, degree, strict=True) if d == 2)
    middle = next(axis for axis in range(3) if first[axis] != second[axis])
    flaps = [np.linalg.norm(normal[[middle, axis]]) for axis in range(3) if axis != middle]
    return full / 2 + float(sum(flaps)) / 4


def extract(
    labels: np.ndarray, count: int, *, box: Box | None = None, flat: bool = False, voxel: bool = False
) -> Surfaces:
    """Surface elements of labels 1..count in one pass over the volume.

    Args:
        labels: unsigned (z, y, x), C-contiguous, values 0..count.
        count: how many labels there are.
        box: rows beyond which nothing is labelled, as `overlap.foreground` gives them; the whole volume by default.
        flat: `labels` is one slice stacked twice and stands for a 2D image: only the corners between the two copies
            count, so elements are contour pieces of unit depth.
        voxel: boundary voxels instead of corners (`flat`: neighbours across slices do not count).
    """
    find = _boundary_voxels if voxel else _corners
    rows = box or (0, labels.shape[0], 0, labels.shape[1])
    return Surfaces(*_sort_by_label(*find(labels, rows, flat), count))


def distances(query: np.ndarray, target: np.ndarray, spacing: Spacing, reverse: bool) -> np.ndarray:
    """Distance in mm from each query point to the nearest target point (float64 (n,)).

    Args:
        query, target: int32 (n, 3) and (m, 3) in raster order; m > 0.
        spacing: mm along z, y, x.
        reverse: the caller's axes are x, y, z: squares are summed in the caller's order, so that results are bit for
            bit those of scipy's distance transform and comparisons with a tolerance fall the same way.
    """
    query, target = np.ascontiguousarray(query), np.ascontiguousarray(target)
    words, extents, origin = _bitmap(target)
    scale = np.asarray(spacing, dtype=np.float64)
    budget = _ROWS_A_STEP * envelope.steps(query, target, reverse)
    found, done = _search(query, words, extents, origin, scale, reverse, budget)
    if done < len(query):
        found[done:] = envelope.distances(query[done:], target, scale, reverse)
    return found


_ROWS_A_STEP = 1.0  # how many rows the search looks at in the time of one of the transform's steps
_SAMPLE = 0.25  # part of the budget after which the rest is judged by what went before


@intrinsic
def _trailing_zeros(typingctx, word):
    def codegen(context, builder, signature, args):
        return builder.cttz(args[0], context.get_constant(types.boolean, True))

    return types.uint64(types.uint64), codegen


@intrinsic
def _leading_zeros(typingctx, word):
    def codegen(context, builder, signature, args):
        return builder.ctlz(args[0], context.get_constant(types.boolean, True))

    return types.uint64(types.uint64), codegen


@njit(cache=True, nogil=True)
def _grow(owner, points, codes):
    size = len(owner)
    owner2 = np.empty(2 * size, owner.dtype)
    points2 = np.empty((2 * size, 3), points.dtype)
    codes2 = np.empty(2 * size, codes.dtype)
    for i in range(size):  # an assignment of slices takes numba four seconds to compile
        owner2[i], codes2[i] = owner[i], codes[i]
        for axis in range(3):
            points2[i, axis] = points[i, axis]
    return owner2, points2, codes2


@njit(cache=True, nogil=True)
def _corners(labels, box, flat):
    """Every corner whose eight voxels are not all alike, once for each label among them."""
    depth, height, width = labels.shape
    empty = np.zeros(width, labels.dtype)
    lanes = 8 // labels.itemsize  # voxels a 64-bit word
    differs = np.zeros(width + 1, labels.dtype)
    mixed = np.zeros((width + lanes) // lanes * lanes, labels.dtype)
    mixed_words = mixed.view(np.uint64)
    cell = np.zeros(8, labels.dtype)
    owner, points, codes = np.empty(1 << 16, np.uint32), np.empty((1 << 16, 3), np.int32), np.empty(1 << 16, np.uint8)
    n = 0
    for z in range(1 if flat else box[0], 2 if flat else box[1] + 1):
        for y in range(box[2], box[3] + 1):
            a = labels[z - 1, y - 1] if z > 0 and y > 0 else empty
            b = labels[z - 1, y] if z > 0 and y < height else empty
            c = labels[z, y - 1] if z < depth and y > 0 else empty
            d = labels[z, y] if z < depth and y < height else empty
            # Two loops written for the vectoriser: non-zero marks the corners that are mixed.
            for x in range(width):
                differs[x] = (a[x] ^ b[x]) | (a[x] ^ c[x]) | (a[x] ^ d[x])
            mixed[0] = differs[0] | a[0]
            for x in range(1, width):
                mixed[x] = differs[x] | differs[x - 1] | (a[x] ^ a[x - 1])
            mixed[width] = differs[width - 1] | a[width - 1]
            for w in range(len(mixed_words)):
                if mixed_words[w] == 0:
                    continue
                for x in range(lanes * w, min(lanes * w + lanes, width + 1)):
                    if mixed[x] == 0:
                        continue
                    cell[0] = a[x - 1] if x > 0 else 0
                    cell[2] = b[x - 1] if x > 0 else 0
                    cell[4] = c[x - 1] if x > 0 else 0
                    cell[6] = d[x - 1] if x > 0 else 0
                    cell[1] = a[x] if x < width else 0
                    cell[3] = b[x] if x < width else 0
                    cell[5] = c[x] if x < width else 0
                    cell[7] = d[x] if x < width else 0
                    if n + 8 > len(owner):
                        owner, points, codes = _grow(owner, points, codes)
                    done = 0
                    for i in range(8):
                        if done >> i & 1 or cell[i] == 0:
                            continue
                        code = 0
                        for j in range(8):
                            if cell[j] == cell[i]:
                                done |= 1 << j
                                code |= 128 >> j
                        if code != 255:
                            owner[n] = cell[i]
                            points[n, 0], points[n, 1], points[n, 2] = z, y, x
                            codes[n] = code
                            n += 1
    return owner[:n], points[:n], codes[:n]


@njit(cache=True, nogil=True)
def _boundary_voxels(labels, box, flat):
    """Every labelled voxel with a face neighbour of another label; outside the volume is background."""
    depth, height, width = labels.shape
    owner, points, codes = np.empty(1 << 16, np.uint32), np.empty((1 << 16, 3), np.int32), np.empty(1 << 16, np.uint8)
    n = 0
    for z in range(0 if flat else box[0], 1 if flat else box[1]):
        for y in range(box[2], box[3]):
            for x in range(width):
                label = labels[z, y, x]
                if label == 0:
                    continue
                inside = 0 < y < height - 1 and 0 < x < width - 1
                inside = inside and labels[z, y - 1, x] == label and labels[z, y + 1, x] == label
                inside = inside and labels[z, y, x - 1] == label and labels[z, y, x + 1] == label
                if inside and not flat:
                    inside = 0 < z < depth - 1 and labels[z - 1, y, x] == label and labels[z + 1, y, x] == label
                if inside:
                    continue
                if n == len(owner):
                    owner, points, codes = _grow(owner, points, codes)
                owner[n] = label
                points[n, 0], points[n, 1], points[n, 2] = z, y, x
                codes[n] = 0
                n += 1
    return owner[:n], points[:n], codes[:n]


@njit(cache=True, nogil=True)
def _sort_by_label(owner, points, codes, count):
    """Stable counting sort: raster order is kept within a label."""
    starts = np.zeros(count + 2, np.int64)
    for label in owner:
        starts[label + 1] += 1
    for k in range(count + 1):
        starts[k + 1] += starts[k]
    place = starts.copy()
    sorted_points, sorted_codes = np.empty_like(points), np.empty_like(codes)
    for i in range(len(owner)):
        at = place[owner[i]]
        place[owner[i]] += 1
        sorted_points[at, 0], sorted_points[at, 1], sorted_points[at, 2] = points[i, 0], points[i, 1], points[i, 2]
        sorted_codes[at] = codes[i]
    return sorted_points, sorted_codes, starts


@njit(cache=True, nogil=True)
def _bitmap(target):
    """Target points as a bit a corner, rows along x; each row's first and last set x (-1 where empty); the origin."""
    low, high = target[0].copy(), target[0].copy()
    for i in range(len(target)):
        for axis in range(3):
            low[axis], high[axis] = min(low[axis], target[i, axis]), max(high[axis], target[i, axis])
    depth, height, width = high[0] - low[0] + 1, high[1] - low[1] + 1, high[2] - low[2] + 1
    words = np.zeros((depth, height, (width + 63) // 64), np.uint64)
    extents = np.full((depth, height, 2), -1, np.int32)
    for i in range(len(target)):
        z, y, x = target[i, 0] - low[0], target[i, 1] - low[1], target[i, 2] - low[2]
        words[z, y, x >> 6] |= np.uint64(1) << np.uint64(x & 63)
        if extents[z, y, 0] < 0 or x < extents[z, y, 0]:
            extents[z, y, 0] = x
        if x > extents[z, y, 1]:
            extents[z, y, 1] = x
    return words, extents, low


@njit(cache=True, nogil=True, inline="always")
def _nearest_in_row(row, first, last, x):
    """Set bit of the row nearest to x, as an offset; first <= last are the row's outermost set bits."""
    if x <= first:
        return first - x
    if x >= last:
        return last - x
    at, bit = x >> 6, np.uint64(x & 63)
    right = row[at] >> bit  # bits x, x + 1, ... from the lowest up
    if right & np.uint64(1):
        return 0
    left = row[at] << (np.uint64(63) - bit)  # bits x, x - 1, ... from the highest down
    up = down = 1 << 30
    if right != 0:
        up = np.int64(_trailing_zeros(right))
    if left != 0:
        down = np.int64(_leading_zeros(left))
    if up == 1 or down == 1:
        return 1 if up == 1 else -1
    w, reach = at + 1, 64 - np.int64(bit)
    while up == 1 << 30 and reach < down:
        if row[w] != 0:
            up = reach + np.int64(_trailing_zeros(row[w]))
        w, reach = w + 1, reach + 64
    w, reach = at - 1, np.int64(bit) + 1
    while down == 1 << 30 and reach < up:
        if row[w] != 0:
            down = reach + np.int64(_leading_zeros(row[w]))
        w, reach = w - 1, reach + 64
    return up if up <= down else -down


@njit(cache=True, nogil=True, inline="always")
def _sum_of_squares(a, b, c, reverse):
    return c**2 + b**2 + a**2 if reverse else a**2 + b**2 + c**2


@njit(cache=True, nogil=True)
def _search(query, words, extents, low, spacing, reverse, budget):
    """Distances of the first points, and how many they are: all, unless that takes more rows than `budget`.

    It gives up once the rows looked at exceed the budget, or a part of it and their mean says that the rest will.
    """
    depth, height = words.shape[0], words.shape[1]
    sz, sy, sx = spacing
    out = np.empty(len(query), np.float64)
    near_z = near_y = near_x = -1
    looked = 0
    for i in range(len(query)):
        if looked > budget or (looked > budget * _SAMPLE and looked * (len(query) - i) > budget * i):
            return out, i
        z, y, x = query[i, 0] - low[0], query[i, 1] - low[1], query[i, 2] - low[2]
        best, best_dz, best_dy, best_dx = np.inf, 0, 0, 0
        if near_z >= 0:
            best_dz, best_dy, best_dx = near_z - z, near_y - y, near_x - x
            best = _sum_of_squares(best_dz * sz, best_dy * sy, best_dx * sx, reverse)
        step_z = max(0, -z, z - depth + 1)  # rows outside the target's box are empty
        first_y = max(0, -y, y - height + 1)
        while step_z <= max(z, depth - 1 - z):
            across = (step_z * sz) ** 2
            if across >= best:
                break
            for side_z in range(1 if step_z == 0 else 2):
                row_z = z + step_z if side_z == 0 else z - step_z
                if row_z < 0 or row_z >= depth:
                    continue
                step_y = first_y
                while step_y <= max(y, height - 1 - y):
                    planar = across + (step_y * sy) ** 2
                    if planar >= best:
                        break
                    looked += 1
                    for side_y in range(1 if step_y == 0 else 2):
                        row_y = y + step_y if side_y == 0 else y - step_y
                        if row_y < 0 or row_y >= height or extents[row_z, row_y, 0] < 0:
                            continue
                        dx = _nearest_in_row(words[row_z, row_y], extents[row_z, row_y, 0], extents[row_z, row_y, 1], x)
                        squared = _sum_of_squares(step_z * sz, step_y * sy, dx * sx, reverse)
                        if squared < best:
                            best, best_dz, best_dy, best_dx = squared, row_z - z, row_y - y, dx
                    step_y += 1
            step_z += 1
        near_z, near_y, near_x = z + best_dz, y + best_dy, x + best_dx
        out[i] = np.sqrt(best)
    return out, len(query)
