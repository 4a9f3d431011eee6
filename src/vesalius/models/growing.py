"""Regions that grow from a seed by brightness, and masks on coarser and finer voxels; pure functions for `seeds.py`.

Knows arrays and spacings alone; leaves which seed, which window and what becomes of a region to its caller.
"""

import heapq

import numpy as np

from vesalius.media.distance import depth as depth_in
from vesalius.media.kernels import njit

Box = tuple[slice, slice, slice]


def grow(
    image: np.ndarray,
    seed: tuple[int, ...],
    spacing: np.ndarray,
    local: tuple[float, float],
    spread: float,
    neck: float,
    widest: float,
) -> tuple[np.ndarray, float, float]:
    """What is joined to a seed and as bright as its surroundings.

    Args:
        image: float32.
        seed: a voxel.
        spacing: mm.
        local: middle and deviation of brightness close around the seed.
        spread: deviations from the middle that are still alike.
        neck: share of the half width near the seed up to which a neck is cut.
        widest: mm of half width from which on none is cut.

    Returns:
        bool of the image's shape, short of the edge (see `to_the_edge`); middle and deviation of brightness in it.
    """
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(image, 0.8)
    floor = 0.004 * float(np.subtract(*np.percentile(image[::2, ::2, ::2], (99, 1)))) + 1e-6
    middle, deviation = local[0], max(local[1], floor)
    region = np.zeros(image.shape, bool)
    for _ in range(2):  # the second time with the brightness of what the first found
        band = np.abs(smooth - middle) <= spread * deviation
        band[seed] = True
        region = _compact(band, seed, spacing, neck, widest)
        if region.sum() < 27:
            break
        middle, wider = brightness(smooth[region], floor)
        deviation = min(wider, 1.5 * deviation)  # a leak must not widen itself
    return region, middle, deviation


def to_the_edge(region: np.ndarray, image: np.ndarray, spread: float) -> np.ndarray:
    """The region grown to where brightness is halfway between its own and that of what lies around, at most two voxels.

    A band of brightness ends before the edge, since voxels there hold both sides. Where inside and outside are alike
    there is no edge to grow to.
    """
    from scipy import ndimage

    found = ndimage.find_objects(region.view(np.uint8))[0]
    box = tuple(slice(max(0, s.start - 6), s.stop + 6) for s in found)
    image = ndimage.gaussian_filter(image[box], 0.4)
    inner = region[box].copy()
    for _ in range(2):
        outer = ~ndimage.binary_dilation(inner, iterations=2)
        own, other = (_around(image, part) for part in (inner, outer))
        halfway = np.abs(image - own) < np.abs(image - other)
        edge = ndimage.binary_dilation(inner) & ~inner & halfway & (np.abs(own - other) > 3 * spread)
        inner |= edge
    # A voxel goes with most of its neighbours: noise near the band's limits leaves a ragged surface.
    inner = ndimage.gaussian_filter(inner.astype(np.float32), 0.8) > 0.5
    out = np.zeros(region.shape, bool)
    out[box] = _without_holes(inner)
    return out


def _without_holes(mask: np.ndarray) -> np.ndarray:
    """Holes filled (vessels in a liver), unless they are most of it: a shell around the body is no organ."""
    outside = parts(np.pad(~mask, 1, constant_values=True))
    filled = outside[1:-1, 1:-1, 1:-1] != outside[0, 0, 0]
    return filled if np.count_nonzero(filled) <= 1.5 * np.count_nonzero(mask) else mask


def _around(image: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Mean brightness of the part of an image that lies around each voxel (Gaussian, 2 voxels)."""
    from scipy import ndimage

    weight = part.astype(np.float32)
    below = ndimage.gaussian_filter(weight, 2.0)
    return ndimage.gaussian_filter(image * weight, 2.0) / np.maximum(below, 1e-6)


def core(depth: np.ndarray, against: list[tuple[int, ...]], spacing: np.ndarray) -> list[tuple[int, ...]]:
    """What of a mask stands against negative clicks where no positive one does: what is innermost and not near them.

    Args:
        depth: mm from the mask's surface, 0 outside.
        against: the negative clicks' voxels.
        spacing: mm.
    """
    inside = np.argwhere(depth > 0)
    away = np.min([np.linalg.norm((inside - a) * spacing, axis=1) for a in against], axis=0)
    core = (depth[tuple(inside.T)] >= 0.7 * depth.max()) & (away > depth.max())
    chosen = inside[core] if core.any() else inside[[int(np.argmax(away))]]
    return [tuple(int(i) for i in voxel) for voxel in chosen]


def brightness(values: np.ndarray, floor: float) -> tuple[float, float]:
    """Middle and spread, robust."""
    middle = float(np.median(values))
    return middle, max(1.4826 * float(np.median(np.abs(values - middle))), floor)


def _compact(band: np.ndarray, seed: tuple[int, ...], spacing: np.ndarray, neck: float, widest: float) -> np.ndarray:
    """The part of a band around the seed without what hangs on it by a narrow neck.

    How narrow depends on how thick the band is near the seed: a vessel is followed, muscle that touches a liver is not.
    """
    from scipy import ndimage

    whole = parts(band)
    joined = whole == whole[seed]
    box = ndimage.find_objects(joined.view(np.uint8))[0]
    joined, at = joined[box], np.array(seed) - [s.start for s in box]
    depth = depth_in(np.pad(joined, 1), spacing)[1:-1, 1:-1, 1:-1]
    reach = np.ceil(15.0 / spacing).astype(int)
    near = tuple(slice(max(0, int(a - r)), int(a + r + 1)) for a, r in zip(at, reach, strict=True))
    cut = min(neck * float(depth[near].max()), widest)
    cores = parts(depth > cut)
    core = cores == cores[near].ravel()[int(np.argmax(depth[near]))]
    joined = joined & (depth_in(~core, spacing) <= cut + spacing.min() / 2)
    out = np.zeros(band.shape, bool)
    out[box] = _without_holes(joined)
    out[seed] = True
    return out


def parts(mask: np.ndarray) -> np.ndarray:
    """Its connected components, numbered from 1 (6 neighbours)."""
    import cc3d

    return cc3d.connected_components(np.ascontiguousarray(mask), connectivity=6)


def nearer(cost: np.ndarray, spacing: np.ndarray, own: list[tuple[int, ...]], foe: list[tuple[int, ...]]) -> np.ndarray:
    """Where the cheapest path from some voxels costs less than that from others; a draw is the others'.

    A step costs its length times the mean of both voxels' costs (26 neighbours). Both go out at once (Dijkstra), so
    each voxel is reached once, by the nearest.

    Args:
        cost: of a voxel; infinity is a wall.
        spacing: mm.
        own, foe: voxels; one in both is `own`'s.

    Returns:
        bool: where `foe` is nearer.
    """
    walled = np.pad(cost, 1, constant_values=np.inf)
    moves = np.array([m for m in np.ndindex(3, 3, 3) if m != (1, 1, 1)]) - 1
    strides = np.array([walled.shape[1] * walled.shape[2], walled.shape[2], 1])
    starts = (np.array([*own, *foe], np.int64) + 1) @ strides
    lengths = np.linalg.norm(moves * spacing, axis=1)
    found = _first_there(walled.ravel(), moves @ strides, lengths, starts, len(own))
    return found.reshape(walled.shape)[1:-1, 1:-1, 1:-1]


@njit(cache=True, nogil=True)
def _first_there(cost, moves, lengths, starts, owned):
    """`nearer` on a flat volume within walls; moves are steps along it."""
    away = np.full(cost.size, np.inf)
    foe, settled = np.zeros(cost.size, np.bool_), np.isinf(cost)
    queue = [(0.0, False, 0) for _ in range(0)]
    for n in range(len(starts)):
        away[starts[n]], foe[starts[n]] = 0.0, n >= owned
        heapq.heappush(queue, (0.0, n >= owned, starts[n]))
    while queue:
        here, other, at = heapq.heappop(queue)
        if settled[at]:
            continue
        settled[at], foe[at] = True, other
        for m in range(len(moves)):
            to = at + moves[m]
            if settled[to]:
                continue
            there = here + lengths[m] * (cost[at] + cost[to]) / 2
            if there < away[to] or (there == away[to] and foe[to] and not other):
                away[to], foe[to] = there, other
                heapq.heappush(queue, (there, other, to))
    return foe


def odd(steps: np.ndarray) -> np.ndarray:
    """Blocks of an odd number of voxels, so that a block's middle is a voxel's and growing back shifts nothing."""
    return (2 * np.floor(np.maximum(np.round(steps, 4), 1) / 2 + 0.25) + 1).astype(int)


def blocks(data: np.ndarray, steps: np.ndarray, reduce) -> np.ndarray:
    """`reduce` (np.mean, np.max) of blocks of voxels; the last ones are filled up with the border's values."""
    if (steps == 1).all():
        return data
    missing = [(0, int(-n % s)) for n, s in zip(data.shape, steps, strict=True)]
    data = np.pad(data, missing, mode="edge") if any(m for _, m in missing) else data
    shape = [v for n, s in zip(data.shape, steps, strict=True) for v in (n // int(s), int(s))]
    return reduce(data.reshape(shape), axis=(1, 3, 5))


def finer(mask: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """A mask of blocks on the voxels, its surface smooth: linear interpolation, at one half."""
    if (steps == 1).all():
        return mask
    from scipy import ndimage

    fine = mask.astype(np.float32)
    for axis, step in enumerate(steps):
        if step > 1:
            fine = ndimage.uniform_filter1d(np.repeat(fine, step, axis=axis), int(step), axis=axis, mode="nearest")
    return fine > 0.5


def bounds(mask: np.ndarray, points) -> Box:
    """The smallest box that holds a mask and some voxels."""
    low, high = [], []
    for axis in range(3):
        line = np.flatnonzero(mask.any(axis=tuple(i for i in range(3) if i != axis)))
        own = [p[axis] for p in points]
        low.append(min(int(i) for i in (*line[:1], *own)))  # the mask may be empty by now
        high.append(max(int(i) for i in (*line[-1:], *own)) + 1)
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True))  # type: ignore[return-value]
