"""A mask on disk: NIfTI with names and the image's own geometry, or a DICOM-SEG that refers to the image's slices.

Knows file names and DICOM's words. Leaves NIfTI's bytes to `media/nifti`, DICOM's to highdicom.
"""

import json
import re
from pathlib import Path

import numpy as np
import pydicom

from vesalius import __version__
from vesalius.errors import VesaliusError
from vesalius.media import dicom, nifti
from vesalius.media.counts import present
from vesalius.media.volume import Volume, suffix_of
from vesalius.run import replacing


def stem(image: Path) -> str:
    """The image's name without its suffix, or the name of a series' folder."""
    name = image.resolve().name
    suffix = None if image.is_dir() else suffix_of(name)
    return name[: -len(suffix)] if suffix else name


def save_nifti(folder: Path, image: Path, mask: Volume) -> Path:
    """Writes `NAME_mask.nii.gz`, names in its header, and `dataset.json` beside it (nnU-Net's labels).

    Shape and affine are the image's; of a NIfTI image its sform and qform are taken over as they stand, so that every
    reader sees mask and image alike, whichever form it trusts.
    """
    path = folder / f"{stem(image)}_mask.nii.gz"
    own = suffix_of(image) in (".nii", ".nii.gz") and not image.is_dir()
    nifti.write(path, mask, like=image if own else None)
    content = {
        "labels": {"background": 0} | {name: label for label, name in _distinct(mask.names).items()},
        "file_ending": ".nii.gz",
    }
    with replacing(folder / "dataset.json") as part:
        part.write_text(json.dumps(content, indent=1, ensure_ascii=False), "utf-8")
    return path


def no_dicom(image: Path) -> str | None:
    """Why an image's mask cannot become a DICOM-SEG; None where it can."""
    return None if image.is_dir() else "DICOM-SEG refers to DICOM slices: open the series' folder instead of a file"


def save_dicom(folder: Path, image: Path, mask: Volume, model: str) -> Path:
    """Writes `NAME_mask.dcm`: one segment for each object that has voxels, each frame with the slice it was drawn on.

    Raises:
        VesaliusError: code `format` where the image is no DICOM series; `content` where no object has voxels.
    """
    import highdicom as hd

    problem = no_dicom(image)
    if problem:
        raise VesaliusError(problem, file=image, remedy="save NIfTI", code="format")
    labels = present(mask.data)
    if not labels:
        raise VesaliusError("the mask is empty", remedy="click on a structure first", code="content")
    slices = _slices(image)
    numbers = np.zeros(max(labels) + 1, np.uint8 if len(labels) < 256 else np.uint16)
    numbers[labels] = np.arange(1, len(labels) + 1)
    names = _distinct(mask.names)
    algorithm = hd.AlgorithmIdentificationSequence(name=model[:64], version=__version__, family=_family())
    segments = [
        hd.seg.SegmentDescription(
            segment_number=i,
            segment_label=names.get(label, f"label {label}")[:64],
            segmented_property_category=_category(),
            segmented_property_type=_type(names.get(label, "")),
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
            algorithm_identification=algorithm,
        )
        for i, label in enumerate(labels, 1)
    ]
    seg = hd.seg.Segmentation(
        source_images=slices,
        pixel_array=numbers[mask.data.transpose(2, 1, 0)],
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=hd.UID(),
        series_number=int(slices[0].get("SeriesNumber") or 0) + 1000,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="Vesalius",
        manufacturer_model_name="vesalius view",
        software_versions=__version__,
        device_serial_number="0",
        series_description="Vesalius segmentation",
    )
    path = folder / f"{stem(image)}_mask.dcm"
    with replacing(path) as part:
        seg.save_as(part)
    return path


def _slices(folder: Path) -> list[pydicom.Dataset]:
    """Headers of the series in the order in which `media.dicom` stacks its slices, without their pixels."""
    (found,) = dicom.series_in(folder).values()
    first = np.array(found[0].header.ImageOrientationPatient, float)
    normal = np.cross(first[:3], first[3:])
    ordered = sorted(found, key=lambda s: float(s.position @ normal))
    return [pydicom.dcmread(s.path, stop_before_pixels=True) for s in ordered]


def _distinct(names: dict[int, str]) -> dict[int, str]:
    """Names made different by their label where two are the same."""
    given = list(names.values())
    return {label: f"{name} {label}" if given.count(name) > 1 else name for label, name in names.items()}


def _family():
    from pydicom.sr.codedict import codes

    return codes.DCM.ArtificialIntelligence


def _category():
    from pydicom.sr.codedict import codes

    return codes.SCT.AnatomicalStructure


def _type(name: str):
    """SNOMED's code of an organ where its name is one of SNOMED's; else that of a body structure in general."""
    from pydicom.sr.codedict import codes

    words = re.findall(r"[A-Za-z]+", name)
    sides = {"left", "right", "l", "r"}
    keyword = "".join(word.capitalize() for word in words if word.lower() not in sides)
    return getattr(codes.SCT, keyword, None) or _category()
