"""GMAI-MMBench's TSV, as VLMEvalKit reads it ↔ samples: one row a question, images as base64 inside.

    index  image  question  A  B  C  D  E  answer  category  l2-category  split  …

Knows the columns, how images stand in a cell, and letters. Leaves the prompt to `models/prompt`, and what the taxonomy
columns mean to whoever selects by them. A file of several GB is read row by row; only indices and paths are remembered.

What VLMEvalKit does with the same file (`vlmeval/dataset/image_base.py`, `image_mcq.py`): an `image` cell is base64, a
list of base64, or, with 64 characters or fewer, the index of the row whose image is meant; `image_path` stands in
where there is no `image`; a `hint` goes before the question; options are the columns A, B, … that are not empty.
"""

import ast
import base64
import binascii
import csv
import hashlib
import json
import os
import pickle
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vesalius.errors import VesaliusError
from vesalius.records import QUESTION_TYPES, Message, Part, Question, Sample
from vesalius.run import replacing
from vesalius.select import snake_case

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
REFERENCE = 64  # an image cell with so many characters or fewer is another row's index
# Names that the published file spells with blanks or a hyphen.
SPELLED = {
    "l2_category": "l2-category",
    "clinical_vqa_task": "clinical vqa task",
    "perceptual_granularity": "perceptual granularity",
}

_FIRST = ("index", "image", "image_path", "hint", "question", *LETTERS, "answer", "category", "l2-category", "split")
_TAKEN = {"index", "image", "image_path", "question", "answer"}  # become something other than metadata
_MAGIC = {
    b"\x89PNG": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif", b"BM": "bmp", b"II*\0": "tif", b"MM\0*": "tif",
}  # fmt: skip


def read(path: str | Path, media: str | Path) -> Iterator[Sample]:
    """Questions in the file's order, one at a time.

    Images are written once, as their original bytes, to `media/<sha256>.<suffix>`, so that no file name tells a label.
    Options are those in the file's order, empty columns left out. **The expected text of a choice is its letter among
    these options** ("B"; "A,C" where several are right): where a file fills A, B and D, its answer D is expected as
    "C", and `metadata["letters"]` keeps "ABD". Of a question without options the expected text is the answer itself.
    The type is the column `type` where it names one of ours, else it follows from options and answer.

    All other columns are metadata in snake_case, with `index`; `split` and the taxonomy among them. A row that is
    wrong in itself (an image that cannot be decoded, an answer that is no option) is a sample all the same, with the
    reason in `metadata["problem"]`: an image that is not there has a path that is not there, an answer that means
    nothing is not expected.

    Args:
        path: the TSV (utf-8).
        media: a folder for the images; made where it is missing.

    Raises:
        VesaliusError: the file cannot be read, has no `question` column, or an index stands twice.
    """
    path, media = Path(path), Path(media)
    media.mkdir(parents=True, exist_ok=True)
    images = _Images(path, media)
    seen: set[str] = set()
    for number, row in enumerate(_rows(path)):
        index = row.get("index") or str(number)
        if index in seen:
            remedy = "give every row its own index"
            raise VesaliusError("two rows have this index", file=path, case=index, remedy=remedy, code="duplicate")
        seen.add(index)
        yield _sample(index, row, images)


def write(samples: Iterable[Sample], path: str | Path) -> int:
    """Writes samples as `read` takes them, under a temporary name first; returns how many.

    Samples are taken one at a time. Options go to A, B, … (where `metadata["letters"]` says otherwise, to those),
    images into the file as they lie on disk, metadata to columns of their own. `type` is written where reading would
    not find the same.

    Raises:
        VesaliusError: a sample has a medium other than images, more options than letters, or an image is not there.
    """
    columns: dict[str, None] = {}
    count = 0
    with replacing(path) as temporary, tempfile.TemporaryFile() as spool:
        # The header needs every row's columns: rows wait on disk, their images as paths.
        for sample in samples:
            row, images = _row(sample)
            columns.update(dict.fromkeys(k for k, v in row.items() if v is not None))
            if images:
                columns["image"] = None
            if len(images) > 1:  # VLMEvalKit names the images of a list by this column
                columns["image_path"] = None
            pickle.dump((row, images), spool)
            count += 1
        spool.seek(0)
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            header = _header(columns)
            writer.writerow(header)
            for _ in range(count):
                row, images = pickle.load(spool)  # our own bytes, written above
                if images:
                    row["image"] = _cell([_encoded(image, row["index"]) for image in images])
                    row["image_path"] = _cell([f"{row['index']}_{i}{Path(p).suffix}" for i, p in enumerate(images)])
                writer.writerow(["" if row.get(name) is None else row[name] for name in header])
    return count


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """Rows as dictionaries of what is not blank."""
    csv.field_size_limit(sys.maxsize)  # a cell holds a whole image
    try:
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            lines = (line.replace("\0", "") for line in file)
            reader = csv.reader(lines, delimiter="\t")
            header = [name.strip() for name in next(reader, [])]
            if "question" not in header:
                found = f"has no column «question» but {', '.join(header[:12])}" if any(header) else "is empty"
                remedy = "name a TSV as VLMEvalKit reads it: index, image, question, A, B, …, answer"
                raise VesaliusError(found, file=path, remedy=remedy, code="columns")
            for cells in reader:
                row = {
                    k: c for k, c in zip(header, map(str.strip, cells), strict=False) if c.lower() not in ("", "nan")
                }
                if row:
                    yield row
    except (OSError, csv.Error) as error:
        raise VesaliusError(f"cannot be read ({error})", file=path, code="unreadable") from None


def _sample(index: str, row: Mapping[str, str], images: "_Images") -> Sample:
    paths, problem = images.of(index, row)
    letters = "".join(letter for letter in LETTERS if letter in row)
    options = tuple(row[letter] for letter in letters)
    if len(options) < 2:
        letters, options = "", ()
    kind, expected, wrong = _answer(row, letters, options)
    problem = problem or wrong
    metadata: dict[str, Any] = {"index": index}
    for name, cell in row.items():
        if name not in _TAKEN and not (name in letters or (name == "type" and cell in QUESTION_TYPES)):
            metadata.setdefault(snake_case(name), cell)
    if letters != LETTERS[: len(letters)]:
        metadata["letters"] = letters
    if problem:
        metadata["problem"] = problem
    hint = (Part.of_text(f"Hint: {row['hint']}\n"),) if "hint" in row else ()
    parts = (*(Part.of("image", image) for image in paths), *hint, Part.of_text(row.get("question", "")))
    message = Message("assistant", (Part.of_text(expected),)) if expected is not None else None
    return Sample(Question(index, (Message("user", parts),), options, kind), message, metadata)


def _answer(row: Mapping[str, str], letters: str, options: tuple[str, ...]) -> tuple[str, str | None, str | None]:
    """(type, expected text, problem)."""
    given = row.get("answer")
    said = row.get("type") if row.get("type") in QUESTION_TYPES else None
    if not options:
        if said in ("choice", "choices"):
            return "open", given, "a choice without options"
        yes_no = (given or "").lower().rstrip(".") in ("yes", "no")
        return said or ("yes_no" if yes_no else "open"), given, None
    if given is None:
        return said or "choice", None, None
    chosen = _letters(given, letters, options)
    if chosen is None:
        return said or "choice", None, f"the answer «{given[:40]}» is no option"
    expected = ",".join(LETTERS[letters.index(letter)] for letter in chosen)
    return said or ("choices" if len(chosen) > 1 else "choice"), expected, None


def _letters(given: str, letters: str, options: tuple[str, ...]) -> list[str] | None:
    """The file's letters that an answer names: `B`, `b.`, `(B)`, `A,C`, `AC`, `['A', 'C']`, or an option's text."""
    same = [letter for letter, text in zip(letters, options, strict=True) if text == given]
    if len(given) > 1 and len(same) == 1:  # «BED» is the option, but «A» is the letter even where an option reads "A"
        return same
    if re.fullmatch(r"[A-Za-z\s,;/&\[\](){}'\".]+", given):
        words = re.findall(r"[A-Za-z]+", given.upper())
        named = sorted({letter for word in words for letter in word})
        # «A CAD» is no list of letters, «ACD» and «A C D» are.
        alike = all(len(word) == 1 for word in words) or (len(words) == 1 and (words[0] == given or len(given) < 4))
        if named and alike and all(letter in letters for letter in named):
            return named
    return same if len(same) == 1 else None


class _Images:
    """Image cells to files: remembers which row has which, so that others can refer to it."""

    def __init__(self, path: Path, media: Path):
        self.path, self.media = path, media
        self.known: dict[str, list[str]] = {}
        self.complete = False

    def of(self, index: str, row: Mapping[str, str]) -> tuple[list[str], str | None]:
        """(paths, problem) of a row's images; a path of no file where one cannot be had."""
        cell = row.get("image")
        try:
            if cell is None:
                return [self._copied(name) for name in _listed(row.get("image_path"))], None
            if len(cell) <= REFERENCE and not cell.startswith("["):
                return self._referred(cell), None
            self.known[index] = [self._saved(text) for text in _listed(cell)]
            return self.known[index], None
        except (ValueError, OSError) as error:
            return [str(self.media / f"missing-{re.sub(r'[^0-9A-Za-z]', '-', index)}")], f"no image: {error}"

    def _referred(self, index: str) -> list[str]:
        if index not in self.known and not self.complete:
            self.complete = True  # a row further down: go through the file once
            for number, row in enumerate(_rows(self.path)):
                if len(row.get("image", "")) > REFERENCE:
                    self.of(row.get("index") or str(number), row)
        if index not in self.known:
            raise ValueError(f"no row «{index}» has one")
        return self.known[index]

    def _saved(self, text: str) -> str:
        text = re.sub(r"^data:[^,]*,", "", text)
        try:
            data = base64.b64decode("".join(text.split()), validate=True)
        except binascii.Error as error:
            raise ValueError(f"this is no base64 ({error})") from None
        target = self.media / f"{hashlib.sha256(data).hexdigest()}.{_suffix(data)}"
        if not target.exists():
            with replacing(target) as temporary:
                Path(temporary).write_bytes(data)
        return str(target)

    def _copied(self, name: str) -> str:
        source = self.path.parent / name  # an absolute name stays itself
        with open(source, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            target = self.media / f"{digest}.{_suffix(file.read(16))}"
        if not target.exists():
            with replacing(target) as temporary:
                shutil.copyfile(source, temporary)
        return str(target)


def _listed(cell: str | None) -> list[str]:
    """A cell that may be a Python or JSON list of texts."""
    if not cell:
        return []
    if cell.startswith("[") and cell.endswith("]"):
        try:
            return [str(item) for item in ast.literal_eval(cell)]
        except (ValueError, SyntaxError, MemoryError):
            raise ValueError("this is no list of images") from None
    return [cell]


def _cell(items: list[str]) -> str:
    return items[0] if len(items) == 1 else json.dumps(items)


def _suffix(data: bytes) -> str:
    """By the first bytes; "bin" where they say nothing."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return next((suffix for magic, suffix in _MAGIC.items() if data.startswith(magic)), "bin")


def _encoded(path: str, case: str) -> str:
    try:
        return base64.b64encode(Path(path).read_bytes()).decode()
    except OSError as error:
        raise VesaliusError(f"cannot be read ({error.strerror})", file=path, case=case, code="unreadable") from None


def _row(sample: Sample) -> tuple[dict[str, Any], list[str]]:
    """A sample as cells by column, and its images' paths."""
    question = sample.question
    parts = question.messages[-1].parts
    other = next((part.type for part in question.media if part.type != "image"), None)
    if other or len(question.messages) != 1:
        problem = f"has a {other}" if other else "has several messages"
        remedy = "this layout takes one message of images and text; use records.write_samples"
        raise VesaliusError(problem, case=question.id, remedy=remedy, code="medium")
    letters = sample.metadata.get("letters") or LETTERS[: len(question.options)]
    if len(letters) != len(question.options):
        raise VesaliusError(f"has {len(question.options)} options, more than letters", case=question.id, code="record")
    texts = [part.text or "" for part in parts if part.type == "text"]
    row = {SPELLED.get(k, k): v for k, v in sample.metadata.items() if k not in ("letters", "problem", "index")}
    if "hint" in row:
        texts = texts[1:]
    row |= {"index": question.id, "question": "".join(texts), **dict(zip(letters, question.options, strict=True))}
    expected = "".join(part.text or "" for part in sample.expected.parts) if sample.expected else None
    if expected and question.options:
        places = [LETTERS.index(letter) for letter in expected.split(",")]
        row["answer"] = ",".join(letters[place] for place in places)
    else:
        row["answer"] = expected
    cells = {k: str(v) for k, v in row.items() if isinstance(v, str | int | float | bool)}
    if _answer(cells, letters, question.options)[0] != question.type:
        row["type"] = question.type
    return row, [os.fspath(part.path) for part in question.media if part.path]


def _header(columns: Mapping[str, None]) -> list[str]:
    """The published order; A to E are there wherever there are options."""
    letters = [name for name in columns if name in LETTERS]
    wanted = {*columns, "index", "question", "answer", *("ABCDE" if letters else ())}
    return [name for name in _FIRST if name in wanted] + [name for name in columns if name not in _FIRST]
