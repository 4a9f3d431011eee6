"""The nouns between a set on disk and its questions: a labelled image, its regions, and their masks.

Knows how a mask becomes an array, whatever it came as: a file, polygons, COCO's run lengths. Leaves finding them to
`readers` and `detection`, and drawing them to `draw`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vesalius.errors import VesaliusError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")

Box = tuple[float, float, float, float]  # left, upper, right, lower in pixels; right and lower are outside


class Mask(Protocol):
    """Something that becomes a mask."""

    def load(self) -> np.ndarray:
        """bool, shape (rows, columns)."""


@dataclass(frozen=True)
class Region:
    """One marked object: its label, and box or mask or both."""

    label: str
    box: Box | None = None
    mask: Mask | None = None


@dataclass(frozen=True)
class Labelled:
    """An image and all that is known of it.

    Attributes:
        path: the file; never shown.
        name: how errors call it (relative to the set).
        labels: of the image as a whole; with regions, also theirs.
        regions: its objects.
        counted: whether every object is a region of its own, so that regions can be counted.
        unsure: labels of which something here could not be read: they are neither counted nor said to be absent.
        row: cells of the table.
        size: (width, height) that the annotation says, where it does.
    """

    path: Path
    name: str
    labels: frozenset[str] = frozenset()
    regions: tuple[Region, ...] = ()
    counted: bool = False
    unsure: frozenset[str] = frozenset()
    row: Mapping[str, str | None] = field(default_factory=dict)
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class MaskFile:
    """A file of labels, or one part of it.

    Attributes:
        path: an image.
        value: the id, or "#rrggbb" of a coloured mask; None takes all that is bright.
        component: the number of a connected part, in scipy's order; None takes all.
    """

    path: Path
    value: int | str | None = None
    component: int | None = None

    def load(self) -> np.ndarray:
        """bool, shape (rows, columns)."""
        if self.component is not None:
            return _numbered(self.path, self.value) == self.component
        return _chosen(read_mask(self.path), self.value)


@dataclass(frozen=True)
class Polygons:
    """COCO's polygons: each x, y, x, y, … in pixels."""

    points: tuple[tuple[float, ...], ...]
    size: tuple[int, int]

    def load(self) -> np.ndarray:
        """bool, shape (rows, columns)."""
        from PIL import Image, ImageDraw

        canvas = Image.new("1", self.size)
        for polygon in self.points:
            ImageDraw.Draw(canvas).polygon(polygon, fill=1)
        return np.asarray(canvas)


@dataclass(frozen=True)
class RunLengths:
    """COCO's run lengths, plain or packed into text: down the columns, beginning with background."""

    counts: tuple[int, ...]
    size: tuple[int, int]

    def load(self) -> np.ndarray:
        """bool, shape (rows, columns)."""
        width, height = self.size
        flat = np.repeat(np.arange(len(self.counts)) % 2 == 1, self.counts)
        if flat.size != width * height:
            raise VesaliusError(f"run lengths of {flat.size} pixels for {width}×{height}", code="shape")
        return flat.reshape(width, height).T

    @classmethod
    def unpacked(cls, text: str, size: tuple[int, int]) -> "RunLengths":
        """From pycocotools' text (`rleFrString` in its `maskApi.c`)."""
        counts: list[int] = []
        place = 0
        while place < len(text):
            value, shift, more = 0, 0, True
            while more:
                chunk = ord(text[place]) - 48
                value |= (chunk & 0x1F) << shift
                more = bool(chunk & 0x20)
                place, shift = place + 1, shift + 5
                if not more and chunk & 0x10:
                    value |= -1 << shift
            counts.append(value + counts[-2] if len(counts) > 2 else value)
        return cls(tuple(counts), size)


def read_mask(path: Path) -> np.ndarray:
    """Pixels of a mask file: (rows, columns), or (rows, columns, 3) where it is coloured.

    Raises:
        VesaliusError: it is not there, or no image.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode in ("RGBA", "CMYK", "LA", "PA"):
                return _flat(np.asarray(image.convert("RGB")))
            return _flat(np.asarray(image))  # of a palette, ids stand in its numbers
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise VesaliusError(f"the mask cannot be read ({error})", file=path, code="unreadable") from None


def _flat(pixels: np.ndarray) -> np.ndarray:
    """Grey that was saved as colour is grey."""
    same = pixels.ndim == 3 and bool((pixels == pixels[..., :1]).all())
    return pixels[..., 0] if same else pixels


def _chosen(pixels: np.ndarray, value: int | str | None) -> np.ndarray:
    return bright(pixels) if value is None else ids(pixels, isinstance(value, str)) == code(value)


@lru_cache(maxsize=4)
def _numbered(path: Path, value: int | str | None) -> np.ndarray:
    """All parts of a mask at once: its regions are looked at one after another."""
    return components(_chosen(read_mask(path), value))[0]


def bright(pixels: np.ndarray) -> np.ndarray:
    """A binary mask whatever its scale: all that is not 0; above half where it is black and white, since JPEG and
    resizing smooth its edges."""
    if pixels.ndim == 3:
        pixels = pixels.max(axis=2)
    highest = int(pixels.max())
    return pixels > highest / 2 if 200 <= highest <= 255 else pixels > 0


def ids(pixels: np.ndarray, coloured: bool = False) -> np.ndarray:
    """Ids as integers: of a coloured mask 0xrrggbb, also where this one file happens to be grey."""
    if pixels.ndim == 2 and not coloured:
        return pixels.astype(np.int64)
    pixels = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    red, green, blue = (pixels[..., i].astype(np.int64) for i in range(3))
    return red << 16 | green << 8 | blue


def code(value: int | str) -> int:
    """The integer of an id or of "#rrggbb"."""
    return int(value[1:], 16) if isinstance(value, str) and value.startswith("#") else int(value)


def components(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Connected parts (8 neighbours), numbered from 1, and how many there are."""
    from scipy import ndimage

    numbered: Any = ndimage.label(mask, np.ones((3, 3)))
    return numbered


def box_of(mask: np.ndarray) -> Box:
    """The box around a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
