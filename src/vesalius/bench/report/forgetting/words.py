"""A forgetting study in words: an answer to each question, never stronger than the numbers.

Knows how a careful reader would say it. Leaves the numbers to `compare`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vesalius.bench.metrics import metric
from vesalius.bench.report.forgetting.compare import Comparison, Question, Side
from vesalius.bench.report.words import number
from vesalius.bench.stats.equivalence import MIN_UNITS, OUTCOMES
from vesalius.bench.stats.pairwise import ALPHA
from vesalius.bench.stats.table import AVERAGE

SIDES: dict[Side, str] = {"all": "all cases", "in": "in distribution", "out": "out of distribution"}


@dataclass(frozen=True)
class Answer:
    """The answer to one question on one side of the cases.

    Attributes:
        question, side: which.
        word: "yes", "no", "mixed" (the average says one thing, the loss of some class another) or "undecided".
        outcome: of the average.
        said: the word as a reader sees it, such as «Yes» or «On average, but worse on spleen».
        value, interval: the average difference, and its interval.
        reason: number of classes by outcome, cases and seeds.
        losses: classes on which the first is worse although the average is not.
    """

    question: Question
    side: Side
    word: Literal["yes", "no", "mixed", "undecided"]
    outcome: str
    said: str
    value: str
    interval: str
    reason: str
    losses: tuple[str, ...]


def answers(comparison: Comparison) -> list[Answer]:
    """An answer for each question and side, in reading order."""
    return [_answer(comparison, question, side) for question in comparison.questions for side in comparison.sides]


def headline(comparison: Comparison) -> str:
    """What matters most, in one sentence: does the joined model keep what it joined; else, what fine-tuning lost."""
    found = answers(comparison)
    joined = [one for one in found if one.question.asks == "equivalent"]
    if not joined:
        chosen = [one for one in found if one.question.key == "tuned_forgets"] or found[: len(comparison.sides)]
        parts = [f"{one.said} ({one.value}){_side(one)}" for one in chosen]
        return f"{chosen[0].question.text} {'; '.join(parts)}."
    margin = f"±{show(comparison, comparison.study.margin, sign=False)}"
    whose = {"joined_expert": "the experts on their classes", "joined_generalist": "the generalist on the rest"}

    def listed(some: list[Answer]) -> str:
        return _names([f"{whose[one.question.key]}{_side(one)} ({one.value})" for one in some], len(some))

    if all(one.word == "yes" for one in joined):
        equals = _names([f"to {who}" for who in dict.fromkeys(whose[one.question.key] for one in joined)])
        where = ", in and out of distribution" if "in" in comparison.sides else ""
        said = f"The joined model forgets nothing beyond {margin}: it is equivalent {equals}{where}"
        return f"{said} (its own mean: {_own_mean(comparison, joined)})."
    if worse := [one for one in joined if one.word == "no"]:
        return f"The joined model is worse than {listed(worse)}."
    if mixed := [one for one in joined if one.word == "mixed"]:
        where_ = [f"worse than the {one.question.second} on {_names(one.losses)}{_side(one)}" for one in mixed]
        return f"The joined model keeps its average but not every class: it is {_names(where_, len(where_))}."
    open_ = [one for one in joined if one.word == "undecided"]
    return f"It is not shown that the joined model is equivalent within {margin} to {listed(open_)}."


def _own_mean(comparison: Comparison, joined: list[Answer]) -> str:
    """How good the joined model is, from its worst to its best average: equivalence among poor models is no merit."""
    means = [comparison.rows(one.question, one.side)[0]["mean_first"] for one in joined]
    low, high = (show(comparison, pick(means), sign=False) for pick in (min, max))
    name = metric(comparison.study.metric or "").title
    return f"{name} {low}" if low == high else f"{name} {low} to {high}"


def _side(one: Answer) -> str:
    return "" if one.side == "all" else f" {SIDES[one.side]}"


def sentences(comparison: Comparison) -> list[str]:
    """Every question with its answers, a sentence or two each, in plain text."""
    out = []
    for question in comparison.questions:
        own = [one for one in answers(comparison) if one.question.key == question.key]
        parts = [
            ("" if one.side == "all" else f"{SIDES[one.side].capitalize()}: ")
            + f"{one.said}: {one.value} ({one.interval}); {one.reason}."
            for one in own
        ]
        out.append(f"{question.text} {' '.join(parts)}")
    return out


def rule(comparison: Comparison) -> str:
    """How it was decided, for the rules in force."""
    study = comparison.study
    said = "as the study's file says" if "margin" in study.model_fields_set else "the default"
    unit = "patients (cases where none is named); a patient's cases are averaged first"
    if comparison.seeds:
        unit = f"the {number(len(comparison.seeds), 'seed')}; the bootstrap draws seeds, then patients within each"
        if comparison.crossed:
            unit = (
                f"the {number(len(comparison.seeds), 'seed')} and the patients, who are the same under every seed: "
                "both are drawn, and their squared errors are added (Satterthwaite's degrees of freedom)"
            )
    return (
        f"{metric(study.metric or '').title}, margin ±{show(comparison, study.margin, sign=False)} "
        f"({said}). Paired by case; a case without a value on either side is left out. Units: {unit}. Equivalent: two "
        f"one-sided t-tests (α = {ALPHA}, Holm over the classes of a question and side) and the bootstrap's 90 % "
        "interval inside the margin; else better or worse: two-sided paired t (Holm likewise) and the bootstrap's 95 % "
        "interval without zero; else undecided. The average over the classes is a question of its own. A sure "
        f"difference surely inside the margin is equivalent. Fewer than {MIN_UNITS} units decide nothing."
    )


def show(comparison: Comparison, value: float | None, sign: bool = True) -> str:
    """A value with the digits and unit of the study's metric; signed as a difference is."""
    if value is None:
        return "–"
    unit = metric(comparison.study.metric or "").unit
    digits = 2 if unit else 3
    plus = "+" if sign and round(value, digits) else ""
    text = f"{round(value, digits) + 0.0:{plus}.{digits}f}{' ' + unit if unit else ''}"
    return text.replace("-", "−")


def span(comparison: Comparison, row: dict[str, Any], name: str = "ci") -> str:
    """An interval of a row, «+0.092 to +0.134»."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return "–" if low is None else f"{show(comparison, low)} to {show(comparison, high)}"


def label(row: dict[str, Any], question: Question) -> str:
    """A class in a chart or table: with its model where a question has several models for one class."""
    if row["target"] == AVERAGE:
        return AVERAGE
    targets = [target for pair in question.pairs for target in pair.targets]
    return row["target"] if targets.count(row["target"]) == 1 else f"{row['target']} · {row['first']}"


def _answer(comparison: Comparison, question: Question, side: Side) -> Answer:
    average, classes = comparison.rows(question, side)
    outcome = average["verdict"]
    yes = question.is_yes(outcome)
    better, worse = (
        tuple(label(row, question) for row in classes if row["verdict"] == found and outcome != found)
        for found in ("better", "worse")
    )
    said = "Yes" if outcome == question.asks else f"{'Yes' if yes else 'No'}: {outcome}"
    if outcome == "undecided":
        said = "Undecided"
    elif yes and worse:
        said = "On average"
    # An answer that does not hold for some class names it: a loss counts even where the rest makes up for it.
    notes = [f"worse on {_names(worse)}"] if worse else []
    notes += [f"better on {_names(better)}"] if better and question.asks == "better" else []
    said = ", but ".join([said, *([" and ".join(notes)] if notes else [])])
    word: Literal["yes", "no", "mixed", "undecided"] = "yes" if yes else "no"
    if outcome == "undecided":
        word = "undecided"
    elif worse and (yes or question.asks == "worse"):
        word = "mixed"
    name, level = ("ci90", "90 %") if "equivalent" in (outcome, question.asks) else ("ci", "95 %")
    value = show(comparison, average["difference"])
    interval = f"{level} interval {span(comparison, average, name)}"
    if average["ci_low"] is None:
        interval = "too few to test"
    return Answer(question, side, word, outcome, said, value, interval, _reason(comparison, average, classes), worse)


def _reason(comparison: Comparison, average: dict[str, Any], classes: list[dict[str, Any]]) -> str:
    counts = {outcome: sum(row["verdict"] == outcome for row in classes) for outcome in OUTCOMES}
    there = {outcome: n for outcome, n in counts.items() if n}
    text = ", ".join(f"{n} {outcome}" for outcome, n in there.items())
    every = "both" if len(classes) == 2 else f"all {len(classes)}"
    parts = [f"{every} classes {next(iter(there))}" if len(there) == 1 else f"{len(classes)} classes: {text}"]
    parts = parts if len(classes) > 1 else []
    parts += [number(len(comparison.seeds), "seed")] if comparison.seeds else []
    return ", ".join([*parts, number(average["n"], "case")]).replace(f"{text}, ", f"{text}; ", 1)


def _names(names: Sequence[str], most: int = 3) -> str:
    """«liver», «liver and spleen», «liver, spleen and 4 more»."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
