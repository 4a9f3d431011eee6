"""A run of question benchmarks on disk: `RUN/run.sqlite` and `RUN/media/`, and nothing else that matters.

Knows the tables beside those of `run/`: `samples` (questions with their truth, so that a report needs no other file),
`plan` (which kept answer belongs to which question, model, rotation and repeat), and the exact prompts. Everything
streams: what is in memory does not grow with the number of questions. Leaves asking to `runner`, and what answers mean
to `reading`.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from vesalius.errors import VesaliusError
from vesalius.formats.questions import QuestionFile
from vesalius.models import Model
from vesalius.models.asking import Ask
from vesalius.records import MARKS, MEDIA, Answer, Message, Sample, from_chat, to_chat
from vesalius.run import Run, file_hash, fingerprint
from vesalius.taxonomy import with_aliases

_TABLES = """
CREATE TABLE IF NOT EXISTS samples (
  benchmark TEXT NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL, sample TEXT NOT NULL,
  PRIMARY KEY (benchmark, id)
);
CREATE TABLE IF NOT EXISTS plan (
  benchmark TEXT NOT NULL, model TEXT NOT NULL, id TEXT NOT NULL, rotation INTEGER NOT NULL, repeat INTEGER NOT NULL,
  places TEXT NOT NULL, unit TEXT NOT NULL, PRIMARY KEY (benchmark, model, id, rotation, repeat)
);
CREATE TABLE IF NOT EXISTS prompts (hash TEXT PRIMARY KEY, chat TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS prompted (unit TEXT PRIMARY KEY, hash TEXT NOT NULL);
"""
_CHUNK = 500


@dataclass(frozen=True)
class Result:
    """What stands in a run about one asking.

    Attributes:
        sample: the question with its truth.
        rotation, repeat: which asking.
        places: which option stood where: position → index into the question's options.
        answer: None where it was planned, but has not come.
    """

    sample: Sample
    rotation: int
    repeat: int
    places: tuple[int, ...]
    answer: Answer | None


class Store:
    """An open run; `read_only` while another process may be asking.

    Raises:
        VesaliusError: the folder holds something else, or another process is writing to it.
    """

    def __init__(self, folder: str | Path, *, create: bool = False, read_only: bool = False):
        self.folder = Path(folder)
        path = self.folder / "run.sqlite"
        if not create and not path.is_file():
            remedy = "name the --out folder of `vesalius bench run`"
            raise VesaliusError("is no run", file=folder, remedy=remedy, code="unreadable")
        if create and self.folder.is_dir() and any(self.folder.iterdir()) and not path.exists():
            remedy = "choose another --out, or an empty folder"
            raise VesaliusError("holds something else than a run", file=folder, remedy=remedy, code="output")
        self.run = Run(path, read_only=read_only)
        self.connection = self.run.connection
        if not read_only:
            self.connection.executescript(_TABLES)

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.run.close()

    @property
    def media(self) -> Path:
        """Where images that came inside a file lie, by their hash."""
        return self.folder / "media"

    def fact(self, name: str) -> dict[str, Any]:
        """A dictionary kept in the run, empty where there is none yet."""
        return self.run.fact(name) or {}

    def remember(self, name: str, key: str, value: Any) -> None:
        """Sets one key of such a dictionary."""
        self.run.set_fact(name, self.fact(name) | {key: value})

    @property
    def benchmarks(self) -> dict[str, Any]:
        """Name → path, hash, layout, tree, cluster, n."""
        return self.fact("benchmarks")

    @property
    def models(self) -> dict[str, Any]:
        """ "benchmark/model" → URL, identity, prompt and settings of what is planned."""
        return self.fact("models")

    def ingest(self, name: str, file: QuestionFile) -> int:
        """Copies a file's questions into the run, unless they are there already; returns how many there are.

        Raises:
            VesaliusError: a row that cannot be read, no question at all.
        """
        digest = file_hash(file.path)
        known = self.benchmarks.get(name)
        if known and known["sha256"] == digest and known["path"] == str(file.path):
            return known["n"]
        n = 0
        with self.connection:
            self.connection.execute("DELETE FROM samples WHERE benchmark = ?", (name,))
            if known and known["sha256"] != digest:  # answers to other questions must not meet these truths
                self._forget(name)
            for n, sample in enumerate(file.samples(), 1):
                row = (name, n, sample.question.id, json.dumps(sample.to_json(), ensure_ascii=False))
                self.connection.execute("INSERT INTO samples VALUES (?, ?, ?, ?)", row)
            if not n:
                raise VesaliusError("holds no question", file=file.path, remedy="check the file", code="empty")
        entry = {
            "path": str(file.path), "sha256": digest, "layout": file.layout, "tree": list(file.tree),
            "cluster": file.cluster, "n": n,
        }  # fmt: skip
        self.remember("benchmarks", name, entry)
        return n

    def metadata(self, name: str, ids: Iterable[str] | None = None) -> pl.DataFrame:
        """`id, type` and a text column for each metadata key, in the file's order; our names beside the published."""
        wanted = None if ids is None else set(ids)
        columns: dict[str, list[str | None]] = {"id": [], "type": []}
        query = "SELECT id, sample FROM samples WHERE benchmark = ? ORDER BY number"
        for number, (id, text) in enumerate(
            row for row in self.connection.execute(query, (name,)) if wanted is None or row[0] in wanted
        ):
            sample = json.loads(text)
            row = {**sample["metadata"], "id": id, "type": sample["type"]}
            for key in row.keys() - columns.keys():
                columns[key] = [None] * number
            for key, cells in columns.items():
                cells.append(None if row.get(key) is None else str(row[key]))
        frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
        return with_aliases(frame)

    def samples(self, name: str, ids: Sequence[str]) -> Iterator[Sample]:
        """Samples in the order of `ids`, a few at a time."""
        for start in range(0, len(ids), _CHUNK):
            chunk = ids[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT id, sample FROM samples WHERE benchmark = ? AND id IN ({marks})"
            found = dict(self.connection.execute(query, (name, *chunk)).fetchall())
            yield from (Sample.from_json(json.loads(found[id])) for id in chunk)

    def asked_otherwise(self, benchmark: str, model: Model, settings: dict[str, Any]) -> bool:
        """Whether answers under other settings are planned for a model of that name."""
        before = self.models.get(f"{benchmark}/{model.name}")
        return before is not None and before["depends"] != fingerprint(model.identity(), settings)

    def begin(self, benchmark: str, model: Model, settings: dict[str, Any], record: dict[str, Any]) -> None:
        """Starts or resumes asking a model; a plan under other settings is dropped.

        Answers under the former settings stay in the run, and are found again when the settings come back; but a table
        never mixes them.

        Args:
            benchmark, model: who is asked what.
            settings: what answers depend on besides the model.
            record: what is to be remembered of the asking.
        """
        if self.asked_otherwise(benchmark, model, settings):
            with self.connection:
                self._forget(benchmark, model.name)
        identity = model.identity()
        said = {"identity": identity, "depends": fingerprint(identity, settings), **record}
        self.remember("models", f"{benchmark}/{model.name}", said)

    def _forget(self, benchmark: str, model: str | None = None) -> None:
        """Drops what is planned, and judges' verdicts on it; answers stay, and are found again."""
        if model is None:
            self.connection.execute("DELETE FROM plan WHERE benchmark = ?", (benchmark,))
            judged = "instr(benchmark, ?) > 0", f"/{benchmark}/"
        else:
            self.connection.execute("DELETE FROM plan WHERE benchmark = ? AND model = ?", (benchmark, model))
            judged = "substr(benchmark, -length(?1)) = ?1", f"/{benchmark}/{model}"
        self.connection.execute(f"DELETE FROM plan WHERE benchmark LIKE 'judge/%' AND {judged[0]}", (judged[1],))

    def plan(self, benchmark: str, model: str) -> Callable[[Ask, str], None]:
        """For `asking.ask`: notes under which key each answer lies; `Ask.note` is (id, rotation, places)."""

        def planned(one: Ask, key: str) -> None:
            id, rotation, places = one.note
            row = (benchmark, model, id, rotation, one.repeat, json.dumps(list(places)), key)
            self.connection.execute("INSERT OR REPLACE INTO plan VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            chat = json.dumps(to_chat(one.question.messages, MEDIA + MARKS), ensure_ascii=False)
            digest = hashlib.sha256(chat.encode()).hexdigest()
            self.connection.execute("INSERT OR IGNORE INTO prompts VALUES (?, ?)", (digest, chat))
            self.connection.execute("INSERT OR REPLACE INTO prompted VALUES (?, ?)", (key, digest))

        return planned

    def prompts(self, benchmark: str, model: str, ids: Sequence[str]) -> dict[str, tuple[Message, ...]]:
        """id → the messages exactly as they were asked, of the first rotation and repeat."""
        marks = ",".join("?" * len(ids))
        query = f"""
            SELECT plan.id, prompts.chat FROM plan
            JOIN prompted ON prompted.unit = plan.unit JOIN prompts ON prompts.hash = prompted.hash
            WHERE benchmark = ? AND model = ? AND rotation = 0 AND repeat = 0 AND id IN ({marks})
        """
        found = self.connection.execute(query, (benchmark, model, *ids))
        return {id: from_chat(json.loads(chat)) for id, chat in found}

    def adopt(
        self, benchmark: str, entry: dict[str, Any], answers: Iterable[tuple[str, Sample, str]], models: dict[str, Any]
    ):
        """Takes up answers that stand in this run under keys of their own, as a challenge's do.

        Args:
            benchmark: its name here.
            entry: what `benchmarks` says of it.
            answers: (model, sample, key of the unit).
            models: model → what `models` says of it.
        """
        with self.connection:
            for table in ("samples", "plan"):
                self.connection.execute(f"DELETE FROM {table} WHERE benchmark = ?", (benchmark,))
            numbers: dict[str, int] = {}
            for model, sample, key in answers:
                id = sample.question.id
                if id not in numbers:
                    row = (benchmark, numbers.setdefault(id, len(numbers)), id, json.dumps(sample.to_json()))
                    self.connection.execute("INSERT INTO samples VALUES (?, ?, ?, ?)", row)
                places = json.dumps(list(range(len(sample.question.options))))
                self.connection.execute(
                    "INSERT INTO plan VALUES (?, ?, ?, 0, 0, ?, ?)", (benchmark, model, id, places, key)
                )
        self.remember("benchmarks", benchmark, entry)
        for model, said in models.items():
            self.remember("models", f"{benchmark}/{model}", said)

    def results(self, benchmark: str, model: str) -> Iterator[Result]:
        """Everything planned for a model, in the file's order, with the answers that have come."""
        query = """
            SELECT samples.sample, plan.rotation, plan.repeat, plan.places, units.payload
            FROM plan JOIN samples ON samples.benchmark = plan.benchmark AND samples.id = plan.id
            LEFT JOIN units ON units.key = plan.unit
            WHERE plan.benchmark = ? AND plan.model = ? ORDER BY samples.number, plan.rotation, plan.repeat
        """
        for text, rotation, repeat, places, payload in self.connection.execute(query, (benchmark, model)):
            answer = Answer.from_json(json.loads(payload)) if payload else None
            yield Result(Sample.from_json(json.loads(text)), rotation, repeat, tuple(json.loads(places)), answer)

    def planned_answers(self, benchmark: str, model: str) -> Iterator[tuple[str, int, int, Answer]]:
        """(id, rotation, repeat, answer) of everything planned under a name that has come."""
        query = """
            SELECT plan.id, plan.rotation, plan.repeat, units.payload FROM plan JOIN units ON units.key = plan.unit
            WHERE plan.benchmark = ? AND plan.model = ?
        """
        for id, rotation, repeat, payload in self.connection.execute(query, (benchmark, model)):
            yield id, rotation, repeat, Answer.from_json(json.loads(payload))


def holds_questions(folder: str | Path) -> bool:
    """Whether a folder is a run of questions."""
    path = Path(folder) / "run.sqlite"
    if not path.is_file():
        return False
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        found = "SELECT count(*) FROM sqlite_master WHERE name = 'samples'"
        return bool(connection.execute(found).fetchone()[0])
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()
