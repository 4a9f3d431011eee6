"""Where a person would click next: in what is wrong with the mask so far. It sees the truth; models see its clicks
alone.

Two ways, as in the public protocols: anywhere in the error region with the same chance (SAM-Med3D), or where the error
is deepest (nnInteractive, RITM, by distance transform in mm).
"""

import numpy as np

WAYS = ("random", "deepest")


def next_click(
    mask: np.ndarray, truth: np.ndarray, way: str, rng: np.random.Generator, spacing: tuple[float, ...] = (1, 1, 1)
) -> tuple[tuple[int, int, int], bool] | None:
    """The next click: a voxel that is wrong, and whether it belongs to the structure.

    Args:
        mask: bool, what the model gave; all False before the first click.
        truth: bool, same shape.
        way: "random" or "deepest".
        rng: of the random way, and of nothing in the other.
        spacing: mm along each axis, of the deepest way.

    Returns:
        (voxel, positive); where nothing is wrong, a voxel of the truth again; None where the truth is empty.

    >>> truth = np.zeros((9, 9, 9), bool)
    >>> truth[2:7, 2:7, 2:7] = True
    >>> next_click(np.zeros_like(truth), truth, "deepest", np.random.default_rng(0))
    ((4, 4, 4), True)
    """
    wrong = mask != truth
    if not wrong.any():
        wrong = truth
    if not wrong.any():
        return None
    if way == "random":
        at = np.unravel_index(rng.choice(np.flatnonzero(wrong)), wrong.shape)
    else:
        at = _deepest(wrong & truth, wrong & ~truth, spacing)
    voxel = tuple(int(i) for i in at)
    return voxel, bool(truth[voxel])  # type: ignore[return-value]


def _deepest(missing: np.ndarray, extra: np.ndarray, spacing: tuple[float, ...]) -> tuple[int, ...]:
    """The voxel farthest from the border of the region that it is missing from, or extra in; the first among equals."""
    best: tuple[float, tuple[int, ...]] = (-1.0, (0, 0, 0))
    for region in (missing, extra):
        if not region.any():
            continue
        from scipy import ndimage

        box = ndimage.find_objects(region.view(np.uint8))[0]
        # The volume's edge is a border too: a click there is as shallow as anywhere else at one.
        depth = ndimage.distance_transform_edt(np.pad(region[box], 1), spacing)[1:-1, 1:-1, 1:-1]
        at = np.unravel_index(np.argmax(depth), depth.shape)
        if depth[at] > best[0]:
            best = float(depth[at]), tuple(int(i + s.start) for i, s in zip(at, box, strict=True))
    return best[1]
