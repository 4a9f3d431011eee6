"""A recipe: the YAML that says what is trained, on what, for how long.

Knows the keys that all trainings share and how a wrong one is said; each task adds its own (`TASKS`). Paths are
relative to the recipe's folder. Leaves doing it to `trainer.py`.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from vesalius.run import cores, fingerprint
from vesalius.settings import Strict, read_yaml, settle, wrong

# Task -> the module with its `Settings` (a `Recipe` with keys of its own) and `prepare(recipe) -> Job`.
TASKS = {
    "sam3d/warmup": "vesalius.train.sam3d.warmup",
    "sam3d/pretrain": "vesalius.train.sam3d.pretrain",
    "sam3d/expert": "vesalius.train.sam3d.expert",
    "sam3d/gate": "vesalius.train.sam3d.gate",
}


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
    return build_recipe(read_yaml(path, changes), path)


def build_recipe(given: Mapping[str, Any], file: Path | None = None) -> Recipe:
    """A recipe from keys and values; see `load_recipe`."""
    task = given.get("task")
    if task not in TASKS:
        near = get_close_matches(str(task), TASKS, 1)
        remedy = f"did you mean {near[0]}?" if near else f"tasks are: {', '.join(TASKS)}"
        raise wrong(file, f"key task: {task!r} is no task" if task else "lacks the key task", remedy)
    return settle(import_module(TASKS[task]).Settings, given, file)
