"""What a batch looks like: three planes of each crop, the truth outlined, for the data page."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vesalius.media.render import png

_LINE = np.array([255, 176, 32], np.uint8)


def picture(items: Sequence[Mapping[str, Any]]) -> list[tuple[str, bytes]]:
    """(caption, PNG) of each item of `Crops`: planes through the middle of the truth, side by side."""
    return [(f"{', '.join(item['target'])} · {item['case']}", png(_planes(item))) for item in items]


def _planes(item: Mapping[str, Any]) -> np.ndarray:
    image, truth = item["pixel_values"][0].numpy(), item["truth"][0].numpy() > 0.5
    at = np.argwhere(truth).mean(0).astype(int) if truth.any() else np.array(image.shape) // 2
    low, high = np.percentile(image, [2, 99.5])
    shown = np.clip((image - low) / max(high - low, 1e-6) * 255, 0, 255).astype(np.uint8)
    return np.concatenate([_plane(shown, truth, axis, int(at[axis])) for axis in (2, 1, 0)], 1)


def _plane(image: np.ndarray, truth: np.ndarray, axis: int, index: int) -> np.ndarray:
    """One plane as seen by a reader: right hand left, front or head up."""
    grey, mask = (a.take(index, axis).T[::-1, ::-1] for a in (image, truth))
    grey, mask = (a.repeat(3, 0).repeat(3, 1) for a in (grey, mask))
    inner = mask.copy()
    for shift, along in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
        inner &= np.roll(mask, shift, along)
    out = np.repeat(grey[..., None], 3, 2)
    out[mask & ~inner] = _LINE
    return out
