"""A Presidio recogniser made of regular expressions that hold the cue and the identifier both.

Presidio's own `PatternRecognizer` reports all that a pattern matches; here a group does, so a cue ("MRN:") can be asked
for and left in the text. Imports Presidio: only `Scrubber` imports this, and what builds on it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import regex
from presidio_analyzer import EntityRecognizer, RecognizerResult

ANY_CASE = regex.VERSION1 | regex.IGNORECASE
EXACT_CASE = regex.VERSION1


@dataclass(frozen=True)
class Rule:
    """One way in which an identifier is written.

    Attributes:
        name: what findings are said to come from, after the recogniser's name.
        entity: Presidio's, see `findings.ENTITIES`.
        pattern: its group `it` is the identifier.
        score: 0 to 1.
        check: looks at a match and may say no.
        hint: what a text must have for the pattern to match, where asking that first is cheaper.
    """

    name: str
    entity: str
    pattern: Any
    score: float = 0.9
    check: Callable[[Any], bool] = lambda match: True
    hint: Any = None


def result(entity: str, start: int, end: int, score: float, by: Any, rule: str) -> RecognizerResult:
    """A Presidio result that says which rule it comes from."""
    known = {
        RecognizerResult.RECOGNIZER_NAME_KEY: by.name,
        RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: by.id,
        "rule": rule,
    }
    return RecognizerResult(entity, start, end, score, recognition_metadata=known)


class Rules(EntityRecognizer):
    """Finds by rules; subclasses list them.

    Attributes:
        rules: all that match count.
        hint: what a text must have for any of them to match.
    """

    rules: tuple[Rule, ...] = ()
    hint = regex.compile(r"\d")

    def __init__(self, language: str = "en"):
        super().__init__(sorted({rule.entity for rule in self.rules}), supported_language=language)

    def load(self) -> None:
        """Nothing to load: patterns are compiled on import."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        """Results of the entities asked for."""
        if not self.hint.search(text):
            return []
        return [one for one in self.found(text) if one.entity_type in entities]

    def found(self, text: str) -> Iterator[RecognizerResult]:
        """All results."""
        for rule in self.rules:
            if rule.hint is not None and not rule.hint.search(text):
                continue
            for match in rule.pattern.finditer(text):
                if rule.check(match):
                    for start, end in match.spans("it"):
                        yield result(rule.entity, start, end, rule.score, self, rule.name)
