"""One source to clean documents on disk, in a worker that may be killed at any moment.

Documents are written in chunks; what a chunk has is counted in its JSON, which is written last and makes it done. A
worker that takes over goes on at the next record. Knows chunks and their files; leaves stages to `stages.py`.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.corpus.build.guard import Guard
from vesalius.corpus.build.recipe import Recipe
from vesalius.corpus.build.sources import Source, items
from vesalius.corpus.build.stages import Stages
from vesalius.corpus.build.tables import read_documents, write_documents, write_dropped
from vesalius.corpus.build.tally import Tally
from vesalius.corpus.dedup import Signed, sign
from vesalius.corpus.document import Document
from vesalius.errors import VesaliusError
from vesalius.run import replacing

_RECORDS, _BYTES = 1000, 32 << 20  # of a chunk at most, so that memory is bounded and little is done twice


@dataclass(frozen=True)
class Chunk:
    """Some records of a source, done.

    Attributes:
        stem: of its files: `.parquet`, `.dropped.parquet`, `.npz` (signatures), `.json`.
        end: number of the record after its last.
        last: whether nothing comes after it.
        documents: that were kept.
        tally: of its records.
    """

    stem: Path
    end: int
    last: bool
    documents: int
    tally: Tally

    def read(self) -> Iterator[Document]:
        """Its documents."""
        return read_documents(self.stem.with_suffix(".parquet"))

    def signed(self) -> Signed:
        """For the search for duplicates."""
        with np.load(self.stem.with_suffix(".npz")) as kept:
            arrays = {name: kept[name] for name in ("words", "digests", "bands", "ends", "grams")}
            return Signed(kept["ids"].tolist(), kept["dates"].tolist(), **arrays)


def chunks(folder: Path) -> list[Chunk]:
    """What is done of a source, in order."""
    found = []
    for file in sorted(folder.glob("chunk-*.json")):
        given = json.loads(file.read_text("utf-8"))
        found.append(
            Chunk(file.with_suffix(""), given["end"], given["last"], given["documents"], Tally(given["tally"]))
        )
    return found


def records(folder: Path) -> int:
    """How many of a source are done; chunks are named by their first."""
    last = max(folder.glob("chunk-*.json"), default=None)
    return json.loads(last.read_text("utf-8"))["end"] if last else 0


def texts_of(source: Source, recipe: Recipe, folder: str, session: str) -> dict[str, Any]:
    """Reads, extracts, filters, and takes out identifiers; see the module.

    Args:
        source: what is read.
        recipe: what is kept.
        folder: of this source, for chunks.
        session: see `guard.Guard`.

    Returns:
        `records`, `documents`, `failed` (records that could not be read).
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    done = chunks(place)
    if not (done and done[-1].last):
        _read_on(source, recipe, place, session, done[-1].end if done else 0)
        done = chunks(place)
    failed = sum(sum(chunk.tally["read"].reasons.values()) for chunk in done)
    return {"records": done[-1].end, "documents": sum(chunk.documents for chunk in done), "failed": failed}


def _read_on(source: Source, recipe: Recipe, place: Path, session: str, start: int) -> None:
    """From a record on, to the source's end."""
    guard = Guard(place, session, recipe.seconds, recipe.memory)
    writer = _Writer(place, recipe, start)
    number = -1
    try:
        for number, item in enumerate(items(source, recipe, writer.skipped)):
            if number < start:
                writer.skipped.clear()  # counted with the chunk that it belongs to
                continue
            if guard.condemned(number):
                reason = "killed its worker twice"
                writer.drop(writer.stages.lost(f"{source.key}#{number}", "read", reason, "crashed"))
            else:
                with guard.watch(number):
                    writer.judge(item, f"{source.key}#{number}")
            if writer.full:
                writer.flush(number + 1)
    except VesaliusError as error:  # of the archive: the rest of it cannot be read
        number += 1
        writer.drop(writer.stages.lost(source.paths[0], "read", error.problem, error.code))
    writer.flush(number + 1, last=True)


class _Writer:
    """What is not written yet of a source."""

    def __init__(self, folder: Path, recipe: Recipe, start: int):
        self.stages = Stages(recipe)
        self._folder, self._recipe, self._start = folder, recipe, start
        self._documents: list[Document] = []
        self._dropped: list[dict[str, Any]] = []
        self._bytes = 0
        self.skipped: Counter[str] = Counter()

    @property
    def full(self) -> bool:
        return len(self._documents) + len(self._dropped) >= _RECORDS or self._bytes >= _BYTES

    def drop(self, row: dict[str, Any]) -> None:
        self._dropped.append(row)

    def judge(self, item: Any, name: str) -> None:
        """What a record holds, document by document."""
        try:
            for record in item():
                document, gone = self.stages(record)
                if document is not None:
                    self._documents.append(document)
                    self._bytes += sum(map(len, document.texts))
                if gone is not None:
                    self.drop(gone)
        except MemoryError:
            reason = f"took more than {self._recipe.memory / 2**30:.1f} GiB of memory"
            self.drop(self.stages.lost(name, "read", reason, "memory"))

    def flush(self, end: int, *, last: bool = False) -> None:
        """Writes a chunk; the JSON last."""
        stem = self._folder / f"chunk-{self._start:09d}"
        self.stages.tally["read"].edits.update(self.skipped)
        self.skipped.clear()
        write_documents(self._documents, stem.with_suffix(".parquet"))
        write_dropped(self._dropped, stem.with_suffix(".dropped.parquet"))
        signed = next(sign(self._documents, batch=len(self._documents) or 1), None)
        if signed is not None:
            with replacing(stem.with_suffix(".npz")) as part, part.open("wb") as stream:
                np.savez(stream, **{**signed._asdict(), "ids": np.array(signed.ids), "dates": np.array(signed.dates)})
        with replacing(stem.with_suffix(".json")) as part:
            facts = {"end": end, "last": last, "documents": len(self._documents), "tally": self.stages.tally.to_json()}
            part.write_text(json.dumps(facts), "utf-8")
        self._documents, self._dropped, self._bytes, self._start = [], [], 0, end
        self.stages.tally = Tally()


def clear(folder: Path) -> None:
    """Takes away what was made under another recipe or of another source."""
    for file in folder.glob("*"):
        with suppress(OSError):
            file.unlink()
