"""A model that judges answers: which option was meant, whether words are right, how good a caption is, why wrong.

    match     the option that an answer means from which the rules read none, or NONE
    open      whether an open answer says the same as the expected one
    caption   how well a caption agrees with the expected one, 1–10
    errors    why a wrong answer is wrong: misread, perception, knowledge, irrelevant, refusal

Knows the prompts and the form of a verdict: a JSON object whose `verdict` is one of those allowed. Anything else is no
verdict; there is no default. The judge is asked durably like any model; only what failed is asked again. It must pass
two questions with a known verdict before it judges anything. Judges see words, never images.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from vesalius.bench.questions.reading import Row, read
from vesalius.bench.questions.store import Result, Store
from vesalius.bench.questions.wrapping import without_thinking
from vesalius.errors import VesaliusError
from vesalius.models import Model
from vesalius.models.asking import Account, Ask, ask
from vesalius.models.prompt import LETTERS
from vesalius.records import Answer, Message, Part, Question

CLASSES = {
    "misread": "it misunderstands what is asked",
    "perception": "it sees or describes something wrongly in the image",
    "knowledge": "it sees rightly, but draws a wrong conclusion or lacks the knowledge",
    "irrelevant": "it does not answer the question",
    "refusal": "it declines to answer",
}
_FORM = 'Reply with a JSON object and nothing else: {{"verdict": {allowed}, "why": "one short sentence"}}'


@dataclass(frozen=True)
class Task:
    """One kind of judging.

    Attributes:
        wanted: whether a row is to be judged.
        words: makes the prompt's beginning.
        allowed: makes the verdicts that count.
        controls: prompts with the verdict that a judge must give before it judges.
    """

    wanted: Callable[[Row, Result], bool]
    words: Callable[[Row, Result], str]
    allowed: Callable[[Result], tuple[str, ...]]
    controls: tuple[tuple[str, tuple[str, ...], str], ...]


def _is(result: Result, *types: str) -> bool:
    return result.sample.question.type in types


def _asked(result: Result) -> str:
    parts = result.sample.question.messages[-1].parts
    return "".join(part.text or "" for part in parts if part.type == "text").strip()


def _options(result: Result) -> str:
    shown = [result.sample.question.options[place] for place in result.places]
    if result.sample.question.type == "yes_no":
        shown = ["yes", "no"]
    return "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, shown, strict=False))


def _letters(result: Result) -> tuple[str, ...]:
    count = 2 if result.sample.question.type == "yes_no" else len(result.places)
    return (*LETTERS[:count], "NONE")


def _match(row: Row, result: Result) -> str:
    return (
        "Somebody answered a multiple-choice question in their own words. Which option do they mean? Judge only what "
        "they say, not what is right. NONE if they mean no option, several, or decline.\n\n"
        f"Question: {_asked(result)}\nOptions:\n{_options(result)}\n\nTheir answer: {row.answer}"
    )


def _open(row: Row, result: Result) -> str:
    return (
        "Does the answer say the same as the expected answer to this medical question? Wording does not matter; what "
        "contradicts it, or leaves out what matters, is INCORRECT.\n\n"
        f"Question: {_asked(result)}\nExpected answer: {row.expected}\nAnswer: {row.answer}"
    )


def _caption(row: Row, result: Result) -> str:
    return (
        "How well does the description agree with the expected one, in clinical content? 1: nothing in common or "
        f"contradictory, 10: the same findings.\n\nExpected: {row.expected}\n\nDescription: {row.answer}"
    )


def _errors(row: Row, result: Result) -> str:
    kinds = "\n".join(f"{name}: {what}" for name, what in CLASSES.items())
    options = f"\nOptions:\n{_options(result)}" if result.sample.question.options else ""
    truth = row.expected
    return (
        f"This answer to a medical question is wrong. Why? Choose one class.\n{kinds}\n\nQuestion: {_asked(result)}"
        f"{options}\nExpected answer: {truth}\nAnswer: {row.answer}"
    )


def _ten(result: Result) -> tuple[str, ...]:
    return tuple(str(i) for i in range(1, 11))


_CONTROL = "Which option does the answer mean? NONE if none.\nOptions:\nA. liver\nB. spleen\n\nTheir answer: {}"
_SIDES = "Does the answer say the same as the expected one?\nQuestion: Which side?\nExpected answer: left\nAnswer: {}"
_RIGHT = ("CORRECT", "INCORRECT")

TASKS: Mapping[str, Task] = {
    "match": Task(
        lambda row, r: _is(r, "choice", "yes_no") and not row.choice
        and row.status in ("unparsed", "refused", "cut_off"),
        _match, _letters,
        ((_CONTROL.format("It is the spleen."), ("A", "B", "NONE"), "B"),
         (_CONTROL.format("I do not know."), ("A", "B", "NONE"), "NONE")),
    ),
    "open": Task(
        lambda row, r: _is(r, "open") and row.answer.strip() != "" and row.correct == 0,
        _open, lambda result: _RIGHT,
        ((_SIDES.format("on the left side"), _RIGHT, "CORRECT"),
         (_SIDES.format("the right side"), _RIGHT, "INCORRECT")),
    ),
    "caption": Task(
        lambda row, r: _is(r, "caption") and bool(row.answer.strip()) and bool(row.expected),
        _caption, _ten, (),
    ),
    "errors": Task(
        lambda row, r: row.correct == 0 and row.status not in ("failed", "empty"),
        _errors, lambda result: tuple(CLASSES), (),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """A verdict as it counts."""

    verdict: str
    why: str


class _Judge:
    """A model whose answers are verdicts: what is none becomes a failed answer, to be asked for again."""

    def __init__(self, model: Model, allowed: Mapping[str, tuple[str, ...]]):
        self.model = model
        self.allowed = allowed
        self.name = model.name
        self.media = model.media
        self.identity = model.identity
        self.check = model.check
        self.close = model.close

    def answer(self, questions: Iterable[Question]) -> Iterator[Answer]:
        for answer in self.model.answer(questions):
            if answer.status == "failed" or parse(answer.text, self.allowed[answer.id]):
                yield answer
            else:
                said = " ".join(answer.text.split())[:80]
                yield replace(answer, status="failed", reason=f"gave no verdict: «{said}»")


def parse(text: str, allowed: Iterable[str]) -> Verdict | None:
    """The verdict in a reply; None unless it is a JSON object whose `verdict` is one of those allowed.

    >>> parse('```json\\n{"verdict": "b", "why": "says so"}\\n```', ["A", "B"])
    Verdict(verdict='B', why='says so')
    """
    for match in re.finditer(r"\{[^{}]*\}", without_thinking(text)[0]):
        try:
            value = json.loads(match[0])
        except ValueError:
            continue
        said = value.get("verdict")
        if isinstance(said, int) and not isinstance(said, bool):
            said = str(said)  # a score is a number to many
        if not isinstance(said, str):  # null is not NONE
            continue
        found = next((word for word in allowed if word.casefold() == said.strip().casefold()), None)
        if found is not None:
            return Verdict(found, str(value.get("why", "")))
    return None


def preflight(model: Model, task: str) -> None:
    """Asks the judge questions whose verdict is known.

    Raises:
        VesaliusError: it cannot be asked, gives no verdict, or a wrong one.
    """
    model.check()
    controls = TASKS[task].controls
    questions = [_question(f"control-{i}", words, allowed) for i, (words, allowed, _) in enumerate(controls)]
    for answer in sorted(model.answer(iter(questions)), key=lambda answer: answer.id):
        _, allowed, wanted = controls[int(answer.id.rpartition("-")[2])]
        verdict = parse(answer.text, allowed)
        if verdict is None or verdict.verdict != wanted:
            said = f"«{' '.join(answer.text.split())[:80]}»" if answer.status != "failed" else answer.reason
            problem = f"is no judge of {task}: {wanted} was to be said, and it said {said}"
            raise VesaliusError(problem, file=model.name, remedy="name another model with --by", code="judge")


def judge(store: Store, benchmark: str, model: str, by: Model, task: str) -> tuple[Account, int]:
    """Judges one model's answers; verdicts that are there already are not asked for again.

    Returns:
        The account, and how many verdicts were wanted.
    """
    chosen = TASKS[task]
    key = f"judge/{task}/{benchmark}/{model}"
    asks: list[Ask] = []
    allowed: dict[str, tuple[str, ...]] = {}
    for result in store.results(benchmark, model):
        row = read(result)
        if row is None or not chosen.wanted(row, result):
            continue
        id = f"{row.case}/{row.rotation}.{row.repeat}"
        allowed[id] = chosen.allowed(result)
        question = _question(id, chosen.words(row, result), allowed[id])
        note = (row.case, row.rotation, result.places)
        asks.append(Ask(f"{key}/{by.name}/{id}", question, row.repeat, note))
    if not asks:
        return Account(), 0
    store.remember("judges", f"{task}/{benchmark}/{model}", {"by": by.name, "wanted": len(asks)})
    label = f"{task} · {benchmark} · {model}"
    account = ask(store.run, _Judge(by, allowed), asks, label=label, total=len(asks), planned=store.plan(key, by.name))
    return account, len(asks)


def verdicts(store: Store, benchmark: str, model: str, task: str) -> dict[tuple[str, int, int], tuple[Verdict, str]]:
    """(case, rotation, repeat) → (verdict, judge), of the judge that was asked last."""
    asked = store.fact("judges").get(f"{task}/{benchmark}/{model}")
    out: dict[tuple[str, int, int], tuple[Verdict, str]] = {}
    if not asked:
        return out
    for id, rotation, repeat, answer in store.planned_answers(f"judge/{task}/{benchmark}/{model}", asked["by"]):
        # What was allowed was checked when it came.
        found = parse(answer.text, [*LETTERS, "NONE", "CORRECT", "INCORRECT", *CLASSES, *map(str, range(1, 11))])
        if answer.status != "failed" and found:
            out[id, rotation, repeat] = (found, asked["by"])
    return out


def _question(id: str, words: str, allowed: tuple[str, ...]) -> Question:
    form = _FORM.format(allowed=" or ".join(json.dumps(word) for word in allowed))
    return Question(id, (Message("user", (Part.of_text(f"{words}\n\n{form}"),)),))


def apply(row: Row, result: Result, found: Mapping[str, Any]) -> Row:
    """The row with what judges said of it.

    Args:
        row: as the rules read it.
        result: what it was read from.
        found: task → `Verdict`, and `by`, task → judge.
    """
    metrics = dict(row.metrics)
    if verdict := found.get("open"):
        metrics["judge"] = float(verdict.verdict == "CORRECT")
    elif result.sample.question.type == "open" and row.correct == 1 and found.get("judged_open"):
        metrics["judge"] = 1.0
    if verdict := found.get("caption"):
        metrics["judge"] = int(verdict.verdict) / 10
    row = replace(row, metrics=metrics)
    verdict = found.get("match")
    if verdict is None or verdict.verdict == "NONE" or row.choice:  # what rules can read by now needs no judge
        return row
    place = LETTERS.index(verdict.verdict)
    choice = ("yes", "no")[place] if result.sample.question.type == "yes_no" else LETTERS[result.places[place]]
    correct = None if row.correct is None else float(choice == row.expected)
    return replace(row, choice=choice, correct=correct, status="answered", rule="judge", chosen=place)
