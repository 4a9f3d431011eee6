"""A small DICOM world for tests: an image series with its UIDs, and SEG and RTSTRUCT files drawn on it."""

from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

SHAPE = (40, 36, 12)  # x, y, z
SPACING = (1.5, 2.0, 4.0)
ORIGIN = np.array([-30.0, -50.0, 100.0])  # LPS
OBLIQUE = np.array([[0.96, 0.28, 0.0], [-0.28, 0.96, 0.0], [0.0, 0.0, 1.0]]).T  # columns: directions of x, y, z


def series(folder: Path, data: np.ndarray, directions: np.ndarray | None = None, slope: float = 1, uid: str = ""):
    """Writes `data` (x, y, z; stored values) as one file a slice, in shuffled order of names; returns the datasets."""
    directions = np.eye(3) if directions is None else directions
    folder.mkdir(parents=True, exist_ok=True)
    uid, study, frame = uid or generate_uid(), generate_uid(), generate_uid()
    found = []
    for k in range(data.shape[2]):
        ds = _file(CTImageStorage)
        ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Phantom^A", "A", "", "O"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, uid, frame
        ds.StudyID, ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "1", "20200101", "120000", ""
        ds.ReferringPhysicianName = ""
        ds.Modality, ds.SeriesNumber, ds.InstanceNumber, ds.SeriesDescription = "CT", 1, k + 1, f"series {uid[-4:]}"
        ds.Rows, ds.Columns, ds.PixelSpacing = data.shape[1], data.shape[0], [SPACING[1], SPACING[0]]
        ds.SliceThickness = 1.0  # on purpose not the slice distance
        ds.ImageOrientationPatient = [float(x) for x in [*directions[:, 0], *directions[:, 1]]]
        ds.ImagePositionPatient = [float(x) for x in ORIGIN + directions[:, 2] * SPACING[2] * k]
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.BitsAllocated = 1, "MONOCHROME2", 16
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 15, 1
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = slope, -1024, "HU"
        ds.PixelData = np.ascontiguousarray(data[:, :, k].T.astype("<i2")).tobytes()
        ds.save_as(folder / f"{(k * 7) % data.shape[2]:03d}.dcm", enforce_file_format=True)
        found.append(ds)
    return found


def affine(directions: np.ndarray | None = None) -> np.ndarray:
    """Index -> RAS mm of the series."""
    directions = np.eye(3) if directions is None else directions
    lps = np.eye(4)
    lps[:3, :3], lps[:3, 3] = directions * SPACING, ORIGIN
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps


def segmentation(path: Path, sources: list[pydicom.Dataset], masks: dict[str, np.ndarray], kind: str = "BINARY"):
    """Writes masks (x, y, z) as a DICOM-SEG; only BINARY ones may overlap."""
    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=i,
            segment_label=name,
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Liver,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for i, name in enumerate(masks, 1)
    ]
    pixels = np.stack([mask.transpose(2, 1, 0) for mask in masks.values()], axis=-1)
    pixels = pixels.astype(np.float32 if kind == "FRACTIONAL" else np.uint8)
    seg = hd.seg.Segmentation(
        source_images=sources, pixel_array=pixels, segmentation_type=hd.seg.SegmentationTypeValues(kind),
        segment_descriptions=descriptions, series_instance_uid=generate_uid(), series_number=9,
        sop_instance_uid=generate_uid(), instance_number=1, manufacturer="phantom", manufacturer_model_name="phantom",
        software_versions="1", device_serial_number="1",
    )  # fmt: skip
    seg.save_as(path)


def structure_set(path: Path, sources: list[pydicom.Dataset], contours: dict[str, list[np.ndarray]]):
    """Writes closed contours, each (n, 3) in LPS mm, as an RTSTRUCT."""
    ds = _file(RTStructureSetStorage)
    ds.Modality, ds.StructureSetLabel, ds.SeriesInstanceUID = "RTSTRUCT", "phantom", generate_uid()
    series_item, study_item, frame_item = Dataset(), Dataset(), Dataset()
    series_item.SeriesInstanceUID = sources[0].SeriesInstanceUID
    study_item.RTReferencedSeriesSequence = [series_item]
    frame_item.RTReferencedStudySequence = [study_item]
    frame_item.FrameOfReferenceUID = sources[0].FrameOfReferenceUID
    ds.ReferencedFrameOfReferenceSequence = [frame_item]
    ds.StructureSetROISequence, ds.ROIContourSequence = [], []
    for number, (name, polygons) in enumerate(contours.items(), 1):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, sources[0].FrameOfReferenceUID
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for points in polygons:
            contour = Dataset()
            contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
            contour.ContourData = [f"{value:.6f}" for value in points.ravel()]
            drawn.ContourSequence.append(contour)
        ds.StructureSetROISequence.append(roi)
        ds.ROIContourSequence.append(drawn)
    ds.save_as(path, enforce_file_format=True)


def _file(kind: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = kind, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = kind, meta.MediaStorageSOPInstanceUID
    return ds
