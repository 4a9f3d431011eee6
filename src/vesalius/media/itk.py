"""NRRD and MetaImage through SimpleITK, turned from ITK's LPS into RAS.

Knows what ITK's readers assume in silence (a spacing of 1 where there is none) and refuses it.
"""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from vesalius.errors import VesaliusError
from vesalius.media.volume import Header, Volume
from vesalius.run import replacing

sitk.ProcessObject.SetGlobalWarningDisplay(False)

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SPACING_WORDS = (b"spacings", b"space directions", b"elementspacing", b"elementsize")


def read_header(path: Path) -> Header:
    """Shape, affine and type of a file."""
    reader = _open(path)
    x, y, z = reader.GetSize()
    kind = sitk.GetArrayViewFromImage(sitk.Image(1, 1, reader.GetPixelIDValue())).dtype
    return Header((x, y, z), affine_of(reader), np.dtype(kind), path, _names(reader))


def read(path: Path) -> Volume:
    """The voxels, indexed (x, y, z)."""
    reader = _open(path)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise _unreadable(path, error) from None
    return Volume(sitk.GetArrayFromImage(image).T, affine_of(image), path, _names(reader))


def write(path: Path, volume: Volume) -> None:
    """Writes a compressed NRRD or MetaImage."""
    data = volume.data.view(np.uint8) if volume.data.dtype.kind == "b" else volume.data
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
    affine = _LPS_TO_RAS @ volume.affine
    image.SetSpacing(volume.spacing)
    image.SetOrigin([float(value) for value in affine[:3, 3]])
    image.SetDirection((affine[:3, :3] / volume.spacing).ravel().tolist())
    with replacing(path) as temporary:
        sitk.WriteImage(image, str(temporary), useCompression=True)


def affine_of(image) -> np.ndarray:
    """Index -> RAS mm of a SimpleITK image or reader."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return _LPS_TO_RAS @ affine


def _names(reader: sitk.ImageFileReader) -> dict[int, str]:
    """Segment names that 3D Slicer keeps in the header of a .seg.nrrd."""
    keys = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys() if key.startswith("Segment")}
    found = {}
    for key, name in keys.items():
        label = keys.get(key.removesuffix("_Name") + "_LabelValue", "") if key.endswith("_Name") else ""
        if label.strip().isdigit():
            found[int(label)] = name.strip()
    return dict(sorted(found.items()))


def _open(path: Path) -> sitk.ImageFileReader:
    with open(path, "rb") as file:
        start = file.read(1 << 16)
    if not start:
        raise _unreadable(path, "the file is empty (0 bytes)")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _unreadable(path, error) from None
    if reader.GetDimension() != 3 or reader.GetNumberOfComponents() != 1:
        shape = f"{reader.GetDimension()} dimensions with {reader.GetNumberOfComponents()} numbers a voxel"
        remedy = "give one number a voxel (from 3D Slicer: export segments as a label map, or one file a segment)"
        raise VesaliusError(shape, file=path, remedy=remedy, code="unreadable")
    if not any(word in start.lower() for word in _SPACING_WORDS):
        raise VesaliusError(
            "the header gives no spacing", file=path, remedy="export it with its true spacing", code="geometry"
        )
    return reader


def _unreadable(path: Path, problem: object) -> VesaliusError:
    # SimpleITK's messages are paragraphs: the last line says what happened.
    line = str(problem).strip().splitlines()[-1].strip()
    return VesaliusError(f"cannot be read: {line}", file=path, remedy="copy or export it again", code="unreadable")
