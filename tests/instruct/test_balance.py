"""Blocks: each option right once under the same text; wrong options are siblings or near numbers."""

from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from vesalius.instruct.balance import Candidate, Pool, blocks
from vesalius.instruct.blind import Item, baselines
from vesalius.instruct.config import Label
from vesalius.instruct.distractors import distance, number_panel, sibling_panel

SPACE = {
    "mel": Label(name="melanoma", group="melanocytic"), "nv": Label(name="nevus", group="melanocytic"),
    "bcc": Label(name="basal cell carcinoma", group="keratinocytic/malignant"),
    "akiec": Label(name="Bowen", group="keratinocytic/malignant"),
    "bkl": Label(name="benign keratosis", group="keratinocytic/benign"), "df": Label(name="dermatofibroma"),
}  # fmt: skip


def pool(truths, choose, options=4, seed=0):
    return Pool([Candidate(i, frozenset({truth})) for i, truth in enumerate(truths)], choose, options, Random(seed))


def siblings(supply, size, rng):
    return sibling_panel(SPACE, supply, size, rng)


def test_the_tree_says_who_is_near():
    assert distance(SPACE["mel"], SPACE["nv"]) == 0
    assert distance(SPACE["bcc"], SPACE["bkl"]) == 1
    assert distance(SPACE["bcc"], SPACE["mel"]) == 2
    for anchor, near in (("mel", "nv"), ("bcc", "akiec")):
        supply = dict.fromkeys(SPACE, 1) | {anchor: 9}
        assert sibling_panel(SPACE, supply, 2, Random(0)) == [anchor, near]
    assert set(sibling_panel(SPACE, dict.fromkeys(SPACE, 1) | {"bcc": 2}, 3, Random(1))) == {"bcc", "akiec", "bkl"}
    assert sibling_panel(SPACE, {"mel": 3}, 2, Random(0)) is None


def test_counts_can_be_told_apart():
    supply = {str(n): 3 for n in range(30)}
    for seed in range(8):
        panel = [int(n) for n in number_panel(supply, 4, Random(seed))]
        assert panel == sorted(panel)
        for a, b in pairwise(panel):
            assert max(1, 0.2 * b) <= b - a <= max(3, a)
    assert number_panel({"10": 5, "11": 5}, 2, Random(0)) is None, "too near"
    assert number_panel({"2": 5, "25": 5}, 2, Random(0)) is None, "too far: nobody would mistake them"
    assert number_panel({"0": 5, "1": 5, "2": 1}, 2, Random(0)) == ["0", "1"], "of which most are left"


@pytest.mark.parametrize("seed", range(6))
def test_every_option_is_right_once_a_block(seed):
    rng = Random(seed)
    truths = rng.choices(list(SPACE), weights=[30, 10, 10, 5, 5, 5], k=200)
    asked = Counter()
    made = [block for _, block in blocks({"a": pool(truths, siblings, seed=seed)}, 4, lambda *_: True, asked)]
    assert len(made) > 15
    for block in made:
        assert len(set(block.options)) == 4
        assert [truths[c.image] for c in block.candidates] == list(block.options)
    assert max(asked.values()) == 1
    items = [Item(tuple(SPACE[o].name for o in b.options), i) for b in made for i in range(4)]
    for value in baselines(items).accuracy.values():
        assert value == pytest.approx(0.25)


@pytest.mark.parametrize("seed", range(4))
def test_the_truth_is_as_often_the_smallest_number_as_the_largest(seed):
    rng = Random(seed)
    counts = [str(min(30, max(0, round(rng.gauss(12, 5))))) for _ in range(300)]
    made = [block for _, block in blocks({"n": pool(counts, number_panel)}, 4, lambda *_: True)]
    ranks = Counter(sorted(map(int, b.options)).index(int(o)) for b in made for o in b.options)
    assert len(made) > 20 and len(set(ranks.values())) == 1
    for block in made:
        assert [counts[c.image] for c in block.candidates] == list(block.options)


def test_an_image_is_asked_no_more_often_than_allowed():
    boxes = [Candidate(i % 10, frozenset({("mel", "nv", "bcc")[i % 3]}), i) for i in range(300)]
    pools = {name: Pool(boxes, siblings, 3, Random(name)) for name in "ab"}
    asked = Counter()
    made = list(blocks(pools, 4, lambda *_: True, asked))
    assert max(asked.values()) <= 4 and sum(asked.values()) == 3 * len(made) >= 36
    assert {name for name, _ in made} == {"a", "b"}
    assert all(len({c.image for c in block.candidates}) == 3 for _, block in made), "rather of different images"


def test_what_cannot_be_shown_is_replaced_and_not_asked_again():
    truths = ["mel", "nv"] * 20
    seen = Counter()

    def usable(_, candidate):
        seen[candidate] += 1
        return candidate.image >= 10

    made = list(blocks({"a": pool(truths, siblings, 2)}, 4, usable))
    assert len(made) == 15 and max(seen.values()) == 1


def test_an_image_with_two_labels_is_asked_against_others_only():
    candidates = [Candidate(i, frozenset(t)) for i, t in enumerate([{"mel", "nv"}] * 6 + [{"nv"}] * 6 + [{"bcc"}] * 6)]
    made = list(blocks({"a": Pool(candidates, siblings, 2, Random(0))}, 4, lambda *_: True))
    assert made
    for _, block in made:
        for option, candidate in zip(block.options, block.candidates, strict=True):
            assert candidate.truths & set(block.options) == {option}


def test_blind_baselines_see_what_is_lopsided():
    letters = baselines([Item(("a", "b", "c", "d"), 1)] * 40)
    assert letters.accuracy["majority letter"] == 1 and "majority letter" in letters.above
    longest = baselines(
        [Item(("x", "longest", "y"), i % 2) for i in range(100)] + [Item(("longest", "y", "x"), 0)] * 60
    )
    assert "longest option" in longest.above
    same = baselines([Item(("aa", "bb"), i % 2) for i in range(10)])
    assert same.accuracy["longest option"] == 0.5 and not same.above
