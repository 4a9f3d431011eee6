"""A DICOM series: a folder of single-frame slices as one volume.

Knows where slices lie (image position and orientation, never slice thickness) and what may be wrong with a folder of
them: several series, missing, doubled or uneven slices. Leaves decoding and rescaling of pixels to GDCM (SimpleITK),
and DICOM-SEG and RTSTRUCT to `dicom_objects`.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydicom

from vesalius.errors import VesaliusError
from vesalius.media.volume import Header, Volume

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_TAGS = [
    "SeriesInstanceUID", "SeriesDescription", "Modality", "Rows", "Columns", "NumberOfFrames", "PixelSpacing",
    "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept", "SpacingBetweenSlices",
]  # fmt: skip
_PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
# How far a slice may lie from its place on an even grid, as a share of the slice distance (positions are rounded).
_UNEVEN = 0.1


class _Slice(NamedTuple):
    path: Path
    position: np.ndarray  # LPS mm of the first pixel's centre
    header: pydicom.Dataset


def read_header(folder: Path, series: str | None = None) -> Header:
    """Shape, affine and type of a series, from all slices' headers."""
    return _header(_slices(folder, series), folder)


def read(folder: Path, series: str | None = None) -> Volume:
    """The slices of one series in order, rescaled (HU for CT).

    Args:
        folder: holds the slices; other objects beside them (SEG, RTSTRUCT, reports) are passed over.
        series: SeriesInstanceUID, needed where the folder holds several series.

    Raises:
        VesaliusError: code `unreadable` (no slices, undecodable), `several_series`, or `geometry` (slices missing,
            doubled, uneven, of different size or direction).
    """
    import SimpleITK as sitk

    slices = _slices(folder, series)
    header = _header(slices, folder)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(s.path) for s in slices])
    # Without this ITK casts every slice to the type of the first, whose scaling may be whole while others are not.
    reader.SetOutputPixelType(sitk.sitkInt32 if header.dtype.kind == "i" else sitk.sitkFloat32)
    try:
        array = sitk.GetArrayFromImage(reader.Execute()).T
    except RuntimeError as error:
        raise _unreadable(folder, f"cannot be decoded: {str(error).strip().splitlines()[-1].strip()}") from None
    if header.dtype.kind == "i" and array.min() >= -32768 and array.max() <= 32767:
        array = array.astype(np.int16)
    return Volume(array, header.affine, folder)


def series_in(folder: Path) -> dict[str, list[_Slice]]:
    """The image slices in a folder by SeriesInstanceUID, in no order. Files that are not images are passed over."""
    found: dict[str, list[_Slice]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_file():
            continue
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        except (pydicom.errors.InvalidDicomError, EOFError):
            continue
        placed = [len(header.get(tag) or ()) for tag in _PLACE]
        if header.get("Rows") and placed == [3, 6, 2]:
            position = np.array(header.ImagePositionPatient, float)
            found.setdefault(str(header.get("SeriesInstanceUID", "")), []).append(_Slice(path, position, header))
        elif int(header.get("NumberOfFrames") or 1) > 1 and header.get("Modality") in ("CT", "MR", "PT"):
            raise _unreadable(path, "a multi-frame image", "convert it to NIfTI, or export one file a slice")
    return found


def _slices(folder: Path, series: str | None) -> list[_Slice]:
    """The slices of the chosen series, ordered along their normal."""
    found = series_in(folder)
    if not found:
        raise _unreadable(folder, "no DICOM slices in this folder", "give a volume file or the folder of one series")
    if series is None and len(found) > 1:
        names = "; ".join(
            f"{uid} ({slices[0].header.get('SeriesDescription') or 'no description'}, {len(slices)} slices)"
            for uid, slices in sorted(found.items())
        )
        remedy = "keep one series a folder, or name one: vesalius.media.dicom.read(folder, series=...)"
        raise VesaliusError(f"{len(found)} series: {names}", file=folder, remedy=remedy, code="several_series")
    if series is not None and series not in found:
        raise _unreadable(folder, f"no series {series} (there are: {', '.join(found)})", "choose one of them")
    slices = found[series] if series is not None else next(iter(found.values()))
    normal = _normal(slices[0].header)
    return sorted(slices, key=lambda s: float(s.position @ normal))


def _header(slices: list[_Slice], folder: Path) -> Header:
    first = slices[0].header
    directions = np.array(first.ImageOrientationPatient, float)
    for s in slices:
        if (s.header.Rows, s.header.Columns) != (first.Rows, first.Columns):
            raise _geometry(s.path, "another number of rows or columns than the first slice")
        turned = np.abs(np.array(s.header.ImageOrientationPatient, float) - directions).max() > 1e-3
        if turned or np.abs(np.array(s.header.PixelSpacing, float) - first.PixelSpacing).max() > 1e-3:
            raise _geometry(s.path, "another direction or pixel spacing than the first slice")
    affine = np.eye(4)
    affine[:3, 0] = directions[:3] * float(first.PixelSpacing[1])
    affine[:3, 1] = directions[3:] * float(first.PixelSpacing[0])
    affine[:3, 2] = _step(slices, folder)
    affine[:3, 3] = slices[0].position
    whole = all(
        float(s.header.get("RescaleSlope", 1)).is_integer() and float(s.header.get("RescaleIntercept", 0)).is_integer()
        for s in slices
    )
    dtype = np.dtype(np.int16 if whole else np.float32)
    return Header((int(first.Columns), int(first.Rows), len(slices)), LPS_TO_RAS @ affine, dtype, folder)


def _step(slices: list[_Slice], folder: Path) -> np.ndarray:
    """The vector from one slice to the next in mm, checked to be the same all along."""
    normal = _normal(slices[0].header)
    if len(slices) == 1:
        distance = slices[0].header.get("SpacingBetweenSlices")
        if not distance:
            raise _geometry(folder, "a single slice: its distance to a next one is unknown")
        return normal * abs(float(distance))
    at = np.array([float(s.position @ normal) for s in slices])
    gaps = np.diff(at)
    usual = float(np.median(gaps))
    if gaps.min() < 0.01:
        i = int(np.argmin(gaps))
        raise _geometry(folder, f"two slices at {at[i]:.2f} mm ({slices[i].path.name}, {slices[i + 1].path.name})")
    step = (slices[-1].position - slices[0].position) / (len(slices) - 1)
    even = at[0] + np.arange(len(at)) * float(step @ normal)
    if np.abs(at - even).max() > _UNEVEN * usual:
        i = int(np.argmax(gaps))
        missing = round(gaps[i] / usual) - 1
        what = f"{missing} slice{'s' if missing > 1 else ''} missing" if missing > 0 else "slices are unevenly spaced"
        raise _geometry(folder, f"{what} between {at[i]:.2f} and {at[i + 1]:.2f} mm (usual distance {usual:.3g} mm)")
    return step


def _normal(header: pydicom.Dataset) -> np.ndarray:
    directions = np.array(header.ImageOrientationPatient, float)
    return np.cross(directions[:3], directions[3:])


def _geometry(path: Path, problem: str) -> VesaliusError:
    return VesaliusError(problem, file=path, remedy="export the whole series again", code="geometry")


def _unreadable(path: Path, problem: str, remedy: str = "export the series again") -> VesaliusError:
    return VesaliusError(problem, file=path, remedy=remedy, code="unreadable")
