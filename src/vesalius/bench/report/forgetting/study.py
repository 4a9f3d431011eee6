"""The file of a forgetting study: which model is the generalist, which are experts of which classes, which is joined.

Knows the keys, and says which one is wrong and what to write instead. Leaves the numbers to `compare`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from vesalius.errors import VesaliusError

MARGIN = 0.02  # of a fraction such as DSC
EXAMPLE = "generalist: general; experts: {expert_liver: liver}; joined: joined"

_SEED = "{seed}"


class Study(BaseModel):
    """A study as its file says it; docs/report.md has an example.

    Attributes:
        file: where it was read.
        generalist: the foundation model.
        experts: model -> the classes that it is the expert of; no class has two.
        fine_tuned: model -> the classes that it was plainly fine-tuned on.
        joined: the experts and the generalist as one model.
        continued: the generalist trained on for as many steps as the experts.
        metric: which is judged; by default the one that the report shows first.
        margin: the largest difference that does not matter, in the metric's unit, fixed before looking.
        seed: the training runs: a column of the metadata, or how case names hold it (`s{seed}_*`). By default the
            column `seed`, where there is one. Names of models may hold `{seed}`, too: `joined-{seed}`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path
    generalist: str
    experts: dict[str, tuple[str, ...]] = {}
    fine_tuned: dict[str, tuple[str, ...]] = {}
    joined: str | None = None
    continued: str | None = None
    metric: str | None = None
    margin: float = Field(MARGIN, gt=0, allow_inf_nan=False)
    seed: str | None = None

    @field_validator("experts", "fine_tuned", mode="before")
    @classmethod
    def _classes(cls, value: Any) -> Any:
        """`liver, spleen` is a list as well as `[liver, spleen]`."""
        if not isinstance(value, Mapping):
            raise ValueError("write model: [class, class]")
        out = {}
        for model, classes in value.items():
            names = classes.split(",") if isinstance(classes, str) else classes
            if not isinstance(names, Sequence) or not names:
                raise ValueError(f"{model} names no class: write {model}: [class, class]")
            out[str(model)] = tuple(str(name).strip() for name in names)
        return out

    @model_validator(mode="after")
    def _sense(self) -> "Study":
        if not (self.experts or self.fine_tuned or self.continued):
            raise ValueError("nothing is compared with the generalist: give `experts`, `fine_tuned` or `continued`")
        if self.joined and not self.experts:
            raise ValueError("`joined` needs `experts`: which classes are whose")
        owned = [name for classes in self.experts.values() for name in classes]
        if twice := sorted({name for name in owned if owned.count(name) > 1}):
            raise ValueError(f"key experts: {twice[0]} has two experts; name one")
        return self

    @property
    def owned(self) -> tuple[str, ...]:
        """The classes that have an expert."""
        return tuple(name for classes in self.experts.values() for name in classes)

    def models(self) -> Iterator[tuple[str, str]]:
        """(key, model) of every model that is named."""
        yield "generalist", self.generalist
        yield from (("experts", name) for name in self.experts)
        yield from (("fine_tuned", name) for name in self.fine_tuned)
        yield from ((key, name) for key in ("joined", "continued") if (name := getattr(self, key)))

    def runs(self, models: Sequence[str]) -> tuple[str, ...]:
        """Seeds that the names of models hold, sorted; ("",) where no name of the study holds `{seed}`.

        Args:
            models: those of the scores.

        Raises:
            VesaliusError: a model is not among them.
        """
        named = list(self.models())
        found = sorted(
            {match for _, name in named if _SEED in name for model in models if (match := seed_of(name, model))},
            key=_natural,
        )
        wanted = tuple(found) if any(_SEED in name for _, name in named) else ("",)
        for key, name in named:
            for seed in wanted or ("",):
                if self.of_run(name, seed) not in models:
                    said = self.of_run(name, seed) if seed else name
                    raise self.wrong(f"key {key}: no scores of a model {said}", f"models are: {', '.join(models)}")
        return wanted

    @staticmethod
    def of_run(name: str, seed: str) -> str:
        """The name of a model in one run."""
        return name.replace(_SEED, seed) if seed else name

    def check_classes(self, targets: Sequence[str]) -> None:
        """Says which class no score is of.

        Raises:
            VesaliusError: there is one.
        """
        for key in ("experts", "fine_tuned"):
            for model, classes in getattr(self, key).items():
                if unknown := [name for name in classes if name not in targets]:
                    problem = f"key {key}.{model}: no scores of a class {unknown[0]}"
                    raise self.wrong(problem, f"classes are: {', '.join(targets)}")

    def wrong(self, problem: str, remedy: str) -> VesaliusError:
        """An error about this file."""
        return VesaliusError(problem, file=self.file, remedy=remedy, code="study")


def seed_of(pattern: str, name: str) -> str | None:
    """What stands at `{seed}` in a name like `joined-{seed}` or `s{seed}_*` (`*` is anything); None if it does not fit.

    >>> seed_of("s{seed}_*", "s3_case07")
    '3'
    """
    parts = re.split(r"(\{seed\}|\*)", pattern)
    # A digit more belongs to the seed, never to what follows: `s{seed}*` reads 12 in s12_a.
    regex = "".join(
        {_SEED: "(?P<seed>[0-9]+|[^_/ ]+?)" if _SEED not in parts[:i] else "(?P=seed)", "*": ".*"}.get(p, re.escape(p))
        for i, p in enumerate(parts)
    )
    match = re.fullmatch(regex, name)
    return match["seed"] if match else None


def _natural(text: str) -> tuple[int, str]:
    return (int(text) if text.isdigit() else -1, text)


def read_study(file: str | Path) -> Study:
    """Reads a study's file.

    Raises:
        VesaliusError: code `study`: not there, no YAML, a wrong, unknown or lacking key (which is named).
    """
    file = Path(file)

    def wrong(problem: str, remedy: str) -> VesaliusError:
        return VesaliusError(problem, file=file, remedy=remedy, code="study")

    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise wrong(f"cannot be read ({error.strerror})", "check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise wrong(f"is no YAML: {' '.join(str(error).split())}", "correct it") from None
    keys = ", ".join(name for name in Study.model_fields if name != "file")
    if not isinstance(given, Mapping) or "file" in given:
        raise wrong("holds no map of keys", f"write, a line each, {EXAMPLE}; keys are: {keys}")
    try:
        return Study(file=file, **{str(key): value for key, value in given.items()})
    except ValidationError as error:
        # A misspelt key is also a missing one: the first says more.
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        raise wrong(f"has no key {where}", f"keys are: {keys}")
    if first["type"] == "missing":
        raise wrong(f"lacks the key {where}", f"add it, as in {EXAMPLE}")
    words = first["msg"].removeprefix("Value error, ")
    raise wrong(f"key {where}: {words[0].lower()}{words[1:]}" if where else words, f"write it as in {EXAMPLE}")
