"""Journal articles: their words in order, figures at their place, what is known of them."""

from pathlib import Path

import pytest

from vesalius.corpus.document import Document, Heading, Image
from vesalius.corpus.read import read
from vesalius.errors import VesaliusError

ARTICLE = """<article article-type="research-article" xml:lang="en" xmlns:xlink="http://www.w3.org/1999/xlink"><front>
<journal-meta><journal-title-group><journal-title>Kidney</journal-title></journal-title-group></journal-meta>
<article-meta><article-id pub-id-type="doi">10.1/x</article-id><article-id pub-id-type="pmc">7</article-id>
<title-group><article-title>On <italic>kidneys</italic></article-title></title-group>
<contrib-group><contrib><name><surname>Nobody</surname></name></contrib></contrib-group>
<pub-date><year>2020</year></pub-date><pub-date><day>3</day><month>4</month><year>2020</year></pub-date>
<permissions><license xlink:href="https://creativecommons.org/licenses/by/4.0/"><license-p>Open</license-p></license>
</permissions><abstract><p>We looked.</p></abstract></article-meta></front>
<body><sec><title>Results</title><p>Before <xref>Figure 1</xref> <fig id="f1"><label>Figure 1</label>
<caption><title>A kidney.</title><p>Left side.</p></caption><graphic xlink:href="fig1"/></fig> after.</p>
<sec><title>Deeper</title><list><list-item><p>one</p></list-item><list-item><p>two</p></list-item></list>
<p>So <inline-formula><alternatives><tex-math>x^2</tex-math><mml:math xmlns:mml="m"><mml:mi>x</mml:mi></mml:math>
</alternatives></inline-formula>.</p></sec>
<table-wrap><label>Table 1</label><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table></table-wrap>
</sec></body><back><ref-list><ref><mixed-citation>Nobody, 1999</mixed-citation></ref></ref-list></back></article>"""


@pytest.fixture
def article(tmp_path: Path) -> Document:
    (tmp_path / "fig1.jpg").touch()
    (tmp_path / "a.nxml").write_text(ARTICLE)
    (document,) = read(tmp_path / "a.nxml")
    return document


def test_what_no_reader_sees_is_no_text(tmp_path: Path) -> None:
    seen = "the fish\u2019s k\u2062f\u2062l\u2062i\u2062p = 2, co\u00adope\u200brates"
    (tmp_path / "a.nxml").write_text(f"<article><body><p>{seen}</p></body></article>", "utf-8")
    (document,) = read(tmp_path / "a.nxml")
    assert document.texts == ("the fish\u2019s kflip = 2, cooperates",)


def test_words_and_figures_come_in_order_without_authors_and_references(article: Document, tmp_path: Path) -> None:
    assert article.parts == (
        "On kidneys", "We looked.", "Results", "Before Figure 1", Image(str(tmp_path / "fig1.jpg")),
        "Figure 1 A kidney.", "Left side.", "after.", "Deeper", "- one", "- two", "So x^2.", "Table 1",
        "a | b", "1 | 2",
    )  # fmt: skip
    levels = {str(part): part.level for part in article.parts if isinstance(part, Heading)}
    assert levels == {"On kidneys": 1, "Results": 2, "Deeper": 3}


def test_what_is_known_of_an_article_is_kept(article: Document) -> None:
    assert article.id == "10.1/x"
    assert article.facts == {
        "kind": "research-article", "language": "en", "title": "On kidneys", "doi": "10.1/x", "pmcid": "7",
        "journal": "Kidney", "date": "2020-04-03", "licence": "https://creativecommons.org/licenses/by/4.0/",
    }  # fmt: skip


def test_a_document_survives_its_public_columns(article: Document) -> None:
    row = article.to_row()
    assert len(row["texts"]) == len(row["images"]) == len(row["metadata"]) == len(article.parts)
    assert all((text is None) != (image is None) for text, image in zip(row["texts"], row["images"], strict=True))
    again = Document.from_row(row)
    assert again == article and [type(part) for part in again.parts] == [type(part) for part in article.parts]


@pytest.mark.parametrize(
    ("content", "said"),
    [("<html/>", "holds no article, but <html>"), ("<article><p>", "is no XML"), ("", "is no XML")],
)
def test_what_is_no_article_is_one_line(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_text(content)
    with pytest.raises(VesaliusError, match=said):
        list(read(tmp_path / "x.xml"))


def test_entities_that_would_grow_without_end_are_not_expanded(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><article><body><p>&b; so</p></body></article>'
    (tmp_path / "x.xml").write_text(bomb)
    (document,) = read(tmp_path / "x.xml")
    assert document.texts == ("so",)


def test_real_articles_have_their_figures_and_sections(shared_data: Path) -> None:
    found = [document for file in sorted((shared_data / "corpus" / "jats").rglob("*.*ml")) for document in read(file)]
    assert len(found) == 16 and len({document.id for document in found}) == 16
    for document in found:
        assert len(document.text.split()) > 2000 and document.facts["title"]
        assert sum(isinstance(part, Heading) for part in document.parts) > 5
    for words in ("creativecommons.org", "Creative Commons Attribution License"):
        assert sum(words in document.facts["licence"] for document in found) == {"c": 14, "C": 2}[words[0]]
    elife = next(d for d in found if d.id == "10.7554/eLife.46472")
    assert [Path(image.url).name for image in elife.images] == [f"fig{n}.jpg" for n in range(1, 9)]
