"""Tables of scores as people write them, and a clear line for each that cannot be read."""

import polars as pl
import pytest

from vesalius.errors import VesaliusError
from vesalius.formats.score_tables import read_scores


def wide(folder, text, model="ours", metric="dsc", encoding="utf-8"):
    path = folder / model / f"{metric}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    return path


def test_a_folder_of_algorithms(tmp_path):
    wide(tmp_path, "name,liver,spleen\nc1,0.9,\nc2,0.8,0.5\n")
    wide(tmp_path, "name,liver,spleen\nc1,0.7,\n", "theirs", "nsd")
    tables = read_scores([tmp_path])
    assert tables.default_missing == "ignore"
    rows = tables.frame.select("model", "case", "metric", "target", "value", "status").rows()
    assert ("ours", "c2", "dsc", "spleen", 0.5, "ok") in rows
    assert ("ours", "c1", "dsc", "spleen", None, None) in rows, "an empty cell is a row without value"
    assert ("theirs", "c1", "nsd", "liver", 0.7, "ok") in rows
    assert tables.sources[0].files == 2 and len(tables.sources[0].sha256) == 64


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_dialects_are_found(tmp_path, encoding):
    wide(tmp_path, "name;Größe;spleen\nFall 1 ü;0,25;0,5\n", encoding=encoding)
    frame = read_scores([tmp_path]).frame
    assert frame.select("case", "target", "value").rows() == [("Fall 1 ü", "Größe", 0.25), ("Fall 1 ü", "spleen", 0.5)]


def test_text_where_a_number_should_be_is_one_failed_row_that_says_where(tmp_path):
    wide(tmp_path, "name,liver\nc1,0.9\nc2,oops\nc3,inf\n")
    tables = read_scores([tmp_path])
    failed = tables.frame.filter(pl.col("status") == "failed")
    assert failed["case"].to_list() == ["c2", "c3"]
    assert "dsc.csv, line 3, column liver: «oops»" in failed["reason"][0]
    assert len(tables.notes) == 2


def test_a_long_table_needs_five_columns_and_fills_the_rest(tmp_path):
    (tmp_path / "s.csv").write_text("algorithm,case,metric,target,value\na,c1,dsc,liver,0.5\na,c2,dsc,liver,\n")
    tables = read_scores([tmp_path / "s.csv"])
    assert tables.frame["model"].to_list() == ["a", "a"] and tables.default_missing == "ignore"
    (tmp_path / "t.csv").write_text("case,metric,target,value\nc1,dsc,liver,0.5\n")
    with pytest.raises(VesaliusError, match="has no column model"):
        read_scores([tmp_path / "t.csv"])


def test_tables_with_statuses_default_to_worst(tmp_path):
    frame = pl.DataFrame(
        {
            "model": ["a", "a"],
            "case": ["1", "2"],
            "metric": "dsc",
            "target": "x",
            "value": [0.5, 0.0],
            "status": ["ok", "failed"],
        }
    )
    frame.write_parquet(tmp_path / "s.parquet")
    frame.with_columns(model=pl.lit("b")).write_ndjson(tmp_path / "t.jsonl")
    tables = read_scores([tmp_path / "s.parquet", tmp_path / "t.jsonl"])
    assert tables.default_missing == "worst" and tables.frame.height == 4
    assert read_scores([tmp_path]).frame.height == 4, "a folder of long tables"


def test_an_average_column_is_left_out_and_said(tmp_path):
    wide(tmp_path, "name,liver,average\nc1,0.9,0.9\n")
    tables = read_scores([tmp_path])
    assert tables.frame["target"].to_list() == ["liver"] and "average" in tables.notes[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,liver\nc1,0.9\nc1,0.8\n", "cases are named twice: c1"),
        ("name,liver,liver\nc1,0.9,1\n", "columns occur twice: liver"),
        ("name,liver\nc1,0.9,0.8\n", "line 2 has 3 cells, the header 2"),
        ("name,liver\nc1,bad\nc2,worse\n", "column liver holds no number"),
        ("name,liver\n,0.9\n", "names no case"),
        ("name\nc1\n", "no column with scores"),
        ("", "the file is empty"),
        ("a\x00b", "binary file"),
        ("name,liver\n", "there is no score"),
    ],
)
def test_one_clear_line_for_each_bad_table(tmp_path, text, words):
    wide(tmp_path, text)
    with pytest.raises(VesaliusError, match=words):
        read_scores([tmp_path])


def test_the_same_score_twice_names_the_cases(tmp_path):
    wide(tmp_path / "a", "name,liver\nc1,0.9\nc2,0.8\n")
    wide(tmp_path / "b", "name,liver\nc2,0.7\n")
    with pytest.raises(VesaliusError, match=r"1 cases are scored twice.*c2"):
        read_scores([tmp_path / "a", tmp_path / "b"])


def test_absent_and_unreadable_inputs(tmp_path):
    with pytest.raises(VesaliusError, match="no such file"):
        read_scores([tmp_path / "nowhere"])
    with pytest.raises(VesaliusError, match="holds no scores"):
        read_scores([tmp_path])
    (tmp_path / "s.parquet").write_bytes(b"no parquet")
    with pytest.raises(VesaliusError, match="cannot be read"):
        read_scores([tmp_path / "s.parquet"])
    (tmp_path / "s.csv").write_text("model,case,metric,target,value,status\na,c,dsc,x,1,great\n")
    with pytest.raises(VesaliusError, match="unknown status great"):
        read_scores([tmp_path / "s.csv"])
