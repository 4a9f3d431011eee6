"""The YAML: what it takes, and one line for what it does not; a look at a folder that writes one."""

import labelled_sets
import pytest
import yaml
from typer.testing import CliRunner

from vesalius.cli import app
from vesalius.errors import VesaliusError
from vesalius.instruct.config import SetConfig, read_config
from vesalius.instruct.look import starting_yaml
from vesalius.instruct.templates import Template, plural

SET = {"name": "s", "layout": "folders", "taxonomy": {"modality": "CT"}, "labels": {"a": "A", "b": "B"}}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"layuot": 1}, "layuot: there is no such key"), ({"layout": "zip"}, "layout: Input should be 'folders'"),
        ({"taxonomy": {}}, "say at least `modality`"), ({"taxonomy": {"modality": "???"}}, "fill in `modality`"),
        ({"labels": {}}, "give the closed label space"), ({"layout": "csv"}, "needs `table`, `columns.image`"),
        ({"layout": "coco"}, "needs `annotations`"), ({"layout": "masks"}, "needs `masks or mask_suffix`"),
        ({"questions": [{"ask": "why"}]}, "questions.0.ask"), ({"split": {"test": 0}}, "positive share"),
        ({"questions": [{"wording": "Is it {label}?"}]}, "{label} is unknown; write {name}"),
        ({"questions": [{"column": "eye"}]}, "give the label space of the column «eye»"),
        ({"questions": [{"ask": "count", "granularity": "box"}]}, "counts are of the whole image"),
        ({"questions": [{"ask": "count", "column": "n"}]}, "say what «n» counts"),
        ({"patient": {"column": "a", "pattern": "b"}}, "either `column` or `pattern`"),
        ({"patient": {"pattern": "("}}, "no regular expression"), ({"name": "../x"}, "name"),
        ({"table": "t.csv"}, "which column of the table names the image"),
        ({"layout": "csv", "table": "t", "columns": {"image": "f", "box": ["a", "b"]}}, "four columns"),
    ],
)  # fmt: skip
def test_wrong_keys_are_one_line(tmp_path, more, words):
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(SET | more))
    with pytest.raises(VesaliusError) as error:
        read_config(tmp_path / "s.yaml")
    assert words in str(error.value) and "\n" not in str(error.value) and "s.yaml" in str(error.value)


@pytest.mark.parametrize("text", ["- a\n", "a: [", "", "\xff"])
def test_what_is_no_yaml_of_a_set(tmp_path, text):
    (tmp_path / "s.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(VesaliusError):
        read_config(tmp_path / "s.yaml")
    with pytest.raises(VesaliusError, match="cannot be read"):
        read_config(tmp_path / "none.yaml")


def test_short_forms_mean_the_same():
    short = SetConfig(**SET | {"labels": {2: "one", True: "two", "c": None}, "patient": "who"})
    assert list(short.labels) == ["2", "yes", "c"] and list(short.space) == ["2", "yes"]
    assert short.space["2"].name == "one" and short.patient.column == "who"
    assert SetConfig(**SET | {"labels": ["x", "y"]}).space["x"].name == "x"
    assert SetConfig(**SET | {"taxonomy": {"Modality": "CT", "clinical_vqa_task": "bone"}}).taxonomy == {
        "modality": "CT", "clinical vqa task": "bone"}  # fmt: skip


def test_words_that_gmai_has_not_are_warnings():
    config = SetConfig(**SET | {"taxonomy": {"modality": "CT", "department": "Dermatologie"}})
    (line,) = config.unusual_words()
    assert "no department «Dermatologie»" in line and "dermatology" in line


def test_wording_names_modality_task_and_granularity():
    template = Template("t", "label", "contour", "cell recognition", "blood smear", noun="type of cell")
    for sentence in template.sentences():
        assert "blood smear" in sentence and "type of cell" in sentence and "cyan contour" in sentence
        assert sentence[0].isupper() and sentence.endswith("?")
    assert len(set(template.sentences())) >= 3
    names = {"cell": "cells", "biopsy": "biopsies", "blood vessels": "blood vessels", "mass": "masses"}
    for name, many in names.items():
        assert plural(SetConfig(**SET | {"labels": {"x": name}}).space["x"]) == many


@pytest.mark.parametrize("layout", labelled_sets.ALL)
def test_a_look_at_a_folder_writes_a_yaml_that_works(tmp_path, layout):
    path = labelled_sets.ALL[layout](tmp_path / layout)
    meant = read_config(path)
    text = starting_yaml(tmp_path / layout)
    with pytest.raises(VesaliusError, match="fill in `modality`"):
        (tmp_path / "again.yaml").write_text(text)
        read_config(tmp_path / "again.yaml")
    kept = [line for line in text.splitlines() if "???" not in line or "modality" in line]
    filled = "\n".join(kept).replace("???", "CT")
    (tmp_path / "again.yaml").write_text(filled)
    found = read_config(tmp_path / "again.yaml")
    assert found.layout == meant.layout
    if layout not in ("one_mask", "box_table"):
        assert found.labels.keys() == meant.labels.keys()
    runner = CliRunner()
    out = tmp_path / "o.tsv"
    if layout == "one_mask":
        return  # its one kind of object has no name yet
    result = runner.invoke(app, ["bench", "build", str(tmp_path / "again.yaml"), "-o", str(out)])
    assert out.exists(), result.output


def test_the_command(tmp_path):
    runner = CliRunner()
    path = labelled_sets.class_folders(tmp_path / "s")
    out, page = tmp_path / "o.tsv", tmp_path / "p.html"
    result = runner.invoke(app, ["bench", "build", str(path), "--out", str(out), "--preview", str(page)])
    assert result.exit_code == 0 and "24 questions on 24 images" in result.output
    html = page.read_text()
    assert "data:image/" in html and "s/label/image" in html and "✓" in html and "http" not in html.split("</style>")[1]
    result = runner.invoke(app, ["bench", "build", "--init", str(tmp_path / "s")])
    assert result.exit_code == 0 and "malignant:" in result.output
    (tmp_path / "s" / "normal" / "p200_0_normal.png").write_bytes(b"")
    result = runner.invoke(app, ["bench", "build", str(path), "--out", str(out), "--root", str(tmp_path)])
    assert result.exit_code == 1 and "1 files or rows left out" in result.output
    with pytest.raises(VesaliusError, match="no YAML of a labelled set"):
        runner.invoke(app, ["bench", "build"], catch_exceptions=False)
    with pytest.raises(VesaliusError, match="no images in it"):
        (tmp_path / "empty").mkdir()
        starting_yaml(tmp_path / "empty")
