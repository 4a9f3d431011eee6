"""Predictions and references brought together by name, pattern and table."""

from pathlib import Path

import pytest

from vesalius.errors import VesaliusError
from vesalius.formats.masks import Entry
from vesalius.formats.pairs import pair, read_pairs


def entries(*names):
    return {name: Entry(name, Path(f"{name}.nii.gz")) for name in names}


def names(pairing):
    return {case: (p.path.name[:-7], r.path.name[:-7]) for case, (p, r) in pairing.matched.items()}


def test_equal_names_match_and_both_sides_of_the_rest_are_kept():
    pairing = pair(entries("b", "a", "Fall ü 1", "x"), entries("a", "b", "Fall ü 1", "y"))
    assert list(pairing.matched) == ["Fall ü 1", "a", "b"]
    assert list(pairing.only_predictions) == ["x"] and list(pairing.only_references) == ["y"]


@pytest.mark.parametrize(
    ("pattern", "predictions", "references", "expected"),
    [
        ("{case}_pred", ["a_pred", "b_pred"], ["a", "b"], {"a": ("a_pred", "a"), "b": ("b_pred", "b")}),
        ("{case}_pred.nii.gz", ["a_pred"], ["a"], {"a": ("a_pred", "a")}),
        ("seg_{case}|{case}_gt", ["seg_a"], ["a_gt"], {"a": ("seg_a", "a_gt")}),
        ("seg_{case}.nii.gz | {case}_gt.nrrd", ["seg_a"], ["a_gt"], {"a": ("seg_a", "a_gt")}),
        ("{case}_*_run{n}", ["a_x_run3", "b_y_run7"], ["a", "b"], {"a": ("a_x_run3", "a"), "b": ("b_y_run7", "b")}),
        (
            r"(?P<case>s\d+)_.*",
            ["s01_x", "s02_y"],
            ["s01_gt", "s02"],
            {"s01": ("s01_x", "s01_gt"), "s02": ("s02_y", "s02")},
        ),
        (r"m_(?P<case>a|b)", ["m_a", "m_b"], ["a", "b"], {"a": ("m_a", "a"), "b": ("m_b", "b")}),
        ("seg_{case}", ["seg_a", "b"], ["a", "b"], {"a": ("seg_a", "a"), "b": ("b", "b")}),
        ("{case} (1)", ["Fall ü (1)"], ["Fall ü"], {"Fall ü": ("Fall ü (1)", "Fall ü")}),
    ],
)
def test_patterns(pattern, predictions, references, expected):
    assert names(pair(entries(*predictions), entries(*references), pattern)) == expected


def test_two_predictions_that_a_pattern_makes_one_case_are_flagged():
    pairing = pair(entries("a_run1", "a_run2", "b_run1"), entries("a", "b"), "{case}_run*")
    assert "a_run1.nii.gz and a_run2.nii.gz" in pairing.matched["a"][0].problem
    assert pairing.matched["b"][0].problem is None


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("pred", "one {case}"),
        ("{case}_{case}", "one {case}"),
        ("(?P<case>(", "regular expression"),
        ("z_{case}", "fits no"),
        ("{case}|{case}|{case}", "two sides"),
    ],
)
def test_patterns_that_cannot_work(pattern, words):
    with pytest.raises(VesaliusError) as error:
        pair(entries("a_pred"), entries("a"), pattern)
    assert error.value.code == "pattern" and words in str(error.value) and "{case}" in error.value.remedy


@pytest.mark.parametrize(
    ("predictions", "references", "proposed"),
    [
        (["a1_pred", "b1_pred"], ["a1", "b1"], '--pattern "{case}_pred"'),
        (["a1"], ["gt-a1"], '--pattern "{case}|gt-{case}"'),
        (["p1", "p2", "p3", "p4"], ["r1"], "--pairs"),
    ],
)
def test_no_match_at_all_shows_names_and_proposes_what_would_work(predictions, references, proposed):
    with pytest.raises(VesaliusError) as error:
        pair(entries(*predictions), entries(*references))
    assert error.value.code == "no_pairs" and proposed in error.value.remedy
    assert all(name in error.value.problem for name in [*predictions[:3], *references])
    if "{case}" in proposed:
        pattern = proposed.split('"')[1]
        assert len(pair(entries(*predictions), entries(*references), pattern).matched) == len(references)


def test_pairs_from_a_table(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "r1.nii.gz").write_bytes(b"")
    (tmp_path / "p.csv").write_text(
        "\ufeffcase;model;reference;prediction;age\n"
        "Müller 1;A;masks/r1.nii.gz;/elsewhere/p1.nii.gz;61\n"
        "Müller 1;B;masks/r1.nii.gz;;61\n"
        ";A;masks/r2.nii.gz;pa/r2_pred.nii.gz;\n",
        encoding="utf-8",
    )
    pairs = read_pairs(tmp_path / "p.csv")
    assert list(pairs) == ["A", "B"]
    assert list(pairs["A"].matched) == ["Müller 1", "r2"]
    prediction, reference = pairs["A"].matched["Müller 1"]
    assert prediction.path == Path("/elsewhere/p1.nii.gz") and reference.path == tmp_path / "masks" / "r1.nii.gz"
    assert prediction.case == reference.case == "Müller 1"
    assert list(pairs["B"].only_references) == ["Müller 1"] and not pairs["B"].matched


def test_a_table_without_models_is_of_one(tmp_path):
    (tmp_path / "p.csv").write_text("Reference,Prediction\nr/a.nii.gz,p/a_x.nii.gz\nr/b.nii.gz,p/b_x.nii.gz\n")
    assert list(read_pairs(tmp_path / "p.csv")[""].matched) == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ("case,reference\na,b\n", "columns", 'no column "prediction" (there are: case, reference)'),
        ("case,reference,prediction\na,r,p\na,r,p2\n", "pairs", 'line 3: case "a" stands there twice'),
        ("case,reference,prediction\na,,\n", "pairs", "line 2 names neither"),
        ("case,reference,prediction\n", "pairs", "no rows"),
        ("", "empty", "empty"),
    ],
)
def test_broken_tables_name_the_line(tmp_path, content, code, words):
    (tmp_path / "p.csv").write_text(content)
    with pytest.raises(VesaliusError) as error:
        read_pairs(tmp_path / "p.csv")
    assert error.value.code == code and words in str(error.value) and "p.csv" in str(error.value)
