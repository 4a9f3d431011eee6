"""Asking durably: the key holds everything an answer depends on, nothing is asked twice, nothing is lost."""

from pathlib import Path

import pytest

from vesalius.errors import VesaliusError
from vesalius.models import open_model
from vesalius.models.asking import Ask, Stamper, answers, ask
from vesalius.records import Answer, Message, Part, Question
from vesalius.run import Run


def question(words: str = "Which?", id: str = "q", *media: Part, options=(), role="user") -> Question:
    kind = "choice" if options else "open"
    return Question(id, (Message(role, (*media, Part.of_text(words))),), tuple(options), kind)


class Scripted:
    """A model that does what its script says for each question: text, or a status."""

    name = "scripted"
    media = frozenset({"image"})

    def __init__(self, script=None, version=0):
        self.script = script or {}
        self.version = version
        self.asked: list[str] = []

    def identity(self):
        return {"version": self.version}

    def check(self):
        return "fine"

    def close(self):
        pass

    def answer(self, questions):
        for one in questions:
            self.asked.append(one.id)
            said = self.script.get(one.id, "fine")
            said = said.pop(0) if isinstance(said, list) else said
            yield Answer(one.id, status="failed", reason="trouble") if said == "fail" else Answer.of_text(one.id, said)


def job(n: int, words: str = "Which?") -> list[Ask]:
    return [Ask(f"bench/m/{i}/0.0", question(f"{words} {i}", str(i))) for i in range(n)]


def stamp(url="openai:m@http://h/v1", asked=None, repeat=0, **options) -> str:
    return Stamper(open_model(url, **options)).unit(Ask("key", asked or question(), repeat)).stamp


BASE = "openai:m@http://h/v1"


@pytest.mark.parametrize(
    "other",
    [
        {"url": "openai:other@http://h/v1"},
        {"url": "openai:m@http://elsewhere/v1"},
        {"url": f'{BASE}?extra={{"reasoning_effort":"low"}}'},
        {"url": f"{BASE}?detail=low"},
        {"max_tokens": 5},
        {"temperature": 0.7},
        {"top_p": 0.9},
        {"seed": 1},
        {"stop": ("\n",)},
        {"repeat": 1},
        {"asked": question("Which one?")},
        {"asked": question("Which? ")},
        {"asked": question(role="system")},
        {"asked": question(options=("a", "b"))},
        {"url": "random:0"},
        {"url": "random:1"},
        {"url": "hf:m"},
    ],
    ids=str,
)
def test_every_part_that_an_answer_depends_on_changes_the_key(other, monkeypatch):
    monkeypatch.setattr("vesalius.models.hf.Local._weights", lambda self: "w0")
    assert stamp(**other) != stamp()


@pytest.mark.parametrize("option", ["revision=v2", "batch=4", "likelihood=letter", "likelihood=text", "dtype=float16"])
def test_every_setting_of_a_local_model_changes_the_key(option, monkeypatch):
    monkeypatch.setattr("vesalius.models.hf.Local._weights", lambda self: "w0")
    assert stamp(f"hf:m?{option}") != stamp("hf:m")


def test_other_weights_under_the_same_path_change_the_key(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"one")
    first = stamp(f"hf:{tmp_path}")
    (tmp_path / "model.safetensors").write_bytes(b"other")
    assert stamp(f"hf:{tmp_path}") != first


@pytest.mark.parametrize("option", ["concurrency=2", "timeout=9", "retries=1", "rate=5", "price=1,2", "key_env=K"])
def test_what_only_changes_speed_or_price_leaves_the_key_alone(option):
    assert stamp(f"{BASE}?{option}") == stamp()


def test_the_bytes_of_an_image_count_and_not_its_name(tmp_path):
    for name, data in (("a.png", b"one"), ("b.png", b"one"), ("c.png", b"two")):
        (tmp_path / name).write_bytes(data)
    a, b, c = (stamp(asked=question("?", "q", Part.of("image", tmp_path / f"{n}.png"))) for n in "abc")
    assert a == b != c


def test_nothing_is_asked_twice_and_other_settings_are_asked_and_found_again(tmp_path):
    with Run(tmp_path / "run.sqlite") as run:
        first, second = Scripted(), Scripted(version=1)
        assert ask(run, first, job(20), label="a").asked == 20
        assert ask(run, second, job(20), label="b").asked == 20
        again = Scripted()
        account = ask(run, again, job(25), label="c")
        assert (account.asked, account.kept, again.asked) == (5, 20, [str(i) for i in range(20, 25)])
        assert all(answer.text == "fine" for _, answer in answers(run, again, job(25)))


def test_a_failing_question_is_tried_again_then_recorded_and_tried_by_the_next_run(tmp_path):
    with Run(tmp_path / "run.sqlite") as run:
        model = Scripted({"1": ["fail", "late"], "2": "fail"})
        account = ask(run, model, job(4), label="a", retries=2)
        found = {one.question.id: answer for one, answer in answers(run, model, job(4))}
        assert (found["1"].text, found["1"].attempts) == ("late", 2)
        assert (found["2"].status, found["2"].reason, found["2"].attempts) == ("failed", "trouble", 3)
        assert (account.failed, account.retried, account.statuses) == (1, 2, {"answered": 3, "failed": 1})
        mended = Scripted()
        assert ask(run, mended, job(4), label="b").asked == 1
        assert mended.asked == ["2"]


def test_a_question_whose_medium_is_not_there_is_not_asked_until_it_is(tmp_path):
    slide = tmp_path / "slide.png"
    asks = [Ask("k", question("?", "q", Part.of("image", slide)))]
    with Run(tmp_path / "run.sqlite") as run:
        model = Scripted()
        assert ask(run, model, asks, label="a").statuses == {"no_medium": 1}
        assert model.asked == []
        slide.write_bytes(b"here now")
        assert ask(run, model, asks, label="b").statuses == {"answered": 1}


def test_a_model_that_loses_a_question_or_invents_one_is_an_error(tmp_path):
    class Losing(Scripted):
        def answer(self, questions):
            list(questions)
            return iter(())

    class Inventing(Scripted):
        def answer(self, questions):
            yield Answer.of_text("nobody", "x")

    with Run(tmp_path / "run.sqlite") as run:
        with pytest.raises(VesaliusError, match="gave no answer to 3 questions"):
            ask(run, Losing(), job(3), label="a")
        with pytest.raises(VesaliusError, match="was not asked"):
            ask(run, Inventing(), job(3), label="b")


def test_what_came_before_an_error_is_kept(tmp_path):
    class Dying(Scripted):
        def answer(self, questions):
            for n, answer in enumerate(super().answer(questions)):
                if n == 3:
                    raise VesaliusError("gone", code="endpoint")
                yield answer

    with Run(tmp_path / "run.sqlite") as run:
        with pytest.raises(VesaliusError, match="gone"):
            ask(run, Dying(), job(10), label="a")
        assert ask(run, Scripted(), job(10), label="b").kept == 3


def test_answers_are_on_disk_before_another_question_is_taken(tmp_path):
    import sqlite3

    path = tmp_path / "run.sqlite"
    seen = []

    class Watching(Scripted):
        def answer(self, questions):
            for done, one in enumerate(questions):
                with sqlite3.connect(path) as other:
                    seen.append((done, other.execute("SELECT count(*) FROM units").fetchone()[0]))
                yield Answer.of_text(one.id, "x")

    with Run(path) as run:
        ask(run, Watching(), job(10), label="a")
    assert seen == [(i, i) for i in range(10)]


def test_paths_of_files_reach_no_key(tmp_path):
    unit = Stamper(Scripted()).unit(Ask("k", question("?", "q", Part.of("image", Path(tmp_path / "malignant.png")))))
    assert "malignant" not in unit.key + unit.stamp
