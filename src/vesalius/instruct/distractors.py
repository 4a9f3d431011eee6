"""Which wrong options stand beside the right one: the nearest siblings of a label, the nearest numbers of a count.

Knows the tree of labels and how far counts must lie apart to be told apart. A *panel* is a set of options that will
each be right in one question of a block; so wrong options come from what is right elsewhere, and never tell by
themselves. Leaves the drawing of blocks to `balance`.
"""

from collections.abc import Mapping
from math import ceil
from random import Random

from vesalius.instruct.config import Label

APART = 0.2  # neighbouring counts differ at least by this share of the larger one, and by 1


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
    """Counts that can be told apart and yet lie near each other, of which most questions are left.

    Each is right once in its block, so the truth is as often the smallest as the largest, and no number is likelier
    than another. None where there is no such panel.
    """
    numbers = sorted(map(int, supply))
    panels: list[tuple[int, ...]] = [(number,) for number in numbers]
    for _ in range(size - 1):
        panels = [(*panel, number) for panel in panels for number in numbers if _next(panel[-1], number)]
    if not panels:
        return None
    rng.shuffle(panels)
    left = {number: supply[str(number)] for number in numbers}
    best = max(panels, key=lambda panel: (min(left[n] for n in panel), sum(left[n] for n in panel)))
    return [str(number) for number in best]


def yes_no_panel(supply: Mapping[str, int], size: int, rng: Random) -> list[str] | None:
    """Yes and no, while there are both."""
    return sorted(supply) if len(supply) == 2 else None


def _next(a: int, b: int) -> bool:
    """Whether b may stand above a in a panel: far enough to be told apart, near enough to be mistaken."""
    return max(1, ceil(APART * b)) <= b - a <= max(3, a)
