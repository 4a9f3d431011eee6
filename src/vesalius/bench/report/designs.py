"""How the charts of a report look: models from top to bottom in rank order; the data come later.

Knows marks, axes and tooltips. Leaves the data to `figures`, colours and files to `pages.charts`. Colour never stands
alone: significance has a mark, sides have shapes, the worst group has a frame.
"""

from functools import cache
from typing import Any

import altair as alt

from vesalius.bench.metrics import Metric
from vesalius.pages.charts import FIGURE_WIDTH, design

_STEP = 22  # px a model
_ROWS = alt.NamedData("rows")
_ORDER, _LEVELS = ["@order"], ["@levels"]
RULE_TITLES = {"mean": "mean", "median": "median", "case_ranks": "case ranks", "wins": "wins"}


def _chart(models: int, tip: list[Any], y: Any = None, **more: Any) -> alt.Chart:
    base = alt.Chart(_ROWS, width=FIGURE_WIDTH, height=_height(models))
    return base.encode(y=y or _models(), tooltip=tip, **more)


def _models(field: str = "model:N") -> alt.Y:
    return alt.Y(field, sort=_ORDER, title=None)


def _height(models: int) -> int:
    return max(60, _STEP * models)


def _axis(metric: Metric) -> str:
    return metric.title + (f" ({metric.unit})" if metric.unit else "")


def _numbers(metric: Metric, *fields: tuple[str, str]) -> list[alt.Tooltip]:
    digits = ",.2f" if metric.unit else ".3f"
    return [alt.Tooltip(f"{name}:Q", title=title, format=digits) for name, title in fields]


def _table_axis(**more: Any) -> alt.Axis:
    return alt.Axis(orient="top", domain=False, ticks=False, **more)


@cache
def leaderboard(metric: Metric, models: int, by: str) -> str:
    """`middle` with its interval `low` to `high`, a model a row."""
    tip = ["model:N", *_numbers(metric, ("middle", by), ("low", "from"), ("high", "to")), "n:Q", "missing:Q"]
    base = _chart(models, tip)
    x = alt.X("low:Q", title=f"{by} {_axis(metric)}", scale=alt.Scale(zero=False))
    return design(
        base.mark_rule(style="muted", strokeWidth=2).encode(x=x, x2="high:Q")
        + base.mark_point(style="accent", filled=True, size=70, opacity=1).encode(x="middle:Q")
    )


@cache
def boxes(metric: Metric, models: int) -> str:
    """Quartiles, 5th to 95th percentile, median and mean."""
    names = [("q05", "5 %"), ("q25", "lower quartile"), ("q50", "median"), ("q75", "upper quartile"), ("q95", "95 %")]
    base = _chart(models, ["model:N", "n:Q", *_numbers(metric, *names, ("mean", "mean"))])
    x = alt.X("q05:Q", title=_axis(metric), scale=alt.Scale(zero=False, nice=True))
    return design(
        base.mark_rule(style="muted", strokeWidth=1.5).encode(x=x, x2="q95:Q")
        + base.mark_bar(style="accent", height=12, opacity=0.35).encode(x="q25:Q", x2="q75:Q")
        + base.mark_tick(style="ink", thickness=2.5, height=14).encode(x="q50:Q")
        + base.mark_point(style="contrast", shape="diamond", filled=True, size=45, opacity=1).encode(x="mean:Q")
    )


@cache
def pairwise(models: int) -> str:
    """Row significantly better than column: shade by effect, and a dot."""
    tip = [
        alt.Tooltip("model:N", title="model"),
        alt.Tooltip("verdict:N", title="is"),
        alt.Tooltip("worse:N", title="model "),
        alt.Tooltip("p_holm:Q", title="p (Holm)", format=".2g"),
        alt.Tooltip("effect:Q", title="effect", format="+.2f"),
        alt.Tooltip("n:Q", title="shared cases"),
    ]
    x = alt.X("column:O", axis=_table_axis(title="worse model, by its place in the order"))
    base = _chart(models, tip, _models("row:N"), x=x)
    scale, legend = alt.Scale(domain=[0, 1], clamp=True), alt.Legend(tickCount=2)
    dots = base.transform_filter("datum.significant").mark_text(text="●", style="value")
    return design(
        base.mark_rect().encode(color=alt.Color("shade:Q", title="effect", scale=scale, legend=legend)) + dots
    )


@cache
def stability(models: int) -> str:
    """Discs: share of replicates at each place; line: interval; cross: rank on all shared cases."""
    ranks = alt.Axis(values=list(range(1, models + 1)), format="d", grid=False)
    scale = alt.Scale(domain=[0.5, models + 0.5], nice=False)
    x = alt.X("place:Q", title="rank on the shared cases", scale=scale, axis=ranks)
    shares = alt.Legend(values=[0.1, 0.5, 1], format=".0%")
    size = alt.Size(
        "share:Q", title="share of replicates", scale=alt.Scale(domain=[0, 1], range=[4, 380]), legend=shares
    )
    places = alt.Chart(alt.NamedData("places")).encode(
        x=x, y=_models(), size=size, tooltip=["model:N", "place:Q", alt.Tooltip("share:Q", format=".1%")]
    )
    tip = [
        alt.Tooltip("model:N"),
        alt.Tooltip("rank_shared:Q", title="rank"),
        alt.Tooltip("rank_low:Q", title="from"),
        alt.Tooltip("rank_high:Q", title="to"),
        alt.Tooltip("p_first:Q", title="P(first)", format=".0%"),
    ]
    spans = alt.Chart(_ROWS).encode(y=_models(), tooltip=tip)
    chart = (
        spans.mark_rule(style="muted", strokeWidth=2).encode(x="rank_low:Q", x2="rank_high:Q")
        + places.mark_point(style="accent", filled=True, shape="circle", opacity=0.55)
        + spans.mark_point(style="ink", shape="cross", filled=True, size=42, opacity=1, angle=45).encode(
            x="rank_shared:Q"
        )
    )
    return design(chart.properties(width=FIGURE_WIDTH, height=_height(models)))


@cache
def rules(models: int) -> str:
    """Ranks by several rules, as a shaded table."""
    x = alt.X("rule:N", sort=list(RULE_TITLES.values()), title=None, axis=_table_axis())
    base = _chart(models, ["model:N", "rule:N", "rank:Q"], x=x)
    colour = alt.Color("rank:Q", legend=None, scale=alt.Scale(reverse=True))
    numbers = base.mark_text(style="value").encode(text=alt.Text("rank:Q", format="~g"))
    return design(base.mark_rect().encode(color=colour) + numbers)


@cache
def groups(metric: Metric, models: int, factor: str) -> str:
    """Means by group, as a shaded table; a frame around each model's worst."""
    tip = ["model:N", alt.Tooltip("group:N", title=factor), *_numbers(metric, ("mean", "mean"), ("median", "median"))]
    x = alt.X("group:N", sort=_LEVELS, title=factor, axis=_table_axis(labelLimit=110))
    base = _chart(models, [*tip, "n:Q"], x=x)
    colour = alt.Color("mean:Q", title=f"mean {_axis(metric)}", scale=alt.Scale(zero=False, nice=False))
    digits = ".2f" if not metric.unit else ",.1f" if metric.unit in ("mm", "ml") else ",.0f"
    frames = base.transform_filter("datum.worst").mark_rect(style="contrast", filled=False, strokeWidth=2)
    numbers = base.mark_text(style="value").encode(text=alt.Text("mean:Q", format=digits))
    return design(base.mark_rect().encode(color=colour) + frames + numbers)


@cache
def gap(metric: Metric, models: int) -> str:
    """Means in (disc) and out of distribution (diamond)."""
    fields = [("mean_in", "in"), ("mean_out", "out"), ("gap", "gap"), ("ci_low", "from"), ("ci_high", "to")]
    base = _chart(models, ["model:N", *_numbers(metric, *fields), "n_in:Q", "n_out:Q"])
    x = alt.X("mean_in:Q", title=f"mean {_axis(metric)}", scale=alt.Scale(zero=False))
    return design(
        base.mark_rule(style="muted", strokeWidth=2).encode(x=x, x2="mean_out:Q")
        + base.mark_point(style="accent", filled=True, size=80, opacity=1).encode(x="mean_in:Q")
        + base.mark_point(style="contrast", shape="diamond", filled=True, size=90, opacity=1).encode(x="mean_out:Q")
    )
