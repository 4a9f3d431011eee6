"""What answers are worth: every status, every type of question, and letters back in the file's order."""

import pytest

from vesalius.bench.questions.reading import read
from vesalius.bench.questions.store import Result
from vesalius.records import Answer, Message, Part, Question, Sample

ORGANS = ("liver", "spleen", "kidney", "stomach")


def row(kind, truth, answer, places=None, options=ORGANS, rotation=0, asked="What is it?"):
    """The row of one asking; the answer in words, or as it is."""
    options = options if kind in ("choice", "choices") else ()
    question = Question("q", (Message("user", (Part.of_text(asked),)),), options, kind)
    expected = None if truth is None else Message("assistant", (Part.of_text(truth),))
    answer = Answer.of_text("q", answer) if isinstance(answer, str) else answer
    return read(Result(Sample(question, expected), rotation, 0, tuple(places or range(len(options))), answer))


def test_an_asking_without_an_answer_yet_has_no_row():
    assert row("choice", "A", None) is None


@pytest.mark.parametrize(
    ("answer", "choice", "correct", "status"),
    [
        ("B", "B", 1, "answered"),
        ("The answer is the kidney.", "C", 0, "answered"),
        ("An organ.", "", 0, "unparsed"),
        ("I cannot determine that.", "", 0, "refused"),
        ("", "", 0, "empty"),
        (Answer.of_text("q", "It may be", status="cut_off"), "", 0, "cut_off"),
        (Answer.of_text("q", "B. It lies", status="cut_off"), "B", 1, "cut_off"),  # read, but its status is told
        ("<think>It may be the", "", 0, "cut_off"),
        (Answer.of_text("q", "No.", status="refused", reason="content filter"), "", 0, "refused"),
        (Answer("q", status="failed", reason="HTTP 500"), "", 0, "failed"),
        (Answer("q", status="no_medium", reason="a.png is not there"), "", None, "no_medium"),
    ],
)
def test_every_status_of_a_choice(answer, choice, correct, status):
    found = row("choice", "B", answer)
    assert (found.choice, found.correct, found.status) == (choice, correct, status)


@pytest.mark.parametrize("answer", ["B", "An organ.", Answer("q", status="failed")])
def test_without_a_known_truth_nothing_is_right_or_wrong(answer):
    found = row("choice", None, answer)
    assert (found.correct, found.expected, found.position) == (None, "", None)


@pytest.mark.parametrize("turn", range(4))
def test_rotated_letters_come_back_to_the_files(turn):
    """Asked in the order kidney, stomach, liver, spleen, «A» is the file's C."""
    places = [(i + turn) % 4 for i in range(4)]
    for position, letter in enumerate("ABCD"):
        found = row("choice", "C", letter, places, rotation=turn)
        assert found.choice == "ABCD"[places[position]]
        assert found.correct == float(places[position] == 2)
        assert (found.chosen, found.position) == (position, places.index(2))
    assert row("choice", "C", "kidney", places).correct == 1
    assert row("choice", "C", f"Option {places.index(2) + 1}", places).correct == 1


@pytest.mark.parametrize(
    ("answer", "choice", "correct", "recall", "status"),
    [
        ("A, C", "A,C", 1, 1, "answered"),
        ("C and A", "A,C", 1, 1, "answered"),
        ("A", "A", 0, 1 / 2, "answered"),
        ("A, B, C", "A,B,C", 0, 1, "answered"),
        ("B, D", "B,D", 0, 0, "answered"),
        ("liver and kidney", "A,C", 1, 1, "answered"),
        ("Some organs.", "", 0, 0, "unparsed"),
        ("", "", 0, 0, "empty"),
    ],
)
def test_several_choices_are_right_as_a_set_and_have_a_recall(answer, choice, correct, recall, status):
    found = row("choices", "A,C", answer)
    assert (found.choice, found.correct, found.metrics, found.status) == (choice, correct, {"recall": recall}, status)


def test_several_choices_are_turned_back_too():
    found = row("choices", "A,C", "A and C", places=(2, 3, 0, 1))
    assert (found.choice, found.correct, found.position) == ("A,C", 1, None)


@pytest.mark.parametrize(
    ("answer", "choice", "correct", "status"),
    [
        ("Yes", "yes", 1, "answered"),
        ("No.", "no", 0, "answered"),
        ("There is no evidence of a fracture.", "no", 0, "answered"),  # takes up what was asked
        ("There is no effusion.", "", 0, "unparsed"),
        ("Notice the line.", "", 0, "unparsed"),
        ("", "", 0, "empty"),
        (Answer.of_text("q", "Yes, becau", status="cut_off"), "yes", 1, "cut_off"),
    ],
)
def test_yes_and_no(answer, choice, correct, status):
    found = row("yes_no", "Yes", answer, asked="Is there a fracture?")
    assert (found.choice, found.expected, found.correct, found.status) == (choice, "yes", correct, status)


@pytest.mark.parametrize(
    ("answer", "correct", "f1"),
    [
        ("The left lung.", 1, 1),
        ("left", 0, 2 / 3),
        ("right kidney", 0, 0),
        (Answer.of_text("q", "left lung", status="cut_off"), 0, 0),
        ("", 0, 0),
    ],
)
def test_open_answers(answer, correct, f1):
    found = row("open", "left lung", answer)
    assert found.correct == correct
    assert found.metrics["token_f1"] == pytest.approx(f1)


def test_captions_are_not_right_or_wrong():
    found = row("caption", "A nodule in the left lung.", "A nodule in the left lung.")
    assert found.correct is None
    assert found.metrics["bleu_4"] == pytest.approx(1)
    assert row("caption", "A nodule.", "").metrics["rouge_l"] == 0
    assert row("caption", None, "A nodule.").metrics == {}


def test_a_letter_before_another_options_words_is_noted():
    assert row("choice", "B", "B. kidney").conflict
    assert not row("choice", "B", "B. spleen").conflict
