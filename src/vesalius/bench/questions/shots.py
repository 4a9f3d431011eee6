"""Solved examples before a question: which ones, and as what parts.

Knows that an example must come from elsewhere: never the question itself, its image, its patient or slide. `random`
draws by a seed and the question's id, `similar` takes the nearest questions by words (TF-IDF, cosine). Images stand
between the texts where they belong, as OmniCorpus' in-context evaluations have them.
"""

import math
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from vesalius.errors import VesaliusError
from vesalius.models.prompt import Prompt, solved
from vesalius.records import Part, Sample

By = Literal["random", "similar"]
_PATIENT = ("patient", "patient_id", "subject", "subject_id", "case_id", "slide", "image_name", "lesion_id", "study_id")


@dataclass
class Shots:
    """Examples to draw from.

    Attributes:
        pool: solved samples.
        n: how many for each question.
        by: see the module.
        seed: of `random`.
        cluster: column that says which samples belong together.
    """

    pool: Sequence[Sample]
    n: int
    by: By = "random"
    seed: int = 0
    cluster: str | None = None
    _vectors: list[dict[str, float]] = field(default_factory=list)
    _idf: dict[str, float] = field(default_factory=dict)

    def __post_init__(self):
        self.pool = [sample for sample in self.pool if sample.truth is not None]
        if len(self.pool) < self.n:
            problem = f"only {len(self.pool)} solved questions to draw {self.n} examples from"
            raise VesaliusError(problem, remedy="name another --shots-from", code="shots")
        self._keys = [self._belongs(sample) for sample in self.pool]
        if self.by == "similar":
            words = [_words(sample) for sample in self.pool]
            seen = Counter(word for some in words for word in set(some))
            self._idf = {word: math.log((1 + len(words)) / (1 + n)) + 1 for word, n in seen.items()}
            self._vectors = [self._vector(some) for some in words]

    def parts(self, sample: Sample, prompt: Prompt) -> tuple[Part, ...]:
        """Examples for a question, the most similar last, next to it.

        Raises:
            VesaliusError: too few examples are left that share no image or patient with it.
        """
        own = self._belongs(sample)
        free = [i for i, keys in enumerate(self._keys) if not keys & own]
        if len(free) < self.n:
            problem = f"only {len(free)} examples share no image or patient with it"
            raise VesaliusError(problem, case=sample.question.id, remedy="name another --shots-from", code="shots")
        if self.by == "random":
            chosen = random.Random(f"{self.seed}/{sample.question.id}").sample(free, self.n)
        else:
            vector = self._vector(_words(sample))
            near = sorted(free, key=lambda i: (-_dot(vector, self._vectors[i]), self.pool[i].question.id))
            chosen = near[: self.n][::-1]
        return tuple(part for i in chosen for part in solved(self.pool[i].question, _said(self.pool[i]), prompt))

    def _belongs(self, sample: Sample) -> set[tuple[str, str]]:
        """What a sample must not share with an example."""
        keys = {("id", sample.question.id)} | {("path", part.path) for part in sample.question.media if part.path}
        names = {*_PATIENT, self.cluster} if self.cluster else set(_PATIENT)
        return keys | {(name, str(sample.metadata[name])) for name in names if sample.metadata.get(name)}

    def _vector(self, words: list[str]) -> dict[str, float]:
        weights = {word: n * self._idf[word] for word, n in Counter(words).items() if word in self._idf}
        size = math.sqrt(sum(w * w for w in weights.values())) or 1.0
        return {word: w / size for word, w in weights.items()}


def _said(sample: Sample) -> str:
    return sample.truth or ""


def _words(sample: Sample) -> list[str]:
    text = " ".join(part.text or "" for part in sample.question.messages[-1].parts if part.type == "text")
    return re.findall(r"\w+", " ".join([text, *sample.question.options]).lower())


def _dot(a: dict[str, float], b: dict[str, float]) -> float:
    if len(b) < len(a):
        a, b = b, a
    return sum(weight * b[word] for word, weight in a.items() if word in b)
