"""Asks models the questions of benchmarks: which questions, in which order, how often, with what said around them.

Knows the job of `vesalius bench run`. Leaves durable asking to `models/asking`, what is kept to `store`, and what the
answers mean to `reading`.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vesalius.bench.questions.shots import By, Shots
from vesalius.bench.questions.store import Store
from vesalius.errors import VesaliusError
from vesalius.formats.questions import QuestionFile, open_questions
from vesalius.models import Model
from vesalius.models.asking import Account, Ask, ask
from vesalius.models.prompt import Prompt, order, render
from vesalius.records import Question, Sample
from vesalius.run import provenance
from vesalius.select import expression

LIBRARIES = ("aiohttp", "torch", "transformers", "pillow")


@dataclass(frozen=True)
class Settings:
    """What is asked and how; all but `limit`, `select` and `seed` are part of what answers depend on.

    Attributes:
        select: condition on metadata.
        limit: at most so many questions of each benchmark, the first of the (shuffled) order.
        shuffle_seed: order in which they are asked; None keeps the file's.
        rotations: 1, or 0 for every rotation of the options (circular evaluation).
        option_seed: shuffles each question's options, by its id; None keeps the file's order.
        repeats: how often each question is asked.
        blind: without images, slides and other media.
        prompt: what is said around a question.
        shots, shots_from, shots_by, shots_seed: solved examples; `shots_from` is a value of the column `split`, or a
            condition.
        retries: how often a failed question is asked again within the run.
    """

    select: str | None = None
    limit: int | None = None
    shuffle_seed: int | None = None
    rotations: int = 1
    option_seed: int | None = None
    repeats: int = 1
    blind: bool = False
    prompt: Prompt = field(default_factory=Prompt)
    shots: int = 0
    shots_from: str | None = None
    shots_by: By = "random"
    shots_seed: int = 0
    retries: int = 1

    def depends(self) -> dict[str, Any]:
        """What answers depend on."""
        kept = asdict(self)
        for name in ("select", "limit", "shuffle_seed", "retries", "repeats", "rotations"):
            del kept[name]
        return kept


def ids(store: Store, benchmark: str, settings: Settings) -> list[str]:
    """Which questions are asked, in their order.

    Raises:
        VesaliusError: the condition keeps none.
    """
    frame = store.metadata(benchmark)
    if settings.select:
        kept = frame.filter(expression(settings.select, frame))
        if kept.is_empty():
            problem = f"--select «{settings.select}» keeps none of {frame.height} questions of {benchmark}"
            raise VesaliusError(problem, remedy="see them with `vesalius bench tree`", code="empty")
        frame = kept
    if settings.shots_from:
        frame = frame.filter(~_shot_rows(frame, settings.shots_from))
    chosen = frame["id"].to_list()
    if settings.shuffle_seed is not None:
        random.Random(settings.shuffle_seed).shuffle(chosen)
    return chosen[: settings.limit]


def run(store: Store, benchmark: str, model: Model, url: str, settings: Settings) -> Account:
    """Asks one model one benchmark's questions; what is answered already is not asked.

    Args:
        store: an open run that holds the benchmark (see `Store.ingest`).
        benchmark: its name there.
        model: who is asked.
        url: how the user named it, for the record.
        settings: what is asked and how.

    Returns:
        What it took.

    Raises:
        VesaliusError: the model cannot be asked at all.
        Interrupted: stopped; the same call goes on.
    """
    chosen = ids(store, benchmark, settings)
    shots = _shots(store, benchmark, settings)
    record = {"url": url, "settings": asdict(settings), "provenance": provenance(_installed(LIBRARIES))}
    store.begin(benchmark, model, settings.depends(), record)
    total = Account()
    for rotation, repeat in _rounds(store, benchmark, chosen, settings):
        label = f"{benchmark} · {model.name if len(model.name) <= 40 else model.name[:39] + '…'}"
        label += (f" · rotation {rotation}" if rotation else "") + (f" · repeat {repeat}" if repeat else "")
        samples = (s for s in store.samples(benchmark, chosen) if not rotation or rotation < len(s.question.options))
        asks = _asks(f"{benchmark}/{model.name}", samples, shots, settings, rotation, repeat)
        count = None if rotation else len(chosen)
        planned = store.plan(benchmark, model.name)
        account = ask(store.run, model, asks, label=label, total=count, retries=settings.retries, planned=planned)
        total = total + account
    return total


def _rounds(store: Store, benchmark: str, chosen: Sequence[str], settings: Settings) -> Iterator[tuple[int, int]]:
    """(rotation, repeat) of every pass over the questions."""
    turns = 1
    if settings.rotations == 0:
        turns = max((len(sample.question.options) for sample in store.samples(benchmark, chosen)), default=1) or 1
    for repeat in range(settings.repeats):
        for rotation in range(turns):
            yield rotation, repeat


def _asks(
    key: str, samples: Iterator[Sample], shots: Shots | None, settings: Settings, rotation: int, repeat: int
) -> Iterator[Ask]:
    for sample in samples:
        question = without_media(sample.question) if settings.blind else sample.question
        places = order(question, rotation, settings.option_seed)
        examples = shots.parts(sample, settings.prompt) if shots else ()
        asked = render(question, settings.prompt, places, examples)
        note = (question.id, rotation, places)
        yield Ask(f"{key}/{question.id}/{rotation}.{repeat}", asked, repeat, note)


def without_media(question: Question) -> Question:
    """The question as text alone."""
    messages = tuple(replace(m, parts=tuple(p for p in m.parts if p.type == "text")) for m in question.messages)
    return replace(question, messages=messages)


def _shot_rows(frame, source: str):
    """Which rows examples come from: a value of `split`, or a condition."""
    condition = source if any(mark in source for mark in "=<>") or " " in source else f"split = '{source}'"
    return expression(condition, frame)


def _shots(store: Store, benchmark: str, settings: Settings) -> Shots | None:
    if not settings.shots:
        return None
    frame = store.metadata(benchmark)
    if settings.shots_from:
        frame = frame.filter(_shot_rows(frame, settings.shots_from))
    pool = list(store.samples(benchmark, frame["id"].to_list()))
    if settings.blind:
        pool = [replace(sample, question=without_media(sample.question)) for sample in pool]
    cluster = store.benchmarks[benchmark]["cluster"]
    return Shots(pool, settings.shots, settings.shots_by, settings.shots_seed, cluster)


def _installed(names: Sequence[str]) -> list[str]:
    from importlib.util import find_spec

    return [name for name in names if find_spec("PIL" if name == "pillow" else name)]


def open_benchmark(name_or_file: str, media: Path, folders: Sequence[Path] = ()) -> tuple[str, QuestionFile]:
    """A benchmark by name (see `catalog`) or file: (name, file)."""
    from vesalius.bench.questions.catalog import locate

    path, name = locate(name_or_file)
    return name, open_questions(path, media, folders)
