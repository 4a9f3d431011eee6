"""What can be had without looking: baselines that see options and letters only, against chance's interval.

Knows the arithmetic. A set whose majority letter, longest option or most frequent answer lies above the interval can be
passed by a model that never saw an image. Leaves what to do about it to `balance`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vesalius.errors import VesaliusError

STRATEGIES = ("majority letter", "longest option", "shortest option", "most frequent answer")


@dataclass(frozen=True)
class Item:
    """A choice without its image: the options as shown, and which is right (0 is A)."""

    options: tuple[str, ...]
    answer: int


@dataclass(frozen=True)
class Blind:
    """Baselines of some questions.

    Attributes:
        n: questions.
        chance: the mean of 1/k.
        low, high: 95 % of what guessing gives, as shares.
        accuracy: by strategy; ties count as the share of them that is right.
    """

    n: int
    chance: float
    low: float
    high: float
    accuracy: dict[str, float]

    @property
    def above(self) -> list[str]:
        """Strategies that lie outside chance's interval on its upper side."""
        return [name for name, value in self.accuracy.items() if value > self.high + 1e-9]


def baselines(items: Sequence[Item]) -> Blind:
    """Accuracy of each strategy of `STRATEGIES`, and the exact interval of guessing.

    The interval is binomial where all items have the same number of options, else that of their mean.

    Raises:
        VesaliusError: there is nothing to look at.
    """
    from scipy.stats import binom

    if not items:
        raise VesaliusError("there are no questions to look at", code="empty")
    n = len(items)
    chance = sum(1 / len(item.options) for item in items) / n
    letters = Counter(item.answer for item in items)
    answers = Counter(item.options[item.answer] for item in items)
    shown = Counter(option for item in items for option in item.options)
    rate = {option: answers[option] / times for option, times in shown.items()}
    accuracy = {
        "majority letter": letters.most_common(1)[0][1] / n,
        "longest option": sum(_hit(item, [len(option) for option in item.options]) for item in items) / n,
        "shortest option": sum(_hit(item, [-len(option) for option in item.options]) for item in items) / n,
        "most frequent answer": sum(_hit(item, [rate[option] for option in item.options]) for item in items) / n,
    }
    low, high = binom.ppf([0.025, 0.975], n, chance) / n
    return Blind(n, chance, float(low), float(high), accuracy)


def _hit(item: Item, marks: Sequence[float]) -> float:
    """1 where the best mark is the right option's alone; a share where others have it too."""
    best = [i for i, mark in enumerate(marks) if mark == max(marks)]
    return (item.answer in best) / len(best)
