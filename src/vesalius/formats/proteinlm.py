"""ProteinLMBench's questions → samples.

    JSON         [{"question", "options": ["option 1: …"], "answer": "option 3", "explanation"}]     the official layout
    JSON Lines   {"question": "…\\nA:…\\nB:…\\nThe final option … $\\\\boxed{}$", "label": "A", "summary"}

The second holds its options inside the question: they are taken out, and so is the instruction on the answer's form,
which is the prompt's business. The official layout was tried on made-up files only.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vesalius.formats.questions import Places, objects, sample, without_letters
from vesalius.records import Sample

TREE: tuple[str, ...] = ()
CLUSTER = None
_CHOOSE = re.compile(r"\n\s*please choose one of the following options[^\n]*\n", re.IGNORECASE)
_BOXED = re.compile(r"\n[^\n]*\\boxed\{\}[^\n]*\s*$")
_OPTION = re.compile(r"^([A-Z])\s*[:.)]\s*", re.MULTILINE)


def fits(head: Mapping[str, Any]) -> bool:
    """Whether the first object is ProteinLMBench's, in either layout."""
    if {"question", "label"} <= head.keys() and "options" not in head:
        return bool(_CHOOSE.search(str(head["question"])))
    options = head.get("options")
    return isinstance(options, list) and all(re.match(r"option\s*\d", str(option), re.IGNORECASE) for option in options)


def read_json(path: Path, places: Places) -> Iterator[Sample]:
    """Both layouts; the id is the row from 0."""
    for number, item in enumerate(objects(path)):
        if "options" in item:
            text = str(item["question"])
            options = without_letters([str(option) for option in item["options"]])
        else:
            text, options = _inside(str(item["question"]))
        why = item.get("explanation") or item.get("summary")
        metadata = {"explanation": str(why)} if why else {}
        yield sample(str(number), text, options, item.get("answer", item.get("label")), (), metadata)


def _inside(question: str) -> tuple[str, list[str]]:
    """The question's own words, and the options that follow them."""
    text, *rest = _CHOOSE.split(_BOXED.sub("", question), maxsplit=1)
    if not rest:
        return text, []
    starts = list(_OPTION.finditer(rest[0]))
    ends = [start.start() for start in starts[1:]] + [len(rest[0])]
    return text, [rest[0][start.end() : end].strip() for start, end in zip(starts, ends, strict=True)]
