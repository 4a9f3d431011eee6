"""The charts of a report: models from top to bottom in rank order, one metric and target each.

Knows which picture answers which question. Leaves colours and files to `pages.charts`. Colour never stands alone:
significance has a mark, sides have shapes, the worst group has a frame.
"""

from collections.abc import Callable
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from vesalius.bench.metrics import Metric
from vesalius.bench.report.analysis import Analysis
from vesalius.bench.stats.groups import AVERAGE_MODEL
from vesalius.bench.stats.ranking import RULES
from vesalius.pages.charts import FIGURE_WIDTH, specification

_STEP = 22  # px a model


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


def _data(frame: pl.DataFrame, *columns: str) -> alt.InlineData:
    """Rows as plain data, numbers cut to five digits: nobody sees more, and the page stays small."""
    rows = [
        {key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in row.items()}
        for row in frame.select(columns).iter_rows(named=True)
    ]
    return alt.InlineData(values=rows)


def _models(order: list[str], **more: Any) -> alt.Y:
    return alt.Y("model:N", sort=order, title=None, **more)


def _height(number: int) -> int:
    return max(60, _STEP * number)


def _axis(metric: Metric) -> str:
    return metric.title + (f" ({metric.unit})" if metric.unit else "")


def _format(metric: Metric) -> str:
    return ".2f" if not metric.unit else ",.1f" if metric.unit in ("mm", "ml") else ",.0f"


def _numbers(metric: Metric, *fields: tuple[str, str]) -> list[alt.Tooltip]:
    return [
        alt.Tooltip(f"{name}:Q", title=title, format=".3f" if not metric.unit else ",.2f") for name, title in fields
    ]


def _leaderboard(analysis: Analysis, metric: str, target: str) -> dict[str, Any]:
    order, which = analysis.order(metric, target), analysis.cubes[metric].metric
    by = analysis.settings.rank_by
    low, high = ("ci_low", "ci_high") if by == "mean" else ("median_ci_low", "median_ci_high")
    data = _data(_rows(analysis.frames["summary"], metric, target), "model", by, low, high, "n", "missing")
    x = alt.X(f"{low}:Q", title=f"{by} {_axis(which)}", scale=alt.Scale(zero=False))
    tip: list[Any] = ["model:N", *_numbers(which, (by, by), (low, "from"), (high, "to")), "n:Q", "missing:Q"]
    base = alt.Chart(data, width=FIGURE_WIDTH, height=_height(len(order))).encode(y=_models(order), tooltip=tip)
    return specification(
        base.mark_rule(style="muted", strokeWidth=2).encode(x=x, x2=f"{high}:Q")
        + base.mark_point(style="accent", filled=True, size=70, opacity=1).encode(x=f"{by}:Q")
    )


def _boxes(analysis: Analysis, metric: str, target: str) -> dict[str, Any]:
    order, cube = analysis.order(metric, target), analysis.cubes[metric]
    t = cube.targets.index(target)
    rows = []
    for model, values in zip(cube.models, cube.values[:, :, t], strict=True):
        seen = values[~np.isnan(values)]
        if len(seen):
            quantiles = dict(
                zip(("q05", "q25", "q50", "q75", "q95"), np.percentile(seen, [5, 25, 50, 75, 95]).tolist(), strict=True)
            )
            rows.append({"model": model, "n": len(seen), "mean": float(seen.mean())} | quantiles)
    data = (
        _data(pl.DataFrame(rows), "model", "n", "mean", "q05", "q25", "q50", "q75", "q95")
        if rows
        else alt.InlineData(values=[])
    )
    names = [
        ("q05", "5 %"),
        ("q25", "lower quartile"),
        ("q50", "median"),
        ("q75", "upper quartile"),
        ("q95", "95 %"),
        ("mean", "mean"),
    ]
    base = alt.Chart(data, width=FIGURE_WIDTH, height=_height(len(order))).encode(
        y=_models(order), tooltip=["model:N", "n:Q", *_numbers(cube.metric, *names)]
    )
    x = alt.X("q05:Q", title=_axis(cube.metric), scale=alt.Scale(zero=False, nice=True))
    return specification(
        base.mark_rule(style="muted", strokeWidth=1.5).encode(x=x, x2="q95:Q")
        + base.mark_bar(style="accent", height=12, opacity=0.35).encode(x="q25:Q", x2="q75:Q")
        + base.mark_tick(style="ink", thickness=2.5, height=14).encode(x="q50:Q")
        + base.mark_point(style="contrast", shape="diamond", filled=True, size=45, opacity=1).encode(x="mean:Q")
    )


def _pairwise(analysis: Analysis, metric: str, target: str) -> dict[str, Any]:
    order = analysis.order(metric, target)
    place = {model: i + 1 for i, model in enumerate(order)}
    rows = _rows(analysis.frames["pairwise"], metric, target).with_columns(
        column=pl.col("worse").replace_strict(place, return_dtype=pl.Int64),
        shade=pl.when("significant").then(pl.col("effect")).otherwise(0.0),
        verdict=pl.when("significant")
        .then(pl.lit("significantly better than"))
        .otherwise(pl.lit("not significantly better than")),
        # Small p-values need their exponent; the page keeps five digits.
        model="better",
    )
    data = _data(rows, "model", "worse", "column", "shade", "verdict", "effect", "n", "p_holm", "significant")
    tip: list[Any] = [
        alt.Tooltip("model:N", title="model"), alt.Tooltip("verdict:N", title="is"),
        alt.Tooltip("worse:N", title="model "),
        alt.Tooltip("p_holm:Q", title="p (Holm)", format=".2g"), alt.Tooltip("effect:Q", title="effect", format="+.2f"),
        alt.Tooltip("n:Q", title="shared cases"),
    ]  # fmt: skip
    labels = alt.Axis(orient="top", domain=False, ticks=False, title="worse model, by its place in the order")
    x = alt.X("column:O", axis=labels)
    # The place before the name ties rows to the numbers of the columns.
    numbered = {model: f"{i}  {model}" for model, i in place.items()}
    data.values = [row | {"row": numbered[row["model"]]} for row in data.values]
    y = alt.Y("row:N", sort=[numbered[model] for model in order], title=None)
    base = alt.Chart(data, width=FIGURE_WIDTH, height=_height(len(order))).encode(x=x, y=y, tooltip=tip)
    colour = alt.Color(
        "shade:Q", title="effect", scale=alt.Scale(domain=[0, 1], clamp=True), legend=alt.Legend(tickCount=2)
    )
    return specification(
        base.mark_rect().encode(color=colour)
        + base.transform_filter("datum.significant").mark_text(text="●", style="value"),
        columns=[str(i) for i in place.values()],
        cell=1,
    )


def _stability(analysis: Analysis, metric: str, target: str) -> dict[str, Any]:
    order = analysis.order(metric, target)
    number = len(order)
    height = _height(number)
    x = alt.X("place:Q", title="rank on the shared cases",
        scale=alt.Scale(domain=[0.5, number + 0.5], nice=False), axis=alt.Axis(
        values=list(range(1, number + 1)), format="d", grid=False))  # fmt: skip
    blobs = alt.Chart(_data(_rows(analysis.frames["places"], metric, target), "model", "place", "share")).mark_point(
        style="accent", filled=True, shape="circle", opacity=0.55
    )
    size = alt.Size("share:Q", title="share of replicates",
        scale=alt.Scale(domain=[0, 1], range=[4, 380]), legend=alt.Legend(
        values=[0.1, 0.5, 1], format=".0%"))  # fmt: skip
    ranks = _rows(analysis.frames["ranking"], metric, target).drop_nulls("rank_low")
    spans = alt.Chart(_data(ranks, "model", "rank_low", "rank_high", "rank_shared", "p_first"))
    tip: list[Any] = [
        "model:N", alt.Tooltip("rank_shared:Q", title="rank"), alt.Tooltip("rank_low:Q", title="from"),
        alt.Tooltip("rank_high:Q", title="to"), alt.Tooltip("p_first:Q", title="P(first)", format=".0%"),
    ]  # fmt: skip
    chart = (
        spans.mark_rule(style="muted", strokeWidth=2).encode(
            y=_models(order), x="rank_low:Q", x2="rank_high:Q", tooltip=tip
        )
        + blobs.encode(
            x=x, y=_models(order), size=size, tooltip=["model:N", "place:Q", alt.Tooltip("share:Q", format=".1%")]
        )
        + spans.mark_point(style="ink", shape="cross", filled=True, size=42, opacity=1, angle=45).encode(
            y=_models(order), x="rank_shared:Q", tooltip=tip
        )
    )
    return specification(chart.properties(width=FIGURE_WIDTH, height=height))


def _rules(analysis: Analysis, metric: str, target: str) -> dict[str, Any]:
    order = analysis.order(metric, target)
    rows = _rows(analysis.frames["rules"], metric, target).unpivot(
        list(RULES), index="model", variable_name="rule", value_name="rank"
    )
    titles = {"mean": "mean", "median": "median", "case_ranks": "case ranks", "wins": "wins"}
    rows = rows.with_columns(pl.col("rule").replace_strict(titles)).drop_nulls("rank")
    base = alt.Chart(_data(rows, "model", "rule", "rank"), width=FIGURE_WIDTH, height=_height(len(order))).encode(
        x=alt.X(
            "rule:N",
            sort=list(titles.values()),
            title=None,
            axis=alt.Axis(orient="top", domain=False, ticks=False),
        ),
        y=_models(order),
        tooltip=["model:N", "rule:N", "rank:Q"],
    )
    colour = alt.Color("rank:Q", legend=None, scale=alt.Scale(reverse=True))
    return specification(
        base.mark_rect().encode(color=colour)
        + base.mark_text(style="value").encode(text=alt.Text("rank:Q", format="~g")),
        columns=list(titles.values()),
    )


def _groups(analysis: Analysis, metric: str, target: str, factor: str) -> dict[str, Any] | None:
    which = analysis.cubes[metric].metric
    rows = _rows(analysis.frames["group_means"], metric, target).filter(pl.col("factor") == factor)
    if rows.is_empty():
        return None
    order = [*analysis.order(metric, target), AVERAGE_MODEL]
    levels = [
        level for level in next(f for f in analysis.factors if f.name == factor).levels if level in set(rows["group"])
    ]
    tip: list[Any] = [
        "model:N",
        alt.Tooltip("group:N", title=factor),
        *_numbers(which, ("mean", "mean"), ("median", "median")),
        "n:Q",
    ]
    x = alt.X("group:N", sort=levels, title=factor, axis=alt.Axis(
        orient="top", domain=False, ticks=False, labelLimit=110))  # fmt: skip
    base = alt.Chart(
        _data(rows, "model", "group", "mean", "median", "n", "worst"), width=FIGURE_WIDTH, height=_height(len(order))
    ).encode(x=x, y=_models(order), tooltip=tip)
    colour = alt.Color("mean:Q", title=f"mean {_axis(which)}", scale=alt.Scale(zero=False, nice=False))
    return specification(
        base.mark_rect().encode(color=colour)
        + base.transform_filter("datum.worst").mark_rect(style="contrast", filled=False, strokeWidth=2)
        + base.mark_text(style="value").encode(text=alt.Text("mean:Q", format=_format(which))),
        columns=levels,
    )


def _gap(analysis: Analysis, metric: str, target: str) -> dict[str, Any]:
    order, which = analysis.order(metric, target), analysis.cubes[metric].metric
    rows = _rows(analysis.frames["gap"], metric, target)
    data = _data(rows, "model", "mean_in", "mean_out", "gap", "ci_low", "ci_high", "n_in", "n_out")
    fields = [("mean_in", "in"), ("mean_out", "out"), ("gap", "gap"), ("ci_low", "from"), ("ci_high", "to")]
    tip: list[Any] = ["model:N", *_numbers(which, *fields), "n_in:Q", "n_out:Q"]
    base = alt.Chart(data, width=FIGURE_WIDTH, height=_height(len(order))).encode(y=_models(order), tooltip=tip)
    x = alt.X("mean_in:Q", title=f"mean {_axis(which)}", scale=alt.Scale(zero=False))
    return specification(
        base.mark_rule(style="muted", strokeWidth=2).encode(x=x, x2="mean_out:Q")
        + base.mark_point(style="accent", filled=True, size=80, opacity=1).encode(x="mean_in:Q")
        + base.mark_point(style="contrast", shape="diamond", filled=True, size=90, opacity=1).encode(x="mean_out:Q")
    )


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
