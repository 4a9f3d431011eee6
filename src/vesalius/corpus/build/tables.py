"""Documents as Parquet in OmniCorpus' public streaming layout, and what was dropped.

    texts, images         lists of equal length, one of the two null at each place
    metadata              of each place: an image's facts, a heading's level, else null
    general_metadata      of the document: url, title, language, licence, date, ...

Facts that have no column are kept as JSON in `more`. Knows files; leaves which documents they hold to the stages.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vesalius.corpus.document import Document
from vesalius.run import replacing

_GROUP, _LETTERS = 500, 8 << 20  # rows, and letters of them, that are in memory at once at most (and one row more)
_TEXT = pa.string()
METADATA = pa.struct(
    {
        "level": pa.int32(),
        "alt": _TEXT,
        "width": pa.int32(),
        "height": pa.int32(),
        "status": _TEXT,
        "file": _TEXT,
        "format": _TEXT,
        "bytes": pa.int64(),
        "sha256": _TEXT,
        "p_hash": _TEXT,
        "date": _TEXT,
        "unsafe": pa.float32(),
        "burnt_in": pa.int32(),
        "aesthetic": pa.float32(),
        "clip": pa.float32(),
        "clip_text": pa.int32(),
        "more": _TEXT,
    }
)
GENERAL = pa.struct(
    {
        "url": _TEXT,
        "path": _TEXT,
        "title": _TEXT,
        "language": _TEXT,
        "date": _TEXT,
        "licence": _TEXT,
        "biomedical": pa.float32(),
        "words": pa.int64(),
        "tokens": pa.int64(),
        "more": _TEXT,
    }
)
DOCUMENTS = pa.schema(
    {
        "id": _TEXT,
        "texts": pa.list_(_TEXT),
        "images": pa.list_(_TEXT),
        "metadata": pa.list_(METADATA),
        "general_metadata": GENERAL,
    }
)
DROPPED = pa.schema({"id": _TEXT, "url": _TEXT, "stage": _TEXT, "reason": _TEXT, "words": pa.int64(), "text": _TEXT})


def write_documents(documents: Iterable[Document], path: Path) -> int:
    """Appears whole or not at all; returns how many there are, of which a few hundred are in memory at once."""
    return _write((_row(document) for document in documents), DOCUMENTS, path)


def read_documents(path: Path) -> Iterator[Document]:
    """In order, a group of rows in memory at once."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield from from_table(file.read_row_group(group))


def from_table(table: pa.Table | pa.RecordBatch) -> Iterator[Document]:
    """The documents of some rows."""
    return (Document.from_row(_unpacked(row)) for row in table.to_pylist())


def write_dropped(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Appears whole or not at all."""
    _write(rows, DROPPED, path)


def _write(rows: Iterable[Mapping[str, Any]], schema: pa.Schema, path: Path) -> int:
    written, rest = 0, iter(rows)
    with replacing(path) as part, pq.ParquetWriter(part, schema, compression="zstd") as writer:
        while some := list(_group(rest)):
            writer.write_table(pa.Table.from_pylist(some, schema))
            written += len(some)
    return written


def _group(rows: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The next rows that are written, and later read, together."""
    size = 0
    for row in islice(rows, _GROUP):
        yield row
        size += sum(len(text or "") for text in row.get("texts", (row.get("text"),)))
        if size >= _LETTERS:
            return


def _row(document: Document) -> dict[str, Any]:
    row = document.to_row()
    row["metadata"] = [known and _packed(known, METADATA) for known in row["metadata"]]
    row["general_metadata"] = _packed({**row["general_metadata"], "words": len(document.text.split())}, GENERAL)
    return row


def _packed(facts: Mapping[str, Any], kind: pa.StructType) -> dict[str, Any]:
    names = {kind.field(i).name: kind.field(i).type for i in range(kind.num_fields)}
    own = {name: str(value) if names[name] == _TEXT else value for name, value in facts.items() if name in names}
    more = {name: value for name, value in facts.items() if name not in names}
    own = {name: value for name, value in own.items() if facts[name] is not None}
    return own | ({"more": json.dumps(more, ensure_ascii=False, sort_keys=True, default=str)} if more else {})


def _unpacked(row: dict[str, Any]) -> dict[str, Any]:
    def facts(known: dict[str, Any] | None) -> dict[str, Any] | None:
        if known is None:
            return None
        own = {name: value for name, value in known.items() if value is not None and name != "more"}
        return own | json.loads(known["more"] or "{}")

    return {**row, "metadata": [facts(known) for known in row["metadata"]],
            "general_metadata": facts(row["general_metadata"])}  # fmt: skip
