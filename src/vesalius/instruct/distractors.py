"""Which wrong options stand beside the right one: the nearest siblings of a label, the nearest numbers of a count.

Knows the tree of labels and how far counts must lie apart to be told apart. A *panel* is a set of options that will
each be right in one question of a block; so wrong options come from what is right elsewhere, and never tell by
themselves. Leaves the drawing of blocks to `balance`.
"""

from collections.abc import Mapping
from math import ceil
from random import Random

from vesalius.instruct.config import Label

APART = 0.2  # counts differ at least by this share of the larger one, and by 1


def distance(a: Label, b: Label) -> int:
    """Steps up the tree until both labels are below the same node; 0 for siblings."""
    ours, theirs = (label.group.strip("/").split("/") if label.group else [] for label in (a, b))
    common = 0
    for one, other in zip(ours, theirs, strict=False):
        if one != other:
            break
        common += 1
    return max(len(ours), len(theirs)) - common


def sibling_panel(space: Mapping[str, Label], supply: Mapping[str, int], size: int, rng: Random) -> list[str] | None:
    """The label with most questions left and its nearest siblings; None where there are too few labels.

    Args:
        space: labels by key.
        supply: questions left by truth; those without any are not there.
        size: of the panel.
        rng: decides between equals.
    """
    if len(supply) < size:
        return None
    by_chance = sorted(supply)
    rng.shuffle(by_chance)
    anchor = max(by_chance, key=lambda key: supply[key])
    others = [key for key in by_chance if key != anchor]
    others.sort(key=lambda key: (distance(space[anchor], space[key]), -supply[key]))
    return [anchor, *others[: size - 1]]


def number_panel(supply: Mapping[str, int], size: int, rng: Random) -> list[str] | None:
    """The count with most questions left and the nearest counts that can be told from it and from each other.

    Each is right once in its block, so the truth is as often the smallest as the largest, and no number is likelier
    than another.
    """
    by_chance = sorted(supply)
    rng.shuffle(by_chance)
    # Where the commonest count has too few neighbours left, another may still have enough.
    for anchor in sorted(by_chance, key=lambda key: -supply[key]):
        panel = [int(anchor)]
        for key in sorted(by_chance, key=lambda key: (abs(int(key) - int(anchor)), -supply[key])):
            if len(panel) < size and all(_apart(int(key), number) for number in panel):
                panel.append(int(key))
        if len(panel) == size:
            return [str(number) for number in panel]
    return None


def yes_no_panel(supply: Mapping[str, int], size: int, rng: Random) -> list[str] | None:
    """Yes and no, while there are both."""
    return sorted(supply) if len(supply) == 2 else None


def _apart(a: int, b: int) -> bool:
    return abs(a - b) >= max(1, ceil(APART * max(a, b)))
