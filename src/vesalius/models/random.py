"""A model that guesses: `random:SEED` picks an option by a seed and the question's id, and needs nothing.

It stands for chance in a table and for a model in tests; the same seed gives the same answers in any order.
"""

import random
from collections.abc import Iterable, Iterator
from typing import Any

from vesalius.errors import VesaliusError
from vesalius.models.prompt import LETTERS
from vesalius.models.protocol import Generation
from vesalius.records import MEDIA, Answer, Question


class Options(Generation):
    """Nothing of its own: settings of generation are taken and ignored."""


class Guesser:
    """See the module."""

    media = frozenset(MEDIA)

    def __init__(self, seed: int, name: str):
        self.seed = seed
        self.name = name

    def identity(self) -> dict[str, Any]:
        """The seed."""
        return {"backend": "random", "seed": self.seed}

    def check(self) -> str:
        """There is nothing that could be missing."""
        return f"guesses with seed {self.seed}"

    def answer(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """A letter, letters, or yes or no; nothing for what cannot be guessed."""
        for question in questions:
            draw = random.Random(f"{self.seed}/{question.id}")
            match question.type:
                case "choice":
                    text = LETTERS[draw.randrange(len(question.options))]
                case "choices":
                    some = [letter for letter, _ in zip(LETTERS, question.options, strict=False) if draw.random() < 0.5]
                    text = ", ".join(some) or LETTERS[draw.randrange(len(question.options))]
                case "yes_no":
                    text = draw.choice(("Yes", "No"))
                case _:
                    text = ""
            yield Answer.of_text(question.id, text, seconds=0.0)

    def close(self) -> None:
        """Holds nothing."""


def connect(target: str, name: str, options: Options) -> Guesser:
    """`random:SEED`.

    Raises:
        VesaliusError: the seed is no whole number.
    """
    if not target.isdecimal():
        raise VesaliusError(f"«{target}» is no seed", remedy="write random:0", code="model")
    return Guesser(int(target), name)
