"""From the patterns of a recipe to sources, each a unit of work: an archive, a video, or a hand of pages and papers.

Knows paths and addresses; leaves what is in them to `read/`.
"""

import glob
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from vesalius.corpus.build.recipe import Recipe
from vesalius.corpus.document import Document
from vesalius.corpus.read import READERS, html, read_with, reader_of
from vesalius.corpus.read.folder import files, metadata
from vesalius.corpus.read.options import Reading
from vesalius.corpus.read.record import Bad, Raw
from vesalius.corpus.read.remote import is_remote
from vesalius.corpus.read.warc import records as warc_records
from vesalius.errors import VesaliusError
from vesalius.run import file_stamp, fingerprint

HAND = 200  # files of pages and papers in a source
Item = Callable[[], Iterable[Raw | Document | Bad]]


@dataclass(frozen=True)
class Source:
    """Something that one worker reads.

    Attributes:
        key: unique, the same on every run; names its files.
        root: what ids are relative to; "" for an address.
        paths: in order; one where it is an archive.
        archive: whether it is a WARC, of many records.
    """

    key: str
    root: str
    paths: tuple[str, ...]
    archive: bool

    @property
    def stamp(self) -> str:
        """What its records depend on, besides the code: sizes and times; of an address, itself."""
        return fingerprint([p if is_remote(p) else file_stamp(p) for p in self.paths])


def sources_of(recipe: Recipe) -> list[Source]:
    """All of a recipe, in order, none twice.

    Raises:
        VesaliusError: code `sources`: a pattern that nothing fits, a file that no reader knows.
    """
    base = recipe.base
    found: dict[str, Source] = {}
    for pattern in recipe.sources:
        for source in _of(pattern, base):
            found.setdefault(source.key, source)
    seen: dict[str, str] = {}
    for source in found.values():
        for path in source.paths:
            if seen.setdefault(path, source.key) != source.key:
                remedy = "name folders and patterns that share no file"
                raise VesaliusError("is in the sources twice", file=path, remedy=remedy, code="sources")
    return list(found.values())


def items(source: Source, how: Reading, skipped: Counter[str]) -> Iterator[Item]:
    """What a source holds, one by one, read only when it is called: a page, a paper, a video.

    Args:
        source: see there.
        how: what is asked of readers.
        skipped: counts what of an archive is no page, by reason.

    Raises:
        VesaliusError: an archive that cannot be read at all.
    """
    if source.archive:
        for record in warc_records(source.paths[0], skipped=skipped):
            yield partial(_one, _relative(record, source))
    else:
        known = metadata(Path(source.root)) if Path(source.root).is_dir() else {}
        for path in source.paths:
            yield partial(_file, Path(path), source, how, known)


def _one(record: Raw | Bad) -> Iterable[Raw | Bad]:
    return (record,)


def _file(path: Path, source: Source, how: Reading, known: dict[str, dict[str, Any]]) -> Iterator[Raw | Document | Bad]:
    """Of a file: a page as it came, or documents; what cannot be read is a `Bad`."""
    id = _id(path, source)
    facts = known.get(path.relative_to(source.root).as_posix(), {})
    reader = reader_of(path)
    try:
        if reader is html:
            yield Raw(id, html.content(path), str(facts.get("url", "")), facts=dict(facts))
            return
        for document in read_with(reader, path, how, id):
            if isinstance(document, Document):
                yield replace(document, facts={"path": id, **document.facts, **facts})
            else:
                yield document
    except VesaliusError as error:
        yield Bad.of(id, "read", error)


def _id(path: Path, source: Source) -> str:
    return f"{Path(source.root).name}/{path.relative_to(source.root).as_posix()}"


def _relative(record: Raw | Bad, source: Source) -> Raw | Bad:
    """The same under an id that does not depend on where the archive lies."""
    path = source.paths[0]
    if is_remote(path) or not record.id.startswith(path):
        return record
    return replace(record, id=_id(Path(path), source) + record.id.removeprefix(path))


def _of(pattern: str, base: Path) -> Iterator[Source]:
    if is_remote(pattern):
        yield _source("", [pattern], True)
        return
    path = base / pattern
    if path.is_dir():
        root, paths = path, [p for p in files(path) if isinstance(p, Path)]
    else:
        paths = [Path(p) for p in sorted(glob.glob(str(path), recursive=True)) if Path(p).is_file()]
        root = Path(glob.escape(str(path)) if not paths else _fixed(path))
    if not paths:
        remedy = f"files end in {', '.join(READERS)}; paths are relative to the recipe"
        raise VesaliusError("nothing is there to read", file=path, remedy=remedy, code="sources")
    if strange := next((p for p in paths if reader_of(p) is None), None):
        remedy = f"files end in {', '.join(READERS)}"
        raise VesaliusError("has a suffix that no reader knows", file=strange, remedy=remedy, code="sources")
    alone = [p for p in paths if _is_archive(p)]
    yield from (_source(str(root), [str(p)], True) for p in alone)
    rest = [str(p) for p in paths if not _is_archive(p)]
    yield from (_source(str(root), hand, False) for hand in (rest[i : i + HAND] for i in range(0, len(rest), HAND)))


def _fixed(path: Path) -> Path:
    """The folder before the first part of a pattern that is one."""
    parts = path.parts
    first = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:first])


def _is_archive(path: Path) -> bool:
    return getattr(reader_of(path), "__name__", "").endswith(".warc")


def _source(root: str, paths: Iterable[str], archive: bool) -> Source:
    paths = tuple(paths)
    relative = [p if not root else Path(p).relative_to(root).as_posix() for p in paths]
    stem = "".join(c if c.isalnum() else "-" for c in Path(relative[0]).name.partition(".")[0])[:40]
    return Source(f"{stem}-{fingerprint(Path(root).name, relative)[:8]}", root, paths, archive)
