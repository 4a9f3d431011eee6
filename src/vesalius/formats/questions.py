"""A file of questions, whatever its layout ↔ samples: which reader fits, and tables and lists that anybody writes.

    gmai         TSV of VLMEvalKit, GMAI-MMBench's own (`formats/gmai.py`)
    slidebench   SlideBench as CSV, or as JSON with `samples` (`formats/slidebench.py`)
    proteinlm    ProteinLMBench as JSON with `option 1:`, or as JSON Lines with letters (`formats/proteinlm.py`)
    vqa_rad      VQA-RAD's JSON (`formats/vqa_rad.py`)
    samples      Parquet of `records.write_samples`
    rows         CSV, TSV, JSON or JSON Lines with `question`, perhaps A, B, … or `options`, `answer`, `image`, `id`

Knows how a layout is told from another, and rows of the last kind. Leaves who answers to `models/`, and what is right
to `bench/`. Media are looked for beside the file and in the folders given; one that is not found keeps its expected
path, so that it can be said which is missing.
"""

import ast
import csv
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vesalius.errors import VesaliusError
from vesalius.records import QUESTION_TYPES, Message, Part, Question, Sample, read_samples
from vesalius.select import snake_case

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NAMES = {  # what a column or key may be called, in snake_case
    "id": ("id", "index", "qid", "question_id", "case", "doc_id"),
    "question": ("question", "query", "prompt", "input"),
    "answer": ("answer", "label", "target", "gold", "expected", "answer_key"),
    "options": ("options", "choices"),
    "image": ("image", "image_path", "images", "image_paths", "img", "file_name"),
}
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


@dataclass(frozen=True)
class QuestionFile:
    """A file of questions that a reader fits.

    Attributes:
        path: the file.
        layout: see the module.
        samples: makes a fresh iterator over its samples, in the file's order.
        tree: taxonomy columns from the root on, of those that this layout usually has.
        cluster: column whose value several questions share (an image, a slide); None where their media tell.
    """

    path: Path
    layout: str
    samples: Callable[[], Iterator[Sample]]
    tree: tuple[str, ...] = ()
    cluster: str | None = None


@dataclass(frozen=True)
class Places:
    """Where media lie: the file's own folder first, then those given."""

    folders: tuple[Path, ...]

    def find(self, name: str, suffixes: Sequence[str] = ("",)) -> str:
        """The first file of that name; where there is none, the name in the first folder."""
        for folder in self.folders:
            for suffix in suffixes:
                if (path := folder / (name + suffix)).exists():
                    return str(path)
        return str(self.folders[0] / (name + suffixes[0]))


def open_questions(path: str | Path, media: str | Path, folders: Iterable[str | Path] = ()) -> QuestionFile:
    """The file with the reader that fits it; nothing but its beginning is read.

    Args:
        path: the file.
        media: a folder where images that the file itself holds are put, by their hash.
        folders: where else to look for media that the file names.

    Raises:
        VesaliusError: no such file, or no reader fits.
    """
    from vesalius.formats import gmai, proteinlm, slidebench, vqa_rad

    path = Path(path)
    if not path.is_file():
        raise VesaliusError("there is no such file", file=path, remedy="check the path", code="unreadable")
    near = (path.parent, path.parent / "images", path.parent / "slides")
    places = Places((*near, *(Path(folder) for folder in folders)))
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return QuestionFile(path, "samples", lambda: iter(read_samples(path)))
    if suffix in (".tsv", ".csv", ".txt"):
        columns = header(path)
        if slidebench.fits(columns):
            return QuestionFile(
                path, "slidebench", partial(slidebench.read_csv, path, places), slidebench.TREE, slidebench.CLUSTER
            )
        if "question" in columns and suffix == ".tsv":
            return QuestionFile(path, "gmai", partial(gmai.read, path, media))
        if "question" in map(snake_case, columns):
            return QuestionFile(path, "rows", partial(_rows, path, partial(rows_of, path), places))
        remedy = "name the column of the questions `question`"
        raise VesaliusError(f"has no such column: {', '.join(columns[:12])}", file=path, remedy=remedy, code="columns")
    if suffix in (".json", ".jsonl", ".ndjson"):
        first = _first(path)
        for reader in (slidebench, vqa_rad, proteinlm):
            if reader.fits(first):
                tree, cluster = reader.TREE, reader.CLUSTER
                return QuestionFile(
                    path, reader.__name__.rpartition(".")[2], partial(reader.read_json, path, places), tree, cluster
                )
        return QuestionFile(path, "rows", partial(_rows, path, partial(objects, path), places))
    remedy = "give TSV, CSV, JSON, JSON Lines or Parquet"
    raise VesaliusError(f"questions are not read from {suffix or 'files without a suffix'}", file=path, remedy=remedy,
                        code="format")  # fmt: skip


def delimiter(path: Path) -> str:
    """Tab where the first line has one, else the more frequent of comma and semicolon."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        line = file.readline(100_000)
    return "\t" if "\t" in line else max(",;", key=line.count)


def header(path: Path) -> list[str]:
    """Names of a table's columns."""
    csv.field_size_limit(sys.maxsize)
    try:
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            return [name.strip() for name in next(csv.reader(file, delimiter=delimiter(path)), [])]
    except (OSError, csv.Error) as error:
        raise VesaliusError(f"cannot be read ({error})", file=path, code="unreadable") from None


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a CSV, one at a time, every cell as it stands: «NA» may be an option."""
    csv.field_size_limit(sys.maxsize)
    try:
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            for row in csv.DictReader(file, delimiter=delimiter(path)):
                yield {k.strip(): v.strip() for k, v in row.items() if k and isinstance(v, str)}
    except (OSError, csv.Error) as error:
        raise VesaliusError(f"cannot be read ({error})", file=path, code="unreadable") from None


def objects(path: Path) -> Iterator[dict[str, Any]]:
    """Objects of a JSON list (also of one under its only list-valued key) or of JSON Lines, one at a time.

    Raises:
        VesaliusError: it is neither, naming the line.
    """
    if path.suffix.lower() != ".json":
        with open(path, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _object(line, path, number)
        return
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise VesaliusError(f"cannot be read as JSON ({error})", file=path, code="unreadable") from None
    if isinstance(value, dict):
        value = next((inner for inner in value.values() if isinstance(inner, list)), [value])
    yield from (item for item in value if isinstance(item, dict))


def _object(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        remedy = "one JSON object a line"
        raise VesaliusError(
            f"line {number} is no JSON ({error})", file=path, remedy=remedy, code="unreadable"
        ) from None
    if not isinstance(value, dict):
        raise VesaliusError(
            f"line {number} is no object", file=path, remedy="one JSON object a line", code="unreadable"
        )
    return value


def _first(path: Path) -> dict[str, Any]:
    first = next(objects(path), None)
    if first is None:
        raise VesaliusError("holds no question", file=path, remedy="check the file", code="empty")
    return first


def sample(
    id: str, text: str, options: Sequence[str], answer: Any, media: Sequence[Part], metadata: Mapping[str, Any],
    kind: str | None = None,
) -> Sample:  # fmt: skip
    """A sample from what most layouts have; options without their letters, the answer as a letter or in words.

    Of a choice the expected text is a letter in the file's order ("B"), of several "A,C". An answer that is no option
    is not expected, and `problem` in the metadata says so.
    """
    options = tuple(option.strip() for option in options)
    if len(options) < 2:
        options = ()
    words = "" if answer is None else str(answer).strip()
    expected: str | None = words or None
    kept = dict(metadata)
    if options:
        places = chosen(words, options)
        expected = ",".join(LETTERS[place] for place in places) if places else None
        if kind not in ("choice", "choices"):
            kind = "choices" if places and len(places) > 1 else "choice"
        if words and not places:
            kept["problem"] = f"the answer «{words[:40]}» is no option"
    elif kind not in QUESTION_TYPES or kind in ("choice", "choices"):
        kind = "yes_no" if words.lower().rstrip(".") in ("yes", "no") else "open"
    message = Message("assistant", (Part.of_text(expected),)) if expected else None
    question = Question(id, (Message("user", (*media, Part.of_text(text.strip()))),), options, kind or "open")
    return Sample(question, message, kept)


def chosen(answer: str, options: Sequence[str]) -> list[int]:
    """Places of the options that an answer key names: `B`, `(b)`, `A,C`, `AC`, `option 2`, or an option's own words."""
    alike = [place for place, option in enumerate(options) if option == answer]
    if len(alike) == 1 and len(answer) > 1:
        return alike
    if found := re.fullmatch(r"option\s*(\d+)", answer, re.IGNORECASE):
        return [int(found[1]) - 1] if 1 <= int(found[1]) <= len(options) else []
    letters = re.sub(r"[\s,;/&\[\]()'\".]|and", "", answer)
    places = [LETTERS.find(letter) for letter in letters.upper()]
    if places and len(set(places)) == len(places) and all(0 <= place < len(options) for place in places):
        return sorted(places)
    return alike if len(alike) == 1 else []


def _rows(path: Path, rows: Callable[[], Iterable[Mapping[str, Any]]], places: Places) -> Iterator[Sample]:
    seen: set[str] = set()
    for number, raw in enumerate(rows()):
        row = {snake_case(k): v for k, v in raw.items() if v not in (None, "", [])}
        lettered = [letter for letter in LETTERS if raw.get(letter) not in (None, "")]
        names = {what: next((n for n in known if n in row), None) for what, known in _NAMES.items()}
        if names["question"] is None:
            remedy = "each needs a `question`"
            raise VesaliusError(f"row {number} has no question", file=path, remedy=remedy, code="columns")
        id = str(row[names["id"]]) if names["id"] else str(number)
        if id in seen:
            raise VesaliusError(
                "two questions have this id", file=path, case=id, remedy="give each its own", code="duplicate"
            )
        seen.add(id)
        options = [str(raw[letter]) for letter in lettered] or _options(row.get(names["options"] or "", ()))
        images = _list(row.get(names["image"] or "", ()))
        media = [Part.of("image", places.find(str(image))) for image in images]
        taken = {name for name in names.values() if name} | {letter.lower() for letter in lettered} | {"type"}
        metadata = {k: v for k, v in row.items() if k not in taken and isinstance(v, str | int | float | bool)}
        answer = row.get(names["answer"] or "")
        if isinstance(answer, list):
            answer = ",".join(map(str, answer))
        if isinstance(answer, int) and options and not isinstance(answer, bool) and 0 <= answer < len(options):
            answer = LETTERS[answer]  # as lm-eval's tasks have it
        yield sample(id, str(row[names["question"]]), options, answer, media, metadata, row.get("type"))


def _list(value: Any) -> list[Any]:
    if isinstance(value, str) and value.startswith("["):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            value = [value]
    return [value] if isinstance(value, str) else list(value or ())


def _options(value: Any) -> list[str]:
    """A list, a dictionary by letter, or the text of one; letters in front of options are taken off."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return []
    if isinstance(value, Mapping):
        value = value.get("text", value.values())  # ARC's {"text": […], "label": […]}
    return without_letters([str(item) for item in _list(value)])


def without_letters(options: Sequence[str]) -> list[str]:
    """Options without «A) », «B. », «option 3: » in front, where every one has its own."""
    for pattern in (r"\(?{letter}[).:]\s*", r"option\s*{number}\s*[:.)]\s*"):
        forms = [pattern.format(letter=LETTERS[i], number=i + 1) for i in range(min(len(options), len(LETTERS)))]
        found = [re.match(form, option, re.IGNORECASE) for form, option in zip(forms, options, strict=False)]
        if options and len(found) == len(options) and all(found):
            return [option[m.end() :] for m, option in zip(found, options, strict=True) if m]
    return list(options)
