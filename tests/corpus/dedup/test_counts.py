import random
from collections import Counter

import numpy as np
import pytest

from vesalius.corpus.dedup.counts import Counts, count, frequent
from vesalius.corpus.dedup.disk import Groups, workspace
from vesalius.errors import VesaliusError


def documents(seed: int, number: int = 200) -> list[list[int]]:
    draw = random.Random(seed)
    keys = [draw.getrandbits(64) for _ in range(300)]
    return [draw.choices(keys, range(1, 301), k=20) for _ in range(number)]


def same(one: Counts, other: Counts) -> bool:
    return np.array_equal(one.keys, other.keys) and np.array_equal(one.counts, other.counts)


def test_a_key_counts_once_in_a_document():
    found = count([[5, 5, 2**64 - 1], [5]])
    assert found.keys.tolist() == [5, 2**64 - 1] and found.counts.tolist() == [2, 1]
    assert found.of([2**64 - 1, 6, 5]).tolist() == [1, 0, 2]
    assert count([]).of([3]).tolist() == [0]


def test_shards_add_up_to_the_whole_in_any_order_and_grouping(tmp_path):
    all_of_them = documents(1)
    truth = Counter(key for document in all_of_them for key in set(document))
    whole = frequent([count(all_of_them)], tmp_path)
    assert dict(zip(whole.keys.tolist(), whole.counts.tolist(), strict=True)) == truth
    shards = [count(all_of_them[i::5]) for i in range(5)]
    assert same(frequent(shards, tmp_path), whole)
    partial = [frequent(shards[3:], tmp_path), frequent(shards[:3], tmp_path)]
    assert same(frequent(partial, tmp_path), whole)
    assert same(frequent(shards, tmp_path, memory=1000), whole)  # groups of 125 bytes
    often = frequent(shards, tmp_path, least=30)
    assert set(often.keys.tolist()) == {key for key, times in truth.items() if times >= 30}
    assert frequent([], tmp_path).keys.size == 0
    assert not list(tmp_path.iterdir())


def test_groups_give_each_record_once_with_its_equals_and_leave_nothing(tmp_path):
    keys = np.random.default_rng(0).integers(0, 2**64, 500, np.uint64)
    keys[:100] = keys[0]
    groups = Groups(tmp_path / "groups", np.dtype([("key", "<u8"), ("at", "<i8")]), "key")
    for start in range(0, 500, 50):
        records = np.empty(50, groups.dtype)
        records["key"], records["at"] = keys[start : start + 50], np.arange(start, start + 50)
        groups.add(records)
    read = list(groups.read(64))  # four records; the hundred of one key come together all the same
    together = np.concatenate(read)
    assert sorted(together["at"].tolist()) == list(range(500))
    assert np.array_equal(keys[together["at"]], together["key"])
    assert max(len(records) for records in read) == 100
    assert len({key for records in read for key in set(records["key"].tolist())}) == sum(
        len(set(records["key"].tolist())) for records in read
    )
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_named_and_what_was_written_or_left_by_a_killed_run_is_gone(tmp_path):
    (tmp_path / ".work").mkdir()
    (tmp_path / ".work" / "left").write_text("by a killed run")
    with pytest.raises(VesaliusError, match="the disk is full"), workspace(tmp_path, ".work") as folder:
        assert not list(folder.iterdir())
        (folder / "a").write_text("half")
        raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())
    with pytest.raises(PermissionError), workspace(tmp_path, ".work"):
        raise PermissionError(13, "not yours")
