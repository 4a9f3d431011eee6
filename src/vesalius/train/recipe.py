"""A recipe: the YAML that says what is trained, on what, for how long.

Knows the keys that all trainings share and how a wrong one is said; each task adds its own (`TASKS`). Paths are
relative to the recipe's folder. Leaves doing it to `trainer.py`.
"""

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vesalius.errors import VesaliusError
from vesalius.run import cores, fingerprint

# Task -> the module with its `Settings` (a `Recipe` with keys of its own) and `prepare(recipe) -> Job`.
TASKS = {
    "sam3d/warmup": "vesalius.train.sam3d.warmup",
    "sam3d/pretrain": "vesalius.train.sam3d.pretrain",
    "sam3d/expert": "vesalius.train.sam3d.expert",
    "sam3d/gate": "vesalius.train.sam3d.gate",
}


class Strict(BaseModel):
    """A part of a recipe: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Schedule(Strict):
    """How the learning rate changes.

    `kind` is `multistep` (times `factor` at each share of the steps in `at`) or a name that transformers knows.
    """

    kind: str = "cosine"
    warmup: float = Field(0.0, ge=0, lt=1, description="Share of the steps in which it rises.")
    at: tuple[float, ...] = Field((0.6, 0.9), description="Of multistep.")
    factor: float = Field(0.1, gt=0, description="Of multistep.")


class Recipe(Strict):
    """What all trainings share.

    Attributes:
        file: where it was read; None for one made in Python.
    """

    file: Path | None = None
    task: str
    output: Path
    seed: int = 0
    steps: int = Field(ge=1, description="Updates of the weights.")
    batch_size: int = Field(1, ge=1, description="Samples at once, on each device.")
    accumulate: int = Field(1, ge=1, description="Batches an update.")
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(0.1, ge=0)
    clip_gradient: float = Field(0.0, ge=0, description="Largest norm of the gradient; 0 leaves it.")
    schedule: Schedule = Schedule()  # type: ignore[call-arg]
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    log_every: int = Field(10, ge=1)
    save_every: int = Field(500, ge=1)
    keep: int = Field(2, ge=1, description="Checkpoints kept on the way.")
    evaluate_every: int = Field(0, ge=0, description="Steps; 0: only at the end.")
    loaders: int = Field(-1, ge=-1, description="Processes that prepare batches; -1: a core less than there are.")
    report_to: Literal["none", "tensorboard", "mlflow", "wandb"] = "none"
    trainer: dict[str, Any] = Field({}, description="Further TrainingArguments of transformers: fsdp, deepspeed, ...")

    @property
    def workers(self) -> int:
        """Processes that prepare batches."""
        return max(0, cores() - 1) if self.loaders < 0 else self.loaders

    @property
    def stamp(self) -> str:
        """What decides the weights: a training goes on only under the same one."""
        speed = {"file", "output", "log_every", "save_every", "keep", "loaders", "report_to", "evaluate_every"}
        return fingerprint(self.model_dump(mode="json", exclude=speed))


def load_recipe(path: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Reads a recipe.

    Args:
        path: YAML.
        changes: `key=value`, `part.key=value`; values as YAML has them.

    Raises:
        VesaliusError: no such file, no YAML, an unknown task, or a key that is missing, unknown or wrong.
    """
    path = Path(path)
    try:
        given = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise VesaliusError("there is no such recipe", file=path, remedy="check the path; recipes/ has some") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        at = f"line {where.line + 1}: " if where else ""
        problem = f"{at}{getattr(error, 'problem', None) or error}"
        raise _wrong(path, f"is no YAML ({problem})", "correct the line") from None
    if not isinstance(given, dict):
        raise _wrong(path, "is no recipe", "write keys and values: task: sam3d/pretrain")
    for change in changes:
        _change(path, given, change)
    return build_recipe(given, path)


def build_recipe(given: Mapping[str, Any], file: Path | None = None) -> Recipe:
    """A recipe from keys and values; see `load_recipe`."""
    task = given.get("task")
    if task not in TASKS:
        near = get_close_matches(str(task), TASKS, 1)
        remedy = f"did you mean {near[0]}?" if near else f"tasks are: {', '.join(TASKS)}"
        raise _wrong(file, f"key task: {task!r} is no task" if task else "lacks the key task", remedy)
    settings = import_module(TASKS[task]).Settings
    base = file.parent if file else Path()
    try:
        recipe = settings(**{str(k): v for k, v in given.items()}, file=file)
    except ValidationError as error:
        raise _said(file, error, settings) from None
    return _resolved(recipe, base)


def _change(path: Path, given: dict[str, Any], change: str) -> None:
    key, equals, value = change.partition("=")
    if not equals or not key:
        raise _wrong(path, f"«{change}» changes nothing", "write --set key=value")
    place, names = given, key.split(".")
    for name in names[:-1]:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise _wrong(path, f"--set {key}: {name} has no keys of its own", "name a key that has")
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
        return _wrong(
            file, f"has no key {name}", f"did you mean {near[0]}?" if near else f"keys are: {', '.join(keys)}"
        )
    if first["type"] == "missing":
        return _wrong(file, f"lacks the key {name}", "add it")
    words = first["msg"].removeprefix("Value error, ")
    return _wrong(file, f"key {name}: {words[0].lower() + words[1:]}", "correct it")


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


def _wrong(file: Path | None, problem: str, remedy: str) -> VesaliusError:
    return VesaliusError(problem, file=file, remedy=remedy, code="recipe")
