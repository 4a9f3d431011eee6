"""Conditions: what users type, and what they get when they mistype."""

from datetime import date, datetime

import polars as pl
import pytest

from vesalius.errors import VesaliusError
from vesalius.select import snake_case, where

CASES = pl.DataFrame(
    {
        "case": ["a", "b", "c", "d"],
        "Modality": ["CT", "MR", "ct", ""],
        "age": ["61", "40.0", "unknown", "70"],
        "organ": ["liver", "spleen", "liver", None],
        "Scanner Model": ["Sensation 64", "x", "y", "z"],
        "slices": [1, 2, None, 4],
        "contrast": [True, False, None, True],
        "ward": ["North-West", "B.2", "3T", "St. Gallen"],
        "born": [date(2020, 1, 1), date(2019, 5, 5), date(2020, 1, 2), date(2021, 1, 1)],
        "seen": [datetime(2020, 1, 1, 9), datetime(2020, 1, 2, 23), datetime(2020, 1, 3), datetime(2021, 1, 1)],
        "größe": [1.0, 3.0, float("nan"), None],
    }
)


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("modality=CT", "ac"),
        ("modality = 'ct' and age >= 60", "a"),
        ("organ in (liver, spleen)", "abc"),
        ("organ not in (liver)", "b"),
        ("scanner_model like 'sens%'", "a"),
        ('scanner_model like "SENS%"', "a"),
        ("not modality=CT", "b"),
        ("slices between 1 and 2", "ab"),
        ("slices != 2", "ad"),
        ("slices > -1", "abd"),
        ("organ is null", "d"),
        ("organ is not null", "abc"),
        ("age = 40", "b"),
        ("contrast", "ad"),
        ("contrast = true", "ad"),
        ("contrast = false or organ is null", "bd"),
        ("ward = North-West", "a"),
        ("ward != North-West", "bcd"),
        ("ward in (B.2, 3T)", "bc"),
        ("ward = 'St. Gallen'", "d"),
        ("born > 2020-01-01", "cd"),
        ("born = 2020-01-01", "a"),
        ("born between 2019-01-01 and 2020-01-01", "ab"),
        ("seen <= 2020-01-02", "ab"),
        ("seen = 2020-01-02", "b"),
        ("case = b or case in (c)", "bc"),
        ("contrast = yes", "ad"),
        ("größe > 2", "b"),
        ("(modality=CT or modality=MR) and slices<2", "a"),
        ("modality is null", "d"),
    ],
)
def test_a_condition_keeps_the_rows_that_a_reader_would_expect(condition, kept):
    assert "".join(where(CASES, condition)["case"]) == kept


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("modalty=CT", "unknown column modalty — columns are: case, modality, age"),
        ("modality=", "cannot be read"),
        ("age > foo bar", "cannot be read"),
        ("slices=abc", "compares the number slices with the text «abc»"),
        ("organ>5", "compares organ, which holds text («liver»), with a number"),
        (" ", "is empty"),
        ("born = soon", "has «soon», which is no date"),
        ("contrast = maybe", "which is true or false, with «maybe»"),
        ("ward = St. Gallen", "quote what has blanks"),
        ("1=1", "where a column is expected"),
        ("select * from x", "cannot be read"),
        ("modality", "which is not true or false"),
    ],
)
def test_a_wrong_condition_says_what_is_wrong_with_it(condition, says):
    with pytest.raises(VesaliusError, match="condition «") as caught:
        where(CASES, condition)
    assert says in str(caught.value)


def test_column_names_are_read_as_snake_case():
    assert [snake_case(n) for n in ("Scanner Model", "scannerModel", "\ufeffimage-id", " kVp ")] == [
        "scanner_model",
        "scanner_model",
        "image_id",
        "k_vp",
    ]
