"""In how many documents something occurs, of which only a hash is known: paragraphs, images.

Knows 64-bit keys; counts of shards add up to those of all, in any order. What the keys are hashes of is for others.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vesalius.corpus.dedup.disk import Groups, workspace

_RECORD = np.dtype([("key", "<u8"), ("count", "<i8")])


class Counts(NamedTuple):
    """Documents by key.

    Attributes:
        keys: (keys,) uint64, distinct, sorted.
        counts: (keys,) int64, documents with each.
    """

    keys: np.ndarray
    counts: np.ndarray

    def of(self, keys: Iterable[int]) -> np.ndarray:
        """(keys,) int64: the counts of some keys, 0 of those that are not there."""
        asked = np.fromiter(keys, np.uint64)
        if not self.keys.size:
            return np.zeros(asked.size, np.int64)
        places = np.minimum(np.searchsorted(self.keys, asked), self.keys.size - 1)
        return np.where(self.keys[places] == asked, self.counts[places], 0)


def count(documents: Iterable[Iterable[int]]) -> Counts:
    """Counts of a shard's documents, each given as its keys; one that occurs twice in a document counts once.

    Takes 16 bytes of memory for each document's each key, so give it a shard, and put shards together with `frequent`.
    """
    keys = np.fromiter((key for document in documents for key in set(document)), np.uint64)
    distinct, counts = np.unique(keys, return_counts=True)
    return Counts(distinct, counts.astype(np.int64))


def frequent(shards: Iterable[Counts], folder: str | Path, *, least: int = 1, memory: int = 2**30) -> Counts:
    """The counts of all shards together, of the keys that at least `least` documents have.

    Args:
        shards: from `count`, in any order; what `frequent` gave with `least` 1 is one too.
        folder: for temporary files: 16 bytes for each shard's each key; one call in it at a time.
        least: documents; keys below it are dropped as soon as they are known, so that the rest fits into memory.
        memory: bytes that adding up may take, beside the result and the shard at hand.

    Raises:
        VesaliusError: code `space`, a full disk.
    """
    kept = []
    with workspace(folder, ".counts") as temporary:
        groups = Groups(temporary / "counts", _RECORD, "key")
        for keys, counts in shards:
            records = np.empty(keys.size, _RECORD)
            records["key"], records["count"] = keys, counts
            groups.add(records)
        for records in groups.read(memory // 8):  # keys rise from group to group, so the whole is sorted too
            records = records[np.argsort(records["key"])]
            starts = np.flatnonzero(np.append(True, records["key"][1:] != records["key"][:-1])[: records.size])
            summed = np.add.reduceat(records["count"], starts) if starts.size else records["count"]
            enough = summed >= least
            kept.append((records["key"][starts][enough], summed[enough]))
    return Counts(
        np.concatenate([np.empty(0, np.uint64), *(keys for keys, _ in kept)]),
        np.concatenate([np.empty(0, np.int64), *(counts for _, counts in kept)]),
    )
