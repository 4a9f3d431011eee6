"""Reading options from answers: two tables of answers as models write them, and what must hold for any text."""

import csv
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vesalius.bench.questions.letters import read_choice, read_yes_no
from vesalius.models.prompt import LETTERS

HERE = Path(__file__).parent
OPTIONS = json.loads((HERE / "letters_options.json").read_text())


def table(name: str) -> list[dict[str, str]]:
    with open(HERE / name, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row | {"answer": row["answer"].replace("\\n", "\n")} for row in rows]


def shown(found, names=LETTERS) -> str:
    """A reading as the tables write it."""
    return ",".join(names[place] for place in found.places) if found.status == "answered" else found.status


@pytest.mark.parametrize("row", table("letters.tsv"), ids=lambda row: f"{row['options']}: {row['answer'][:40]!r}")
def test_the_option_that_an_answer_names_is_read_and_no_other(row):
    flags = row["flags"]
    found = read_choice(row["answer"], OPTIONS[row["options"]], several=flags == "several", cut_off=flags == "cut")
    assert shown(found) == row["expected"], (row["note"], found)


@pytest.mark.parametrize("row", table("yes_no.tsv"), ids=lambda row: f"{row['question'][:12]}: {row['answer'][:40]!r}")
def test_yes_and_no_are_read_where_they_are_said(row):
    found = read_yes_no(row["answer"], row["question"], cut_off=row["flags"] == "cut")
    assert shown(found, ("yes", "no")) == row["expected"], (row["note"], found)


def test_the_tables_are_as_large_and_as_distinct_as_they_claim():
    letters, yes_no = table("letters.tsv"), table("yes_no.tsv")
    assert len({(row["options"], row["flags"], row["answer"]) for row in letters}) == len(letters) >= 330
    assert len({(row["question"], row["flags"], row["answer"]) for row in yes_no}) == len(yes_no) >= 60


def test_a_letter_before_another_options_words_counts_and_is_noted():
    assert read_choice("B. Pneumothorax", OPTIONS["lung"]).conflict
    assert read_choice("The answer is B: Pneumothorax.", OPTIONS["lung"]).conflict
    assert not read_choice("B. Pneumonia", OPTIONS["lung"]).conflict


def test_options_beyond_j_have_letters_too():
    options = [f"gene {i}" for i in range(26)]
    assert read_choice("Z", options).places == (25,)
    assert read_choice("The answer is (Q) gene 16.", options).places == (16,)


PIECES = st.sampled_from(
    [
        *(
            "A",
            "b",
            "(C)",
            "Option ",
            "answer is ",
            "\\boxed{",
            "}",
            "not ",
            "Pneumonia",
            "normal",
            "<think>",
            "</think>",
        ),
        *(
            "\n",
            "**",
            "I ",
            "and ",
            "or ",
            "is correct",
            "答案",
            "选",
            "3",
            "13 cm",
            '{"answer":',
            "[[",
            "]]",
            "_",
            "$",
            " ",
        ),
        *(".", "\\text{"),
    ]
)


@settings(max_examples=300)
@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=30).map("".join)), st.sampled_from(sorted(OPTIONS)))
def test_any_text_is_read_or_said_not_to_be(text, key):
    for several in (False, True):
        found = read_choice(text, OPTIONS[key], several=several)
        assert (found.status == "answered") == bool(found.places)
        assert several or len(found.places) <= 1
        assert all(0 <= place < len(OPTIONS[key]) for place in found.places)
    assert read_yes_no(text, "Is there a pneumothorax?").status in (
        "answered",
        "unparsed",
        "refused",
        "empty",
        "cut_off",
    )


@settings(max_examples=100)
@given(
    st.sampled_from(["lung", "organ", "cancer", "ten", "protein", "zh", "cells", "stage"]),
    st.randoms(use_true_random=False),
    st.sampled_from(["{}", "{}.", "**{}**", "The answer is {}.", "\\boxed{{{}}}", "Answer: {}", "I would say {}"]),
    st.integers(0, 9),
)  # fmt: skip
def test_own_words_follow_their_option_wherever_it_stands(key, rng, form, place):
    options = OPTIONS[key]
    option = options[place % len(options)]
    order = list(options)
    rng.shuffle(order)
    assert read_choice(form.format(option), order).places == (order.index(option),)


@settings(max_examples=100)
@given(st.sampled_from(["lung", "organ", "cancer", "ten", "zh"]), st.randoms(use_true_random=False), st.integers(0, 9))
def test_letters_name_places_whatever_stands_there(key, rng, place):
    order = list(OPTIONS[key])
    rng.shuffle(order)
    place %= len(order)
    for form in ("{}", "({})", "Answer: {}", "The answer is {}.", "\\boxed{{{}}}"):
        assert read_choice(form.format(LETTERS[place]), order).places == (place,)


HOSTILE = [
    *(
        "A is ",
        "((((",
        "\\boxed{",
        "A ",
        "A, ",
        "answer is ",
        "not ",
        "<think>",
        "</think>",
        "<answer>",
        "_",
        "**",
        "\n",
    ),
    *(
        " ",
        "\t",
        "a_",
        "\\text{",
        "Option A: ",
        "B is correct. ",
        "The answer is not ",
        "Left kidney ",
        "3 ",
        "3.",
        "选",
    ),
    *("yes ", "no ", "[[", "I can't ", "{", "$", "A.\n", "I ", "\n ", "there is no pneumothorax", "answer is (", "- "),
    *("answer" + " " * 50, "A" + " " * 50, "Left" + " " * 50, "|", "a" * 1000 + " "),
]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("piece", HOSTILE, ids=repr)
def test_no_pattern_runs_away_on_a_long_answer(piece):
    """Where time grew with the square of the length, this would take minutes; `side_by_side/letters.py` has seconds."""
    text = (piece * (25_000 // len(piece) + 1))[:25_000]
    assert len(read_choice(text, OPTIONS["organ"]).places) <= 1
    assert len(read_choice(text, OPTIONS["size"], several=True).places) <= len(OPTIONS["size"])
    assert len(read_yes_no(text, "Is there a pneumothorax?").places) <= 1


def test_the_order_of_random_words_never_raises():
    rng = random.Random(0)
    words = [
        "A",
        "B",
        "C",
        "D",
        "the",
        "answer",
        "is",
        "not",
        "option",
        "correct",
        "boxed",
        "pneumonia",
        "normal",
        "(",
        ")",
        ".",
        ",",
        ":",
        "\n",
        "because",
        "therefore",
        "I",
    ]
    for _ in range(2000):
        read_choice(" ".join(rng.choices(words, k=rng.randint(1, 25))), OPTIONS["lung"])
