"""Metadata meet the cases by whichever column names them."""

import pytest

from vesalius.errors import VesaliusError
from vesalius.formats.metadata import read_metadata


def write(folder, text, encoding="utf-8"):
    path = folder / "meta.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_the_join_column_is_the_one_that_fits_best(tmp_path):
    path = write(tmp_path, "nr;image_id;Age;Scanner Model\n1;c1;50,5;A\n2;c2;;B\n3;c9;3;C\n", "utf-8-sig")
    found = read_metadata(path, ["c2", "c1", "c3"])
    assert str(found) == "2 of 3 cases matched on image_id"
    assert found.unmatched == ["c3"]
    assert found.frame.columns == ["case", "nr", "age", "scanner_model"]
    assert found.frame.select("case", "age", "scanner_model").rows() == [
        ("c2", None, "B"),
        ("c1", 50.5, "A"),
        ("c3", None, None),
    ]
    assert (found.delimiter, found.encoding) == (";", "utf-8")


def test_codes_with_leading_zeros_stay_text(tmp_path):
    found = read_metadata(write(tmp_path, "id,site\n001,07\n002,12\n"), ["001", "002"])
    assert found.frame["site"].to_list() == ["07", "12"]


def test_a_column_may_be_named(tmp_path):
    path = write(tmp_path, "a,b\nx,y\ny,x\n")
    assert read_metadata(path, ["x", "y"], "B").id_column == "b"
    with pytest.raises(VesaliusError, match=r"has no column c.*columns are: a, b"):
        read_metadata(path, ["x"], "c")
    with pytest.raises(VesaliusError, match="column a names none of the 1 cases"):
        read_metadata(path, ["z"], "a")


def test_no_overlap_is_an_error_that_names_cases(tmp_path):
    with pytest.raises(VesaliusError, match=r"no column names any of the 1 cases .such as q.*--id"):
        read_metadata(write(tmp_path, "a,b\nx,1\n"), ["q"])


def test_two_rows_of_a_case_must_be_the_same(tmp_path):
    assert read_metadata(write(tmp_path, "id,age\nx,1\nx,1\n"), ["x"]).frame.height == 1
    with pytest.raises(VesaliusError, match="two different rows: x"):
        read_metadata(write(tmp_path, "id,age\nx,1\nx,2\n"), ["x"])


def test_touchstones_own_metadata(shared_data):
    found = read_metadata(shared_data / "touchstone" / "metaTotalSeg.csv", ["s0000", "s1366"])
    assert found.id_column == "image_id"
    assert found.frame.filter(found.frame["case"] == "s1366")["age"].to_list() == [50.0]
