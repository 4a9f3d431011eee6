"""Label maps in the forms that people's tools write, and what broken ones say."""

import json

import pytest

from vesalius.errors import VesaliusError
from vesalius.formats.labels import find_label_map, label_map, read_label_map


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content", "targets"),
    [
        ("dataset.json", {"labels": {"0": "background", "1": "liver", "2": "spleen"}}, {"liver": (1,), "spleen": (2,)}),
        (
            "dataset.json",
            {"labels": {"background": 0, "whole tumor": [1, 2, 3], "core": [2, 3]}, "regions_class_order": [1, 2]},
            {"whole tumor": (1, 2, 3), "core": (2, 3)},
        ),
        ("m.json", {"liver": 1, "kidneys": [2, 3]}, {"liver": (1,), "kidneys": (2, 3)}),
        ("m.json", {"1": "liver"}, {"liver": (1,)}),
        ("m.yaml", "1: liver\n2: Milz\n", {"liver": (1,), "Milz": (2,)}),
        ("m.yaml", "liver: 1\nkidneys: [2, 3]\nbig: 70000\n", {"liver": (1,), "kidneys": (2, 3), "big": (70000,)}),
        ("m.yml", "labels:\n  background: 0\n  liver: 1\n", {"liver": (1,)}),
        ("m.yaml", "\ufeff1: Läppchen\n", {"Läppchen": (1,)}),
    ],
)
def test_maps_either_way_round(tmp_path, name, content, targets):
    found = read_label_map(write(tmp_path / name, content))
    assert found.targets == targets and found.path == tmp_path / name


def test_ignored_labels_are_declared_but_no_targets(tmp_path):
    found = read_label_map(write(tmp_path / "dataset.json", {"labels": {"background": 0, "liver": 1, "ignore": 2}}))
    assert found.targets == {"liver": (1,)} and found.ignored == (2,) and found.ids == {1, 2}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.json", '{"1": "liver", "2": "liver"}', 'the name "liver" stands for'),
        ("m.json", '{"1": "liver", "1": "spleen"}', '"1" stands there twice'),
        ("m.yaml", "liver: 1\nliver: 2\n", '"liver" stands there twice'),
        ("m.yaml", "liver: 1.5\n", "1.5, not a whole number"),
        ("m.yaml", "liver: -1\n", "-1, not a whole number"),
        ("m.yaml", "liver: yes\n", "True, not a whole number"),
        ("m.yaml", "liver: []\n", '"liver" has no id'),
        ("m.yaml", "liver: [1, [2]]\n", "not a whole number"),
        ("m.yaml", "- liver\n", "no map of labels"),
        ("m.yaml", "", "no map of labels"),
        ("m.json", "{", "cannot be parsed"),
        ("m.yaml", "a: [", "cannot be parsed"),
        ("m.json", "{}", "empty"),
    ],
)
def test_broken_maps_say_what_is_wrong(tmp_path, name, content, words):
    with pytest.raises(VesaliusError) as error:
        read_label_map(write(tmp_path / name, content))
    assert words in str(error.value) and name in str(error.value) and "\n" not in str(error.value)
    assert error.value.code == "label_map" and error.value.remedy


def test_a_map_is_found_beside_the_masks_or_one_folder_up(tmp_path):
    masks = tmp_path / "labelsTr"
    masks.mkdir()
    assert find_label_map(masks) is None
    write(tmp_path / "dataset.json", {"labels": {"liver": 1}})
    assert find_label_map(masks).targets == {"liver": (1,)}
    write(masks / "dataset.json", {"name": "somebody else's file"})
    assert find_label_map(masks).targets == {"liver": (1,)}
    write(masks / "labels.yaml", "spleen: 1")
    assert find_label_map(masks).targets == {"spleen": (1,)}


def test_a_changed_map_is_read_again(tmp_path):
    import os

    path = write(tmp_path / "m.yaml", "liver: 1")
    assert read_label_map(path).targets == {"liver": (1,)}
    write(path, "spleen: 1")
    os.utime(path, ns=(1, 1))
    assert read_label_map(path).targets == {"spleen": (1,)}


def test_a_map_from_a_dictionary():
    assert label_map({1: "liver", "2": "spleen"}).targets == label_map({"liver": 1, "spleen": 2}).targets
