"""Label maps: which ids in a mask carry which name.

Knows nnU-Net's `dataset.json` (both generations, regions included) and plain YAML or JSON maps either way round. Leaves
label tables inside image headers to `media/`, and what to do with undeclared labels to whoever reads masks.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from vesalius.errors import VesaliusError

FILE_NAMES = ("dataset.json", "labels.yaml", "labels.yml", "labels.json")
# What vocabularies call one structure, as words in alphabetical order: Touchstone and AMOS say `postcava` where
# TotalSegmentator says `inferior_vena_cava`. Only what is the same structure stands here, never what is part of it.
SYNONYMS = {
    "postcava": "cava inferior vena",
    "ivc": "cava inferior vena",
    "bladder": "bladder urinary",
    "oesophagus": "esophagus",
}
_FORMS = 'write "liver: 1" or "1: liver" on a line each; several ids as "kidneys: [2, 3]"; names as "liver: Liver GTV"'


@dataclass(frozen=True)
class LabelMap:
    """Names of structures and their ids.

    Attributes:
        targets: name -> ids (a region of nnU-Net has several). Background (0) is no target.
        ignored: ids that are declared but not to be judged (nnU-Net's "ignore").
        names: name → what the file calls it, where structures carry names themselves (RTSTRUCT, one file an organ).
        path: where the map was read.
    """

    targets: dict[str, tuple[int, ...]]
    ignored: tuple[int, ...] = ()
    path: Path | None = None
    names: dict[str, str] = field(default_factory=dict)

    @property
    def ids(self) -> set[int]:
        """Every declared id, ignored ones included."""
        return {i for ids in self.targets.values() for i in ids} | set(self.ignored)


def read_label_map(path: str | Path) -> LabelMap:
    """Reads nnU-Net's `dataset.json`, or a JSON or YAML map (`1: liver`, `liver: 1`, `kidneys: [2, 3]`).

    Raises:
        VesaliusError: code `label_map`: not there, not parseable, a name or key twice, an id that is no whole number.
    """
    path = Path(path)
    if not path.is_file():
        raise VesaliusError("there is no such label map", file=path, remedy="check the path", code="label_map")
    return _read(path, path.stat().st_mtime_ns)


def find_label_map(folder: str | Path) -> LabelMap | None:
    """The map that lies in the folder or its parent (`dataset.json`, `labels.yaml`, ...), or None."""
    for place in (Path(folder), Path(folder).absolute().parent):
        for name in FILE_NAMES:
            path = place / name
            if path.is_file() and (name != "dataset.json" or _declares_labels(path)):
                return read_label_map(path)
    return None


def label_map(entries: dict, path: Path | None = None) -> LabelMap:
    """Makes a map from a dictionary, either way round: {"liver": 1}, {"kidneys": [2, 3]}, {1: "liver"}, {"1": "liver"}.

    Raises:
        VesaliusError: code `label_map`, see `read_label_map`.
    """
    texts = [(k, v) for k, v in entries.items() if isinstance(v, str) and _whole(k) is None and _whole(v) is None]
    names = {str(name).strip(): called.strip() for name, called in texts}
    pairs = [_pair(key, value, path) for key, value in entries.items() if str(key).strip() not in names]
    if not pairs and not names:
        raise _wrong("the label map is empty", path)
    targets: dict[str, tuple[int, ...]] = {}
    ignored: tuple[int, ...] = ()
    for name, ids in pairs:
        if ids == (0,):
            continue
        if name in targets:
            raise _wrong(f'the name "{name}" stands for {list(targets[name])} and for {list(ids)}', path)
        if name.lower() == "ignore":
            ignored = ids
        else:
            targets[name] = ids
    return LabelMap(targets, ignored, path, names)


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int) -> LabelMap:
    content = _load(path)
    if isinstance(content, dict) and isinstance(content.get("labels"), dict):
        content = content["labels"]
    if not isinstance(content, dict):
        raise _wrong("no map of labels in it", path)
    return label_map(content, path)


def _load(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            return json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, path))
        return yaml.load(text, _loader(path))
    except (json.JSONDecodeError, yaml.YAMLError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())
        raise _wrong(f"cannot be parsed: {line}", path) from None


def _declares_labels(path: Path) -> bool:
    content = _load(path)
    return isinstance(content, dict) and isinstance(content.get("labels"), dict)


def _unique(pairs: Iterable[tuple[Any, Any]], path: Path) -> dict:
    found: dict = {}
    for key, value in pairs:
        if key in found:
            raise _wrong(f'"{key}" stands there twice', path)
        found[key] = value
    return found


def _loader(path: Path) -> type[yaml.SafeLoader]:
    """PyYAML lets the last of two equal keys win in silence; this one refuses them."""

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node, deep=False):
            return _unique(
                ((self.construct_object(k, deep), self.construct_object(v, deep)) for k, v in node.value), path
            )

    def mapping(loader, node):
        return loader.construct_mapping(node, deep=True)

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    return Loader


def _pair(key: Any, value: Any, path: Path | None) -> tuple[str, tuple[int, ...]]:
    """(name, ids) of one line, whichever way round it stands."""
    if isinstance(value, str) and _whole(key) is not None:
        return value.strip(), (_id(key, value, path),)
    ids = value if isinstance(value, list | tuple) else [value]
    if not ids:
        raise _wrong(f'"{key}" has no id', path)
    return str(key).strip(), tuple(_id(one, key, path) for one in ids)


def _whole(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    text = str(value).strip()
    return int(text) if text.isdigit() else None


def _id(value: Any, name: Any, path: Path | None) -> int:
    number = _whole(value)
    if number is None or number < 0:
        raise _wrong(f'the id of "{name}" is {value!r}, not a whole number from 0', path)
    return number


def _wrong(problem: str, path: Path | None) -> VesaliusError:
    return VesaliusError(problem, file=path, remedy=_FORMS, code="label_map")
