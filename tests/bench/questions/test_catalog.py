"""Benchmarks by name: known ones, files, and the hub's cache where there is no network."""

import pytest

from vesalius.bench.questions.catalog import KNOWN, locate
from vesalius.errors import VesaliusError


def test_a_file_is_named_after_itself(tmp_path):
    (tmp_path / "My Set (v2).tsv").write_text("x")
    assert locate(str(tmp_path / "My Set (v2).tsv")) == (tmp_path / "My Set (v2).tsv", "My-Set-v2")


def test_names_and_hub_places_are_taken_from_the_hubs_cache(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for owner, name, file in (("tsynbio", "ProteinLMBench", "ProteinLMBench.json"), ("me", "set", "q/one.tsv")):
        place = tmp_path / f"datasets--{owner}--{name}"
        (place / "refs").mkdir(parents=True)
        (place / "refs/main").write_text("0" * 40)
        target = place / "snapshots" / ("0" * 40) / file
        target.parent.mkdir(parents=True)
        target.write_text("x")
    path, name = locate("proteinlmbench")
    assert (path.read_text(), name) == ("x", "proteinlmbench")
    path, name = locate("hub:me/set/q/one.tsv")
    assert (path.read_text(), name) == ("x", "one")


def test_what_the_hub_cannot_give_is_said_with_what_to_do(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(VesaliusError, match="download the file where there is a network, and name it instead"):
        locate("gmai-mmbench")


def test_unknown_names_list_the_known_ones():
    with pytest.raises(VesaliusError) as caught:
        locate("mmlu")
    assert all(known.name in str(caught.value) for known in KNOWN)


def test_a_benchmark_without_a_place_on_the_hub_says_so():
    with pytest.raises(VesaliusError, match="VQA-RAD has no place on a hub"):
        locate("vqa-rad")
