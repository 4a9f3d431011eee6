"""What a person writes down in YAML: keys that are known, values that fit, and one line where they are not.

Knows YAML and pydantic; what the keys mean is for whoever has the class.
"""

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from vesalius.errors import VesaliusError

Settings = TypeVar("Settings", bound=BaseModel)


class Strict(BaseModel):
    """Settings, or a part of them: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_yaml(
    path: str | Path, changes: Sequence[str] = (), *, example: str = "task: sam3d/pretrain"
) -> dict[str, Any]:
    """The keys and values of a file.

    Args:
        path: YAML.
        changes: `key=value`, `part.key=value`; values as YAML has them.
        example: of a line in it, for who wrote none.

    Raises:
        VesaliusError: code `recipe`: no such file, no YAML, no keys.
    """
    path = Path(path)
    try:
        given = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise wrong(path, "there is no such recipe", "check the path; recipes/ has some") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        at = f"line {where.line + 1}: " if where else ""
        problem = f"{at}{getattr(error, 'problem', None) or error}"
        raise wrong(path, f"is no YAML ({problem})", "correct the line") from None
    if not isinstance(given, dict):
        raise wrong(path, "is no recipe", f"write keys and values: {example}")
    return changed({str(key): value for key, value in given.items()}, changes, path)


def changed(given: dict[str, Any], changes: Sequence[str], file: Path | None = None) -> dict[str, Any]:
    """Keys and values with others instead: `key=value`, `part.key=value`; values as YAML has them.

    Raises:
        VesaliusError: code `recipe`: a change that is none.
    """
    for change in changes:
        _change(file, given, change)
    return given


def settle(kind: type[Settings], given: Mapping[str, Any], file: Path | None = None) -> Settings:
    """Settings from keys and values; relative paths are the file's folder's.

    Args:
        kind: has an attribute `file` that says where it was read.
        given: as `read_yaml` gives them.
        file: None for settings made in Python.

    Raises:
        VesaliusError: code `recipe`: a key that is missing, unknown or wrong.
    """
    if "file" in given:  # ours to say
        raise wrong(file, "has no key file", "leave it out")
    try:
        settings = kind(**{str(k): v for k, v in given.items()}, file=file)
    except ValidationError as error:
        raise _said(file, error, kind) from None
    return _resolved(settings, file.parent if file else Path())


def wrong(file: Path | None, problem: str, remedy: str) -> VesaliusError:
    """What is wrong with a file of settings."""
    return VesaliusError(problem, file=file, remedy=remedy, code="recipe")


def _change(path: Path | None, given: dict[str, Any], change: str) -> None:
    key, equals, value = change.partition("=")
    if not equals or not key:
        raise wrong(path, f"«{change}» changes nothing", "write --set key=value")
    place, names = given, key.split(".")
    for name in names[:-1]:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise wrong(path, f"--set {key}: {name} has no keys of its own", "name a key that has")
    place[names[-1]] = yaml.safe_load(value)


def _resolved(part: Any, base: Path) -> Any:
    """The same with every relative path put under the recipe's folder."""
    if isinstance(part, BaseModel):
        values = {name: _resolved(getattr(part, name), base) for name in type(part).model_fields if name != "file"}
        return part.model_copy(update=values)
    if isinstance(part, tuple):
        return tuple(_resolved(value, base) for value in part)
    return Path(os.path.abspath(base / part)) if isinstance(part, Path) else part


def _said(file: Path | None, error: ValidationError, settings: type[BaseModel]) -> VesaliusError:
    # a misspelt key is also a missing one: the first says more
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    where = [str(word) for word in first["loc"]]
    name = ".".join(where)
    if first["type"] == "extra_forbidden":
        keys = [k for k in _fields(settings, where[:-1]) if k != "file"]
        near = get_close_matches(where[-1], keys, 1)
        return wrong(file, f"has no key {name}", f"did you mean {near[0]}?" if near else f"keys are: {', '.join(keys)}")
    if first["type"] == "missing":
        return wrong(file, f"lacks the key {name}", "add it")
    words = first["msg"].removeprefix("Value error, ")
    words = words[0].lower() + words[1:]
    return wrong(file, f"key {name}: {words}" if name else words, "correct it")


def _fields(settings: type[BaseModel], where: Sequence[str]) -> list[str]:
    """Keys of a part of a recipe."""
    from typing import get_args

    kind: type[BaseModel] = settings
    for word in where:
        if word.isdigit():
            continue
        annotation = kind.model_fields[word].annotation
        inner = [annotation, *get_args(annotation)]
        kind = next((k for k in inner if isinstance(k, type) and issubclass(k, BaseModel)), kind)
    return list(kind.model_fields)
