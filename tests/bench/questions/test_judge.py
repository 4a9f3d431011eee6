"""Judges: a verdict is one of those allowed or none, a judge is tried before it judges, failures are judged again."""

import pytest

from vesalius.bench.questions.judge import CLASSES, TASKS, apply, judge, parse, preflight, verdicts
from vesalius.bench.questions.reading import read
from vesalius.bench.questions.runner import Settings, run
from vesalius.bench.questions.store import Store
from vesalius.errors import VesaliusError
from vesalius.formats.questions import QuestionFile
from vesalius.models import open_model
from vesalius.records import Answer, Message, Part, Question, Sample


def sample(id, kind, truth, *options):
    question = Question(id, (Message("user", (Part.of_text(f"What is it, {id}?"),)),), options, kind)
    return Sample(question, Message("assistant", (Part.of_text(truth),)))


ORGANS = ("liver", "spleen", "kidney")
SAMPLES = {
    "plain": (sample("plain", "choice", "B", *ORGANS), "B"),
    "meant": (sample("meant", "choice", "C", *ORGANS), "The organ that filters blood. @say=c"),
    "vague": (sample("vague", "choice", "A", *ORGANS), "An organ of the abdomen."),
    "chatty": (sample("chatty", "choice", "A", *ORGANS), "Hard to put in words. @prose"),
    "sure": (sample("sure", "yes_no", "yes"), "It looks that way to me. @say=a"),
    "same": (sample("same", "open", "left"), "sinister @say=CORRECT"),
    "exact": (sample("exact", "open", "left"), "left"),
    "other": (sample("other", "open", "left"), "the heart @say=INCORRECT"),
    "seen": (sample("seen", "caption", "A nodule on the left."), "A nodule. @say=7"),
    "wrong": (sample("wrong", "choice", "A", *ORGANS), "C. @say=knowledge"),
}


class Scripted:
    """Says what `SAMPLES` says."""

    name = "m"
    media = frozenset()
    identity = dict

    def check(self):
        return "here"

    def close(self):
        pass

    def answer(self, questions):
        for question in questions:
            yield Answer.of_text(question.id, SAMPLES[question.id][1])


@pytest.fixture
def store(tmp_path):
    (tmp_path / "set").write_text("made up")
    file = QuestionFile(tmp_path / "set", "rows", lambda: (one for one, _ in SAMPLES.values()))
    with Store(tmp_path / "run", create=True) as opened:
        opened.ingest("set", file)
        run(opened, "set", Scripted(), "m", Settings())
        yield opened


def by(stub, model="stub"):
    return open_model(f"openai:{model}@{stub.url}?retries=0")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"verdict": "B", "why": "it says so"}', "B"),
        ('```json\n{"verdict": "b"}\n```', "B"),
        ('Sure! {"verdict": "NONE", "why": ""} Anything else?', "NONE"),
        ('<think>{"verdict": "A"}</think>{"verdict": "B"}', "B"),
        ('{"verdict": "A"}? No.</think>{"verdict": "B"}', "B"),
        ('<think>{"verdict": "A"}', None),
        ('{"verdict": "E"}', None),
        ('{"verdict": ["B"]}', None),
        ('{"answer": "B"}', None),
        ('{"verdict": "B"', None),
        ("B", None),
        ("The verdict is B.", None),
        ("", None),
        ('{"verdict": null}', None),
        ('{"verdict": {"is": "B"}}', None),
        ("[1, 2]", None),
    ],
)
def test_a_verdict_is_a_json_object_that_says_what_is_allowed_and_nothing_else_is_one(text, found):
    verdict = parse(text, ["A", "B", "NONE"])
    assert (verdict.verdict if verdict else None) == found


def test_what_judges_said_becomes_part_of_the_rows(store, stub):
    for task in ("match", "open", "caption", "errors"):
        preflight(by(stub), task)
        judge(store, "set", "m", by(stub), task)
    said = {task: verdicts(store, "set", "m", task) for task in TASKS}
    assert {key[0]: v[0].verdict for key, v in said["match"].items()} == {"meant": "C", "sure": "A", "vague": "NONE"}
    assert {key[0]: v[0].verdict for key, v in said["open"].items()} == {"same": "CORRECT", "other": "INCORRECT"}
    assert {key[0]: v[0].verdict for key, v in said["caption"].items()} == {"seen": "7"}
    assert {key[0]: v[0].verdict for key, v in said["errors"].items()} == {"wrong": "knowledge"}
    rows = {}
    for result in store.results("set", "m"):
        row = read(result)
        found = {task: given[row.case, 0, 0][0] for task, given in said.items() if (row.case, 0, 0) in given}
        rows[row.case] = apply(row, result, found | {"judged_open": True})
    assert (rows["meant"].choice, rows["meant"].correct, rows["meant"].rule) == ("C", 1, "judge")
    assert (rows["sure"].choice, rows["sure"].correct, rows["sure"].status) == ("yes", 1, "answered")
    assert (rows["vague"].choice, rows["vague"].correct, rows["vague"].status) == ("", 0, "unparsed")
    assert rows["plain"].rule != "judge"
    assert rows["seen"].metrics["judge"] == 0.7
    assert [rows[case].metrics["judge"] for case in ("same", "other", "exact")] == [1, 0, 1]


def test_only_what_the_rules_could_not_read_is_judged(store, stub):
    account, wanted = judge(store, "set", "m", by(stub), "match")
    assert wanted == 4
    assert len(stub.asked) == 4 + 1  # what was no verdict was asked for once more
    assert not any("plain" in one["words"] or "wrong" in one["words"] for one in stub.asked)
    assert account.failed == 1


def test_what_is_no_verdict_is_a_failure_and_judged_again_and_only_that(store, stub):
    judge(store, "set", "m", by(stub), "match")
    first = len(stub.asked)
    account, wanted = judge(store, "set", "m", by(stub), "match")
    again = [one["words"] for one in stub.asked[first:]]
    assert again and all("@prose" in words for words in again)
    assert (wanted, account.kept, account.failed) == (4, 3, 1)
    assert ("chatty", 0, 0) not in verdicts(store, "set", "m", "match")


def test_another_judge_does_not_get_the_first_ones_verdicts(store, stub, start_stub):
    judge(store, "set", "m", by(stub), "open")
    other = start_stub()
    _, wanted = judge(store, "set", "m", by(other), "open")
    assert len(other.asked) == wanted == 2
    assert {judge for _, judge in verdicts(store, "set", "m", "open").values()} == {by(other).name}


@pytest.mark.parametrize(("model", "said"), [("wrong-judge", "it said"), ("chatty-judge", "I would say that it is B")])
@pytest.mark.parametrize("task", ["match", "open"])
def test_a_judge_that_fails_its_controls_judges_nothing(stub, model, said, task):
    if (model, task) == ("chatty-judge", "open"):
        said = "I would say that it is"
    with pytest.raises(VesaliusError, match="is no judge of") as error:
        preflight(by(stub, model), task)
    assert said in str(error.value)


def test_a_judge_that_is_not_there_is_said():
    with pytest.raises(VesaliusError, match="cannot be reached"):
        preflight(open_model("openai:m@http://127.0.0.1:9/v1?retries=0"), "match")


def test_judges_see_options_in_the_order_asked_and_never_the_truth(store, stub, tmp_path):
    with Store(tmp_path / "turned", create=True) as turned:
        file = QuestionFile(tmp_path / "set", "rows", lambda: iter([SAMPLES["meant"][0]]))
        turned.ingest("set", file)
        run(turned, "set", Scripted(), "m", Settings(rotations=0))
        judge(turned, "set", "m", by(stub), "match")
        choices = {}
        for result in turned.results("set", "m"):
            row = read(result)
            verdict = verdicts(turned, "set", "m", "match")[row.case, row.rotation, row.repeat][0]
            choices[row.rotation] = apply(row, result, {"match": verdict}).choice
    assert "A. spleen\nB. kidney\nC. liver" in "".join(one["words"] for one in stub.asked)
    assert choices == {0: "C", 1: "A", 2: "B"}  # the judge said «C» each time: the third option as asked


def test_the_classes_of_errors_are_the_five_that_are_published():
    assert list(CLASSES) == ["misread", "perception", "knowledge", "irrelevant", "refusal"]
