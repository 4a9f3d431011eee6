"""Who stands on which side: a patient is wholly in validation or wholly in test.

Knows patient keys and shares. Where nobody says who the patients are, pictures of one patient may be anywhere, and the
whole set stands on one side. Leaves questions to `questions`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from random import Random

from vesalius.errors import VesaliusError
from vesalius.instruct.config import SetConfig
from vesalius.instruct.labelled import Labelled


def patients(config: SetConfig, images: Sequence[Labelled], problems: list[VesaliusError]) -> dict[int, str]:
    """The patient of each image by its number; images without one are left out and added to `problems`."""
    if config.patient is None:
        return {}
    found = {}
    for number, image in enumerate(images):
        if config.patient.column:
            who = image.row.get(config.patient.column)
        else:
            pattern = re.compile(config.patient.pattern)
            match = pattern.search(image.path.name) or pattern.search(image.name)
            who = (match.group(1) if match.re.groups else match.group()) if match else None
        if who:
            found[number] = who
        else:
            remedy = "correct `patient`, or leave the image out with `where`"
            problems.append(VesaliusError("nobody knows its patient", file=image.name, remedy=remedy, code="patient"))
    return found


def sides(
    config: SetConfig, images: Sequence[Labelled], owners: Mapping[int, str], rng: Random
) -> tuple[dict[int, str], str | None]:
    """The side of each image by its number, and a warning where all stand on one.

    Patients are dealt out one by one, those with the same labels in turn, so that small sets keep all their labels on
    the larger side.
    """
    shares = {side: share / sum(config.split.values()) for side, share in config.split.items() if share > 0}
    largest = max(shares, key=lambda side: shares[side])
    if config.patient is None:
        warning = f"{config.name}: no patient key, so the whole set stands in «{largest}»" if len(shares) > 1 else None
        return dict.fromkeys(range(len(images)), largest), warning
    by_patient: dict[str, list[int]] = defaultdict(list)
    for number, who in owners.items():
        by_patient[who].append(number)
    order = sorted(by_patient)
    rng.shuffle(order)
    dealt: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    found = {}
    for who in order:
        numbers = by_patient[who]
        kind = tuple(sorted({word for number in numbers for word in _kinds(config, images[number])}))
        given = dealt[kind]
        total = given.total() + len(numbers)
        side = max(shares, key=lambda s: (shares[s] * total - given[s], shares[s]))
        given[side] += len(numbers)
        found.update(dict.fromkeys(numbers, side))
    return dict(sorted(found.items())), None


def _kinds(config: SetConfig, image: Labelled) -> set[str]:
    """The image's labels, those of questions about columns included."""
    cells = {image.row.get(question.column) for question in config.questions if question.ask == "label"}
    return {*image.labels, *(cell for cell in cells if cell)}
