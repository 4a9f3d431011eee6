"""Asking a model durably: nothing twice, nothing lost, everything counted.

Knows the key under which an answer is kept (all that it depends on: model and settings, prompt, bytes of the media,
repeat), in which order answers reach the disk, and the accounts. The run's SQLite file is the cache. Used by
benchmarks, judges and builders of instruction data alike; leaves what is asked, and what answers mean, to them.

An answer is on disk before the model takes another question: whatever kills the process, at most the questions that
were in flight are asked again.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

from vesalius.errors import VesaliusError
from vesalius.models.protocol import Model
from vesalius.records import MARKS, MEDIA, Answer, Question, to_chat
from vesalius.run import Interrupted, Run, Unit, file_hash, file_stamp, fingerprint, progress, sigterm_as_interrupt

_CHUNK = 256  # questions looked up at once; what is held in memory does not grow with their number


@dataclass(frozen=True)
class Ask:
    """One question to one model.

    Attributes:
        key: unique within the run for what is asked (benchmark, model, case, rotation); the key on disk also holds the
            stamp, so that answers under other settings are kept, and found again when the settings come back.
        question: rendered, as the model is to see it.
        repeat: which of several equal askings.
        note: what the caller wants to know again when it is told the key on disk.
    """

    key: str
    question: Question
    repeat: int = 0
    note: tuple[Any, ...] = ()


@dataclass
class Account:
    """What asking took. Costs are in the currency of the price given; `None` where nothing was known."""

    asked: int = 0
    kept: int = 0
    failed: int = 0
    retried: int = 0
    prompt_tokens: int = 0
    tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)

    def add(self, answer: Answer) -> None:
        """Counts an answer in."""
        self.prompt_tokens += answer.prompt_tokens or 0
        self.tokens += answer.tokens or 0
        self.cost += answer.cost or 0.0
        self.seconds += answer.seconds or 0.0
        self.retried += answer.attempts > 1
        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1

    def __add__(self, other: "Account") -> "Account":
        both = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self) if f.name != "statuses"}
        counts = {k: self.statuses.get(k, 0) + other.statuses.get(k, 0) for k in {**self.statuses, **other.statuses}}
        return Account(**both, statuses=counts)


class Stamper:
    """Makes the stamp of an asking; remembers the hashes of files, of one model."""

    def __init__(self, model: Model):
        self.identity = model.identity()
        self._hashes: dict[str, tuple[Any, str]] = {}

    def unit(self, ask: Ask) -> Unit:
        """The unit of work: its stamp is a hash of everything that the answer depends on."""
        chat = to_chat(ask.question.messages, MEDIA + MARKS)
        for message in chat:
            for part in message["content"]:
                if "path" in part:
                    part["path"] = self.content(part["path"])
        stamp = fingerprint(self.identity, chat, ask.question.options, ask.question.type, ask.repeat)
        return Unit(f"{ask.key}@{stamp}", stamp, (ask,))

    def content(self, path: str) -> str:
        """Hash of a file's bytes (of names, sizes and times for a folder); "absent" where there is none."""
        if not Path(path).exists():
            return "absent"
        seen = file_stamp(path)
        known = self._hashes.get(path)
        if known is None or known[0] != seen:
            known = (seen, fingerprint(seen) if Path(path).is_dir() else file_hash(path))
            self._hashes[path] = known
        return known[1]


def ask(
    run: Run,
    model: Model,
    asks: Iterable[Ask],
    *,
    label: str,
    total: int | None = None,
    retries: int = 1,
    planned: Callable[[Ask, str], None] = lambda one, key: None,
) -> Account:
    """Asks what is not answered yet and keeps what comes.

    Args:
        run: where answers go, and where they are looked up.
        model: who is asked.
        asks: the whole job, taken lazily; ids of its questions differ (rotations and repeats are jobs of their own).
        label: what the progress bar says.
        total: how many there are, if known.
        retries: how often a question that failed is asked again before it is left as failed; the next run tries again.
        planned: is told the key on disk of each asking; what it writes to the run is committed with the answers.

    Returns:
        The account of the whole job, earlier runs' answers included.

    Raises:
        VesaliusError: the model cannot be asked at all; what came before is kept.
        Interrupted: stopped; the same call goes on.
    """
    with sigterm_as_interrupt(), progress(label, total) as advance:
        session = _Session(run, model, advance, planned)
        try:
            failed = session.go(asks, last=retries == 0)
            for attempt in range(retries):
                failed = session.go(failed, last=attempt == retries - 1) if failed else []
        except KeyboardInterrupt:
            problem = f"stopped; {session.account.asked + session.account.kept} answers are kept"
            raise Interrupted(problem, file=run.path, remedy="the same command goes on from here") from None
        finally:
            run.commit()
    return session.account


class _Session:
    """One model answering: what is in flight, and how often each failed before."""

    def __init__(self, run: Run, model: Model, advance: Callable[..., None], planned: Callable[[Ask, str], None]):
        self.planned = planned
        self.run = run
        self.model = model
        self.advance = advance
        self.stamper = Stamper(model)
        self.account = Account()
        self.flying: dict[str, Unit] = {}
        self.tries: dict[str, int] = {}
        self.exhausted = False

    def go(self, asks: Iterable[Ask], *, last: bool) -> list[Ask]:
        """One pass; gives back what failed and may be tried again."""
        failed: list[Ask] = []
        self.exhausted = False
        for answer in self.model.answer(self._questions(asks)):
            unit = self._landed(answer)
            answer = replace(answer, attempts=answer.attempts + self.tries.pop(answer.id, 0))
            again = answer.status == "failed" and not last
            if again:
                failed.append(unit.arguments[0])
                self.tries[answer.id] = answer.attempts
            else:
                self._count(answer)
            self.run.put(
                unit, answer.to_json(), answer.seconds or 0.0, "done" if answer.status != "failed" else "crashed"
            )
            if self.exhausted:  # nobody asks for the next question any more, and so nobody else commits
                self.run.commit()
        if self.flying:
            problem = f"gave no answer to {len(self.flying)} questions"
            raise VesaliusError(problem, file=self.model.name, case=next(iter(self.flying)), code="model")
        return failed

    def _questions(self, asks: Iterable[Ask]) -> Iterator[Question]:
        """What is left, one by one; by the time a model gets the next, what it gave before is on disk."""
        asks = iter(asks)
        while chunk := list(islice(asks, _CHUNK)):
            units = [self.stamper.unit(one) for one in chunk]
            for one, unit in zip(chunk, units, strict=True):
                self.planned(one, unit.key)
            left = self.run.left(units)
            waiting = {unit.key for unit in left}
            for _, payload, _, _ in self.run.payloads(unit for unit in units if unit.key not in waiting):
                self.account.kept += 1
                self.account.add(Answer.from_json(payload))
            self.advance(self.account.failed, by=0, kept=len(units) - len(left))
            for unit in left:
                question = unit.arguments[0].question
                media = () if getattr(self.model, "sent_in", False) else question.media
                absent = next((part.path for part in media if part.path and not Path(part.path).exists()), None)
                if absent is not None:
                    answer = Answer(question.id, status="no_medium", reason=f"{absent} is not there", attempts=0)
                    self.run.put(unit, answer.to_json(), 0.0)
                    self._count(answer)
                    continue
                self.run.commit()
                if question.id in self.flying:
                    raise VesaliusError("is asked twice at once", case=question.id, code="record")
                self.flying[question.id] = unit
                yield question
        self.exhausted = True
        self.run.commit()

    def _landed(self, answer: Answer) -> Unit:
        unit = self.flying.pop(answer.id, None)
        if unit is None:
            raise VesaliusError(
                "answered a question that was not asked", file=self.model.name, case=answer.id, code="model"
            )
        return unit

    def _count(self, answer: Answer) -> None:
        self.account.asked += answer.attempts > 0
        self.account.failed += answer.status == "failed"
        self.account.add(answer)
        self.advance(self.account.failed)


def answers(run: Run, model: Model, asks: Iterable[Ask]) -> Iterator[tuple[Ask, Answer | None]]:
    """The kept answer of each asking, None where there is none yet."""
    stamper = Stamper(model)
    for one in asks:
        unit = stamper.unit(one)
        found = next(iter(run.payloads([unit])), None)
        yield one, Answer.from_json(found[1]) if found else None
