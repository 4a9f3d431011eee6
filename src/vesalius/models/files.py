"""Predictions that somebody sent in: `files:PATH`, a table of answers by case, or a folder of masks.

    CSV, TSV, JSON, JSON Lines, XLSX     columns case|index|id|qid|doc_id and answer|prediction|response|text|resps
    folder                               masks, one a case (see `formats/masks`)

Reads XLSX as VLMEvalKit writes it and the sample logs of lm-evaluation-harness (`doc_id`, `filtered_resps`). A case
that is not there is a failed answer, never a silent miss. Options `id` and `answer` name other columns.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from vesalius.errors import VesaliusError
from vesalius.formats.questions import objects, rows_of
from vesalius.models.protocol import Generation
from vesalius.records import MEDIA, Answer, Message, Part, Question
from vesalius.run import file_hash, file_stamp
from vesalius.select import snake_case

_IDS = ("case", "index", "id", "qid", "question_id", "doc_id", "sample_id")
_ANSWERS = ("prediction", "answer", "response", "output", "text", "filtered_resps", "resps", "choice")


class Options(Generation):
    """Which columns hold what, where they have other names."""

    id: str = Field("", description="Column of the case.")
    answer: str = Field("", description="Column of the answer.")


class Files:
    """See the module."""

    media = frozenset(MEDIA)
    sent_in = True

    def __init__(self, path: Path, name: str, options: Options):
        self.path = path
        self.name = name
        self.options = options
        self._given: dict[str, Any] | None = None

    def identity(self) -> dict[str, Any]:
        """The hash of the file, or sizes and times of a folder's files."""
        seen = file_stamp(self.path) if self.path.is_dir() else file_hash(self.path)
        return {"backend": "files", "content": seen, "id": self.options.id, "answer": self.options.answer}

    def check(self) -> str:
        """Reads it and says how many answers it holds."""
        return f"{len(self.given):,} answers in {self.path.name}"

    @property
    def given(self) -> Mapping[str, Any]:
        """Answers by case: text, or a mask's entry.

        Raises:
            VesaliusError: no such file, no column of cases or answers, a case twice.
        """
        if self._given is None:
            self._given = self._masks() if self.path.is_dir() else self._table()
        return self._given

    def _masks(self) -> dict[str, Any]:
        from vesalius.formats.masks import find_cases

        return dict(find_cases(self.path))

    def _table(self) -> dict[str, Any]:
        rows = list(_rows(self.path))
        if not rows:
            raise VesaliusError("holds no answers", file=self.path, remedy="check the file", code="empty")
        names = {snake_case(key): key for row in rows[:50] for key in row}
        ids = _column(self.path, names, self.options.id, _IDS, "cases")
        # A table of VLMEvalKit's holds the truth as `answer` beside the `prediction`.
        words = _column(self.path, names, self.options.answer, _ANSWERS, "answers")
        out: dict[str, Any] = {}
        for row in rows:
            case = _plain(row.get(ids))
            if case in out:
                remedy = "keep one row a case"
                raise VesaliusError("has two answers", file=self.path, case=case, remedy=remedy, code="duplicate")
            out[case] = _words(row.get(words))
        return out

    def answer(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """What the file says about each."""
        given = self.given
        for question in questions:
            if question.id not in given:
                reason = f"{self.path.name} has no answer for it"
                yield Answer(question.id, status="failed", reason=reason)
                continue
            found = given[question.id]
            if isinstance(found, str):
                yield Answer.of_text(question.id, found)
            elif found.organs:
                reason = "a mask that is a folder of organs is scored by `bench score`"
                yield Answer(question.id, status="failed", reason=reason)
            else:
                yield Answer(question.id, Message("assistant", (Part.of("mask", found.path),)))

    def close(self) -> None:
        """Forgets what was read."""
        self._given = None


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    match path.suffix.lower():
        case ".xlsx":
            yield from _sheet(path)
        case ".csv" | ".tsv" | ".txt":
            yield from rows_of(path)
        case ".json" | ".jsonl" | ".ndjson":
            yield from objects(path)
        case other:
            remedy = "give CSV, TSV, JSON, JSON Lines, XLSX, or a folder of masks"
            raise VesaliusError(f"answers are not read from {other or 'it'}", file=path, remedy=remedy, code="format")


def _sheet(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of the first sheet."""
    import zipfile

    from openpyxl import load_workbook

    try:
        rows = load_workbook(path, read_only=True, data_only=True).worksheets[0].iter_rows(values_only=True)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise VesaliusError(f"is no XLSX that can be read ({error})", file=path, code="unreadable") from None
    header = [str(cell or "") for cell in next(rows, ())]
    yield from (dict(zip(header, row, strict=False)) for row in rows)


def _column(path: Path, names: Mapping[str, str], asked: str, usual: Iterable[str], what: str) -> str:
    wanted = [snake_case(asked)] if asked else list(usual)
    found = next((name for name in wanted if name in names), None)
    if found is None:
        option = "id" if what == "cases" else "answer"
        remedy = f"name it: files:{path.name}?{option}=COLUMN; there are {', '.join(names.values())}"
        raise VesaliusError(f"has no column of {what}", file=path, remedy=remedy, code="columns")
    return names[found]


def _plain(cell: Any) -> str:
    """An id as text; spreadsheets make 7.0 of 7."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def _words(cell: Any) -> str:
    """An answer as text; lm-evaluation-harness keeps lists of lists."""
    while isinstance(cell, list) and cell:
        cell = cell[0]
    if cell is None or cell == [] or cell != cell:
        return ""
    return cell if isinstance(cell, str) else _plain(cell) if isinstance(cell, int | float) else json.dumps(cell)


def connect(target: str, name: str, options: Options) -> Files:
    """`files:PATH`.

    Raises:
        VesaliusError: there is nothing.
    """
    path = Path(target)
    if not path.exists():
        raise VesaliusError("there is no such file", file=path, remedy="check the path", code="unreadable")
    return Files(path, name, options)
