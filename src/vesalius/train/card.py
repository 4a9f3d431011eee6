"""What lies beside trained weights: a model card that the Hub reads, with data, recipe, hashes and metrics."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from vesalius import __version__
from vesalius.run import file_hash, provenance, replacing
from vesalius.train.job import Job
from vesalius.train.recipe import Recipe


def write_card(
    out: Path, recipe: Recipe, job: Job, metrics: Mapping[str, Any], history: Sequence[Mapping[str, Any]]
) -> None:
    """Writes README.md and recipe.yaml.

    Args:
        out: the folder of the weights.
        recipe, job: what was trained.
        metrics: judged at the end.
        history: what was logged on the way.
    """
    text = yaml.safe_dump(_relative(recipe, out), sort_keys=False)
    with replacing(out / "recipe.yaml") as part:
        part.write_text(text, "utf-8")
    front = {"library_name": "vesalius", "pipeline_tag": "image-segmentation", "tags": ["medical", recipe.task]}
    made = {k: v for k, v in provenance(("torch", "transformers", "monai")).items() if k != "command"}
    losses = [entry["loss"] for entry in history if "loss" in entry]
    hashes = [(str(file.relative_to(out)), file_hash(file)) for file in _weights(out)]
    lines = [
        "---", yaml.safe_dump(front, sort_keys=False).strip(), "---", "",
        f"# {job.title or recipe.task}", "",
        f"Trained by Vesalius {__version__} with the recipe below. **Not a medical device**: judge it where it is to",
        "be used, with `vesalius bench clicks` and `vesalius bench report`.", "",
        "## Judged at the end", "", *_table(_flat(metrics)), "",
        "## Data", "", *_table(_flat(job.facts)), "",
        "## Training", "", _course(recipe, losses), "", "```yaml", text.strip(), "```", "",
        "## Files", "", *_table(hashes, ("file", "SHA-256")), "",
        "## Made with", "", *_table(_flat(made)), "",
    ]  # fmt: skip
    with replacing(out / "README.md") as part:
        part.write_text("\n".join(lines), "utf-8")


def _relative(recipe: Recipe, out: Path) -> dict[str, Any]:
    """The recipe with paths as they are seen from the folder in which it comes to lie."""

    def seen(value: Any) -> Any:
        if isinstance(value, Path):
            return os.path.relpath(value, out)
        if isinstance(value, dict):
            return {key: seen(inner) for key, inner in value.items()}
        return [seen(inner) for inner in value] if isinstance(value, list | tuple) else value

    return {"task": recipe.task, **seen(recipe.model_dump(exclude={"file", "task"}, exclude_defaults=True))}


def _weights(out: Path) -> list[Path]:
    return [f for f in sorted(out.rglob("*.safetensors")) if not any("checkpoint-" in p for p in f.parts)]


def _flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            rows += _flat(value, f"{name}.")
        elif isinstance(value, float):
            rows.append((name, f"{value:.4g}"))
        else:
            rows.append((name, ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)))
    return rows


def _course(recipe: Recipe, losses: Sequence[float]) -> str:
    done = f"{recipe.steps} steps of {recipe.batch_size * recipe.accumulate} samples a device"
    return f"{done}; loss {losses[0]:.3f} at first, {losses[-1]:.3f} at last (`losses.csv`)." if losses else f"{done}."


def _table(rows: Sequence[tuple[str, str]], head: tuple[str, str] = ("what", "value")) -> list[str]:
    def cell(text: str) -> str:
        return text.replace("|", "\\|").replace("\n", " ")

    return [f"| {head[0]} | {head[1]} |", "|---|---|", *(f"| {cell(a)} | {cell(b)} |" for a, b in rows)]
