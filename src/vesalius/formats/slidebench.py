"""SlideBench's questions: CSV as published (VQA-TCGA, VQA-BCNB), or JSON with `samples` → samples.

    CSV    ID, Slide, Tumor, Broad Category, Narrow Category, Question, A, B, C, D, Answer   (BCNB: Slide, Task, …)
    JSON   {"samples": [{"slide_id", "question", "choices": ["A) …"], "answer", "category": "Diagnosis - Grading"}]}

Knows these columns. A slide that is not there keeps its expected path. The id is the file's own, else the row from 0.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vesalius.errors import VesaliusError
from vesalius.formats.questions import LETTERS, Places, objects, rows_of, sample, without_letters
from vesalius.records import Part, Sample
from vesalius.select import snake_case

TREE = ("broad_category", "narrow_category")
CLUSTER = "slide"
_SLIDES = (".svs", ".ndpi", ".tif", ".tiff", ".mrxs", ".scn", ".jpg", ".png", ".pt", ".h5")
_TAKEN = {"id", "question", "answer", "options", "answer_index", "image_path", "index"}


def fits(head: Sequence[str] | Mapping[str, Any]) -> bool:
    """Whether columns, or the first object, are SlideBench's."""
    names = {snake_case(name) for name in head}
    return {"slide", "question", "answer"} <= names or {"slide_id", "question", "choices"} <= names


def read_csv(path: Path, places: Places) -> Iterator[Sample]:
    """Rows of the CSV; pandas' index columns in front are dropped."""
    seen: set[str] = set()
    for number, raw in enumerate(rows_of(path)):
        row = {snake_case(k): v for k, v in raw.items()}
        id = row.get("id") or str(number)
        if id in seen:
            raise VesaliusError(
                "two questions have this id", file=path, case=id, remedy="give each its own", code="duplicate"
            )
        seen.add(id)
        options = [raw[letter] for letter in LETTERS if raw.get(letter)]
        letters = {letter.lower() for letter in LETTERS}
        metadata = {
            k: v for k, v in row.items() if v and k not in _TAKEN | letters and not k.startswith(("unnamed", "column_"))
        }
        slide = Part.of("slide", places.find(row.get("slide", ""), _SLIDES))
        yield sample(id, row.get("question", ""), options, row.get("answer"), [slide], metadata)


def read_json(path: Path, places: Places) -> Iterator[Sample]:
    """Items of `samples`; «Diagnosis - Grading» becomes a broad and a narrow category."""
    for number, item in enumerate(objects(path)):
        broad, _, narrow = str(item.get("category", "")).partition(" - ")
        metadata = {"slide": item.get("slide_id", ""), "broad_category": broad, "narrow_category": narrow}
        slide = Part.of("slide", places.find(str(item.get("slide_id", "")), _SLIDES))
        options = without_letters([str(choice) for choice in item.get("choices", ())])
        kept = {k: v for k, v in metadata.items() if v}
        yield sample(
            str(item.get("id", number)), str(item.get("question", "")), options, item.get("answer"), [slide], kept
        )
