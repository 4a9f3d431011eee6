"""Whether a document is biomedical: a linear classifier over hashed words, its probability calibrated.

Biomedical is what is about the human body in health and disease, and the sciences that medicine rests upon: clinical
and laboratory medicine, nursing, public health, psychiatry, drugs, anatomy, physiology, molecular and cell biology,
microbiology, genetics, animal models; written for whomever, leaflets and health advice included. It is not what only
touches it: recipes, sport, general psychology, sociology, chemistry, ecology, agriculture, the business of hospitals.

The weights lie beside this file, made by the steps that `training.py` has; it reads English. Leaves what a text looks
like to `features.py`, and languages to `vesalius.corpus.filters.language`.
"""

from functools import cache
from pathlib import Path

import numpy as np

from vesalius.corpus.biomedical.features import encoded, evidence
from vesalius.corpus.document import Document
from vesalius.errors import VesaliusError

THRESHOLD = 0.5
WEIGHTS = Path(__file__).with_name("biomedical.npz")


class Biomedical:
    """A `DocumentFilter` that keeps what is biomedical.

    Args:
        least: probability from which a document is kept, 0 to 1; see docs/biomedical_filter.md for what each costs.

    Raises:
        VesaliusError: no probability; code `invalid`.
    """

    def __init__(self, least: float = THRESHOLD):
        if not 0 <= least <= 1:
            raise VesaliusError(f"{least} is no probability", remedy="give a threshold from 0 to 1")
        self.least = least
        self.reason = f"biomedical: score below {least:g}"

    def judge(self, document: Document) -> str | None:
        """See `DocumentFilter`. Takes the fact `biomedical` for the score where `scored` has put it."""
        known = document.facts.get("biomedical")
        value = score(document.text) if known is None else float(known)
        return self.reason if value < self.least else None


def scored(document: Document) -> Document:
    """The document with its score as the fact `biomedical`, three digits."""
    return document.with_facts(biomedical=round(score(document.text), 3))


def score(text: str) -> float:
    """The probability that an English text is biomedical, 0 to 1; of a text without words 0."""
    weights = _weights()
    data = encoded(text)
    found = evidence(data, weights["words"], int(weights["bits"]))
    return probability(found, weights) if found else 0.0


def probability(found: float, weights: dict[str, np.ndarray]) -> float:
    """What the evidence of a text, see `features.evidence`, is worth: Platt's scaling."""
    odds = float(weights["slope"]) * found + float(weights["offset"])
    return float(1 / (1 + np.exp(-np.clip(odds, -30, 30))))


@cache
def _weights() -> dict[str, np.ndarray]:
    with np.load(WEIGHTS) as stored:
        return dict(stored) | {"words": stored["words"].astype(np.float32)}
