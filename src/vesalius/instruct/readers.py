"""A labelled set on disk → labelled images: class folders, tables, folders of masks.

Knows where each layout keeps images, labels and masks, and that one bad file costs one image. Leaves VOC and COCO to
`detection`, and patients and questions to `build`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vesalius.errors import VesaliusError
from vesalius.formats.delimited import read_delimited
from vesalius.instruct.config import SetConfig
from vesalius.instruct.labelled import SUFFIXES, Box, Labelled, MaskFile, Region, bright, code, components, ids
from vesalius.instruct.labelled import read_mask as pixels_of
from vesalius.select import where

_ON, _OFF = {"1", "1.0", "true", "yes"}, {"0", "0.0", "false", "no"}
SMALLEST_PART = 30  # pixels of a connected part; smaller ones are specks of an annotation tool


@dataclass
class Found:
    """What was read: images, and an error for each file or row that cost one."""

    images: list[Labelled] = field(default_factory=list)
    problems: list[VesaliusError] = field(default_factory=list)


def read_set(config: SetConfig, root: Path) -> Found:
    """All images of a set with their labels.

    Args:
        config: its YAML.
        root: the set's folder.

    Raises:
        VesaliusError: a folder, table or column is not there, nothing was found, or a label is outside the closed
            label space (all such labels are named).
    """
    from vesalius.instruct import detection

    if not root.is_dir():
        remedy = "correct `root` in the YAML, or give --root"
        raise VesaliusError("there is no such folder", file=root, remedy=remedy, code="no_set")
    layouts = {
        "folders": _folders, "csv": _csv, "masks": _masks, "voc": detection.read_voc, "coco": detection.read_coco,
    }  # fmt: skip
    found = layouts[config.layout](config, root)
    if config.table and config.layout != "csv":
        found = _joined(config, root, found)
    if not found.images and not found.problems:
        raise VesaliusError(
            f"no images in the layout {config.layout}", file=root, remedy="check the YAML", code="empty"
        )
    _check_space(config, found.images)
    return found


def image_folder(config: SetConfig, root: Path) -> Path:
    """`images` of the YAML, else a folder of that name, else the set itself."""
    folder = root / config.images if config.images else root / "images"
    if config.images and not folder.is_dir():
        raise VesaliusError("there is no such folder", file=folder, remedy="correct `images`", code="no_set")
    return folder if folder.is_dir() else root


def image_files(folder: Path) -> list[Path]:
    """Images below a folder, sorted; hidden ones left out."""
    files = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(p for p in files if not any(part.startswith((".", "__")) for part in p.relative_to(folder).parts))


def _check_space(config: SetConfig, images: Iterable[Labelled]) -> None:
    """The label space is closed: a label that nobody declared is a mistake in the set or in the YAML."""
    outside: dict[str, list[str]] = defaultdict(list)
    for image in images:
        for label in {*image.labels, *(region.label for region in image.regions)} - config.labels.keys():
            outside[label].append(image.name)
    if outside:
        named = [f"«{label}» ({len(names)}×, first {names[0]})" for label, names in sorted(outside.items())]
        more = f" and {len(named) - 8} more" if len(named) > 8 else ""
        first = next(iter(sorted(outside)))
        remedy = f"add it to `labels`, or write «{first}: null» there to leave it out"
        problem = f"not in the label space: {', '.join(named[:8])}{more}"
        raise VesaliusError(problem, case=config.name, remedy=remedy, code="label")


# Class folders: the folder that is a label names all images below it.


def _folders(config: SetConfig, root: Path) -> Found:
    folder, found = image_folder(config, root), Found()
    files = image_files(folder)
    apart = root / config.masks if config.masks else None
    masks = _masks_by_image(config, root, files)
    for path in files:
        if path in masks.taken or (apart and apart in path.parents):
            continue
        parents = path.relative_to(folder).parts[:-1]
        label = next((part for part in parents if part in config.labels), parents[0] if parents else None)
        name = path.relative_to(root).as_posix()
        if label is None:
            remedy = "put it into the folder of its class"
            found.problems.append(VesaliusError("lies in no class folder", file=name, remedy=remedy, code="label"))
            continue
        try:
            regions = [r for mask in masks.of(path) for r in _regions(config, mask, label)]
            found.images.append(Labelled(path, name, frozenset({label}), tuple(regions)))
        except VesaliusError as error:
            found.problems.append(error)
    return found


# A table: a row an image, or a row a box.


def table_rows(config: SetConfig, root: Path) -> list[dict[str, str | None]]:
    """Rows of the set's table that meet `where`.

    Raises:
        VesaliusError: no such table or column.
    """
    frame = read_delimited(root / config.table).frame
    columns = config.columns
    asked = [question.column for question in config.questions]
    taxonomy = [value.column for value in config.taxonomy.values() if not isinstance(value, str)]
    patient = config.patient.column if config.patient else ""
    named = [columns.image, columns.label, columns.mask, columns.region_label, patient]
    named += [*columns.box, *columns.one_hot, *asked, *taxonomy]
    absent = [name for name in dict.fromkeys(named) if name and name not in frame.columns]
    if absent:
        problem = f"has no column {', '.join(f'«{name}»' for name in absent)}"
        remedy = f"it has {', '.join(frame.columns)}"
        raise VesaliusError(problem, file=root / config.table, remedy=remedy, code="columns")
    return where(frame, config.where).rows(named=True) if config.where else frame.rows(named=True)


def _csv(config: SetConfig, root: Path) -> Found:
    found, columns = Found(), config.columns
    folder = image_folder(config, root)
    by_image: dict[str, list[dict[str, str | None]]] = defaultdict(list)
    for row in table_rows(config, root):
        by_image[row[columns.image] or ""].append(row)
    # A row a box counts; one box an image may be the one that somebody chose.
    elsewhere: dict[str, Path] = {}
    boxes = bool(columns.box) and any(len(rows) > 1 for rows in by_image.values())
    for name, rows in by_image.items():
        try:
            path = _found_image(name, root, folder, elsewhere)
            cells = [cell for row in rows for cell in _cells(row.get(columns.label), columns.separator)]
            if columns.label and not cells:
                raise VesaliusError("has no label", file=name, remedy=f"fill «{columns.label}»", code="label")
            regions = [region for row in rows for region in _row_regions(config, root, row)]
            hot = [
                {c for c in columns.one_hot if (row[c] or "").lower() in words} for words in (_ON, _OFF) for row in rows
            ]
            present, absent = frozenset().union(*hot[: len(rows)]), frozenset().union(*hot[len(rows) :])
            labels = frozenset(cells) | {region.label for region in regions} | present
            unsure = frozenset(columns.one_hot) - present - absent
            found.images.append(Labelled(path, name, labels, tuple(regions), boxes, unsure, rows[0]))
        except VesaliusError as error:
            found.problems.append(error)
    return found


def _found_image(name: str, root: Path, folder: Path, elsewhere: dict[str, Path] | None = None) -> Path:
    """The file that a table means: relative to the set or its images, with its suffix or without.

    Tables also carry paths of the machine that they were made on: then the name counts, if it occurs once. `elsewhere`
    remembers those names from call to call.
    """
    if not name:
        raise VesaliusError("a row names no image", code="row")
    for path in (root / name, folder / name):
        if path.is_file():
            return path
        for suffix in (*SUFFIXES, *(s.upper() for s in SUFFIXES)):
            longer = path.with_name(path.name + suffix)
            if longer.is_file():
                return longer
    if elsewhere is not None:
        if not elsewhere:
            files = image_files(folder)
            once = Counter(path.name for path in files)
            elsewhere.update({path.name: path for path in files if once[path.name] == 1})
        base = re.split(r"[/\\]", name)[-1]
        if base in elsewhere:
            return elsewhere[base]
    raise VesaliusError("there is no such image", file=name, remedy="correct the table", code="missing")


def _cells(cell: str | None, separator: str) -> list[str]:
    parts = cell.split(separator) if cell and separator else [cell or ""]
    return [part.strip() for part in parts if part.strip()]


def _one_hot(names: list[str], rows: list[dict[str, str | None]]) -> tuple[frozenset[str], frozenset[str]]:
    """Labels whose columns say that they are there, and those whose columns do not say."""
    cells = {name: {(row[name] or "").lower() for row in rows} for name in names}
    present = frozenset(name for name, given in cells.items() if given & _ON)
    return present, frozenset(name for name, given in cells.items() if not given & (_ON | _OFF))


def _row_regions(config: SetConfig, root: Path, row: dict[str, str | None]) -> list[Region]:
    columns = config.columns
    box = _box([row[name] for name in columns.box], columns.box, row[columns.image] or "") if columns.box else None
    mask = row[columns.mask] if columns.mask else None
    if box is None and mask is None:
        return []
    own = _cells(row.get(columns.region_label or columns.label), columns.separator)
    label = own[0] if len(own) == 1 else next(iter(config.space)) if not own and len(config.space) == 1 else None
    if label is None:
        return []  # nobody says which of its labels the region shows
    if mask is None:
        return [Region(label, box)]
    path = _found_image(mask, root, root / config.masks)
    return [replace(r, box=box or r.box) if config.objects == "whole" else r for r in _regions(config, path, label)]


def _box(cells: list[str | None], names: list[str], file: str) -> Box | None:
    """Four numbers: corners, or a corner with width and height where the columns are called so."""
    given = [cell for cell in cells if cell]
    text = re.sub(r"[\[\](),;]", " ", " ".join(given)).split()
    if not text:
        return None
    try:
        a, b, c, d = (float(word) for word in text)
    except ValueError:
        raise VesaliusError(f"«{' '.join(given)}» is no box", file=file, code="box") from None
    if len(names) == 4 and names[2].lower().startswith(("w", "dx", "bbox_w", "box_w")):
        c, d = a + c, b + d
    return checked_box((a, b, c, d), file)


def checked_box(box: Box, file: str, label: str | None = None) -> Box:
    """The box, if it has an area.

    Raises:
        VesaliusError: it has none.
    """
    if not (np.isfinite(box).all() and box[2] > box[0] and box[3] > box[1]):
        words = ", ".join(f"{x:g}" for x in box)
        raise VesaliusError(
            f"the box ({words}) has no area", file=file, case=label, remedy="corners are x0, y0, x1, y1", code="box"
        )
    return box


def _joined(config: SetConfig, root: Path, found: Found) -> Found:
    """Rows of the table to images by path, by name, or by name without suffix."""
    rows: dict[str, dict[str, str | None]] = {}
    for row in table_rows(config, root):
        name = row[config.columns.image] or ""
        rows[name] = rows[Path(name).name] = rows[Path(name).stem] = row
    kept = []
    for image in found.images:
        keys = [key for key in (image.name, image.path.name, image.path.stem) if key in rows]
        if keys:
            row = rows[keys[0]]
            labels = image.labels | set(_cells(row.get(config.columns.label), config.columns.separator))
            kept.append(replace(image, row=row, labels=labels))
        elif not config.where:
            problem = VesaliusError("is not in the table", file=image.name, remedy="add a row for it", code="row")
            found.problems.append(problem)
    return Found(kept, found.problems)


# Masks: a folder beside the images, a folder a label, or a suffix.


def _masks(config: SetConfig, root: Path) -> Found:
    folder, found = image_folder(config, root), Found()
    files = image_files(folder)
    apart = root / config.masks if config.masks else None
    masks = _masks_by_image(config, root, files)
    for path in files:
        if path in masks.taken or (apart and apart in path.parents):
            continue
        name = path.relative_to(root).as_posix()
        mine = masks.of(path)
        if not mine:
            remedy = "a mask has its image's name, with or without an ending"
            found.problems.append(VesaliusError("has no mask", file=name, remedy=remedy, code="missing"))
            continue
        try:
            regions = [region for mask in mine for region in _regions(config, mask, None)]
        except VesaliusError as error:
            found.problems.append(error)
            continue
        labels = frozenset(region.label for region in regions)
        found.images.append(Labelled(path, name, labels, tuple(regions), config.objects == "values"))
    return found


@dataclass
class _MaskIndex:
    """Masks by their image."""

    by_image: dict[Path, list[Path]]
    taken: set[Path]

    def of(self, image: Path) -> list[Path]:
        return self.by_image.get(image, [])


def _masks_by_image(config: SetConfig, root: Path, files: list[Path]) -> _MaskIndex:
    """Which mask belongs to which image: the longest image name that a mask's name begins with; else a beginning with
    a number that they share and no other image has (`21_training.tif`, `21_manual1.gif`)."""
    if config.masks:
        folder = root / config.masks
        if not folder.is_dir():
            raise VesaliusError("there is no such folder", file=folder, remedy="correct `masks`", code="no_set")
        masks = image_files(folder)
    elif config.mask_suffix:
        masks = [path for path in files if re.search(re.escape(config.mask_suffix) + r"[_ -]?\d*$", path.stem)]
    else:
        return _MaskIndex({}, set())
    taken = set(masks)
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        if path not in taken:
            by_stem[path.stem].append(path)
    begun: dict[str, set[str]] = defaultdict(set)
    for stem in by_stem:
        for beginning in _beginnings(stem):
            begun[beginning].add(stem)
    by_image: dict[Path, list[Path]] = defaultdict(list)
    for mask in masks:
        ours = _beginnings(mask.stem)
        shared = [next(iter(begun[b])) for b in ours if len(begun.get(b, ())) == 1 and re.search(r"\d", b)]
        own = next((b for b in ours if b in by_stem), shared[0] if shared else None)
        if own is not None:
            by_image[_nearest(by_stem[own], mask)].append(mask)
    return _MaskIndex(by_image, taken)


def _beginnings(stem: str) -> list[str]:
    """A name and its beginnings up to each sign that is neither letter nor digit, the longest first."""
    return [stem[:i] for i in range(len(stem), 0, -1) if i == len(stem) or not stem[i].isalnum()]


def _nearest(images: list[Path], mask: Path) -> Path:
    """Of images that share a name, the one whose folders are most like the mask's."""
    return max(images, key=lambda image: len(set(image.parts) & set(mask.parts)))


def _regions(config: SetConfig, path: Path, label: str | None) -> list[Region]:
    """The regions in a mask file; `label` is of all of them, else ids or folders say it."""
    space = config.labels
    pixels = pixels_of(path)
    folder = next((part for part in reversed(path.parts[:-1]) if part in space), None)
    label = label or folder or (next(iter(config.space)) if len(config.space) == 1 else None)
    if label is None:
        coloured = any(key.startswith("#") for key in space)
        counts = Counter(ids(pixels, coloured).ravel().tolist())
        known = {code(key): key for key in space if key.startswith("#") or key.isdigit()}
        regions = []
        for value in sorted(counts.keys() - {0}):
            key = known.get(value) or (f"#{value:06x}" if coloured else str(value))
            source: int | str = key if coloured else value
            regions += _parts(path, key, source, ids(pixels, coloured) == value, config.objects)
        return regions
    if config.objects == "values":
        present = np.unique(ids(pixels))
        return [Region(label, mask=MaskFile(path, _id(v, pixels))) for v in present.tolist() if v]
    return _parts(path, label, None, bright(pixels), config.objects)


def _id(value: int, pixels: np.ndarray) -> int | str:
    return f"#{value:06x}" if pixels.ndim == 3 else value


def _parts(path: Path, label: str, value: int | str | None, mask: np.ndarray, objects: str) -> list[Region]:
    if not mask.any():
        return []
    if objects != "components":
        return [Region(label, mask=MaskFile(path, value))]
    numbered, _ = components(mask)
    sizes = np.bincount(numbered.ravel())
    large = [i for i in range(1, len(sizes)) if sizes[i] >= SMALLEST_PART]
    return [Region(label, mask=MaskFile(path, value, i)) for i in large]
