"""Texts with planted near-duplicates, and the truth about them."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from vesalius.corpus.dedup import normal_form
from vesalius.corpus.document import Document


@dataclass
class Planted:
    """Documents, and the true similarity of each pair that shares a word 5-gram."""

    documents: list[Document]
    truth: dict[tuple[str, str], float]


def word_grams(text: str, n: int = 5) -> set[tuple[str, ...]]:
    words = normal_form(text).split()
    return {tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1))}


def true_similarities(documents: list[Document]) -> dict[tuple[str, str], float]:
    """By sets and an inverted index: nothing of the code that is tested but the normal form."""
    grams = {document.id: word_grams(document.text) for document in documents}
    holders = defaultdict(list)
    for name, own in grams.items():
        for gram in own:
            holders[gram].append(name)
    shared = Counter(
        (a, b) for names in holders.values() for i, a in enumerate(names) for b in names[i + 1 :] if len(names) > 1
    )
    return {(min(a, b), max(a, b)): count / (len(grams[a]) + len(grams[b]) - count) for (a, b), count in shared.items()}


def edited(text: str, share: float, vocabulary: list[str], draw: random.Random) -> str:
    """Words replaced, dropped and added here and there, some in upper case, a comma more or less."""
    words = []
    for word in text.split():
        fate = draw.random() / share if share else 2
        if fate < 0.5:
            words.append(draw.choice(vocabulary))
        elif fate < 0.75:
            words += [word, draw.choice(vocabulary)]
        elif fate >= 1:
            words.append(word.upper() if draw.random() < 0.02 else word + "," * (draw.random() < 0.02))
    return " ".join(words)


def plant(texts: list[str], seed: int, most: float = 0.09) -> Planted:
    """Each text, and a copy edited more or less."""
    draw = random.Random(seed)
    vocabulary = sorted({word for text in texts[:200] for word in text.split()})
    documents = []
    for i, text in enumerate(texts):
        documents.append(Document(f"doc/{i:05d}", (text,), {"date": f"{2000 + i % 20}"}))
        copy = edited(text, most * draw.random(), vocabulary, draw)
        documents.append(Document(f"doc/{i:05d}/copy", (copy,), {"date": f"{2000 + i % 20}"}))
    return Planted(documents, true_similarities(documents))


def made_up_texts(number: int, words: int, seed: int = 0) -> list[str]:
    """Words as frequent as in a language."""
    draw = random.Random(seed)
    vocabulary = ["".join(draw.choices("aeioubcdfglmnprst", k=draw.randint(2, 9))) for _ in range(5000)]
    weights = [1 / (rank + 3) for rank in range(len(vocabulary))]
    return [" ".join(draw.choices(vocabulary, weights, k=draw.randint(words // 2, 2 * words))) for _ in range(number)]


@pytest.fixture
def make_texts() -> Callable[..., list[str]]:
    return made_up_texts


@pytest.fixture
def plant_copies() -> Callable[..., Planted]:
    return plant


@pytest.fixture(scope="session")
def article_texts(shared_data: Path) -> list[str]:
    """Paragraphs of journal articles, none twice."""
    from vesalius.corpus.read import jats

    paths = sorted(path for path in (shared_data / "corpus").rglob("*") if path.suffix in (".nxml", ".xml"))
    if not paths:
        pytest.skip("no JATS articles are in ../shared/data/corpus")
    paragraphs: dict[str, None] = {}
    for path in paths:
        try:
            for document in jats.read(path):
                paragraphs.update(dict.fromkeys(text for text in document.texts if len(text.split()) > 40))
        except Exception as error:  # what is no article is for the reader's own tests
            assert "VesaliusError" in type(error).__name__
    return list(paragraphs)
