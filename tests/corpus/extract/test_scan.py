"""The scan of a page: where text is broken, what holds it, what words of class names say."""

import gzip
import html as entities
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from vesalius.corpus.extract import tags
from vesalius.corpus.extract.encoding import utf8
from vesalius.corpus.extract.scan import Scan, scan


def texts_of(page: Scan) -> list[str]:
    blocks = page.blocks
    return [blocks.text[a:b].tobytes().decode() for a, b in zip(blocks.start, blocks.end, strict=True)]


def texts(html: str) -> list[str]:
    return texts_of(scan(html.encode()))


def seen(page: Scan) -> list[tuple]:
    """Blocks, what holds them, how much of them is in links, their levels; where images are."""
    blocks, elements = page.blocks, page.elements
    held: list[tuple] = []  # by element
    columns = (elements.parent.tolist(), elements.kind.tolist(), elements.bits.tolist())
    for parent, kind, bits in zip(*columns, strict=True):
        held.append((*(held[parent] if parent >= 0 else ()), (kind, bits)))
    rows = zip(blocks.start, blocks.end, blocks.element, blocks.links, blocks.level, strict=True)
    found = [(blocks.text[a:b].tobytes(), held[e], int(links), int(level)) for a, b, e, links, level in rows]
    return [*found, *zip(page.images.block.tolist(), [held[e] for e in page.images.element], strict=True)]


def by_lexbor(html: bytes) -> bytes:
    """What HTML's whole algorithm makes of a page, every element closed."""
    document = HTMLTree.parse_from_bytes(html, "utf-8").document
    assert document is not None
    return document.html.encode()


def test_text_is_broken_where_elements_break_it_and_nowhere_else() -> None:
    html = "<div>one <b>two</b> <a href=x>three</a><p>four<br>five</div>six<ul><li>seven<li>eight</ul>"
    assert texts(html) == ["one two three", "four\nfive", "six", "seven", "eight"]


def test_entities_are_read_and_white_space_is_one_space_but_in_pre() -> None:
    html = "<p> a &lt; b&nbsp;&amp;\n\t c &eacute; </p><pre>x\r\n&#32; y</pre>"
    assert texts(html) == ["a < b & c é", "x\n  y"]


@given(st.text("&#;xa1f0ltgnotiamp ", max_size=30) | st.sampled_from(sorted(entities.entities.html5)).map("&{}".format))
def test_entities_are_those_of_html(text: str) -> None:
    for written in (text, f"{text}a;", f"{text};"):
        # Without spaces: control characters are some here, and nothing to Python.
        said = "".join(texts(f"<p>a{written}</p>"))
        assert "".join(said.split()) == "".join(entities.unescape(f"a{written}").split())


def test_scripts_styles_and_hidden_forms_of_text_leave_nothing() -> None:
    html = "<script>if (a<b) '</div>'</script><style>p > a {}</style><svg><text>no</text></svg><!-- <p>no</p> --><p>yes"
    assert texts(html + "<textarea><p>no</textarea><select><option>no</select><template>no</template>") == ["yes"]


def test_a_script_may_stand_in_a_comment_of_a_script_and_a_comment_end_early() -> None:
    assert texts("<script><!-- <script>no</script> no --></script>yes<!-->yes<!--->yes<!-- a --!>yes") == ["yes" * 4]


def test_bytes_inside_links_are_counted() -> None:
    assert scan(b"<p>see <a href=x>this page</a> now</p>").blocks.links.tolist() == [len("this page")]


def test_headings_have_their_level_and_words_of_class_names_their_bits() -> None:
    page = scan(b'<h2>Head</h2><div class="left Side-Bar" class=footer><p>text</p></div><p>free</p>')
    blocks, elements = page.blocks, page.elements
    assert blocks.level.tolist() == [2, 0, 0]
    holder = elements.parent[blocks.element[1]]
    assert elements.bits[holder] == 1 << next(bit for bit, words in enumerate(tags.WORDS) if "side bar" in words)
    assert elements.bits[elements.parent[blocks.element[2]]] == 0


def test_an_element_knows_its_blocks() -> None:
    page = scan(b"<article><p>a</p><p>b</p></article><p>c</p>")
    article = page.elements.kind.tolist().index(tags.ARTICLE)
    assert texts_of(page)[page.elements.first[article] : page.elements.after[article]] == ["a", "b"]


def test_an_image_stands_before_the_block_that_follows_it_and_attributes_may_hold_brackets() -> None:
    html = b'<p>a</p><img alt="x > y" src="i.png"><p>b<img src=j.png></p><p>c</p>'
    images = scan(html).images
    assert images.block.tolist() == [1, 2]
    found = [html[a:b] for a, b in zip(images.start, images.end, strict=True)]
    assert found == [b'<img alt="x > y" src="i.png">', b"<img src=j.png>"]


NAMES = "p div h1 h2 ul ol li dl dt dd pre section article blockquote button a span b figure figcaption fieldset"
PIECES = [f"<{slash}{name}>" for name in NAMES.split() for slash in ("", "", "/")] + ["text", " words "] * 10
SOUP = st.lists(st.sampled_from(PIECES))


@given(SOUP)
def test_a_soup_of_tags_is_read_as_lexbor_reads_it(soup: list[str]) -> None:
    html = f"<!DOCTYPE html>{''.join(soup)}".encode()
    assert seen(scan(html)) == seen(scan(by_lexbor(html)))


@pytest.mark.parametrize(
    "html",
    [
        "<table><td>a<td>b<tr><th>c<table><tr><td>d</table>e</table>f",
        "<table><caption>a<p>b</caption><tr><td><div>c<td>d</tbody><tbody><td>e</table>f",
        "<div><table><form><tr><td>a</form><td>b</table></div>c<form>d<div>e</form>f</div>g",
        "<p>a<button>b<p>c</button>d<hr>e<li>f<ul><li>g</li>h</ul>i",
        "<svg><foreignObject><p>a</p></foreignObject><path/><title>b</title></svg>c<svg><path><p>d</p></svg>e<svg/>f",
        "<a>a<p>b</a>c<table><tr><td><a>d</td></tr></table>e<a>f<a>g<div>h</div></a>i",
        "a<div><canvas>b</div>c<audio>d</audio>e</h1>f</p>g",
        "<title>a &amp; <b>b</b></title><p class=x>c<body class=footer>d",
        "<head><template><div>a</div></template><title>b</title></head><div>c",
        "<iframe><!-- <iframe> --></iframe>a<textarea><!--</textarea>b",
        "<math><mi/>a<annotation>b</annotation></math>c",
    ],
)
def test_what_tags_end_begin_and_reach_is_what_lexbor_says(html: str) -> None:
    page = f"<!DOCTYPE html>{html}".encode()
    assert seen(scan(page)) == seen(scan(by_lexbor(page)))


def test_real_pages_are_read_as_lexbor_reads_them(shared_data: Path) -> None:
    pages = [
        utf8(gzip.decompress(file.read_bytes()))
        for file in sorted((shared_data / "corpus" / "scrapinghub" / "html").glob("*.gz"))
    ]
    assert len(pages) == 181
    for page in pages:
        assert seen(scan(page)) == seen(scan(by_lexbor(page)))


@given(st.binary(max_size=400) | st.text("<>/=\"' apdivbr&;!-", max_size=200).map(str.encode))
def test_no_bytes_break_it(page: bytes) -> None:
    blocks, elements, images, _ = scan(page)
    assert (blocks.start < blocks.end).all() and (blocks.element < len(elements.parent)).all()
    assert (elements.first <= elements.after).all() and (images.block <= len(blocks.start)).all()
    assert len(blocks.text) <= len(page) * 6 / 5 + 8


def test_a_page_as_deep_as_it_is_long_and_a_very_long_one_pass() -> None:
    assert texts("<div>" * 200_000 + "text") == ["text"]
    assert len(texts("<div>" * 200_000 + "</section>" * 200_000 + "text")) == 1
    assert len(texts("<p>" + "word " * 1_000_000)) == 1
