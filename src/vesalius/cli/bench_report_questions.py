"""`vesalius bench report RUN…`: what models' answers are worth, as tables and a page."""

import json
from pathlib import Path
from typing import Any

import typer


def report_questions(
    runs: list[Path], out: Path, select: str | None, tree: str | None, cluster: str | None, classes: Path | None,
    title: str, as_json: bool, figures: bool = True,
) -> None:  # fmt: skip
    """Scores the runs' answers afresh, writes the report, and says the main thing."""
    from rich.console import Console

    from vesalius.bench.questions.files import compute, read_classes
    from vesalius.bench.questions.page import write
    from vesalius.bench.questions.runs import judge_runs

    levels = [word.strip() for word in tree.split(",")] if tree else []
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    by_hand = read_classes(classes) if classes else None
    with console.status("reading answers") as status:
        judged = judge_runs(runs, select=select, tree=levels, cluster=cluster, classes_by_hand=by_hand)
        frames = compute(judged, lambda step: status.update(f"computing {step}"))
        said = write(judged, frames, out, title, figures, lambda step: status.update(f"writing {step}"))
    for note in judged.notes:
        console.print(f"• {note}")
    if as_json:
        rows = frames["accuracy"].filter(frames["accuracy"]["node"] == "all").to_dicts()
        verdicts = {name: vars(verdict) for name, verdict in said.items()}
        typer.echo(
            json.dumps(
                {"report": str(out / "report.html"), "verdicts": verdicts, "accuracy": rows, "notes": judged.notes},
                ensure_ascii=False,
            )
        )
        return
    _show(frames, out)
    for name, verdict in said.items():
        console.print(f"{name}: {verdict.headline}")


def _show(frames: dict[str, Any], out: Path) -> None:
    import polars as pl
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    rows = frames["accuracy"].filter(pl.col("node") == "all")
    console = Console(highlight=False)
    for (benchmark,), part in rows.group_by("benchmark", maintain_order=True):
        table = Table(title=escape(str(benchmark)), title_justify="left", box=None, pad_edge=False)
        table.add_column("model", overflow="fold")
        for name in ("accuracy", "95 % interval", "n", "answered", "unparsed"):
            table.add_column(name, justify="right")
        for row in part.sort("accuracy", descending=True).iter_rows(named=True):
            interval = f"{row['ci_low']:.1%} – {row['ci_high']:.1%}"
            counts = (f"{row[k]:,}" for k in ("n", "answered", "unparsed"))
            table.add_row(escape(row["model"]), f"{row['accuracy']:.1%}", interval, *counts)
        first = part.row(0, named=True)
        for name, what in (("chance", "chance"), ("majority", "commonest answer"), ("longest", "longest option")):
            if first[name] is not None:
                table.add_row(f"[dim]{what}", f"[dim]{first[name]:.1%}")
        console.print(table)
    console.print(f"Report: {out / 'report.html'}", markup=False, soft_wrap=True)
