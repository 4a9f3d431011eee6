"""Folders of pages, papers, archives and videos, in an order that does not change.

What is known of the files may stand in `metadata.csv` at the folder's top: a column `path` (relative, with `/`), and
any of `url`, `date`, `licence` or others, which become facts. Links to files and folders are followed, each folder
once. Leaves every kind of file to its reader.
"""

import csv
import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vesalius.corpus.document import Document
from vesalius.corpus.read import html, read_with, reader_of
from vesalius.corpus.read.options import Reading
from vesalius.corpus.read.record import Bad, Raw
from vesalius.errors import VesaliusError

SIDECAR = "metadata.csv"


def read(path: str | Path, how: Reading = Reading()) -> Iterator[Document | Bad]:
    """The documents of all files that have a reader. Of a page, a PDF or a video the id is its path within
    the folder.

    Raises:
        VesaliusError: code `unreadable`, no such folder; `content`, a `metadata.csv` that is none.
    """
    folder = Path(path)
    known = metadata(folder)
    for found in files(folder):
        if isinstance(found, Bad):
            yield found
        elif (reader := reader_of(found)) is html:
            yield from map(_document, _page(folder, found, known))
        else:
            facts = known.get(_id(folder, found), {})
            try:
                for document in read_with(reader, found, how, _id(folder, found)):
                    if isinstance(document, Document):
                        document = replace(document, facts={**document.facts, **facts})
                    yield document
            except VesaliusError as error:
                yield Bad.of(_id(folder, found), "read", error)


def records(path: str | Path, skipped: Counter[str] | None = None) -> Iterator[Raw | Bad]:
    """The HTML pages, as they came; `skipped` counts other files by suffix. Raises as `read`."""
    folder = Path(path)
    known = metadata(folder)
    for found in files(folder, skipped):
        if isinstance(found, Bad):
            yield found
        elif reader_of(found) is html:
            yield from _page(folder, found, known)
        elif skipped is not None:
            skipped[found.suffix.lower()] += 1


def files(folder: Path, skipped: Counter[str] | None = None) -> Iterator[Path | Bad]:
    """The files that have a reader, sorted folder by folder; `Bad` what cannot be looked into.

    `skipped` counts the others by suffix.

    Raises:
        VesaliusError: code `unreadable`, no such folder.
    """
    if not folder.is_dir():
        raise VesaliusError("is no folder", file=folder, remedy="check the path", code="unreadable")
    waiting, seen = [folder], set()
    while waiting:
        place = waiting.pop()
        try:
            state = place.stat()
            if stat.S_ISDIR(state.st_mode):
                if (key := (state.st_dev, state.st_ino)) in seen:
                    yield Bad(_id(folder, place), "read", "links to a folder that was read already", "loop")
                    continue
                seen.add(key)
                waiting += sorted((place / name for name in os.listdir(place)), reverse=True)
            elif reader_of(place) is None:
                if skipped is not None:
                    skipped[place.suffix.lower()] += 1
            elif not stat.S_ISREG(state.st_mode):  # a pipe would be waited for
                yield Bad(_id(folder, place), "read", "is no regular file", "unreadable")
            else:
                yield place
        except OSError as error:
            yield Bad(_id(folder, place), "read", f"cannot be read ({error.strerror or error})", "unreadable")


def metadata(folder: Path) -> dict[str, dict[str, str]]:
    """What `metadata.csv` says, by path; empty where there is none.

    Raises:
        VesaliusError: code `content`, no column `path`, or no text.
    """
    try:
        with (folder / SIDECAR).open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            if "path" not in (rows.fieldnames or ()):
                raise VesaliusError("has no column `path`", file=folder / SIDECAR, remedy="add it", code="content")
            return {
                row["path"]: {key: value for key, value in row.items() if key and key != "path" and value}
                for row in rows
                if row["path"]
            }
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        remedy = "save it as CSV in UTF-8"
        raise VesaliusError(f"is no table ({error})", file=folder / SIDECAR, remedy=remedy, code="content") from None


def _page(folder: Path, file: Path, known: dict[str, dict[str, str]]) -> Iterator[Raw | Bad]:
    id = _id(folder, file)
    facts = dict(known.get(id, {}))
    try:
        yield Raw(id, html.content(file), facts.pop("url", ""), facts=facts)
    except VesaliusError as error:
        yield Bad.of(id, "read", error)


def _document(page: Raw | Bad) -> Document | Bad:
    return page if isinstance(page, Bad) else html.document_or_bad(page)


def _id(folder: Path, file: Path) -> str:
    """The path within the folder; bytes of a name that are no text are written out, so that it can be stored."""
    name = file.relative_to(folder).as_posix()
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
