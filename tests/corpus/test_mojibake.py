"""Mojibake is mended, and what only looks like it stays."""

import pytest

from vesalius.corpus.document import Document, Heading, Image
from vesalius.corpus.mojibake import mended


@pytest.mark.parametrize(
    "text", ["DUBAI — the carrier’s “deal”", "Université de Genève, Médecin-chef", "Пациент был осмотрен"]
)
def test_a_text_read_in_the_wrong_encoding_is_mended(text):
    broken = text.encode().decode("cp1252", errors="surrogateescape")
    if any("\ud800" <= letter <= "\udfff" for letter in broken):  # what cp1252 lacks, browsers take from Latin-1
        broken = "".join(chr(ord(c) - 0xDC00) if "\udc80" <= c <= "\udcff" else c for c in broken)
    document = Document(
        "d", (Heading(broken, 2), Image("a.png", broken), "plain", broken), {"title": broken, "date": 1}
    )
    found, count = mended(document)
    assert count == 4 and found.parts == (text, Image("a.png", text), "plain", text) and found.parts[0].level == 2
    assert found.facts == {"title": text, "date": 1}


@pytest.mark.parametrize(
    "text", ["SÃO PAULO", "Ångström and Ñandú", "p ≤ 0.05 — see Table 1", "Â = adjoint of A", "Пациент"]
)
def test_letters_that_are_meant_stay(text):
    document = Document("d", (text,))
    assert mended(document) == (document, 0)
