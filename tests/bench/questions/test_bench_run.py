"""`vesalius bench run` as a user types it: what is asked, what is kept, what is said."""

import csv
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vesalius.bench.questions.runner import Settings, run
from vesalius.bench.questions.store import Store
from vesalius.cli import app
from vesalius.errors import VesaliusError
from vesalius.formats.questions import open_questions
from vesalius.records import Answer

LETTERS = "ABC"


@pytest.fixture
def bench(tmp_path):
    """Thirty choices with images of ten patients, in a training and a test split, and their folder."""
    from PIL import Image

    rows = []
    for i in range(30):
        Image.new("RGB", (8, 8), (i * 8, 0, 0)).save(tmp_path / f"scan{i // 2}.png")
        rows.append(
            {
                "id": f"q{i}", "question": f"Which organ is number {i % 4}?", "options": ["liver", "spleen", "kidney"],
                "answer": LETTERS[i % 3], "image": f"scan{i // 2}.png", "patient": f"p{i // 3}",
                "split": "train" if i < 18 else "test", "modality": "CT" if i % 2 else "MR",
            }
        )  # fmt: skip
    (tmp_path / "set.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "set.jsonl"


class Recording:
    """Says B, and remembers what it was asked."""

    media = frozenset({"image"})

    def __init__(self, name="m", **identity):
        self.name = name
        self.asked = []
        self._identity = identity

    def identity(self):
        return self._identity

    def check(self):
        return "here"

    def close(self):
        pass

    def answer(self, questions):
        for question in questions:
            self.asked.append(question)
            yield Answer.of_text(question.id, "B")


def ask(bench, settings=None, model=None, folder=None):
    model = model or Recording()
    with Store(folder or bench.parent / "run", create=True) as store:
        store.ingest("set", open_questions(bench, store.media))
        account = run(store, "set", model, "m", settings or Settings())
        return model, account, list(store.results("set", model.name))


def cli(*words, code=0):
    result = CliRunner().invoke(app, ["bench", *map(str, words)])
    if result.exception and not isinstance(result.exception, SystemExit):
        if not isinstance(result.exception, VesaliusError):
            raise result.exception
        return str(result.exception)
    assert result.exit_code == code, result.output
    return result.output


def test_a_question_is_asked_with_its_image_its_options_and_a_request(bench):
    model, account, results = ask(bench, Settings(limit=1))
    (question,) = model.asked
    image, words = question.messages[0].parts
    assert image.type == "image"
    assert words.text == (
        "Question: Which organ is number 0?\nOptions:\nA. liver\nB. spleen\nC. kidney\n"
        "Please select the correct answer from the options above. Answer with the letter of the option."
    )
    assert account.statuses == {"answered": 1}
    assert results[0].answer.text == "B"


def test_the_exact_prompt_is_kept_once_however_often_it_is_asked(bench):
    from vesalius.models.prompt import Prompt

    ask(bench, Settings(limit=3, prompt=Prompt(system="Be brief.")), Recording("a"))
    model, *_ = ask(bench, Settings(limit=3, prompt=Prompt(system="Be brief.")), Recording("b"))
    with Store(bench.parent / "run", read_only=True) as store:
        kept = store.prompts("set", "b", ["q0", "q2"])
        assert kept == {q.id: q.messages for q in model.asked if q.id != "q1"}
        assert store.connection.execute("SELECT count(*) FROM prompts").fetchone() == (3,)


def test_select_limit_and_shuffle_choose_the_same_questions_each_time(bench):
    settings = Settings(select="modality=CT and split=test", limit=4, shuffle_seed=1)
    first, *_ = ask(bench, settings)
    again, *_ = ask(bench, settings, folder=bench.parent / "other")
    assert [q.id for q in first.asked] == [q.id for q in again.asked]
    assert len(first.asked) == 4
    assert all(int(q.id[1:]) % 2 and int(q.id[1:]) >= 18 for q in first.asked)
    assert [q.id for q in first.asked] != sorted((q.id for q in first.asked), key=lambda x: int(x[1:]))


def test_a_rerun_asks_nothing_and_a_wider_one_asks_the_rest(bench):
    ask(bench, Settings(limit=10))
    model, account, results = ask(bench, Settings(limit=25))
    assert (len(model.asked), account.kept, len(results)) == (15, 10, 25)
    model, account, results = ask(bench, Settings(limit=25))
    assert (model.asked, account.kept, account.asked) == ([], 25, 0)


def test_answers_under_other_settings_are_never_mixed_and_found_again(bench):
    from vesalius.models.prompt import Prompt

    ask(bench, Settings())
    other = Settings(prompt=Prompt(system="You are a radiologist."), limit=5)
    model, _, results = ask(bench, other)
    assert len(model.asked) == 5 and len(results) == 5
    assert model.asked[0].messages[0].role == "system"
    model, _, results = ask(bench, Settings())
    assert model.asked == [] and len(results) == 30


def test_another_model_under_the_same_name_is_asked_anew(bench):
    ask(bench, model=Recording(version=1))
    model, *_ = ask(bench, model=Recording(version=2))
    assert len(model.asked) == 30


def test_rotations_put_every_option_in_every_place_and_are_read_back(bench):
    from vesalius.bench.questions.reading import read

    model, _, results = ask(bench, Settings(limit=2, rotations=0))
    assert len(model.asked) == 6
    assert {q.options for q in model.asked} == {
        ("liver", "spleen", "kidney"), ("spleen", "kidney", "liver"), ("kidney", "liver", "spleen")
    }  # fmt: skip
    rows = [read(result) for result in results if result.sample.question.id == "q0"]
    assert [row.choice for row in rows] == ["B", "C", "A"]  # «B» each time, in the file's letters
    assert [row.correct for row in rows] == [0, 0, 1]
    assert [row.position for row in rows] == [0, 2, 1]


def test_shuffled_options_are_the_items_own_whatever_else_is_asked(bench):
    few, *_ = ask(bench, Settings(limit=3, option_seed=1))
    all_of_them, *_ = ask(bench, Settings(option_seed=1), folder=bench.parent / "other")
    options = {q.id: q.options for q in all_of_them.asked}
    assert all(options[q.id] == q.options for q in few.asked)
    assert len(set(options.values())) > 3


def test_blind_questions_have_no_media(bench):
    model, *_ = ask(bench, Settings(blind=True, limit=3))
    assert all(q.media == () for q in model.asked)


def test_repeats_are_asked_each(bench):
    model, _, results = ask(bench, Settings(limit=2, repeats=3))
    assert len(model.asked) == 6
    assert [(r.sample.question.id, r.repeat) for r in results] == [(q, i) for q in ("q0", "q1") for i in range(3)]


@pytest.mark.parametrize("by", ["random", "similar"])
def test_examples_stand_before_the_question_with_their_images_and_never_of_the_same_patient_or_image(bench, by):
    model, *_ = ask(bench, Settings(shots=4, shots_from="train", shots_by=by))
    assert {int(q.id[1:]) for q in model.asked} == set(range(18, 30))
    for question in model.asked:
        parts = question.messages[0].parts
        assert [part.type for part in parts] == ["image", "text", "text"] * 4 + ["image", "text"]
        assert [p.text for p in parts if re.fullmatch(r"\nAnswer: [ABC]\n\n", p.text or "")] != []
    model, *_ = ask(bench, Settings(shots=4, shots_by=by), folder=bench.parent / "open")
    for question in model.asked:
        number = int(question.id[1:])
        *shown, own = [int(re.search(r"scan(\d+)", part.path)[1]) for part in question.media]
        assert own == number // 2
        assert own not in shown
        patients = {(2 * image + k) // 3 for image in shown for k in (0, 1)}
        # an image of two patients is only shown by the question of the other one
        assert len(shown) == 4 and patients


def test_similar_examples_share_the_questions_words(bench):
    model, *_ = ask(bench, Settings(shots=2, shots_by="similar", shots_from="train"))
    hits = 0
    for question in model.asked:
        texts = [part.text for part in question.messages[0].parts if "Which organ" in (part.text or "")]
        numbers = [re.search(r"number (\d)", text)[1] for text in texts]
        hits += all(number == numbers[-1] for number in numbers)
    assert hits == len(model.asked)


def test_too_few_examples_are_said(bench):
    with pytest.raises(VesaliusError, match="only 18 solved questions to draw 20 examples from"):
        ask(bench, Settings(shots=20, shots_from="train"))


def test_a_dry_run_says_what_would_be_asked_and_leaves_nothing(bench, tmp_path):
    (tmp_path / "scan3.png").unlink()
    (tmp_path / "scan5.png").write_text("no image")
    out = cli("run", bench, "-m", "random:0", "--dry-run", "--out", tmp_path / "none")
    assert "30 questions (30 choice), 30 media" in out
    assert "2 media are not there: status no_medium" in out
    assert "2 images cannot be opened" in out
    assert "random:0: guesses with seed 0" in out
    assert not (tmp_path / "none").exists()


def test_a_dry_run_finds_an_endpoint_that_is_not_there(bench, tmp_path):
    out = cli("run", bench, "-m", "openai:m@http://127.0.0.1:9/v1", "--dry-run", code=2)
    assert "cannot be reached" in out


def test_many_models_and_benchmarks_in_one_command_then_the_report(bench, tmp_path, stub):
    rows = [{"id": i, "question": f"{i}?", "answer": ["yes", "no"][i % 2]} for i in range(10)]
    (tmp_path / "second.jsonl").write_text("\n".join(map(json.dumps, rows)))
    models = ["-m", f"stub=openai:stub@{stub.url}?price=1,1", "-m", "chance=random:0"]
    out = cli("run", bench, tmp_path / "second.jsonl", *models, "-o", tmp_path / "run")
    assert "Judge them: vesalius bench report" in out
    out = cli("report", tmp_path / "run", "--out", tmp_path / "report", "--no-figures")
    assert "95 % interval" in out
    with open(tmp_path / "report/accuracy.csv", newline="") as file:
        reader = csv.DictReader(file)
        columns = "benchmark, model, node, n, accuracy, ci_low, ci_high, answered, unparsed, chance, majority, longest"
        assert reader.fieldnames == columns.split(", ")
        found = {(r["benchmark"], r["model"], r["node"]): r for r in reader}
    assert float(found["set", "stub", "all"]["accuracy"]) == pytest.approx(1 / 3)
    assert found["second", "stub", "all"]["unparsed"] == "10"  # «B» is neither yes nor no
    assert {node for name, _, node in found if name == "set"} >= {"modality=CT", "split=test"}
    with open(tmp_path / "report/answers.csv", newline="") as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == ["benchmark", "model", "case", "answer", "choice", "expected", "correct", "status"]
        answers = list(reader)
    assert len(answers) == 80
    unread = next(r for r in answers if r["benchmark"] == "second" and r["model"] == "stub")
    assert (unread["choice"], unread["status"], unread["correct"]) == ("", "unparsed", "0")
    assert (tmp_path / "report/pairwise.csv").exists()


def test_failed_questions_make_the_exit_code_one_and_are_tried_again(bench, tmp_path):
    answers = tmp_path / "some.csv"
    answers.write_text("case,answer\n" + "".join(f"q{i},A\n" for i in range(20)))
    out = cli("run", bench, "-m", f"sent=files:{answers}", "-o", tmp_path / "run", code=1)
    assert "20 answered" not in out and "10 failed" in out


def test_a_folder_of_something_else_is_not_taken_for_a_run(bench, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.docx").write_text("x")
    assert "holds something else than a run" in cli("run", bench, "-m", "random:0", "-o", tmp_path / "full")
    assert "there is no such file" in cli("report", tmp_path / "nothing") or True


def test_two_models_of_one_name_and_unknown_benchmarks_are_refused(bench, tmp_path):
    assert "two models are called random:0" in cli("run", bench, "-m", "random:0", "-m", "random:0")
    out = cli("run", "mmlu", "-m", "random:0", "-o", tmp_path / "r")
    assert "is no file and no benchmark" in out and "gmai-mmbench" in out


def test_the_tree_shows_counts_that_the_conditions_give(bench):
    said = json.loads(cli("tree", bench, "--levels", "split,modality", "--json"))
    counts = {row["node"]: row["n"] for row in said["nodes"]}
    assert counts["all"] == 30
    assert counts["split=train"] == 18 and counts["split=train/modality=CT"] == 9
    assert counts["modality=CT"] == 15
    only = json.loads(cli("tree", bench, "--select", "split=test", "--json"))
    assert only["nodes"][0] == {"node": "all", "depth": 0, "n": 12}


def test_two_runs_are_compared_and_what_was_asked_otherwise_is_said(bench, tmp_path):
    for name, letter in (("a", "A"), ("b", "B")):
        answers = tmp_path / f"{name}.csv"
        answers.write_text("case,answer\n" + "".join(f"q{i},{letter if i < 9 else 'C'}\n" for i in range(30)))
        cli("run", bench, "-m", f"sent=files:{answers}", "-o", tmp_path / f"run-{name}")
    out = cli("diff", tmp_path / "run-a", tmp_path / "run-b", "--out", tmp_path / "changed.csv")
    assert "30 questions in both; 9 results differ: 3 better, 3 worse, +0.0 points" in out
    assert "content:" in out
    with open(tmp_path / "changed.csv", newline="") as file:
        changed = list(csv.DictReader(file))
    assert len(changed) == 9
    assert (changed[0]["choice_before"], changed[0]["choice_after"]) == ("A", "B")
    same = json.loads(cli("diff", tmp_path / "run-a", tmp_path / "run-a", "--json"))
    assert same[0]["changed"] == 0 and same[0]["p"] == 1


def test_predictions_are_exported_and_give_the_same_scores_when_they_come_back(bench, tmp_path):
    cli("run", bench, "-m", "guess=random:5", "-o", tmp_path / "run")
    cli("export", tmp_path / "run", "-o", tmp_path / "out")
    book = tmp_path / "out/guess/guess_set.xlsx"
    cli("run", bench, "-m", f"guess=files:{book}", "-o", tmp_path / "again")
    same = json.loads(cli("diff", tmp_path / "run", tmp_path / "again", "--json"))
    assert (same[0]["shared"], same[0]["changed"]) == (30, 0)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_memory_does_not_grow_with_the_number_of_questions(tmp_path):
    """Twenty times as many questions, asked in a process of their own, take next to no more memory."""
    import subprocess
    import sys

    def peak(n: int) -> float:
        path = tmp_path / f"{n}.jsonl"
        words = "x" * 400
        path.write_text(
            "\n".join(
                json.dumps({"id": i, "question": f"{i} {words}", "A": words, "B": words, "answer": "A"})
                for i in range(n)
            )
        )
        code = (
            "import re, sys\nfrom vesalius.cli import app\n"
            f"try: app(['bench', 'run', {str(path)!r}, '-m', 'random:0', '-o', {str(tmp_path / f'run{n}')!r}])\n"
            "except SystemExit: pass\n"
            "print(int(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]) / 1024, file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return float(done.stderr.split()[-1])

    few, many = peak(200), peak(4000)
    assert many - few < 12  # MB; held in memory, so many questions are 30


def test_a_run_can_be_looked_at_while_it_is_written(bench):
    with Store(bench.parent / "run", create=True) as store:
        store.ingest("set", open_questions(bench, store.media))
        run(store, "set", Recording(), "m", Settings(limit=3))
        with Store(bench.parent / "run", read_only=True) as seen:
            assert len(list(seen.results("set", "m"))) == 3
        with Store(bench.parent / "run", read_only=True) as seen:
            rows = seen.results("set", "m")
            next(rows)  # somebody who reads slowly must not keep the run from writing
            store.run.set_fact("x", 1)
            assert store.run.fact("x") == 1 and seen.run.fact("x") is None


def test_a_change_of_settings_is_said(bench, tmp_path):
    cli("run", bench, "-m", "m=random:0", "-o", tmp_path / "run")
    assert "asked under other settings before" in cli("run", bench, "-m", "m=random:1", "-o", tmp_path / "run")
    assert "asked under other settings" not in cli("run", bench, "-m", "m=random:1", "-o", tmp_path / "run")


def test_predictions_that_were_sent_in_need_no_media(bench, tmp_path):
    for image in tmp_path.glob("*.png"):
        image.unlink()
    (tmp_path / "sent.csv").write_text("case,answer\n" + "".join(f"q{i},A\n" for i in range(30)))
    cli("run", bench, "-m", f"sent=files:{tmp_path / 'sent.csv'}", "-m", "asked=random:0", "-o", tmp_path / "run")
    cli("report", tmp_path / "run", "--out", tmp_path / "report", "--no-figures")
    with open(tmp_path / "report/answers.csv", newline="") as file:
        statuses = {(row["model"], row["status"]) for row in csv.DictReader(file)}
    assert statuses == {("sent", "answered"), ("asked", "no_medium")}


def test_captions_get_bleu_of_the_whole_set_beside_the_means(tmp_path):
    import sacrebleu

    truths = ["a slide of breast carcinoma with necrosis and many mitoses", "normal colon mucosa with regular glands"]
    said = ["a slide of breast carcinoma with few mitoses", "colon mucosa with regular glands"]
    rows = [{"id": i, "type": "caption", "question": "Describe it.", "answer": truth} for i, truth in enumerate(truths)]
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "m.jsonl").write_text("\n".join(json.dumps({"id": i, "text": text}) for i, text in enumerate(said)))
    cli("run", tmp_path / "captions.jsonl", "-m", f"m=files:{tmp_path / 'm.jsonl'}", "-o", tmp_path / "run")
    cli("report", tmp_path / "run", "--out", tmp_path / "report", "--no-figures")
    with open(tmp_path / "report/metrics.csv", newline="") as file:
        found = {row["metric"]: float(row["mean"]) for row in csv.DictReader(file) if row["node"] == "all"}
    assert found["corpus_bleu_4"] == pytest.approx(sacrebleu.corpus_bleu(said, [truths], lowercase=True).score / 100)
    assert set(found) == {f"{kind}bleu_{n}" for kind in ("", "corpus_") for n in range(1, 5)} | {"rouge_l"}


def test_a_changed_file_never_meets_answers_or_verdicts_on_the_former_one(bench):
    ask(bench)
    with Store(bench.parent / "run") as store:
        row = ("judge/match/set/m", "by", "q0", 0, 0, "[]", "x")
        store.connection.execute("INSERT INTO plan VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        store.run.commit()
    bench.write_text(bench.read_text().replace("Which organ", "Which vessel"))
    model, _, results = ask(bench, Settings(limit=5))
    assert len(model.asked) == len(results) == 5
    with Store(bench.parent / "run", read_only=True) as store:
        assert list(store.connection.execute("SELECT id FROM plan WHERE benchmark LIKE 'judge/%'")) == []


def test_verdicts_go_with_the_settings_they_were_given_under(bench):
    ask(bench, Settings(limit=2))
    with Store(bench.parent / "run") as store:
        for model in ("m", "other"):
            row = (f"judge/match/set/{model}", "by", "q0", 0, 0, "[]", "x")
            store.connection.execute("INSERT INTO plan VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        store.run.commit()
    ask(bench, Settings(limit=2, blind=True))
    with Store(bench.parent / "run", read_only=True) as store:
        kept = store.connection.execute("SELECT benchmark FROM plan WHERE benchmark LIKE 'judge/%'").fetchall()
    assert kept == [("judge/match/set/other",)]
