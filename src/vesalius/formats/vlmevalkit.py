"""Predictions as VLMEvalKit keeps them: `MODEL/MODEL_BENCHMARK.xlsx`, columns `index, question, A, …, prediction`.

Knows its columns and where it looks for them. Leaves reading such files to `models/files`.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from vesalius.formats.questions import LETTERS
from vesalius.records import Answer, Sample
from vesalius.run import replacing

_MOST = 32_000  # characters of a cell; Excel takes 32,767
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def write_predictions(out: Path, model: str, benchmark: str, answers: Iterable[tuple[Sample, Answer]]) -> Path:
    """One workbook; returns its path. Metadata are columns, as in the benchmark's own table; images are left out."""
    from openpyxl import Workbook

    kept = [(sample, answer.text) for sample, answer in answers]
    letters = LETTERS[: max((len(sample.question.options) for sample, _ in kept), default=0)]
    metadata = list(dict.fromkeys(key for sample, _ in kept for key in sample.metadata if key != "index"))
    plain = re.sub(r"[^\w.-]+", "_", model).strip("_")
    path = out / plain / f"{plain}_{benchmark}.xlsx"
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(["index", "question", *letters, "answer", *metadata, "prediction"])
    for sample, text in kept:
        options = sample.question.options
        words = "".join(part.text or "" for part in sample.question.messages[-1].parts if part.type == "text")
        row = [sample.question.id, words, *(options[i] if i < len(options) else None for i in range(len(letters)))]
        row += [sample.truth, *(sample.metadata.get(key) for key in metadata), text]
        sheet.append([_cell(value) for value in row])
    with replacing(path) as temporary:
        book.save(temporary)
    return path


def _cell(value: object) -> object:
    """What a sheet takes: an id that is a number as one, texts without control characters and not too long."""
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"[1-9]\d{0,14}|0", value) else _CONTROL.sub(" ", value)[:_MOST]
    return value if isinstance(value, int | float | bool | None) else str(value)
