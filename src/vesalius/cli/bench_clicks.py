"""`vesalius bench clicks`: models that take clicks, clicked by a simulator that sees the truth."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vesalius.errors import VesaliusError


class Way(StrEnum):
    """Where the next click goes."""

    random = "random"
    deepest = "deepest"


class Crop(StrEnum):
    """Where windows lie."""

    click = "click"
    truth = "truth"


def clicks(
    images: Annotated[Path, typer.Argument(help="Folder of images.", show_default=False)],
    references: Annotated[Path, typer.Argument(help="Folder of reference masks.", show_default=False)],
    model: Annotated[
        list[str],
        typer.Option(
            "--model", "-m", help="NAME=sam3d:FOLDER, sam3d:FILE.pth, seeds:; again for more.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The Score table.")] = Path("clicks.parquet"),
    after: Annotated[str, typer.Option(help="Numbers of clicks after which is scored.")] = "1,3,5,10",
    way: Annotated[
        Way,
        typer.Option(help="random: anywhere in what is wrong (SAM-Med3D's); deepest: where it is deepest, in mm."),
    ] = Way.random,
    crop: Annotated[
        Crop,
        typer.Option(
            help="click: windows follow the clicks; truth: around the truth, as the public code has it. They are not "
            "compared: the second tells the model how large the structure is."
        ),
    ] = Crop.click,
    metrics: Annotated[str, typer.Option(help="As in bench score.")] = "dsc,nsd",
    tolerance: Annotated[float, typer.Option(help="Of NSD, in mm.")] = 2.0,
    structures: Annotated[
        str | None, typer.Option(help="Which, with commas between; all by default.", show_default=False)
    ] = None,
    cases: Annotated[
        str | None, typer.Option(help="Which, with commas between; all by default.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the clicks; every model gets the same first ones.")] = 0,
    workers: Annotated[
        int | None, typer.Option(help="Processes; one a core by default.", min=1, show_default=False)
    ] = None,
) -> None:
    """Click through every case with every model: where the mask is wrong, the next click goes there.

    The first click lies in the structure; models never see the truth. Scores are called dsc@1, dsc@3, …; `bench report`
    judges them as any others. Kill it at any moment: the same command goes on.

        vesalius bench clicks imagesTs/ labelsTs/ -m general=sam3d:general/ -m joined=sam3d:joined/ -m seeds:
    """
    from rich.console import Console

    from vesalius.bench.clicks import Protocol, run
    from vesalius.models.protocol import parse_url

    console = Console(stderr=True)
    named = {parse_url(url).name: url for url in model}
    if len(named) < len(model):
        raise VesaliusError("two models have the same name", remedy="name them: -m mine=sam3d:out/", code="usage")
    numbers = [part.strip() for part in after.split(",")]
    if not all(part.isdigit() for part in numbers):
        raise VesaliusError(f"--after {after} are no numbers of clicks", remedy="write 1,3,5,10", code="usage")
    protocol = Protocol(
        tuple(sorted({int(n) for n in numbers})), way.value, crop.value, _listed(metrics), tolerance, seed
    )
    summary = run(
        images, references, named, out, protocol, structures=_listed(structures), cases=_listed(cases), workers=workers
    )
    if summary.without_image:
        names = ", ".join(summary.without_image[:5])
        console.print(
            f"[yellow]{len(summary.without_image)} references have no image:[/yellow] {names}", highlight=False
        )
    line = f"clicked through {summary.pairs - summary.failed} of {summary.pairs} cases; {summary.done_now} now → {out}"
    console.print(line, highlight=False)
    for name, score, bias, error in summary.confidence:
        how = "too sure" if bias > 0 else "too modest"
        line = f"{name}, {score}: {how} of its IoU by {abs(bias):.3f}; mean absolute error {error:.3f}"
        console.print(line, highlight=False)
    if summary.failed:
        console.print(f"[red]{summary.failed} failed[/red], each a row with its reason", highlight=False)
        raise typer.Exit(1)


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else ()
