"""Files by what is in them: `folder/ab/abcdef….jpg`, whole or not there; the same image twice is one file.

Knows bytes and names; leaves what they are and where they are from to others.
"""

import contextlib
import hashlib
import itertools
import os
from pathlib import Path

from vesalius.corpus.images.kinds import HEAD, suffix_of
from vesalius.errors import VesaliusError

_PARTS = ".parts"  # of files that are not whole yet


class Store:
    """A folder of images."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._numbers = itertools.count()

    def clean(self) -> None:
        """Removes what a killed run left half written; for whoever alone writes into the folder."""
        with contextlib.suppress(FileNotFoundError):
            for part in (self.folder / _PARTS).iterdir():
                part.unlink(missing_ok=True)

    def part(self) -> "Part":
        """A file to be written."""
        return Part(self.folder, f"{os.getpid()}-{next(self._numbers)}")

    def has(self, path: str | None, size: int | None) -> bool:
        """Whether a file is there, at its full size: a disk that lost its power may have kept the name alone."""
        try:
            return path is not None and (self.folder / path).stat().st_size == size
        except OSError:
            return False


class Part:
    """A file while it is written, its name not known yet.

    Attributes:
        size: bytes so far.
        head: the first of them, for `kind_of`.
    """

    def __init__(self, folder: Path, name: str):
        self.size, self.head = 0, b""
        self._folder, self._path = folder, folder / _PARTS / name
        self._hash = hashlib.sha256()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._path.open("wb", 0)
        except OSError as error:
            raise _no_space(folder, error) from None

    def __enter__(self) -> "Part":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._path.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Appends.

        Raises:
            VesaliusError: code `space`, the disk is full or gone.
        """
        try:
            view = memoryview(data)
            while view:
                view = view[self._stream.write(view) :]
        except OSError as error:
            raise _no_space(self._folder, error) from None
        self._hash.update(data)
        self.size += len(data)
        if len(self.head) < HEAD:
            self.head += data[: HEAD - len(self.head)]

    def keep(self, kind: str) -> tuple[str, str]:
        """Gives the file its name.

        Returns:
            (SHA-256, path relative to the folder).

        Raises:
            VesaliusError: code `space`.
        """
        digest = self._hash.hexdigest()
        path = f"{digest[:2]}/{digest}{suffix_of(kind)}"
        try:
            self._stream.close()
            (self._folder / path).parent.mkdir(exist_ok=True)
            os.replace(self._path, self._folder / path)
        except OSError as error:
            raise _no_space(self._folder, error) from None
        return digest, path


def _no_space(folder: Path, error: OSError) -> VesaliusError:
    problem = f"cannot be written ({error.strerror or error})"
    return VesaliusError(problem, file=folder, remedy="make room, then run it again", code="space")
