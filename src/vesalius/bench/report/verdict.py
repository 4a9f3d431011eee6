"""The verdict in words, made from the numbers and never stronger than they are.

Knows how a careful reader would put the analysis in a few sentences. Leaves every number to `bench.stats`.
"""

from dataclasses import dataclass

import polars as pl

from vesalius.bench.report.analysis import Analysis
from vesalius.bench.report.words import number
from vesalius.bench.stats.groups import AVERAGE_MODEL, MIN_GROUP
from vesalius.bench.stats.pairwise import ALPHA
from vesalius.bench.stats.table import AVERAGE


@dataclass(frozen=True)
class Verdict:
    """A headline and its reasons, in plain text; `metric` and `target` are what it is about."""

    metric: str
    target: str
    leader: str | None
    headline: str
    points: tuple[str, ...]


def verdict(analysis: Analysis) -> Verdict:
    """What the primary metric (DSC where there is one, else the first) says about the average over targets."""
    metric = analysis.primary
    target = analysis.targets(metric)[0]
    leader, headline = _headline(analysis, metric, target)
    if leader is None:
        return Verdict(metric, target, None, headline, tuple(_missing(analysis)))
    points = [
        *_lead(analysis, metric, target, leader),
        *_stability(analysis, metric, target, leader),
        *_weak_target(analysis, metric, leader),
        *_groups(analysis, metric, target, leader),
        *_gap(analysis, metric, target, leader),
        *_other_metrics(analysis, metric, leader),
        *_missing(analysis),
    ]
    return Verdict(metric, target, leader, headline, tuple(points))


def show(analysis: Analysis, metric: str, value: float | None) -> str:
    """A value with the digits and unit of its metric; an en dash where there is none."""
    if value is None:
        return "–"
    unit = analysis.cubes[metric].metric.unit
    return (f"{value:.3f}" if not unit else f"{value:.2f} {unit}").replace("-", "−")


def p_value(p: float | None) -> str:
    """«p = 0.012», «p < 0.001»."""
    return "p not known" if p is None else "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def name(names: list[str], most: int = 3) -> str:
    """«A», «A and B», «A, B and 4 others»."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} others"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "none"


def _rows(frame: pl.DataFrame, **equal: str) -> pl.DataFrame:
    return frame.filter(*(pl.col(column) == value for column, value in equal.items()))


def _what(analysis: Analysis, metric: str, target: str) -> str:
    title = analysis.cubes[metric].metric.title
    number = len(analysis.targets(metric)) - 1
    return f"{title}, average of {number} structures" if target == AVERAGE else f"{title} of {target}"


def _headline(analysis: Analysis, metric: str, target: str) -> tuple[str | None, str]:
    ranks = _rows(analysis.frames["ranking"], metric=metric, target=target).drop_nulls("rank").sort("rank", "model")
    what = _what(analysis, metric, target)
    if ranks.is_empty():
        return None, "No model has a score: there is nothing to compare."
    leader = ranks["model"][0]
    if ranks.height == 1:
        return leader, f"One model, {leader}: its scores stand below, with nothing to compare them with."
    best = ranks.filter(pl.col("rank") == ranks["rank"][0])["model"].to_list()
    if len(best) > 1:
        return leader, f"{name(best)} share the first rank ({what})."
    tests = _rows(analysis.frames["pairwise"], metric=metric, target=target)
    against = set(_rows(tests, worse=leader).filter("significant")["better"])
    order = [model for model in ranks["model"] if model != leader]
    beaten = set(_rows(tests, better=leader).filter("significant")["worse"])
    equals = [model for model in order if model not in beaten]
    by = analysis.settings.rank_by
    if against:
        rivals = [model for model in order if model in against]
        return leader, (
            f"No clear leader: {leader} has the best {by} ({what}), but case by case {name(rivals)} "
            f"{'is' if len(rivals) == 1 else 'are'} significantly better."
        )
    if equals:
        return leader, f"{leader} has the best {by} ({what}), but is not distinguishable from {name(equals)}."
    rest = "the other model" if len(order) == 1 else f"each of the other {len(order)} models"
    return leader, f"{leader} leads: significantly better than {rest} ({what})."


def _lead(analysis: Analysis, metric: str, target: str, leader: str) -> list[str]:
    by = analysis.settings.rank_by
    low, high = ("ci_low", "ci_high") if by == "mean" else ("median_ci_low", "median_ci_high")
    order = analysis.order(metric, target)
    rows = {
        row["model"]: row
        for row in _rows(analysis.frames["summary"], metric=metric, target=target).iter_rows(named=True)
    }
    ours = rows[leader]

    def say(row: dict) -> str:
        interval = f"{show(analysis, metric, row[low])} to {show(analysis, metric, row[high])}"
        return f"{show(analysis, metric, row[by])} (95 % interval {interval}; {number(row['n'], 'case')})"

    points = [f"{leader}: {by} {say(ours)}."]
    if len(order) > 1:
        second = order[1] if order[0] == leader else order[0]
        test = _rows(analysis.frames["pairwise"], metric=metric, target=target, better=leader, worse=second)
        points[0] = points[0][:-1] + f"; the next, {second}: {say(rows[second])}."
        if test.height and test["n"][0]:
            verb = "is" if test["significant"][0] else "is not"
            effect = f"effect {test['effect'][0]:+.2f}, {number(test['n'][0], 'shared case')}"
            points.append(
                f"On the cases that both have, {leader} {verb} significantly better than {second} "
                f"(Holm-adjusted {p_value(test['p_holm'][0])}, {effect})."
            )
    return points


def _stability(analysis: Analysis, metric: str, target: str, leader: str) -> list[str]:
    ranks = _rows(analysis.frames["ranking"], metric=metric, target=target).drop_nulls("rank_shared")
    if ranks.height < 2:
        return []
    ranks = ranks.sort("p_first", "model", descending=[True, False])
    first, share = ranks["model"][0], ranks["p_first"][0]
    ours = _rows(ranks, model=leader)
    shared = f"the {number(ranks['n_shared'][0], 'case')} that all models share"
    if analysis.settings.cluster:
        units = analysis.units(analysis.cubes[metric].shared(analysis.cubes[metric].targets.index(target)))
        shared = f"the {number(units, 'patient')} ({analysis.settings.cluster}) of {shared}"
    text = f"Drawn anew {analysis.settings.replicates:,} times from {shared}, "
    if first == leader or not ours.height:
        text += f"{first} ranks first in {share:.0%} of the draws"
    else:
        text += f"{first} ranks first in {share:.0%} of the draws and {leader} in {ours['p_first'][0]:.0%}"
    tau = _rows(analysis.frames["stability"], metric=metric, target=target)["tau"][0]
    text += "" if tau is None else f"; the whole order is kept with Kendall's τ = {tau:.2f}"
    points = [text + "."]
    if ours.height and ours["rank_shared"][0] > ours["rank"][0]:
        points.append(
            f"Caution: {leader} is first on its own cases, but on the cases that all models share its rank is "
            f"{ours['rank_shared'][0]:g}."
        )
    return points


def _weak_target(analysis: Analysis, metric: str, leader: str) -> list[str]:
    cube = analysis.cubes[metric]
    if len(cube.targets) < 3:
        return []
    rows = (
        _rows(analysis.frames["summary"], metric=metric, model=leader)
        .filter(pl.col("target") != AVERAGE)
        .drop_nulls("mean")
    )
    if rows.height < 2:
        return []
    quality = cube.metric.quality(rows["mean"].to_numpy())
    low, high = rows.row(int(quality.argmin()), named=True), rows.row(int(quality.argmax()), named=True)
    return [
        f"Its weakest structure is {low['target']} "
        f"(mean {show(analysis, metric, low['mean'])}, {number(low['n'], 'case')}), its "
        f"strongest {high['target']} ({show(analysis, metric, high['mean'])})."
    ]


def _groups(analysis: Analysis, metric: str, target: str, leader: str) -> list[str]:
    points = []
    for factor in analysis.factors:
        rows = _rows(analysis.frames["group_means"], metric=metric, target=target, factor=factor.name)
        ours = _rows(rows, model=leader)
        worst = ours.filter("worst")
        if worst.is_empty():
            continue
        others = ours.filter(~pl.col("worst"))
        quality = analysis.cubes[metric].metric.quality(others["mean"].to_numpy())
        best = others.row(int(quality.argmax()), named=True)
        tests = _rows(analysis.frames["groups"], metric=metric, target=target, factor=factor.name, model=leader)
        tests = tests.filter((pl.col("test") == "mann_whitney") & pl.col("significant"))
        extremes = {worst["group"][0], best["group"]}
        found = any(extremes == {a, b} for a, b in tests.select("group_a", "group_b").iter_rows())
        sure = "a significant difference" if found else "no significant difference"
        everyone = _rows(rows, model=AVERAGE_MODEL).filter("worst")["group"]
        also = (
            " All models together are worst there too." if everyone.len() and everyone[0] == worst["group"][0] else ""
        )
        points.append(
            f"By {factor.name} it is worst for {worst['group'][0]} ({show(analysis, metric, worst['mean'][0])}, "
            f"{worst['n'][0]} cases) and best for {best['group']} ({show(analysis, metric, best['mean'])}, "
            f"{best['n']} cases): "
            f"{sure}.{also}"
        )
    return points


_SIDES = {"n_in": "in", "n_out": "out"}


def _gap(analysis: Analysis, metric: str, target: str, leader: str) -> list[str]:
    if "gap" not in analysis.frames:
        return []
    rows = _rows(analysis.frames["gap"], metric=metric, target=target)
    points = []
    for row in _rows(rows, model=leader).iter_rows(named=True):
        few = [f"{number(row[n], 'case')} {side}" for n, side in _SIDES.items() if row[n] < MIN_GROUP]
        if few:
            points.append(f"{leader} has only {' and '.join(few)} of distribution: too few for a statement.")
            continue
        sides = (
            f"{show(analysis, metric, row['mean_in'])} in ({row['n_in']} cases), "
            f"{show(analysis, metric, row['mean_out'])} out "
            f"({row['n_out']}); gap {show(analysis, metric, row['gap'])} (95 % interval "
            f"{show(analysis, metric, row['ci_low'])} "
            f"to {show(analysis, metric, row['ci_high'])}; Mann–Whitney {p_value(row['p'])})"
        )
        points.append(f"Out of distribution {leader} {_change(analysis, metric, row)}: {sides}.")
    rows = rows.filter(pl.col("n_out") >= MIN_GROUP)
    if rows.height > 1:
        quality = analysis.cubes[metric].metric.quality(rows["mean_out"].to_numpy())
        best = rows.row(int(quality.argmax()), named=True)
        points.append(
            f"Out of distribution the best mean is {best['model']}'s: {show(analysis, metric, best['mean_out'])} "
            f"({number(best['n_out'], 'case')})."
        )
    return points


def _change(analysis: Analysis, metric: str, row: dict) -> str:
    """What the gap of one model amounts to: certain only where interval and test say so."""
    by_interval = row["ci_low"] is not None and (row["ci_low"] > 0 or row["ci_high"] < 0)
    by_test = row["p"] is not None and row["p"] < ALPHA
    if not by_interval and not by_test:
        return "shows no certain change"
    loses = (row["gap"] > 0) == (analysis.cubes[metric].metric.better == "higher")
    if by_interval and by_test:
        return "is worse" if loses else "is better"
    return f"may be {'worse' if loses else 'better'} (interval and test do not agree)"


def _other_metrics(analysis: Analysis, metric: str, leader: str) -> list[str]:
    parts = []
    for other in analysis.cubes:
        if other == metric:
            continue
        target = analysis.targets(other)[0]
        ranks = _rows(analysis.frames["ranking"], metric=other, target=target).drop_nulls("rank").sort("rank", "model")
        if ranks.height > 1:
            first = ranks["model"][0]
            parts.append(f"{'also ' if first == leader else ''}{first} by {analysis.cubes[other].metric.title}")
    return [f"First by the other metrics: {'; '.join(parts)}."] if parts else []


def _missing(analysis: Analysis) -> list[str]:
    """What is missing, failed or missed, over the first metric (every metric sees the same predictions)."""
    cube = next(iter(analysis.cubes.values()))
    lacking = cube.lacking[:, :, -1].sum(axis=1)
    points = []
    short = [model for model, n in zip(cube.models, lacking, strict=True) if n]
    if short:
        how = "left out" if analysis.settings.missing == "ignore" else "counted with the worst value"
        points.append(
            f"{name(short)} {'lacks' if len(short) == 1 else 'lack'} up to {lacking.max()} of {len(cube.cases)} cases; "
            f"these are {how}."
        )
    failed, missed, false = (int(cube.count(s)[:, -1].sum()) for s in ("failed", "missed", "hallucinated"))
    if failed or missed or false:
        points.append(
            f"{number(missed, 'structure')} missed, {false:,} predicted where there is none; "
            f"{number(failed, 'prediction')} failed."
        )
    swapped = swaps(analysis.flags)
    if swapped.height:
        points.append(f"Left and right look exchanged in {number(swapped.height, 'prediction')}, listed under Flags.")
    return points


def swaps(flags: pl.DataFrame) -> pl.DataFrame:
    """The cases whose left and right look exchanged, once for each model."""
    exchanged = pl.col("reason").str.starts_with("left and right look exchanged")
    return flags.filter(exchanged).unique(["model", "case"], maintain_order=True)
