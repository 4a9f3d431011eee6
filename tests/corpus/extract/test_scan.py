"""The scan of a page: where text is broken, what holds it, what words of class names say."""

import re

from hypothesis import given
from hypothesis import strategies as st

from vesalius.corpus.extract import scan as s
from vesalius.corpus.extract.dom import well_formed


def scanned(html: str) -> tuple[list[str], s.Blocks, s.Elements, s.Images, bytes]:
    clean = well_formed(html.encode(), "utf-8")
    blocks, elements, images = s.scan(clean)
    texts = [blocks.text[a:b].tobytes().decode() for a, b in zip(blocks.start, blocks.end, strict=True)]
    return texts, blocks, elements, images, clean


def test_text_is_broken_where_elements_break_it_and_nowhere_else() -> None:
    texts, *_ = scanned("<div>one <b>two</b> <a href=x>three</a><p>four<br>five</div>six<ul><li>seven<li>eight</ul>")
    assert texts == ["one two three", "four\nfive", "six", "seven", "eight"]


def test_entities_are_read_and_white_space_is_one_space_but_in_pre() -> None:
    texts, *_ = scanned("<p> a &lt; b&nbsp;&amp;\n\t c &eacute; </p><pre>x\n  y</pre>")
    assert texts == ["a < b & c é", "x\n  y"]


def test_scripts_styles_and_hidden_forms_of_text_leave_nothing() -> None:
    html = "<script>if (a<b) '</div>'</script><style>p > a {}</style><svg><text>no</text></svg><!-- <p>no</p> --><p>yes"
    assert scanned(html + "<textarea><p>no</textarea><select><option>no</select><template>no</template>")[0] == ["yes"]


def test_bytes_inside_links_are_counted() -> None:
    _, blocks, *_ = scanned("<p>see <a href=x>this page</a> now</p>")
    assert blocks.links.tolist() == [len("this page")]


def test_headings_have_their_level_and_words_of_class_names_their_bits() -> None:
    _, blocks, elements, _, _ = scanned('<h2>Head</h2><div class="left Side-Bar"><p>text</p></div><p>free</p>')
    assert blocks.level.tolist() == [2, 0, 0]
    bar = next(bit for bit, words in enumerate(s.WORDS) if "sidebar" in words)
    holder = elements.parent[blocks.element[1]]
    assert elements.bits[holder] == 1 << bit_of("side bar") and bar == bit_of("side bar")
    assert elements.bits[elements.parent[blocks.element[2]]] == 0


def bit_of(word: str) -> int:
    return next(bit for bit, words in enumerate(s.WORDS) if word in words)


def test_an_element_knows_its_blocks() -> None:
    texts, _, elements, _, _ = scanned("<article><p>a</p><p>b</p></article><p>c</p>")
    article = elements.kind.tolist().index(s.ARTICLE)
    assert texts[elements.first[article] : elements.after[article]] == ["a", "b"]


def test_an_image_stands_before_the_block_that_follows_it_and_attributes_may_hold_brackets() -> None:
    _, _, _, images, clean = scanned('<p>a</p><img alt="x > y" src="i.png"><p>b<img src=j.png></p><p>c</p>')
    assert images.block.tolist() == [1, 2]
    assert [re.search(rb'src="(.)', clean[a:b])[1] for a, b in zip(images.start, images.end, strict=True)] == [
        b"i",
        b"j",
    ]


@given(st.binary(max_size=400) | st.text("<>/=\"' apdivbr&;!-", max_size=200).map(str.encode))
def test_no_bytes_break_it(page: bytes) -> None:
    blocks, elements, images = s.scan(well_formed(page, "utf-8"))
    assert (blocks.start < blocks.end).all() and (blocks.element < len(elements.parent)).all()
    assert (elements.first <= elements.after).all() and (images.block <= len(blocks.start)).all()


def test_a_page_as_deep_as_it_is_long_and_a_very_long_one_pass() -> None:
    assert len(s.scan(well_formed(b"<div>" * 200_000 + b"text"))[0].start) <= 1
    assert len(s.scan(well_formed(b"<p>" + b"word " * 1_000_000))[0].start) == 1
