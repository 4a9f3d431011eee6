"""Names that something beside them makes names: a title, a label, a degree, an age, a greeting.

These need no model and are the surest. Words that only stand where a name could ("MR IMAGING", "Nurse Practitioner")
are told by `lexicon`; names in what is published are for `published` to keep.
"""

from collections.abc import Iterator
from typing import Any

import regex
from presidio_analyzer import EntityRecognizer, RecognizerResult

from vesalius.privacy.cues import SAID_OF, TRIGGERS
from vesalius.privacy.lexicon import FUNCTION, THINGS, WORDS, given_names, may_be_name, surnames, words
from vesalius.privacy.rules import EXACT_CASE, result

_LETTERS = regex.compile(r"[\p{L}'’-]+")
_SAYS = regex.compile(
    rf"['’]s\b|[ ](?:{SAID_OF}|called|phoned|rang|wants|needs|says|said|who)\b|[ ]?(?:[,.;:?!]|$)", EXACT_CASE
)
_SURNAME_BEFORE = regex.compile(r"\p{Lu}[\p{L}'’-]+[ ]$")
_STREET = regex.compile(r"\d+[A-Za-z]?,?[ ]+(?:[\p{Lu}][\p{L}'’.-]*[ ]+){0,3}$")
NAMED_AFTER = regex.compile(
    rf"(?:['’]s)?(?:[ ]|-|–)(?i:{THINGS})\b|['’]s[ ](?:\p{{Ll}}+[ ])?(?i:{THINGS})\b", EXACT_CASE
)
_ENDS = FUNCTION | words(
    """
    date dob d.o.b mrn number nhs ssn gender age birth born address phone telephone tel mobile email e-mail hospital
    department ward clinic unit room history information identification id status summary report reports reported
    notes noted states denies presents presented admitted seen referred discharged complains underwent received
    allergies medications diagnosis assessment impression findings comments problem reason chief past social
    """
)
NEVER = (
    _ENDS
    | frozenset(word for word in THINGS.split("|") if word not in ("park", "field", "river", "lane", "lake", "rank"))
    | words(
        """
    editor editors colleague colleagues reviewer reviewers sir sirs madam team doctor doctors author authors reader
    readers committee parent parents student students unknown none name names yes m f mr mrs ms dr prof deceased
    anonymous redacted withheld self same above pending pt i practitioner practitioners manager managers education
    staffing led call anesthetist anesthetists specialist specialists educator educators chromatid chromatids plan
    protocol file degree thesis equation emeritus executive assistant christmas superior congo imaging angiography
    spectroscopy scan scans scanner enterography venography elastography sequence sequences image images spectrum
    spectra analysis consent consents mix river survey questionnaire global health safety outcome outcomes care
    service services center registry cohort institutional md phd rn median nurse nurses herr frau
    """
    )
)
_NO_DEGREE = regex.compile(r"[ ]?,?[ ]?(?:PA|DO|MA|ME|MS|BA)\b")
_NEED_A_LIST = frozenset(("age, one word", "called", "by, perhaps cited", "patient, one word"))


class Names(EntityRecognizer):
    """Names by what stands beside them."""

    def __init__(self, language: str = "en"):
        super().__init__(["PERSON"], supported_language=language)

    def load(self) -> None:
        """Name lists are read when they are first asked."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        """All names, if names are asked for."""
        return list(self._found(text)) if "PERSON" in entities else []

    def _found(self, text: str) -> Iterator[RecognizerResult]:
        for rule, score, pattern in TRIGGERS:
            for match in pattern.finditer(text):
                for start, end in match.spans("it"):
                    end = _shortened(text, start, end)
                    if end > start and _plausible(text, start, end, rule, match):
                        yield result("PERSON", start, end, score, self, rule)


def _bare(word: str) -> str:
    return word.strip(".,'’").lower()


def _shortened(text: str, start: int, end: int) -> int:
    """The end without trailing words that begin something else ("Mr Smith Date of birth", but "Mrs Karen Ward,")."""
    keep = 0
    found = list(regex.finditer(r"[^\s,]+", text[start:end]))
    for number, word in enumerate(found):
        bare = _bare(word[0])
        last = number == len(found) - 1 and bare in surnames() and not regex.match(r"[ ]?[\d:#]", text[end : end + 2])
        if number and bare in _ENDS and len(bare) > 1 and not last:
            break
        keep = word.end()
    return start + keep


def _plausible(text: str, start: int, end: int, rule: str, match: Any) -> bool:
    """Whether it is a name, by its words and by what follows."""
    words = [_bare(word) for word in text[start:end].replace(",", " ").split()]
    letters = [word for word in words if len(word) > 1]
    if not letters or NAMED_AFTER.match(text, end) or regex.match(r"[-–]\p{Ll}|,?[ ]et[ ]al\b", text[end : end + 8]):
        return False
    title = rule.startswith("title")
    known = [word for word in letters if word in given_names() or word in surnames()]
    if letters[0] in NEVER and not (
        title and (letters[0] in known or (len(letters) > 1 and letters[1] not in NEVER and may_be_name(letters[1])))
    ):
        return False  # but "Dr. Ward" and "Dr. Per Jakobsen" are names
    if rule == "title in capitals" and match[0].startswith(("MR ", "MS ", "DR ")):  # "MR BRAIN", "DR CONGO"
        if not text[start:end].isupper():  # "Gillrie MR Lopera-Mesa TM" are initials
            return bool(known) and not _SURNAME_BEFORE.search(text[max(0, match.start() - 40) : match.start()])
        return letters[0] in given_names() and (len(letters) > 1 or letters[0] not in WORDS)
    if rule == "title in small letters":
        return _after_small_title(text, start, match, known)
    if rule == "in capitals, listed":
        return letters[0] in surnames() and letters[-1] in given_names()
    if rule.startswith("degree") and _NO_DEGREE.match(text, end) and letters[0] not in given_names():
        return False  # "Allentown, PA", "WHAT YOU MADE ME DO"
    if rule in ("patient", "age", "degree", "degree after a blank", "papers behind"):
        return any(may_be_name(word) for word in letters) and not any(word in NEVER for word in letters)
    if rule in ("by", "relative", "job"):
        return (
            not any(word in NEVER for word in letters)
            and any(may_be_name(word) for word in letters)
            and (len(letters) > 1 or _SAYS.match(text, end) is not None or bool(known))
            and (len(letters) > 1 or not text[start:end].isupper())  # not "assessed by ELISA"
        )
    if rule in _NEED_A_LIST:
        return bool(known) and all(may_be_name(word) for word in letters) and letters[0] not in WORDS
    if rule == "label" and text[start:end].isupper() and not known:
        return len(letters[0]) > 3  # "RE: CT"
    if rule == "label" and not known:
        return any(may_be_name(word) for word in letters)
    return not (title and _STREET.search(text[max(0, match.start() - 60) : match.start()]))


_WHO_MISSES = regex.compile(
    r"(?:\b(?:i|we|you|they|people|to|all|will|would|might|may|can|could|should|never|really|always|still|not|do|did)|"
    r"['’](?:t|ll|d))[ ]$",
    regex.VERSION1 | regex.IGNORECASE,
)


def _after_small_title(text: str, start: int, match: Any, known: list[str]) -> bool:
    if text[match.start() : match.start() + 2] == "ms" and "." not in match[0][:3]:
        return bool(known) and text[start].isupper()  # "30 ms after"
    if match[0].startswith("miss") and _WHO_MISSES.search(text[max(0, match.start() - 12) : match.start()]):
        return False  # "we all miss Steve"
    if known or "." in match[0][:6] or text[start].isupper():
        return True
    first = _LETTERS.match(text, start)
    return first is not None and may_be_name(first[0]) and _SAYS.match(text, first.end()) is not None
