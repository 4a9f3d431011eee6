"""DICOM objects that mark structures: which kind a file is, and its structures on a grid."""

from pathlib import Path

import pydicom


def modality(path: Path) -> str:
    """The DICOM modality ("CT", "SEG", "RTSTRUCT", ...); empty where the file does not say or cannot be parsed."""
    try:
        return str(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Modality"]).get("Modality", ""))
    except (pydicom.errors.InvalidDicomError, OSError, EOFError, ValueError):
        return ""
