"""GMAI-MMBench's TSV: what VLMEvalKit takes is read, what is written reads back, what is wrong costs one row."""

import base64
import csv
import io

import pytest
from PIL import Image

from vesalius.errors import VesaliusError
from vesalius.formats import gmai
from vesalius.models.prompt import Prompt, render
from vesalius.records import Message, Part, Question, Sample

csv.field_size_limit(10**9)


def picture(shade: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (24, 24), (shade, 0, 255 - shade)).save(buffer, kind)
    return buffer.getvalue()


def encoded(shade: int, kind: str = "PNG") -> str:
    return base64.b64encode(picture(shade, kind)).decode()


def table(path, rows):
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, delimiter="\t", restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def read(tmp_path, *rows):
    return list(gmai.read(table(tmp_path / "set.tsv", rows), tmp_path / "media"))


def text(sample):
    return "".join(part.text or "" for part in sample.expected.parts) if sample.expected else None


def test_a_row_becomes_a_sample(tmp_path):
    (sample,) = read(
        tmp_path,
        {"index": "7", "image": encoded(9, "JPEG"), "question": "What\nis «it», \"then\"?", "A": "nevus",
         "B": "melanoma",
         "E": "", "answer": "B", "category": "DD", "l2-category": "Dermatology", "split": "val",
         "clinical vqa task": "disease diagnosis", "Perceptual Granularity": "box"},
    )  # fmt: skip
    assert (sample.question.id, sample.question.type, sample.question.options) == ("7", "choice", ("nevus", "melanoma"))
    image, words = sample.question.messages[0].parts
    assert words.text == 'What\nis «it», "then"?'
    assert image.path.endswith(".jpg") and (tmp_path / image.path).read_bytes() == picture(9, "JPEG")
    assert text(sample) == "B"
    assert sample.metadata == {
        "index": "7", "category": "DD", "l2_category": "Dermatology", "split": "val",
        "clinical_vqa_task": "disease diagnosis", "perceptual_granularity": "box",
    }  # fmt: skip


def test_letters_are_those_of_the_options_that_are_there(tmp_path):
    (sample,) = read(tmp_path, {"question": "?", "A": "a1", "B": "b1", "C": "", "D": "d1", "answer": "D"})
    assert (sample.question.options, text(sample), sample.metadata["letters"]) == (("a1", "b1", "d1"), "C", "ABD")
    assert sample.question.id == "0", "a file without index is counted"
    gmai.write([sample], tmp_path / "again.tsv")
    again = list(csv.DictReader((tmp_path / "again.tsv").read_text().splitlines(), delimiter="\t"))
    assert (again[0]["C"], again[0]["D"], again[0]["answer"]) == ("", "d1", "D")


@pytest.mark.parametrize(
    ("answer", "expected", "kind"),
    [
        ("B", "B", "choice"), ("b.", "B", "choice"), ("(C)", "C", "choice"), ("A,C", "A,C", "choices"),
        ("AC", "A,C", "choices"), ("['A', 'D']", "A,D", "choices"), ("CD", "D", "choice"), ("bone", "B", "choice"),
        ("", None, "choice"), ("E", None, "choice"), ("something", None, "choice"),
    ],
)  # fmt: skip
def test_answers_of_choices(tmp_path, answer, expected, kind):
    row = {"question": "?", "A": "aorta", "B": "bone", "C": "colon", "D": "CD", "answer": answer}
    (sample,) = read(tmp_path, row)
    assert (text(sample), sample.question.type) == (expected, kind)
    assert ("problem" in sample.metadata) == (answer in ("E", "something"))


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"answer": "Yes"}, "yes_no"), ({"answer": "no"}, "yes_no"), ({"answer": "two cysts"}, "open"), ({}, "open"),
        ({"answer": "yes", "type": "open"}, "open"),
        ({"A": "x", "B": "y", "answer": "A", "type": "choices"}, "choices"),
        ({"A": "x", "B": "y", "answer": "A", "type": "Disease"}, "choice"), ({"A": "x", "answer": "x"}, "open"),
    ],
)  # fmt: skip
def test_types(tmp_path, row, kind):
    (sample,) = read(tmp_path, {"question": "?", "A": "", "B": "", **row})
    assert sample.question.type == kind
    assert sample.metadata.get("type") == ("Disease" if row.get("type") == "Disease" else None)


def test_images_of_other_rows_lists_and_files(tmp_path):
    (tmp_path / "normal_lung.png").write_bytes(picture(77))
    both = str([encoded(1), "data:image/png;base64," + encoded(2)])
    rows = [
        {"index": "a", "question": "?", "image": "c"},
        {"index": "b", "question": "?", "image": both},
        {"index": "c", "question": "?", "image": encoded(3)},
        {"index": "d", "question": "?", "image": "c"},
    ]
    a, b, c, d = read(tmp_path, *rows)
    assert a.question.media == c.question.media == d.question.media
    assert len(b.question.media) == 2
    assert len(list((tmp_path / "media").iterdir())) == 3
    (sample,) = read(tmp_path, {"question": "?", "image_path": "normal_lung.png"})
    assert "normal" not in sample.question.media[0].path
    assert (tmp_path / sample.question.media[0].path).read_bytes() == picture(77)


def test_a_broken_image_or_reference_costs_its_row(tmp_path):
    rows = [{"index": i, "question": "?", "image": image} for i, image in enumerate(["nowhere", "#" * 90, encoded(5)])]
    samples = read(tmp_path, *rows)
    assert ["problem" in sample.metadata for sample in samples] == [True, True, False]
    assert [len(sample.question.media) for sample in samples] == [1, 1, 1], "never asked as if it had no image"
    assert not (tmp_path / samples[0].question.media[0].path).exists()


def test_the_hint_stands_before_the_question(tmp_path):
    (sample,) = read(tmp_path, {"question": "Which?", "hint": "A child.", "A": "x", "B": "y", "answer": "A"})
    asked = render(sample.question, Prompt()).messages[-1].parts[-1].text
    assert "Hint: A child.\n" in asked and asked.index("A child.") < asked.index("Which?")
    gmai.write([sample], tmp_path / "again.tsv")
    assert list(gmai.read(tmp_path / "again.tsv", tmp_path / "media")) == [sample]


def test_oddities_of_files(tmp_path):
    path = tmp_path / "set.tsv"
    path.write_bytes(
        b"\xef\xbb\xbfindex\tquestion\tA\tB\tanswer\textra\n1\tWhat\0?\tNone\tnan\tA\n\n2\t?\tx\ty\tB\tz\tmore\n"
    )
    first, second = gmai.read(path, tmp_path / "media")
    assert first.question.messages[0].parts[0].text == "What?"
    assert (first.question.type, second.metadata["extra"]) == ("open", "z")


def test_what_is_no_such_file_is_one_line(tmp_path):
    (tmp_path / "x.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(VesaliusError, match="no column «question» but a, b"):
        list(gmai.read(tmp_path / "x.tsv", tmp_path))
    with pytest.raises(VesaliusError, match="cannot be read"):
        list(gmai.read(tmp_path / "none.tsv", tmp_path))
    with pytest.raises(VesaliusError, match="case 1: two rows"):
        read(tmp_path, {"index": "1", "question": "?"}, {"index": "1", "question": "!"})


def test_what_is_written_reads_back(tmp_path):
    (tmp_path / "1.png").write_bytes(picture(1))
    (tmp_path / "2.png").write_bytes(picture(2))

    def sample(id, kind, options, expected, images=("1.png",), **metadata):
        parts = (*(Part.of("image", tmp_path / name) for name in images), Part.of_text(f"Which\tone\nof {id}?"))
        answer = Message("assistant", (Part.of_text(expected),)) if expected else None
        question = Question(id, (Message("user", parts),), options, kind)
        return Sample(question, answer, {"index": id, "l2_category": "x", **metadata})

    samples = [
        sample("0", "choice", ("a", "b"), "B", split="val"),
        sample("1", "choices", ("a", "b", "c"), "A,C", clinical_vqa_task="counting"),
        sample("2", "choices", ("a", "b"), "A", ("1.png", "2.png")),
        sample("3", "yes_no", (), "yes"),
        sample("4", "open", (), "no"),
        sample("5", "open", (), None, ()),
        sample("6", "choice", tuple("abcdefg"), "G"),
    ]
    path = tmp_path / "out.tsv"
    assert gmai.write(iter(samples), path) == 7
    header = path.read_text().splitlines()[0].split("\t")
    assert header[:4] == ["index", "image", "image_path", "question"] and {"E", "G"} < set(header)
    assert {"l2-category", "clinical vqa task"} < set(header)
    again = list(gmai.read(path, tmp_path / "media"))
    for before, after in zip(samples, again, strict=True):
        assert [(tmp_path / part.path).read_bytes() for part in after.question.media] == [
            (tmp_path / part.path).read_bytes() for part in before.question.media
        ]
        assert (after.question.options, after.question.type) == (before.question.options, before.question.type)
        assert (after.expected, dict(after.metadata)) == (before.expected, dict(before.metadata))
        assert after.question.messages[0].parts[-1] == before.question.messages[0].parts[-1]
    gmai.write(again, tmp_path / "third.tsv")
    assert list(gmai.read(tmp_path / "third.tsv", tmp_path / "media")) == again


def test_a_medium_that_the_layout_has_not_leaves_the_file_alone(tmp_path):
    (tmp_path / "out.tsv").write_text("before")
    question = Question("v", (Message("user", (Part.of("volume", "ct.nii.gz"), Part.of_text("?"))),))
    with pytest.raises(VesaliusError, match="case v: has a volume"):
        gmai.write([Sample(question)], tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_text() == "before"
