"""From an answer to what it is worth: the option read, right or wrong, and the metrics of its type of question.

Knows one scorer for each declared type of question; none is ever turned into another. Reads the kept answers afresh
each time, so that better rules need no new answers. Leaves counting to `tables`, and verdicts of judges to `judge`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from vesalius.bench.questions.letters import read_choice, read_yes_no
from vesalius.bench.questions.store import Result
from vesalius.bench.questions.words import caption_scores, exact, short, token_f1
from vesalius.models.prompt import LETTERS
from vesalius.records import Answer, Sample


@dataclass(frozen=True)
class Row:
    """What an answer is worth.

    Attributes:
        case: the question's id.
        rotation, repeat: which asking.
        answer: the text as it came.
        choice: the option's letter in the file's order ("B", "A,C"), "yes" or "no", an open answer's words; "" where
            nothing could be read.
        expected: in the same form; "" where it is not known.
        correct: 0–1; None where the truth is not known, or the medium was not there.
        status: that of the answer, or "unparsed".
        rule: how it was read, or why it was not.
        position: place where the truth stood when it was asked, and `chosen` that of the option named; None if none.
        metrics: further scores of the type of question, by name.
        conflict: the letter named one option, the words after it another.
    """

    case: str
    rotation: int
    repeat: int
    answer: str
    choice: str
    expected: str
    correct: float | None
    status: str
    rule: str = ""
    position: int | None = None
    chosen: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    conflict: bool = False


def read(result: Result) -> Row | None:
    """The row of one asking; None where no answer has come yet."""
    if result.answer is None:
        return None
    sample, answer = result.sample, result.answer
    plain = Row(
        sample.question.id, result.rotation, result.repeat, answer.text, "", sample.truth or "", None, answer.status,
        answer.reason or "",
    )  # fmt: skip
    if answer.status == "no_medium":
        return plain
    if answer.status == "failed":
        return replace(plain, correct=None if sample.truth is None else 0.0)
    return _SCORERS[sample.question.type](plain, result, sample, answer)


def _choice(row: Row, result: Result, sample: Sample, answer: Answer) -> Row:
    several = sample.question.type == "choices"
    options = [sample.question.options[place] for place in result.places]
    found = read_choice(answer.text, options, several=several, cut_off=answer.status == "cut_off")
    truth = {LETTERS.index(letter) for letter in sample.truth.split(",")} if sample.truth else set()
    named = {result.places[place] for place in found.places}
    correct = float(named == truth) if truth else None
    metrics = {"recall": len(named & truth) / len(truth)} if several and truth else {}
    return replace(
        row,
        choice=",".join(LETTERS[place] for place in sorted(named)),
        correct=correct,
        status=_status(answer, found.status),
        rule=found.rule,
        position=result.places.index(next(iter(truth))) if len(truth) == 1 else None,
        chosen=found.places[0] if len(found.places) == 1 else None,
        metrics=metrics,
        conflict=found.conflict,
    )


def _yes_no(row: Row, result: Result, sample: Sample, answer: Answer) -> Row:
    asked = "".join(part.text or "" for part in sample.question.messages[-1].parts)
    found = read_yes_no(answer.text, asked, cut_off=answer.status == "cut_off")
    choice = ("yes", "no")[found.places[0]] if found.places else ""
    truth = row.expected.strip().lower().rstrip(".")
    correct = float(choice == truth) if truth else None
    return replace(
        row, choice=choice, expected=truth, correct=correct, status=_status(answer, found.status), rule=found.rule
    )


def _open(row: Row, result: Result, sample: Sample, answer: Answer) -> Row:
    if not answer.text.strip() or answer.status in ("refused", "cut_off"):
        known = {"token_f1": 0.0} if row.expected else {}
        return replace(row, correct=0.0 if row.expected else None, metrics=known)
    if not row.expected:
        return replace(row, choice=short(answer.text))
    metrics = {"token_f1": token_f1(answer.text, row.expected)}
    return replace(row, choice=short(answer.text), correct=exact(answer.text, row.expected), metrics=metrics)


def _caption(row: Row, result: Result, sample: Sample, answer: Answer) -> Row:
    """Captions are not right or wrong: their scores are metrics, and a judge's."""
    if not row.expected:
        return replace(row, choice=answer.text)
    said = answer.text if answer.status == "answered" else ""
    return replace(row, choice=answer.text, metrics=caption_scores(said, row.expected))


def _mask(row: Row, result: Result, sample: Sample, answer: Answer) -> Row:
    return row


def _status(answer: Answer, read: str) -> str:
    """An answer that was cut off, or refused by its server, stays so, even where an option could be read."""
    return answer.status if answer.status in ("cut_off", "refused") else read


_SCORERS: dict[str, Callable[[Row, Result, Sample, Answer], Row]] = {
    "choice": _choice, "choices": _choice, "yes_no": _yes_no, "open": _open, "caption": _caption, "mask": _mask,
}  # fmt: skip
