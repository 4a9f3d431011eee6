"""The verdict on one benchmark in words, made from the numbers and never stronger than they are.

Knows how a careful reader would put the tables in a few sentences: first whether anybody knows more than the words of
the questions give away, then who is best and whether that is more than chance. Leaves every number to `tables`, `facts`
and `hints`.
"""

from dataclasses import dataclass
from typing import Any

import polars as pl

from vesalius.bench.questions.page.facts import BASELINES, MIN_VERDICT, Facts
from vesalius.bench.questions.page.words import counted, interval, name, number, p_value, percent, points
from vesalius.taxonomy import ROOT


@dataclass(frozen=True)
class Verdict:
    """A headline, its reasons, and what to be warned of; plain text."""

    headline: str
    points: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def verdict(facts: Facts, hints: pl.DataFrame) -> Verdict:
    """What the whole benchmark says.

    Args:
        facts: of the benchmark.
        hints: see `hints.published_order`.
    """
    best = facts.best()
    if best is None:
        return Verdict(_nothing(facts), tuple(_unread(facts)))
    if best["n"] < MIN_VERDICT:
        few = f"{number(best['n'], 'question')} with a known answer: too few for a verdict."
        return Verdict(few, tuple(_unread(facts)))
    warnings = [*_beaten(facts), *_uneven(facts), *_lost(facts)]
    said = [
        *_level(facts, best), *_baselines(facts, best), *_second(facts, best), *_blind(facts, best), *_unread(facts),
        *_weakest(facts, best), *_turned(facts), *_hints(hints),
    ]  # fmt: skip
    return Verdict(_headline(facts, best), tuple(said), tuple(warnings))


def _nothing(facts: Facts) -> str:
    """Why there is no accuracy."""
    statuses = facts.frames["statuses"]
    if statuses.height and set(statuses["status"]) == {"no_medium"}:
        return "Nothing was asked: the images or slides that the questions are about are not there."
    if facts.frames["metrics"].height:
        return "No answer is right or wrong here; how near they come to what is expected stands under metrics."
    return "No answer can be judged: the questions have no known answer."


def _headline(facts: Facts, best: dict[str, Any]) -> str:
    model, level = best["model"], percent(best["accuracy"])
    unbeaten = _not_above(facts, model)
    if unbeaten:
        baseline = max(unbeaten, key=lambda key: best[key])
        rival = f"{BASELINES[baseline]}, which gets {percent(best[baseline])}"
        if len(facts.models) == 1:
            return f"{model} is not shown to beat {rival}: it gets {level}."
        return f"No model is shown to beat {rival}: the best, {model}, gets {level}."
    if len(facts.models) == 1:
        return f"{model} gets {level}, more than guessing and the baselines that see only words."
    equals = _equals(facts, model)
    if equals:
        return f"{model} has the highest accuracy ({level}), but cannot be told apart from {name(equals)}."
    rest = "the other model" if len(facts.models) == 2 else f"each of the other {len(facts.models) - 1} models"
    return f"{model} leads with {level}: better than {rest}, and than what words alone give away."


def _not_above(facts: Facts, model: str) -> list[str]:
    """Baselines that the model does not beat for sure."""
    rows = facts.against.filter((pl.col("model") == model) & ~(pl.col("ci_low") > 0).fill_null(False))
    return rows["baseline"].to_list()


def _equals(facts: Facts, model: str) -> list[str]:
    """Models that are not significantly worse."""
    tests = facts.root("pairwise")
    worse = set(tests.filter((pl.col("better") == model) & pl.col("significant"))["worse"])
    return [m for m in facts.models if m != model and m not in worse and m in _accuracies(facts)]


def _accuracies(facts: Facts) -> dict[str, dict[str, Any]]:
    return {row["model"]: row for row in facts.root("accuracy").iter_rows(named=True)}


def _level(facts: Facts, best: dict[str, Any]) -> list[str]:
    text = (
        f"{best['model']}: {percent(best['accuracy'])} right of {number(best['n'], 'question')} "
        f"({interval(best['ci_low'], best['ci_high'])}), whatever could not be read counted as wrong."
    )
    if facts.benchmark.clustered:
        text += " Questions share images or patients, and the interval allows for it."
    return [text]


def _baselines(facts: Facts, best: dict[str, Any]) -> list[str]:
    said = []
    for row in facts.against.filter(pl.col("model") == best["model"]).iter_rows(named=True):
        gets, key = percent(best[row["baseline"]]), row["baseline"]
        side = "above" if row["difference"] >= 0 else "below"
        ends = f"95 %: {100 * row['ci_low']:+.1f} to {100 * row['ci_high']:+.1f}".replace("-", "−")
        said.append(f"{points(abs(row['difference']), sign=False)} {side} {BASELINES[key]} ({gets}; {ends})")
    return [f"{best['model']} is {name(said, most=len(said))}."] if said else []


def _second(facts: Facts, best: dict[str, Any]) -> list[str]:
    others = [model for model in facts.models if model != best["model"] and model in _accuracies(facts)]
    if not others:
        return []
    second = others[0]
    pair = [best["model"], second]
    rows = facts.root("pairwise").filter(pl.col("better").is_in(pair) & pl.col("worse").is_in(pair))
    if rows.is_empty():
        return [f"{best['model']} and {second} share too few questions to be compared."]
    row = rows.row(0, named=True)
    told = "differ" if row["significant"] else "cannot be told apart"
    text = (
        f"{best['model']} and {second} {told}: on {number(row['n'], 'shared question')} {row['better']} alone is right "
        f"in {row['only_better']:,}, {row['worse']} alone in {row['only_worse']:,} ({points(row['difference'])}, "
        f"{p_value(row['p_holm'])} after Holm)."
    )
    if row["detectable"]:
        text += f" A true difference under {points(row['detectable'], sign=False)} would probably be missed here."
    return [text]


def _blind(facts: Facts, best: dict[str, Any]) -> list[str]:
    if not facts.blind:
        return []
    if facts.blind >= set(facts.models):
        return ["All models were asked without images (--blind): this is what words alone give."]
    rows = _accuracies(facts)
    blind = max((m for m in facts.blind if m in rows), key=lambda m: rows[m]["accuracy"], default=None)
    if blind is None or blind == best["model"]:
        return [f"{best['model']} was asked without images (--blind): no model that saw them is better."]
    return [f"Without images {blind} gets {percent(rows[blind]['accuracy'])}: so much needs no image."]


def _unread(facts: Facts) -> list[str]:
    """The share of answers from which nothing could be read, of the model with the largest."""
    counts = facts.frames["statuses"].filter(pl.col("status") != "no_medium")
    total = counts.group_by("model").agg(pl.col("n").sum().alias("all"))
    lost = counts.filter(pl.col("status") != "answered").group_by("model").agg(pl.col("n").sum())
    rows = total.join(lost, on="model", how="left").with_columns(pl.col("n").fill_null(0))
    if rows.is_empty():
        return []
    worst = rows.sort(pl.col("n") / pl.col("all"), descending=True).row(0, named=True)
    if not worst["n"]:
        return ["Something could be read from every answer."]
    most = f"most often of {worst['model']}: " if rows.height > 1 else ""
    kinds = counts.filter((pl.col("model") == worst["model"]) & (pl.col("status") != "answered")).sort("n")[::-1]
    said = ", ".join(f"{n:,} {status.replace('_', ' ')}" for status, n in kinds.select("status", "n").iter_rows())
    return [f"Not every answer could be read, {most}{counted(worst['n'], worst['all'], 'answer')} ({said})."]


def _weakest(facts: Facts, best: dict[str, Any]) -> list[str]:
    from scipy.special import ndtri

    labels = {node.name: node.label for node in facts.nodes}
    rows = facts.frames["accuracy"].filter(
        (pl.col("model") == best["model"]) & (pl.col("node") != ROOT) & (pl.col("n") >= MIN_VERDICT)
        & (pl.col("n") < best["n"])
    )  # fmt: skip
    if rows.height < 2:
        return []
    row = rows.sort("accuracy", "n", descending=[False, True]).row(0, named=True)
    where = f"{labels.get(row['node'], row['node'])}: {percent(row['accuracy'])} of {number(row['n'], 'question')}"
    which = f"of {rows.height} parts with {MIN_VERDICT} questions or more"
    # Wide enough for all parts together: the lowest of many is low partly by luck.
    wider = ndtri(1 - 0.025 / rows.height) / ndtri(0.975)
    if row["accuracy"] + wider * (row["ci_high"] - row["accuracy"]) < best["accuracy"]:
        text = f"{best['model']} is weakest in {where} ({interval(row['ci_low'], row['ci_high'])})"
        return [f"{text}; it would stand out as the lowest {which}, too."]
    return [f"No part stands out as weak: the lowest {which} is {where}, which may be the luck of the draw."]


def _turned(facts: Facts) -> list[str]:
    rows = facts.frames["rotations"]
    if rows.is_empty():
        return []
    row = rows.sort("accuracy", descending=True).row(0, named=True)
    return [
        f"Asked with the options in every order, {row['model']} is right in all of them on {percent(row['circular'])} "
        f"of {number(row['n'], 'question')} (on average {percent(row['accuracy'])}) and names the same option each "
        f"time on {percent(row['consistent'])}."
    ]


def _hints(hints: pl.DataFrame) -> list[str]:
    found = hints.filter(pl.col("ci_low") > 0)
    return [
        f"{row['model']} does {points(row['difference'], sign=False)} better with the options in the published order "
        f"than turned, at the same places of the right one (95 %: {points(row['ci_low'])} to "
        f"{points(row['ci_high'])}): a hint, no proof, that it has met these questions before."
        for row in found.iter_rows(named=True)
    ]


def _beaten(facts: Facts) -> list[str]:
    """Baselines that are better than models."""
    rows, said = _accuracies(facts), []
    for baseline, title in BASELINES.items():
        worse = facts.against.filter((pl.col("baseline") == baseline) & (pl.col("ci_high") < 0).fill_null(False))
        losers = [model for model in facts.models if model in set(worse["model"])]
        if losers:
            gets = percent(max(rows[model][baseline] for model in losers))
            verb = "does" if len(losers) == 1 else "do"
            said.append(f"{title[0].upper()}{title[1:]} gets {gets}: {name(losers)} {verb} worse.")
    return said


def _uneven(facts: Facts) -> list[str]:
    counts = {model: row["n"] for model, row in _accuracies(facts).items()}
    low, high = min(counts.values()), max(counts.values())
    if low == high:
        return []
    return [
        f"Models were asked different numbers of questions ({low:,} to {high:,}): accuracies are of each one's own, "
        "differences between models of those that they share."
    ]


def _lost(facts: Facts) -> list[str]:
    failed = facts.frames["statuses"].filter(pl.col("status") == "failed").sort("n", descending=True)
    return [
        f"{row['model']}: {number(row['n'], 'answer')} failed after all retries and count as wrong; "
        "the browser has the reasons."
        for row in failed.head(3).iter_rows(named=True)
    ]
