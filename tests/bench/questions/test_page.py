"""The page of a report of questions: what it says, what its folder holds, and that hostile text stays text."""

import csv
import json
import re

import numpy as np
import polars as pl
import pytest
from page_world import Says, ask, knows, plain, questions
from PIL import Image

from vesalius.bench.questions.files import compute
from vesalius.bench.questions.page import charts, write
from vesalius.bench.questions.page.facts import gather
from vesalius.bench.questions.page.hints import published_order
from vesalius.bench.questions.page.thumbnails import Thumbnails
from vesalius.bench.questions.runner import Settings
from vesalius.bench.questions.runs import judge_runs
from vesalius.errors import VesaliusError
from vesalius.models.prompt import Prompt


def report(folders, out, **more):
    judged = judge_runs(folders)
    frames = compute(judged)
    return judged, frames, write(judged, frames, out, "A small world", figures=False, **more)


def test_a_clear_leader_is_said_with_its_interval_and_every_baseline(tmp_path):
    file = questions(tmp_path / "set.jsonl", plain(120))
    folder = ask(tmp_path / "run", file, [Says("good", knows(0.9)), Says("poor", knows(0.4))])
    said = report([folder], tmp_path / "out")[2]["set"]
    assert said.headline.startswith("good leads with ")
    text = " ".join(said.points)
    assert "whatever could not be read counted as wrong" in text and "95 %: " in text
    assert "above chance (25.0 %" in text and "above always the commonest answer" in text
    assert "above always the longest option" in text
    assert re.search(r"good and poor differ: on 120 shared questions.*would probably be missed", text)


def test_equal_models_cannot_be_told_apart(tmp_path):
    file = questions(tmp_path / "set.jsonl", plain(80))
    folder = ask(tmp_path / "run", file, [Says("one", knows(0.7, 1)), Says("two", knows(0.7, 2))])
    said = report([folder], tmp_path / "out")[2]["set"]
    assert "cannot be told apart from" in said.headline
    assert "cannot be told apart" in (tmp_path / "out" / "report.html").read_text()


def test_a_baseline_that_beats_the_models_comes_first(tmp_path):
    file = questions(tmp_path / "set.jsonl", plain(80, longest_is_right=True))
    folder = ask(tmp_path / "run", file, [Says("one", knows(0.6))])
    said = report([folder], tmp_path / "out")[2]["set"]
    assert "is not shown to beat always the longest option, which gets 100.0 %" in said.headline
    assert any("Always the longest option gets 100.0 %: one does worse" in warning for warning in said.warnings)


def test_a_handful_of_questions_gets_no_verdict(tmp_path):
    folder = ask(tmp_path / "run", questions(tmp_path / "set.jsonl", plain(7)), [Says("one", knows(1.0))])
    said = report([folder], tmp_path / "out")[2]["set"]
    assert said.headline == "7 questions with a known answer: too few for a verdict." and not said.warnings


def test_slides_that_are_not_there_are_said_and_nothing_is_judged(tmp_path):
    rows = [row | {"image": f"gone{i}.png"} for i, row in enumerate(plain(30))]
    folder = ask(tmp_path / "run", questions(tmp_path / "set.jsonl", rows), [Says("one", knows(1.0))])
    said = report([folder], tmp_path / "out")[2]["set"]
    assert said.headline.startswith("Nothing was asked")
    first = (tmp_path / "out" / "browser" / "0001.js").read_text()
    assert "The image gone0.png is not there." in first


def test_a_memory_of_the_published_order_is_a_hint_and_a_liking_for_places_is_none(tmp_path):
    rows = plain(150)
    published = {row["id"]: row["options"] for row in rows}
    file = questions(tmp_path / "set.jsonl", rows)

    def remembers(question):
        return knows(1.0 if list(question.options) == published[question.id] else 0.4)(question)

    models = [Says("remembers", remembers), Says("likes-a", lambda question: "A"), Says("steady", knows(0.7))]
    folder = ask(tmp_path / "run", file, models, Settings(rotations=0))
    hints = published_order(judge_runs([folder]), "set")
    found = dict(hints.select("model", pl.col("ci_low") > 0).iter_rows())
    assert found == {"remembers": True, "likes-a": False, "steady": False}


def test_the_tree_is_drawn_from_cumulated_counts_children_within_their_parents(tmp_path):
    folder = ask(tmp_path / "run", questions(tmp_path / "set.jsonl", plain(90)), [Says("one", knows(0.6))])
    judged = judge_runs([folder])
    facts = gather(judged, compute(judged), "set")
    rows = {row["node"]: row for row in charts.icicle(facts, "one")["datasets"]["rows"]}
    assert (rows["all"]["y"], rows["all"]["y2"]) == (0, 1)
    for node, row in rows.items():
        assert row["y2"] - row["y"] == pytest.approx(row["n"] / 90, abs=1e-4)
        if "/" in node:
            parent = rows[node.rpartition("/")[0]]
            assert parent["y"] - 1e-4 <= row["y"] and row["y2"] <= parent["y2"] + 1e-4
    conditions = {node.name: node.conditions for node in facts.nodes}
    below = charts.icicle(facts, "one", "department=urology")["datasets"]["rows"]
    assert {row["node"] for row in below} == {node for node in rows if node.startswith("department=urology")}
    assert (below[0]["x"], below[0]["y"], below[0]["y2"]) == (0, 0, 1)
    assert charts.icicle(facts, "one", "department=urology/task=task 2") is None
    assert conditions["department=urology/task=task 2"] == (("department", "urology"), ("task", "task 2"))


def test_the_prompt_is_shown_as_it_was_asked_examples_and_all(tmp_path):
    file = questions(tmp_path / "set.jsonl", plain(30))
    seen = {}

    def words(question):
        seen[question.id] = "".join(part.text for part in question.messages[-1].parts)
        return "A"

    settings = Settings(shots=2, prompt=Prompt("You are careful.", "One letter, please."))
    folder = ask(tmp_path / "run", file, [Says("one", words)], settings)
    report([folder], tmp_path / "out")
    details = scripts(tmp_path / "out")
    assert len(details) == 30
    for detail in details:
        assert detail["prompts"] == [f"system:\nYou are careful.\n\nuser:\n{seen[detail['id']]}"]


def scripts(out):
    """What all scripts of single questions hold."""
    found = sorted((out / "browser").glob("[0-9]*.js"))
    return [item for path in found for item in json.loads(re.search(r",(\[.*\])\);\n$", path.read_text(), re.S)[1])]


def test_pictures_are_small_copies_made_once_and_originals_are_never_copied(tmp_path):
    rng = np.random.default_rng(0)
    rows = plain(40)
    for i, row in enumerate(rows):
        row["image"] = f"{i // 4}.png"
    for k in range(9):
        Image.fromarray(rng.integers(0, 255, (700, 900, 3), dtype=np.uint8)).save(tmp_path / f"{k}.png")
    (tmp_path / "9.png").write_bytes((tmp_path / "0.png").read_bytes())
    folder = ask(tmp_path / "run", questions(tmp_path / "set.jsonl", rows), [Says("one", knows(0.5))])
    report([folder], tmp_path / "out")
    made = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "browser" / "media").iterdir()}
    assert len(made) == 9
    originals = {path.read_bytes() for path in tmp_path.glob("*.png")}
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or path.read_bytes() not in originals
        if path.suffix == ".jpg":
            assert Image.open(path).format == "JPEG" and max(Image.open(path).size) == 512
    report([folder], tmp_path / "out")
    again = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "browser" / "media").iterdir()}
    assert again == made


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "I;16", "F", "CMYK"])
def test_every_kind_of_picture_is_shown(tmp_path, mode):
    suffix = "tif" if mode in ("I;16", "F", "CMYK") else "png"
    source = Image.fromarray((np.arange(64 * 64).reshape(64, 64) % 256).astype(np.uint8))
    picture = Image.fromarray((np.arange(4096) * 10).reshape(64, 64).astype(np.uint16)) if mode == "I;16" else None
    (picture or source.convert("RGB").convert(mode) if mode != "F" else source.convert("F")).save(
        f"{tmp_path}/x.{suffix}"
    )
    thumbnails = Thumbnails(tmp_path / "media")
    thumbnails.make([f"{tmp_path}/x.{suffix}"])
    made = thumbnails.made[f"{tmp_path}/x.{suffix}"]
    assert not made.said and (made.width, made.height) == (64, 64)
    shown = np.asarray(Image.open(tmp_path / "media" / made.name).convert("L"))
    assert shown.max() - shown.min() > 100


def test_a_broken_picture_is_said_in_words(tmp_path):
    (tmp_path / "x.png").write_bytes(b"\x89PNG no")
    thumbnails = Thumbnails(tmp_path / "media")
    thumbnails.make([f"{tmp_path}/x.png"])
    assert thumbnails.made[f"{tmp_path}/x.png"].said.startswith("The image x.png cannot be read")


def test_a_report_takes_the_place_of_an_earlier_one_as_a_whole(tmp_path):
    Image.new("RGB", (9, 9), "red").save(tmp_path / "a.png")
    with_image = [row | {"image": "a.png"} for row in plain(25)]
    first = ask(tmp_path / "one", questions(tmp_path / "a.jsonl", with_image), [Says("one", knows(0.5))], name="a")
    second = ask(tmp_path / "two", questions(tmp_path / "b.jsonl", plain(450)), [Says("two", knows(0.5))], name="b")
    out = tmp_path / "out"
    report([second], out)
    assert len(list((out / "browser").glob("0*.js"))) == 3
    report([first], out)
    assert len(list((out / "browser").glob("0*.js"))) == 1 and len(list((out / "browser" / "media").iterdir())) == 1
    (out / "classes.csv").write_text("mine")
    report([second], out)
    assert not list((out / "browser" / "media").iterdir())
    assert (out / "classes.csv").read_text() == "mine"


def test_an_interrupted_report_has_no_page_and_is_replaced(tmp_path, monkeypatch):
    folder = ask(tmp_path / "run", questions(tmp_path / "set.jsonl", plain(25)), [Says("one", knows(0.5))])
    report([folder], tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr("vesalius.bench.questions.page.files.write_browser", lambda *a: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            report([folder], tmp_path / "out")
    assert not (tmp_path / "out" / "report.html").exists()
    report([folder], tmp_path / "out")
    assert (tmp_path / "out" / "report.html").exists()


def test_somebodys_folder_is_refused_and_a_table_of_scores_is_not_taken_for_a_report(tmp_path):
    folder = ask(tmp_path / "run", questions(tmp_path / "set.jsonl", plain(25)), [Says("one", knows(0.5))])
    for name in ("scores.parquet", "holiday.jpg"):
        out = tmp_path / name.partition(".")[0]
        out.mkdir()
        (out / name).write_text("mine")
        with pytest.raises(VesaliusError, match="holds something else than a report"):
            report([folder], out)
        assert (out / name).read_text() == "mine"


def test_what_could_not_be_read_is_shown_beside_both_accuracies(tmp_path):
    def words(question):
        return ["A or B", "", "I'm sorry, I cannot answer.", None, "right"][int(question.id[1:]) % 5]

    folder = ask(tmp_path / "run", questions(tmp_path / "set.jsonl", plain(50)), [Says("one", words)])
    judged, frames, said = report([folder], tmp_path / "out")
    facts = gather(judged, frames, "set")
    assert facts.answered.select("n", "accuracy").row(0) == (10, 1.0)
    assert facts.best()["accuracy"] == 0.2
    assert any("40 of 50 answers (80.0 %)" in point for point in said["set"].points)
    counts = dict(frames["statuses"].select("status", "n").iter_rows())
    assert counts == {"answered": 10, "unparsed": 10, "empty": 10, "refused": 10, "failed": 10}


def test_figures_are_saved_unless_they_are_not_wanted(tmp_path):
    folder = ask(tmp_path / "run", questions(tmp_path / "set.jsonl", plain(25)), [Says("a b/c", knows(0.5))])
    judged = judge_runs([folder])
    write(judged, compute(judged), tmp_path / "out", "T")
    names = {path.name for path in (tmp_path / "out" / "figures").iterdir()}
    assert {
        "icicle_set_a_b_c_all.svg",
        "leaderboard_set_all.png",
        "groups_set_department.svg",
        "statuses_set.png",
    } <= names
    write(judged, compute(judged), tmp_path / "out", "T", figures=False)
    assert not list((tmp_path / "out" / "figures").glob("*"))


def test_tables_and_answers_stand_beside_the_page(tmp_path):
    folder = ask(tmp_path / "run", questions(tmp_path / "set.jsonl", plain(25)), [Says("one", knows(0.5))])
    report([folder], tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"report.html", "accuracy.csv", "pairwise.csv", "answers.csv", "statuses.csv", "error_classes.csv"} <= names
    with open(tmp_path / "out" / "answers.csv") as file:
        assert len(list(csv.DictReader(file))) == 25
