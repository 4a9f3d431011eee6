"""Predictions that somebody sent in, in the forms in which they come."""

import json

import pytest

from vesalius.errors import VesaliusError
from vesalius.models import open_model
from vesalius.records import Answer, Message, Part, Question, Sample


def ask(*ids: str) -> list[Question]:
    return [Question(id, (Message("user", (Part.of_text("?"),)),), ("a", "b"), "choice") for id in ids]


def given(path, options: str = "") -> dict[str, str]:
    return {a.id: a.text or a.status for a in open_model(f"files:{path}{options}").answer(ask("0", "1", "2"))}


def test_csv_tsv_and_json_lines_are_read(tmp_path):
    (tmp_path / "p.csv").write_text("case,answer\n0,A\n1,The answer is B\n")
    (tmp_path / "p.tsv").write_text("index\tprediction\tanswer\n0\tA\tB\n1\tThe answer is B\tB\n")
    (tmp_path / "p.jsonl").write_text('{"id": 0, "response": "A"}\n{"id": 1, "response": "The answer is B"}\n')
    for name in ("p.csv", "p.tsv", "p.jsonl"):
        assert given(tmp_path / name) == {"0": "A", "1": "The answer is B", "2": "failed"}


def test_a_case_without_an_answer_says_so(tmp_path):
    (tmp_path / "p.csv").write_text("case,answer\n0,A\n1,\n")
    answers = {a.id: a for a in open_model(f"files:{tmp_path / 'p.csv'}").answer(ask("0", "1", "2"))}
    assert answers["1"].status == "empty"
    assert answers["2"].status == "failed"
    assert answers["2"].reason == "p.csv has no answer for it"


def test_workbooks_of_vlmevalkit_come_back_as_they_were_written(tmp_path):
    pytest.importorskip("openpyxl")
    from vesalius.formats.vlmevalkit import write_predictions

    kept = []
    for id, text in (("0", "A"), ("1", "**B**\nbecause\x07 =1+1"), ("7.5", "C")):
        (question,) = ask(id)
        expected = Message("assistant", (Part.of_text("B"),))
        kept.append((Sample(question, expected, {"category": "x"}), Answer.of_text(id, text)))
    path = write_predictions(tmp_path, "org/model@1", "bench", kept)
    assert path.relative_to(tmp_path).parts == ("org_model_1", "org_model_1_bench.xlsx")
    assert given(path) == {"0": "A", "1": "**B**\nbecause  =1+1", "2": "failed"}
    from openpyxl import load_workbook

    rows = list(load_workbook(path).worksheets[0].iter_rows(values_only=True))
    assert rows[0] == ("index", "question", "A", "B", "answer", "category", "prediction")
    assert rows[1] == (0, "?", "a", "b", "B", "x", "A")


def test_sample_logs_of_lm_evaluation_harness_are_read(tmp_path):
    rows = [
        {"doc_id": i, "doc": {}, "target": "1", "resps": [[text]], "filtered_resps": [text]}
        for i, text in enumerate("AB")
    ]
    (tmp_path / "samples_task.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert given(tmp_path / "samples_task.jsonl") == {"0": "A", "1": "B", "2": "failed"}


def test_other_columns_are_named_by_options(tmp_path):
    (tmp_path / "p.csv").write_text("nr,said\n0,A\n")
    with pytest.raises(
        VesaliusError, match=r"no column of cases — name it: files:p\.csv\?id=COLUMN; there are nr, said"
    ):
        given(tmp_path / "p.csv")
    assert given(tmp_path / "p.csv", "?id=nr&answer=said")["0"] == "A"


def test_two_answers_to_a_case_are_refused(tmp_path):
    (tmp_path / "p.csv").write_text("case,answer\n0,A\n0,B\n")
    with pytest.raises(VesaliusError, match="case 0: has two answers"):
        given(tmp_path / "p.csv")


def test_a_folder_of_masks_answers_with_masks(tmp_path):
    import nibabel
    import numpy as np

    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)), tmp_path / "1.nii.gz")
    found = {a.id: a for a in open_model(f"files:{tmp_path}").answer(ask("0", "1"))}
    assert found["0"].status == "failed"
    assert found["1"].message.parts[0].type == "mask"


def test_changed_bytes_are_another_model(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("case,answer\n0,A\n")
    before = open_model(f"files:{path}").identity()
    path.write_text("case,answer\n0,B\n")
    assert open_model(f"files:{path}").identity() != before
