"""`vesalius corpus`: pages and papers become interleaved documents."""

from pathlib import Path
from typing import Annotated

import typer

corpus = typer.Typer(help="Build: web pages and papers to interleaved documents.", no_args_is_help=True)


@corpus.command(short_help="Main text and images of single pages and papers, a line of JSON each.")
def extract(
    files: Annotated[list[Path], typer.Argument(help="HTML (also gzipped), or JATS XML.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="JSON lines.")] = Path("documents.jsonl"),
) -> None:
    """Takes the main text of each file, and its images in their places; links, menus, comments and the like are gone.

    A document a line, in the order given: `path`, `texts` and `images` of equal length (one of the two null at each
    place), `metadata`, `general_metadata`. Headings, `- items`, rows of tables `a | b` and captions are texts. A file
    that cannot be read is a line with its `error`.

        vesalius corpus extract pages/*.html articles/*.nxml --out documents.jsonl
    """
    import json

    from rich.console import Console

    from vesalius.corpus.read import read
    from vesalius.errors import VesaliusError
    from vesalius.run import progress, replacing

    console, failed, done = Console(stderr=True), 0, 0
    with replacing(out) as part, part.open("w", encoding="utf-8") as stream, progress("extracting", len(files)) as step:
        for file in files:
            try:
                rows = [{"path": str(file), **document.to_row()} for document in read(file)]
            except VesaliusError as error:
                failed += 1
                rows = [{"path": str(file), "error": str(error), "code": error.code}]
                console.print(f"[red]{error}[/red]", highlight=False)
            done += len(rows)
            stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            step(failed)
    console.print(f"{done - failed} documents of {len(files)} files → {out}", highlight=False)
    if failed:
        console.print(f"[red]{failed} failed[/red], each a line with its error", highlight=False)
        raise typer.Exit(1)
