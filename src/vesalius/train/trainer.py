"""The one trainer: transformers' Trainer with accelerate around any `Job`.

Devices, DDP, FSDP and DeepSpeed come from how it is started (`torchrun`, `accelerate launch`) and from `trainer:` in
the recipe. Ours is: samples in their own order, so that a resumed or a shared training sees the same ones; a checkpoint
when it is killed; judging through the bench; and an output with card, losses and page. Leaves what is trained to the
tasks.
"""

import csv
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import SequentialSampler
from transformers import TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from vesalius.errors import VesaliusError
from vesalius.run import Interrupted, console, replacing, sigterm_as_interrupt
from vesalius.train.card import write_card
from vesalius.train.job import Job
from vesalius.train.recipe import Recipe

KEPT = ("data", "data.html")  # what stands in an output before it is trained, and is found by what it was made of
STATE = "training.json"  # the stamp of what is trained in a folder, and whether it is done


def train(recipe: Recipe, job: Job, *, restart: bool = False) -> dict[str, Any]:
    """Trains, or goes on, and writes the output.

    Args:
        recipe: see `recipe.py`.
        job: what the recipe's task prepared.
        restart: forget what stands in the output.

    Returns:
        The metrics that stand in the card.

    Raises:
        VesaliusError: the output holds another training; the loss is no longer a number.
        Interrupted: stopped; the same call goes on.
    """
    out = recipe.output
    arguments = _arguments(recipe)
    with arguments.main_process_first(local=False):  # one clears, the others find it done
        state = _claim(recipe, restart and is_first_process())
        checkpoint = _last_checkpoint(out)
    if state.get("done"):
        return state["metrics"]
    trainer = _Trainer(job, recipe, arguments)
    with sigterm_as_interrupt():
        try:
            trainer.train(resume_from_checkpoint=checkpoint)
        except KeyboardInterrupt:
            if trainer.state.global_step:
                trainer._save_checkpoint(trainer.model, trial=None)  # type: ignore[arg-type]
            problem = f"stopped at step {trainer.state.global_step} of {recipe.steps}; kept"
            raise Interrupted(problem, file=out, remedy="the same command goes on from here") from None
    metrics: dict[str, Any] = {}
    if trainer.is_world_process_zero():
        job.save(out)
        history = trainer.state.log_history
        metrics = {**{k: v for k, v in job.evaluate().items()}, **job.finish(out)}
        _write_losses(out / "losses.csv", history)
        write_card(out, recipe, job, metrics, history)
        _write_state(out, recipe.stamp, metrics)
        for leftover in out.glob("checkpoint-*"):
            shutil.rmtree(leftover)
    return metrics


def _claim(recipe: Recipe, restart: bool) -> dict[str, Any]:
    """What stands in the output, if it is of the same recipe."""
    out = recipe.output
    file = out / STATE
    if restart and file.is_file():
        for old in out.iterdir():
            if old.name not in KEPT:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VesaliusError(f"cannot be made ({error.strerror})", file=out, remedy="name another output") from None
    if not file.is_file():
        if any(out.glob("*.safetensors")) or any(out.glob("checkpoint-*")):
            raise VesaliusError(
                "holds weights of something else", file=out, remedy="name another output", code="output"
            )
        with replacing(file) as part:
            part.write_text(json.dumps({"stamp": recipe.stamp}), "utf-8")
        return {}
    state = json.loads(file.read_text("utf-8"))
    if state["stamp"] != recipe.stamp:
        remedy = "name another output, or begin anew with --restart"
        raise VesaliusError("holds a training of another recipe", file=out, remedy=remedy, code="output")
    return state


def _write_state(out: Path, stamp: str, metrics: Mapping[str, Any]) -> None:
    with replacing(out / STATE) as part:
        part.write_text(json.dumps({"stamp": stamp, "done": True, "metrics": dict(metrics)}, indent=2), "utf-8")


def _last_checkpoint(out: Path) -> str | None:
    """The newest checkpoint that was written to its end; those that were not are removed."""
    for folder in out.glob("checkpoint-*"):
        try:
            json.loads((folder / "trainer_state.json").read_text("utf-8"))
        except (OSError, ValueError):
            shutil.rmtree(folder)
    return get_last_checkpoint(str(out))


def _arguments(recipe: Recipe) -> TrainingArguments:
    known = set(TrainingArguments.__dataclass_fields__)
    if unknown := sorted(set(recipe.trainer) - known):
        problem = f"key trainer: TrainingArguments has no {unknown[0]}"
        raise VesaliusError(problem, file=recipe.file, remedy="see transformers' TrainingArguments", code="recipe")
    given: dict[str, Any] = {
        "output_dir": str(recipe.output),
        "max_steps": recipe.steps,
        "per_device_train_batch_size": recipe.batch_size,
        "gradient_accumulation_steps": recipe.accumulate,
        "learning_rate": recipe.learning_rate,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.clip_gradient,
        "bf16": recipe.precision == "bf16",
        "fp16": recipe.precision == "fp16",
        "logging_steps": recipe.log_every,
        "save_steps": recipe.save_every,
        "save_total_limit": recipe.keep,
        "eval_strategy": "steps" if recipe.evaluate_every else "no",
        "eval_steps": recipe.evaluate_every or None,
        "seed": recipe.seed,
        "dataloader_num_workers": recipe.workers,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "report_to": recipe.report_to,
        "remove_unused_columns": False,
        "ddp_find_unused_parameters": False,
        "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(),
        "label_names": [],
    }
    return TrainingArguments(**{**given, **recipe.trainer})


def is_first_process() -> bool:
    """Whether this process speaks and writes for all (torchrun numbers them)."""
    return int(os.environ.get("RANK", "0")) == 0


class _Trainer(transformers.Trainer):
    """See the module."""

    def __init__(self, job: Job, recipe: Recipe, arguments: TrainingArguments):
        self.job, self.recipe = job, recipe
        self._numbers: dict[str, list[float]] = {}
        super().__init__(
            model=job.module, args=arguments, train_dataset=job.dataset, data_collator=job.collate,
            eval_dataset=job.dataset, callbacks=[_Bar(recipe.steps)],
        )  # fmt: skip
        self.remove_callback(transformers.PrinterCallback)
        self.model_accepts_loss_kwargs = False  # a batch's loss is a mean: batches of an update are averaged

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return SequentialSampler(train_dataset or self.train_dataset)  # type: ignore[arg-type]

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW over the job's groups."""
        if self.optimizer is None:
            rate = self.args.learning_rate
            groups = [{**group, "lr": rate * group.pop("scale", 1.0)} for group in self.job.groups()]
            self.optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=self.args.weight_decay, fused=True)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The recipe's schedule."""
        if self.lr_scheduler is None:
            self.lr_scheduler = _schedule(self.recipe, optimizer or self.optimizer, num_training_steps)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The module's own; further numbers are averaged until they are logged."""
        outputs = model(**inputs)
        loss = outputs["loss"]
        if not torch.isfinite(loss):
            problem = f"the loss is {loss.item()} at step {self.state.global_step}"
            raise VesaliusError(problem, remedy="lower learning_rate, or set clip_gradient: 1", code="diverged")
        for name, value in outputs.items():
            if name != "loss":
                self._numbers.setdefault(name, []).append(float(value.detach()))
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """With the further numbers."""
        if "loss" in logs:
            logs |= {name: sum(values) / len(values) for name, values in self._numbers.items() if values}
            self._numbers.clear()
        super().log(logs, start_time)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Judges through the bench, on the first process."""
        found: dict[str, float] = {}
        if self.is_world_process_zero():
            found = {f"eval_{name}": float(value) for name, value in self.job.evaluate().items()}
        self.accelerator.wait_for_everyone()
        self.log(found)
        return found

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or self.recipe.output)
        folder.mkdir(parents=True, exist_ok=True)
        self.job.save(folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self.job.load(Path(resume_from_checkpoint))


def _schedule(recipe: Recipe, optimizer: Any, steps: int) -> Any:
    how = recipe.schedule
    warm = int(how.warmup * steps)
    if how.kind != "multistep":
        try:
            return transformers.get_scheduler(how.kind, optimizer, num_warmup_steps=warm, num_training_steps=steps)
        except ValueError:
            names = ", ".join(["multistep", *(kind.value for kind in transformers.SchedulerType)])
            problem = f"key schedule.kind: no schedule is called {how.kind}"
            raise VesaliusError(problem, file=recipe.file, remedy=f"there are {names}", code="recipe") from None

    def factor(step: int) -> float:
        return min(1.0, (step + 1) / (warm + 1)) * how.factor ** sum(step >= share * steps for share in how.at)

    return LambdaLR(optimizer, factor)


class _Bar(TrainerCallback):
    """A progress bar on standard error: steps, loss, time left; and a checkpoint when the machine is taken away."""

    def __init__(self, steps: int):
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[said]}"))
        self.bar = Progress(*columns, TimeRemainingColumn(), console=console())
        self.task = self.bar.add_task("training", total=steps, said="")

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Shows it, on the first process."""
        if state.is_world_process_zero:
            self.bar.start()
            self.bar.update(self.task, completed=state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One step on."""
        self.bar.update(self.task, completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """The last numbers."""
        shown = [
            f"{k.removeprefix('eval_')} {v:.3g}" for k, v in (logs or {}).items() if k in ("loss", "dice", "eval_dsc")
        ]
        if shown:
            self.bar.update(self.task, said=", ".join(shown))

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Takes it away."""
        self.bar.stop()


def _write_losses(path: Path, history: list[dict[str, Any]]) -> None:
    """Everything that was logged, a row a step."""
    rows: dict[int, dict[str, Any]] = {}
    for entry in history:
        rows.setdefault(entry["step"], {}).update(entry)
    names = list(dict.fromkeys(["step", *(key for row in rows.values() for key in row)]))
    with replacing(path) as part, open(part, "w", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(rows.values())
