"""The page of a report: verdict first, then the tables and charts that it rests on, then how they came about.

Knows the order in which a reader wants things. Leaves the frame to `pages.shell` and the pieces to its neighbours.
"""

from html import escape
from typing import Any

import numpy as np
import polars as pl

from vesalius.bench.report import tables
from vesalius.bench.report.analysis import Analysis
from vesalius.bench.report.figures import captions
from vesalius.bench.report.forgetting import section as forgetting
from vesalius.bench.report.verdict import Verdict, show
from vesalius.bench.report.words import number
from vesalius.bench.report.worst import WorstCase
from vesalius.bench.stats.groups import MIN_GROUP
from vesalius.bench.stats.ranking import RULES
from vesalius.bench.stats.table import AVERAGE, Cube
from vesalius.pages.pictures import Strip, strips
from vesalius.pages.shell import Control, Section, chart, page
from vesalius.records import STATUSES

View = tuple[str, str]


def document(
    analysis: Analysis,
    said: Verdict,
    specs: dict[str, dict[str, Any]],
    shown: list[WorstCase],
    notes: list[str],
    origin: dict[str, Any],
    title: str,
) -> str:
    """The page as HTML.

    Args:
        analysis, said: what was computed, and what it says.
        specs: chart specifications, `kind_metric_target`.
        shown: worst cases with pictures.
        notes: what went wrong with pictures.
        origin: provenance.
        title: heading of the page.
    """
    metrics = sorted(analysis.cubes, key=lambda metric: metric != said.metric)
    views = [(metric, target) for metric in metrics for target in analysis.targets(metric)]
    single = len(analysis.models) == 1
    study = analysis.comparison
    sections = [*([forgetting.section(study)] if study else []), _leaderboard(analysis, views)]
    if "gap" in analysis.frames:
        sections.append(_gap(analysis, views))
    if not single:
        sections.append(
            _chart_section(analysis, views, "pairwise", "Who is significantly better than whom", "Significance")
        )
    sections.append(_chart_section(analysis, views, "boxes", "How the scores spread over cases", "Spread"))
    if analysis.factors:
        sections.append(_groups(analysis, views, specs))
    if not single:
        sections.append(_stability(analysis, views))
        sections.append(_rules(analysis, views))
    if shown or notes:
        sections.append(_pictures(analysis, said, shown, notes))
    sections += [_flags(analysis), _provenance(analysis, origin)]
    targets = list(dict.fromkeys(target for _, target in views))
    controls = [
        Control("metric", "Metric", [(metric, analysis.cubes[metric].metric.title) for metric in metrics]),
        Control("target", "Structure", [(t, t) for t in targets], {m: analysis.targets(m) for m in metrics}),
    ]
    subtitle = (
        f"{number(len(analysis.models), 'model')}, {number(len(analysis.cases), 'case')}, "
        f"{number(max(1, len(analysis.targets(said.metric)) - 1), 'structure')}"
    )
    if analysis.settings.select:
        subtitle += f"; cases with {analysis.settings.select}"
    made = f"Made with Vesalius {escape(origin['versions']['vesalius'])} on {escape(origin['time'])}"
    footer = f"{made}. This file needs no network."
    style = forgetting.STYLE if study else ""
    return page(title, subtitle, _hero(analysis, said), sections, controls, specs, footer, style)


def _hero(analysis: Analysis, said: Verdict) -> str:
    points = "".join(f"<li>{escape(point)}</li>" for point in said.points)
    return (
        f'<section class="verdict" aria-label="Verdict"><p '
        f'class="headline">{escape(said.headline)}</p><ul>{points}</ul>'
        f"{_tiles(analysis, said)}</section>"
    )


def _tiles(analysis: Analysis, said: Verdict) -> str:
    """A few figures about the leader."""
    if said.leader is None:
        return ""
    key = (pl.col("metric") == said.metric) & (pl.col("target") == said.target) & (pl.col("model") == said.leader)
    row = analysis.frames["summary"].filter(key).row(0, named=True)
    rank = analysis.frames["ranking"].filter(key).row(0, named=True)
    title = analysis.cubes[said.metric].metric.title
    interval = f"{show(analysis, said.metric, row['ci_low'])} – {show(analysis, said.metric, row['ci_high'])}"
    facts = [(f"{title} of {said.leader}", show(analysis, said.metric, row["mean"]), f"95 %: {interval}")]
    if len(analysis.models) > 1:
        tests = analysis.frames["pairwise"].filter(
            (pl.col("metric") == said.metric) & (pl.col("target") == said.target) & (pl.col("better") == said.leader)
        )
        facts.append(("Significantly better than", f"{tests['significant'].sum()} of {tests.height}", "other models"))
        if rank["p_first"] is not None:
            facts.append(
                (
                    "First in bootstrap draws",
                    f"{rank['p_first']:.0%}",
                    f"ranks {rank['rank_low']:g} – {rank['rank_high']:g}",
                )
            )
    if "gap" in analysis.frames:
        gap = analysis.frames["gap"].filter(key).row(0, named=True)
        ends = f"95 %: {show(analysis, said.metric, gap['ci_low'])} – {show(analysis, said.metric, gap['ci_high'])}"
        if min(gap["n_in"], gap["n_out"]) >= MIN_GROUP:
            facts.append(("Gap, in minus out", show(analysis, said.metric, gap["gap"]), ends))
    scored = _scored(analysis.cubes[said.metric], said.leader, said.target)
    facts.append(("Cases scored", f"{scored:,}", f"{row['missing']} missing, {row['n_failed']} failed"))
    tiles = "".join(
        f"<div><dt>{escape(a)}</dt><dd>{escape(b)}<small>{escape(c)}</small></dd></div>" for a, b, c in facts
    )
    return f'<dl class="tiles">{tiles}</dl>'


def _scored(cube: Cube, model: str, target: str) -> int:
    """Cases with a value of their own: one that only counts as worst, failed or absent, is not scored."""
    m, t = cube.models.index(model), cube.targets.index(target)
    failed = cube.status[m] == STATUSES.index("failed")
    failed = failed.any(axis=1) if target == AVERAGE else failed[:, t]
    return int((~np.isnan(cube.values[m, :, t]) & ~cube.lacking[m, :, t] & ~failed).sum())


def _key(view: View) -> str:
    return "|".join(view)


def _chart(kind: str, view: View, alt: str, caption: str = "") -> str:
    return chart(f"{kind}_{view[0]}_{view[1]}", alt, escape(caption))


def _leaderboard(analysis: Analysis, views: list[View]) -> Section:
    lead = (
        f"Ordered by the {analysis.settings.rank_by} over each model's own cases; a click on a heading sorts. "
        f"Missing predictions: {escape(analysis.rules['Missing predictions'])}"
    )
    return Section("leaderboard", "Leaderboard", lead, views={_key(v): tables.leaderboard(analysis, *v) for v in views})


def _gap(analysis: Analysis, views: list[View]) -> Section:
    caption = captions(analysis)["gap"]
    made = {
        _key(v): _chart("gap", v, f"Means in and out of distribution, {_key(v)}", caption(*v))
        + tables.gap(analysis, *v)
        for v in views
    }
    lead = (
        f"In distribution: <code>{escape(analysis.settings.in_distribution or '')}</code>. The gap is the mean "
        "in minus the mean out: "
        "where higher is better, a positive gap is what is lost in unfamiliar hospitals."
    )
    return Section("gap", "In and out of distribution", lead, views=made, short="Gap")


def _chart_section(analysis: Analysis, views: list[View], kind: str, title: str, short: str) -> Section:
    caption = captions(analysis)[kind]
    return Section(
        kind,
        title,
        views={_key(v): _chart(kind, v, f"{title}: {v[0]}, {v[1]}", caption(*v)) for v in views},
        short=short,
    )


def _groups(analysis: Analysis, views: list[View], specs: dict[str, Any]) -> Section:
    made = {}
    for metric, target in views:
        parts = []
        for factor in analysis.factors:
            parts.append(f"<h3>By {escape(factor.name)}</h3>")
            if f"groups_{factor.name}_{metric}_{target}" not in specs:
                parts.append(f'<p class="quiet">No group of {MIN_GROUP} cases or more.</p>')
                continue
            left = f" Cases without a value, left out: {factor.unknown}." if factor.unknown else ""
            parts.append(
                _chart(
                    f"groups_{factor.name}", (metric, target), f"Mean by {factor.name}, {metric}, {target}",
                    f"Mean of each group with at least {MIN_GROUP} cases; the frame marks each model's worst "
                    f"group.{left}",
                )
            )  # fmt: skip
            parts.append(tables.groups(analysis, metric, target, factor.name))
        made[_key((metric, target))] = "".join(parts)
    return Section("groups", "For whom it works, and for whom it does not", views=made, short="Groups")


def _stability(analysis: Analysis, views: list[View]) -> Section:
    made = {}
    caption = captions(analysis)["stability"]
    for view in views:
        key = (pl.col("metric") == view[0]) & (pl.col("target") == view[1])
        row = analysis.frames["stability"].filter(key).row(0, named=True)
        if row["tau"] is None:
            text = f"All models share {number(row['n_shared'], 'case')}: too few for a stability of the order."
        else:
            text = (
                f"All models share {number(row['n_shared'], 'case')}. Kendall's τ of the bootstrap orders with "
                "the order of all of them: "
                f"{row['tau']:.2f} (95 %: {row['tau_low']:.2f} to {row['tau_high']:.2f})."
            )
        made[_key(view)] = f'<p class="lead">{text}</p>' + _chart(
            "stability", view, f"Rank stability, {_key(view)}", caption(*view)
        )
    return Section("stability", "How stable the order is", views=made, short="Stability")


def _rules(analysis: Analysis, views: list[View]) -> Section:
    made = {}
    caption = captions(analysis)["rules"]
    for view in views:
        key = (pl.col("metric") == view[0]) & (pl.col("target") == view[1])
        taus = analysis.frames["agreement"].filter(key).drop_nulls("tau").sort("tau")
        text = ""
        if taus.height:
            low = taus.row(0, named=True)
            text = (
                f"Kendall's τ between two rules lies between {low['tau']:.2f} ({RULES[low['rule_a']]}, "
                f"{RULES[low['rule_b']]}) and "
                f"{taus['tau'][-1]:.2f}."
            )
        made[_key(view)] = f'<p class="lead">{escape(text)}</p>' + _chart(
            "rules", view, f"Ranks by rule, {_key(view)}", caption(*view)
        )
    return Section("rules", "Whether other ranking rules agree", views=made, short="Rules")


def _pictures(analysis: Analysis, said: Verdict, shown: list[WorstCase], notes: list[str]) -> Section:
    title = analysis.cubes[said.metric].metric.title
    rows = [
        Strip(
            f"<strong>{escape(item.model)}</strong> · {escape(item.case)} · {escape(item.target)}: {title} "
            f"{escape(item.score)}",
            item.panels, f"{item.target} of {item.case} by {item.model}",
        )
        for item in shown
    ]  # fmt: skip
    lead = f"The cases with each model's lowest {title}, in the slice with the most wrong voxels." if shown else ""
    failed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    html = (strips(rows) if rows else "") + (f'<ul class="notes">{failed}</ul>' if failed else "")
    return Section("worst", "Worst cases", lead, html, short="Worst cases")


def _flags(analysis: Analysis) -> Section:
    notes = "".join(f"<li>{escape(note)}</li>" for note in analysis.notes)
    html = f'<ul class="notes">{notes}</ul>' if notes else ""
    html += (
        tables.flags(analysis.flags) if analysis.flags.height else "<p>No row failed, and none carries a reason.</p>"
    )
    return Section("flags", "Flags and notes", html=html, short="Flags")


def _provenance(analysis: Analysis, origin: dict[str, Any]) -> Section:
    facts = [("Command", f"<code>{escape(origin['command'])}</code>")]
    for source in origin["inputs"]:
        size = f", {source['files']} files, {source['rows']:,} rows" if "files" in source else ""
        facts.append((
            "Input", f"<code>{escape(source['path'])}</code> ({escape(source['layout'])}{size})<br>SHA-256 "
            f"<code>{source['sha256']}</code>"
        ))  # fmt: skip
    settings = ", ".join(f"{name} = {value}" for name, value in origin["settings"].items())
    versions = ", ".join(f"{name} {version}" for name, version in origin["versions"].items())
    facts += [
        ("Settings", escape(settings)),
        ("Versions", escape(f"{versions}; Python {origin['python']}; {origin['platform']}")),
        ("Time", escape(origin["time"])),
    ]
    rules = [(name, escape(rule)) for name, rule in analysis.rules.items()]
    metrics = []
    for cube in analysis.cubes.values():
        m = cube.metric
        better = {"higher": "higher is better", "lower": "lower is better", "zero": "nearer to zero is better"}[
            m.better
        ]
        metrics.append((m.title, escape(f"{m.definition} Unit: {m.unit or 'fraction'}; {better}.")))
    html = "".join(
        f'<h3>{title}</h3><div class="card">{_facts(items)}</div>'
        for title, items in (("Where the numbers come from", facts), ("Rules in force", rules), ("Metrics", metrics))
    )
    return Section("provenance", "Provenance", html=html)


def _facts(items: list[tuple[str, str]]) -> str:
    return '<dl class="facts">' + "".join(f"<dt>{escape(name)}</dt><dd>{text}</dd>" for name, text in items) + "</dl>"
