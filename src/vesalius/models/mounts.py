"""Questions as files that a foreign program reads: `question.json`, and media whose names and times tell nothing.

A program sees a copy under a number, with one time for all files; the name and the time that gzip keeps in its header
are taken out. What stands inside a medium (a DICOM patient, a NIfTI description) is the organiser's business. Leaves
what comes back to `program.py`.
"""

import gzip
import json
import os
import shutil
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vesalius.errors import VesaliusError
from vesalius.media.volume import READERS
from vesalius.records import MARKS, MEDIA, Message, Part, Question, to_chat

LONG_AGO = 315_532_800  # 1980-01-01, the time of every file
INPUT = "/input"


class Unreadable(VesaliusError):
    """A medium of a question is not there or cannot be read."""


def lay_out(questions: Sequence[Question], folder: Path, batch: bool) -> None:
    """Writes questions for one call of a program.

    Args:
        questions: one, or with `batch` any number.
        folder: empty; becomes /input.
        batch: give each question a folder of its own, `0/`, `1/`, …, also if there is but one.

    Raises:
        Unreadable: a medium is not there or cannot be read.
    """
    for number, question in enumerate(questions):
        inside = f"{INPUT}/{number}" if batch else INPUT
        _one(question, number, folder / str(number) if batch else folder, inside)
    for path in sorted([folder, *folder.rglob("*")], reverse=True):  # a folder's time changes with what is put into it
        path.chmod(0o555 if path.is_dir() else 0o444)
        os.utime(path, (LONG_AGO, LONG_AGO))


def clear(folder: Path) -> None:
    """Removes what `lay_out` wrote, the folder included."""
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(folder)


def _one(question: Question, number: int, folder: Path, inside: str) -> None:
    media = folder / "media"
    media.mkdir(parents=True)
    copies: list[str] = []

    def moved(part: Part) -> Part:
        if part.path is None:
            return part
        name = _copy(Path(part.path), media, str(len(copies)), question.id)
        copies.append(name)
        return replace(part, path=f"{inside}/media/{name}")

    messages = [Message(m.role, tuple(moved(part) for part in m.parts)) for m in question.messages]
    asked: dict[str, Any] = {"id": str(number), "type": question.type, "messages": to_chat(messages, MEDIA + MARKS)}
    asked["options"] = list(question.options)
    (folder / "question.json").write_text(json.dumps(asked, ensure_ascii=False, indent=1))


def _copy(source: Path, folder: Path, number: str, case: str) -> str:
    """Copies a medium, or a folder that is one (a DICOM series), and returns its new name."""
    try:
        if source.is_dir():
            (folder / number).mkdir()
            for n, file in enumerate(sorted(path for path in source.rglob("*") if path.is_file())):
                _copy_file(file, folder / number / f"{n:06}{_suffix(file)}")
            return number
        name = number + _suffix(source)
        _copy_file(source, folder / name)
        return name
    except OSError as error:
        remedy = "check the path"
        problem = f"a medium cannot be read ({error.strerror})"
        raise Unreadable(problem, file=source, case=case, remedy=remedy, code="missing") from None


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return next((s for s in sorted(READERS, key=len, reverse=True) if name.endswith(s)), path.suffix.lower())


def _copy_file(source: Path, target: Path) -> None:
    with open(source, "rb") as read, open(target, "xb") as write:
        head = read.read(10)
        if head[:3] == b"\x1f\x8b\x08" and not _skip_gzip_header(read, head[3]):
            raise OSError(0, "its gzip header has no end")
        # the same method and no flags, no time; 255 is an unknown system
        write.write(b"\x1f\x8b\x08\0\0\0\0\0\0\xff" if head[:3] == b"\x1f\x8b\x08" else head)
        shutil.copyfileobj(read, write, 1 << 20)


def _skip_gzip_header(stream: Any, flags: int) -> bool:
    """Moves behind the optional fields (RFC 1952): extra, name, comment, checksum of the header."""
    if flags & gzip.FEXTRA:
        size = stream.read(2)
        if len(size) < 2:
            return False
        stream.read(struct.unpack("<H", size)[0])
    for field in (gzip.FNAME, gzip.FCOMMENT):
        while flags & field:
            byte = stream.read(1)
            if not byte:
                return False
            if byte == b"\0":
                break
    if flags & gzip.FHCRC:
        stream.read(2)
    return True
