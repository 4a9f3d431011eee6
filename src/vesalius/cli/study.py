"""`vesalius study`: does the mixture of experts learn without forgetting? Asked over seeds, answered by the report."""

from pathlib import Path
from typing import Annotated

import typer


def study(
    recipe: Annotated[Path, typer.Argument(help="YAML; recipes/studies/sam3d_moe.yaml.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of hospitals, trainings, scores and report.")] = Path(
        "study"
    ),
    workers: Annotated[
        int | None, typer.Option(help="Processes; by default one a core.", min=1, show_default=False)
    ] = None,
) -> None:
    """Trains a generalist, fine-tunes it, gives it experts and joins them, in phantom hospitals of several seeds.

    Then clicks all of them through seen and unseen hospitals and says, with intervals and two one-sided tests, whether
    experts beat the generalist on their classes, whether plain fine-tuning loses on the others, and whether the joined
    model is equivalent to the expert there and to the generalist elsewhere. Hours on a laptop; kill it at any moment,
    the same command goes on.
    """
    from rich.console import Console

    from vesalius.bench.report import Settings, analyse, write
    from vesalius.bench.report.forgetting import headline, sentences
    from vesalius.train.sam3d.study import load_study, run_study

    console = Console(highlight=False, soft_wrap=True)
    asked = load_study(recipe)
    scores = run_study(asked, out, workers)
    settings = Settings(
        metadata=out / "patients.csv", in_distribution="site in (A, B, C)", forgetting=out / "forgetting.yaml"
    )
    analysis = analyse([scores], settings)
    write(analysis, out / "report", "Does the mixture of experts learn without forgetting?")
    assert analysis.comparison is not None
    console.print(f"\n[bold]{headline(analysis.comparison)}[/bold]")
    for sentence in sentences(analysis.comparison):
        console.print(f"• {sentence}", markup=False)
    console.print(f"\n[bold]Report:[/bold] {(out / 'report' / 'report.html').resolve()}")
