"""The cases of a challenge as questions that tell nothing but what is asked.

A case is asked under a number, and numbers are dealt by the challenge's seed: neither says which case it is. Knows
folders of images and files of questions; leaves their formats to `formats/`, and who is asked to `runner.py`.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vesalius.bench.challenge.schema import Challenge
from vesalius.errors import VesaliusError
from vesalius.formats.labels import LabelMap, find_label_map, label_map
from vesalius.formats.masks import Entry, find_cases, find_images
from vesalius.formats.metadata import read_metadata
from vesalius.formats.pairs import pair
from vesalius.formats.questions import open_questions
from vesalius.models.prompt import Prompt, render
from vesalius.records import Message, Part, Question, Sample


@dataclass(frozen=True)
class HiddenCase:
    """A case and what is asked of it.

    Attributes:
        name: how tables call it; no model sees it.
        question: what a model sees; its id is a number.
        sample: of a question, with what is expected.
        reference: of a mask.
    """

    name: str
    question: Question
    sample: Sample | None = None
    reference: Entry | None = None


def find_hidden_cases(challenge: Challenge, media: Path) -> list[HiddenCase]:
    """The cases in the order in which they are asked.

    Args:
        challenge: which.
        media: folder for images that a file of questions holds within itself.

    Raises:
        VesaliusError: images and labels do not belong together, a column of `reveal` is not there, no cases.
    """
    cases = _masks(challenge) if challenge.kind == "masks" else _questions(challenge, media)
    if not cases:
        raise VesaliusError("has no cases", file=challenge.file, remedy="check its paths", code="challenge")
    cases.sort(key=lambda case: case.name)
    random.Random(challenge.seed).shuffle(cases)
    digits = len(str(len(cases)))
    return [
        replace(case, question=replace(case.question, id=f"{number:0{digits}}")) for number, case in enumerate(cases, 1)
    ]


def structures_of(challenge: Challenge) -> LabelMap | None:
    """Names and ids of what is to be segmented: the file's, or those beside the labels."""
    if challenge.structures:
        return label_map(dict(challenge.structures), challenge.file)
    return find_label_map(challenge.labels) if challenge.labels else None


def _masks(challenge: Challenge) -> list[HiddenCase]:
    assert challenge.images is not None and challenge.labels is not None
    images = find_images(challenge.images)
    found = pair(
        {name: Entry(name, path) for name, path in images.items()}, find_cases(challenge.labels), challenge.pattern
    )
    for key, alone in (("images", found.only_predictions), ("labels", found.only_references)):
        if alone:
            other = "label" if key == "images" else "image"
            problem = f"{len(alone)} of its {key} have no {other}: {', '.join(list(alone)[:5])}"
            remedy = "remove or add them, or say with `pattern` how names hold the case"
            raise VesaliusError(problem, file=challenge.file, remedy=remedy, code="challenge")
    known = _metadata(challenge, list(found.matched))
    ask = challenge.ask or _request(structures_of(challenge))
    cases = []
    for name, (image, reference) in found.matched.items():
        parts = [Part.of("volume", path) for path in _channels(image.path)]
        parts.append(Part.of_text(ask + _revealed(known.get(name, {}), challenge)))
        question = Question("", (Message("user", tuple(parts)),), type="mask")
        cases.append(HiddenCase(name, question, reference=reference))
    return cases


def _request(structures: LabelMap | None) -> str:
    what = "the structures"
    if structures is not None:
        named = [f"{name} ({' or '.join(map(str, ids))})" for name, ids in structures.targets.items()]
        what = ", ".join(named) or what
    return f"Segment {what}. Answer with one label volume on the grid of the first volume."


def _channels(image: Path) -> list[Path]:
    """All channels of an image: nnU-Net numbers them (case_0000.nii.gz, case_0001.nii.gz, …)."""
    stem, zero, suffix = image.name.rpartition("_0000")
    if image.is_dir() or not zero or not suffix.startswith("."):
        return [image]
    others = (image.with_name(f"{stem}_{n:04}{suffix}") for n in range(100))
    return [path for path in others if path.exists()]


def _metadata(challenge: Challenge, names: list[str]) -> Mapping[str, Mapping[str, Any]]:
    if challenge.metadata is None:
        return {}
    frame = read_metadata(challenge.metadata, names).frame
    _check_reveal(challenge, [column for column in frame.columns if column != "case"])
    return {row["case"]: row for row in frame.iter_rows(named=True)}


def _questions(challenge: Challenge, media: Path) -> list[HiddenCase]:
    """Questions of any layout that `formats/questions` reads; a new one is a reader there."""
    assert challenge.questions is not None
    samples = list(open_questions(challenge.questions, media).samples())
    _check_reveal(challenge, sorted({key for sample in samples for key in sample.metadata}))
    cases = []
    for sample in samples:
        question = render(sample.question, Prompt())
        told = _revealed(sample.metadata, challenge)
        more = "\n".join(words for words in (challenge.ask or "", told.strip()) if words)
        if more:
            *before, last = question.messages
            last = replace(last, parts=(*last.parts, Part.of_text(f"\n{more}")))
            question = replace(question, messages=(*before, last))
        cases.append(HiddenCase(sample.question.id, question, sample=sample))
    if len({case.name for case in cases}) < len(cases):
        problem = "two questions have the same id"
        raise VesaliusError(problem, file=challenge.questions, remedy="give each its own", code="challenge")
    return cases


def _check_reveal(challenge: Challenge, known: list[str]) -> None:
    if unknown := [name for name in challenge.reveal if name not in known]:
        remedy = f"columns are: {', '.join(known)}"
        raise VesaliusError(
            f"key reveal: there is no {unknown[0]}", file=challenge.file, remedy=remedy, code="challenge"
        )


def _revealed(known: Mapping[str, Any], challenge: Challenge) -> str:
    told = {name: known.get(name) for name in challenge.reveal}
    return f"\nKnown of the case: {json.dumps(told, ensure_ascii=False, default=str)}" if told else ""
