"""Records: what is written comes back, and other programs can read it."""

import polars as pl
import pytest

from vesalius.errors import VesaliusError
from vesalius.records import (
    SAMPLE_SCHEMA,
    Message,
    Part,
    Question,
    Sample,
    Segment,
    Span,
    from_chat,
    read_samples,
    to_chat,
    write_samples,
)

SAMPLES = [
    Sample(
        Question("ct-1", (Message("user", (Part.of("volume", "ct é 1.nii.gz"), Part.of_text("Where is the liver?"))),)),
        Message("assistant", (Part.of("mask", "ct-1-liver.nii.gz", labels={1: "liver", 300: "spleen"}),)),
        {"site": "A", "age": 61, "contrast": True},
    ),
    Sample(
        Question(
            "op-2",
            (
                Message("system", (Part.of_text("Answer with a letter."),)),
                Message(
                    "user", (Part.of("video", "op.mp4", span=Span(2, 7.5, "seconds")), Part.of_text("Which step?"))
                ),
            ),
            ("incision", "closure"),
        ),
        Message("assistant", (Part("timeline", segments=(Segment(0.0, 3.0, "incision"),)),)),
        {"site": "B"},
    ),
    Sample(Question("x-3", (Message("user", (Part("points", points=((1.0, 2.0, 3.0),)), Part.of_text("Here?"))),))),
]


def test_samples_come_back_from_parquet_as_they_were(tmp_path):
    write_samples(SAMPLES, tmp_path / "s.parquet")
    assert read_samples(tmp_path / "s.parquet") == SAMPLES


def test_polars_reads_the_file_and_conditions_find_the_metadata(tmp_path):
    write_samples(SAMPLES, tmp_path / "s.parquet")
    frame = pl.read_parquet(tmp_path / "s.parquet")
    assert frame.columns == [*SAMPLE_SCHEMA, "meta_site", "meta_age", "meta_contrast"]
    assert frame.filter(pl.col("meta_site") == "A")["id"].to_list() == ["ct-1"]


def test_datasets_reads_the_file_and_its_messages_are_the_same_chat(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    write_samples(SAMPLES, tmp_path / "s.parquet")
    rows = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "s.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    for row, sample in zip(rows, SAMPLES, strict=True):
        assert from_chat(row["messages"]) == sample.question.messages


def test_a_chat_template_sees_no_null_keys():
    pytest.importorskip("jinja2")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models

    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"x": 0}, unk_token="x"))
    )
    # As the templates of vision-language models do, this one tests for keys, not for values.
    tokenizer.chat_template = (
        "{% for m in messages %}<{{ m.role }}>{% for p in m.content %}"
        "{% if 'path' in p %}[{{ p.type }}:{{ p.path }}]{% elif 'text' in p %}{{ p.text }}{% endif %}"
        "{% endfor %}{% endfor %}"
    )
    rendered = tokenizer.apply_chat_template(to_chat(SAMPLES[0].question.messages), tokenize=False)
    assert rendered == "<user>[volume:ct é 1.nii.gz]Where is the liver?"


def test_chat_survives_the_null_keys_that_parquet_adds():
    chat = [
        {"role": "user", "content": [{"type": "text", "text": "Hello", "path": None, "span": None, "labels": None}]}
    ]
    assert to_chat(from_chat(chat)) == [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    assert from_chat([{"role": "user", "content": "Hello"}]) == from_chat(chat)


def test_a_medium_that_the_model_does_not_take_is_an_error():
    with pytest.raises(VesaliusError, match=r"op\.mp4: the model takes no video"):
        to_chat(SAMPLES[1].question.messages, media=("image",))


def test_parts_say_what_they_lack():
    with pytest.raises(VesaliusError, match="needs `path`"):
        Part("image", text="x")
    with pytest.raises(VesaliusError, match="no part has the type picture"):
        Part("picture", path="x")


@pytest.mark.parametrize("values", [(1, "text"), ([1], 2), ({1, 2}, {3}), (object(), object())])
def test_metadata_that_is_no_column_is_refused_by_its_name(tmp_path, values):
    samples = [Sample(Question(f"q{i}", ()), None, {"odd": value}) for i, value in enumerate(values)]
    with pytest.raises(VesaliusError, match="the metadata «odd»"):
        write_samples(samples, tmp_path / "s.parquet")


def test_dictionaries_in_the_metadata_come_back_without_keys_of_others(tmp_path):
    samples = [Sample(Question(f"q{i}", ()), None, {"scan": d}) for i, d in enumerate([{"kvp": 120}, {"mas": 30}])]
    write_samples(samples, tmp_path / "s.parquet")
    assert read_samples(tmp_path / "s.parquet") == samples


def test_turns_without_content_are_messages_without_parts():
    assert from_chat([{"role": "assistant", "content": None}, {"role": "tool"}]) == (
        Message("assistant", ()),
        Message("tool", ()),
    )


def test_two_samples_of_one_id_are_refused(tmp_path):
    with pytest.raises(VesaliusError, match="two samples have the same id"):
        write_samples([SAMPLES[0], SAMPLES[0]], tmp_path / "s.parquet")


def test_a_file_that_holds_no_samples_is_refused_in_words(tmp_path):
    (tmp_path / "s.parquet").write_text("no")
    with pytest.raises(VesaliusError, match="cannot be read as samples"):
        read_samples(tmp_path / "s.parquet")
