"""The forgetting study on the page: the answers first, then a chart a question and side, then every number.

Knows marks and places. Leaves sentences to `words`, numbers to `compare`, the frame to `pages`. Colour never stands
alone: every outcome has a mark of its own.
"""

from html import escape
from typing import Any

import altair as alt

from vesalius.bench.metrics import metric
from vesalius.bench.report.forgetting.compare import Comparison, Question, Side
from vesalius.bench.report.forgetting.words import SIDES, Answer, answers, headline, label, show, span
from vesalius.bench.stats.table import AVERAGE
from vesalius.pages.charts import FIGURE_WIDTH, design, fill
from vesalius.pages.shell import Section, chart, table

# outcome -> named colour of the page, Vega's shape, the same shape as a character, filled
MARKS = {
    "better": ("accent", "triangle-up", "▲", True),
    "worse": ("contrast", "triangle-down", "▼", True),
    "equivalent": ("ink", "circle", "●", True),
    "undecided": ("muted", "diamond", "◇", False),
}
STYLE = """
#forgetting .verdict { padding: clamp(16px, 2.4vw, 26px); }
.answers { display: grid; gap: 0; margin: 0; }
.answers > div { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 8fr); gap: 4px 28px; padding: 12px 0; border-top: 1px solid var(--line); }
.answers dt { font-family: var(--serif); font-weight: 600; text-wrap: pretty; overflow-wrap: anywhere; }
.answers dd { margin: 0; overflow-wrap: anywhere; }
.answers dd strong { display: block; }
.answers dd strong span:last-child { font-weight: 400; white-space: nowrap; }
.answers dd small { display: block; color: var(--muted); font-size: .84rem; }
.answers dd .side { display: block; color: var(--muted); font-size: .8rem; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 250px), 1fr)); gap: 10px 22px; }
.sides.charts { grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 14px; }
.sides.charts h4 { margin: 14px 0 -6px; font: 500 .88rem var(--sans); color: var(--muted); }
.mark { display: inline-block; width: 1.25em; }
.mark.better { color: var(--accent); } .mark.worse { color: var(--contrast); } .mark.undecided { color: var(--muted); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 18px 0 0; padding: 0; list-style: none; font-size: .9rem; }
.legend + .lead { margin-top: 8px; }
.legend .band::before { content: ""; display: inline-block; width: 1em; height: .8em; margin-right: .4em; background: var(--muted); opacity: .3; }
@media (max-width: 640px) { .answers > div { grid-template-columns: minmax(0, 1fr); gap: 8px; } }
"""  # noqa: E501  (a style sheet, a rule a line)


def section(comparison: Comparison) -> Section:
    """The section of the page; its charts are those of `draw`."""
    found = answers(comparison)
    which = metric(comparison.study.metric or "")
    margin = show(comparison, comparison.study.margin, sign=False)
    items = "".join(
        _item(question, [one for one in found if one.question.key == question.key]) for question in comparison.questions
    )
    legend = "".join(f"<li>{_mark(outcome)}{outcome}</li>" for outcome in MARKS)
    html = (
        f'<div class="verdict"><p class="headline">{escape(headline(comparison))}</p>'
        f'<dl class="answers">{items}</dl></div>'
        f'<ul class="legend" aria-label="What the marks mean">{legend}<li class="band">within ±{margin}</li></ul>'
        '<p class="lead">In the charts, right of zero the first is better. Thick line: 90 % interval, which decides '
        "about equivalence; thin line: 95 %. Both are by t for each class by itself; the marks hold for all classes of "
        "a chart together (Holm).</p>"
    )
    html += "".join(_block(comparison, question) for question in comparison.questions)
    if comparison.seeds:
        html += f"<h3>Seed by seed</h3>{_seeds(comparison)}"
    lead = (
        f"{escape(which.title)}, differences case by case; the margin is ±{margin}, to be set before looking. "
        "Equivalent means: shown to lie inside it. Undecided means that nothing is shown, not that nothing is lost."
    )
    return Section("forgetting", "What is gained, what is forgotten", lead, html, short="Forgetting")


def draw(comparison: Comparison) -> dict[str, tuple[str, dict[str, Any]]]:
    """A chart for each question and side: name → (title, specification)."""
    signs = "up: better, down: worse, disc: equivalent, diamond: undecided"
    return {
        _name(question, side): (
            f"{question.first} − {question.second}, {SIDES[side]} ({signs})", _chart(comparison, question, side)
        )
        for question in comparison.questions for side in comparison.sides
    }  # fmt: skip


def _name(question: Question, side: Side) -> str:
    return f"forgetting_{question.key}_{side}"


def _item(question: Question, found: list[Answer]) -> str:
    said = "".join(
        "<div>"
        + (f'<span class="side">{SIDES[one.side].capitalize()}</span>' if one.side != "all" else "")
        + f"<strong>{_mark(one.outcome)}{escape(one.said)} <span>{escape(one.value)}</span></strong>"
        f"<small>{escape(one.interval)}</small><small>{escape(one.reason)}</small></div>"
        for one in found
    )
    return f'<div><dt>{escape(question.text)}</dt><dd class="sides">{said}</dd></div>'


def _mark(outcome: str) -> str:
    return f'<span class="mark {outcome}" aria-hidden="true">{MARKS[outcome][2]}</span>'


def _block(comparison: Comparison, question: Question) -> str:
    charts = "".join(
        "<div>" + (f"<h4>{SIDES[side].capitalize()}</h4>" if side != "all" else "")
        + chart(_name(question, side), f"{question.text} Differences by class, {SIDES[side]}") + "</div>"
        for side in comparison.sides
    )  # fmt: skip
    return (
        f'<h3>{escape(question.text)}</h3><div class="sides charts">{charts}</div>'
        f"<details><summary>The numbers</summary>{_table(comparison, question)}</details>"
    )


def _table(comparison: Comparison, question: Question) -> str:
    columns = [
        ("class", "text"), ("models", "text"), ("side", "text"), ("mean first", "number"), ("mean second", "number"),
        ("difference", "number"), ("95 % interval", "number"), ("90 % interval", "number"),
        ("bootstrap 90 %", "number"), ("p differs (Holm)", "number"), ("p equivalent (Holm)", "number"),
        ("effect d", "number"), ("cases", "number"), ("units", "number"), ("verdict", "text"),
    ]  # fmt: skip
    idle = {name for name, few in (("side", comparison.sides), ("models", question.pairs)) if len(few) == 1}
    columns = [column for column in columns if column[0] not in idle]
    body = []
    for side in comparison.sides:
        average, classes = comparison.rows(question, side)
        for row in [average, *classes]:
            cells = {
                "class": _text(row["target"]), "side": _text(side),
                "models": _text(f"{row['first']} − {row['second']}"),
                "verdict": (_mark(row["verdict"]) + row["verdict"], row["verdict"]),
                "mean first": (show(comparison, row["mean_first"], sign=False), row["mean_first"]),
                "mean second": (show(comparison, row["mean_second"], sign=False), row["mean_second"]),
                "difference": (show(comparison, row["difference"]), row["difference"]),
                "95 % interval": (span(comparison, row), row["ci_low"]),
                "90 % interval": (span(comparison, row, "ci90"), row["ci90_low"]),
                "bootstrap 90 %": (span(comparison, row, "bootstrap90"), row["bootstrap90_low"]),
                "p differs (Holm)": _p(row["p_differs_holm"]),
                "p equivalent (Holm)": _p(row["p_equivalent_holm"]),
                "effect d": _effect(row["effect"]),
                "cases": (str(row["n"]), row["n"]), "units": (str(row["units"]), row["units"]),
            }  # fmt: skip
            body.append([cells[name] for name, _ in columns])
    return table(columns, body, f"{question.first} − {question.second}: {question.text}")


def _seeds(comparison: Comparison) -> str:
    """The average of every question, a column a seed."""
    columns = [("comparison", "text"), ("side", "text"), *((f"seed {name}", "number") for name in comparison.seeds)]
    body = []
    for question in comparison.questions:
        for side in comparison.sides:
            rows = comparison.by_seed.filter(question=question.key, side=side, target=AVERAGE)
            values = dict(zip(rows["seed"], rows["difference"], strict=True))
            cells = [(show(comparison, values.get(name)), values.get(name)) for name in comparison.seeds]
            body.append([_text(f"{question.first} − {question.second}{_where(question)}"), _text(side), *cells])
    return table(columns, body, "Mean difference over the classes of each question, by seed")


def _where(question: Question) -> str:
    return {
        "tuned_generalist": ", own classes", "tuned_forgets": ", other classes", "joined_generalist": ", the rest",
        "continued_generalist": ", all classes", "joined_continued": ", all classes",
    }.get(question.key, ", the experts' classes")  # fmt: skip


def _text(text: str) -> tuple[str, str]:
    return escape(text), text


def _effect(effect: float | None) -> tuple[str, float | None]:
    return ("–" if effect is None else f"{effect:+.2f}".replace("-", "−"), effect)


def _p(p: float) -> tuple[str, float]:
    return ("< 0.001" if p < 0.001 else f"{p:.3f}", p)


def _chart(comparison: Comparison, question: Question, side: Side) -> dict[str, Any]:
    average, classes = comparison.rows(question, side)
    tested = [row for row in [average, *classes] if row["difference"] is not None]
    rows = [
        {
            "label": label(row, question), "first": row["first"], "second": row["second"], "verdict": row["verdict"],
            "n": row["n"], "units": row["units"], "size": 150 if row["target"] == AVERAGE else 75,
            **{key: _five(row[key]) for key in ("difference", "ci_low", "ci_high", "ci90_low", "ci90_high")},
        }
        for row in tested
    ]  # fmt: skip
    margin = comparison.study.margin
    order = [label(row, question) for row in [average, *classes]]
    text = _design(comparison, question, len(order), _domain(comparison, question))
    return fill(text, {"rows": rows, "band": [{"low": -margin, "high": margin}]}, {"order": order})


def _five(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def _domain(comparison: Comparison, question: Question) -> list[float]:
    """One scale for both sides of a question."""
    frame = comparison.table.filter(question=question.key)
    ends = [v for name in ("ci_low", "ci_high", "difference") for v in frame[name].drop_nulls()]
    margin = 1.5 * comparison.study.margin
    low, high = min([-margin, *ends]), max([margin, *ends])
    room = 0.03 * (high - low)
    return [_five(low - room) or 0.0, _five(high + room) or 0.0]


def _design(comparison: Comparison, question: Question, rows: int, domain: list[float]) -> str:
    """A class a row: intervals and mark of its outcome over the band of the margin."""
    which = metric(comparison.study.metric or "")
    digits = ".2f" if which.unit else ".3f"
    unit = f" ({which.unit})" if which.unit else ""
    axis = f"{which.title}{unit}, {question.first} − {question.second}"
    scale = alt.Scale(domain=domain, nice=False, zero=False)
    band = alt.Chart(alt.NamedData("band")).mark_rect(style="muted", opacity=0.18, strokeWidth=0)
    layers = band.encode(x=alt.X("low:Q", scale=scale, title=axis), x2="high:Q")
    layers += alt.Chart(alt.NamedData("band")).mark_rule(style="muted", strokeWidth=1).encode(x=alt.datum(0))
    numbers = [("difference", "difference"), ("ci90_low", "90 % from"), ("ci90_high", "to"), ("ci_low", "95 % from"),
               ("ci_high", "to ")]  # fmt: skip
    tip: list[Any] = ["label:N", "verdict:N"]
    tip += [alt.Tooltip(f"{key}:Q", title=name, format=digits) for key, name in numbers]
    tip += ["first:N", "second:N", alt.Tooltip("n:Q", title="cases"), "units:Q"]
    base = alt.Chart(alt.NamedData("rows")).encode(y=alt.Y("label:N", sort=["@order"], title=None), tooltip=tip)
    for outcome, (style, shape, _, filled) in MARKS.items():
        own = base.transform_filter(f"datum.verdict === '{outcome}'")
        layers += own.mark_rule(style=style, strokeWidth=1.5).encode(x="ci_low:Q", x2="ci_high:Q")
        layers += own.mark_rule(style=style, strokeWidth=4, opacity=0.55).encode(x="ci90_low:Q", x2="ci90_high:Q")
        point = own.mark_point(style=style, shape=shape, filled=filled, opacity=1, strokeWidth=2)
        layers += point.encode(x="difference:Q", size=alt.Size("size:Q", scale=None))
    return design(layers.properties(width=FIGURE_WIDTH, height=max(70, 26 * rows)))
