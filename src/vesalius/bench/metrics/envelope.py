"""Exact distances between far lists of points: a distance transform that keeps no volume.

A separable transform (Felzenszwalb & Huttenlocher), swept plane by plane along the axis whose square is summed first
(here called x). In each plane that holds query points: every row of target points across it knows its point nearest to
the plane; along y the parabolas standing on the rows have a lower envelope, read where the plane has query columns;
along z, summed last, the same again, read at the query points. Lifted by the square of its index an envelope is a
convex hull, so none of this divides by a difference. What goes from pass to pass is the nearest point's index, and the
last step sums three squares as the search in `surfaces.py` does; what was smaller before the last sum is so after it,
so of points that tie but for rounding the smallest sum is taken.

Time goes with planes × target rows and query columns × target depth, however far the points are; memory with one plane.
Leaves near points to that search, which is faster there, and the choice between the two to `surfaces.py` as well.
"""

# mypy: disable-error-code="call-arg, assignment"
# (numba's decorators hide the signatures of what they wrap)

import numpy as np

from vesalius.media.kernels import njit

_NONE = 1 << 29  # farther than any index: no point on that side


def distances(query: np.ndarray, target: np.ndarray, spacing: np.ndarray, reverse: bool) -> np.ndarray:
    """Distance in mm from each query point to the nearest target point (float64 (n,)).

    Args:
        query: int32 (n, 3), indices z, y, x in raster order.
        target: int32 (m, 3) in raster order; m > 0.
        spacing: float64 (3,), mm along z, y, x.
        reverse: squares are summed x, y, z instead of z, y, x.
    """
    if not reverse:  # z is summed first: swept along z, over a target in raster order of x, y, z
        target = target[_by_column(target)[0], ::-1]
        query, spacing = query[:, ::-1], spacing[::-1]
    return _sweep(*(np.ascontiguousarray(a) for a in (query, target, spacing)))


def steps(query: np.ndarray, target: np.ndarray, reverse: bool) -> int:
    """About how many steps `distances` takes (some 5 to 10 ns each), from the points' boxes; arguments as there."""
    if len(query) == 0:
        return 0
    (qz, qy, qx), (tz, ty, tx) = _extent(query), _extent(target)
    if not reverse:
        qz, qx, tz, tx = qx, qz, tx, tz
    return int(qx * min(len(target), tz * ty) + min(len(query), qx * qy) * tz)


@njit(cache=True, nogil=True)
def _extent(points):
    """Size of the points' box along z, y, x (numpy's reduction of three columns is many times slower)."""
    low, high = points[0].copy(), points[0].copy()
    for i in range(len(points)):
        for axis in range(3):
            low[axis], high[axis] = min(low[axis], points[i, axis]), max(high[axis], points[i, axis])
    return np.int64(high[0]) - low[0] + 1, np.int64(high[1]) - low[1] + 1, np.int64(high[2]) - low[2] + 1


@njit(cache=True, nogil=True)
def _sweep(query, target, spacing):
    """Distances, squares summed x, y, z; the target in raster order, of the query only each column by rising z."""
    sz, sy, sx = spacing
    out = np.empty(len(query), np.float64)
    if len(query) == 0:
        return out
    order, starts, first_y, first_x, height = _by_column(query)
    row_y, begin, slice_z, slices = _rows(target)
    # Of each row the nearest points on either side of the plane, and where the right one stands in the list.
    at = begin[:-1].copy()
    left, right = np.full(len(row_y), -_NONE, np.int32), np.empty(len(row_y), np.int32)
    for r in range(len(row_y)):
        right[r] = target[at[r], 2]
    offset, lifted = np.empty(len(row_y), np.int32), np.empty(len(row_y), np.float64)
    hull = np.empty(max(len(row_y), len(slice_z)), np.int64)
    columns = np.empty(height, np.int64)
    offset_y = np.empty((height, len(slice_z)), np.int32)
    offset_x = np.empty((height, len(slice_z)), np.int32)
    lifted_z = np.empty((height, len(slice_z)), np.float64)
    for plane in range((len(starts) - 1) // height):
        base = plane * height
        if starts[base] == starts[base + height]:
            continue
        x = plane + first_x
        count = 0
        for y in range(height):
            if starts[base + y] < starts[base + y + 1]:
                columns[count] = y
                count += 1
        for r in range(len(row_y)):
            while right[r] < x:
                left[r] = right[r]
                at[r] += 1
                right[r] = target[at[r], 2] if at[r] < begin[r + 1] else _NONE
            dx = right[r] - x if right[r] - x <= x - left[r] else left[r] - x
            offset[r] = dx
            lifted[r] = (dx * sx) ** 2 / (sy * sy) + float(row_y[r]) ** 2
        for s in range(len(slice_z)):
            size = _lower_hull(row_y, lifted, slices[s], slices[s + 1], hull)
            k = 0
            for c in range(count):
                y = columns[c] + first_y
                r = hull[k]
                best = ((row_y[r] - y) * sy) ** 2 + (offset[r] * sx) ** 2
                while k + 1 < size:
                    other = hull[k + 1]
                    squared = ((row_y[other] - y) * sy) ** 2 + (offset[other] * sx) ** 2
                    if squared > best:
                        break
                    best, r, k = squared, other, k + 1
                offset_y[c, s], offset_x[c, s] = row_y[r] - y, offset[r]
                lifted_z[c, s] = best / (sz * sz) + float(slice_z[s]) ** 2
        for c in range(count):
            size = _lower_hull(slice_z, lifted_z[c], 0, len(slice_z), hull)
            k, z = 0, np.int64(0)
            for i in order[starts[base + columns[c]] : starts[base + columns[c] + 1]]:
                best = np.inf
                # Points come by rising z, so their answers do too; where a caller's do not, from the start again.
                if query[i, 0] < z:
                    k = 0
                z = np.int64(query[i, 0])
                for j in range(k, size):
                    s = hull[j]
                    u, v, w = ((slice_z[s] - z) * sz) ** 2, (offset_y[c, s] * sy) ** 2, (offset_x[c, s] * sx) ** 2
                    squared = w + v + u
                    if squared > best:
                        break
                    best, k = squared, j
                out[i] = np.sqrt(best)
    return out


@njit(cache=True, nogil=True)
def _by_column(query):
    """Order of the points by x, y, then as they came; where each column's begin; first y, first x, how many y."""
    low_y = high_y = query[0, 1]
    low_x = high_x = query[0, 2]
    for i in range(len(query)):
        low_y, high_y = min(low_y, query[i, 1]), max(high_y, query[i, 1])
        low_x, high_x = min(low_x, query[i, 2]), max(high_x, query[i, 2])
    height = np.int64(high_y) - low_y + 1
    starts = np.zeros((np.int64(high_x) - low_x + 1) * height + 1, np.int64)
    for i in range(len(query)):
        starts[(query[i, 2] - low_x) * height + query[i, 1] - low_y + 1] += 1
    for k in range(len(starts) - 1):
        starts[k + 1] += starts[k]
    place, order = starts.copy(), np.empty(len(query), np.int64)
    for i in range(len(query)):
        column = (query[i, 2] - low_x) * height + query[i, 1] - low_y
        order[place[column]] = i
        place[column] += 1
    return order, starts, np.int64(low_y), np.int64(low_x), height


@njit(cache=True, nogil=True)
def _rows(target):
    """Rows along x that hold points: their y and where their points begin; the z of their slices, where rows begin."""
    rows = slices = 1
    for i in range(1, len(target)):
        if target[i, 0] != target[i - 1, 0]:
            slices += 1
        if target[i, 0] != target[i - 1, 0] or target[i, 1] != target[i - 1, 1]:
            rows += 1
    row_y, begin = np.empty(rows, np.int64), np.full(rows + 1, len(target), np.int64)
    slice_z, first = np.empty(slices, np.int64), np.full(slices + 1, rows, np.int64)
    r = s = 0
    for i in range(len(target)):
        turn = i == 0 or target[i, 0] != target[i - 1, 0]
        if turn:
            slice_z[s], first[s] = target[i, 0], r
            s += 1
        if turn or target[i, 1] != target[i - 1, 1]:
            row_y[r], begin[r] = target[i, 1], i
            r += 1
    return row_y, begin, slice_z, first


@njit(cache=True, nogil=True, inline="always")
def _lower_hull(place, lifted, first, end, hull):
    """Write into `hull` which of the sites first..end bear the lower envelope, by rising place; return how many.

    Sites in line with their neighbours stay: they tie there, and which is the smaller after rounding is seen later.
    """
    size = 0
    for i in range(first, end):
        while size >= 2:
            a, b = hull[size - 2], hull[size - 1]
            if (lifted[b] - lifted[a]) * (place[i] - place[b]) <= (lifted[i] - lifted[b]) * (place[b] - place[a]):
                break
            size -= 1
        hull[size] = i
        size += 1
    return size
