"""Regions drawn on an image: a box, a shaded mask, a contour — cyan with a dark rim, seen on any ground.

Knows pixels. Cyan is no colour of tissue, stain, skin or grey scans, and the rim stands out where the ground is bright.
Lines lie outside the region, so that they hide nothing of it. Images come out as RGB with nothing in the file but
pixels: no EXIF, no text, no name. Leaves which region to its callers.
"""

import io
from pathlib import Path

import numpy as np

from vesalius.errors import VesaliusError
from vesalius.instruct.labelled import Box

MARK = (0, 229, 255)
RIM = (0, 0, 0)
SHADE = 0.45  # opacity of a mask
SMALLEST = 256  # the shorter side of a drawn image is at least so long, in pixels: lines need room

Pixels = np.ndarray  # uint8, (rows, columns, 3)


def open_image(path: Path, size: tuple[int, int] | None = None) -> Pixels:
    """An image as RGB.

    Args:
        path: any picture file; 16 bits and floats are windowed from the 1st to the 99.5th percentile.
        size: (width, height) that its annotation says; EXIF's rotation is applied unless that contradicts it.

    Raises:
        VesaliusError: it is not there, broken, or no picture.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            opened.load()
            turned = ImageOps.exif_transpose(opened)
            image = opened if size == opened.size and size != turned.size else turned
            if image.mode in ("I", "F", "I;16", "I;16B", "I;16L"):
                return np.repeat(_windowed(np.asarray(image))[..., None], 3, axis=2)
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                ground = Image.new("RGBA", image.size, (0, 0, 0, 255))
                image = Image.alpha_composite(ground, image.convert("RGBA"))
            return np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        words = "this is no picture" if "cannot identify" in str(error) else str(error)
        raise VesaliusError(f"the image cannot be read ({words})", file=path.name, code="unreadable") from None


def draw(pixels: Pixels, granularity: str, box: Box | None, mask: np.ndarray | None, max_side: int) -> Pixels:
    """The image as it is shown, with the region marked on it.

    Args:
        pixels: the image.
        granularity: `image` marks nothing; `box` needs the box, `mask` and `contour` the mask.
        box: in pixels of the image.
        mask: bool, the image's rows and columns.
        max_side: the longer side, in pixels; small images are enlarged where something is drawn.
    """
    rows, columns = pixels.shape[:2]
    scale = min(1.0, max_side / max(rows, columns))
    if granularity != "image" and scale * min(rows, columns) < SMALLEST:
        scale = min(SMALLEST / min(rows, columns), max_side / max(rows, columns))
    shown = resized(pixels, scale)
    thickness = max(2, round(min(shown.shape[:2]) / 180))
    if granularity == "box" and box is not None:
        return _boxed(shown, box, scale, thickness)
    if granularity in ("mask", "contour") and mask is not None:
        area = _resized_mask(mask, shown.shape[:2])
        return _shaded(shown, area) if granularity == "mask" else _outlined(shown, area, thickness)
    return shown


def encode(pixels: Pixels, lossless: bool) -> bytes:
    """PNG, or JPEG at quality 95 without subsampling: pixels and nothing else."""
    from PIL import Image

    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    if lossless:
        image.save(buffer, "PNG")
    else:
        image.save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def resized(pixels: Pixels, scale: float) -> Pixels:
    """The image made larger or smaller."""
    from PIL import Image

    if scale == 1:
        return pixels
    rows, columns = pixels.shape[:2]
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def _resized_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    if mask.shape == shape:
        return mask
    grey = Image.fromarray(mask.astype(np.uint8) * 255).resize(shape[::-1], Image.Resampling.BILINEAR)
    return np.asarray(grey) >= 128


def _boxed(shown: Pixels, box: Box, scale: float, thickness: int) -> Pixels:
    """Frames around the box, from the outside inwards: rim, line, rim."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(shown)
    canvas = ImageDraw.Draw(image)
    width, height = image.size
    left, upper, right, lower = (round(x * scale) for x in box)
    # Where the box touches the edge the line comes inside, else it would not be seen.
    left, upper = max(left, thickness + 2), max(upper, thickness + 2)
    right, lower = min(right, width - thickness - 2), min(lower, height - thickness - 2)
    for away in range(thickness + 2, 0, -1):
        colour = RIM if away in (1, thickness + 2) else MARK
        canvas.rectangle((left - away, upper - away, right + away - 1, lower + away - 1), outline=colour)
    return np.array(image)


def _shaded(shown: Pixels, area: np.ndarray) -> Pixels:
    """A veil whose brightness still shows the tissue, with a thin line at its edge."""
    from scipy import ndimage

    picture = shown.astype(np.float32)
    picture[area] = (1 - SHADE) * picture[area] + SHADE * np.array(MARK, np.float32)
    edge = area & ~ndimage.binary_erosion(area)
    picture[edge] = MARK
    return (picture + 0.5).astype(np.uint8)


def _outlined(shown: Pixels, area: np.ndarray, thickness: int) -> Pixels:
    """A line along the outside of the region; along the image's edge, inside."""
    from scipy import ndimage

    round_ = ndimage.generate_binary_structure(2, 2)
    # Area by edge is half the width: around vessels and nuclei a thinner line, or it would hide what lies beside.
    edge = area & ~ndimage.binary_erosion(area)
    thickness = min(thickness, max(2, round(float(area.sum()) / max(float(edge.sum()), 1.0) / 2)))
    padded = np.pad(area, thickness + 1)  # the line of a region that leaves the image is closed along its edge
    line = ndimage.binary_dilation(padded, round_, thickness) & ~padded
    rim = ndimage.binary_dilation(line, round_) & ~line & ~padded
    inner = slice(thickness + 1, -thickness - 1)
    line, rim = line[inner, inner], rim[inner, inner]
    border = np.zeros_like(area)
    border[:thickness], border[-thickness:], border[:, :thickness], border[:, -thickness:] = True, True, True, True
    line = line | (area & border)
    picture = shown.copy()
    picture[rim & ~line] = RIM
    picture[line] = MARK
    return picture


def _windowed(values: np.ndarray) -> np.ndarray:
    low, high = np.percentile(values, [1, 99.5])
    scaled = (values.astype(np.float64) - low) / max(float(high - low), 1e-9)
    return (scaled.clip(0, 1) * 255 + 0.5).astype(np.uint8)
