"""Volumes: a three-dimensional array and where it lies in the patient, whatever file it came from.

Knows the nouns (`Volume`, `Header`), which module reads which suffix, and what a label volume must be. Leaves each file
format to the module named in `READERS`, and what labels mean to `vesalius.formats`.

Indices are those of the file, (x, y, z) as NIfTI counts them; nothing is reoriented on reading. `affine` maps an index
to RAS millimetres, also for files that count in LPS (DICOM, NRRD, MetaImage).
"""

from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path

import numpy as np

from vesalius.errors import VesaliusError
from vesalius.media.grid import check_affine, grid_difference, nearest, orientation_of, same_axes, spacing_of

# Suffix -> the module with `read(path) -> Volume` and `read_header(path) -> Header`. The longest suffix that fits
# counts, and a module is imported when its first file comes. To add a format: docs/add_a_reader.md.
READERS: dict[str, str] = {
    ".nii.gz": "vesalius.media.nifti",
    ".nii": "vesalius.media.nifti",
    ".nrrd": "vesalius.media.itk",
    ".nhdr": "vesalius.media.itk",
    ".mha": "vesalius.media.itk",
    ".mhd": "vesalius.media.itk",
}
SERIES_READER = "vesalius.media.dicom"  # a folder of DICOM slices
WRITERS: dict[str, str] = {
    suffix: READERS[suffix] for suffix in (".nii.gz", ".nii", ".nrrd", ".mha")
}  # modules with `write(path, volume)`


class _Placed:
    """What follows from an affine, for headers and volumes alike."""

    affine: np.ndarray

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm along each index axis."""
        return spacing_of(self.affine)

    @property
    def orientation(self) -> str:
        """Where each index axis points: "RAS", "LPS", ..."""
        return orientation_of(self.affine)


@dataclass(frozen=True, eq=False)
class Header(_Placed):
    """What a file says of itself before its voxels are read.

    Attributes:
        shape: voxels along (x, y, z).
        affine: 4x4, index -> RAS mm.
        dtype: of the stored values, before scaling.
        path: the file, or the folder of a DICOM series.
        names: label id -> name, where the file itself carries a label table.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    dtype: np.dtype
    path: Path | None = None
    names: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Volume(_Placed):
    """An array and where it lies.

    Attributes:
        data: indexed (x, y, z) in the file's own order.
        affine: 4x4, index -> RAS mm.
        path: where it was read from.
        names: label id -> name, where the file itself carries a label table.
    """

    data: np.ndarray
    affine: np.ndarray
    path: Path | None = None
    names: dict[int, str] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along (x, y, z)."""
        return self.data.shape


def suffix_of(path: str | Path) -> str | None:
    """The longest suffix in READERS that the file name ends with (lower case), or None."""
    name = Path(path).name.lower()
    return max((suffix for suffix in READERS if name.endswith(suffix)), key=len, default=None)


def read_volume(path: str | Path) -> Volume:
    """Reads intensities, scaled as the header says: integers stay integers where there is no scaling.

    Args:
        path: a file with a suffix of READERS, or the folder of one DICOM series.

    Raises:
        VesaliusError: code `unreadable` (missing, empty, truncated, not such a file, not three-dimensional) or
            `geometry` (no spacing, degenerate affine).
    """
    return _call("read", path)


def read_header(path: str | Path) -> Header:
    """Reads shape, affine and type without the voxels, where the format allows. Errors as `read_volume`."""
    return _call("read_header", path)


def read_labels(path: str | Path) -> Volume:
    """Reads a label volume as unsigned integers (8, 16, 32 or 64 bit, the file's own width where that is unsigned).

    Floating-point files are taken if every value is a whole number.

    Raises:
        VesaliusError: as `read_volume`, and code `nan`, `fractional`, `negative` or `large`, with the first such voxel.
    """
    volume = read_volume(path)
    return replace(volume, data=as_labels(volume.data, volume.path))


def write_volume(path: str | Path, volume: Volume) -> None:
    """Writes a volume by its suffix (.nii.gz, .nii, .nrrd, .mha), under a temporary name first.

    The affine is kept as it is (NIfTI: to the float32 of its header, sform and qform both set).
    """
    path = Path(path)
    suffix = max((s for s in WRITERS if path.name.lower().endswith(s)), key=len, default=None)
    if suffix is None:
        raise VesaliusError(
            "no such volume format to write", file=path, remedy=f"name it {', '.join(WRITERS)}", code="format"
        )
    import_module(WRITERS[suffix]).write(path, volume)


def onto_grid(volume: Volume, reference, resample: bool = False) -> Volume:
    """Labels on the reference's grid.

    The same voxels in another order of axes are turned, which loses nothing; any other grid is resampled by nearest
    neighbour, and only if asked.

    Args:
        volume: labels.
        reference: anything with `shape` and `affine`.
        resample: allow nearest-neighbour resampling.

    Raises:
        VesaliusError: code `geometry`, how the grids differ, where resampling is needed and not allowed.
    """
    difference = grid_difference(volume, reference)
    if difference is None:
        return volume
    data, affine = same_axes(volume.data, volume.affine, reference)
    turned = replace(volume, data=data, affine=affine)
    difference = grid_difference(turned, reference)
    if difference is None:
        return turned
    if not resample:
        raise VesaliusError(
            f"another grid than the reference: {difference}",
            file=volume.path,
            remedy="export it on the reference's grid, or ask for resampling",
            code="geometry",
        )
    return replace(volume, data=nearest(volume.data, volume.affine, reference), affine=np.array(reference.affine))


def as_labels(data: np.ndarray, file: Path | None = None) -> np.ndarray:
    """The array as unsigned integers, without a copy where the stored type is already as wide; see `read_labels`."""
    if data.dtype.kind == "u" or data.dtype.kind == "b":
        return data.view(np.uint8) if data.dtype.kind == "b" else data
    if data.dtype.kind == "f":
        return _whole(data, file)
    low = data.min(initial=0)
    if low < 0:
        _refuse(data, data < 0, "negative", "labels count from 0", file)
    if data.dtype.itemsize <= 2:
        return data.view(f"u{data.dtype.itemsize}")
    return data.astype(np.min_scalar_type(data.max(initial=0)), order="K")


def _whole(data: np.ndarray, file: Path | None) -> np.ndarray:
    low, high = data.min(initial=0), data.max(initial=0)
    if not (np.isfinite(low) and np.isfinite(high)):
        _refuse(data, ~np.isfinite(data), "nan", "a label volume holds whole numbers alone", file)
    if low < 0:
        _refuse(data, data < 0, "negative", "labels count from 0", file)
    if high >= 2**32:
        _refuse(data, data >= 2**32, "large", "number the structures anew", file)
    labels = data.astype(np.min_scalar_type(int(high)), order="K")
    if not np.array_equal(labels, data):
        _refuse(data, labels != data, "fractional", "threshold or round it yourself, so that the choice is known", file)
    return labels


def _refuse(data: np.ndarray, wrong: np.ndarray, code: str, remedy: str, file: Path | None) -> None:
    where = tuple(int(i) for i in np.unravel_index(np.argmax(wrong), data.shape))
    words = {"nan": "not a number", "fractional": "not a whole number", "large": "too large for labels"}.get(code, code)
    count = int(np.count_nonzero(wrong))
    raise VesaliusError(
        f"{count:,} of {data.size:,} voxels are {words}, the first {data[where]:.6g} at {where}",
        file=file,
        remedy=remedy,
        code=code,
    )


def _call(function: str, path: str | Path):
    path = Path(path)
    if path.is_dir():
        module = SERIES_READER
    elif not path.exists():
        raise VesaliusError(
            "there is no such file", file=path, remedy="check the path, or where a link leads", code="unreadable"
        )
    elif (suffix := suffix_of(path)) is None:
        raise VesaliusError(
            "no reader knows this kind of file",
            file=path,
            remedy=f"give one of {', '.join(READERS)}",
            code="unreadable",
        )
    else:
        module = READERS[suffix]
    try:
        result = getattr(import_module(module), function)(path)
    except OSError as error:  # no permission, a disk that went away
        problem = f"cannot be read ({error.strerror or error})"
        raise VesaliusError(problem, file=path, remedy="check disk and permissions", code="unreadable") from None
    check_affine(result.affine, path)
    return result
