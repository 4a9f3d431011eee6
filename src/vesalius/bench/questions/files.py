"""A report of questions on disk: tables as CSV, the Score table, and (through `page`) report.html.

Knows the names of the files and which columns they have. Leaves what stands in them to `tables`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from vesalius.bench.questions import tables
from vesalius.bench.questions.judge import CLASSES
from vesalius.bench.questions.runs import Judged
from vesalius.errors import VesaliusError
from vesalius.formats.delimited import read_delimited
from vesalius.run import provenance, replacing

TABLES: dict[str, Callable[[Judged], pl.DataFrame]] = {
    "accuracy": tables.accuracy,
    "pairwise": tables.pairwise,
    "answers": tables.answers,
    "statuses": tables.statuses,
    "metrics": tables.metric_means,
    "positions": tables.positions,
    "rotations": tables.rotations,
    "error_classes": tables.class_counts,
}


def compute(judged: Judged, tell: Callable[[str], None] = lambda step: None) -> dict[str, pl.DataFrame]:
    """All tables of a report, by name."""
    frames = {}
    for name, make in TABLES.items():
        tell(name)
        frames[name] = make(judged)
    return frames


def write_tables(judged: Judged, frames: dict[str, pl.DataFrame], out: str | Path) -> None:
    """Writes `NAME.csv` of each table, `scores.parquet` (the long Score table) and `run.json` (what it rests on)."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        with replacing(out / f"{name}.csv") as temporary:
            frame.write_csv(temporary)
    with replacing(out / "scores.parquet") as temporary:
        tables.score_table(judged).write_parquet(temporary)
    with replacing(out / "run.json") as temporary:
        temporary.write_text(json.dumps(origin(judged), indent=1, ensure_ascii=False))


def origin(judged: Judged) -> dict[str, Any]:
    """What the numbers rest on: files and their hashes, models, prompts and settings, versions."""
    return {
        "provenance": provenance(),
        "runs": [str(folder) for folder in judged.folders],
        "benchmarks": {
            name: {"models": b.models, "tree": b.tree, "file": b.entry} for name, b in judged.benchmarks.items()
        },
        "notes": judged.notes,
    }


def read_classes(path: Path) -> pl.DataFrame:
    """Classes of wrong answers that somebody gave by hand in the report's browser: `benchmark, model, case, class`.

    Raises:
        VesaliusError: a column is missing, or a class is none of ours.
    """
    frame = read_delimited(path).frame
    wanted = ["benchmark", "model", "case", "class"]
    if lacking := [name for name in wanted if name not in frame.columns]:
        remedy = f"columns are: {', '.join(wanted)}; the report's browser saves such a file"
        raise VesaliusError(f"has no column {lacking[0]}", file=path, remedy=remedy, code="columns")
    odd = frame.filter(~pl.col("class").is_in(list(CLASSES)))
    if odd.height:
        remedy = f"classes are: {', '.join(CLASSES)}"
        raise VesaliusError(
            f"has the class «{odd['class'][0]}»", file=path, case=odd["case"][0], remedy=remedy, code="class"
        )
    return frame.select(*wanted, pl.lit("hand").alias("by"))
