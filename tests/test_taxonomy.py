"""The lexical tree: levels, nodes and their counts."""

import polars as pl
import pytest

from vesalius.errors import VesaliusError
from vesalius.taxonomy import levels, nodes, taxonomy_columns, with_aliases

FRAME = pl.DataFrame(
    {
        "id": list("abcdef"),
        "department": ["urology", "urology", "urology", "cardiology", "cardiology", None],
        "modality": ["CT", "CT", "MR", "CT", None, "CT"],
        "note": list("uvwxyz"),
        "constant": ["x"] * 6,
    }
)


def counts(frame: pl.DataFrame) -> dict[str, int]:
    return dict(frame.group_by("node", maintain_order=True).len().iter_rows())


def test_every_path_and_every_value_is_a_node_with_its_count():
    assert counts(nodes(FRAME, ["department", "modality"], ["modality"])) == {
        "all": 6,
        "department=urology": 3,
        "department=cardiology": 2,
        "department=urology/modality=CT": 2,
        "department=urology/modality=MR": 1,
        "department=cardiology/modality=CT": 1,
        "modality=CT": 4,
        "modality=MR": 1,
    }


def test_columns_that_name_cases_or_say_nothing_are_no_taxonomy():
    assert taxonomy_columns(FRAME) == ["department", "modality"]


def test_published_names_of_levels_get_ours_beside_them():
    frame = pl.DataFrame({"id": ["a"], "clinical_vqa_task": ["counting"], "perceptual_granularity": ["box"]})
    found = with_aliases(frame)
    assert found["task"].to_list() == ["counting"]
    assert found["granularity"].to_list() == ["box"]


def test_the_tree_is_as_asked_or_as_the_layout_has_it():
    assert levels(FRAME) == ["department", "modality"]
    assert levels(FRAME, usual=("modality",)) == ["modality"]
    assert levels(FRAME, ["modality", "Department"]) == ["modality", "department"]
    with pytest.raises(VesaliusError, match="unknown column organ"):
        levels(FRAME, ["organ"])
