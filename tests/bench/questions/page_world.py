"""A small world of questions and models that the tests of the page share."""

import json
import random

from vesalius.bench.questions.runner import Settings, run
from vesalius.bench.questions.store import Store
from vesalius.formats.questions import open_questions
from vesalius.records import Answer

LETTERS = "ABCD"


class Says:
    """A model that says what a function of the question says; None fails."""

    media = frozenset({"image"})

    def __init__(self, name, words):
        self.name, self.words = name, words

    def identity(self):
        return {"backend": "test", "name": self.name}

    def check(self):
        return "here"

    def close(self):
        pass

    def answer(self, questions):
        for question in questions:
            text = self.words(question)
            yield (
                Answer.of_text(question.id, text)
                if text is not None
                else Answer(question.id, status="failed", reason="no line")
            )


def ask(folder, file, models, settings=Settings(retries=0), name="set"):
    with Store(folder, create=True) as store:
        # Nobody kills these runs, and waiting for the disk takes most of the time.
        store.connection.execute("PRAGMA synchronous = OFF")
        store.connection.execute("PRAGMA journal_mode = MEMORY")
        store.ingest(name, open_questions(file, store.media))
        for model in models:
            run(store, name, model, "test:", settings)
    return folder


def questions(path, rows):
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def plain(n, longest_is_right=False):
    """Choices of four, the right one at a seeded place, told by its words."""
    rng, rows = random.Random(0), []
    for i in range(n):
        place = rng.randrange(4)
        options = ["a wrong thing"] * 4
        options = [f"wrong {k}" for k in range(4)]
        options[place] = "right answer" if longest_is_right else "right"
        rows.append({"id": f"q{i}", "question": f"Number {i}?", "options": options, "answer": LETTERS[place],
                     "department": ("urology", "hematology")[i % 2], "task": f"task {i % 3}"})  # fmt: skip
    return rows


def knows(share, seed=0):
    """Says the letter of the right option for a share of the questions, else another."""

    def words(question):
        rng = random.Random(f"{seed}/{question.id}")
        right = next(k for k, option in enumerate(question.options) if option.startswith("right"))
        return LETTERS[right if rng.random() < share else (right + 1) % len(question.options)]

    return words
