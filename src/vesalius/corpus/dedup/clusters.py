"""Documents that say the same: equal texts, pairs that share a band and pass the check, the clusters these make.

Knows the arrays of `signatures.py` and a folder; documents may be far more than memory holds. Leaves texts to
`signatures.py`, which member is kept to `report.py`, and to its caller where documents come from and go to.

How: digests and band keys go to disk in groups by hash (`disk.py`), each small enough to be sorted by itself, or, of a
cluster, are grouped by all of its machines (`cluster.py`). Pairs in
a band are checked by the true Jaccard similarity of their grams, read from disk, and joined (`union.py`). What is
compared follows from the texts alone, never from their order, and so do the clusters.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.corpus.dedup.cluster import ClusterGroups
from vesalius.corpus.dedup.disk import Groups, column, workspace
from vesalius.corpus.dedup.report import Facts, Summary, write_clusters
from vesalius.corpus.dedup.signatures import Scheme, Signed, mix, similarity
from vesalius.corpus.dedup.union import find, flatten, link, link_all
from vesalius.errors import VesaliusError
from vesalius.media.kernels import njit

LEAST_MEMORY = 2**25  # bytes; tables take most of it
LEADERS = 32  # of a band that more documents share, those with which each is compared
_EQUAL = np.dtype([("low", "<u8"), ("high", "<u8"), ("number", "<i8")])
_BAND = np.dtype([("key", "<u8"), ("number", "<i8")])
_GRAM = 4  # bytes
_ARRAYS = 24  # bytes a document of parents, ends and order
Grouping = type[Groups] | type[ClusterGroups]


@dataclass(frozen=True)
class Estimate:
    """What `duplicates` will take.

    Attributes:
        disk: bytes in its folder at most, and a tenth.
        memory: bytes to give it so that its arrays are in memory; less is slower.
        least: bytes below which it cannot work, however slow.
    """

    disk: int
    memory: int
    least: int

    def check(self, folder: str | Path, memory: int) -> None:
        """Refuses work that cannot end well.

        Raises:
            VesaliusError: code `space`, the folder's disk has less free; code `memory`, too little is given.
        """
        free = shutil.disk_usage(folder).free
        if free < self.disk:
            problem = f"{free / 1e9:.1f} GB are free, finding duplicates takes {self.disk / 1e9:.1f} GB"
            raise VesaliusError(problem, file=folder, remedy="free some, or give another folder", code="space")
        if memory < self.least:
            problem = f"{memory / 1e9:.2f} GB of memory are given, finding duplicates takes {self.least / 1e9:.2f} GB"
            raise VesaliusError(problem, remedy="give more", code="memory")


def estimate(documents: int, words: float = 700, scheme: Scheme | None = None, *, name: int = 100) -> Estimate:
    """The disk and memory that `duplicates` will take.

    Args:
        documents: how many there are.
        words: in one of them, mean.
        scheme: see `Scheme`.
        name: bytes of an id, mean.
    """
    scheme = scheme or Scheme()
    grams = _GRAM * min(words, scheme.most) if scheme.bands else 0
    facts = name + 64
    each = _BAND.itemsize * scheme.bands + grams + _ARRAYS + _EQUAL.itemsize + 3 * facts
    arrays = documents * _ARRAYS
    return Estimate(int(1.1 * each * documents), LEAST_MEMORY + 2 * arrays, LEAST_MEMORY + 2 * documents)


def duplicates(
    batches: Iterable[Signed],
    folder: str | Path,
    scheme: Scheme | None = None,
    *,
    memory: int = 2**30,
    groups: Grouping = Groups,
) -> Summary:
    """Finds documents with equal or similar texts, says which belong together and which one of them is kept.

    Documents are numbered as they come. `folder/clusters.parquet` gets a row for each document that is not alone:
    `number`, `id`, `cluster` (the smallest id in it), `size` (documents in it), `kept` (of each cluster the one of the
    latest date, then the longest, then the smallest id) and `equal` (its text is that of the kept one). But for
    `number` and the order of rows, it does not depend on the order of documents, batches or memory. Ids should be
    unique; where they are not, go by number.

    Where more than `LEADERS` documents share a band, each is compared with that many of them, drawn by their texts'
    hashes and anew for each band, so that the time is linear in documents whatever they share.

    Args:
        batches: from `sign`, of all shards.
        folder: for the table and, while it works, temporary files (see `estimate`); one search in it at a time.
        scheme: the one that signed them.
        memory: bytes to work in, beside the batch at hand and 2 bytes a document. Arrays of 24 bytes a document are in
            memory where half of it holds them, else in mapped files, whose pages the system takes back at will.
            Documents that all share one band take 40 bytes each, whatever is given.
        groups: what brings equal hashes together: `Groups` on this machine's disk, `ClusterGroups` on a Ray cluster.

    Raises:
        VesaliusError: at batches of another scheme; code `memory`, too little; code `space`, a full disk.
    """
    scheme, folder = scheme or Scheme(), Path(folder)
    if memory < LEAST_MEMORY:
        raise VesaliusError(f"{memory:,} bytes of memory are too few", remedy=f"give {LEAST_MEMORY:,}", code="memory")
    with workspace(folder, ".duplicates") as temporary:
        search = _Search(temporary, scheme, memory, groups)
        search.keep(batches)
        search.link_equal()
        if scheme.bands:
            search.link_similar()
        shared = flatten(search.parents)
        return write_clusters(search.folder / "facts", search.parents, shared, folder / "clusters.parquet", memory // 4)


class _Search:
    """A search for duplicates and its files: see the module."""

    parents: np.ndarray  # (documents,) int64, see `union.py`
    ends: np.ndarray  # (documents,) int64, of each document's grams in their file
    order: np.ndarray  # (documents,) uint64, hashes of the texts

    def __init__(self, folder: Path, scheme: Scheme, memory: int, groups: Grouping):
        self.folder, self.scheme, self.memory = folder, scheme, memory
        self.equal = groups(folder / "equal", _EQUAL, "low")
        self.bands = groups(folder / "bands", _BAND, "key")

    def keep(self, batches: Iterable[Signed]) -> None:
        """Puts on disk what is needed of each document."""
        facts, total, grams = Facts(self.folder / "facts"), 0, 0
        names = ("parents", "ends", "order", "grams")
        parents, ends, order, kept = [(self.folder / name).open("wb") for name in names]
        for batch in batches:
            if batch.bands.shape[1] != self.scheme.bands:
                problem = f"documents were signed with {batch.bands.shape[1]} bands, not {self.scheme.bands}"
                raise VesaliusError(problem, remedy="give `duplicates` the scheme that `sign` was given")
            numbers = np.arange(total, total + len(batch.ids))
            facts.add(batch)
            parents.write(numbers.tobytes())
            ends.write((batch.ends + grams).tobytes())
            order.write(batch.digests[:, 0].tobytes())
            kept.write(batch.grams.tobytes())
            some = batch.words > 0
            self.equal.add(_records(_EQUAL, batch.digests[some, 0], batch.digests[some, 1], numbers[some]))
            each = np.repeat(numbers[some], self.scheme.bands)
            self.bands.add(_records(_BAND, batch.bands[some].ravel(), each))
            total, grams = total + numbers.size, grams + batch.grams.size
        facts.close()
        for file in (parents, ends, order, kept):
            file.close()
        mapped = _ARRAYS * total > self.memory // 2
        self.parents = column(self.folder / "parents", np.int64, mapped=mapped)
        self.ends = column(self.folder / "ends", np.int64, mapped=mapped)
        self.order = column(self.folder / "order", np.uint64, mapped=mapped)

    def link_equal(self) -> None:
        """Joins documents with one text."""
        for records in self.equal.read(self.memory // 16):
            records = records[np.lexsort((records["high"], records["low"]))]
            same = np.flatnonzero(_repeats(records["low"]) & _repeats(records["high"]))
            link_all(self.parents, records["number"][same - 1], records["number"][same])

    def link_similar(self) -> None:
        """Joins documents that share a band and are as similar as the scheme asks; one of equal ones stands for all."""
        first = _roots(self.parents)
        with (self.folder / "grams").open("rb") as file:
            for records in self.bands.read(self.memory // 16):
                records = records[first[records["number"]]]
                records = records[np.argsort(records["key"])]
                for one, other in self._pairs(records["key"], records["number"].copy()):
                    self._check(one, other, file.fileno())

    def _pairs(self, keys: np.ndarray, numbers: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Documents to compare, as many as the memory for their grams allows at a time."""
        bounds = np.append(np.flatnonzero(~_repeats(keys)), keys.size)
        many = np.diff(bounds) > 1
        starts, stops = bounds[:-1][many], bounds[1:][many]
        large = stops - starts > LEADERS
        for start, stop in zip(starts[large], stops[large], strict=True):
            own = numbers[start:stop]
            numbers[start:stop] = own[np.argsort(mix(self.order[own] ^ keys[start]))]
        state = np.array([0, 0, 1])
        one, other = np.empty((2, max(2**12, self.memory // 2**9)), np.int64)
        rule = self.scheme.threshold, self.scheme.most, self.memory // 8 // _GRAM
        while state[0] < starts.size:
            if found := _next_pairs(starts, stops, numbers, self.parents, self.ends, rule, state, one, other):
                yield one[:found], other[:found]

    def _check(self, one: np.ndarray, other: np.ndarray, file: int) -> None:
        """Joins those pairs that are similar."""
        wanted = np.unique(np.concatenate([one, other]))
        starts = np.where(wanted > 0, self.ends[wanted - 1], 0)
        places = np.concatenate([[0], np.cumsum(self.ends[wanted] - starts)])
        grams = np.empty(places[-1], np.uint32)
        breaks = np.flatnonzero(np.concatenate([[True], np.diff(wanted) > 1, [True]]))  # neighbours are read at once
        for first, last in pairwise(breaks):
            _read(file, grams[places[first] : places[last]], _GRAM * int(starts[first]))
        local = np.searchsorted(wanted, one), np.searchsorted(wanted, other)
        _link_pairs(self.parents, one, other, *local, places, grams, self.scheme.threshold, self.scheme.most)


def _records(dtype: np.dtype, *columns: np.ndarray) -> np.ndarray:
    records = np.empty(len(columns[0]), dtype)
    for name, values in zip(dtype.names or (), columns, strict=True):
        records[name] = values
    return records


def _repeats(sorted_values: np.ndarray) -> np.ndarray:
    """Where a value is that of the one before."""
    return np.concatenate([np.zeros(min(1, sorted_values.size), bool), sorted_values[1:] == sorted_values[:-1]])


def _read(file: int, array: np.ndarray, at: int) -> None:
    into: Any = array.view(np.uint8).data
    while into:
        got = os.preadv(file, [into], at)
        if not got:
            raise VesaliusError("a temporary file has lost its end", remedy="look whether the disk is whole")
        into, at = into[got:], at + got


@njit(cache=True, nogil=True)
def _roots(parents):
    answer = np.empty(parents.size, np.bool_)
    for i in range(parents.size):
        answer[i] = parents[i] == i
    return answer


@njit(cache=True, nogil=True)
def _next_pairs(starts, stops, numbers, parents, ends, rule, state, one, other):
    """The next pairs to compare, until their arrays or the room for grams are full; goes on from `state`.

    Of each run of equal keys the first is paired with all others, then the second with those after it, to `LEADERS`.
    Left out are pairs that are joined already, and those whose numbers of grams alone make them too different.
    """
    threshold, most, room = rule
    run, leader, member = state
    found, taken = 0, 0
    while run < starts.size:
        size = stops[run] - starts[run]
        while leader < min(LEADERS, size - 1):
            a = numbers[starts[run] + leader]
            grams_a = ends[a] - (ends[a - 1] if a else 0)
            while member < size:
                if found == one.size or taken > room:
                    state[0], state[1], state[2] = run, leader, member
                    return found
                b = numbers[starts[run] + member]
                grams_b = ends[b] - (ends[b - 1] if b else 0)
                few, many = min(grams_a, grams_b), max(grams_a, grams_b)
                if (few >= threshold * many or many >= most) and find(parents, a) != find(parents, b):
                    one[found], other[found] = a, b
                    found += 1
                    taken += grams_a + grams_b
                member += 1
            leader += 1
            member = leader + 1
        run, leader, member = run + 1, 0, 1
    state[0] = run
    return found


@njit(cache=True, nogil=True)
def _link_pairs(parents, one, other, local_one, local_other, places, grams, threshold, most):
    for i in range(one.size):
        if find(parents, one[i]) == find(parents, other[i]):
            continue
        a, b = local_one[i], local_other[i]
        if similarity(grams[places[a] : places[a + 1]], grams[places[b] : places[b + 1]], most) >= threshold:
            link(parents, one[i], other[i])
