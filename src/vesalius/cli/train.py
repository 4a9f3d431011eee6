"""`vesalius train`: a recipe becomes weights with a card."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[Path, typer.Argument(help="YAML; recipes/ has one a task.", show_default=False)],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Another value: --set steps=200 --set interaction.clicks=5.", show_default=False),
    ] = None,
    look: Annotated[
        bool, typer.Option("--look", help="Write a page of what a batch looks like, and train nothing.")
    ] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Forget what the output holds of this training.")] = False,
) -> None:
    """Trains what a recipe says; stop it at any moment, the same command goes on.

    Tasks: sam3d/warmup (a small new network learns to name voxels before clicks), sam3d/pretrain (a foundation; with
    start.weights fine-tuning), sam3d/expert (a decoder for one task) and sam3d/gate (joins them). One GPU or CPU as it
    is; several with `torchrun --nproc-per-node 4 -m vesalius train …` or `accelerate launch -m vesalius train …`; FSDP,
    DeepSpeed and all else of transformers' TrainingArguments under `trainer:` in the recipe.

    Writes config.json and model.safetensors (or an expert's decoder.safetensors), preprocessor_config.json, a model
    card README.md, losses.csv, data.html. `sam3d:OUTPUT` is then a model for `bench clicks`, `view` and `bench run`.
    """
    from importlib import import_module

    from rich.console import Console

    from vesalius.train.recipe import TASKS, load_recipe

    console = Console(stderr=True)
    read = load_recipe(recipe, changes or ())
    # transformers' trainer takes seconds to be there: a recipe with a mistake does not wait for it.
    from vesalius.train.page import write_data_page
    from vesalius.train.trainer import is_first_process
    from vesalius.train.trainer import train as fit

    job = import_module(TASKS[read.task]).prepare(read)
    if is_first_process():
        for problem in job.facts.get("unreadable", ()):
            console.print(f"[yellow]left out:[/yellow] {problem}")
        page = write_data_page(read.output / "data.html", read, job)
        console.print(f"what a batch looks like: {page}", highlight=False)
    if look:
        return
    metrics = fit(read, job, restart=restart)
    if is_first_process():
        shown = ", ".join(f"{name} {value:.3f}" for name, value in metrics.items() if isinstance(value, float))
        console.print(f"{read.output}: {shown or 'done'}", highlight=False)
