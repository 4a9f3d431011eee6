"""The filters' numbers against the published formulas, written here as plainly as they are said."""

import random
import re
from collections import Counter

import pytest

from vesalius.corpus.document import Document, Heading, Image
from vesalius.corpus.filters import apply, feedback, heuristics
from vesalius.corpus.filters.statistics import MARKS, Statistics, StatisticsFilter, Together, duplicates, sentences

SENTENCE = "The patients of the first group have a mean age of 54 years, and that of controls was the same to be sure."
WORDS = "the of and - # … ... liver cell 12.3 [4] mg, (Fig. α-synuclein •"


def texts(count: int = 60) -> list[str]:
    chance = random.Random(7)
    words = WORDS.split()
    return [
        "\n".join(
            " ".join(chance.choices(words[: chance.randint(2, len(words))], k=chance.randint(0, 40)))
            for _ in range(chance.randint(1, 12))
        )
        for _ in range(count)
    ]


def document(text: str) -> Document:
    return Document("d", tuple(text.split("\n")))


def top(words: list[str], n: int) -> int:
    runs = [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]
    return 0 if not runs else (lambda pair: len(pair[0]) * pair[1])(Counter(runs).most_common(1)[0])


def repeated(words: list[str], n: int) -> int:
    seen, total, at = set(), 0, 0
    while at + n <= len(words):
        run = tuple(words[at : at + n])
        if run in seen:
            total += len("".join(run))
            at += n
        else:
            seen.add(run)
            at += 1
    return total


@pytest.mark.parametrize("text", texts())
def test_runs_that_come_again_are_counted_as_published(text):
    statistics, words = Statistics(document(text)), text.split()
    for n in (3, 2, 4):
        assert statistics.grams.top(n) == top(words, n)
    for n in (10, 5, 6, 7, 8, 9):
        assert statistics.grams.repeated(n) == repeated(words, n)


@pytest.mark.parametrize("text", texts(30))
def test_words_and_lines_are_counted_as_published(text):
    statistics, words, lines = Statistics(document(text)), text.split(), text.splitlines()
    assert statistics.words == words
    assert statistics.letters == len("".join(words))
    assert statistics.alphabetic == sum(any(c.isalpha() for c in word) for word in words)
    assert sum(statistics.symbols.values()) == sum(all(c in MARKS for c in word) for word in words)
    assert statistics.ellipses == text.count("...") + text.count("…")
    assert statistics.bulleted == sum(line.lstrip()[:1] in ("•", "-") and bool(line.strip()) for line in lines)
    assert statistics.trailing == sum(line.rstrip().endswith(("...", "…")) for line in lines)


@pytest.mark.parametrize("text", texts(30))
def test_repeated_lines_are_counted_as_published(text):
    seen, count, characters = set(), 0, 0
    lines = re.split("\n+", text)
    for line in lines:
        count, characters = count + (line in seen), characters + (line in seen) * len(line)
        seen.add(line)
    assert Statistics(document(text)).duplicate_lines == (count, characters, len(lines))
    assert duplicates(lines) == (count, characters)


def long(count: int = 30) -> str:
    """Varied lines that no filter minds."""
    chance = random.Random(3)
    words = [
        f"{chance.choice('bcdfglmnprst')}{chance.choice('aeiou')}{chance.choice('bdglmnrst')}{n}a" for n in range(900)
    ]
    return "\n".join(f"The {' '.join(chance.sample(words, 18))} have to be." for _ in range(count))


def test_a_decent_text_passes_all():
    found = document(long())
    filters = [*heuristics.PRELIMINARY, heuristics.C4Quality(), heuristics.C4BadWords(), *feedback.DOCUMENT_RULES]
    assert [each.judge(found) for each in filters] == [None] * len(filters)
    assert heuristics.C4Paragraphs(length=100).judge(found) is None


GOPHER = heuristics.GopherQuality
REPETITION = heuristics.GopherRepetition
FINEWEB = heuristics.FineWebQuality


@pytest.mark.parametrize(
    ("rule", "text", "why"),
    [
        (GOPHER(), "the patients and " * 16 + "a", "fewer than 50 words"),
        (GOPHER((50, 100)), long(), "more than 100 words"),
        (GOPHER(), "of a to be " * 20, "mean word length"),
        (GOPHER(), "pneumonoultramicroscopic " * 60, "mean word length"),
        (GOPHER(), long(3) + " #a" * 12, "hash signs"),
        (GOPHER(), " and…" * 12 + long(3), "ellipses"),
        (GOPHER(), "- " + long().replace("\n", "\n- "), "lines with bullets"),
        (GOPHER(), long().replace(".", "..."), "lines ending in an ellipsis"),
        (GOPHER(), long(3) + " 12345" * 40, "words without letters"),
        (GOPHER(), "liver spleen kidney " * 20, "stop words"),
        (REPETITION(), "", "empty"),
        (REPETITION(), (long(1) + "\n") * 9 + long(), "repeated lines"),
        (REPETITION(), "liver spleen " * 60, "commonest 2 words"),
        (REPETITION(), "\n".join(f"{line} {long(1)[:100]}" for line in long().split("\n")), "repeated 5 words"),
        (FINEWEB(), "", "empty"),
        (FINEWEB(), long().replace(".", ""), "lines that end no sentence"),
        (FINEWEB(), "\n".join(f"The liver is {n}." for n in range(40)), "short lines"),
        (FINEWEB(), long(3) + "\n" + long(3), "repeated lines"),
        (FINEWEB(), "\n".join(f"immunohistochemistry {n}electroencephalography." for n in range(40)), "newlines"),
        (heuristics.C4Quality(), long(4), "fewer than 5 sentences"),
        (heuristics.C4Quality(), long() + "\nThe function {x} is odd.", "curly bracket"),
        (heuristics.C4Quality(), long() + "\nLorem ipsum dolor sit amet.", "lorem ipsum"),
        (heuristics.C4Paragraphs(), long(2), "fewer than 3 long lines"),
        (heuristics.C4BadWords(), long() + " porn.", "bad word"),
        (feedback.Words(), "the patients and " * 16 + "a", "fewer than 50 words"),
        (feedback.Words(most=100), long(), "more than 100 words"),
        (feedback.Words(), "a b " * 30, "mean word length"),
        (feedback.Letters(), long(3) + " 12345" * 40, "words without letters"),
        (feedback.StopWords(), "liver the spleen the kidney " * 20, "stop words"),
        (feedback.AdultShare(), long(3) + " porn, xxx!" * 2, "adult words"),
        (
            feedback.ParagraphLengths(),
            "\n".join("the liver of the mouse is red" for _ in range(30)),
            "only short paragraphs",
        ),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else type(value).__name__,
)
def test_each_reason_is_given(rule, text, why):
    assert rule.judge(document(text)).split(": ")[1] == why


def test_curly_brackets_of_formulas_can_be_allowed():
    assert heuristics.C4Quality(curly=False).judge(document(long() + "\nHere \\frac{a}{b} is meant.")) is None


def test_words_an_image_are_asked_from_two_images_on():
    rule, text = feedback.WordsPerImage(), "word " * 99
    assert rule.judge(Document("d", (text, Image("a")))) is None
    assert rule.judge(Document("d", (text, Image("a"), Image("b")))) == "feedback: fewer than 50 words an image"
    assert rule.judge(Document("d", (text + "word", Image("a"), Image("b")))) is None


def test_headings_do_not_make_paragraphs_short():
    parts = (Heading("A"), SENTENCE + " " + SENTENCE, Heading("B"))
    assert feedback.ParagraphLengths().judge(Document("d", parts)) is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (SENTENCE, None),
        ("He said “yes” to all of it.[12]", None),
        ("No full stop here at all", "c4: no end of a sentence"),
        ("It goes on and on...", "c4: no end of a sentence"),
        ("Too short.", "c4: fewer than 3 words"),
        ("Please enable Javascript in it.", "c4: javascript"),
        ("This site uses cookies for you.", "c4: terms and cookies"),
        (f"A long word {'x' * 1001}.", "c4: a word of more than 1000 characters"),
    ],
)
def test_lines_that_c4_drops(line, why):
    filtered = apply(Document("d", (line,)), [heuristics.C4Lines()])
    assert [change.why for change in filtered.dropped] == ([why] if why else [])


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("One", 1), ("One. Two.", 2), ("One. Two", 2), ('"One!" Two?', 2), ("1.5 g.", 1)]
)
def test_sentences(text, count):
    assert sentences(text) == count


def test_filters_together_give_the_first_reason_and_count_once(monkeypatch):
    counted = []

    class Counting(StatisticsFilter):
        def __init__(self, why):
            self.why = why

        def weigh(self, document, statistics):
            counted.append(id(statistics.words))
            return self.why

    assert Together([Counting(None), Counting("a"), Counting("b")]).judge(document(SENTENCE)) == "a"
    assert len(counted) == 2 and len(set(counted)) == 1


def test_another_splitter_can_be_given():
    assert Statistics(document("a-b c"), split=lambda text: re.split("[- ]", text)).words == ["a", "b", "c"]


@pytest.mark.parametrize(
    "rule", [*heuristics.PRELIMINARY, heuristics.C4Quality(), heuristics.C4Paragraphs(), *feedback.DOCUMENT_RULES]
)
@pytest.mark.parametrize("parts", [(), ("",), (" ",), (Image("a"),), (Heading("T"),), ("…",), ("#",)])
def test_next_to_nothing_is_judged_without_error(rule, parts):
    assert rule.judge(Document("d", parts)) is None or rule.judge(Document("d", parts))
