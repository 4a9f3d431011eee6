"""Names that only the words themselves show: the name model's, and given names with surnames of the lists.

The model was trained on news. In papers it takes genes, reagents and cited authors for people, so `engine` does not ask
it about what reads like one, and what it says is believed only where the words could be a name and what follows does
not make it a thing, a work or a citation. Single words have to be names of the lists.
"""

from collections.abc import Iterator
from typing import Any

import regex
from presidio_analyzer import EntityRecognizer, RecognizerResult

from vesalius.privacy.cues import INITIAL, SMALL, WORD
from vesalius.privacy.lexicon import FUNCTION, THINGS, WORDS, given_names, may_be_name, surnames, words
from vesalius.privacy.names import NAMED_AFTER, NEVER
from vesalius.privacy.rules import EXACT_CASE, result

_SHAPE = regex.compile(
    rf"(?:{INITIAL}[ ]?){{0,4}}{WORD}(?:[ ](?:{SMALL}[ ]){{0,2}}(?:{WORD}|{INITIAL})){{0,4}}", EXACT_CASE
)
_PAIR = regex.compile(
    r"(?<![\p{L}\p{N}.'’-])(?P<given>\p{Lu}\p{Ll}+(?:-\p{Lu}?\p{Ll}+)?)(?:[ ](?:\p{Lu}\.?|"
    r"\p{Lu}\p{Ll}+))?[ ]"
    rf"(?:{SMALL}[ ]){{0,2}}(?P<surname>{WORD})",
    EXACT_CASE,
)
_CITED = regex.compile(
    r"(?:['’]s)?(?:[ ](?:and|&)[ ]\p{Lu}[\p{L}'’-]+)?,?[ ]?"
    r"(?:et[ ]al|\(?(?:1[89]|20)\d\d[a-z]?\b|\[\d|and[ ]co-?workers|and[ ]colleagues)",
    EXACT_CASE,
)
_PLACE_BEFORE = regex.compile(
    r"(?:\b(?:St|Saint|University of|Hospital|Port|Mount|Lake|Fort|San|Santa|Los|Las|El|New|the)\.?[ ]|[/@#_=]|[-–])$"
)
_PLACES = words(
    "santa san saint monte st port mount lake fort los las new papua costa sierra puerto cape hong alpha omega"
)
_HONOURED = regex.compile(rf"[ ](?:\p{{Lu}}\p{{L}}+[ ]){{0,2}}(?:{THINGS.title()})\b", EXACT_CASE)


class People(EntityRecognizer):
    """The model's people, judged; and pairs of a given name and a surname."""

    def __init__(self, language: str = "en"):
        super().__init__(["PERSON"], supported_language=language)

    def load(self) -> None:
        """The model is the engine's."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        """All people, if names are asked for."""
        if "PERSON" not in entities:
            return []
        return [*self._of_the_model(text, nlp_artifacts), *self._pairs(text)]

    def _of_the_model(self, text: str, artifacts: Any) -> Iterator[RecognizerResult]:
        for entity in artifacts.entities if artifacts else ():
            if entity.label_ == "PERSON":
                start, end = _trimmed(text, entity.start_char, entity.end_char)
                if start < end and _is_person(text, start, end):
                    yield result("PERSON", start, end, 0.6, self, "model")

    def _pairs(self, text: str) -> Iterator[RecognizerResult]:
        for match in _PAIR.finditer(text):
            given, surname = match["given"].split("-")[0].lower(), match["surname"].lower()
            if (
                given in given_names()
                and given not in WORDS | _PLACES
                and (surname in surnames() or ("-" in surname and surname.split("-")[0] in surnames()))
                and surname not in FUNCTION
                and _stands_alone(text, *match.span())
            ):
                yield result("PERSON", match.start(), match.end(), 0.65, self, "given name and surname")


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Without titles, possessives and marks at its ends, and without what comes after a line's end."""
    end = min(end, text.find("\n", start) if "\n" in text[start:end] else end)
    words = regex.sub(r"(?:['’]s|[^\p{L}.])+$", "", text[start:end])
    lead = regex.match(r"(?:(?:Mr|Mrs|Ms|Dr|Prof|Patient|Name|Dear|Hi)\b[.:]?[ ]*|[^\p{L}])+", words)
    return start + (lead.end() if lead else 0), start + len(words)


def _is_person(text: str, start: int, end: int) -> bool:
    name = text[start:end]
    if not _SHAPE.fullmatch(name) or not _stands_alone(text, start, end):
        return False
    words = [word.strip(".").lower() for word in name.split() if len(word.strip(".")) > 1]
    if not words or words[0] in WORDS | _PLACES or any(word in NEVER or not may_be_name(word) for word in words):
        return False
    known = [word for word in words if word.split("-")[0] in given_names() or word in surnames()]
    if name.isupper() or len(words) == 1:
        return bool(known) and len(words[0]) > 2
    return True


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether what surrounds the name leaves it one: no thing is named after it, nothing cites it."""
    around = text[end : end + 60]
    if NAMED_AFTER.match(around) or _CITED.match(around) or _HONOURED.match(around):
        return False
    return not regex.match(r"[-–/]\p{L}|[\d_@]", around) and not _PLACE_BEFORE.search(text[max(0, start - 20) : start])
