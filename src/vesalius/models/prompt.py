"""How a question becomes a prompt: its options in an order, letters before them, and a request for the answer.

Knows the layout that VLMEvalKit gives to the same questions (hint, "Question:", "Options:", one a line, a request), and
how options are rotated. Leaves what an answer means to `bench/`, and the chat template to the model.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vesalius.errors import VesaliusError
from vesalius.records import Message, Part, Question

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

REQUESTS = {
    "choice": "Please select the correct answer from the options above. Answer with the letter of the option.",
    "choices": "Please select all correct answers from the options above. Answer with the letters of the options.",
    "yes_no": "Please answer yes or no.",
    "open": "Please answer with a word or a short phrase.",
    "caption": "",
    "mask": "",
}


@dataclass(frozen=True)
class Prompt:
    """What is said around a question; part of what an answer depends on.

    Attributes:
        system: a system message, "" for none.
        request: what is asked for after the options, for every type of question; None takes `REQUESTS`.
    """

    system: str = ""
    request: str | None = None


def order(question: Question, rotation: int = 0, shuffle_seed: int | None = None) -> tuple[int, ...]:
    """Which option stands where: position → index into `question.options`.

    Args:
        question: its id seeds the shuffle, so that an item's order does not hang on which others are asked.
        rotation: options move up by so many places, in a circle.
        shuffle_seed: None keeps the file's order.
    """
    places = list(range(len(question.options)))
    if shuffle_seed is not None:
        random.Random(f"{shuffle_seed}/{question.id}").shuffle(places)
    turn = rotation % len(places) if places else 0
    return tuple(places[turn:] + places[:turn])


def render(
    question: Question, prompt: Prompt, places: Sequence[int] | None = None, shots: Sequence[Part] = ()
) -> Question:
    """The question as a model is asked it.

    Args:
        question: its last user message is what is asked.
        prompt: what is said around it.
        places: see `order`; the options come back in it.
        shots: parts of solved examples, put before the question in the same message.

    Returns:
        A question with the same id whose messages hold everything, options included, and whose `options` stand in the
        order asked.

    Raises:
        VesaliusError: more options than letters.
    """
    options = [question.options[i] for i in places] if places is not None else list(question.options)
    if len(options) > len(LETTERS):
        raise VesaliusError(f"has {len(options)} options, more than letters", case=question.id, code="record")
    *before, last = question.messages
    parts = (*shots, *_asked(last.parts, options, prompt, question.type))
    messages = (*before, replace(last, parts=parts))
    if prompt.system:
        messages = (Message("system", (Part.of_text(prompt.system),)), *messages)
    return replace(question, messages=messages, options=tuple(options))


def solved(question: Question, answer: str, prompt: Prompt) -> tuple[Part, ...]:
    """A question and its answer as parts of an example for a few-shot prompt."""
    asked = _asked(question.messages[-1].parts, list(question.options), prompt, question.type)
    return (*asked, Part.of_text(f"\nAnswer: {answer}\n\n"))


def _asked(parts: Sequence[Part], options: list[str], prompt: Prompt, kind: str) -> tuple[Part, ...]:
    """The parts with the text's frame around it: media first, as they stand."""
    request = REQUESTS[kind] if prompt.request is None else prompt.request
    text = "".join(part.text or "" for part in parts if part.type == "text").strip()
    lines = [f"Question: {text}"] if options or request else [text]
    if options:
        lines += ["Options:", *(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))]
    if request:
        lines.append(request)
    return (*(part for part in parts if part.type != "text"), Part.of_text("\n".join(lines)))
