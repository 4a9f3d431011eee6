"""`vesalius corpus`: archives, pages and papers become interleaved documents, and these a corpus."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vesalius.cli.options import Ray

corpus = typer.Typer(help="Build: web pages and papers to interleaved documents.", no_args_is_help=True)


@corpus.command(short_help="Main text and images of single pages and papers, a line of JSON each.")
def extract(
    files: Annotated[
        list[Path], typer.Argument(help="HTML, WARC (both also gzipped), JATS XML, PDF, videos.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="JSON lines.")] = Path("documents.jsonl"),
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="How: video.scene=12, pdf.page_images=true.", show_default=False)
    ] = None,
) -> None:
    """Takes the main text of each file, and its images in their places; links, menus, comments and the like are gone.

    A document a line, in the order given: `path`, `texts` and `images` of equal length (one of the two null at each
    place), `metadata`, `general_metadata`. Headings, `- items`, rows of tables `a | b` and captions are texts. What
    cannot be read is a line with its `error`.

        vesalius corpus extract pages/*.html articles/*.nxml leaflet.pdf --out documents.jsonl
    """
    import json

    from rich.console import Console

    from vesalius.corpus.read import read
    from vesalius.corpus.read.options import Reading
    from vesalius.corpus.read.record import Bad
    from vesalius.errors import VesaliusError
    from vesalius.run import progress, replacing
    from vesalius.settings import changed, settle

    how = settle(Reading, changed({}, changes or ()))
    console, failed, done = Console(stderr=True), 0, 0
    with replacing(out) as part, part.open("w", encoding="utf-8") as stream, progress("extracting", len(files)) as step:
        for file in files:
            rows: list[dict] = []
            try:
                for found in read(file, how):
                    failed += isinstance(found, Bad)
                    rows.append({"path": str(file), **found.to_row()})
            except VesaliusError as error:
                failed += 1
                rows.append({"path": str(file), "error": str(error), "code": error.code})
                console.print(f"[red]{error}[/red]", highlight=False)
            done += len(rows)
            stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            step(failed)
    console.print(f"{done - failed} documents of {len(files)} files → {out}", highlight=False)
    if failed:
        console.print(f"[red]{failed} failed[/red], each a line with its error", highlight=False)
        raise typer.Exit(1)


@corpus.command(short_help="Archives, pages and papers to a corpus of interleaved documents.")
def build(
    recipe: Annotated[Path, typer.Argument(help="YAML: sources, output, what is kept.", show_default=False)],
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE instead of the recipe's.", show_default=False)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes; one a core by default.", min=1, show_default=False)
    ] = None,
    ray: Ray = None,
) -> None:
    """Reads all sources; keeps what is worth it; takes out identifiers of patients; finds duplicates; writes Parquet.

    Killed at any moment, the same command goes on. `OUT/manifest.json` names the shards, `OUT/dropped.parquet` has
    every document that was left out, and why.

        vesalius corpus build recipes/corpus/pages.yaml --set output=corpus
    """
    from vesalius.corpus.build import build as build_corpus
    from vesalius.corpus.build.recipe import load_recipe

    summary = build_corpus(load_recipe(recipe, tuple(changes or ())), workers=workers, ray=ray)
    _say(summary)
    if summary.problems:
        raise typer.Exit(1)


def _say(summary) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    table.add_column("stage")
    for name in ("documents", "words", "images", "dropped", "per second"):
        table.add_column(name, justify="right")
    table.add_column("most often for")
    for name in summary.tally.to_json():
        stage = summary.tally[name]
        often = stage.reasons.most_common(1)
        words = f"{often[0][0]} ({often[0][1]:,})" if often else ""
        dropped = f"{stage.reasons.total():,}" if stage.reasons else ""
        counts = [f"{n:,}" for n in (stage.documents, stage.words, stage.images)] if stage.documents else ["", "", ""]
        passed = stage.documents + stage.reasons.total()
        speed = passed / stage.seconds if stage.seconds else 0
        rate = f"{speed:,.{0 if speed >= 10 else 1}f}" if speed else ""
        table.add_row(name, *counts, dropped, rate, escape(words))
    console.print(table)
    for source, problem in summary.problems.items():
        console.print(f"[red]{escape(source)}: {escape(problem)}")
    totals = summary.totals
    counted = ", ".join(
        f"{totals[name]:,} {name}" for name in ("documents", "words", "tokens", "images") if name in totals
    )
    console.print(f"{counted} → {escape(str(summary.folder))} ({summary.seconds:.0f} s)")
    console.print(f"Report: {escape(str(summary.folder / 'report' / 'report.html'))}")


class Form(StrEnum):
    """See `export`."""

    text = "text"
    pairs = "pairs"
    webdataset = "webdataset"
    chat = "chat"


@corpus.command(short_help="A corpus as text, image–text pairs, WebDataset or conversations.")
def export(
    folder: Annotated[
        Path, typer.Argument(metavar="CORPUS", help="Folder that `corpus build` wrote.", show_default=False)
    ],
    form: Annotated[Form, typer.Option("--as", help="What is written.")] = Form.text,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A .jsonl or .parquet file; of webdataset a folder.", show_default=False),
    ] = None,
) -> None:
    """Writes a corpus in another form.

    text: a row a document, images dropped. pairs: a row an image, with its caption, its alternative text or the nearest
    paragraph. webdataset: the same as tars, of images that were fetched. chat: pairs as a question and its answer, as
    trainers take them (`messages`).

        vesalius corpus export corpus/ --as webdataset --out tars/
    """
    from vesalius.corpus.export import export as export_corpus

    target = out or Path("webdataset" if form is Form.webdataset else f"{form.value}.jsonl")
    count = export_corpus(folder, form.value, target)
    words = {Form.text: "documents", Form.chat: "conversations"}.get(form, "pairs")
    typer.echo(f"{count:,} {words} → {target}")
