"""`vesalius bench list` and `vesalius bench tree`: which benchmarks there are, and which nodes one has."""

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer


def list_benchmarks(as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """Benchmarks that are known by name, where their files come from, and what models reached.

    A name is fetched from the Hugging Face hub where there is a network (or taken from its cache); any file in one of
    the layouts works as well, and so does hub:OWNER/NAME/FILE.
    """
    from vesalius.bench.questions.catalog import KNOWN

    if as_json:
        typer.echo(json.dumps([vars(known) for known in KNOWN], ensure_ascii=False))
        return
    for known in KNOWN:
        typer.echo(f"{known.name:<16} {known.title}: {known.questions}; {known.source}")
        typer.echo(
            f"{'':<16} {f'hub:{known.hub}/{known.file}' if known.hub else 'download it, and name its JSON file'}"
        )
        if known.reference:
            typer.echo(f"{'':<16} reported accuracy (%): {known.reference}")


def tree(
    benchmark: Annotated[str, typer.Argument(help="A name (see `vesalius bench list`), or a file of questions.",
                                             show_default=False)],
    levels: Annotated[str | None, typer.Option("--levels", help="Columns from the root on, with commas between; by "
                                               "default the benchmark's own.", show_default=False)] = None,
    select: Annotated[str | None, typer.Option(help="Only questions that meet a condition.",
                                               show_default=False)] = None,
    media: Annotated[list[Path] | None, typer.Option(help="Where images and slides lie.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print nodes and counts as JSON.")] = False,
) -> None:  # fmt: skip
    """The lexical tree of a benchmark with its counts; every node can be selected by the condition that it shows.

    Example: vesalius bench tree benchmark.tsv --levels modality,department --select "granularity in (box, mask)"
    """
    from vesalius import taxonomy
    from vesalius.bench.questions.runner import open_benchmark
    from vesalius.bench.questions.store import Store
    from vesalius.select import where

    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "tree", create=True) as store:
        name, file = open_benchmark(benchmark, store.media, media or [])
        store.ingest(name, file)
        frame = store.metadata(name)
        total = frame.height
        if select:
            frame = where(frame, select)
        wanted = [word.strip() for word in levels.split(",")] if levels else []
        grown = taxonomy.levels(frame, wanted, file.tree)
        others = [column for column in taxonomy.taxonomy_columns(frame, file.cluster) if column not in grown[:1]]
        counts = taxonomy.nodes(frame, grown, others).group_by("node", "depth", maintain_order=True).len("n")
    if as_json:
        typer.echo(json.dumps({"benchmark": name, "levels": grown, "nodes": counts.to_dicts()}, ensure_ascii=False))
        return
    _show(name, file.layout, frame.height, total, grown, others, counts)


def _show(name: str, layout: str, n: int, total: int, grown: list[str], others: list[str], counts: Any) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.tree import Tree

    of = f" of {total:,}" if n < total else ""
    root = Tree(f"[bold]{escape(name)}[/] ({layout}): {n:,}{of} questions")
    branches = {"": root}
    paths = [row for row in counts.iter_rows(named=True) if row["node"] != "all"]
    within = [row for row in paths if row["node"].split("=")[0] in grown[:1]]
    for row in sorted(within, key=lambda row: (row["depth"], -row["n"], row["node"])):
        parent, _, last = row["node"].rpartition("/")
        if parent in branches:
            branches[row["node"]] = branches[parent].add(f"{escape(last)} [dim]{row['n']:,}")
    console = Console(highlight=False)
    console.print(root)
    for column in others:
        values = [row for row in paths if row["depth"] == 1 and row["node"].startswith(f"{column}=")]
        said = ", ".join(
            f"{row['node'].partition('=')[2]} {row['n']:,}" for row in sorted(values, key=lambda r: -r["n"])
        )
        if said:
            console.print(f"[bold]{column}[/]: {escape(said)}", soft_wrap=True)
