"""Benchmarks as Inspect tasks: `inspect eval vesalius/questions -T file=benchmark.tsv --model …`.

Knows how our samples become Inspect's, and how our reading of an answer becomes its score, so that Inspect's providers,
viewer and agents work on every benchmark that we read. Only Inspect imports this file (through its entry point).
"""

import os
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset
from inspect_ai.dataset import Sample as InspectSample
from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser, ContentImage, ContentText
from inspect_ai.scorer import Score, Target, accuracy, scorer, stderr
from inspect_ai.solver import TaskState, generate

from vesalius.bench.questions.reading import read
from vesalius.bench.questions.runner import Settings, ids, open_benchmark, without_media
from vesalius.bench.questions.store import Result, Store
from vesalius.errors import VesaliusError
from vesalius.models.prompt import Prompt, order, render
from vesalius.records import Answer, Question, Sample
from vesalius.run import fingerprint


@task
def questions(
    file: str,
    select: str | None = None,
    blind: bool = False,
    media: str = "",
    system: str = "",
    option_seed: int | None = None,
) -> Task:
    """A benchmark of questions.

    Args:
        file: a name of `vesalius bench list`, or a file of questions.
        select: condition on metadata, as for `vesalius bench run`.
        blind: without images.
        media: folder where images lie that the file names.
        system: system message.
        option_seed: shuffles each question's options; None keeps the file's order.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vesalius" / "inspect"
    folder = cache / fingerprint(str(Path(file).resolve()), os.getpid())
    with Store(folder, create=True) as store:
        name, opened = open_benchmark(file, store.media, [Path(media)] if media else [])
        store.ingest(name, opened)
        chosen = ids(store, name, Settings(select=select))
        samples = [_sample(s, blind, system, option_seed) for s in store.samples(name, chosen)]
    (folder / "run.sqlite").unlink()
    return Task(MemoryDataset(samples, name=name), solver=generate(), scorer=as_vesalius(), name=name)


def _sample(sample: Sample, blind: bool, system: str, option_seed: int | None) -> InspectSample:
    question = without_media(sample.question) if blind else sample.question
    places = order(question, 0, option_seed)
    absent = next((part.path for part in question.media if part.path and not Path(part.path).exists()), None)
    if absent:
        remedy = "name its folder with -T media=…, or ask with -T blind=true"
        raise VesaliusError("is not there", file=absent, case=question.id, remedy=remedy, code="medium")
    asked = render(question, Prompt(system), places)
    metadata = {"vesalius": sample.to_json(), "places": list(places), **sample.metadata}
    return InspectSample(
        input=_messages(asked), target=sample.truth or "", id=question.id, choices=None, metadata=metadata
    )


def _messages(question: Question) -> list[ChatMessage]:
    out: list[ChatMessage] = []
    for message in question.messages:
        content: list[Any] = []
        for part in message.parts:
            if part.type == "text":
                content.append(ContentText(text=part.text or ""))
            elif part.type == "image":
                content.append(ContentImage(image=str(part.path)))
            else:
                remedy = "ask with -T blind=true"
                raise VesaliusError(f"Inspect takes no {part.type}", case=question.id, remedy=remedy, code="medium")
        out.append(ChatMessageSystem(content=content) if message.role == "system" else ChatMessageUser(content=content))
    return out


@scorer(metrics=[accuracy(), stderr()])
def as_vesalius() -> Any:
    """Our reading of an answer; what cannot be read is wrong, and the score's metadata say why."""

    async def score(state: TaskState, target: Target) -> Score:
        sample = Sample.from_json(state.metadata["vesalius"])
        stopped = state.output.stop_reason
        more: dict[str, Any] = {"status": "cut_off"} if stopped in ("max_tokens", "model_length") else {}
        answer = Answer.of_text(sample.question.id, state.output.completion, **more)
        row = read(Result(sample, 0, 0, tuple(state.metadata["places"]), answer))
        assert row is not None
        kept = {"status": row.status, "rule": row.rule, **row.metrics}
        return Score(value=row.correct or 0.0, answer=row.choice, explanation=answer.text, metadata=kept)

    return score
