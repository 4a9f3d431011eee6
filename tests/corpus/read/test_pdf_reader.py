"""PDFs: text in the order in which people read it. By hand, so that each thing is known, and real articles, typeset."""

import base64
import html
import json
import shutil
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from make_pdf import Type, make_pdf
from typer.testing import CliRunner

from vesalius.cli import app
from vesalius.corpus.document import Heading, Image
from vesalius.corpus.images.local import take
from vesalius.corpus.images.policy import Policy
from vesalius.corpus.images.store import Store
from vesalius.corpus.read import jats, pdf, read
from vesalius.corpus.read.options import Pdf, Reading
from vesalius.errors import VesaliusError

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Made with pypdf: a page that says "Secret", encrypted for those who know the password "a".
LOCKED = (
    "c-oy)yKdA#6s=M)4Kzq8wipR*g~GfamR2i~$0`wzL<x@qQjBND8>7XJ><LQvgdiar8h#=bKfn)Akb;_&`~ae2?A>Hnm?FXtX?*6MbMBq%+uvCq"
    "t&n>R^nYA@{RRlcuuNZp!2qBqCx;%QH51IF90Rmt#=eF$2JC|25ctA1fwV(t;{aMKkBR^ZKo4?P!xxY>M7X~|W&fl$MwO4$sS|qSU2ay(<0ygS"
    "%`t{DzWV^}mcaxMaa{SjJgRI=uhANnk=-t0_*7&>ptwvtJ~6o>M2{NEzsljAoEkNN_Kwofel}n%YSq-f^+B6{^2UeU8h|zmTe`d$L-af^?iY1_"
    "2`m_h|2J4!Ehp}JE^@);p)bba0CLgn*P-&}HIQftpY_<!aQF84(#6Z0r{&{=(|5eTEN=YnfB5+8{ii!;UwX@*Z}rZ%zBi&X-b`N2<>#Jy!Sh+u"
    "_+3cn?y*Zdkkf=GQqd%CjPgnF6-0Z%6wXw!ux&VCTo9%*iwSp{P=#IQgkmnUnM@NRm9X3^L5;_$l{QVVRNOf%v`mH9G`99>RAB-Ol}e^fY8mDk"
    "P9?X-XNprwSdw}}ozh-$#Vw(c%2KC|&{|o=jTkOebzJ!jV3+`WbwMcv6EK5U7>QkNcZxYCc?Tnubug+(2V+uqFs^V16SC_YPhyUR%H$JYwJq7p"
    "-}+caoSHI@<#a5zimZfcwqB1DHpsN|ijmA|m6^ma%DGa`5r&0zN}AzyLiXFAv^qHqP+!hh9ZVJ4!_*jqet%<o1pWX{?KS2"
)
FIRST = "The first line of a paragraph goes to the end of the column"
NEXT = "and the second one ends it before the end."


def written(tmp_path: Path, *pages: list[Type], **how) -> Path:
    path = tmp_path / "leaflet.pdf"
    path.write_bytes(make_pdf(pages, **how))
    return path


def texts(path: Path) -> list[str]:
    (document,) = pdf.read(path)
    return list(document.texts)


def column(*lines: str, x: float = 50, y: float = 500, **how) -> list[Type]:
    """Lines below each other, 12 points apart."""
    return [Type(x, y - 12 * number, line, **how) for number, line in enumerate(lines)]


def test_lines_become_paragraphs_where_they_are_indented_and_hyphens_at_their_ends_go(tmp_path):
    lines = ["Physicians who treat pneu-", "monia with self-", "governed teams use pneumonia scores;"]
    page = [
        *column(*lines, "to be self-governed is of use to them."),
        Type(62, 452, "A second paragraph begins with an indent and"),
        *column("goes on at the margin.", y=440),
    ]
    assert texts(written(tmp_path, page)) == [
        "Physicians who treat pneumonia with self-governed teams use pneumonia scores; to be self-governed is of use "
        "to them.",
        "A second paragraph begins with an indent and goes on at the margin.",
    ]


def test_a_paragraph_that_a_column_a_figure_or_a_page_breaks_is_one(tmp_path):
    first = [
        *column("A sentence begins in the left", "column, and it goes on, where the", y=100),
        *column("right one begins, and it still", "has not ended when", x=220, y=500),
        *column("Figure 1 A caption in small type.", x=220, y=300, size=8),
    ]
    second = column("the page does. Then comes another", "sentence in the same paragraph.")
    assert texts(written(tmp_path, first, second)) == [
        "A sentence begins in the left column, and it goes on, where the right one begins, and it still has not ended "
        "when the page does. Then comes another sentence in the same paragraph.",
        "Figure 1 A caption in small type.",
    ]


def test_title_and_headings_differ_in_type_and_numbers_give_them_their_level(tmp_path):
    body = [FIRST, NEXT]
    page = [
        Type(50, 550, "Care of wounds at home", 20, True),
        Type(50, 515, "1 Before you begin", 13, True),
        *column(*body, y=495),
        Type(50, 460, "1.1 What you need", 10, True),
        *column(*body, y=445),
        Type(50, 410, "WARNINGS"),
        *column(*body, y=390),
    ]
    (document,) = pdf.read(written(tmp_path, page))
    heads = [(str(part), part.level) for part in document.parts if isinstance(part, Heading)]
    assert heads[:3] == [("Care of wounds at home", 1), ("1 Before you begin", 2), ("1.1 What you need", 3)]
    assert heads[3][0] == "WARNINGS"
    assert document.texts.count(f"{FIRST} {NEXT}") == 3
    assert document.facts["title"] == "Care of wounds at home"


def test_items_keep_their_numbers_and_bullets_become_dashes(tmp_path):
    page = [
        *column("Wash your hands, then:", y=512),
        *column("•", y=500),
        *column("take off the old dressing and throw it away in", "a closed bag;", x=65, y=500),
        *column("(a)", y=476),
        *column("look at the wound.", x=75, y=476),
        *column("(b)", y=464),
        *column("Call us if it is red, and do not wait until", "the next day.", x=75, y=464),
    ]
    assert texts(written(tmp_path, page)) == [
        "Wash your hands, then:",
        "- take off the old dressing and throw it away in a closed bag;",
        "(a) look at the wound.",
        "(b) Call us if it is red, and do not wait until the next day.",
    ]


def test_rows_of_a_table_are_read_across_however_the_file_draws_its_cells(tmp_path):
    def table(x: float, *cells: str) -> list[Type]:
        return [Type(x, 470 - 10 * number, cell, 8) for number, cell in enumerate(cells)]

    page = [
        *column("Table 1 Doses by age", y=485, size=8),
        *table(50, "Age", "Infant", "Child"),
        *table(150, "Dose (mg)", "5", "10"),
        *table(250, "Times a day", "2", "3"),
        *column(FIRST, NEXT, y=400),
    ]
    assert texts(written(tmp_path, page)) == [
        "Table 1 Doses by age",
        "Age | Dose (mg) | Times a day",
        "Infant | 5 | 2",
        "Child | 10 | 3",
        f"{FIRST} {NEXT}",
    ]


def test_running_heads_page_numbers_and_tables_of_contents_are_left_out(tmp_path):
    def page(number: int) -> list[Type]:
        return [
            Type(50, 580, f"Hospital of the town - Leaflet 7 - {number} of 3", 8),
            *column(f"Page {number} says this and that to whoever reads it to the", "end of the page.", y=500),
            Type(200, 20, str(number), 8),
        ]

    contents = [*column("1 Before you begin ........ 2", "2 At home . . . . . . . . 3", y=400), *page(1)]
    said = texts(written(tmp_path, contents, page(2), page(3)))
    assert [line[:6] for line in said] == ["Page 1", "Page 2", "Page 3"]


def test_of_an_article_authors_references_and_interests_are_left_out(tmp_path):
    def section(y: float, name: str, *lines: str) -> list[Type]:
        return [Type(50, y, name, 12, True), *column(*lines, y=y - 16)]

    page = [
        Type(50, 560, "Early walking after surgery", 18, True),
        *column("A. Author, B. Author, Department of Surgery, University", "Hospital, Town, Country", y=540),
        *section(500, "Abstract", "Patients who walked early went home early, as this", "study of many of them says."),
        *section(450, "Introduction", "It is not known whether walking helps those who were", "operated on."),
        *section(400, "Competing interests", "The authors have none at all to declare here or", "elsewhere."),
        *section(350, "Methods", "We asked half of them, drawn by lot, to walk on the", "first day."),
        *section(300, "References", "1. Author A. On walking. J Walk 2001;1:1-9.", "2. Author B. On lying. J Rest."),
    ]
    assert texts(written(tmp_path, page)) == [
        "Early walking after surgery",
        "Abstract",
        "Patients who walked early went home early, as this study of many of them says.",
        "Introduction",
        "It is not known whether walking helps those who were operated on.",
        "Methods",
        "We asked half of them, drawn by lot, to walk on the first day.",
    ]


def test_a_page_whose_text_runs_up_the_sheet_is_read_and_a_stamp_on_a_margin_is_not(tmp_path):
    upward = [Type(100 + 12 * i, 50, line, turned=True) for i, line in enumerate([FIRST, NEXT])]
    assert texts(written(tmp_path, upward, rotate=90)) == [f"{FIRST} {NEXT}"]
    stamped = [*column(FIRST, NEXT), Type(20, 100, "arXiv:2611.00001", turned=True)]
    assert texts(written(tmp_path, stamped)) == [f"{FIRST} {NEXT}"]


def test_what_a_file_says_of_itself_becomes_facts_and_names_of_files_no_title(tmp_path):
    page = [*column(FIRST, NEXT), *column("https://creativecommons.org/licenses/by/4.0", y=300)]
    (document,) = pdf.read(
        written(tmp_path, page, CreationDate="D:20150203120000Z", Title="Microsoft Word - draft.doc")
    )
    assert document.facts == {
        "date": "2015-02-03",
        "licence": "CC-BY-4.0",
        "pages": 1,
    }


def test_pages_become_images_before_their_text_and_look_as_they_are_printed(tmp_path):
    path = written(tmp_path, column(FIRST, NEXT), column(FIRST, y=50), box=(0, 0, 360, 480))
    (document,) = read(path, Reading(pdf=Pdf(page_images=True)))
    assert [type(part) for part in document.parts] == [Image, str, Image, str]
    image = document.images[1]
    assert image.url == f"{path}#page=2"
    assert (image.width, image.height) == pytest.approx((750, 1000), abs=1)
    pixels = pdf.page_image(image.url)
    assert pixels.shape == (image.height, image.width, 3)
    rows = np.flatnonzero((pixels < 128).any(axis=(1, 2)))  # ink, around a baseline 50 points above the lower edge
    assert 1000 - 50 / 72 * 150 - 20 < rows.min() < rows.max() < 1000 - 50 / 72 * 150 + 8
    store, roots = Store(tmp_path / "images"), (tmp_path,)
    fetched = take(image.url, store, Policy(roots=roots))
    assert (fetched.status, fetched.kind) == ("ok", "jpeg")
    assert take(f"{path}#page=3", store, Policy(roots=roots)).error == "has no page 3"


def test_a_poster_is_drawn_smaller_than_memory_is(tmp_path):
    path = written(tmp_path, column(FIRST, NEXT), box=(0, 0, 14000, 14000))
    (document,) = pdf.read(path, Pdf(page_images=True))
    width, height = document.images[0].width, document.images[0].height
    assert width and height and width * height <= 1.01 * 2**24
    assert pdf.page_image(document.images[0].url).shape == (height, width, 3)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"<html>no PDF</html>", r"cannot be read .* fetch it again"),
        (b"", "cannot be read"),
        (make_pdf([column(FIRST)])[:200], "cannot be read"),
        (zlib.decompress(base64.b85decode(LOCKED)), "asks for a password — save it without one"),
        (make_pdf([[]]), "has no text — .* ocrmypdf"),
        (make_pdf([[Type(200, 20, str(page))] for page in (1, 2)]), "page numbers and the like alone"),
        (make_pdf([column("\xc8\xbb\xb9\xbb\xc6\xca\xc5\xc8 \xbe\xb7\xc9")]), "fonts that do not tell"),
    ],
    ids=["html", "empty", "cut", "locked", "scanned", "numbers", "glyphs"],
)
def test_what_cannot_be_read_is_said_with_a_remedy(tmp_path, content, problem):
    path = tmp_path / "bad.pdf"
    path.write_bytes(content)
    with pytest.raises(VesaliusError, match=problem):
        list(pdf.read(path))


def test_a_damaged_page_loses_no_other(tmp_path):
    path = written(tmp_path, column(FIRST, NEXT), column("Lost, since its page is none.", y=400))
    path.write_bytes(path.read_bytes().replace(b"8 0 obj\n<< /Type /Page ", b"8 0 obj\n<< /Type /Pag_ "))
    (document,) = pdf.read(path)
    assert document.texts == (f"{FIRST} {NEXT}",)
    assert (document.facts["pages"], document.facts["lost_pages"]) == (2, 1)


def test_the_command_takes_pdfs_and_says_how_they_may_be_read(tmp_path):
    path = written(tmp_path, column(FIRST, NEXT))
    out = tmp_path / "out.jsonl"
    done = CliRunner().invoke(app, ["corpus", "extract", str(path), "-o", str(out), "--set", "pdf.page_images=true"])
    assert done.exit_code == 0
    row = json.loads(out.read_text())
    assert (row["images"], row["texts"]) == ([f"{path}#page=1", None], [None, f"{FIRST} {NEXT}"])


CSS = """@page { size: A4 } body { font: 9.5pt/1.25 serif; margin: 0 } h1 { font-size: 19pt }
main { column-count: 2; column-gap: 7mm; text-align: justify; hyphens: auto } p { margin: 0; text-indent: 1em }
h2, h3 { font: bold 11pt sans-serif; margin: 3mm 0 1mm } h3 { font-size: 9.5pt } h2 + p, h3 + p { text-indent: 0 }"""
HEAD = "<div style='font-size: 7pt; width: 100%; text-align: center'>Somebody et al. A Journal of Print</div>"
FOOT = (
    "<div style='font-size: 7pt; width: 100%; text-align: center'>"
    "Page <span class=pageNumber></span> of <span class=totalPages></span></div>"
)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_articles_of_three_publishers_in_two_columns_come_back_as_their_xml_has_them(tmp_path, shared_data):
    playwright = pytest.importorskip("playwright.sync_api")
    folder = shared_data / "corpus" / "jats" / "with_images"
    files = [next(folder.glob(f"{name}*/*.xml")) for name in ("elife-52882", "plosone-0091296", "biorxiv-2022.03.15")]
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for number, file in enumerate(files):
            (article,) = jats.read(file)
            page = browser.new_page()
            page.set_content(typeset(article))
            margin = dict.fromkeys(("top", "bottom", "left", "right"), "20mm")
            path = tmp_path / f"{number}.pdf"
            page.pdf(path=path, margin=margin, display_header_footer=True, header_template=HEAD, footer_template=FOOT)
            page.close()
            (document,) = pdf.read(path)
            asked, found = grams(article.text), grams(document.text)
            shared = (asked & found).total()
            assert shared > 0.98 * asked.total() and shared > 0.98 * found.total(), file
            assert document.facts["title"] == article.facts["title"]
            assert "Journal of Print" not in document.text
        browser.close()


def typeset(article) -> str:
    def tag(text: str) -> str:
        name = f"h{min(3, text.level)}" if isinstance(text, Heading) else "p"
        return f"<{name}>{html.escape(text)}</{name}>"

    title, *rest = map(tag, article.texts)
    return f"<!doctype html><html lang=en><style>{CSS}</style>{title}<main>{''.join(rest)}</main>"


def grams(text: str) -> Counter[tuple[str, ...]]:
    words = text.split()
    return Counter(zip(*(words[i:] for i in range(4)), strict=False))
