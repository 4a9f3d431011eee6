import pytest

from vesalius.corpus.document import Document, Heading, Image
from vesalius.corpus.filters import (
    CAPTION,
    FORMULA,
    HEADING,
    ITEM,
    PROSE,
    ROW,
    Change,
    Drop,
    Page,
    ParagraphRule,
    apply,
    feedback,
)


class DropLast(ParagraphRule):
    def judge(self, paragraph):
        return Drop("last") if paragraph.after == 0 and paragraph.text.startswith("x") else None


class Grow(ParagraphRule):
    def judge(self, paragraph):
        return paragraph.text + "!"


class Split(ParagraphRule):
    kinds = frozenset((PROSE, HEADING))

    def judge(self, paragraph):
        return paragraph.text.replace("/", "\n")


def test_rules_are_repeated_until_nothing_changes():
    filtered = apply(Document("d", ("a", "x1", "x2", "x3")), [DropLast()])
    assert filtered.document.texts == ("a",)
    assert (filtered.passes, filtered.settled) == (4, True)
    assert [change.before for change in filtered.dropped] == ["x3", "x2", "x1"]
    assert filtered.counts == {"DropLast": 3}


def test_a_bound_that_is_hit_is_said():
    filtered = apply(Document("d", ("a",)), [Grow()], most_passes=5)
    assert not filtered.settled
    assert filtered.document.texts == ("a!!!!!",)


def test_edits_are_recorded_and_may_split():
    filtered = apply(Document("d", ("a/b",)), [Split()])
    assert filtered.document.parts == ("a", "b")
    assert filtered.changes == (Change("Split", "", "a/b", "a\nb"),)
    assert filtered.dropped == ()


def test_an_edited_heading_keeps_its_level():
    (first, second) = apply(Document("d", (Heading("a/b", 3),)), [Split()]).document.parts
    assert isinstance(first, Heading) and isinstance(second, Heading) and first.level == second.level == 3


def test_images_and_what_is_known_stay():
    document = Document("d", (Image("a.png"), "x", Image("b.png")), {"url": "u"})
    filtered = apply(document, [DropLast()])
    assert filtered.document == Document("d", (Image("a.png"), Image("b.png")), {"url": "u"})


def test_a_document_that_loses_nothing_is_the_same_object():
    document = Document("d", ("a",))
    assert apply(document, [DropLast()]).document is document


def test_a_paragraph_knows_its_place():
    parts = (Heading("T"), "one", Image("a.png"), "two", Heading("S", 2), "three")
    one, two, three = (each for each in Page(parts).paragraphs() if each.kind == PROSE)
    assert (one.previous, one.next) == ("T", Image("a.png"))
    assert one.beside_image and two.beside_image and not three.beside_image
    assert (one.section, three.section) == ("T", "S")
    assert (one.before, one.after, three.before, three.after) == (1, 3, 4, 0)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (Heading("Methods"), HEADING),
        ("- aspirin", ITEM),
        ("a | b", ROW),
        ("Fig. 2a. Survival", CAPTION),
        ("Supplementary Table S3. Primers", CAPTION),
        ("(A–C) Sections of the liver", CAPTION),
        ("P < 0.05", FORMULA),
        ("y = a + bx", FORMULA),
        ("\\begin{equation} x \\end{equation}", FORMULA),
        ("Home > Liver", PROSE),
        ("Figures were redrawn by hand.", PROSE),
        ("Table tennis is a sport.", PROSE),
        ("http://a.org/?q=1", PROSE),
    ],
)
def test_kinds(text, kind):
    (paragraph,) = Page((text,)).paragraphs()
    assert paragraph.kind == kind


def articles(shared_data):
    from vesalius.corpus.read.jats import read

    folder = shared_data / "corpus" / "jats"
    if not folder.is_dir():
        pytest.skip("the JATS articles are not in ../shared/data/corpus")
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".xml", ".nxml"))
    return [document for path in paths for document in read(path)]


def test_articles_keep_their_body(shared_data):
    total, dropped = 0, []
    for document in articles(shared_data):
        total += sum(len(text.split()) > 30 for text in document.texts)
        filtered = feedback.clean(document)
        assert filtered.settled
        dropped += [change for change in filtered.changes if len(change.before.split()) > 30]
    assert total > 500
    assert len(dropped) <= 0.01 * total, dropped


def test_a_fixed_point_is_a_fixed_point(shared_data):
    for document in articles(shared_data):
        once = feedback.clean(document).document
        again = feedback.clean(once)
        assert again.document is once
        assert again.passes == 1


def test_articles_pass_the_document_rules(shared_data):
    for document in articles(shared_data):
        assert [rule.judge(document) for rule in feedback.DOCUMENT_RULES] == [None] * len(feedback.DOCUMENT_RULES)
