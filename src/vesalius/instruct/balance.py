"""Questions in blocks, so that nothing but the image tells the answer.

A block is as many questions as each of them has options. They share the sentence, the options and their order — word
for word the same text — and differ in the image; each option is right in exactly one of them. So whatever a blind model
does with the text, it is right once a block: 1/k. That holds for the majority letter, the longest option, the most
frequent option, the smallest or middle number, ties and all, by construction and not on average.

Knows candidates, pools and blocks. Leaves which options go together to `distractors`, and whether a candidate can be
shown at all to its caller.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

_WINDOW = 40  # candidates that are compared for one place: enough to spread questions over images

Choose = Callable[[Mapping[str, int], int, Random], "list[str] | None"]


@dataclass(frozen=True)
class Candidate:
    """A question that could be asked: which image, which of its regions, and what would be right.

    Attributes:
        image: its number in the set.
        truths: the options that would be right; it is asked only against others.
        region: its number in the image, where one is marked.
        decoy: whether the region's shape is drawn where the object is not.
    """

    image: int
    truths: frozenset[str]
    region: int | None = None
    decoy: bool = False


@dataclass(frozen=True)
class Block:
    """Options in the order shown, and for each of them a candidate for which it is right."""

    options: tuple[str, ...]
    candidates: tuple[Candidate, ...]


class Pool:
    """The candidates of one template on one side of the split, and blocks out of them."""

    def __init__(self, candidates: Sequence[Candidate], choose: Choose, most: int, rng: Random):
        self.rng, self.choose = rng, choose
        shuffled = sorted(candidates, key=lambda c: (c.image, c.region or 0, c.decoy))
        rng.shuffle(shuffled)
        self.waiting: dict[str, deque[Candidate]] = {}
        for candidate in shuffled:
            for truth in sorted(candidate.truths):
                self.waiting.setdefault(truth, deque()).append(candidate)
        self.gone: set[Candidate] = set()
        self.size = len(shuffled)
        supply = self._supply(())
        # All blocks of a pool have the same size, so that its chance level is one number.
        self.options = next((k for k in range(most, 1, -1) if choose(supply, k, rng)), 0)

    def take(
        self, asked: Counter[int], most: int, usable: Callable[[Candidate], bool] = lambda _: True
    ) -> Block | None:
        """The next block, counted into `asked`; None where no more can be made.

        Args:
            asked: questions by image so far, of all templates.
            most: questions an image may have.
            usable: whether the candidate can be shown; asked once, only of those that are wanted.
        """
        barred: set[str] = set()
        while self.options:
            panel = self.choose(self._supply(barred), self.options, self.rng)
            if panel is None:
                return None
            picked: list[Candidate] = []
            for truth in panel:
                candidate = self._pick(truth, panel, picked, asked, most, usable)
                if candidate is None:
                    barred.add(truth)
                    break
                picked.append(candidate)
            else:
                self.gone.update(picked)
                asked.update(candidate.image for candidate in picked)
                order = list(range(len(panel)))
                self.rng.shuffle(order)
                return Block(tuple(panel[i] for i in order), tuple(picked[i] for i in order))
        return None

    def _supply(self, barred: set[str] | tuple[()]) -> dict[str, int]:
        return {truth: len(queue) for truth, queue in self.waiting.items() if queue and truth not in barred}

    def _pick(
        self, truth: str, panel: list[str], picked: list[Candidate], asked: Counter[int], most: int, usable
    ) -> Candidate | None:
        """The candidate whose image was asked about least, rather of an image that is not in the block yet."""
        queue, here = self.waiting[truth], Counter(candidate.image for candidate in picked)
        window: list[Candidate] = []
        for _ in range(len(queue)):
            candidate = queue.popleft()
            if candidate in self.gone or asked[candidate.image] >= most:
                continue
            if len(candidate.truths.intersection(panel)) > 1 or candidate in picked:
                queue.append(candidate)  # against these options it would have two answers; later perhaps not
                continue
            window.append(candidate)
            if len(window) == _WINDOW:
                break
        chosen = None
        for candidate in sorted(window, key=lambda c: (here[c.image], asked[c.image])):
            if asked[candidate.image] + here[candidate.image] >= most:
                continue
            if usable(candidate):
                chosen = candidate
                break
            self.gone.add(candidate)
        queue.extendleft(reversed([c for c in window if c not in self.gone]))
        return chosen


def blocks(
    pools: Mapping[str, Pool], most: int, usable: Callable[[str, Candidate], bool], asked: Counter[int] | None = None
) -> Iterator[tuple[str, Block]]:
    """Blocks of all pools in turn, so that each kind of question gets its share of the images.

    Args:
        pools: by name.
        most: questions an image may have, over all pools.
        usable: whether a candidate of the named pool can be shown.
        asked: questions by image so far.
    """
    asked = Counter() if asked is None else asked
    left = dict(pools)
    while left:
        for name, pool in list(left.items()):
            block = pool.take(asked, most, partial(usable, name))
            if block is None:
                del left[name]
            else:
                yield name, block
