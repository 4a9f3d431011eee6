"""Pictures of volumes and masks as PNG: one windowed slice, and a prediction held against its reference.

Knows how radiologists look (patient's right on the left, head up, true proportions) and how to show agreement and error
so that colour is not the only carrier: missed is striped, extra is dotted, confused is crossed. One structure is blue
in the reference and orange in the prediction; several have the same colour in both. Writes no text into pictures;
`LEGEND` has the colours for captions. Leaves which cases to show to the report.
"""

import io
from typing import Literal

import numpy as np
from PIL import Image

from vesalius.media.grid import Grid, orientation_of, same_axes, spacing_of
from vesalius.media.volume import Volume, onto_grid

Plane = Literal["axial", "coronal", "sagittal"]

SIZE = 400  # pixels of a square panel
_OVER = 2  # panels are drawn this many times larger and averaged, for smooth edges
SOFT_TISSUE = (40.0, 400.0)  # level, width in HU

# Okabe and Ito's palette, told apart with any colour vision; ordered by how well it stands out on grey.
PALETTE = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#0072B2")
LEGEND = {
    "reference": "#56B4E9",
    "prediction": "#E69F00",
    "agreement": "#B8C4CC",
    "missed": "#56B4E9",
    "extra": "#F2711C",
    "confused": "#CC79A7",
}
_AXIS: dict[Plane, int] = {"sagittal": 0, "coronal": 1, "axial": 2}  # of an array in LPS order
_BACKGROUND = 0.16  # grey where there is no image


def slice_plane(
    volume: Volume, plane: Plane = "axial", index: int | None = None, window: tuple[float, float] | None = None
) -> np.ndarray:
    """One slice in display orientation with true proportions.

    Args:
        volume: intensities.
        plane: which.
        index: of the slice, along the file's own axis that is nearest to the plane's normal; the middle by default.
        window: (level, width); by default soft tissue for what looks like HU, else the 1st to 99.5th percentile.

    Returns:
        uint8, shape (rows, columns); the longer side has at least SIZE pixels.
    """
    data, spacing = _facing(volume.data, volume.affine, plane)
    if index is None:
        index = data.shape[2] // 2
    elif _runs_backwards(volume, plane):
        index = data.shape[2] - 1 - index
    grey = _windowed(data[:, :, index], window or default_window(volume.data))
    height, width = np.array(grey.shape) * spacing
    scale = max(SIZE, *grey.shape) / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return _bytes(np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC)))


def png(pixels: np.ndarray) -> bytes:
    """A uint8 array, (rows, columns) or (rows, columns, 3), as PNG; colour in 256 shades, which halves the size."""
    image = Image.fromarray(pixels)
    if image.mode == "RGB":
        image = image.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def default_window(data: np.ndarray) -> tuple[float, float]:
    """(level, width): soft tissue where values reach down to air in HU, else the 1st to 99.5th percentile."""
    sample = data[tuple(slice(None, None, max(1, n // 64)) for n in data.shape)]
    sample = sample[np.isfinite(sample)]
    if sample.size and sample.min() <= -500 and sample.max() > 100:
        return SOFT_TISSUE
    low, high = np.percentile(sample, [1, 99.5]) if sample.size else (0.0, 1.0)
    return float(low + high) / 2, max(float(high - low), 1e-6)


def telling_slice(reference: np.ndarray, prediction: np.ndarray, axis: int) -> int:
    """The index along `axis` with most wrong voxels; where none is wrong, with most of the reference."""
    others = tuple(i for i in range(3) if i != axis)
    wrong = np.count_nonzero(reference != prediction, axis=others)
    return int(np.argmax(wrong if wrong.any() else np.count_nonzero(reference, axis=others)))


def comparison(
    image: Volume | None,
    reference: Volume,
    prediction: Volume | None,
    *,
    window: tuple[float, float] | None = None,
    plane: Plane | None = None,
) -> dict[str, bytes]:
    """The most telling slice of a case as four square PNG panels: "image", "reference", "prediction", "error".

    All four show the same part of the slice, closely around the structures but never less than 90 mm.

    Args:
        image: intensities on the reference's grid; None gives a grey background.
        reference: labels or bool.
        prediction: labels or bool on the same grid; None is an empty one (a failed or missing prediction).
        window: (level, width), see `slice_plane`.
        plane: by default the one in which slices were acquired (across the largest spacing), axial if that is unclear.

    Raises:
        VesaliusError: code `geometry` where the grids differ.
    """
    plane = plane or acquisition_plane(reference)
    wanted, spacing = _facing(reference.data, reference.affine, plane)
    given = np.zeros_like(wanted) if prediction is None else _alongside(prediction, reference, plane)
    index = telling_slice(wanted, given, 2)
    wanted, given = wanted[:, :, index].astype(np.int64), given[:, :, index].astype(np.int64)
    crop = _crop((wanted > 0) | (given > 0), spacing)
    grey = np.full((SIZE * _OVER, SIZE * _OVER), _BACKGROUND, np.float32)
    if image is not None:
        pixels = _alongside(image, reference, plane)[:, :, index]
        grey = _zoom(_windowed(pixels, window or default_window(image.data)), crop, Image.Resampling.BICUBIC).clip(0, 1)
    base = np.repeat(grey[:, :, None], 3, axis=2)
    several = max(reference.data.max(), 0 if prediction is None else prediction.data.max()) > 1
    ours, theirs = (PALETTE, PALETTE) if several else ((LEGEND["prediction"],), (LEGEND["reference"],))
    return {
        "image": png(_bytes(_shrink(grey))),
        "reference": png(_bytes(_shrink(_labelled(base, wanted, crop, theirs)))),
        "prediction": png(_bytes(_shrink(_labelled(base, given, crop, ours)))),
        "error": png(_bytes(_shrink(_errors(base, wanted, given, crop)))),
    }


def acquisition_plane(grid: Grid) -> Plane:
    """The plane across the largest spacing; axial where no spacing is half as large again as the smallest."""
    spacing = np.array(spacing_of(grid.affine))
    if spacing.max() < 1.5 * spacing.min():
        return "axial"
    letter = orientation_of(grid.affine)[int(np.argmax(spacing))]
    return "sagittal" if letter in "LR" else "coronal" if letter in "AP" else "axial"


def _alongside(volume: Volume, reference: Volume, plane: Plane) -> np.ndarray:
    """A volume on the reference's grid (its axes may be turned) as `_facing` shows the reference."""
    volume = onto_grid(volume, reference)
    return _facing(volume.data, reference.affine, plane)[0]


def _facing(data: np.ndarray, affine: np.ndarray, plane: Plane) -> tuple[np.ndarray, np.ndarray]:
    """A view (rows, columns, slices) as the plane is looked at, and the mm of a row and a column."""
    data, affine = same_axes(data, affine, Volume(data, np.diag([-1.0, -1.0, 1.0, 1.0])))  # left, posterior, superior
    spacing = spacing_of(affine)
    if plane == "axial":  # anterior up, patient's right on the left
        return data.transpose(1, 0, 2), np.array([spacing[1], spacing[0]])
    if plane == "coronal":  # head up, patient's right on the left
        return data[:, :, ::-1].transpose(2, 0, 1), np.array([spacing[2], spacing[0]])
    return data[:, :, ::-1].transpose(2, 1, 0), np.array([spacing[2], spacing[1]])  # head up, face to the left


def _runs_backwards(volume: Volume, plane: Plane) -> bool:
    """Whether slices along the plane's normal run right, anterior or inferior in the file."""
    return "RAI"[_AXIS[plane]] in volume.orientation


def _windowed(pixels: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    level, width = window
    values = np.nan_to_num(np.asarray(pixels, np.float32), nan=level - width)
    return ((values - (level - width / 2)) / width).clip(0, 1).astype(np.float32)


def _crop(marked: np.ndarray, spacing: np.ndarray) -> tuple[float, float, float, float]:
    """A square in mm around what is marked, as (left, upper, right, lower) in pixels of the slice."""
    extent = np.array(marked.shape) * spacing
    if marked.any():
        where = np.argwhere(marked)
        low, high = where.min(axis=0) * spacing, (where.max(axis=0) + 1) * spacing
        side = min(max(1.5 * (high - low).max(), 90.0), extent.max())
        # Within the picture where that is possible: black margins tell nothing.
        centre = (low + high) / 2
        centre = np.where(extent > side, centre.clip(side / 2, np.maximum(extent - side / 2, side / 2)), extent / 2)
    else:
        side, centre = extent.max(), extent / 2
    upper, left = (centre - side / 2) / spacing
    lower, right = (centre + side / 2) / spacing
    return float(left), float(upper), float(right), float(lower)


def _zoom(pixels: np.ndarray, crop: tuple[float, float, float, float], how: Image.Resampling) -> np.ndarray:
    """The cropped part of a slice, float32 (SIZE * _OVER squared); outside the slice there is 0."""
    left, upper, right, lower = crop
    rows, columns = pixels.shape
    pad = [(max(0, int(np.ceil(-upper))), max(0, int(np.ceil(lower - rows)))),
           (max(0, int(np.ceil(-left))), max(0, int(np.ceil(right - columns))))]  # fmt: skip
    padded = np.pad(pixels.astype(np.float32), pad)
    box = (left + pad[1][0], upper + pad[0][0], right + pad[1][0], lower + pad[0][0])
    box = (max(box[0], 0), max(box[1], 0), min(box[2], padded.shape[1]), min(box[3], padded.shape[0]))
    return np.asarray(Image.fromarray(padded).resize((SIZE * _OVER, SIZE * _OVER), how, box=box))


def _area(mask: np.ndarray, crop: tuple[float, float, float, float]) -> np.ndarray:
    """A mask's voxels at panel size, edges smoothed where linear interpolation crosses one half."""
    return _zoom(mask, crop, Image.Resampling.BILINEAR) >= 0.5


def _labelled(base: np.ndarray, labels: np.ndarray, crop, colours: tuple[str, ...]) -> np.ndarray:
    """Each label as a translucent fill with a crisp line around it."""
    picture = base.copy()
    for label in np.unique(labels[labels > 0]):
        area = _area(labels == label, crop)
        colour = colours[(int(label) - 1) % len(colours)]
        _paint(picture, area, colour, 0.28)
        _outline(picture, area, colour)
    return picture


def _errors(base: np.ndarray, wanted: np.ndarray, given: np.ndarray, crop) -> np.ndarray:
    """Agreement muted, missed striped, extra dotted, one structure taken for another crossed."""
    picture = base * 0.8
    rows, columns = np.indices(base.shape[:2])
    rising, falling = (rows + columns) % 16 < 5, (rows - columns) % 16 < 5
    dots = (rows % 14 - 6.5) ** 2 + ((columns + rows // 14 % 2 * 7) % 14 - 6.5) ** 2 < 13
    _paint(picture, _area((wanted == given) & (wanted > 0), crop), LEGEND["agreement"], 0.22)
    for kind, wrong, pattern in (
        ("missed", (wanted > 0) & (given == 0), rising),
        ("extra", (wanted == 0) & (given > 0), dots),
        ("confused", (wanted > 0) & (given > 0) & (wanted != given), rising | falling),
    ):
        area = _area(wrong, crop)
        _paint(picture, area, LEGEND[kind], 0.42)
        _paint(picture, area & pattern, LEGEND[kind], 0.9)
        _outline(picture, area, LEGEND[kind])
    _outline(picture, _area(wanted > 0, crop), "#FFFFFF", width=1)
    return picture


def _paint(picture: np.ndarray, area: np.ndarray, colour: str, opacity: float) -> None:
    picture[area] = (1 - opacity) * picture[area] + opacity * _rgb(colour)


def _outline(picture: np.ndarray, area: np.ndarray, colour: str, width: int = 2) -> None:
    """A line along the inner edge, with a dark rim outside so that it stands out on bright ground."""
    from scipy import ndimage

    if not area.any():
        return
    (top, left), (bottom, right) = (f(np.argwhere(area), axis=0) for f in (np.min, np.max))
    near = slice(max(top - 4, 0), bottom + 5), slice(max(left - 4, 0), right + 5)
    area, picture = area[near], picture[near]  # views: the rest of the panel is left alone
    inner = area & ~ndimage.binary_erosion(area, iterations=width * _OVER // 2 + 1)
    rim = ndimage.binary_dilation(area, iterations=_OVER) & ~area
    _paint(picture, rim, "#000000", 0.45)
    _paint(picture, inner, colour, 1.0)


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def _shrink(picture: np.ndarray) -> np.ndarray:
    blocks = picture.reshape(SIZE, _OVER, SIZE, _OVER, *picture.shape[2:])
    return blocks.mean(axis=(1, 3))


def _bytes(picture: np.ndarray) -> np.ndarray:
    return (picture.clip(0, 1) * 255 + 0.5).astype(np.uint8)
