"""The nouns of the house and their forms on disk: Part, Message, Question, Sample, Answer, Score.

Knows the Parquet schemas, the Hugging Face chat form and the JSON of an answer. Leaves what a payload contains to
`media/`, what a benchmark asks to `bench/`, and where things are written to whoever calls.

Parquet turns a union of parts into structs with null keys, and chat templates test for keys: `to_chat` drops nulls, and
a medium that the model does not take is an error, never a silently missing part.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import inf, isfinite
from pathlib import Path
from typing import Any, Literal

import polars as pl

from vesalius.errors import VesaliusError
from vesalius.run import replacing

MEDIA = ("image", "volume", "slide", "video", "protein", "structure", "features")
MARKS = ("mask", "points", "boxes", "timeline")

# choice    one of the options                choices  all options that are right
# yes_no    yes or no, without options        open     a few words
# caption   some sentences about a medium     mask     a segmentation
QUESTION_TYPES = ("choice", "choices", "yes_no", "open", "caption", "mask")

# answered   there is something to score      refused    the model says that it will not or cannot answer
# empty      nothing came                     cut_off    stopped at the token limit, or thinking never ended
# failed     an error, after all retries      no_medium  the question's own image, slide, … is not there: never asked
ANSWER_STATUSES = ("answered", "refused", "empty", "cut_off", "failed", "no_medium")


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a medium: seconds of a video, slices of a volume, pages of a document."""

    start: float
    end: float
    unit: Literal["seconds", "slices", "pages"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a timeline and its label, in seconds."""

    start: float
    end: float
    label: str


@dataclass(frozen=True, slots=True)
class Part:
    """Text, a medium, or a mark on one; may stand in a question and in an answer.

    Attributes:
        type: "text", one of `MEDIA`, or one of `MARKS`.
        text: the words, of a text part.
        path: the file (or folder, for a DICOM series), of a medium or a mask.
        labels: names by id, of a mask.
        points, boxes: coordinates in the medium's own world (mm of a volume, pixels of an image), of marks; a box is
            its lower and upper corner after each other.
        segments: of a timeline.
        span: the part of the medium that is meant.
    """

    type: str
    text: str | None = None
    path: str | None = None
    labels: Mapping[int, str] | None = None
    points: Sequence[Sequence[float]] | None = None
    boxes: Sequence[Sequence[float]] | None = None
    segments: Sequence[Segment] | None = None
    span: Span | None = None

    def __post_init__(self):
        known = {"text": "text", "mask": "path", "points": "points", "boxes": "boxes", "timeline": "segments"}
        needed = known.get(self.type, "path" if self.type in MEDIA else None)
        if needed is None:
            remedy = f"use text, {', '.join(MEDIA + MARKS)}"
            raise VesaliusError(f"no part has the type {self.type}", remedy=remedy, code="record")
        if getattr(self, needed) is None:
            raise VesaliusError(f"a part of type {self.type} needs `{needed}`", code="record")

    @classmethod
    def of_text(cls, text: str) -> "Part":
        """A text part."""
        return cls("text", text=text)

    @classmethod
    def of(cls, medium: str, path: str | Path, **more: Any) -> "Part":
        """A medium or a mask in a file."""
        return cls(medium, path=str(path), **more)


@dataclass(frozen=True, slots=True)
class Message:
    """Who speaks, and the parts in their order."""

    role: Literal["system", "user", "assistant", "tool"]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """All that a model ever sees: no truth, no diagnosis, no telling file name.

    `options` are given where there is a choice; the prompt is rendered late, so that they can be rotated. `type`, one
    of `QUESTION_TYPES`, says what kind of answer is wanted, and so how it is read.
    """

    id: str
    messages: tuple[Message, ...]
    options: tuple[str, ...] = ()
    type: str = "open"

    def __post_init__(self):
        if self.type not in QUESTION_TYPES:
            remedy = f"use one of {', '.join(QUESTION_TYPES)}"
            raise VesaliusError(f"no question has the type {self.type}", case=self.id, remedy=remedy, code="record")
        if self.type in ("choice", "choices") and len(self.options) < 2:
            raise VesaliusError("a choice needs at least two options", case=self.id, code="record")

    @property
    def media(self) -> tuple[Part, ...]:
        """All parts that are not text, in their order."""
        return tuple(part for message in self.messages for part in message.parts if part.type != "text")


@dataclass(frozen=True, slots=True)
class Sample:
    """A Question with what is kept from the model: the expected answer and metadata (site, scanner, sex, age, ...)."""

    question: Question
    expected: Message | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def truth(self) -> str | None:
        """The words of what is expected, None where there are none; of a choice its letter ("B", "A,C")."""
        return "".join(part.text or "" for part in self.expected.parts) if self.expected else None

    def to_json(self) -> dict[str, Any]:
        """As a dictionary that JSON takes."""
        return {
            "id": self.question.id,
            "type": self.question.type,
            "messages": to_chat(self.question.messages, MEDIA + MARKS),
            "options": list(self.question.options),
            "expected": to_chat([self.expected], MEDIA + MARKS) if self.expected else None,
            "metadata": dict(self.metadata),
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Sample":
        """What `to_json` gave."""
        question = Question(row["id"], from_chat(row["messages"]), tuple(row["options"] or ()), row["type"])
        return cls(question, from_chat(row["expected"])[0] if row["expected"] else None, row["metadata"])


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model gave for a question.

    Attributes:
        id: of the Question.
        message: None where there is none.
        status: one of `ANSWER_STATUSES`.
        reason: for a person, where the status is not "answered".
        likelihoods: log-likelihood of each option, in the order asked, where the model gives them.
        seconds, memory_mb: what it took; None where not known.
        prompt_tokens, tokens: read and generated; None where not known.
        cost: in the currency of the price that was given.
        attempts: how often the model was asked until this came; 0 where it was never asked.
        served_by: what the other side called itself (an endpoint's model name and fingerprint), where it said.
    """

    id: str
    message: Message | None = None
    status: str = "answered"
    reason: str | None = None
    likelihoods: tuple[float, ...] | None = None
    seconds: float | None = None
    memory_mb: float | None = None
    prompt_tokens: int | None = None
    tokens: int | None = None
    cost: float | None = None
    attempts: int = 1
    served_by: str | None = None

    @property
    def text(self) -> str:
        """The words of the answer, "" where there are none."""
        return "".join(part.text or "" for part in self.message.parts) if self.message else ""

    @classmethod
    def of_text(cls, id: str, text: str, **more: Any) -> "Answer":
        """An answer in words; "empty" where there are none and no other status is given."""
        status = more.pop("status", "answered" if text.strip() else "empty")
        return cls(id, Message("assistant", (Part.of_text(text),)), status, **more)

    def to_json(self) -> dict[str, Any]:
        """As a dictionary that JSON takes, without what has no value."""
        row = {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}
        if self.message:
            row["message"] = to_chat([self.message], MEDIA + MARKS)[0]
        if self.likelihoods is not None:  # JSON has no infinity
            row["likelihoods"] = [value if isfinite(value) else None for value in self.likelihoods]
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Answer":
        """What `to_json` gave."""
        known = {f.name for f in fields(cls)}
        given = {k: v for k, v in row.items() if k in known}
        if given.get("message"):
            given["message"] = from_chat([given["message"]])[0]
        if given.get("likelihoods") is not None:
            given["likelihoods"] = tuple(-inf if value is None else value for value in given["likelihoods"])
        return cls(**given)


# One row of the one long table. `value` is null where there is nothing to score; `status` is one word of STATUSES, and
# `reason` the sentence for a person where there is something to say.
SCORE_SCHEMA = pl.Schema(
    {
        "benchmark": pl.String,
        "model": pl.String,
        "case": pl.String,
        "metric": pl.String,
        "target": pl.String,
        "value": pl.Float64,
        "status": pl.String,
        "reason": pl.String,
        "seconds": pl.Float64,
    }
)

# ok            scored
# both_empty    neither reference nor prediction has the structure
# missed        the reference has it, the prediction does not
# hallucinated  the prediction has it, the reference does not
# failed        the prediction is missing, unreadable or on another grid: `value` is what an empty one would get
# unscorable    the reference itself is missing or unreadable: nobody can be scored
STATUSES = ("ok", "both_empty", "missed", "hallucinated", "failed", "unscorable")

_POINTS = pl.List(pl.List(pl.Float64))
_PART = pl.Struct(
    {
        "type": pl.String,
        "text": pl.String,
        "path": pl.String,
        "labels": pl.List(pl.Struct({"id": pl.Int64, "name": pl.String})),
        "points": _POINTS,
        "boxes": _POINTS,
        "segments": pl.List(pl.Struct({"start": pl.Float64, "end": pl.Float64, "label": pl.String})),
        "span": pl.Struct({"start": pl.Float64, "end": pl.Float64, "unit": pl.String}),
    }
)
_MESSAGES: pl.DataType = pl.List(pl.Struct({"role": pl.String, "content": pl.List(_PART)}))
_COLUMNS: Any = {
    "id": pl.String, "type": pl.String, "messages": _MESSAGES, "options": pl.List(pl.String), "expected": _MESSAGES,
}  # fmt: skip
SAMPLE_SCHEMA = pl.Schema(_COLUMNS)
_META = "meta_"  # metadata stands in columns of its own, so that conditions can name it


def to_chat(messages: Iterable[Message], media: Iterable[str] = MEDIA) -> list[dict[str, Any]]:
    """Messages in the form that Hugging Face processors and TRL take: keys without a value are not there.

    Args:
        messages: as they stand.
        media: what the model takes besides text.

    Raises:
        VesaliusError: a part of another kind, which a chat template would drop without a word.
    """
    taken = {"text", *media}
    chat = []
    for message in messages:
        for part in message.parts:
            if part.type not in taken:
                remedy = "convert it first, or ask a model that takes it"
                raise VesaliusError(f"the model takes no {part.type}", file=part.path, remedy=remedy, code="medium")
        chat.append({"role": message.role, "content": [_part_to_dict(part) for part in message.parts]})
    return chat


def from_chat(chat: Iterable[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Messages from the chat form, also as Parquet gives it back (with null keys), and from plain strings."""
    messages = []
    for turn in chat:
        content = turn.get("content") or ()  # a turn that only calls tools has none
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        messages.append(Message(turn["role"], tuple(_part_from_dict(part) for part in content)))
    return tuple(messages)


def _part_to_dict(part: Part) -> dict[str, Any]:
    row = {f.name: getattr(part, f.name) for f in fields(Part) if getattr(part, f.name) is not None}
    if part.labels is not None:
        row["labels"] = [{"id": int(k), "name": v} for k, v in part.labels.items()]
    if part.segments is not None:
        row["segments"] = [{"start": s.start, "end": s.end, "label": s.label} for s in part.segments]
    if part.span is not None:
        row["span"] = {"start": part.span.start, "end": part.span.end, "unit": part.span.unit}
    for name in ("points", "boxes"):
        if name in row:
            row[name] = [[float(x) for x in point] for point in row[name]]
    return row


def _part_from_dict(row: Mapping[str, Any]) -> Part:
    known = {f.name for f in fields(Part)}
    given = {k: v for k, v in row.items() if v is not None and k in known}
    if "labels" in given:
        given["labels"] = {int(label["id"]): label["name"] for label in given["labels"]}
    if "segments" in given:
        given["segments"] = tuple(Segment(**segment) for segment in given["segments"])
    if "span" in given:
        given["span"] = Span(**given["span"])
    for name in ("points", "boxes"):
        if name in given:
            given[name] = tuple(tuple(point) for point in given[name])
    return Part(**given)


def write_samples(samples: Iterable[Sample], path: str | Path) -> None:
    """Samples as one Parquet file: `id, type, messages, options, expected`, and a column `meta_*` a metadata key.

    `datasets.load_dataset("parquet", data_files=...)` and polars read it; `messages` is the chat form.
    """
    samples = list(samples)
    repeated = {s.question.id for s in samples} if len({s.question.id for s in samples}) < len(samples) else ()
    if repeated:
        raise VesaliusError("two samples have the same id", file=path, remedy="give each its own", code="record")
    rows = [{k: v for k, v in sample.to_json().items() if k != "metadata"} for sample in samples]
    frame = pl.DataFrame(rows, schema=SAMPLE_SCHEMA)
    keys = dict.fromkeys(key for sample in samples for key in sample.metadata)
    metadata = [_metadata(key, samples, path) for key in keys]
    with replacing(path) as temporary:
        frame.with_columns(metadata).write_parquet(temporary)


def _metadata(key: str, samples: Sequence[Sample], path: str | Path) -> pl.Series:
    rows = [{_META + key: sample.metadata.get(key)} for sample in samples]
    kinds = {float if type(v) is int else type(v) for row in rows for v in row.values() if v is not None}
    try:
        if len(kinds) > 1:  # polars would make texts of all
            raise TypeError(f"it mixes {' and '.join(sorted(kind.__name__ for kind in kinds))}")
        series = pl.DataFrame(rows, infer_schema_length=None).to_series()
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        remedy = "give every sample the same type, or None"
        problem = f"the metadata «{key}» cannot be one column ({str(error).splitlines()[0]})"
        raise VesaliusError(problem, file=path, remedy=remedy, code="record") from None
    if series.dtype == pl.Object:
        raise VesaliusError(f"the metadata «{key}» holds what no table holds", file=path, code="record")
    return series


def _without_nulls(value: Any) -> Any:
    """Parquet gives every dictionary of a column the same keys: those without a value were not there."""
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value


def read_samples(path: str | Path) -> list[Sample]:
    """Samples as `write_samples` wrote them.

    Raises:
        VesaliusError: the file is missing, no Parquet, or lacks a column.
    """
    try:
        frame = pl.read_parquet(path)
        rows = frame.rows(named=True)
        return [_sample_from_row(row) for row in rows]
    except (OSError, pl.exceptions.PolarsError, KeyError) as error:
        remedy = "write samples with vesalius.records.write_samples"
        raise VesaliusError(
            f"cannot be read as samples ({error})", file=path, remedy=remedy, code="unreadable"
        ) from None


def _sample_from_row(row: Mapping[str, Any]) -> Sample:
    kept = {k.removeprefix(_META): _without_nulls(v) for k, v in row.items() if k.startswith(_META) and v is not None}
    return Sample.from_json({**row, "metadata": kept})
