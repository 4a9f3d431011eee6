"""What a program wrote, brought out safely: plain files, so many, so large, so deep; anything else is refused.

The folder is opened by a descriptor and never by a path that a program could have turned into a link. The program is
dead by then.
"""

import os
import shutil
import stat
from pathlib import Path

from vesalius.sandbox.limits import MB, Limits

DEEPEST = 16


class Unacceptable(Exception):
    """Says what about the files cannot be accepted."""


def harvest(folder: int, out: Path, limits: Limits) -> None:
    """Copies all files under an open folder into `out`, which is made.

    Raises:
        Unacceptable: a link, a pipe, a device or a socket; too many, too large or too deep; unreadable. What was
            copied by then stays in `out`.
    """
    _Harvest(limits).copy(folder, out, Path())


class _Harvest:
    def __init__(self, limits: Limits):
        self.limits, self.files, self.bytes = limits, 0, 0

    def copy(self, folder: int, out: Path, inside: Path) -> None:
        if len(inside.parts) > DEEPEST:
            raise Unacceptable(f"folders nested deeper than {DEEPEST}")
        out.mkdir(parents=True, exist_ok=True)
        with os.scandir(folder) as entries:
            for entry in entries:
                self.files += 1
                if self.files > self.limits.files:
                    raise Unacceptable(f"more than {self.limits.files} files")
                self._one(folder, out, inside / entry.name)

    def _one(self, folder: int, out: Path, path: Path) -> None:
        shown = ascii(str(path))[1:-1][-80:]
        mode = os.lstat(path.name, dir_fd=folder).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            kind = "a link" if stat.S_ISLNK(mode) else "neither file nor folder"
            raise Unacceptable(f"{shown} is {kind}")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            opened = os.open(path.name, flags, dir_fd=folder)
        except OSError as error:
            raise Unacceptable(f"{shown} cannot be read ({error.strerror})") from None
        try:
            if stat.S_ISDIR(mode):
                self.copy(opened, out / path.name, path)
                return
            self.bytes += os.fstat(opened).st_size
            if self.bytes > self.limits.disk_mb * MB:  # also of a file with holes
                raise Unacceptable(f"files of more than {self.limits.disk_mb} MB, with {shown}")
            with open(opened, "rb", closefd=False) as source, open(out / path.name, "xb") as target:
                shutil.copyfileobj(source, target, MB)
        finally:
            os.close(opened)
