"""Bytes to facts: what an image shows, or why it is none that a document keeps.

A pure function, for worker processes: it reads the header first, refuses what would not fit, and decodes one frame.
Bombs of many scans, tiles and pixels are told before anything is decoded; who works on strangers' images gives the
worker limits of time and memory all the same. An SVG is a program, and is not decoded. Leaves how often an image occurs
to `dedup`, and what it is worth to `unsafe.py` and `clip.py`.
"""

import hashlib
import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from vesalius.corpus.images.kinds import HEAD, kind_of

if TYPE_CHECKING:
    from vesalius.corpus.dedup import ImageHashes

TYPE, BROKEN, BOMB, TINY, ASPECT, FREQUENT, UNSAFE = "type", "broken", "bomb", "tiny", "aspect", "frequent", "unsafe"

_FORMATS = {
    "jpeg": ("JPEG", "MPO"),
    "png": ("PNG",),
    "gif": ("GIF",),
    "webp": ("WEBP",),
    "tiff": ("TIFF",),
    "bmp": ("BMP",),
    "avif": ("AVIF",),
}
_SCANS = 100  # of a JPEG; ten are usual, and each may cost as much as the whole image
_SCAN = b"\xff\xda"


class Limits(BaseModel):
    """Which images are kept.

    MMC4, OBELICS and OmniCorpus ask for 150 pixels and an aspect of 2. That aspect would drop five of 45 histology
    crops and figures with three panels in a row; what lies beyond 4 in articles are formulas and banners. NudeNet sees
    bodies in clinical images that show none, with up to 0.82 (see `unsafe.py`): the default is above that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_side: int = Field(default=150, ge=1, description="Pixels of the shorter side.")
    max_aspect: float = Field(default=4, ge=1, description="Longer side over the shorter.")
    max_pixels: int = Field(default=1 << 26, ge=1, description="Decoded at most, four bytes each.")
    most_documents: int = Field(default=10, ge=1, description="That may share an image; logos are in more.")
    unsafe: float | None = Field(
        default=0.85, ge=0, le=1, description="Score of `unsafe.py` from which an image is dropped; null keeps all."
    )


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of an image.

    Attributes:
        reason: why it is dropped (`type`, `broken`, `bomb`, `tiny`, `aspect`); "" keeps it.
        error: the reason for people.
        kind: jpeg, png, ...; what it is not, where that is the reason.
        sha256: of the bytes, hexadecimal.
        width, height: pixels, as stored; None where no header says so.
        mode: Pillow's: RGB, L, I;16, ...
        animated: whether there are more frames than the one that is looked at.
        phash: see `perceptual_hash`, 16 hexadecimal digits; None where it is flat, or dropped.
    """

    reason: str
    error: str
    kind: str
    sha256: str
    width: int | None = None
    height: int | None = None
    mode: str | None = None
    animated: bool = False
    phash: str | None = None

    def hashes(self) -> "ImageHashes":
        """As `dedup.images` takes them."""
        from vesalius.corpus.dedup import ImageHashes

        perceptual = int(self.phash, 16) if self.phash else None
        return ImageHashes(self.sha256[:32], perceptual, self.width or 0, self.height or 0)

    def facts(self) -> dict[str, Any]:
        """What of it belongs among an `Image`'s facts, besides width and height."""
        return {"sha256": self.sha256, "kind": self.kind, "animated": self.animated, "phash": self.phash}


class _Dropped(Exception):
    def __init__(self, reason: str, error: str):
        super().__init__(error)
        self.reason, self.error = reason, error


def check(data: bytes, limits: Limits = Limits()) -> Checked:
    """What bytes show, and whether that is kept. Never raises.

    Args:
        data: a file.
        limits: `min_side`, `max_aspect`, `max_pixels` count here.
    """
    kind = kind_of(data[:HEAD])
    known: dict[str, Any] = {"kind": kind, "sha256": hashlib.sha256(data).hexdigest()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of oddities that change nothing
            _look(data, kind, limits, known)
    except _Dropped as dropped:
        return Checked(dropped.reason, dropped.error, **known)
    except MemoryError:
        return Checked(BOMB, "takes more memory than there is", **known)
    except Exception as error:  # decoders raise whatever they like at damaged files
        bomb = type(error).__name__ == "DecompressionBombError"
        return Checked(BOMB if bomb else BROKEN, f"{type(error).__name__}: {error}"[:200], **known)
    return Checked("", "", **known)


def _look(data: bytes, kind: str, limits: Limits, known: dict[str, Any]) -> None:
    from vesalius.corpus.dedup import perceptual_hash  # its compiled neighbours are nothing that fetching needs

    with _opened(data, kind, limits.max_pixels) as image:
        known["width"], known["height"] = width, height = image.size
        known["mode"], known["animated"] = image.mode, bool(getattr(image, "is_animated", False))
        _raise_for_pixels(image, limits.max_pixels)
        if min(width, height) < limits.min_side:
            raise _Dropped(TINY, f"is {width} × {height}")
        if max(width, height) > limits.max_aspect * min(width, height):
            raise _Dropped(ASPECT, f"is {width} × {height}")
        image.load()
        hashed = perceptual_hash(_eight_bits(image))
        known["phash"] = None if hashed is None else f"{hashed:016x}"


def _opened(data: bytes, kind: str, most: int) -> Any:
    """A Pillow image of which only the header is read."""
    from PIL import Image

    if kind not in _FORMATS:
        raise _Dropped(TYPE if data else BROKEN, f"is {kind}" if data else "has no bytes")
    if kind == "jpeg" and data.count(_SCAN) > _SCANS:
        raise _Dropped(BOMB, f"has {data.count(_SCAN):,} scans")
    if kind == "webp" and (area := _webp_pixels(data)) > most:  # its decoder takes the memory as it opens
        raise _Dropped(BOMB, f"has {area:,} pixels")
    return Image.open(io.BytesIO(data), formats=_FORMATS[kind])


def _webp_pixels(data: bytes) -> int:
    """Of the canvas, as the first chunk has it (RFC 9649)."""
    form, numbers = data[12:16], data[20:30]
    if form == b"VP8X":
        return (1 + int.from_bytes(numbers[4:7], "little")) * (1 + int.from_bytes(numbers[7:10], "little"))
    if form == b"VP8L":
        bits = int.from_bytes(numbers[1:5], "little")
        return (1 + (bits & 0x3FFF)) * (1 + (bits >> 14 & 0x3FFF))
    width, height = (int.from_bytes(numbers[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return width * height


def _raise_for_pixels(image: Any, most: int) -> None:
    width, height = image.size
    if width * height > most:
        raise _Dropped(BOMB, f"is {width:,} × {height:,}")
    tags = getattr(image, "tag_v2", None)
    if tags and image.format == "TIFF":
        across = _number(tags.get(322)) or width
        down = _number(tags.get(323)) or min(_number(tags.get(278)) or height, height)
        if across * down > 4 * max(most, 1):
            raise _Dropped(BOMB, f"has tiles of {across:,} × {down:,}")


def _number(tag: Any) -> int:
    return int(tag[0] if isinstance(tag, tuple) else tag or 0)


def _eight_bits(image: Any) -> Any:
    """Of X-rays and microscopes with more bits, the range that is there: Pillow would cut all above 255."""
    from PIL import Image

    if image.mode not in ("F", "I") and not image.mode.startswith("I;16"):
        return image
    values = np.nan_to_num(np.asarray(image).astype(np.float32), posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    return Image.fromarray(np.rint((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8))


def picture(data: bytes, side: int | None = None, limits: Limits = Limits()) -> Any:
    """The pixels of an image that was kept, as models see them: a Pillow image, RGB, upright, over white.

    Args:
        data: a file.
        side: pixels of the longer side at most; None, as they are.
        limits: `max_pixels` counts.

    Raises:
        ValueError: it is none that `check` keeps.
    """
    from PIL import Image, ImageOps

    try:
        with _opened(data, kind_of(data[:HEAD]), limits.max_pixels) as opened:
            _raise_for_pixels(opened, limits.max_pixels)
            if side:
                opened.draft("RGB", (side, side))  # a JPEG is decoded no larger than needed
            image = _eight_bits(opened)
            image.load()
            if side:
                image.thumbnail((side, side), Image.Resampling.BICUBIC)
            image = ImageOps.exif_transpose(image)
            if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return image.convert("RGB")
    except _Dropped as dropped:
        raise ValueError(dropped.error) from None
    except Exception as error:
        raise ValueError(f"is not readable ({type(error).__name__}: {error})"[:200]) from None


def too_frequent(documents: int, limits: Limits = Limits()) -> str:
    """The reason to drop an image that so many documents have (`dedup.count_images`, `frequent`); "" keeps it."""
    return FREQUENT if documents > limits.most_documents else ""


def too_unsafe(score: float | None, limits: Limits = Limits()) -> str:
    """The reason to drop an image of such a score (`unsafe.Scorer`); "" keeps it, and all that have none."""
    return UNSAFE if limits.unsafe is not None and score is not None and score >= limits.unsafe else ""
