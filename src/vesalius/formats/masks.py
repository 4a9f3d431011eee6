"""Folders of masks as people's tools write them, found case by case and read into label volumes with names.

Knows these layouts:

    case.nii.gz                        a label volume a case (nnU-Net; also .nii, .nrrd, .nhdr, .mha, .mhd)
    case.dcm                           DICOM-SEG or RTSTRUCT
    case/segmentation.nii.gz           the only file of a case's folder
    case/liver.nii.gz ...              one file an organ
    case/segmentations/liver.nii.gz    one file an organ, as TotalSegmentator's data set has it
    case/*.dcm                         a planning export: slices beside one DICOM-SEG or RTSTRUCT

Leaves reading one file to `media/`, names of ids to `labels.py`, and which cases belong together to `pairs.py`.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from vesalius.errors import VesaliusError
from vesalius.formats.labels import LabelMap, find_label_map
from vesalius.formats.labels import label_map as map_of_names
from vesalius.media.grid import grid_difference, spacing_of
from vesalius.media.layers import Layers
from vesalius.media.volume import READERS, Header, Volume, read_labels

# The only file of a case's folder is a label volume if it is called like this or like its case, else an organ.
WHOLE = {
    "segmentation", "segmentations", "seg", "segs", "mask", "masks", "label", "labels", "labelmap", "combined_labels",
    "multilabel", "prediction", "pred", "output", "result", "reference", "ground_truth", "gt", "annotation",
}  # fmt: skip
IMAGES = {"ct", "mr", "mri", "pet", "image", "img", "volume", "scan"}
ORGAN_FOLDERS = ("segmentations", "segmentation", "masks")
LAYOUTS = "case.nii.gz, .nii, .nrrd, .mha, .mhd, .dcm, or a folder a case with one file an organ"


@dataclass(frozen=True)
class Entry:
    """One case found in a folder, not yet read.

    Attributes:
        case: its name (Unicode NFC, without suffix).
        path: the mask file, or the folder of organ files.
        organs: name -> file where there is one file an organ; empty for a single file.
        problem: why it cannot be read whatever its content (two files claim the case); reading it raises this.
    """

    case: str
    path: Path
    organs: dict[str, Path] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True, eq=False)
class Mask:
    """The structures of one case.

    Attributes:
        layers: label volumes (unsigned integers, indexed (x, y, z)) on one grid; more than one only where structures
            overlap.
        targets: name -> (index into `layers`, ids there).
        affine: 4x4, index -> RAS mm.
        path: file or folder it was read from.
        ignored: ids that are declared but not to be judged.
        named: whether the names come from a map (False: `label_1`, `label_2`, ... were made up from the ids).
    """

    layers: list[np.ndarray]
    targets: dict[str, tuple[int, tuple[int, ...]]]
    affine: np.ndarray
    path: Path
    ignored: tuple[int, ...] = ()
    named: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along (x, y, z)."""
        return self.layers[0].shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm along each index axis."""
        return spacing_of(self.affine)

    @cached_property
    def counts(self) -> list[dict[int, int]]:
        """Voxels of each id in each layer, background left out."""
        return [voxel_counts(layer) for layer in self.layers]

    @property
    def undeclared(self) -> dict[int, int]:
        """Voxels of each id that no name stands for."""
        declared = [set(self.ignored) for _ in self.layers]
        for layer, ids in self.targets.values():
            declared[layer].update(ids)
        return {
            i: count for counts, known in zip(self.counts, declared, strict=True) for i, count in counts.items()
            if i not in known
        }  # fmt: skip

    def binary(self, name: str) -> np.ndarray:
        """Where the structure is: a bool array of `shape`. KeyError if there is no such target."""
        layer, ids = self.targets[name]
        data = self.layers[layer]
        return data == ids[0] if len(ids) == 1 else np.isin(data, ids)


def find_cases(folder: str | Path) -> dict[str, Entry]:
    """The cases in a folder, sorted by name. Files are not opened (but for DICOM without a telling name).

    An empty or broken file is a case too: its reading fails later, and is counted. Two files that claim one case make
    an entry whose reading says so.

    Raises:
        VesaliusError: code `no_cases` where the folder is not there or holds no mask.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise VesaliusError("there is no such folder", file=folder, remedy="check the path", code="no_cases")
    entries = [entry for child in _visible(folder) if (entry := _entry(child)) is not None]
    if not entries:
        raise VesaliusError("no masks in it", file=folder, remedy=f"expected {LAYOUTS}", code="no_cases")
    return unique_cases(entries)


def find_images(folder: str | Path) -> dict[str, Path]:
    """The images in a folder by case: `case_0000.nii.gz` (nnU-Net; further channels are left out), `case.nii.gz`,
    `case/ct.nii.gz`, or `case/` with a DICOM series.

    Raises:
        VesaliusError: code `no_cases` where the folder is not there or holds no image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise VesaliusError("there is no such folder", file=folder, remedy="check the path", code="no_cases")
    found: dict[str, Path] = {}
    for child in _visible(folder):
        image = child if child.is_file() and _is_volume(child) else _image_within(child) if child.is_dir() else None
        name, channel = _without_channel(case_name(child))
        if image is not None and channel in ("", "0000"):
            found.setdefault(name, image)
    if not found:
        remedy = "expected case_0000.nii.gz, case.nii.gz, case/ct.nii.gz or a DICOM series a folder"
        raise VesaliusError("no images in it", file=folder, remedy=remedy, code="no_cases")
    return dict(sorted(found.items()))


def read_mask(
    source: Entry | str | Path, label_map: LabelMap | None = None, grid: Volume | Header | None = None
) -> Mask:
    """Reads the structures of a case.

    Names come from `label_map`, else from a table inside the file, else from a map beside it or one folder up
    (`dataset.json`, `labels.yaml`), else they are `label_1`, `label_2`, ... Organ files and DICOM carry their own.

    Args:
        source: an entry of `find_cases`, or a path.
        label_map: names of ids for label volumes.
        grid: the image's grid, which RTSTRUCT needs and on which DICOM-SEG is placed; unused otherwise.

    Raises:
        VesaliusError: as `media.volume.read_labels`; `geometry` where organ files lie on different grids; `duplicate`
            where two files claim the case.
    """
    entry = source if isinstance(source, Entry) else entry_of(source)
    if entry.problem:
        remedy = "keep one of them in this folder"
        raise VesaliusError(entry.problem, file=entry.path, case=entry.case, remedy=remedy, code="duplicate")
    if entry.organs:
        return _read_organs(entry, label_map)
    if is_dicom(entry.path):
        return _read_dicom(entry.path, grid)
    return _read_labels(entry.path, label_map)


def entry_of(path: str | Path) -> Entry:
    """The entry of one file or one case's folder, whether it is readable or not."""
    path = Path(path)
    return _entry(path) or Entry(case_name(path), path)


def case_name(path: Path) -> str:
    """A file's or folder's name without its suffix, in Unicode NFC (macOS decomposes umlauts, Linux does not)."""
    name = path.name
    if not path.is_dir():
        for suffix in sorted([*READERS, ".dcm"], key=len, reverse=True):
            if name.lower().endswith(suffix):
                name = name[: -len(suffix)].removesuffix(".seg")
                break
    return unicodedata.normalize("NFC", name)


def unique_cases(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Entries by case, sorted; those that share a name become one entry with a problem."""
    by_case: dict[str, list[Entry]] = {}
    for entry in entries:
        by_case.setdefault(entry.case, []).append(entry)
    found = {}
    for case, same in sorted(by_case.items()):
        names = " and ".join(entry.path.name for entry in same)
        problem = f"{len(same)} masks for one case: {names}"
        found[case] = same[0] if len(same) == 1 else Entry(case, same[0].path.parent, problem=problem)
    return found


def voxel_counts(labels: np.ndarray) -> dict[int, int]:
    """Voxels of each id, background (0) left out."""
    if labels.dtype.itemsize <= 2:
        from vesalius.media.counts import label_counts

        counts = label_counts(labels)
        return {int(i): int(counts[i]) for i in np.flatnonzero(counts) if i}
    ids, counts = np.unique(labels, return_counts=True)
    return {int(i): int(n) for i, n in zip(ids, counts, strict=True) if i}


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM: by its suffix, or by the word at byte 128 where it has no suffix we know."""
    if path.suffix.lower() == ".dcm":
        return True
    if not path.is_file() or _is_volume(path):
        return False
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def _read_labels(path: Path, given: LabelMap | None) -> Mask:
    volume = read_labels(path)
    names = given if given is not None and given.targets else None
    names = names or (map_of_names(volume.names, path) if volume.names else find_label_map(path.parent))
    if names is not None:
        targets = {name: (0, ids) for name, ids in names.targets.items()}
        return Mask([volume.data], targets, volume.affine, path, names.ignored)
    counts = voxel_counts(volume.data)
    mask = Mask([volume.data], {f"label_{i}": (0, (i,)) for i in sorted(counts)}, volume.affine, path, named=False)
    mask.__dict__["counts"] = [counts]  # fills the cached property
    return mask


def _read_organs(entry: Entry, given: LabelMap | None) -> Mask:
    layers, first = None, None
    for name, path in entry.organs.items():
        volume = read_labels(path)
        if layers is None or first is None:
            first, layers = volume, Layers(volume.shape, len(entry.organs))
        elif difference := grid_difference(volume, first):
            problem = f"another grid than {first.path.name if first.path else 'the first organ'}: {difference}"
            remedy = "export all organs on one grid"
            raise VesaliusError(problem, file=path, case=entry.case, remedy=remedy, code="geometry")
        ids = voxel_counts(volume.data)
        if len(ids) > 1 and len(entry.organs) == 1:  # the only file of its folder, and not one organ after all
            return _read_labels(path, given)
        if len(ids) > 1:
            problem = f"{len(ids)} labels ({', '.join(map(str, list(ids)[:5]))}) in a file for one organ"
            remedy = "write one organ a file"
            raise VesaliusError(problem, file=path, case=entry.case, remedy=remedy, code="several_labels")
        layers.add(name, volume.data)
    assert layers is not None and first is not None
    return Mask(layers.volumes, layers.targets, first.affine, entry.path)


def _read_dicom(path: Path, grid: Volume | Header | None) -> Mask:
    from vesalius.media.dicom_objects import read_structures

    layers, affine = read_structures(path, grid)
    return Mask(layers.volumes, layers.targets, affine, path)


def _entry(path: Path) -> Entry | None:
    """The entry of a file or folder if it looks like a mask, else None."""
    if not path.is_dir():  # a link that leads nowhere is a case too
        return Entry(case_name(path), path) if _is_volume(path) or is_dicom(path) else None
    case = case_name(path)
    for name in ORGAN_FOLDERS:
        organs = _organs(path / name)
        if organs:
            return Entry(case, path / name, organs)
    organs = _organs(path)
    if len(organs) == 1:
        name, file = next(iter(organs.items()))
        if name.lower() in WHOLE or case.lower() in name.lower():
            return Entry(case, file)
    whole = [name for name in organs if name.lower() == "combined_labels"]
    if organs:
        return Entry(case, path, {name: file for name, file in organs.items() if name not in whole})
    marks = [file for file in _visible(path) if file.is_file() and _is_marks(file)]
    if len(marks) > 1:
        names = " and ".join(file.name for file in marks)
        return Entry(case, path, problem=f"{len(marks)} DICOM-SEG or RTSTRUCT files for one case: {names}")
    return Entry(case, marks[0]) if marks else None


def _organs(folder: Path) -> dict[str, Path]:
    """Mask files of a case's folder by name, images left out."""
    if not folder.is_dir():
        return {}
    files = {case_name(file): file for file in _visible(folder) if not file.is_dir() and _is_volume(file)}
    return {name: file for name, file in files.items() if name.lower() not in IMAGES and not _without_channel(name)[1]}


def _image_within(folder: Path) -> Path | None:
    files = [file for file in _visible(folder) if file.is_file()]
    volumes = [file for file in files if _is_volume(file)]
    for file in volumes:
        if case_name(file).lower() in IMAGES or _without_channel(case_name(file))[1] == "0000":
            return file
    for place in (folder, *(child for child in _visible(folder) if child.is_dir())):
        if any(is_dicom(file) for file in _visible(place) if file.is_file()):
            return place
    return volumes[0] if len(volumes) == 1 else None


def _is_marks(path: Path) -> bool:
    if not is_dicom(path):
        return False
    from vesalius.media.dicom_objects import marks_structures

    return marks_structures(path)


def _is_volume(path: Path) -> bool:
    return path.name.lower().endswith(tuple(READERS))


def _without_channel(name: str) -> tuple[str, str]:
    """("case", "0000") of nnU-Net's `case_0000`; (name, "") of any other."""
    stem, _, channel = name.rpartition("_")
    return (stem, channel) if stem and len(channel) == 4 and channel.isdigit() and channel < "0100" else (name, "")


def _visible(folder: Path) -> list[Path]:
    hidden = (".", "~", "__MACOSX")
    unfinished = (".tmp", ".part")
    return sorted(p for p in folder.iterdir() if not p.name.startswith(hidden) and not p.name.endswith(unfinished))
