"""Records that come back in groups, as those of `disk.py`, but grouped by Daft on the machines of a Ray cluster.

What one machine would sort for hours goes through all of them; its folder must be on a disk that they share. Daft's
groups are in memory, ten times as large as the records (measured), so they are asked for in slices by their hash that
the workers have room for. Knows records and a folder; what they are is for others.
"""

import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vesalius.corpus.frames import daft, workers

_SLICES, _BITS = 64, 6
_AT_ONCE = 2**20  # records that wait for their files


class ClusterGroups:
    """Records on disk that come back with all that have the same `field`; those that are alone in it do not.

    Args:
        folder: for its files; made where it is absent, gone when all groups were read.
        dtype: of the records.
        field: the uint64 field by which they are grouped; it must be a hash.
    """

    def __init__(self, folder: Path, dtype: np.dtype, field: str):
        self.folder, self.dtype, self.field = folder, dtype, field
        self._schema = pa.schema([(name, pa.from_numpy_dtype(dtype[name])) for name in dtype.names or ()])
        self._waiting = [np.empty(0, dtype)]
        self._files: dict[int, Any] = {}
        self._sizes = np.zeros(_SLICES, np.int64)
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, records: np.ndarray) -> None:
        """Puts (records,) of the dtype on disk."""
        self._waiting.append(records)
        if sum(map(len, self._waiting)) >= _AT_ONCE:
            self._write()

    def _write(self) -> None:
        records = np.concatenate(self._waiting)
        records = records[np.argsort(records[self.field])]
        slices = (records[self.field] >> np.uint64(64 - _BITS)).astype(np.int64)
        counts = np.bincount(slices, minlength=_SLICES)
        for number, part in enumerate(np.split(records, np.cumsum(counts)[:-1])):
            if len(part):
                if number not in self._files:
                    self._files[number] = pq.ParquetWriter(self._path(number), self._schema, compression="none")
                columns = [np.ascontiguousarray(part[name]) for name in self._schema.names]
                self._files[number].write_table(pa.table(columns, schema=self._schema))
        self._sizes += counts * self.dtype.itemsize
        self._waiting = [np.empty(0, self.dtype)]

    def _path(self, number: int) -> str:
        return str(self.folder / f"{number:02d}.parquet")

    def read(self, limit: int) -> Iterator[np.ndarray]:
        """Groups, each whole, about `limit` bytes of them at a time; nothing can be added from the first on.

        As many records are grouped at once as give each worker of the cluster `limit` bytes of them.
        """
        self._write()
        for file in self._files.values():
            file.close()
        room = limit * workers()
        slices = np.cumsum(self._sizes) // max(1, room)
        for one in np.unique(slices[sorted(self._files)]):
            files = [self._path(number) for number in sorted(self._files) if slices[number] == one]
            yield from chain.from_iterable(self._pieces(batch, limit) for batch in self._grouped(files))
        shutil.rmtree(self.folder)

    def _grouped(self, files: list[str]) -> Iterator[pa.RecordBatch]:
        """Rows of `field` and `members`, the others of their records."""
        library = daft()
        rest = (library.col(name) for name in self._schema.names if name != self.field)
        members = library.functions.to_struct(*rest).alias("members")
        groups = library.read_parquet(files).select(library.col(self.field), members)
        groups = groups.groupby(self.field).agg(library.col("members").list_agg())
        yield from groups.where(library.functions.list_count(library.col("members")) > 1).to_arrow_iter()

    def _pieces(self, batch: pa.RecordBatch, limit: int) -> list[np.ndarray]:
        """As records, cut between groups."""
        lists = batch.column("members")
        sizes, found = lists.value_lengths().to_numpy(), lists.flatten()
        records = np.empty(len(found), self.dtype)
        records[self.field] = np.repeat(batch.column(self.field).to_numpy(), sizes)
        for name in self._schema.names:
            if name != self.field:
                records[name] = found.field(name).to_numpy()
        ends, step = np.cumsum(sizes), max(1, limit // self.dtype.itemsize)
        return np.split(records, np.unique(ends[np.searchsorted(ends, np.arange(step, len(records), step))]))
