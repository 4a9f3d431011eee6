"""Text that is burnt into an image: whether there is some, and where.

A neural detector of text (PP-OCRv6, in the package `rapidocr`, weights included, Apache 2.0) proposes boxes; its reader
has to be able to read something in a box for it to count, since bubbles and vessels are proposed too. What was read is
not kept. Axis labels and laterality marks are text as well: this states a fact, and the caller decides.
"""

import os
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from vesalius.errors import VesaliusError

_MOST = 800  # pixels of a side that go through the detector at once; larger images go in tiles
_OVERLAP = 120  # more than most words are wide
_LEAST, _LEAST_OF_TWO = 0.6, 0.8  # the reader's mean certainty; vessels pass for one or two letters
_VAST = 0.15  # of a side
_SPECK = 7  # pixels: single letters lower than this are dots


class TextBox(NamedTuple):
    """Where text is: pixels, left and top in, right and bottom out; `score` is how surely it was read, 0 to 1."""

    left: int
    top: int
    right: int
    bottom: int
    score: float


def burnt_in(pixels: np.ndarray, most: int | None = None) -> list[TextBox]:
    """Boxes of text in an image, from top to bottom.

    Args:
        pixels: uint8, grey (rows, columns) or (rows, columns, 1), RGB or RGBA (alpha is ignored). DICOM pixels are to
            be windowed first, as they are shown.
        most: proposed boxes that are read of each 800 × 800 pixels, the largest: a chart has dozens, and reading takes
            most of the time. None reads all.

    Raises:
        VesaliusError: code `shape`, other pixels; code `library`, the extra is not installed.
    """
    image = _as_bgr(pixels)
    rows, columns = image.shape[:2]
    if min(rows, columns) < 8 or image.min() == image.max():
        return []
    found = []
    for top in _starts(rows):
        for left in _starts(columns):
            tile = image[top : top + _MOST, left : left + _MOST]
            found += [
                (left + x0, top + y0, left + x1, top + y1, score) for x0, y0, x1, y1, score in _in_tile(tile, most)
            ]
    boxes = [
        TextBox(
            max(0, int(x0)), max(0, int(y0)), min(columns, int(np.ceil(x1))), min(rows, int(np.ceil(y1))), round(s, 2)
        )
        for x0, y0, x1, y1, s in found
    ]
    return sorted(_merged(boxes), key=lambda box: (box.top, box.left))


def _as_bgr(pixels: np.ndarray) -> np.ndarray:
    array = np.asarray(pixels)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        remedy = (
            "give uint8 pixels of one image: (rows, columns), or with 1, 3 or 4 channels; window DICOM pixels first"
        )
        raise VesaliusError(f"no image: {array.dtype} of shape {array.shape}", remedy=remedy, code="shape")
    if array.ndim == 2 or array.shape[2] == 1:
        array = np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(array[:, :, 2::-1])


def _starts(length: int) -> list[int]:
    """Where tiles begin along a side: they overlap, and the last ends at the image's end."""
    if length <= _MOST:
        return [0]
    return [*range(0, length - _MOST, _MOST - _OVERLAP), length - _MOST]


def _in_tile(tile: np.ndarray, most: int | None) -> list[tuple[float, float, float, float, float]]:
    reader = _reader()
    proposed = reader(tile, use_det=True, use_cls=False, use_rec=False).boxes
    if proposed is None:
        return []
    sides = [np.ptp(box, axis=0).prod() for box in proposed]
    boxes = [proposed[i] for i in np.argsort(sides, kind="stable")[::-1][:most]]
    read = reader.recognize_txt(reader.crop_text_regions(tile, boxes))
    found = []
    for box, words, score in zip(boxes, read.txts, read.scores, strict=True):
        (x0, y0), (x1, y1) = box.min(axis=0), box.max(axis=0)
        letters = sum(map(str.isalnum, words))
        # A few letters that fill much of an image are nuclei, vessels or a lung that the reader took for an O.
        share = min((y1 - y0) / tile.shape[0], (x1 - x0) / tile.shape[1])
        speck = letters == 1 and y1 - y0 < _SPECK
        sure = score >= (_LEAST_OF_TWO if letters <= 2 else _LEAST)
        if letters and sure and not speck and share < (_VAST if letters <= 3 else 2 * _VAST):
            found.append((x0, y0, x1, y1, float(score)))
    return found


def _merged(boxes: list[TextBox]) -> list[TextBox]:
    """Without boxes that overlap: what two tiles saw is one."""
    left = list(boxes)
    for _ in range(len(boxes)):
        pair = next(((a, b) for i, a in enumerate(left) for b in left[i + 1 :] if _overlap(a, b)), None)
        if pair is None:
            break
        a, b = pair
        left = [box for box in left if box is not a and box is not b]
        ends = (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))
        left.append(TextBox(*ends, max(a.score, b.score)))
    return left


def _overlap(a: TextBox, b: TextBox) -> bool:
    """Whether they share half of the smaller."""
    width, height = min(a.right, b.right) - max(a.left, b.left), min(a.bottom, b.bottom) - max(a.top, b.top)
    smaller = min((box.right - box.left) * (box.bottom - box.top) for box in (a, b))
    return width > 0 and height > 0 and width * height >= smaller / 2


@cache
def _reader() -> Any:
    """The detector and the reader, loaded once; on OMP_NUM_THREADS threads, else on two."""
    try:
        from rapidocr import RapidOCR
    except ImportError as error:
        remedy = "pip install 'vesalius[privacy]'"
        raise VesaliusError(f"{error.name} is not installed", remedy=remedy, code="library") from None
    threads = int(os.environ.get("OMP_NUM_THREADS", "2"))
    engine = "EngineConfig.onnxruntime."
    return RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.use_cls": False,
            "Global.text_score": _LEAST,
            f"{engine}intra_op_num_threads": threads,
            f"{engine}inter_op_num_threads": 1,
        }
    )
