"""The data of a report's charts, one metric and target each, put into their designs.

Knows which numbers each picture shows. Leaves the looks to `designs`, colours and files to `pages.charts`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from vesalius.bench.report import designs
from vesalius.bench.report.analysis import Analysis
from vesalius.bench.stats.groups import AVERAGE_MODEL
from vesalius.bench.stats.ranking import RULES
from vesalius.pages.charts import fill


def draw(analysis: Analysis, metric: str, target: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """All charts of one metric and target: name → (title, specification)."""
    what = f"{analysis.cubes[metric].metric.title}, {target}"
    several = len(analysis.models) > 1
    made: dict[str, tuple[str, dict[str, Any]]] = {
        "leaderboard": (
            f"{what}: {analysis.settings.rank_by} with 95 % interval",
            _leaderboard(analysis, metric, target),
        ),
        "boxes": (f"{what}: distribution over cases", _boxes(analysis, metric, target)),
    }
    if several:
        made["pairwise"] = (f"{what}: row significantly better than column", _pairwise(analysis, metric, target))
        made["stability"] = (f"{what}: ranks over bootstrap replicates", _stability(analysis, metric, target))
        made["rules"] = (f"{what}: ranks by several rules", _rules(analysis, metric, target))
    for factor in analysis.factors:
        spec = _groups(analysis, metric, target, factor.name)
        if spec is not None:
            made[f"groups_{factor.name}"] = (f"{what}: mean by {factor.name}", spec)
    if "gap" in analysis.frames:
        made["gap"] = (f"{what}: mean in and out of distribution", _gap(analysis, metric, target))
    return made


def _rows(frame: pl.DataFrame, metric: str, target: str) -> pl.DataFrame:
    return frame.filter((pl.col("metric") == metric) & (pl.col("target") == target))


def _plain(frame: pl.DataFrame, *columns: str) -> list[dict]:
    """Rows as plain data, numbers cut to five digits: nobody sees more, and the page stays small."""
    return [
        {key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in row.items()}
        for row in frame.select(columns).iter_rows(named=True)
    ]


def _leaderboard(analysis: Analysis, metric: str, target: str) -> dict[str, Any]:
    order, by = analysis.order(metric, target), analysis.settings.rank_by
    low, high = ("ci_low", "ci_high") if by == "mean" else ("median_ci_low", "median_ci_high")
    rows = _rows(analysis.frames["summary"], metric, target).with_columns(low=low, middle=by, high=high)
    data = {"rows": _plain(rows, "model", "low", "middle", "high", "n", "missing")}
    return fill(designs.leaderboard(analysis.cubes[metric].metric, len(order), by), data, {"order": order})


def _boxes(analysis: Analysis, metric: str, target: str) -> dict[str, Any]:
    order, cube = analysis.order(metric, target), analysis.cubes[metric]
    names = ("q05", "q25", "q50", "q75", "q95")
    rows = []
    for model, values in zip(cube.models, cube.values[:, :, cube.targets.index(target)], strict=True):
        seen = values[~np.isnan(values)]
        if len(seen):
            quantiles = np.percentile(seen, [float(name[1:]) for name in names]).round(5).tolist()
            rows.append({"model": model, "n": len(seen), "mean": round(float(seen.mean()), 5)})
            rows[-1] |= dict(zip(names, quantiles, strict=True))
    return fill(designs.boxes(cube.metric, len(order)), {"rows": rows}, {"order": order})


def _pairwise(analysis: Analysis, metric: str, target: str) -> dict[str, Any]:
    order = analysis.order(metric, target)
    place = {model: i + 1 for i, model in enumerate(order)}
    # The place before the name ties rows to the numbers of the columns.
    numbered = {model: f"{i}  {model}" for model, i in place.items()}
    better, not_better = pl.lit("significantly better than"), pl.lit("not significantly better than")
    rows = _rows(analysis.frames["pairwise"], metric, target).with_columns(
        model="better",
        row=pl.col("better").replace_strict(numbered),
        column=pl.col("worse").replace_strict(place, return_dtype=pl.Int64),
        shade=pl.when("significant").then("effect").otherwise(0.0),
        verdict=pl.when("significant").then(better).otherwise(not_better),
    )
    shown = ("model", "row", "worse", "column", "shade", "verdict", "effect", "n", "p_holm", "significant")
    lists = {"order": list(numbered.values())}
    columns = [str(i) for i in place.values()]
    return fill(designs.pairwise(len(order)), {"rows": _plain(rows, *shown)}, lists, columns, cell=1)


def _stability(analysis: Analysis, metric: str, target: str) -> dict[str, Any]:
    order = analysis.order(metric, target)
    ranks = _rows(analysis.frames["ranking"], metric, target).drop_nulls("rank_low")
    data = {
        "rows": _plain(ranks, "model", "rank_low", "rank_high", "rank_shared", "p_first"),
        "places": _plain(_rows(analysis.frames["places"], metric, target), "model", "place", "share"),
    }
    return fill(designs.stability(len(order)), data, {"order": order})


def _rules(analysis: Analysis, metric: str, target: str) -> dict[str, Any]:
    order = analysis.order(metric, target)
    rows = _rows(analysis.frames["rules"], metric, target)
    rows = rows.unpivot(list(RULES), index="model", variable_name="rule", value_name="rank").drop_nulls("rank")
    rows = rows.with_columns(pl.col("rule").replace_strict(designs.RULE_TITLES))
    columns = list(designs.RULE_TITLES.values())
    return fill(designs.rules(len(order)), {"rows": _plain(rows, "model", "rule", "rank")}, {"order": order}, columns)


def _groups(analysis: Analysis, metric: str, target: str, factor: str) -> dict[str, Any] | None:
    rows = _rows(analysis.frames["group_means"], metric, target).filter(pl.col("factor") == factor)
    if rows.is_empty():
        return None
    order, seen = [*analysis.order(metric, target), AVERAGE_MODEL], set(rows["group"])
    levels = [level for found in analysis.factors if found.name == factor for level in found.levels if level in seen]
    data = {"rows": _plain(rows, "model", "group", "mean", "median", "n", "worst")}
    text = designs.groups(analysis.cubes[metric].metric, len(order), factor)
    return fill(text, data, {"order": order, "levels": levels}, levels)


def _gap(analysis: Analysis, metric: str, target: str) -> dict[str, Any]:
    order = analysis.order(metric, target)
    rows = _rows(analysis.frames["gap"], metric, target)
    data = {"rows": _plain(rows, "model", "mean_in", "mean_out", "gap", "ci_low", "ci_high", "n_in", "n_out")}
    return fill(designs.gap(analysis.cubes[metric].metric, len(order)), data, {"order": order})


def captions(analysis: Analysis) -> dict[str, Callable[[str, str], str]]:
    """What each chart shows, in a sentence for its caption (metric, target → text)."""
    return {
        "boxes": lambda m, t: (
            "Box: quartiles; bar in it: median; whiskers: 5th to 95th percentile; diamond: mean. "
            f"{analysis.cubes[m].metric.title} of {t}, each model's own cases, models in rank order."
        ),
        "pairwise": lambda m, t: (
            "A dot marks a pair in which the row's model is significantly better than the column's "
            "(one-sided Wilcoxon, Holm over all pairs, α = 0.05), on the cases that the pair shares; the deeper "
            "the blue, the larger the "
            f"effect. Models in rank order by {analysis.settings.rank_by}."
        ),
        "stability": lambda m, t: (
            "Area of a disc: share of bootstrap replicates in which the model took that rank; line: 95 % interval; "
            "cross: rank on all cases that every model has."
        ),
        "rules": lambda m, t: (
            "Rank by the mean, by the median, by the mean of ranks within each case (all on shared cases), and by the "
            "number of significant wins."
        ),
        "gap": lambda m, t: "Disc: mean in distribution; diamond: out of distribution. Each model's own cases.",
    }
