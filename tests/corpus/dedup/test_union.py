import random

import numpy as np
import pytest

from vesalius.corpus.dedup.union import find, flatten, link, link_all


def by_search(number: int, pairs: list[tuple[int, int]]) -> list[int]:
    """The smallest number that can be reached from each, by walking."""
    beside: list[set[int]] = [set() for _ in range(number)]
    for one, other in pairs:
        beside[one].add(other)
        beside[other].add(one)
    roots = [-1] * number
    for start in range(number):
        stack = [start] if roots[start] < 0 else []
        while stack:
            if roots[here := stack.pop()] < 0:
                roots[here] = start
                stack += beside[here]
    return roots


@pytest.mark.parametrize("seed", range(20))
def test_roots_are_the_smallest_number_that_can_be_reached(seed):
    draw = random.Random(seed)
    number = draw.randint(1, 200)
    pairs = [(draw.randrange(number), draw.randrange(number)) for _ in range(draw.randint(0, number))]
    parents = np.arange(number)
    link_all(parents, *np.array(pairs, np.int64).reshape(-1, 2).T.copy())
    assert [find(parents, i) for i in range(number)] == by_search(number, pairs)
    shared = flatten(parents)
    roots = by_search(number, pairs)
    assert parents.tolist() == roots
    assert shared.tolist() == [roots.count(root) > 1 for root in roots]


def test_a_long_chain_linked_from_its_end_is_one_set():
    parents = np.arange(100_000)
    assert all(link(parents, i, i - 1) for i in range(99_999, 0, -1))
    assert not link(parents, 5, 77_000)
    assert flatten(parents).all() and not parents.any()
