"""Tables of a run against the same numbers counted by plain loops and by hand."""

from itertools import product

import numpy as np
import polars as pl
import pytest

from vesalius.bench.questions import tables
from vesalius.bench.questions.runner import Settings, run
from vesalius.bench.questions.runs import judge_runs
from vesalius.bench.questions.store import Store
from vesalius.bench.stats.pairwise import holm
from vesalius.bench.stats.proportions import mcnemar, wilson
from vesalius.formats.questions import QuestionFile
from vesalius.records import Answer, Message, Part, Question, Sample

OPTIONS = ("liver", "spleen", "kidney")
N = 24


def samples():
    for i in range(N):
        question = Question(f"q{i}", (Message("user", (Part.of_text(f"Which? {i}"),)),), OPTIONS, "choice")
        expected = Message("assistant", (Part.of_text("ABC"[i % 3]),))
        yield Sample(question, expected, {"modality": "CT" if i % 2 else "MR", "patient": f"p{i // 3}"})


class Scripted:
    """Says for each question what a function says: of its number, and the options as asked."""

    media = frozenset()

    def __init__(self, name, says):
        self.name = name
        self.says = says

    def identity(self):
        return {"name": self.name}

    def check(self):
        return "here"

    def close(self):
        pass

    def answer(self, questions):
        for question in questions:
            said = self.says(int(question.id[1:]), question.options)
            failed = Answer(question.id, status="failed", reason="trouble")
            yield failed if said is None else Answer.of_text(question.id, said)


def by_words(right):
    """A model that names the option's words: the truth where `right(i)`, else the next option."""
    return lambda i, options: OPTIONS[(i + (not right(i))) % 3]


MODELS = [
    Scripted("good", by_words(lambda i: i % 8 != 0)),  # 21 of 24
    Scripted("bad", by_words(lambda i: i % 4 == 0)),  # 6 of 24
    Scripted("odd", lambda i, options: ["B", "", "An organ.", "I cannot tell.", None, "<think>so"][i % 6]),
]


def judged(tmp_path, models=MODELS, cluster=None, **settings):
    (tmp_path / "set").write_text("made up")
    file = QuestionFile(tmp_path / "set", "rows", samples, ("modality",), cluster)
    with Store(tmp_path / "run", create=True) as store:
        store.ingest("set", file)
        for model in models:
            run(store, "set", model, model.name, Settings(retries=0, **settings))
    return judge_runs([tmp_path / "run"])


def one(frame, **wanted):
    found = frame.filter(*[pl.col(name) == value for name, value in wanted.items()])
    assert found.height == 1, found
    return found.row(0, named=True)


def root(frame):
    """The node that holds everything, which comes first."""
    return frame["node"][0]


def test_accuracy_is_strict_and_its_counts_are_told(tmp_path):
    frame = tables.accuracy(judged(tmp_path))
    good, odd = (one(frame, model=name, node=root(frame)) for name in ("good", "odd"))
    assert (good["n"], good["accuracy"], good["answered"], good["unparsed"]) == (N, 21 / 24, N, 0)
    assert (good["ci_low"], good["ci_high"]) == pytest.approx(wilson(21, 24))
    assert (odd["n"], odd["answered"], odd["unparsed"]) == (N, 4, 4)
    assert odd["accuracy"] == sum("ABC"[i % 3] == "B" for i in range(0, N, 6)) / N
    assert good["chance"] == pytest.approx(1 / 3)
    assert good["majority"] == pytest.approx(8 / 24)
    halves = frame.filter((pl.col("model") == "good") & (pl.col("n") == 12))  # CT and MR
    assert halves.height == 2
    assert halves["accuracy"].sum() * 12 == 21


def test_every_asking_stands_under_one_status(tmp_path):
    counts = tables.statuses(judged(tmp_path)).filter(pl.col("model") == "odd")
    assert dict(counts.select("status", "n").iter_rows()) == {
        "answered": 4, "empty": 4, "unparsed": 4, "refused": 4, "failed": 4, "cut_off": 4,
    }  # fmt: skip


def test_pairs_are_mcnemars_test_with_holms_correction_and_better_comes_first(tmp_path):
    frame = tables.pairwise(judged(tmp_path))
    whole = frame.filter(pl.col("node") == root(frame))
    found = one(whole, better="good", worse="bad")
    good, bad = np.array([i % 8 != 0 for i in range(N)]), np.array([i % 4 == 0 for i in range(N)])
    assert (found["only_better"], found["only_worse"]) == ((good & ~bad).sum(), (bad & ~good).sum())
    assert found["difference"] == pytest.approx(15 / 24)
    assert found["p"] == pytest.approx(mcnemar(int((good & ~bad).sum()), int((bad & ~good).sum())))
    assert whole["p_holm"].to_numpy() == pytest.approx(holm(whole["p"].to_numpy()))
    assert (whole["difference"] >= 0).all()
    assert (whole["significant"] == (whole["p_holm"] < 0.05)).all()


def test_questions_of_one_patient_count_together(tmp_path):
    clustered = tables.pairwise(judged(tmp_path, cluster="patient"))
    found = one(clustered, node=root(clustered), better="good", worse="bad")
    difference = np.array([float(i % 8 != 0) - float(i % 4 == 0) for i in range(N)])
    totals = difference.reshape(8, 3).sum(axis=1)
    every = [abs(np.dot(signs, totals)) >= abs(totals.sum()) for signs in product((-1, 1), repeat=8)]
    assert found["p"] == pytest.approx(np.mean(every))


def test_circular_accuracy_wants_every_rotation_right(tmp_path):
    """«always A» is right once in each circle and never in all; naming the words is right in all or none."""
    frame = tables.rotations(judged(tmp_path, [MODELS[0], Scripted("first", lambda i, options: "A")], rotations=0))
    good, first = (one(frame, model=name) for name in ("good", "first"))
    assert (good["n"], good["accuracy"], good["circular"], good["consistent"]) == (N, 21 / 24, 21 / 24, 1)
    assert (first["accuracy"], first["circular"], first["consistent"]) == (pytest.approx(1 / 3), 0, 0)
    assert first["recall_sd"] == pytest.approx(np.std([1, 0, 0]))
    assert good["recall_sd"] == pytest.approx(0)


def test_positions_show_who_likes_which_letter(tmp_path):
    frame = tables.positions(judged(tmp_path, [Scripted("first", lambda i, options: "A")], rotations=0))
    assert frame.select("position", "truths", "right", "chosen").rows() == [
        (0, N, N, 3 * N),
        (1, N, 0, 0),
        (2, N, 0, 0),
    ]
    assert frame["share"].to_list() == [1, 0, 0]
    assert frame["recall"].to_list() == [1, 0, 0]


def test_without_rotations_there_is_no_circular_accuracy(tmp_path):
    assert tables.rotations(judged(tmp_path)).is_empty()


def test_repeats_are_averaged_and_counted_once(tmp_path):
    turns = iter(range(10_000))
    fickle = Scripted("fickle", lambda i, options: OPTIONS[(i + (next(turns) >= N)) % 3])  # right at first, then wrong
    found = judged(tmp_path, [fickle], repeats=2)
    whole = tables.accuracy(found).row(0, named=True)
    assert (whole["n"], whole["accuracy"]) == (N, 0.5)
    assert tables.statuses(found)["n"].sum() == 2 * N
    assert tables.answers(found).height == N


def test_the_score_table_and_the_answers_hold_each_case_once(tmp_path):
    found = judged(tmp_path)
    assert tables.answers(found).columns == list(tables.ANSWERS)
    assert tables.answers(found).height == 3 * N
    scores = tables.score_table(found)
    assert scores.filter(pl.col("model") == "good")["value"].sum() == 21
