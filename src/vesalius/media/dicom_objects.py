"""DICOM objects that mark structures: segmentations (SEG) and contours of treatment planning (RTSTRUCT).

Knows how each places its structures in the patient and how to bring them onto voxels: a SEG's frames by their
positions, a contour by which voxel centres it encloses. Leaves slices of images to `dicom.py`.
"""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from vesalius.errors import VesaliusError
from vesalius.media.dicom import LPS_TO_RAS, read_header, series_in
from vesalius.media.grid import TOLERANCE, Grid
from vesalius.media.layers import Layers
from vesalius.media.volume import as_labels

_LABEL_MAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"


def modality(path: Path) -> str:
    """The DICOM modality ("CT", "SEG", "RTSTRUCT", ...); empty where the file does not say or cannot be parsed."""
    try:
        return str(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Modality"]).get("Modality", ""))
    except (pydicom.errors.InvalidDicomError, OSError, EOFError, ValueError):
        return ""


def marks_structures(path: Path) -> bool:
    """Whether a file is a SEG or RTSTRUCT, by its first bytes alone: a folder may hold hundreds of slices beside it."""
    try:
        kind = pydicom.filereader.read_file_meta_info(path).get("MediaStorageSOPClassUID", "")
    except (pydicom.errors.InvalidDicomError, OSError, EOFError, ValueError):
        return False
    return kind in (SegmentationStorage, _LABEL_MAP_SEGMENTATION, RTStructureSetStorage)


def read_structures(path: Path, grid: Grid | None = None) -> tuple[Layers, np.ndarray]:
    """The named structures of a SEG or RTSTRUCT file, and the affine of the grid they are on.

    Args:
        path: the file.
        grid: the image's grid. A SEG without it stays on its own grid; an RTSTRUCT without it takes the image series
            that lies in the same folder.

    Raises:
        VesaliusError: code `unreadable`; `grid` where contours have no image; `geometry` where structures do not lie on
            the grid.
    """
    if path.stat().st_size == 0:
        raise _unreadable(path, "the file is empty (0 bytes)")
    kind = modality(path)
    if kind == "SEG":
        return _read_seg(path, grid)
    if kind == "RTSTRUCT":
        return _read_rtstruct(path, grid)
    what = f"a DICOM object of modality {kind}" if kind else "not a DICOM file"
    raise _unreadable(path, f"{what}, not a SEG or RTSTRUCT")


def _read_seg(path: Path, grid: Grid | None) -> tuple[Layers, np.ndarray]:
    import highdicom as hd

    try:
        seg = hd.seg.segread(path)
        numbers = list(seg.segment_numbers)
        names = _unique([seg.get_segment_description(n).segment_label for n in numbers])
        layers, affine = None, None
        for number, name in zip(numbers, names, strict=True):
            frames = seg.get_volume(segment_numbers=[number], combine_segments=False, allow_missing_positions=True)
            # highdicom counts (slice, row, column) in LPS.
            affine = LPS_TO_RAS @ frames.affine[:, [2, 1, 0, 3]]
            data = as_labels(frames.array[..., 0].transpose(2, 1, 0), path)
            if layers is None:
                layers = Layers(data.shape if grid is None else grid.shape, len(numbers))
            layers.add(name, data if grid is None else _embed(data, affine, grid, path))
    except VesaliusError:
        raise
    except Exception as error:  # highdicom raises what its checks meet: AttributeError, RuntimeError, ValueError, ...
        raise _unreadable(path, f"the segmentation cannot be read ({error})") from None
    if layers is None or affine is None:
        raise _unreadable(path, "a segmentation without segments")
    return layers, affine if grid is None else np.array(grid.affine)


def _embed(data: np.ndarray, affine: np.ndarray, grid: Grid, path: Path) -> np.ndarray:
    """The array set into a larger grid of the same voxels; its axes may be turned, and slices may be missing."""
    to_grid = np.linalg.inv(grid.affine) @ affine
    for axis in range(3):  # a single slice has no distance to a next one: its direction alone counts
        if data.shape[axis] == 1:
            to_grid[:3, axis] /= np.abs(to_grid[:3, axis]).max()
    whole = np.rint(to_grid)
    reach = np.abs(to_grid - whole)[:3] @ np.array([*data.shape, 1])
    turn = whole[:3, :3]
    if reach.max() > TOLERANCE or not np.array_equal(np.abs(turn).sum(axis=0), [1, 1, 1]):
        raise VesaliusError(
            "its frames do not lie on the voxels of the image",
            file=path,
            remedy="give the image that was segmented",
            code="geometry",
        )
    voxels = np.argwhere(data)
    at = voxels @ turn.astype(int).T + whole[:3, 3].astype(int)
    if len(at) and (at.min() < 0 or (at >= grid.shape).any()):
        raise VesaliusError(
            "some of its frames lie outside the image",
            file=path,
            remedy="give the image it belongs to",
            code="geometry",
        )
    placed = np.zeros(grid.shape, np.uint8, order="F")
    placed[tuple(at.T)] = 1
    return placed


def _read_rtstruct(path: Path, grid: Grid | None) -> tuple[Layers, np.ndarray]:
    try:
        content = pydicom.dcmread(path)
        rois = {int(roi.ROINumber): str(roi.ROIName) for roi in content.StructureSetROISequence}
        drawn = {
            int(item.ReferencedROINumber): _contours(item) for item in content.get("ROIContourSequence", [])
        }  # number -> contours; absent where nothing was drawn
    except (pydicom.errors.InvalidDicomError, AttributeError, EOFError, ValueError) as error:
        raise _unreadable(path, f"the structure set cannot be read ({error})") from None
    if grid is None:
        grid = _series_beside(path, content)
    layers = Layers(grid.shape, len(rois))
    for number, name in zip(rois, _unique(list(rois.values())), strict=True):
        contours = drawn.get(number, [])
        if contours is not None:
            layers.add(name, rasterise(contours, grid, path, name))
    return layers, np.array(grid.affine)


def _contours(item: pydicom.Dataset) -> list[np.ndarray] | None:
    """Closed contours of a structure as (n, 3) points in RAS mm; None if it has points or open lines only."""
    kinds = {str(contour.ContourGeometricType) for contour in item.get("ContourSequence", [])}
    if kinds and not any(kind.startswith("CLOSED") for kind in kinds):
        return None
    return [
        np.array(contour.ContourData, float).reshape(-1, 3) * (-1, -1, 1)
        for contour in item.get("ContourSequence", [])
        if str(contour.ContourGeometricType).startswith("CLOSED")
    ]


def rasterise(contours: list[np.ndarray], grid: Grid, path: Path | None = None, name: str = "") -> np.ndarray:
    """Closed planar contours as voxels: those whose centre is enclosed an odd number of times in their slice.

    So a contour inside another is a hole, and a keyhole (a hole joined to the outside by a channel of no width) is one
    too. A centre exactly on a contour belongs to the side of larger indices. A contour belongs to the nearest slice.
    Slices between two contours are not filled in.

    Args:
        contours: each (n, 3), RAS mm.
        grid: the image's grid; oblique ones are fine, the contours must lie in planes of one index axis.
        path: for errors.
        name: of the structure, for errors.

    Returns:
        uint8 array of the grid's shape, 1 inside.
    """
    mask = np.zeros(grid.shape, np.uint8, order="F")
    if not contours:
        return mask
    inverse = np.linalg.inv(grid.affine)
    # Rounded, so that the noise of the affine does not decide on centres that lie exactly on a contour.
    indices = [np.round(points @ inverse[:3, :3].T + inverse[:3, 3], 6) for points in contours]
    thickness = np.max([np.ptp(points, axis=0) for points in indices], axis=0)
    axis = int(np.argmin(thickness))
    if thickness[axis] > 0.5:
        raise VesaliusError(
            f'contours of "{name}" do not lie in slices of the image',
            file=path,
            remedy="give the image on which they were drawn",
            code="geometry",
        )
    u, v = (i for i in range(3) if i != axis)
    by_slice: dict[int, list[np.ndarray]] = defaultdict(list)
    for points in indices:
        by_slice[int(np.rint(points[:, axis].mean()))].append(points[:, [u, v]])
    outside = [index for index in by_slice if not 0 <= index < grid.shape[axis]]
    if outside:
        raise VesaliusError(
            f'contours of "{name}" on {len(outside)} of {len(by_slice)} slices lie outside the image',
            file=path,
            remedy="give the image on which they were drawn",
            code="geometry",
        )
    planes = np.moveaxis(mask, axis, 0)  # a view: (slice, u, v)
    for index, polygons in by_slice.items():
        planes[index] = _inside(polygons, grid.shape[u], grid.shape[v])
    return mask


def _inside(polygons: list[np.ndarray], width: int, height: int) -> np.ndarray:
    """Even-odd filling at integer points, shape (width, height): a crossing of a line v = const flips what follows."""
    flips = np.zeros((width + 1, height), np.int32)
    for points in polygons:
        (u0, v0), (u1, v1) = points.T, np.roll(points, -1, axis=0).T
        first, last = np.ceil(np.minimum(v0, v1)).astype(int), np.ceil(np.maximum(v0, v1)).astype(int)
        first, last = first.clip(0, height), last.clip(0, height)
        count = last - first
        edge = np.repeat(np.arange(len(points)), count)
        line = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
        crossing = u0[edge] + (line - v0[edge]) / (v1 - v0)[edge] * (u1 - u0)[edge]
        np.add.at(flips, (np.ceil(np.round(crossing, 6)).astype(int).clip(0, width), line), 1)
    return (np.cumsum(flips, axis=0)[:width] % 2).astype(np.uint8)


def _series_beside(path: Path, content: pydicom.Dataset) -> Grid:
    """The grid of the series that the structure set refers to, if its slices lie in the same folder."""
    beside = series_in(path.parent)
    referred = [
        str(series.SeriesInstanceUID)
        for frame in content.get("ReferencedFrameOfReferenceSequence", [])
        for study in frame.get("RTReferencedStudySequence", [])
        for series in study.get("RTReferencedSeriesSequence", [])
    ]
    chosen = next((uid for uid in referred if uid in beside), None)
    if not beside:
        raise VesaliusError(
            "contours have no voxels of their own, and no image slices lie beside them",
            file=path,
            remedy="give the folder of images (--images)",
            code="grid",
        )
    return read_header(path.parent, series=chosen)


def _unique(names: list[str]) -> list[str]:
    """Names made different by a number where two are the same."""
    total, seen, found = Counter(names), Counter[str](), []
    for name in names:
        seen[name] += 1
        found.append(f"{name}_{seen[name]}" if total[name] > 1 else name)
    return found


def _unreadable(path: Path, problem: str) -> VesaliusError:
    return VesaliusError(problem, file=path, remedy="export it again", code="unreadable")
