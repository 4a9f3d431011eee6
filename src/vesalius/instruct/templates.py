"""How questions are worded: the modality, the task and the granularity stand in every one.

Knows sentences. There are several of each kind, so that a model cannot learn one; all questions of a block share one
(see `balance`), so that the wording tells no answer. Leaves options to `distractors`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vesalius.instruct.config import Label

YES_NO = ("Yes", "No")

# The task's cue: what is asked for.
NOUNS = {
    "attribute recognition": "attribute",
    "blood vessels recognition": "blood vessel",
    "bone": "bone",
    "cell recognition": "type of cell",
    "disease diagnosis": "diagnosis",
    "image quality grading": "grade of image quality",
    "microorganism recognition": "microorganism",
    "muscle": "muscle",
    "nervous tissue": "nervous tissue",
    "organ recognition - abdomen": "organ",
    "organ recognition - head and neck": "organ",
    "organ recognition - pelvic": "organ",
    "organ recognition - thorax": "organ",
    "severity grading": "grade of severity",
    "surgeon action recognition": "action of the surgeon",
    "surgical instrument recognition": "surgical instrument",
    "surgical workflow recognition": "phase of the operation",
}

# The granularity's cue: where to look. The colour is that of `draw.MARK`.
TARGETS = {
    "image": "this {picture}",
    "box": "the area inside the cyan box on this {picture}",
    "mask": "the area shaded in cyan on this {picture}",
    "contour": "the area inside the cyan contour on this {picture}",
}

LABEL = (
    "Which {noun} is shown in {target}?",
    "Look at {target}. Which {noun} fits it best?",
    "Judging by {target}, what is the most likely {noun}?",
    "Consider {target}. Which of the options names the {noun}?",
)
COUNT = (
    "How many {names} can be counted in {target}?",
    "Count the {names} in {target}. How many are there?",
    "What is the number of {names} in {target}?",
)
PRESENCE = {
    "image": (
        "Is the following present in {target}: {name}?",
        "Does {target} show the following: {name}?",
        "Look at {target}. Can the following be seen in it: {name}?",
    ),
    "box": (
        "Does the cyan box on this {picture} enclose the following: {name}?",
        "Look at {target}. Does it show the following: {name}?",
    ),
    "mask": (
        "Does the cyan shading on this {picture} cover the following: {name}?",
        "Look at {target}. Does the shading lie on the following: {name}?",
    ),
    "contour": (
        "Does the cyan contour on this {picture} outline the following: {name}?",
        "Look at {target}. Does the contour follow the following: {name}?",
    ),
}


@dataclass(frozen=True)
class Template:
    """One kind of question about one set: what its questions share, whatever the image.

    Attributes:
        id: stands in the file's column `template`; says what is asked, never an answer.
        ask: `label`, `count` or `presence`.
        granularity: what is marked on the image.
        task: GMAI-MMBench's clinical task.
        picture: how the image is called.
        noun: what is asked for.
        name, names: the label that is looked for or counted, in the singular and the plural.
        space: labels by key, whose names are the options; empty for counts and presence.
        wording: the sentences to choose from.
        options: how many options a question has.
        taxonomy: columns and their values.
    """

    id: str
    ask: str
    granularity: str
    task: str
    picture: str
    noun: str = ""
    name: str = ""
    names: str = ""
    space: Mapping[str, Label] = field(default_factory=dict)
    wording: tuple[str, ...] = ()
    options: int = 4
    taxonomy: Mapping[str, str] = field(default_factory=dict)

    def sentences(self) -> list[str]:
        """All questions that this template can ask, in words."""
        target = TARGETS[self.granularity].format(picture=self.picture)
        ours = LABEL if self.ask == "label" else COUNT if self.ask == "count" else PRESENCE[self.granularity]
        places = {
            "target": target, "picture": self.picture, "noun": self.noun, "name": self.name, "names": self.names
        }  # fmt: skip
        texts = [sentence.format(**places) for sentence in self.wording or ours]
        return [text[:1].upper() + text[1:] for text in texts]

    def shown(self, truth: str) -> str:
        """An option as it is read."""
        return self.space[truth].name if self.ask == "label" else truth


def plural(label: Label) -> str:
    """The label's own plural, else the name with an English ending."""
    name = label.name
    if label.plural:
        return label.plural
    if name.endswith(("s", "x", "ch", "sh")):
        return name if name.endswith("s") and not name.endswith("ss") else f"{name}es"
    return f"{name[:-1]}ies" if name.endswith("y") and name[-2:-1] not in "aeiou" else f"{name}s"
