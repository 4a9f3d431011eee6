"""How the charts of a report of questions look, and the rows that they show.

Knows marks, axes and tooltips. Leaves colours and files to `pages.charts`. Colour never stands alone: labels, shapes
and tables say the same.
"""

from collections import Counter
from functools import cache
from typing import Any

import altair as alt
import polars as pl

from vesalius.bench.questions.page.facts import BASELINES, Facts, Node
from vesalius.bench.questions.page.words import STATUSES, number, percent
from vesalius.models.prompt import LETTERS
from vesalius.pages.charts import FIGURE_WIDTH, design, fill
from vesalius.taxonomy import ROOT

Spec = dict[str, Any]
_ROWS = alt.NamedData("rows")
_ORDER = ["@order"]
MOST_MODELS = 8  # beside each other in one chart of groups
MOST_VALUES = 30
_SHARE = alt.Scale(domain=[0, 1], nice=False)
_PERCENT = alt.Axis(format=".0%")
_ICICLE, _LINE = 520, 14  # px
Path = tuple[tuple[str, str], ...]


def _tips(*fields: tuple[str, str, str]) -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{name}:{'Q' if form else 'N'}", title=title, format=form or alt.Undefined)
            for name, title, form in fields]  # fmt: skip


_ESTIMATE = _tips(("accuracy", "accuracy", ".1%"), ("low", "95 % from", ".1%"), ("high", "to", ".1%"))


# --- models and baselines in one order


def leaderboard(facts: Facts, node: str) -> Spec | None:
    """Models with their intervals, and what needs no model, in one order."""
    rows = facts.at("accuracy", node).sort("accuracy", "model", descending=[True, False])
    if rows.is_empty():
        return None
    data: list[dict[str, Any]] = [
        {"name": row["model"], "kind": "model", "accuracy": _cut(row["accuracy"]), "low": _cut(row["ci_low"]),
         "high": _cut(row["ci_high"]), "n": row["n"]}
        for row in rows.iter_rows(named=True)
    ]  # fmt: skip
    most = rows.sort("n", descending=True).row(0, named=True)
    data += [{"name": f"({title})", "kind": "baseline", "accuracy": _cut(most[key]), "n": most["n"]}
             for key, title in BASELINES.items() if most[key] is not None]  # fmt: skip
    data.sort(key=lambda row: -row["accuracy"])
    return fill(_leaderboard(len(data)), {"rows": data}, {"order": [row["name"] for row in data]})


@cache
def _leaderboard(rows: int) -> str:
    base = alt.Chart(_ROWS, width=FIGURE_WIDTH, height=max(60, 24 * rows)).encode(
        y=alt.Y("name:N", sort=_ORDER, title=None),
        tooltip=[alt.Tooltip("name:N", title=" "), *_ESTIMATE, alt.Tooltip("n:Q", title="questions", format=",")],
    )
    x = alt.X("accuracy:Q", title="accuracy", scale=_SHARE, axis=_PERCENT)
    models, baselines = (base.transform_filter(f"datum.kind == '{kind}'") for kind in ("model", "baseline"))
    return design(
        models.mark_rule(style="muted", strokeWidth=2).encode(x=alt.X("low:Q", scale=_SHARE), x2="high:Q")
        + models.mark_point(style="accent", filled=True, size=80, opacity=1).encode(x=x)
        + baselines.mark_point(style="contrast", shape="diamond", filled=True, size=80, opacity=1).encode(x=x)
    )


# --- the tree


def icicle(facts: Facts, model: str, under: str = ROOT) -> Spec | None:
    """The tree from left to right: as high as the questions under a node are many, coloured by accuracy.

    Args:
        facts: of the benchmark.
        model: whose accuracy.
        under: the node at the left end; None comes back where it has no children.
    """
    rows = {row["node"]: row for row in facts.frames["accuracy"].filter(pl.col("model") == model).to_dicts()}
    tree = [node for node in facts.nodes if node.in_tree and node.name in rows]
    root = next((node for node in tree if node.name == under), None)
    if root is None:
        return None
    children: dict[Path, list[Node]] = {}
    for node in tree:
        if node.conditions:
            children.setdefault(node.conditions[:-1], []).append(node)
    if root.conditions not in children:
        return None
    height = _height(
        Counter(len(n.conditions) for n in tree if n.conditions[: len(root.conditions)] == root.conditions)
    )
    data = _places(facts, rows, root, children, 1.5 / height)
    middle = rows[ROOT]["chance"]
    middle = rows[ROOT]["majority"] if middle is None else middle
    return fill(_icicle(max(row["x2"] for row in data), round(middle, 3), height), {"rows": data}, {})


def _height(counts: Counter[int]) -> int:
    """High enough for a line a node on as many levels as a screen and a half takes."""
    lines = max((count for count in counts.values() if count * _LINE <= 1100), default=0)
    return max(_ICICLE, lines * _LINE)


def _places(
    facts: Facts, rows: dict[str, dict[str, Any]], root: Node, children: dict[Path, list[Node]], least: float
) -> list[dict[str, Any]]:
    """Rectangles of the nodes that the model was asked: from cumulated counts, children within their parent.

    A node of a smaller share than `least` is too thin to be drawn.
    """
    total, start = rows[root.name]["n"], len(root.conditions)
    out: list[dict[str, Any]] = []

    def place(node: Node, top: float) -> None:
        row, depth = rows[node.name], len(node.conditions) - start
        share = row["n"] / total
        if share < least:
            return
        words = node.conditions[-1][1] if node.conditions else facts.name
        out.append({
            "node": node.name, "label": words, "path": node.label, "x": depth, "x2": depth + 1, "y": _cut(top),
            "y2": _cut(top + share), "n": row["n"], "accuracy": _cut(row["accuracy"]), "low": _cut(row["ci_low"]),
            "high": _cut(row["ci_high"]), "chance": None if row["chance"] is None else _cut(row["chance"]),
        })  # fmt: skip
        for child in sorted(children.get(node.conditions, []), key=lambda c: (-rows[c.name]["n"], c.name)):
            place(child, top)
            top += rows[child.name]["n"] / total

    place(root, 0.0)
    return out


@cache
def _icicle(depths: int, middle: float, height: int) -> str:
    tip = _tips(("path", "where", ""), ("n", "questions", ","))
    tip += _ESTIMATE + _tips(("chance", "chance", ".1%"))
    axis = alt.Axis(labels=False, ticks=False, grid=False, domain=False, title=None)
    base = alt.Chart(_ROWS, width=FIGURE_WIDTH, height=height).encode(
        x=alt.X("x:Q", axis=axis, scale=alt.Scale(domain=[0, depths], nice=False)),
        y=alt.Y("y:Q", axis=axis, scale=alt.Scale(domain=[0, 1], reverse=True, nice=False)),
        tooltip=tip,
    )
    colour = alt.Color(
        "accuracy:Q", title="accuracy",
        scale=alt.Scale(domain=[0, middle, 1], range="diverging", clamp=True, interpolate="rgb"),
        legend=alt.Legend(format=".0%", values=sorted({0, middle, 1}), gradientLength=220),
    )  # fmt: skip
    # A label stands where its rectangle is high enough for a line, and is cut to its width.
    limit = alt.ExprRef(f"max(20, width / {depths} - 12)")
    words: dict[str, Any] = {"align": "left", "baseline": "middle", "dx": 6, "limit": limit}
    middle_of = base.encode(y=alt.Y("middle:Q", axis=axis)).transform_calculate(middle="(datum.y + datum.y2) / 2")
    room = f"(datum.y2 - datum.y) * {height}"
    said = "format(datum.accuracy, '.0%') + '  of ' + format(datum.n, ',')"
    one, two = f"{room} >= {_LINE - 1.5} && {room} < 32", f"{room} >= 32"

    def label(where: str, text: str, **more: Any) -> alt.Chart:
        mark = middle_of.transform_filter(where).transform_calculate(said=said)
        return mark.mark_text(style="value", cursor="pointer", **words, **more).encode(text=text)

    return design(
        base.mark_rect(cursor="pointer").encode(x2="x2:Q", y2="y2:Q", color=colour)
        + label(one, "label:N")
        + label(two, "label:N", fontWeight="bold", dy=-7)
        + label(two, "said:N", dy=7)
    )


# --- by task, department, …


def groups(facts: Facts) -> dict[str, Spec]:
    """Bars of every model for each value of each column: column → chart."""
    columns: dict[str, list[Node]] = {}
    for node in facts.nodes:
        if len(node.conditions) == 1:
            columns.setdefault(node.conditions[0][0], []).append(node)
    made = {column: _group(facts, nodes) for column, nodes in columns.items() if len(nodes) > 1}
    return {column: spec for column, spec in made.items() if spec is not None}


def _group(facts: Facts, nodes: list[Node]) -> Spec | None:
    largest = sorted(nodes, key=lambda node: -node.n)[:MOST_VALUES]
    names = {node.name: f"{node.conditions[0][1]} ({node.n:,})" for node in largest}
    models = [model for model in facts.models if model in set(facts.frames["accuracy"]["model"])][:MOST_MODELS]
    rows = facts.frames["accuracy"].filter(pl.col("node").is_in(list(names)) & pl.col("model").is_in(models))
    if rows.is_empty():
        return None
    data = [
        {"group": names[row["node"]], "model": row["model"], "accuracy": _cut(row["accuracy"]),
         "low": _cut(row["ci_low"]), "high": _cut(row["ci_high"]), "n": row["n"],
         "chance": None if row["chance"] is None else _cut(row["chance"]),
         "blind": max((_cut(row[key]) for key in ("majority", "longest") if row[key] is not None), default=None),
         "node": row["node"]}
        for row in rows.iter_rows(named=True)
    ]  # fmt: skip
    best = {row["group"]: row["accuracy"] for row in data if row["model"] == models[0]}
    order = sorted({row["group"] for row in data}, key=lambda group: (-best.get(group, -1.0), group))
    return fill(_groups(len(order), len(models)), {"rows": data}, {"order": order, "models": models})


@cache
def _groups(values: int, models: int) -> str:
    band = max(8, min(16, 44 // models))
    tip = _tips(("group", "part", ""), ("model", "model", "")) + _ESTIMATE
    tip += _tips(("n", "questions", ","), ("chance", "chance", ".1%"), ("blind", "best of words alone", ".1%"))
    base = alt.Chart(_ROWS, width=FIGURE_WIDTH, height=max(80, values * (models * band + 10))).encode(
        y=alt.Y("group:N", sort=_ORDER, title=None, scale=alt.Scale(paddingInner=0.18)),
        yOffset=alt.YOffset("model:N", sort=["@models"]),
        tooltip=tip,
    )
    x = alt.X("accuracy:Q", title="accuracy", scale=_SHARE, axis=_PERCENT)
    # A line of several names does not fit a phone.
    legend = alt.Legend(orient="top", columns=2, labelLimit=150)
    colour = alt.Color("model:N", sort=["@models"], title=None, scale=alt.Scale(domain=["@models"]), legend=legend)
    return design(
        base.mark_bar(opacity=0.62, cursor="pointer").encode(x=x, color=colour)
        + base.mark_rule(style="ink", strokeWidth=1.2).encode(x=alt.X("low:Q", scale=_SHARE), x2="high:Q")
        + base.mark_tick(style="muted", thickness=2, size=band).encode(x="chance:Q")
        + base.mark_tick(style="contrast", thickness=2, size=band).encode(x="blind:Q")
    )


# --- what became of the askings


def statuses(facts: Facts) -> Spec:
    """One bar a model: the share of each status."""
    counts = facts.frames["statuses"]
    total = dict(counts.group_by("model").agg(pl.col("n").sum()).iter_rows())
    order = list(STATUSES)
    data = [
        {"model": row["model"], "status": row["status"].replace("_", " "), "n": row["n"],
         "share": _cut(row["n"] / total[row["model"]]), "order": order.index(row["status"])}
        for row in counts.iter_rows(named=True)
    ]  # fmt: skip
    lists = {"order": facts.models, "statuses": [s.replace("_", " ") for s in order if s in set(counts["status"])]}
    return fill(_statuses(len(facts.models)), {"rows": data}, lists)


@cache
def _statuses(models: int) -> str:
    tip = _tips(("model", "model", ""), ("status", "status", ""), ("n", "askings", ","), ("share", "share", ".1%"))
    legend = alt.Legend(orient="top", columns=4)
    colour = alt.Color("status:N", sort=["@statuses"], title=None, scale=alt.Scale(domain=["@statuses"]), legend=legend)
    return design(
        alt.Chart(_ROWS, width=FIGURE_WIDTH, height=max(60, 24 * models))
        .mark_bar(opacity=0.75)
        .encode(
            y=alt.Y("model:N", sort=_ORDER, title=None),
            x=alt.X("share:Q", stack="zero", title="share of askings", scale=_SHARE, axis=_PERCENT),
            color=colour, order="order:Q", tooltip=tip,
        )
    )  # fmt: skip


# --- places


def positions(facts: Facts, model: str) -> Spec | None:
    """How often a model names each place, how often the right option stands there, and is found there."""
    rows = facts.frames["positions"].filter(pl.col("model") == model).sort("position")
    if rows.is_empty():
        return None
    total = rows["truths"].sum()
    data = [
        {"place": LETTERS[row["position"]], "share": _zero(row["share"]), "truth": _cut(row["truths"] / total),
         "recall": None if row["recall"] is None else _cut(row["recall"]), "truths": row["truths"],
         "chosen": row["chosen"]}
        for row in rows.iter_rows(named=True)
    ]  # fmt: skip
    return fill(_positions(len(data)), {"rows": data}, {"order": [row["place"] for row in data]})


@cache
def _positions(places: int) -> str:
    tip = _tips(("place", "place", ""), ("share", "of all it names", ".1%"), ("chosen", "named", ","),
                ("truth", "of all right options", ".1%"), ("recall", "found when right", ".1%"))  # fmt: skip
    base = alt.Chart(_ROWS, width=FIGURE_WIDTH, height=max(80, 30 * places)).encode(
        y=alt.Y("place:N", sort=_ORDER, title=None), tooltip=tip
    )
    x = alt.X("share:Q", title="share", scale=_SHARE, axis=_PERCENT)
    return design(
        base.mark_bar(style="muted", opacity=0.35, height=16).encode(x=x)
        + base.mark_tick(style="ink", thickness=2.5, size=20).encode(x="truth:Q")
        + base.mark_point(style="accent", filled=True, size=90, opacity=1).encode(x="recall:Q")
    )


def captions(facts: Facts) -> dict[str, str]:
    """What each kind of chart shows, in a sentence."""
    root = facts.best() or {}
    middle = root.get("chance")
    what = f"chance ({percent(middle)})" if middle is not None else "the commonest answer"
    return {
        "leaderboard": "Disc: accuracy with its 95 % interval. Diamond: what needs no model, from the same questions.",
        "icicle": f"From left to right down the tree; height: number of questions; blue above {what}, orange below. "
        "A click takes the part as the page's choice: the browser shows its questions.",
        "groups": "Bar: accuracy; line: 95 % interval; grey tick: chance; orange tick: the better of «always the "
        "commonest answer» and «always the longest option». In brackets the number of questions; at most "
        f"{MOST_VALUES} parts and {number(MOST_MODELS, 'model')}.",
        "statuses": "Every asking by what became of it, all rotations and repeats.",
        "positions": "Bar: share of all options that the model names; black tick: where the right options stand; disc: "
        "how often the right one is found when it stands there. A model without liking for a place has equal discs.",
    }


def _cut(value: float) -> float:
    return float(f"{value:.5g}")


def _zero(value: float | None) -> float:
    return 0.0 if value is None else _cut(value)
