"""Records that come back in groups, as those of `disk.py`, but grouped by Daft on the machines of a Ray cluster.

What one machine would sort for hours goes through all of them; its folder must be on a disk that they share. Daft's
groups are in memory, ten times as large as the records (measured), so they are asked for in slices by their hash that
the workers have room for. Knows records and a folder; what they are is for others.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vesalius.corpus.frames import daft, workers

_SLICES, _BITS = 64, 6
_AT_ONCE, _ROWS = 2**21, 2**15  # records of a file; of its row groups, so that those of one slice can be read alone


class ClusterGroups:
    """Records on disk that come back with all that have the same `field`; those that are alone in it do not.

    Args:
        folder: for its files; made where it is absent, gone when all groups were read.
        dtype: of the records.
        field: the uint64 field by which they are grouped; it must be a hash.
    """

    def __init__(self, folder: Path, dtype: np.dtype, field: str):
        self.folder, self.dtype, self.field = folder, dtype, field
        self._names = list(dtype.names or ())
        self._waiting = [np.empty(0, dtype)]
        self._counts = np.zeros(_SLICES, np.int64)
        self._files: list[str] = []  # few: each costs Daft a tenth of a second on a cluster
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, records: np.ndarray) -> None:
        """Puts (records,) of the dtype on disk."""
        self._waiting.append(records)
        if sum(map(len, self._waiting)) >= _AT_ONCE:
            self._write()

    def _write(self) -> None:
        records = np.concatenate(self._waiting)
        self._waiting = [np.empty(0, self.dtype)]
        if len(records):
            records = records[np.argsort(records[self.field])]
            slices = (records[self.field] >> np.uint64(64 - _BITS)).astype(np.int8)
            self._counts += np.bincount(slices, minlength=_SLICES)
            table = pa.table({name: np.ascontiguousarray(records[name]) for name in self._names} | {"slice": slices})
            self._files.append(str(self.folder / f"{len(self._files):06d}.parquet"))
            pq.write_table(table, self._files[-1], row_group_size=_ROWS, compression="none")

    def read(self, limit: int) -> Iterator[np.ndarray]:
        """Groups, each whole, about `limit` bytes of them at a time; nothing can be added from the first on.

        As many records are grouped at once as give each worker of the cluster `limit` bytes of them.
        """
        self._write()
        room = max(1, limit * workers() // self.dtype.itemsize)
        turns = np.cumsum(self._counts) // room
        for turn in np.unique(turns[self._counts > 0]):
            (own,) = np.nonzero(turns == turn)
            for batch in self._grouped(int(own[0]), int(own[-1])):
                yield from self._pieces(batch, limit)
        shutil.rmtree(self.folder)

    def _grouped(self, first: int, last: int) -> Iterator[pa.RecordBatch]:
        """Of some slices: rows of `field` and `members`, the others of their records."""
        library = daft()
        col = library.col
        records = library.read_parquet(self._files)
        if (first, last) != (0, _SLICES - 1):
            records = records.where((col("slice") >= first) & (col("slice") <= last))
        members = library.functions.to_struct(*(col(name) for name in self._names if name != self.field))
        groups = records.select(col(self.field), members.alias("members")).groupby(self.field)
        groups = groups.agg(col("members").list_agg())
        yield from groups.where(library.functions.list_count(col("members")) > 1).to_arrow_iter()

    def _pieces(self, batch: pa.RecordBatch, limit: int) -> list[np.ndarray]:
        """As records, cut between groups."""
        lists = batch.column("members")
        sizes, found = lists.value_lengths().to_numpy(), lists.flatten()
        records = np.empty(len(found), self.dtype)
        records[self.field] = np.repeat(batch.column(self.field).to_numpy(), sizes)
        for name in self._names:
            if name != self.field:
                records[name] = found.field(name).to_numpy()
        ends, step = np.cumsum(sizes), max(1, limit // self.dtype.itemsize)
        return np.split(records, np.unique(ends[np.searchsorted(ends, np.arange(step, len(records), step))]))
