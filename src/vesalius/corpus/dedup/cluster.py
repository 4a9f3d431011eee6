"""Records that come back in groups, as those of `disk.py`, but grouped by Daft on the machines of a Ray cluster.

What one machine would sort for hours goes through all of them; its folder must be on a disk that they share. Knows
records and a folder; what they are is for others.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vesalius.corpus.frames import daft

_AT_ONCE = 2**18  # records of a row group


class ClusterGroups:
    """Records on disk that come back with all that have the same `field`; those that are alone in it do not.

    Args:
        folder: for its file; made where it is absent, gone when all groups were read.
        dtype: of the records.
        field: by which they are grouped.
    """

    def __init__(self, folder: Path, dtype: np.dtype, field: str):
        self.folder, self.dtype, self.field = folder, dtype, field
        self._waiting: list[np.ndarray] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "records.parquet"
        schema = pa.schema([(name, pa.from_numpy_dtype(dtype[name])) for name in dtype.names or ()])
        self._writer = pq.ParquetWriter(self._file, schema, compression="none")

    def add(self, records: np.ndarray) -> None:
        """Puts (records,) of the dtype on disk."""
        self._waiting.append(records)
        if sum(map(len, self._waiting)) >= _AT_ONCE:
            self._write()

    def _write(self) -> None:
        records = np.concatenate([np.empty(0, self.dtype), *self._waiting])
        columns = [np.ascontiguousarray(records[name]) for name in self._writer.schema.names]
        self._writer.write_table(pa.table(columns, schema=self._writer.schema))
        self._waiting = []

    def read(self, limit: int) -> Iterator[np.ndarray]:
        """Groups, each whole, about `limit` bytes of them at a time; nothing can be added from the first on."""
        library = daft()
        self._write()
        self._writer.close()
        field, rest = self.field, [name for name in self.dtype.names or () if name != self.field]
        members = library.functions.to_struct(*map(library.col, rest)).alias("members")
        groups = library.read_parquet(str(self._file)).select(library.col(field), members)
        groups = groups.groupby(field).agg(library.col("members").list_agg())
        for batch in groups.where(library.functions.list_count(library.col("members")) > 1).to_arrow_iter():
            lists = batch.column("members")
            sizes, found = lists.value_lengths().to_numpy(), lists.flatten()
            records = np.empty(len(found), self.dtype)
            records[field] = np.repeat(batch.column(field).to_numpy(), sizes)
            for name in rest:
                records[name] = found.field(name).to_numpy()
            ends, step = np.cumsum(sizes), max(1, limit // self.dtype.itemsize)
            yield from np.split(records, np.unique(ends[np.searchsorted(ends, np.arange(step, len(records), step))]))
        shutil.rmtree(self.folder)
