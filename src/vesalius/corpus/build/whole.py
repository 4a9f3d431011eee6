"""What needs all documents at once: which say the same, and what paragraphs a site repeats.

Runs in one worker, on disk, within the recipe's memory; see `dedup/`. On a cluster, Daft brings together what may say
the same. Leaves what is done about it to `finish.py`.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from vesalius.corpus.build.texts import chunks
from vesalius.corpus.dedup import (
    ClusterGroups,
    Counts,
    Groups,
    Scheme,
    count_paragraphs,
    duplicates,
    estimate,
    frequent,
)
from vesalius.corpus.document import Document
from vesalius.corpus.frames import on_cluster
from vesalius.run import replacing


def duplicates_of(folders: Sequence[str], out: str, similarity: float, memory: int) -> dict[str, Any]:
    """Finds duplicates among the documents of all sources, and writes who goes.

    Args:
        folders: of the sources' chunks, in order.
        out: folder; gets `clusters.parquet` (see `dedup.duplicates`) and, for each source, `NAME.gone.json`: numbers
            of its documents that go, and the id of the one that stays.
        similarity: see `Scheme`.
        memory: bytes.

    Returns:
        `documents`, `clusters`, `removed`, `equal`.
    """
    place, scheme = Path(out), Scheme(threshold=similarity)
    place.mkdir(parents=True, exist_ok=True)
    sizes = [[chunk.documents for chunk in chunks(Path(folder))] for folder in folders]
    total = sum(map(sum, sizes))
    estimate(total, scheme=scheme).check(place, memory)
    signed = (chunk.signed() for folder in folders for chunk in chunks(Path(folder)) if chunk.documents)
    found = duplicates(signed, place, scheme, memory=memory, groups=ClusterGroups if on_cluster() else Groups)
    table = pl.scan_parquet(found.table)
    stays = table.filter("kept").select("cluster", "size", keeper="id").unique("cluster")
    gone = table.filter(~pl.col("kept")).join(stays, on=["cluster", "size"]).select("number", "keeper").sort("number")
    numbers, keepers = gone.collect().get_columns()
    ends = np.cumsum([0, *map(sum, sizes)])
    cuts = np.searchsorted(numbers.to_numpy(), ends)
    for folder, first, a, b in zip(folders, ends, cuts, cuts[1:], strict=False):
        rows = {
            int(n - first): keeper for n, keeper in zip(numbers[a:b].to_list(), keepers[a:b].to_list(), strict=True)
        }
        with replacing(place / f"{Path(folder).name}.gone.json") as part:
            part.write_text(json.dumps(rows), "utf-8")
    return {"documents": found.documents, "clusters": found.clusters, "removed": found.removed, "equal": found.equal}


def gone(whole: str, source: str) -> dict[int, str]:
    """Of a source: numbers of documents that others say too, and the id of the one that stays."""
    text = (Path(whole) / f"{source}.gone.json").read_text("utf-8")
    return {int(number): keeper for number, keeper in json.loads(text).items()}


def left(folder: Path, dropped: dict[int, str]) -> Iterator[Document]:
    """A source's documents without its duplicates."""
    number = 0
    for chunk in chunks(folder):
        for document in chunk.read():
            if number not in dropped:
                yield document
            number += 1


def paragraphs_of(folder: str, whole: str) -> str:
    """Counts a source's paragraphs by site, of documents that stay; writes `NAME.paragraphs.npz` and gives its path."""
    name = Path(folder).name
    counts = count_paragraphs(left(Path(folder), gone(whole, name)))
    return write_counts(counts, Path(whole) / f"{name}.paragraphs.npz")


def repeated_of(files: Sequence[str], whole: str, memory: int) -> str:
    """The counts of all sources together, without what is rare; gives the path of `paragraphs.npz`."""
    counts = frequent(map(read_counts, files), whole, least=3, memory=memory)
    return write_counts(counts, Path(whole) / "paragraphs.npz")


def write_counts(counts: Counts, file: Path) -> str:
    """For `read_counts`; gives the path."""
    with replacing(file) as part, part.open("wb") as stream:
        np.savez(stream, keys=counts.keys, counts=counts.counts)
    return str(file)


def read_counts(file: str) -> Counts:
    """What the above wrote."""
    with np.load(file) as kept:
        return Counts(kept["keys"], kept["counts"])
