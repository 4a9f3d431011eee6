"""Which things belong together: union-find over numbers, in one array that may be a file.

Knows numbers only. A set's root is its smallest number, so that what comes out does not depend on the order of links.
"""

import numpy as np

from vesalius.media.kernels import njit


@njit(cache=True, nogil=True)
def find(parents, number):
    """The root of a number's set; the way there is halved."""
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number


@njit(cache=True, nogil=True)
def link(parents, one, other):
    """Joins two sets; whether they were two."""
    one, other = find(parents, one), find(parents, other)
    if one == other:
        return False
    parents[max(one, other)] = min(one, other)
    return True


@njit(cache=True, nogil=True)
def link_all(parents, first, second):
    """Joins sets pair by pair.

    Args:
        parents: (things,) int64, changed in place; at first each thing's own number.
        first, second: (pairs,) numbers.
    """
    for i in range(first.size):
        link(parents, first[i], second[i])


@njit(cache=True, nogil=True)
def flatten(parents):
    """Each number's parent becomes its root; (things,) bool: those that are not alone."""
    shared = np.zeros(parents.size, np.bool_)
    for i in range(parents.size):
        root = parents[i] = parents[parents[i]]  # what is smaller is flat already
        if root != i:
            shared[i] = shared[root] = True
    return shared
