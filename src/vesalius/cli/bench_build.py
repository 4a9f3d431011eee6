"""`vesalius bench build`: labelled sets to a benchmark in GMAI-MMBench's own file."""

from pathlib import Path
from typing import Annotated

import typer

from vesalius.errors import VesaliusError


def build(
    sets: Annotated[
        list[Path] | None,
        typer.Argument(help="One YAML a labelled set (docs/bench_build.md has every key).", show_default=False),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The benchmark, a TSV as VLMEvalKit reads it; images lie inside.")
    ] = Path("benchmark.tsv"),
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder that each YAML's `root` is relative to; by default the YAML's own.", show_default=False
        ),
    ] = None,
    per_image: Annotated[int, typer.Option(help="The most questions of one image.", min=1)] = 4,
    seed: Annotated[int, typer.Option(help="Of split, questions and wording: the same seed gives the same file.")] = 0,
    preview: Annotated[
        Path | None,
        typer.Option(help="Also a page with some questions of each kind, images and answers.", show_default=False),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(help="Look at a FOLDER and print a YAML to begin with, instead.", show_default=False),
    ] = None,
) -> None:
    """Make a benchmark of your own labelled images: class folders, a CSV, VOC or COCO boxes, masks.

    Questions name modality and task, and ask about the image, a box, a mask or a contour drawn on it; wrong options
    are the nearest siblings of the right one. They come in blocks with the same text in which each option is right
    once, so that no guess by words beats chance. Patients are split; file names and labels stay out of the file.

    OUT.counts.csv says how many of each kind, and what blind baselines reach.

    Start: vesalius bench build --init my_images/ > my_images.yaml

    Then: vesalius bench build my_images.yaml --out mine.tsv --preview mine.html
    """
    if init is not None:
        from vesalius.instruct.look import starting_yaml

        print(starting_yaml(init), end="")
        return
    if not sets:
        remedy = "write one with: vesalius bench build --init FOLDER > set.yaml"
        raise VesaliusError("no YAML of a labelled set is given", remedy=remedy, code="usage")
    from vesalius.instruct.build import build as make
    from vesalius.instruct.build import write_counts
    from vesalius.instruct.config import read_config

    configs = [(path, read_config(path)) for path in sets]
    built = make([(c, (root or path.parent) / c.root) for path, c in configs], out, per_image, seed)
    write_counts(built, out)
    if preview is not None:
        from vesalius.instruct.preview import write_preview

        write_preview(built, preview, seed)
    _say(built, out, preview)
    if built.problems:
        raise typer.Exit(1)


def _say(built, out: Path, preview: Path | None) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    table.add_column("asked", overflow="fold", min_width=34)
    for heading in ("questions", "chance", "majority letter", "longest"):
        table.add_column(heading, justify="right")
    for name, blind in built.by_template().items():
        shares = [blind.chance, blind.accuracy["majority letter"], blind.accuracy["longest option"]]
        table.add_row(escape(name), str(blind.n), *(f"{share:.0%}" for share in shares))
    Console().print(table)
    for warning in built.warnings:
        console.print(f"[yellow]{escape(warning)}")
    for problem in built.problems[:10]:
        console.print(f"[red]{escape(str(problem))}")
    if len(built.problems) > 10:
        console.print(f"[red]and {len(built.problems) - 10} more, in {escape(str(out.with_suffix('')))}.problems.csv")
    left_out = f", {len(built.problems)} files or rows left out" if built.problems else ""
    images = len({(planned.dataset, planned.image.name) for planned in built.planned})
    shown = f"; look at {preview}" if preview else ""
    print(f"{out}: {len(built.planned):,} questions on {images:,} images{left_out}{shown}")
