"""`challenge.yaml`: which cases, what is hidden, what is measured, what a program may take.

Knows the keys, and says which one is wrong, where, and what to write instead. Leaves finding cases to `cases.py`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vesalius.bench.metrics import DEFAULT_METRICS
from vesalius.bench.metrics.segmentation import Settings
from vesalius.errors import VesaliusError
from vesalius.models.program import ProgramOptions


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ChallengeLimits(_Strict):
    """What one call of a program may take; the same for everybody."""

    seconds: float = Field(ProgramOptions.model_fields["seconds"].default, gt=0)
    memory_mb: int = Field(ProgramOptions.model_fields["memory_mb"].default, ge=16)
    disk_mb: int = Field(ProgramOptions.model_fields["disk_mb"].default, ge=1)
    processes: int = Field(ProgramOptions.model_fields["processes"].default, ge=4)
    cpus: float | None = Field(None, gt=0)


class Challenge(_Strict):
    """A challenge as its file says it; see docs/challenge.md for what each key means.

    Attributes:
        file: where it was read; paths are relative to its folder.
    """

    file: Path
    name: str = Field(min_length=1)
    images: Path | None = None
    labels: Path | None = None
    pattern: str | None = None
    structures: dict[str, int | list[int]] | None = None
    questions: Path | None = None
    ask: str | None = None
    metrics: tuple[str, ...] = DEFAULT_METRICS
    tolerance: float | dict[str, float] = 2.0
    empty: Literal["present", "strict", "nan"] = "present"
    resample: bool = False
    limits: ChallengeLimits = ChallengeLimits()  # type: ignore[call-arg]
    metadata: Path | None = None
    reveal: tuple[str, ...] = ()
    seed: int = 0

    @model_validator(mode="after")
    def _one_kind(self) -> "Challenge":
        if (self.questions is None) == (self.images is None):
            raise ValueError("give either `images` and `labels`, or `questions`")
        if self.images is not None and self.labels is None:
            raise ValueError("`labels` is missing: the folder of references, which programs never see")
        if self.questions is not None:
            of_masks = {"labels", "pattern", "structures", "metadata", "metrics", "tolerance", "empty", "resample"}
            if wrong := sorted(of_masks & self.model_fields_set):
                raise ValueError(f"`{wrong[0]}` has no meaning beside `questions`")
        if self.reveal and self.images is not None and self.metadata is None:
            raise ValueError("`reveal` names columns of `metadata`, which is missing")
        return self

    @property
    def kind(self) -> Literal["masks", "questions"]:
        """What is answered."""
        return "masks" if self.images is not None else "questions"

    @property
    def settings(self) -> Settings:
        """Of the metrics of masks.

        Raises:
            VesaliusError: no metric has that name.
        """
        return Settings(self.metrics, self.tolerance, self.empty)

    @property
    def hidden(self) -> tuple[Path, ...]:
        """What no program may reach."""
        paths = (self.file, self.images, self.labels, self.questions, self.metadata)
        return tuple(path.resolve() for path in paths if path is not None)


def read_challenge(file: str | Path) -> Challenge:
    """Reads a challenge's file.

    Raises:
        VesaliusError: code `challenge`: not there, no YAML, a wrong or unknown key (which is named), a path that leads
            nowhere.
    """
    file = Path(file)
    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        raise VesaliusError(problem, file=file, remedy="check the path", code="challenge") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = f"is no YAML: {' '.join(str(error).split())}"
        raise VesaliusError(problem, file=file, remedy="correct it", code="challenge") from None
    if not isinstance(given, Mapping) or "file" in given:
        raise _wrong(file, "holds no map of keys", f"write lines like `name: liver`; keys are: {_keys(Challenge)}")
    try:
        challenge = Challenge(file=file.resolve(), **{str(key): value for key, value in given.items()})
    except ValidationError as error:
        raise _said(file, error) from None
    paths = {}
    for key in ("images", "labels", "questions", "metadata"):
        path: Path | None = getattr(challenge, key)
        if path is None:
            continue
        paths[key] = (challenge.file.parent / path).resolve()
        if not (paths[key].is_dir() if key in ("images", "labels") else paths[key].is_file()):
            kind = "folder" if key in ("images", "labels") else "file"
            raise _wrong(file, f"key {key}: there is no such {kind}: {path}", "paths are relative to this file")
    challenge = challenge.model_copy(update=paths)
    if challenge.kind == "masks":
        try:
            _ = challenge.settings
        except VesaliusError as error:
            raise _wrong(file, f"key metrics: {error.problem}", error.remedy or "correct it") from None
    return challenge


def _said(file: Path, error: ValidationError) -> VesaliusError:
    # a misspelt key is also a missing one: the first says more
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    where = [str(word) for word in first["loc"]]
    if first["type"] == "extra_forbidden":
        inner = ChallengeLimits if where[0] == "limits" else Challenge
        return _wrong(file, f"has no key {'.'.join(where)}", f"keys are: {_keys(inner)}")
    if first["type"] == "missing":
        return _wrong(file, f"lacks the key {'.'.join(where)}", "add it")
    words = first["msg"].removeprefix("Value error, ")
    return _wrong(file, f"key {'.'.join(where)}: {words.lower()}" if where else words, "see docs/challenge.md")


def _keys(model: type[BaseModel]) -> str:
    return ", ".join(name for name in model.model_fields if name != "file")


def _wrong(file: Path, problem: str, remedy: str) -> VesaliusError:
    return VesaliusError(problem, file=file, remedy=remedy, code="challenge")
