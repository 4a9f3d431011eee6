"""Scores from wherever they lie: the one long table, or a folder of `<algorithm>/<metric>.csv` as Touchstone publishes.

Knows the layouts of tables of scores. Leaves what the numbers mean to `bench`. A cell that is text where a number
should be becomes a `failed` row whose reason names file, line and column; a case named twice is an error.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from vesalius.errors import VesaliusError
from vesalius.formats.delimited import Delimited, numbers, read_delimited
from vesalius.records import SCORE_SCHEMA, STATUSES
from vesalius.select import snake_case

_KEY = ("benchmark", "model", "case", "metric", "target")
_ALIASES = {"algorithm": "model"}  # what Touchstone calls it
_AVERAGES = ("average", "mean")


@dataclass(frozen=True)
class Source:
    """One input: its path as given, layout ("wide" or "long"), number of files and of rows, SHA-256 of its contents.

    `scoring` is what its numbers depend on (tolerance, policy for empty masks, ...), where the file says it.
    """

    path: str
    layout: str
    files: int
    rows: int
    sha256: str
    scoring: dict[str, Any]


@dataclass(frozen=True, eq=False)
class ScoreTables:
    """Scores of one or several inputs.

    Attributes:
        frame: rows in `records.SCORE_SCHEMA`. A null `status` with a null `value` is an empty cell of a wide table:
            the structure is absent from the reference.
        sources: where they came from.
        default_missing: "worst" where every input carries statuses, as `bench score` writes them (a failed prediction
            is a row there); "ignore" for plain tables, in which an absent row means "not submitted".
        notes: sentences for the reader about what was left out or could not be read.
    """

    frame: pl.DataFrame
    sources: tuple[Source, ...]
    default_missing: Literal["ignore", "worst"]
    notes: tuple[str, ...]


def read_scores(paths: Sequence[str | Path]) -> ScoreTables:
    """Read and concatenate tables of scores.

    Args:
        paths: each a long table (.parquet, .csv, .jsonl with at least `model, case, metric, target, value`), a folder
            of such files, a folder of `<algorithm>/<metric>.csv`, or one such algorithm's folder.

    Raises:
        VesaliusError: an input is absent, empty, of no known layout, or scores something twice.
    """
    frames, sources, with_status = [], [], []
    notes: list[str] = []
    for given in paths:
        path = Path(given)
        if not path.exists():
            raise VesaliusError("there is no such file or folder", file=path, remedy="check the path", code="absent")
        files, layout = _files(path)
        parts = [_read_wide(file, notes) if layout == "wide" else _read_long(file, notes) for file in files]
        frame = pl.concat(parts)
        frames.append(frame)
        with_status.append(layout == "long" and bool(frame["status"].is_not_null().all()))
        sources.append(Source(str(given), layout, len(files), frame.height, _digest(path, files), _scoring(files)))
    frame = pl.concat(frames)
    if frame.is_empty():
        raise VesaliusError(
            "there is no score in it", file=sources[0].path, remedy="name a table with rows", code="empty"
        )
    _refuse_duplicates(frame, sources)
    return ScoreTables(frame, tuple(sources), "worst" if all(with_status) else "ignore", tuple(notes))


def _files(path: Path) -> tuple[list[Path], str]:
    """The files of an input and their layout."""
    if path.is_file():
        return [path], "long"
    wide = sorted(f for f in path.glob("*/*.csv") if not f.name.startswith("."))
    if wide:
        return wide, "wide"
    long = sorted(f for f in path.iterdir() if f.suffix in {".parquet", ".jsonl"})
    tables = sorted(path.glob("*.csv"))
    if tables and not long:
        long = [f for f in tables if _is_long(read_delimited(f).frame.columns)]
        if not long:
            return tables, "wide"
    if long:
        return long, "long"
    raise VesaliusError(
        "holds no scores",
        file=path,
        remedy="name a Score table, or a folder of <algorithm>/<metric>.csv",
        code="layout",
    )


def _is_long(columns: list[str]) -> bool:
    return {"model", "case", "metric", "value"} <= {_column(name) for name in columns}


def _column(name: str) -> str:
    name = snake_case(name)
    return _ALIASES.get(name, name)


def _read_wide(file: Path, notes: list[str]) -> pl.DataFrame:
    """One `<algorithm>/<metric>.csv`: the case in the first column, then one column a target."""
    table = read_delimited(file)
    name, *targets = table.frame.columns
    ours = [target for target in targets if snake_case(target) in _AVERAGES]
    if ours:  # we form the average ourselves, over the targets that are present
        targets = [target for target in targets if target not in ours]
        notes.append(f"{file}: the column {', '.join(ours)} was left out; the average is formed from the targets")
    cases = table.frame[name]
    if not targets:
        raise VesaliusError(
            "has no column with scores", file=file, remedy="write: name, then one column a target", code="columns"
        )
    unnamed = cases.is_null()
    if unnamed.any():
        raise VesaliusError(f"line {table.lines[unnamed.arg_true()[0]]} names no case", file=file, code="columns")
    twice = cases.filter(cases.is_duplicated()).unique(maintain_order=True).to_list()
    if twice:
        raise VesaliusError(
            f"cases are named twice: {', '.join(twice[:5])}", file=file, remedy="keep one row a case", code="duplicate"
        )
    parts = []
    for target in targets:
        value, reason = _values(table, target, notes)
        parts.append(
            pl.DataFrame(
                {"case": cases, "target": pl.repeat(target, cases.len(), eager=True), "value": value, "reason": reason}
            )
        )
    status = (
        pl.when(pl.col("reason").is_not_null())
        .then(pl.lit("failed"))
        .when(pl.col("value").is_not_null())
        .then(pl.lit("ok"))
    )
    return pl.concat(parts).select(
        pl.lit("").alias("benchmark"), pl.lit(file.parent.resolve().name).alias("model"), "case",
        pl.lit(snake_case(file.stem)).alias("metric"), "target", "value", status.alias("status"), "reason",
        pl.lit(None, pl.Float64).alias("seconds"),
    )  # fmt: skip


def _values(table: Delimited, column: str, notes: list[str]) -> tuple[pl.Series, pl.Series]:
    """A column's numbers, and for each cell that is none the reason."""
    values, wrong = numbers(table.frame[column])
    given = table.frame.height - table.frame[column].null_count()
    if given and wrong.sum() == given:
        line, cell = table.lines[wrong.arg_true()[0]], table.frame[column][wrong.arg_true()[0]]
        raise VesaliusError(
            f"column {column} holds no number (line {line}: «{cell}»)", file=table.path,
            remedy="leave only scores beside the first column", code="number",
        )  # fmt: skip
    reasons: list[str | None] = [None] * table.frame.height
    for i in wrong.arg_true():
        reasons[i] = (
            f"{table.path}, line {table.lines[i]}, column {column}: «{table.frame[column][i]}» is not a finite number"
        )
        notes.append(f"{reasons[i]}; counted as failed")
    return values, pl.Series("reason", reasons, pl.String)


def _read_long(file: Path, notes: list[str]) -> pl.DataFrame:
    """A long table; columns that are absent get their plain defaults."""
    reasons = None
    if file.suffix.lower() in {".csv", ".tsv", ".txt"}:
        table = read_delimited(file)
        value = next((name for name in table.frame.columns if _column(name) == "value"), None)
        frame = table.frame
        if value is not None:
            numeric, reasons = _values(table, value, notes)
            frame = frame.with_columns(numeric.alias(value))
    else:
        frame = _load(file)
    frame = frame.rename({name: _column(name) for name in frame.columns})
    absent = [name for name in ("model", "case", "metric", "target", "value") if name not in frame.columns]
    if absent:
        raise VesaliusError(
            f"has no column {', '.join(absent)}", file=file,
            remedy="a Score table has model, case, metric, target, value (perhaps benchmark, status, reason, seconds)",
            code="columns",
        )  # fmt: skip
    try:
        frame = frame.select(
            pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype).alias(name)
            for name, dtype in SCORE_SCHEMA.items()
        )
    except pl.exceptions.PolarsError as error:
        raise VesaliusError(
            f"columns have other types than a Score table's ({error})", file=file, code="columns"
        ) from None
    return _checked(_with_reasons(frame, reasons), file)


def _load(file: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(file) if file.suffix.lower() == ".parquet" else pl.read_ndjson(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise VesaliusError(
            f"cannot be read ({str(error).splitlines()[0]})", file=file, code="unreadable",
            remedy="name a .parquet, .csv or .jsonl Score table",
        ) from None  # fmt: skip


def _scoring(files: list[Path]) -> dict[str, Any]:
    """Settings that `bench score` left in a Parquet file's metadata."""
    for file in files:
        if file.suffix.lower() == ".parquet":
            return json.loads(pl.read_parquet_metadata(file).get("vesalius", "{}")).get("settings", {})
    return {}


def _with_reasons(frame: pl.DataFrame, reasons: pl.Series | None) -> pl.DataFrame:
    frame = frame.with_columns(pl.col("value").fill_nan(None), pl.col("benchmark").fill_null(""))
    if reasons is None:
        infinite = pl.col("value").is_infinite().fill_null(False)
        return frame.with_columns(
            status=pl.when(infinite).then(pl.lit("failed")).otherwise("status"),
            reason=pl.when(infinite).then(pl.lit("the value is infinite")).otherwise("reason"),
            value=pl.when(infinite).then(None).otherwise("value"),
        )
    return frame.with_columns(
        status=pl.when(reasons.is_not_null()).then(pl.lit("failed")).otherwise("status"),
        reason=pl.coalesce(reasons, "reason"),
    )


def _checked(frame: pl.DataFrame, file: Path) -> pl.DataFrame:
    for name in ("model", "case", "metric", "target"):
        if frame[name].null_count():
            row = frame[name].is_null().arg_true()[0] + 1
            raise VesaliusError(f"row {row} has no {name}", file=file, remedy="fill the column", code="columns")
    unknown = sorted(set(frame["status"].drop_nulls()) - set(STATUSES))
    if unknown:
        raise VesaliusError(
            f"has the unknown status {', '.join(unknown)}",
            file=file,
            remedy=f"statuses are: {', '.join(STATUSES)}",
            code="status",
        )
    return frame


def _refuse_duplicates(frame: pl.DataFrame, sources: list[Source]) -> None:
    # Two benchmarks' rows would meet in one cell: cases are told apart by name alone.
    key = [name for name in _KEY if name != "benchmark"]
    twice = frame.filter(frame.select(key).is_duplicated())
    if twice.is_empty():
        return
    first = twice.row(0, named=True)
    cases = twice["case"].unique(maintain_order=True).to_list()
    raise VesaliusError(
        f"{len(cases)} cases are scored twice for the same model, metric and target: {', '.join(cases[:5])}"
        f" ({first['model']}, {first['metric']}, {first['target']})",
        file=", ".join(source.path for source in sources), remedy="give one row for each, or one benchmark at a time",
        code="duplicate",
    )  # fmt: skip


def _digest(path: Path, files: list[Path]) -> str:
    """SHA-256 of a file, or of a folder's files with their relative names."""
    digest = hashlib.sha256()
    for file in files:
        if path.is_dir():
            digest.update(str(file.relative_to(path)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
