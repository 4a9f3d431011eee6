"""NIfTI-1 and NIfTI-2, plain or gzipped, read at the speed of the decompressor and written.

Knows the bytes; leaves the header's meaning (which affine rules, which data type) to nibabel, so that geometry is
exactly what nibabel says. nibabel's own reading goes through zlib and is several times slower.
"""

import io
import logging
import math
import re
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import nibabel as nib
import numpy as np
from isal import isal_zlib
from isal.igzip_lib import IsalError
from nibabel.volumeutils import apply_read_scaling

from vesalius.errors import VesaliusError
from vesalius.media.volume import Header, Volume

_DEFLATE_AT_MOST = 1032  # bytes that one compressed byte can become
_AGAIN = "copy or export the file again"
_silent = logging.getLogger("vesalius.media.nifti.header")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


def read_header(path: Path) -> Header:
    """Shape, affine, type and label table of a file; only the first bytes are decompressed."""
    with _stream(path) as stream:
        return _place(_parse(stream, path), path)


def read(path: Path) -> Volume:
    """The voxels as a Fortran-ordered, writable, native-endian array, scaled where the header scales."""
    with _stream(path) as stream:
        header = _parse(stream, path)
        place = _place(header, path)
        data = _room(place, path)
        found = _fill(stream, data.view(np.uint8).data)
        if found < data.nbytes:
            raise _unreadable(path, f"the voxels end early: {found:,} of {data.nbytes:,} bytes")
        # Reading on to the end is what makes the decompressor compare the checksum.
        while stream.read(1 << 20):
            pass
    if not place.dtype.isnative:
        data = data.byteswap(inplace=True).view(place.dtype.newbyteorder("="))
    slope, intercept = _scaling(header, path)
    data = data.reshape(place.shape, order="F")
    if (slope, intercept) != (1.0, 0.0):
        data = apply_read_scaling(data, slope, intercept)
    return Volume(data, place.affine, path, place.names)


def write(path: Path, volume: Volume, like: Path | None = None) -> None:
    """Writes NIfTI with its names as a label table, gzipped by isal if the name ends with .gz.

    Args:
        path: the file.
        volume: its affine becomes sform and qform of a NIfTI-1.
        like: a NIfTI of the same grid whose sform and qform are taken over as they stand, even where they differ, and
            whose generation of NIfTI is kept.
    """
    from vesalius.run import replacing

    data = volume.data
    if data.dtype.kind == "b":
        data = data.view(np.uint8)
    elif data.dtype.kind in "iu" and data.dtype.itemsize == 8:  # few tools read 64-bit integers
        low, high = data.min(initial=0), data.max(initial=0)
        data = data.astype(np.result_type(np.min_scalar_type(low), np.min_scalar_type(high)))
    elif data.dtype == np.float16:
        data = data.astype(np.float32)
    if like is None:
        image = nib.Nifti1Image(data, volume.affine, dtype=data.dtype)
        image.set_sform(volume.affine, code=1)
        image.set_qform(volume.affine, code=1)
        image.header.set_xyzt_units("mm")
    else:
        with _stream(like) as stream:
            given = _parse(stream, like)
        kind = nib.Nifti2Image if isinstance(given, nib.Nifti2Header) else nib.Nifti1Image
        image = kind(data, None, _geometry_of(given), dtype=data.dtype)
    if volume.names:
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", _table(volume.names)))
    content = image.to_bytes()
    if path.name.lower().endswith(".gz"):
        content = isal_zlib.compress(content, 2, wbits=31)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


_GEOMETRY = (
    "pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y",
    "qoffset_z", "srow_x", "srow_y", "srow_z",
)  # fmt: skip


def _geometry_of(header: Any) -> Any:
    """A new header with nothing but another's geometry."""
    new = type(header)()
    new.set_data_shape(tuple(int(n) for n in header["dim"][1:4]))
    for key in _GEOMETRY:
        new[key] = header[key]
    return new


def _table(names: dict[int, str]) -> bytes:
    """A label table as TotalSegmentator and Connectome Workbench keep it; read back by `_names`."""
    labels = "".join(
        f'<Label Key="{label}"><![CDATA[{name.replace("]]>", "")}]]></Label>' for label, name in names.items()
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><CaretExtension><VolumeInformation Index="0">'
        f"<LabelTable>{labels}</LabelTable></VolumeInformation></CaretExtension>"
    )
    return text.encode("utf-8")


@contextmanager
def _stream(path: Path):
    """The file's uncompressed bytes, whatever its name says; whatever goes wrong while reading, said clearly."""
    with open(path, "rb") as raw:
        magic = raw.read(2)
        if not magic:
            raise _unreadable(path, "the file is empty (0 bytes)")
        raw.seek(0)
        try:
            # The reader behind igzip.open: unlike that, it fills a given buffer, which halves the time.
            yield isal_zlib._GzipReader(raw, 1 << 20) if magic == b"\x1f\x8b" else raw
        except EOFError:
            raise _unreadable(path, "the gzip stream ends early (truncated)") from None
        except (IsalError, zlib.error, OSError) as error:  # type: ignore[misc]
            raise _unreadable(path, f"the gzip stream is damaged ({error})") from None


def _parse(stream: IO[bytes], path: Path) -> Any:
    """The nibabel header (extensions included), leaving the stream at the first voxel."""
    start = _read(stream, 348)
    kind = _kind(start, path)
    start += _read(stream, kind.sizeof_hdr - 348)
    if len(start) < kind.sizeof_hdr:
        raise _unreadable(path, f"the file ends inside its header ({len(start)} bytes)")
    try:
        offset = int(kind(start, check=False)["vox_offset"])
        rest = _read(stream, max(0, min(offset, 1 << 28) - len(start)))
        header = kind.from_fileobj(io.BytesIO(start + rest), check=False)
        _check_spacing(header, path)
        header.check_fix(logger=_silent, error_level=40)  # what nibabel's own loading mends and refuses
        header.get_best_affine()
    except nib.spatialimages.HeaderDataError as error:
        raise _unreadable(path, f"the NIfTI header is broken ({error})") from None
    except (ValueError, OverflowError, KeyError) as error:
        raise _unreadable(path, f"the NIfTI header is broken ({error})") from None
    return header


def _kind(start: bytes, path: Path):
    if start[344:348] in (b"n+1\0", b"n+1 "):
        return nib.Nifti1Header
    if start[4:8] == b"n+2\0":
        return nib.Nifti2Header
    if start[344:347] == b"ni1":
        raise _unreadable(path, "the header of an .hdr/.img pair", "convert the pair to one .nii.gz")
    if len(start) < 348:
        raise _unreadable(path, f"not a NIfTI file ({len(start)} bytes, shorter than a header)")
    raise _unreadable(path, "not a NIfTI file (no magic word where its header has one)")


def _check_spacing(header, path: Path) -> None:
    """nibabel silently reads a spacing of 0 as 1, and metres as millimetres; here both are errors.

    A spacing of 0 is none where the sform gives the spacing.
    """
    unit = {1: "metres", 3: "micrometres"}.get(int(header["xyzt_units"]) & 7)
    if unit:
        remedy = "write it in millimetres (tools disagree on what such a header means)"
        raise VesaliusError(f"the header counts in {unit}", file=path, remedy=remedy, code="geometry")
    if int(header["sform_code"]) > 0:
        return
    used = header["pixdim"][1 : 1 + max(3, min(int(header["dim"][0]), 3))].astype(float)
    if not (np.isfinite(used) & (used != 0)).all():
        raise VesaliusError(
            f"the spacing in the header is {tuple(float(x) for x in used)}",
            file=path,
            remedy="export the file again with its true spacing; it is never assumed",
            code="geometry",
        )


def _place(header, path: Path) -> Header:
    shape = tuple(int(n) for n in header.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) > 3:
        raise _unreadable(path, f"{len(shape)} dimensions, shape {shape}", "give one three-dimensional volume a file")
    shape += (1,) * (3 - len(shape))
    if min(shape) < 1:
        raise _unreadable(path, f"no voxels, shape {shape}")
    try:
        dtype = header.get_data_dtype()
    except nib.spatialimages.HeaderDataError as error:
        raise _unreadable(path, f"unknown data type ({error})") from None
    if dtype.kind not in "iuf":
        raise _unreadable(path, f"colour or complex values ({dtype})", "give one number a voxel")
    x, y, z = shape
    return Header((x, y, z), np.array(header.get_best_affine()), dtype, path, _names(header))


def _scaling(header, path: Path) -> tuple[float, float]:
    try:
        slope, intercept = header.get_slope_inter()
    except nib.spatialimages.HeaderDataError as error:
        raise _unreadable(path, f"the scaling in the header is broken ({error})") from None
    return (1.0 if slope is None else slope), (0.0 if intercept is None else intercept)


def _room(place: Header, path: Path) -> np.ndarray:
    """An array for the voxels, unless no file of this size can hold them (a broken header asks for terabytes)."""
    count = math.prod(place.shape)
    needed, size = count * place.dtype.itemsize, path.stat().st_size
    if needed > size * _DEFLATE_AT_MOST:
        raise _unreadable(path, f"the header announces {needed:,} bytes of voxels, the file has {size:,} bytes")
    return np.empty(count, dtype=place.dtype)


def _names(header) -> dict[int, str]:
    """The label table that TotalSegmentator and Connectome Workbench keep in a header extension."""
    for extension in header.extensions:
        content = extension.get_content()
        text = content.decode("utf-8", "replace") if isinstance(content, bytes) else str(content)
        if "<LabelTable>" in text:
            found = re.findall(r"<Label\s[^>]*?Key=\"(\d+)\"[^>]*>(?:<!\[CDATA\[)?(.*?)(?:\]\]>)?</Label>", text, re.S)
            return {int(key): name.strip() for key, name in found if int(key) > 0}
    return {}


def _read(stream: IO[bytes], count: int) -> bytes:
    parts = []
    while count > 0 and (part := stream.read(count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _fill(stream, target: memoryview) -> int:
    filled = 0
    while filled < len(target) and (count := stream.readinto(target[filled:])):
        filled += count
    return filled


def _unreadable(path: Path, problem: str, remedy: str = _AGAIN) -> VesaliusError:
    return VesaliusError(problem, file=path, remedy=remedy, code="unreadable")
