"""The tables of a report as HTML: leaderboard, gap, groups, flags.

Knows which columns a reader wants beside each other. Leaves sorting and looks to `pages`.
"""

from html import escape
from typing import Any

import polars as pl

from vesalius.bench.report.analysis import Analysis
from vesalius.bench.report.verdict import p_value
from vesalius.bench.stats.groups import AVERAGE_MODEL
from vesalius.pages.shell import table

Cell = tuple[str, Any]


def leaderboard(analysis: Analysis, metric: str, target: str) -> str:
    """One row a model: rank, mean with interval, median, spread, stability, and what is missing beside them."""
    where = (pl.col("metric") == metric) & (pl.col("target") == target)
    rows = (
        analysis.frames["ranking"].filter(where)
        .join(analysis.frames["summary"].filter(where), on=["metric", "target", "model"])
        .join(_wins(analysis, where), on="model", how="left")
        .sort("rank", "model", nulls_last=True)
    )  # fmt: skip
    by = analysis.settings.rank_by
    low, high = ("ci_low", "ci_high") if by == "mean" else ("median_ci_low", "median_ci_high")
    span = (_least(rows[low]), _most(rows[high]))
    unit = analysis.cubes[metric].metric.unit
    measured = f"mean ({unit})" if unit else "mean"
    columns = [
        ("model", "text"), ("rank", "number"), (measured, "number"), ("95 % interval", "number"),
        (f"{by} on one scale", "text"),
        ("n", "number"), ("missing", "number"), ("missed", "number"), ("false pos.", "number"), ("failed", "number"),
        ("median", "number"), ("IQR", "number"), ("SD", "number"), ("rank 95 %", "number"),
        ("P(first)", "number"), ("wins", "number"),
    ]  # fmt: skip
    if not analysis.has_statuses:  # a plain table cannot tell a miss from a poor score
        columns = [column for column in columns if column[0] not in ("missed", "false pos.", "failed")]
    if len(analysis.models) == 1:
        columns = [column for column in columns if column[0] not in ("rank 95 %", "P(first)", "wins")]
    body = []
    for row in rows.iter_rows(named=True):
        cells: dict[str, Cell] = {
            "model": (escape(row["model"]), row["model"]),
            "rank": _number(row["rank"], "g"),
            measured: _value(row["mean"], unit),
            "95 % interval": (_range(row["ci_low"], row["ci_high"], unit), row["ci_low"]),
            f"{by} on one scale": (_interval(row[low], row[by], row[high], span), row[by]),
            "SD": _value(row["sd"], unit),
            "median": _value(row["median"], unit),
            "IQR": (_range(row["q1"], row["q3"], unit), _minus(row["q3"], row["q1"])),
            "rank 95 %": (_range(row["rank_low"], row["rank_high"], "rank"), row["rank_low"]),
            "P(first)": _share(row["p_first"]),
            "wins": _number(row["wins"] or 0, "d"),
            "n": _number(row["n"], "d"),
            "missing": _warn(row["missing"]),
            "missed": _warn(row["n_missed"]),
            "false pos.": _warn(row["n_false_positive"]),
            "failed": _warn(row["n_failed"]),
        }
        body.append([cells[name] for name, _ in columns])
    return table(
        columns, body, f"Leaderboard: {analysis.cubes[metric].metric.title}, {target}; each model on its own cases"
    )


def _wins(analysis: Analysis, where: pl.Expr) -> pl.DataFrame:
    won = analysis.frames["pairwise"].filter(where & pl.col("significant"))
    return won.group_by(model="better").agg(wins=pl.len())


def gap(analysis: Analysis, metric: str, target: str) -> str:
    """One row a model: both means, the gap with its interval, and its test."""
    where = (pl.col("metric") == metric) & (pl.col("target") == target)
    unit = analysis.cubes[metric].metric.unit
    columns = [
        ("model", "text"), ("in", "number"), ("out", "number"), ("gap", "number"),
        ("95 % interval", "number"), ("p", "number"),
        ("p (Holm)", "number"), ("effect δ", "number"), ("n in", "number"), ("n out", "number"),
    ]  # fmt: skip
    rows = {row["model"]: row for row in analysis.frames["gap"].filter(where).iter_rows(named=True)}
    body = [
        [
            (escape(model), model), _value(row["mean_in"], unit), _value(row["mean_out"], unit),
            _value(row["gap"], unit, sign=True),
            (_range(row["ci_low"], row["ci_high"], unit), row["ci_low"]), _p(row["p"]), _p(row["p_holm"]),
            _number(row["effect"], "+.2f"), _number(row["n_in"], "d"), _number(row["n_out"], "d"),
        ]
        for model in analysis.order(metric, target) if (row := rows.get(model))
    ]  # fmt: skip
    return table(
        columns, body, f"Gap = mean in − mean out of distribution: {analysis.cubes[metric].metric.title}, {target}"
    )


def groups(analysis: Analysis, metric: str, target: str, factor: str) -> str:
    """One row a model: does the factor matter, which group is worst, which best."""
    where = (pl.col("metric") == metric) & (pl.col("target") == target) & (pl.col("factor") == factor)
    which = analysis.cubes[metric].metric
    means, tests = analysis.frames["group_means"].filter(where), analysis.frames["groups"].filter(where)
    columns = [
        ("model", "text"), ("worst group", "text"), ("mean there", "number"), ("n there", "number"),
        ("best group", "text"),
        ("mean there ", "number"), ("difference", "number"), ("Kruskal–Wallis p", "number"), ("effect ε²", "number"),
        ("significant pairs", "number"),
    ]  # fmt: skip
    body = []
    for model in [*analysis.order(metric, target), AVERAGE_MODEL]:
        ours = means.filter(pl.col("model") == model)
        worst = ours.filter("worst")
        if worst.is_empty():
            continue
        quality = which.quality(ours["mean"].to_numpy())
        best = ours.row(int(quality.argmax()), named=True)
        theirs = tests.filter(pl.col("model") == model)
        gate = theirs.filter(pl.col("test") == "kruskal_wallis").row(0, named=True)
        pairs = theirs.filter(pl.col("test") == "mann_whitney")
        low = worst.row(0, named=True)
        body.append([
            (escape(model), model), (escape(low["group"]), low["group"]),
            _value(low["mean"], which.unit), _number(low["n"], "d"),
            (escape(best["group"]), best["group"]), _value(best["mean"], which.unit),
            _value(low["mean"] - best["mean"], which.unit, sign=True), _p(gate["p"]), _number(gate["effect"], ".3f"),
            (f"{pairs['significant'].sum()} of "
            f"{pairs.height}" if pairs.height else "–", int(pairs["significant"].sum())),
        ])  # fmt: skip
    return table(columns, body, f"Worst and best group by {factor}: {which.title}, {target}") if body else ""


def flags(frame: pl.DataFrame, most: int = 200) -> str:
    """Rows that failed or carry a reason, alike rows of one case and model together."""
    together = (
        frame.group_by("model", "case", "status", "reason", maintain_order=True)
        .agg(
            pl.col("metric").unique(maintain_order=True).str.join(", "),
            pl.col("target").unique(maintain_order=True).str.join(", "),
        )
        .select("model", "case", "status", "reason", "target", "metric")
    )
    columns = [(name, "text") for name in together.columns]
    body = [[(escape(cell or ""), cell or "") for cell in row] for row in together.head(most).iter_rows()]
    more = f" (the first {most} of {together.height})" if together.height > most else ""
    return table(columns, body, f"Rows that failed or carry a reason{more}")


def _text(value: float | None, unit: str, sign: bool = False) -> str:
    if value is None:
        return "–"
    digits = {"": ".3f", "rank": "g", "count": ".1f"}.get(unit, ".2f")
    return format(value, ("+" if sign else "") + digits).replace("-", "−")


def _value(value: float | None, unit: str, sign: bool = False) -> Cell:
    return _text(value, unit, sign), value


def _range(low: float | None, high: float | None, unit: str) -> str:
    if low is None:
        return "–"
    if unit == "rank" and low == high:
        return _text(low, unit)
    return f"{_text(low, unit)} {'–' if low >= 0 else 'to'} {_text(high, unit)}"


def _number(value: float | None, spec: str) -> Cell:
    return ("–" if value is None else format(value, spec).replace("-", "−"), value)


def _warn(value: int) -> Cell:
    return (f'<span class="warn">{value}</span>' if value else '<span class="quiet">0</span>', value)


def _share(value: float | None) -> Cell:
    return ("–" if value is None else f"{value:.0%}", value)


def _p(value: float | None) -> Cell:
    return ("–" if value is None else p_value(value).removeprefix("p = ").removeprefix("p "), value)


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _least(series: pl.Series) -> float:
    value = series.min()
    return float(value) if isinstance(value, (int, float)) else 0.0


def _most(series: pl.Series) -> float:
    value = series.max()
    return float(value) if isinstance(value, (int, float)) else 1.0


def _interval(low: float | None, middle: float | None, high: float | None, span: tuple[float, float]) -> str:
    """The interval as a small picture on the scale of all models."""
    if low is None or middle is None or high is None:
        return "–"
    width = (span[1] - span[0]) or 1.0
    a, m, b = (6 + 138 * (value - span[0]) / width for value in (low, middle, high))
    return (
        '<svg class="interval" viewBox="0 0 150 16" aria-hidden="true"><line class="grid" x1="0" x2="150" '
        'y1="8" y2="8"/>'
        f'<line x1="{a:.1f}" x2="{b:.1f}" y1="8" y2="8"/><circle cx="{m:.1f}" cy="8" r="4"/></svg>'
    )
