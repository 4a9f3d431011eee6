"""Arrays that memory does not hold: records that come back in groups by hash, and columns that stay in a file.

Knows bytes and folders; what the records are is for others.
"""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vesalius.errors import VesaliusError

_WAYS, _BITS = 64, 6  # files that a level of groups is spread over


class Groups:
    """Records on disk, spread over files by the bits of their hash, so that equal hashes come back together.

    Args:
        folder: for its files; made where it is absent, gone when all groups were read.
        dtype: of the records.
        field: the uint64 field whose bits spread them; it must be a hash.
    """

    def __init__(self, folder: Path, dtype: np.dtype, field: str, *, level: int = 0):
        self.folder, self.dtype, self.field, self.level = folder, dtype, field, level
        self._files: dict[int, BinaryIO] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, records: np.ndarray) -> None:
        """Puts (records,) of the dtype on disk."""
        way = ((records[self.field] >> np.uint64(64 - _BITS * (self.level + 1))) & np.uint64(_WAYS - 1)).astype(np.int8)
        order = np.argsort(way, kind="stable")
        ends = np.cumsum(np.bincount(way, minlength=_WAYS))
        for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
            if start < end:
                if number not in self._files:
                    self._files[number] = (self.folder / f"{number:02d}").open("wb")
                self._files[number].write(records[order[start:end]].tobytes())

    def read(self, limit: int) -> Iterator[np.ndarray]:
        """Each group once, and it is then gone from disk; nothing can be added from the first on.

        A group larger than `limit` bytes is spread again by further bits; one hash's records are never parted, so
        one that very many share can exceed it.
        """
        sizes = {}
        for number, file in sorted(self._files.items()):
            sizes[number] = file.tell()
            file.close()
        for number, size in sizes.items():
            path = self.folder / f"{number:02d}"
            if size <= limit or _BITS * (self.level + 2) > 64:
                records = np.fromfile(path, self.dtype)
                path.unlink()
                yield records
                continue
            finer = Groups(self.folder / f"{number:02d}+", self.dtype, self.field, level=self.level + 1)
            for records in pieces(path, self.dtype, limit // 4):
                finer.add(records)
            path.unlink()
            yield from finer.read(limit)
        self._files = {}
        shutil.rmtree(self.folder)


def pieces(path: Path, dtype: np.dtype, size: int) -> Iterator[np.ndarray]:
    """A file's records in order, about `size` bytes at a time."""
    count = max(1, size // np.dtype(dtype).itemsize)
    with path.open("rb") as file:
        while (records := np.fromfile(file, dtype, count)).size:
            yield records


def column(path: Path, dtype: np.dtype | type, *, mapped: bool) -> np.ndarray:
    """A file as an array: read, or mapped, changes then going to the file."""
    if not mapped or not path.stat().st_size:
        return np.fromfile(path, dtype)
    return np.asarray(np.memmap(path, dtype, "r+"))


@contextmanager
def workspace(folder: str | Path, name: str) -> Iterator[Path]:
    """A folder for temporary files in `folder`; what a killed process left there goes first, and all goes at the end.

    Raises:
        VesaliusError: code `space`, the disk is full.
    """
    path = Path(folder) / name
    shutil.rmtree(path, ignore_errors=True)
    try:
        path.mkdir(parents=True)
        yield path
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        remedy = "free some, or give a folder on a larger disk; `estimate` says how much is needed"
        raise VesaliusError("the disk is full", file=folder, remedy=remedy, code="space") from None
    finally:
        shutil.rmtree(path, ignore_errors=True)
