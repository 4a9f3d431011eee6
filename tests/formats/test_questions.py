"""Files of questions as they are published, and as anybody writes them."""

import json

import pytest

from vesalius.errors import VesaliusError
from vesalius.formats.questions import chosen, open_questions, without_letters
from vesalius.records import Message, Part, Question, Sample, write_samples


def read(path, media, *folders):
    return list(open_questions(path, media, folders).samples())


def words(sample) -> str:
    return "".join(part.text or "" for part in sample.question.messages[-1].parts)


def test_proteinlmbench_as_published_by_others_gives_its_options_and_drops_its_instruction(shared_data, tmp_path):
    samples = read(shared_data / "protein/proteinlmbench.jsonl", tmp_path)
    assert len(samples) == 942
    assert {len(sample.question.options) for sample in samples} == {6}
    assert all(sample.truth in "ABCDEF" for sample in samples)
    assert [sample.question.id for sample in samples[:3]] == ["0", "1", "2"]
    first = samples[0]
    assert words(first).endswith("inter-domain interface?")
    assert first.question.options[5] == "The path between the RNA binding grooves of KH1 and KH2 is negatively charged."
    assert "boxed" not in "".join(map(words, samples))
    assert not any("Please choose one" in words(sample) for sample in samples)


def test_proteinlmbench_twins_are_counted_as_the_specification_says(shared_data, tmp_path):
    samples = read(shared_data / "protein/proteinlmbench.jsonl", tmp_path)
    twins = [s for s in samples if len({o.strip() for o in s.question.options}) < 6]
    assert len(twins) == 67
    for sample in twins:
        right = sample.question.options["ABCDEF".index(sample.truth)]
        assert sample.question.options.count(right) == 1


def test_proteinlmbench_in_its_official_layout_made_up_here(tmp_path):
    item = {
        "question": "Which?",
        "options": [f"option {i}: {word}" for i, word in enumerate(["helix", "sheet", "coil"], 1)],
        "answer": "option 3",
        "explanation": "because",
    }
    (tmp_path / "p.json").write_text(json.dumps([item, item]))
    samples = read(tmp_path / "p.json", tmp_path)
    assert [s.question.options for s in samples] == [("helix", "sheet", "coil")] * 2
    assert [s.truth for s in samples] == ["C", "C"]
    assert samples[0].metadata["explanation"] == "because"


def test_both_layouts_of_slidebench_agree_where_they_share_questions(shared_data, tmp_path):
    folder = shared_data / "slides/questions"
    table = read(folder / "slidebench-small-giant.csv", tmp_path)
    listed = read(folder / "slidebench-vqa-tcga-subset.json", tmp_path)
    assert (len(table), len(listed)) == (200, 1494)
    assert table[0].question.id == "2270"
    assert listed[7].question.id == "7"
    key = {(s.metadata["slide"], words(s).replace(" ", "")): s for s in listed}
    shared = [(s, key[k]) for s in table if (k := (s.metadata["slide"], words(s).replace(" ", ""))) in key]
    assert len(shared) == 102
    for one, other in shared:
        assert one.truth == other.truth
        assert one.metadata["narrow_category"] == other.metadata["narrow_category"]
    assert set(table[0].metadata) == {"slide", "tumor", "broad_category", "narrow_category"}
    part = table[0].question.media[0]
    assert part.type == "slide" and part.path.endswith("TCGA-HC-7080-01Z-00-DX1.svs")


def test_a_slide_is_found_in_the_folders_given(shared_data, tmp_path):
    (tmp_path / "TCGA-05-4244-01Z-00-DX1.ndpi").write_bytes(b"x")
    samples = read(shared_data / "slides/questions/slidebench-vqa-tcga-subset.json", tmp_path / "m", tmp_path)
    assert samples[0].question.media[0].path == str(tmp_path / "TCGA-05-4244-01Z-00-DX1.ndpi")


def test_slidebench_bcnb_columns_are_read(tmp_path):
    text = "Slide,Task,Question,A,B,Answer\n1,Tumor,Which type?,IDC,ILC,B\n2,ER,Positive?,yes,no,A\n"
    (tmp_path / "bcnb.csv").write_text(text)
    samples = read(tmp_path / "bcnb.csv", tmp_path)
    assert [(s.question.id, s.truth, s.metadata["task"]) for s in samples] == [("0", "B", "Tumor"), ("1", "A", "ER")]


def test_vqa_rad_keeps_each_questions_type_and_brings_spellings_together(shared_data, tmp_path):
    folder = shared_data / "images/vqa_rad"
    samples = [
        sample
        for name in ("testset", "trainset_images_not_in_test", "trainset_same_images_as_test")
        for sample in read(folder / f"{name}.json", tmp_path)
    ]
    assert len(samples) == 2342
    kinds = [sample.question.type for sample in samples]
    assert (kinds.count("yes_no"), kinds.count("open")) == (1392, 950)
    opened = [s for s in samples if s.metadata["answer_type"] == "OPEN"]
    assert len(opened) == 888
    said = {s.truth.lower() for s in samples if s.question.type == "open" and s.metadata["answer_type"] == "CLOSED"}
    assert {"smaller", "maybe"} <= said
    kinds = {s.metadata["question_type"] for s in samples}
    assert kinds == {"PRES", "ABN", "POS", "SIZE", "OTHER", "MODALITY", "ATTRIB", "PLANE", "COUNT", "ORGAN", "COLOR"}
    assert {s.metadata["modality"] for s in samples} == {"unknown"}


ROWS = [
    {"id": "a", "question": "Which organ?", "A": "liver", "B": "spleen", "C": "NA", "answer": "C", "site": "north"},
    {"id": "b", "question": "Is it there?", "answer": "Yes"},
    {"id": "c", "question": "Name it.", "answer": "the left kidney"},
]


def test_rows_of_anybody_are_read_from_csv_and_json_lines_alike(tmp_path):
    (tmp_path / "q.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS))
    header = list(ROWS[0])
    lines = [",".join(header)] + [",".join(row.get(name, "") for name in header) for row in ROWS]
    (tmp_path / "q.csv").write_text("\n".join(lines))
    first, second = (read(tmp_path / name, tmp_path) for name in ("q.jsonl", "q.csv"))
    assert [s.question for s in first] == [s.question for s in second]
    assert [s.question.type for s in first] == ["choice", "yes_no", "open"]
    assert first[0].question.options == ("liver", "spleen", "NA")  # not a missing cell
    assert [s.truth for s in first] == ["C", "Yes", "the left kidney"]
    assert first[0].metadata == {"site": "north"}


def test_lists_of_choices_with_a_number_as_answer_are_read_as_lm_eval_users_have_them(tmp_path):
    rows = [
        {"question": "?", "choices": ["a", "b"], "answer": 1},
        {"query": "?", "choices": {"text": ["x", "y"]}, "gold": 0},
    ]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert [(s.question.options, s.truth) for s in read(tmp_path / "q.jsonl", tmp_path)] == [
        (("a", "b"), "B"),
        (("x", "y"), "A"),
    ]


def test_an_answer_that_is_no_option_is_said_and_not_expected(tmp_path):
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": "?", "options": ["a", "b"], "answer": "E"}))
    (sample,) = read(tmp_path / "q.jsonl", tmp_path)
    assert sample.truth is None
    assert "«E» is no option" in sample.metadata["problem"]


@pytest.mark.parametrize(
    ("answer", "places"),
    [
        ("B", [1]),
        ("(b)", [1]),
        ("A,C", [0, 2]),
        ("AC", [0, 2]),
        ("option 2", [1]),
        ("two", [1]),
        ("E", []),
        ("", []),
        ("BB", []),
    ],
)
def test_answer_keys_are_understood(answer, places):
    assert chosen(answer, ["one", "two", "three"]) == places


def test_letters_in_front_of_options_come_off_only_where_all_have_their_own():
    assert without_letters(["A) x", "B) y"]) == ["x", "y"]
    assert without_letters(["A. x", "C. y"]) == ["A. x", "C. y"]
    assert without_letters(["option 1: x", "option 2: y"]) == ["x", "y"]
    assert without_letters(["A study", "Beta"]) == ["A study", "Beta"]


def test_samples_written_by_us_are_read(tmp_path):
    sample = Sample(Question("q", (Message("user", (Part.of_text("?"),)),), ("a", "b"), "choices"), None, {"x": "y"})
    write_samples([sample], tmp_path / "s.parquet")
    assert read(tmp_path / "s.parquet", tmp_path) == [sample]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("q.csv", "a,b\n1,2\n", "has no such column: a, b — name the column of the questions `question`"),
        ("q.jsonl", '{"question": "?"}\n{oops', "line 2 is no JSON"),
        ("q.jsonl", "[1]\n", "line 1 is no object"),
        ("q.json", "{", "cannot be read as JSON"),
        ("q.json", "[]", "holds no question"),
        ("q.jsonl", '{"id": 1, "question": "?"}\n{"id": 1, "question": "?"}', "case 1: two questions have this id"),
        ("q.jsonl", '{"text": "?"}', "row 0 has no question"),
        ("q.docx", "x", "questions are not read from .docx"),
    ],
)
def test_what_cannot_be_read_is_said_with_the_file_and_a_remedy(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(VesaliusError) as caught:
        read(tmp_path / name, tmp_path)
    assert said in str(caught.value)
    assert name in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(VesaliusError, match="there is no such file"):
        open_questions(tmp_path / "nothing.tsv", tmp_path)
