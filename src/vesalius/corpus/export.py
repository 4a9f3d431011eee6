"""A corpus in other forms: text alone, image–text pairs, WebDataset tars, conversations for training.

Knows a corpus that is written (its manifest names the shards), one document at a time; leaves how it was made to
`build/`.
"""

import io
import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from vesalius.corpus.build.tables import read_documents
from vesalius.corpus.document import Document, Heading, Image
from vesalius.errors import VesaliusError
from vesalius.records import Message, Part, to_chat
from vesalius.run import progress, replacing

Form = Literal["text", "pairs", "webdataset", "chat"]
QUESTION = "What does this image show?"
_ROWS = 2000  # of a row group
_TAR = 500 << 20  # bytes of a tar at most, as WebDataset's own tools make them
_CAPTION = re.compile(r"(?:fig(?:ure|s)?|table|scheme|image|photo|plate|panel|video)\b[\s.:]*[\divx]*", re.IGNORECASE)


def export(corpus: str | Path, form: Form, out: str | Path) -> int:
    """Writes a corpus in another form; returns how many rows, pairs or conversations there are.

    Args:
        corpus: its folder.
        form: `text`, a row a document; `pairs`, a row an image with the text that is nearest; `webdataset`, the same as
            tars of files, of images that were fetched; `chat`, pairs as a question and its answer.
        out: a `.jsonl` or `.parquet` file; of `webdataset` a folder.

    Raises:
        VesaliusError: no corpus there; another suffix; pairs of a corpus without images.
    """
    folder, target = Path(corpus), Path(out)
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError):
        remedy = "name a folder that `vesalius corpus build` wrote"
        raise VesaliusError("holds no manifest.json of a corpus", file=folder, remedy=remedy, code="content") from None
    documents = _documents(folder, manifest)
    if form == "webdataset":
        return _write_tars(folder, documents, target)
    make = {"text": _texts, "pairs": _pair_rows, "chat": _chats}[form]
    return _write_rows(make(documents), target)


def pairs(document: Document) -> Iterator[tuple[Image, str]]:
    """Each image with a text: a caption beside it, its alternative text, what CLIP found to fit, or what is nearest."""
    for at, part in enumerate(document.parts):
        if not isinstance(part, Image):
            continue
        if text := _beside(document, at) or part.alt or _fitting(document, part) or _nearest(document, at):
            yield part, text


def _beside(document: Document, at: int) -> str:
    """A caption right after the image, or right before it."""
    for place in (at + 1, at - 1):
        near = document.parts[place] if 0 <= place < len(document.parts) else None
        if isinstance(near, str) and not isinstance(near, Heading) and _CAPTION.match(near):
            return str(near)
    return ""


def _fitting(document: Document, image: Image) -> str:
    """The text that CLIP found most similar, where it was asked."""
    place = image.facts.get("clip_text")
    return "" if place is None else str(document.parts[place])


def _nearest(document: Document, at: int) -> str:
    texts = [
        (abs(place - at), place < at, str(part))
        for place, part in enumerate(document.parts)
        if isinstance(part, str) and not isinstance(part, Heading)
    ]
    return min(texts, default=(0, False, ""))[2]


def _documents(folder: Path, manifest: dict[str, Any]) -> Iterator[Document]:
    with progress("documents", manifest["totals"]["documents"]) as advance:
        for shard in manifest["shards"]:
            for document in read_documents(folder / shard["file"]):
                yield document
                advance(0)


def _texts(documents: Iterable[Document]) -> Iterator[dict[str, Any]]:
    for document in documents:
        facts = {name: document.facts.get(name) for name in ("url", "title", "language", "licence")}
        yield {"id": document.id, "text": document.text, **facts}


def _pair_rows(documents: Iterable[Document]) -> Iterator[dict[str, Any]]:
    for document in documents:
        for image, text in pairs(document):
            known = {name: image.facts.get(name) for name in ("file", "sha256")}
            yield {
                "document": document.id, "image": image.url, **known, "width": image.width, "height": image.height,
                "text": text, "alt": image.alt, "licence": document.facts.get("licence"),
            }  # fmt: skip


def _chats(documents: Iterable[Document]) -> Iterator[dict[str, Any]]:
    for document in documents:
        for image, text in pairs(document):
            asked = Message(
                "user", (Part("image", path=str(image.facts.get("file") or image.url)), Part("text", text=QUESTION))
            )
            answer = Message("assistant", (Part("text", text=text),))
            yield {"messages": to_chat((asked, answer)), "document": document.id}


def _write_rows(rows: Iterable[dict[str, Any]], out: Path) -> int:
    count = 0
    if out.suffix == ".jsonl":
        with replacing(out) as part, part.open("w", encoding="utf-8") as stream:
            for row in rows:
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
        return count
    if out.suffix != ".parquet":
        remedy = "name a file that ends in .jsonl or .parquet"
        raise VesaliusError("has a suffix that nothing is written in", file=out, remedy=remedy, code="usage")
    with replacing(out) as part:
        writer = None
        some: list[dict[str, Any]] = []
        for row in rows:
            some.append(row)
            count += 1
            if len(some) == _ROWS:
                writer = _group(some, part, writer)
                some = []
        writer = _group(some, part, writer)
        writer.close()
    return count


def _group(rows: list[dict[str, Any]], path: Path, writer: pq.ParquetWriter | None) -> pq.ParquetWriter:
    table = pa.Table.from_pylist(rows, writer.schema if writer else None)
    if writer is None:
        # A column that is empty so far may be text later.
        fields = [f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in table.schema]
        table = table.cast(pa.schema(fields))
        writer = pq.ParquetWriter(path, table.schema, compression="zstd")
    writer.write_table(table)
    return writer


def _write_tars(folder: Path, documents: Iterable[Document], out: Path) -> int:
    """`00000.tar`, …: of each pair `KEY.jpg` (or whatever it is), `KEY.txt` and `KEY.json`."""
    out.mkdir(parents=True, exist_ok=True)
    if strange := next((file for file in out.iterdir() if not re.fullmatch(r"\d{5}\.tar", file.name)), None):
        raise VesaliusError("is in the folder of tars", file=strange, remedy="choose another folder", code="output")
    for file in out.iterdir():
        file.unlink()
    count, number, found = 0, 0, _files(folder, documents)
    waiting = next(found, None)
    while waiting is not None:
        with replacing(out / f"{number:05d}.tar") as part, tarfile.open(part, "w") as tar:
            size = 0
            while waiting is not None and size < _TAR:
                for suffix, data in waiting.items():
                    entry = tarfile.TarInfo(f"{count:09d}.{suffix}")
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))
                    size += len(data)
                count += 1
                waiting = next(found, None)
        number += 1
    return count


def _files(folder: Path, documents: Iterable[Document]) -> Iterator[dict[str, bytes]]:
    for document in documents:
        for image, text in pairs(document):
            file = image.facts.get("file")
            if not file or not (folder / file).is_file():
                continue
            facts = {"document": document.id, "url": image.url, "width": image.width, "height": image.height}
            facts |= {"sha256": image.facts.get("sha256"), "licence": document.facts.get("licence")}
            suffix = "jpg" if image.facts.get("format") == "jpeg" else str(image.facts.get("format"))
            yield {suffix: (folder / file).read_bytes(), "txt": text.encode(), "json": json.dumps(facts).encode()}
