"""The table of clusters: who is in which, and who is kept.

Knows what stands in the table and the rule of what is kept; leaves which documents belong together to `clusters.py`.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from vesalius.corpus.dedup.signatures import Signed

_TEXT = pa.large_string()
_FACTS = pa.schema({"id": _TEXT, "date": _TEXT, "words": pa.int64(), "low": pa.uint64(), "high": pa.uint64()})
_MEMBERS = _FACTS.append(pa.field("number", pa.int64())).append(pa.field("root", pa.int64()))
_PARTS = 256  # open files at most


@dataclass(frozen=True)
class Summary:
    """What was found.

    Attributes:
        documents: that were read.
        clusters: of two or more.
        removed: documents that are not kept: each says what one says that is.
        equal: of those removed, the ones whose text is that of the kept one, but for case, punctuation and spacing.
        table: the clusters, Parquet; see `duplicates`.
    """

    documents: int
    clusters: int
    removed: int
    equal: int
    table: Path


class Facts:
    """Ids, dates and lengths of all documents, on disk in their order.

    Args:
        path: of the file, written anew.
    """

    def __init__(self, path: Path):
        self._writer = pa.ipc.new_stream(str(path), _FACTS)

    def add(self, batch: Signed) -> None:
        """The next documents."""
        columns: list[Any] = [batch.ids, batch.dates, batch.words, batch.digests[:, 0], batch.digests[:, 1]]
        self._writer.write_table(pa.table(columns, schema=_FACTS))

    def close(self) -> None:
        """No more documents come."""
        self._writer.close()


def write_clusters(facts: Path, roots: np.ndarray, shared: np.ndarray, table: Path, memory: int) -> Summary:
    """The table of all documents that are not alone.

    Args:
        facts: what `Facts` wrote.
        roots: (documents,) int64, of the cluster each is in, the smallest number in it.
        shared: (documents,) bool, those not alone.
        table: the file to be, Parquet; appears when it is whole.
        memory: bytes that sorting may take.
    """
    members = int(np.count_nonzero(shared))
    size = facts.stat().st_size * members // max(1, shared.size)
    parts = min(_PARTS, 1 + 16 * size // memory)
    files = [facts.with_name(f"members-{part}") for part in range(parts)]
    _spread(facts, roots, shared, files)
    clusters = removed = equal = 0
    unfinished = table.with_name(f".{table.name}.tmp")
    schema = judge(pl.DataFrame(schema=pl.from_arrow(_MEMBERS.empty_table()).schema)).to_arrow().schema  # type: ignore[union-attr]
    with pq.ParquetWriter(unfinished, schema) as writer:
        for file in files:
            with pa.OSFile(str(file)) as source:
                judged = judge(pl.DataFrame(pl.from_arrow(pa.ipc.open_stream(source).read_all())))
            file.unlink()
            writer.write_table(judged.to_arrow().cast(schema))
            clusters += int(judged["kept"].sum())
            removed += int((~judged["kept"]).sum())
            equal += int((judged["equal"] & ~judged["kept"]).sum())
    unfinished.replace(table)
    return Summary(shared.size, clusters, removed, equal, table)


def judge(members: pl.DataFrame) -> pl.DataFrame:
    """Who is kept: of each cluster the one of the latest date, then the longest, then of the smallest id.

    Args:
        members: `number`, `id`, `date` (ISO 8601 as far as known, else ""), `words`, `low` and `high` (of the text's
            hash) and `root`, the same for a cluster's documents.

    Returns:
        `number`, `id`, `cluster`, `size`, `kept`, `equal`, sorted by cluster and id.
    """
    order = ["root", "date", "words", "id", "low", "high", "number"]
    best = members.sort(order, descending=[False, True, True, False, False, False, False])
    first = [(pl.col(name) == pl.col(name).first()).over("root") for name in ("low", "high")]
    return (
        best.with_columns(
            cluster=pl.col("id").min().over("root"),
            size=pl.len().over("root").cast(pl.Int64),
            kept=pl.col("root").is_first_distinct(),
            equal=first[0] & first[1],
        )
        .sort("cluster", "root", "id", "number")
        .select("number", "id", "cluster", "size", "kept", "equal")
    )


def _spread(facts: Path, roots: np.ndarray, shared: np.ndarray, files: list[Path]) -> None:
    """Documents that are not alone, into files by their cluster."""
    with ExitStack() as stack:
        source = stack.enter_context(pa.OSFile(str(facts)))
        writers = [stack.enter_context(pa.ipc.new_stream(str(file), _MEMBERS)) for file in files]
        at = 0
        for batch in pa.ipc.open_stream(source):
            here = slice(at, at + len(batch))
            at += len(batch)
            numbers = np.flatnonzero(shared[here])
            own = pa.Table.from_batches([batch]).take(numbers)
            root = roots[here][numbers]
            own = own.append_column("number", pa.array(numbers + here.start)).append_column("root", pa.array(root))
            for part in np.unique(root % len(files)):
                writers[part].write_table(own.filter(pa.array(root % len(files) == part)))
