"""A folder, looked at: which layout it has, which columns and labels, as a YAML to begin with.

Knows the signs of each layout. Guesses are written down as such; what only the user can know is `???`, which `config`
refuses until it is filled in. Leaves reading for good to `readers`.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import yaml

from vesalius.errors import VesaliusError
from vesalius.formats.delimited import read_delimited
from vesalius.instruct.config import TO_FILL
from vesalius.instruct.labelled import read_mask
from vesalius.instruct.readers import image_files

_MASKS = re.compile(r"(mask|label|segment|annotation|ground.?truth|(^|[_ -])(gt|seg|manual)s?$)", re.IGNORECASE)
_SUFFIX = re.compile(r"([_-](mask|seg|segmentation|label|gt))[_ -]?\d*$", re.IGNORECASE)
_LABEL = re.compile(r"(label|class|diagnos|categor|finding|^dx$|target|grade|type)", re.IGNORECASE)
_PATIENT = re.compile(r"(patient|subject|person|lesion_?id|case_?id|^pid$)", re.IGNORECASE)
_BOXES = (
    ("x0", "y0", "x1", "y1"), ("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("x", "y", "w", "h"),
    ("x_min", "y_min", "x_max", "y_max"), ("x", "y", "width", "height"), ("left", "top", "right", "bottom"),
)  # fmt: skip
_ZERO_ONE = {"0", "1", "0.0", "1.0", "-1", "-1.0"}  # CheXpert's -1 is uncertain
_MOST_LABELS = 60  # a column with more kinds of cells is no label


@dataclass
class _Guess:
    """The lines of a YAML: keys in their order, a comment beside some."""

    keys: dict[str, object] = field(default_factory=dict)
    labels: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


def starting_yaml(folder: Path) -> str:
    """A YAML for `vesalius bench build`, with what was found as comments.

    Raises:
        VesaliusError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise VesaliusError("there is no such folder", file=folder, remedy="check the path", code="no_set")
    images = image_files(folder)
    if not images:
        remedy = "png, jpg, bmp, tif, webp or gif are taken"
        raise VesaliusError("no images in it", file=folder, remedy=remedy, code="no_set")
    guess = _coco(folder) or _voc(folder) or _table(folder, images) or _masks(folder, images) or _folders(folder)
    if guess.keys["layout"] in ("voc", "coco"):
        _join_table(guess, folder, images)
    return _written(guess, folder, len(images))


def _written(guess: _Guess, folder: Path, images: int) -> str:
    name = re.sub(r"[^\w .-]", "_", folder.resolve().name).strip(". -") or "my_set"
    lines = [f"# {images:,} images; layout «{guess.keys['layout']}».", *(f"# {note}" for note in guess.notes)]
    lines += [_line("name", name), _line("root", str(folder.resolve()))]
    lines += [_line(key, value) for key, value in guess.keys.items()]
    if "patient" not in guess.keys:
        lines.append("# patient: {pattern: '^([^_]+)_'}   # what of the file's name is the patient; without, one side")
    lines += [
        "# picture: chest X-ray            # how an image is called in a question",
        "taxonomy:",
        f"  modality: {TO_FILL}                     # X-ray, CT, dermoscopy, … : stands in every question",
        f"  department: {TO_FILL}                   # dermatology, ophthalmology, … ; or remove the line",
        f"  clinical vqa task: {TO_FILL}            # disease diagnosis, organ recognition - abdomen, …",
        "labels:                            # label in the set: {name: as an option reads, group: its siblings}",
    ]
    width = max((len(_key(label)) for label in guess.labels), default=0)
    for label, n in guess.labels.most_common():
        shown = re.sub(r"[_]+", " ", label).strip()
        lines.append(f"  {_key(label) + ':':{width + 1}} {{name: {_key(shown)}, group: ''}}   # {n:,}×")
    return "\n".join(lines) + "\n"


def _line(key: str, value: object) -> str:
    inside = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=1000)
    return f"{key}: {inside.removesuffix('...' + chr(10)).strip()}"


def _key(text: str) -> str:
    """A scalar inside braces: quoted where YAML would read something else."""
    plain = re.fullmatch(r"[A-Za-z][\w './()-]*", text) and text.lower() not in {"yes", "no", "true", "false", "null",
                                                                               "on", "off", "y", "n"}  # fmt: skip
    return text if plain else json.dumps(text, ensure_ascii=False)


def _coco(folder: Path) -> _Guess | None:
    for path in sorted(folder.rglob("*.json")):
        try:
            data = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(data, dict) and {"images", "annotations", "categories"} <= data.keys():
            names = {c.get("id"): str(c.get("name")) for c in data["categories"]}
            labels = Counter(names.get(item.get("category_id"), "?") for item in data["annotations"])
            outlines = sum(bool(item.get("segmentation")) for item in data["annotations"])
            note = f"{len(data['annotations']):,} objects, {outlines:,} with an outline"
            keys = {"layout": "coco", "annotations": path.relative_to(folder).as_posix()}
            return _Guess(keys | _images_key(folder), labels, [note])
    return None


def _voc(folder: Path) -> _Guess | None:
    labels: Counter[str] = Counter()
    where: Counter[str] = Counter()
    for path in sorted(folder.rglob("*.xml")):
        text = path.read_text("utf-8", errors="replace")
        if "<annotation" in text:
            where[path.parent.relative_to(folder).as_posix()] += 1
            labels.update(re.findall(r"<object>\s*<name>\s*([^<]*?)\s*</name>", text))
    if not where:
        return None
    keys: dict[str, object] = {"layout": "voc", "annotations": where.most_common(1)[0][0]}
    return _Guess(
        keys | _images_key(folder), labels, [f"{sum(labels.values()):,} boxes in {where.total():,} XML files"]
    )


def _images_key(folder: Path) -> dict[str, object]:
    """`images` is found by itself where it is called so."""
    if (folder / "images").is_dir():
        return {}
    where = Counter(path.parent.relative_to(folder).as_posix() for path in image_files(folder))
    best = where.most_common(1)[0][0]
    return {"images": best} if best != "." else {}


def _tables(folder: Path, images: list[Path]) -> Iterable[tuple[Path, pl.DataFrame, str]]:
    """Tables one of whose columns names images, and that column."""
    names = {path.name for path in images} | {path.stem for path in images}
    for path in sorted((*folder.glob("*.csv"), *folder.glob("*.tsv"), *folder.glob("*/*.csv"))):
        try:
            frame = read_delimited(path).frame
        except VesaliusError:
            continue
        hits = {c: sum(Path(cell).name in names for cell in frame[c].drop_nulls()) for c in frame.columns}
        best = max(hits, key=lambda c: hits[c])
        if hits[best] >= frame.height / 2:
            yield path, frame, best


def _table(folder: Path, images: list[Path]) -> _Guess | None:
    found = next(iter(_tables(folder, images)), None)
    if found is None:
        return None
    path, frame, image = found
    columns: dict[str, object] = {"image": image}
    names = {path.name for path in images}
    files = [c for c in frame.columns if c != image and _named(frame[c], names)]
    if files:
        columns["mask"] = files[0]
    kinds = {c: frame[c].n_unique() for c in frame.columns if c not in (image, *files)}
    texts = [c for c, n in kinds.items() if 2 <= n <= _MOST_LABELS and not _numeric(frame[c])]
    label = next((c for c in texts if _LABEL.search(c)), texts[0] if texts else None)
    hot = [
        c
        for c in kinds
        if set(frame[c].drop_nulls().to_list()) <= {"0", "1", "0.0", "1.0", "-1", "-1.0"} and kinds[c] > 1
    ]
    if len(hot) > 1:
        columns["one_hot"] = hot
    elif label:
        columns["label"] = label
    lower = {c.lower(): c for c in frame.columns}
    box = next((corners for corners in _BOXES if all(name in lower for name in corners)), None)
    if box:
        columns["box"] = [lower[name] for name in box]
    keys: dict[str, object] = {"layout": "csv", "table": path.relative_to(folder).as_posix(), "columns": columns}
    patient = next((c for c in frame.columns if _PATIENT.search(c)), None)
    if patient:
        keys["patient"] = patient
    labels = Counter(frame[label].drop_nulls().to_list()) if label else Counter({"object": frame.height})
    if "one_hot" in columns:
        labels = Counter({c: frame[c].is_in(["1", "1.0"]).sum() for c in hot})
    notes = [f"{path.name}: {frame.height:,} rows", *_described(frame, {image, *files})]
    return _Guess(keys, labels, notes)


def _named(cells: pl.Series, names: set[str]) -> bool:
    given = cells.drop_nulls()
    return given.len() > 0 and sum(Path(cell).name in names for cell in given) >= given.len() / 2


def _numeric(cells: pl.Series) -> bool:
    return cells.drop_nulls().cast(pl.Float64, strict=False).null_count() == 0


def _described(frame: pl.DataFrame, known: set[str]) -> list[str]:
    """Columns that could be asked about, with their commonest cells."""
    lines = []
    for name in frame.columns:
        kinds = frame[name].drop_nulls().value_counts(sort=True)
        if name not in known and 2 <= kinds.height <= _MOST_LABELS:
            some = ", ".join(f"{cell} ({n})" for cell, n in kinds.head(6).rows())
            lines.append(f"  {name}: {some}{', …' if kinds.height > 6 else ''}")
    return lines


def _join_table(guess: _Guess, folder: Path, images: list[Path]) -> None:
    found = next(iter(_tables(folder, images)), None)
    if found:
        path, frame, image = found
        guess.keys["table"], guess.keys["columns"] = path.relative_to(folder).as_posix(), {"image": image}
        patient = next((c for c in frame.columns if _PATIENT.search(c)), None)
        if patient:
            guess.keys["patient"] = patient
        guess.notes += [f"{path.name}: {frame.height:,} rows", *_described(frame, {image})]


def _masks(folder: Path, images: list[Path]) -> _Guess | None:
    beside = {path.parent for path in images if not _SUFFIX.search(path.stem)}
    by_name = [path for path in images if _SUFFIX.search(path.stem) and path.parent in beside]
    classes = {path.parent for path in images}
    apart = next((d for d in sorted(folder.iterdir()) if d.is_dir() and _MASKS.search(d.name) and image_files(d)), None)
    if by_name:
        match = _SUFFIX.search(by_name[0].stem)
        assert match is not None
        keys: dict[str, object] = {"mask_suffix": match.group(1)}
        masks = by_name
        if len(classes) > 1:
            guess = _folders(folder, set(masks))
            return _Guess({"layout": "folders", **keys}, guess.labels, guess.notes)
    elif apart is not None:
        keys, masks = {"masks": apart.name, **_images_key(folder)}, image_files(apart)
    else:
        return None
    notes = [f"{len(masks):,} masks"]
    below = sorted({path.parent.name for path in masks} - {apart.name}) if apart else []
    values = Counter() if below else _values(masks[:50])
    if below:
        labels = Counter(path.parent.name for path in masks)
    elif len(values) > 1 and len(values) <= _MOST_LABELS:
        labels = values
        notes.append("labels are the masks' ids: give each its name")
    else:
        labels = Counter({"object": len(masks)})
        notes.append("one kind of object: call it what it is; `objects: components` makes a region of each part")
    return _Guess({"layout": "masks", **keys}, labels, notes)


def _values(masks: list[Path]) -> Counter[str]:
    """In how many of the masks each id lies; of binary ones a single id."""
    found: Counter[str] = Counter()
    for path in masks:
        try:
            pixels = read_mask(path)
        except VesaliusError:
            continue
        if pixels.ndim == 3:
            flat = pixels.reshape(-1, 3)
            found.update(
                {f"#{r:02x}{g:02x}{b:02x}" for r, g, b in {tuple(p) for p in flat[:: max(1, len(flat) // 5000)]}}
            )
        else:
            found.update({str(int(value)) for value in set(pixels.ravel().tolist())})
    for background in ("0", "#000000"):
        found.pop(background, None)
    return found


def _folders(folder: Path, without: Iterable[Path] = ()) -> _Guess:
    base = folder / "images" if (folder / "images").is_dir() else folder
    parents = [path.relative_to(base).parts[:-1] for path in image_files(base) if path not in without]
    sides = {"train", "test", "val", "valid", "validation", "training", "testing"}
    inner = all(parts and parts[0].lower() in sides for parts in parents) and all(len(p) > 1 for p in parents)
    labels = Counter(parts[1 if inner else 0] for parts in parents if parts)
    notes = [
        f"{len(labels)} class folders" if labels else "no class folders, table, boxes or masks: where are the labels?"
    ]
    return _Guess({"layout": "folders"}, labels, notes)
