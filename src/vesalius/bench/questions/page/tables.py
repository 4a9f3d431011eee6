"""The tables of a report of questions as HTML.

Knows which columns a reader wants beside each other. Leaves sorting and looks to `pages`, numbers to `questions.tables`
and `facts`.
"""

from collections.abc import Mapping
from html import escape
from typing import Any

import polars as pl

from vesalius.bench.questions.page.facts import BASELINES, Facts
from vesalius.bench.questions.page.words import STATUSES, number, p_value, percent, span
from vesalius.pages.shell import table
from vesalius.taxonomy import ROOT

Cell = tuple[str, Any]
METRICS = {"recall": "recall of the right options", "token_f1": "token F1", "judge": "judge", "rouge_l": "ROUGE-L",
           **{f"bleu_{n}": f"BLEU-{n} (mean of sentences)" for n in range(1, 5)}}  # fmt: skip
MOST_NODES = 400


def leaderboard(facts: Facts, node: str, label: str) -> str:
    """One row a model, and one a baseline, best first."""
    rows = facts.at("accuracy", node).sort("accuracy", "model", descending=[True, False])
    if rows.is_empty():
        return '<p class="quiet">No question here has a known answer that is right or wrong.</p>'
    columns = [
        ("model", "text"), ("accuracy", "number"), ("95 % interval", "number"), ("0 to 100 %", "text"), ("n", "number"),
        ("not read", "number"), ("over chance", "number"), ("over words alone", "number"),
    ]  # fmt: skip
    body: list[tuple[float, list[Cell]]] = []
    for row in rows.iter_rows(named=True):
        blind = max((row[key] for key in ("majority", "longest") if row[key] is not None), default=None)
        unread = row["n"] - row["answered"]
        mark = ' <span class="tag">without images</span>' if row["model"] in facts.blind else ""
        body.append((row["accuracy"], [
            (escape(row["model"]) + mark, row["model"]), (percent(row["accuracy"]), row["accuracy"]),
            (span(row["ci_low"], row["ci_high"]), row["ci_low"]),
            (_picture(row["ci_low"], row["accuracy"], row["ci_high"]), row["accuracy"]), (f"{row['n']:,}", row["n"]),
            _warn(unread), _over(row, row["chance"]), _over(row, blind),
        ]))  # fmt: skip
    most = rows.sort("n", descending=True).row(0, named=True)
    for key, title in BASELINES.items():
        if most[key] is not None:
            empty = ("", None)
            body.append((most[key], [
                (f'<span class="quiet">{title}</span>', title), (f'<span class="quiet">{percent(most[key])}</span>',
                most[key]), empty, (_picture(None, most[key], None), most[key]), (f"{most['n']:,}", most["n"]), empty,
                empty, empty,
            ]))  # fmt: skip
    body.sort(key=lambda pair: -pair[0])
    return table(columns, [row for _, row in body], f"Accuracy, {label}: what could not be read counts as wrong")


def _over(row: Mapping[str, Any], baseline: float | None) -> Cell:
    """Points above a baseline, with a mark where the interval lies on one side of it."""
    if baseline is None:
        return "–", None
    above = row["accuracy"] - baseline
    mark = "▲" if row["ci_low"] > baseline else "▼" if row["ci_high"] < baseline else "≈"
    said = {"▲": "above", "▼": "below", "≈": "not distinguishable"}[mark]
    text = f"{100 * above:+.1f}".replace("-", "−")
    colour = ' class="warn"' if mark == "▼" else ' class="quiet"' if mark == "≈" else ""
    return f'<span{colour} title="{said}">{text} {mark}</span>', above


def pairs(facts: Facts, node: str, label: str) -> str:
    """One row a pair of models: who alone is right how often, the difference, its test, what would be missed."""
    rows = facts.at("pairwise", node).sort("p_holm", "difference", descending=[False, True])
    if rows.is_empty():
        return '<p class="quiet">No two models share enough questions here.</p>'
    columns = [
        ("better", "text"), ("worse", "text"), ("verdict", "text"), ("points", "number"), ("95 % interval", "number"),
        ("−50 to 50 points", "text"), ("p (Holm)", "number"), ("only the better", "number"),
        ("only the worse", "number"), ("n", "number"), ("detectable", "number"),
    ]  # fmt: skip
    body = []
    for row in rows.iter_rows(named=True):
        told = "better" if row["significant"] else "cannot be told apart"
        low, high, detectable = row["ci_low"], row["ci_high"], row["detectable"]
        body.append([
            (escape(row["better"]), row["better"]), (escape(row["worse"]), row["worse"]),
            (told if row["significant"] else f'<span class="quiet">{told}</span>', told),
            (f"{100 * row['difference']:+.1f}".replace("-", "−"), row["difference"]),
            ("–" if low is None else f"{100 * low:+.1f} to {100 * high:+.1f}".replace("-", "−"), low),
            (_picture(low, row["difference"], high, (-0.5, 0.5)), row["difference"]),
            (p_value(row["p_holm"]).removeprefix("p = ").removeprefix("p "), row["p_holm"]),
            (f"{row['only_better']:,}", row["only_better"]), (f"{row['only_worse']:,}", row["only_worse"]),
            (f"{row['n']:,}", row["n"]),
            ("–" if detectable is None else f"{100 * detectable:.1f}", detectable),
        ])  # fmt: skip
    return table(columns, body, f"Pairs of models on the questions that both were asked, {label}")


def nodes(facts: Facts) -> str:
    """Every node with every model's accuracy."""
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for row in facts.frames["accuracy"].iter_rows(named=True):
        rows.setdefault(row["node"], {})[row["model"]] = row
    models = [model for model in facts.models if any(model in found for found in rows.values())]
    columns = [("part", "text"), ("n", "number"), ("chance", "number"), ("commonest", "number"), ("longest", "number"),
               *((model, "number") for model in models)]  # fmt: skip
    body = []
    for node in facts.nodes:
        found = rows.get(node.name)
        if not found:
            continue
        most = max(found.values(), key=lambda row: row["n"])
        cells: list[Cell] = [
            (f'<a href="#browser" data-node="{escape(node.name)}">{escape(node.label)}</a>', node.label)
        ]
        cells.append((f"{most['n']:,}", most["n"]))
        cells += [(percent(most[key], 0), most[key]) for key in BASELINES]
        for model in models:
            row = found.get(model, {})
            if row:
                interval = f"<small>{100 * row['ci_low']:.0f}–{100 * row['ci_high']:.0f}</small>"
                cells.append((f"{percent(row['accuracy'], 0)} {interval}", row["accuracy"]))
            else:
                cells.append(("–", None))
        body.append(cells)
    more = f" (the first {MOST_NODES} of {len(body):,}; all are in accuracy.csv)" if len(body) > MOST_NODES else ""
    return table(columns, body[:MOST_NODES], f"Accuracy by part, with 95 % intervals{more}") if body else ""


def statuses(facts: Facts) -> str:
    """One row a model: both accuracies beside each other, and the count of every status."""
    counts: dict[str, dict[str, int]] = {}
    for model, status, n in facts.frames["statuses"].select("model", "status", "n").iter_rows():
        counts.setdefault(model, {})[status] = n
    strict = {row["model"]: row for row in facts.root("accuracy").iter_rows(named=True)}
    read = {row["model"]: row for row in facts.answered.iter_rows(named=True)}
    seen = [status for status in STATUSES if any(status in own for own in counts.values())]
    columns = [("model", "text"), ("strict accuracy", "number"), ("of the answered", "number"),
               ("95 % interval of it", "number"), ("n answered", "number"),
               *((status.replace("_", " "), "number") for status in seen)]  # fmt: skip
    body = []
    for model in facts.models:
        s, r = strict.get(model, {}), read.get(model, {})
        own = counts.get(model, {})
        body.append([
            (escape(model), model), (percent(s.get("accuracy")), s.get("accuracy")),
            (percent(r.get("accuracy")), r.get("accuracy")), (span(r.get("ci_low"), r.get("ci_high")), r.get("ci_low")),
            (f"{r.get('n', 0):,}", r.get("n", 0)),
            *((f"{own.get(status, 0):,}", own.get(status, 0)) if status == "answered" else _warn(own.get(status, 0))
              for status in seen),
        ])  # fmt: skip
    return table(columns, body, "What became of every asking; strict accuracy counts what could not be read as wrong")


def rotations(facts: Facts) -> str:
    """Circular evaluation."""
    columns = [("model", "text"), ("questions", "number"), ("mean accuracy", "number"),
               ("right in every order", "number"), ("same option in every order", "number"),
               ("SD of recall over places", "number")]  # fmt: skip
    body = [
        [(escape(row["model"]), row["model"]), (f"{row['n']:,}", row["n"]), _percent(row["accuracy"]),
         _percent(row["circular"]), _percent(row["consistent"]), _percent(row["recall_sd"])]
        for row in facts.frames["rotations"].sort("circular", descending=True).iter_rows(named=True)
    ]  # fmt: skip
    return table(columns, body, "Questions asked with their options in every order") if body else ""


def repeats(facts: Facts) -> str:
    """How much accuracy moves between askings."""
    columns = [("model", "text"), ("repeats", "number"), ("lowest accuracy", "number"), ("highest", "number"),
               ("SD", "number"), ("same answer each time", "number")]  # fmt: skip
    body = [
        [(escape(row["model"]), row["model"]), (str(row["repeats"]), row["repeats"]), _percent(row["lowest"]),
         _percent(row["highest"]), _percent(row["sd"]), _percent(row["same"])]
        for row in facts.repeats.iter_rows(named=True)
    ]  # fmt: skip
    return table(columns, body, "The same questions asked repeatedly") if body else ""


def metrics(facts: Facts, node: str, label: str) -> str:
    """Means of what is not right or wrong."""
    rows = facts.at("metrics", node).sort("metric", "mean", descending=[False, True])
    columns = [("model", "text"), ("metric", "text"), ("mean", "number"), ("95 % interval", "number"), ("n", "number")]
    body = [
        [(escape(row["model"]), row["model"]), (METRICS.get(row["metric"], escape(row["metric"])), row["metric"]),
         _percent(row["mean"]), (span(row["ci_low"], row["ci_high"]), row["ci_low"]), (f"{row['n']:,}", row["n"])]
        for row in rows.iter_rows(named=True)
    ]  # fmt: skip
    return table(columns, body, f"Means over questions, {label}") if body else '<p class="quiet">None here.</p>'


def accounts(facts: Facts, judged_accounts: pl.DataFrame) -> str:
    """What asking took."""
    rows = {r["model"]: r for r in judged_accounts.filter(pl.col("benchmark") == facts.name).iter_rows(named=True)}
    columns = [("model", "text"), ("tokens read", "number"), ("tokens written", "number"), ("cost", "number"),
               ("seconds", "number"), ("asked again", "number"), ("cut off", "number")]  # fmt: skip
    body = []
    for model in facts.models:
        row = rows[model]
        cost, seconds = (f"{row['cost']:,.4g}" if row["cost"] else "–"), f"{row['seconds']:,.1f}"
        body.append([
            (escape(model), model), (f"{row['prompt_tokens']:,}", row["prompt_tokens"]),
            (f"{row['tokens']:,}", row["tokens"]),
            (cost, row["cost"]), (seconds, row["seconds"]), _warn(row["retried"]), _warn(row["cut_off"]),
        ])  # fmt: skip
    return table(
        columns, body, "Summed over all answers; 0 where the model does not tell. Seconds overlap where asked at once"
    )


def facts_list(items: list[tuple[str, str]]) -> str:
    """Names and what they are (HTML), in a card."""
    inner = "".join(f"<dt>{escape(name)}</dt><dd>{text}</dd>" for name, text in items)
    return f'<div class="card"><dl class="facts">{inner}</dl></div>'


def overview(all_facts: list[Facts], headlines: dict[str, str]) -> str:
    """One row a benchmark, where there are several."""
    columns = [("benchmark", "text"), ("questions", "number"), ("best model", "text"), ("accuracy", "number"),
               ("95 % interval", "number"), ("in short", "text")]  # fmt: skip
    body = []
    for facts in all_facts:
        best = facts.best(ROOT) or {}
        model = best.get("model", "–")
        body.append([
            (f'<a href="#verdict" data-benchmark="{escape(facts.name)}">{escape(facts.name)}</a>', facts.name),
            (f"{len(facts.cases):,}", len(facts.cases)), (escape(model), model),
            (percent(best.get("accuracy")), best.get("accuracy")),
            (span(best.get("ci_low"), best.get("ci_high")), best.get("ci_low")), (escape(headlines[facts.name]), None),
        ])  # fmt: skip
    return table(
        columns, body, f"{number(len(all_facts), 'benchmark')}; choose one below to see its part of the page", False
    )


def _picture(low: float | None, middle: float, high: float | None, ends: tuple[float, float] = (0.0, 1.0)) -> str:
    """An interval on a scale from `ends[0]` to `ends[1]`; a diamond where there is none."""

    def at(value: float) -> float:
        return 6 + 138 * (min(max(value, ends[0]), ends[1]) - ends[0]) / (ends[1] - ends[0])

    m, zero = at(middle), at(0.0)
    frame = '<svg class="interval" viewBox="0 0 150 16" aria-hidden="true">'
    frame += '<line class="grid" x1="6" x2="144" y1="8" y2="8"/>'
    frame += f'<line class="grid" x1="{zero:.1f}" x2="{zero:.1f}" y1="2" y2="14"/>'
    if low is None or high is None:
        return f'{frame}<path class="diamond" d="M{m:.1f} 3l5 5-5 5-5-5z"/></svg>'
    return (
        f'{frame}<line x1="{at(low):.1f}" x2="{at(high):.1f}" y1="8" y2="8"/><circle cx="{m:.1f}" cy="8" r="4"/></svg>'
    )


def _percent(value: float | None) -> Cell:
    return percent(value), value


def _warn(value: int) -> Cell:
    return (f'<span class="warn">{value:,}</span>' if value else '<span class="quiet">0</span>', value)
