"""What a document meets on its way, each stage a function: it gives the document, changed or not, or why it goes.

Knows the recipe and the order; leaves what each stage is about to `filters/`, `read/` and `privacy`.
"""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from vesalius.corpus.biomedical import Biomedical, scored
from vesalius.corpus.build.recipe import Recipe
from vesalius.corpus.build.tally import Tally
from vesalius.corpus.document import Document, Heading
from vesalius.corpus.filters import feedback
from vesalius.corpus.filters.heuristics import (
    C4BadWords,
    C4Quality,
    FineWebQuality,
    GopherQuality,
    GopherRepetition,
)
from vesalius.corpus.filters.language import Language, detect, sample
from vesalius.corpus.images.policy import Policy
from vesalius.corpus.images.robots import refused_by_page
from vesalius.corpus.licences import licence_name
from vesalius.corpus.mojibake import mended
from vesalius.corpus.read import html
from vesalius.corpus.read.record import Bad, Raw
from vesalius.errors import VesaliusError

Verdict = Document | str
_HEURISTICS: dict[str, Callable[[], list[Any]]] = {
    "gopher": lambda: [GopherQuality()],
    "gopher-repetition": lambda: [GopherRepetition()],
    "c4": lambda: [C4Quality(), C4BadWords()],
    "fineweb": lambda: [FineWebQuality()],
}
# Of a page's text; `noimageai` is about its images, which are judged by themselves.
_WISHES = Policy(page_refusing=frozenset({"noai", "noindex", "none"}))


class Stages:
    """All stages of a recipe that need one document alone."""

    def __init__(self, recipe: Recipe):
        self.recipe = recipe
        self.tally = Tally()
        self._steps: list[tuple[str, Callable[[Document], Verdict]]] = []
        if recipe.opt_out:
            self._steps.append(("opt-out", self._opt_out))
        if recipe.licences:
            self._steps.append(("licence", self._licence))
        self._language = Language(recipe.languages, recipe.language_least)
        self._steps.append(("language", self._spoken))
        self._filters = [each for name in recipe.heuristics for each in _HEURISTICS[name]()]
        if self._filters:
            self._steps.append(("heuristics", self._heuristics))
        if recipe.feedback:
            self._steps.append(("feedback", self._feedback))
        self._topic = Biomedical(recipe.biomedical)
        self._steps.append(("biomedical", self._biomedical))
        if recipe.least_images:
            self._steps.append(("images", self._pictured))
        if recipe.privacy:
            from vesalius.privacy import Scrubber

            self._scrubber = Scrubber(guess="patients")
            self._steps.append(("privacy", self._private))

    def __call__(self, record: Raw | Document | Bad) -> tuple[Document | None, dict[str, Any] | None]:
        """(document, None) where it is kept, else (None, the row that says why not)."""
        document: Document | None = None
        if isinstance(record, Bad):
            return None, self._gone(record.id, "", record.stage, f"{record.code}: {record.error}", None, record.code)
        if isinstance(record, Document):
            document = record
        else:
            begin = time.perf_counter()
            try:
                document = html.document(record)
            except VesaliusError as error:
                return None, self._gone(record.id, record.url, "extract", error.problem, None, error.code)
            finally:
                self.tally["extract"].seconds += time.perf_counter() - begin
        document, mends = mended(document)
        if mends:
            self.tally["extract"].edits["mojibake mended"] += mends
        self.tally.kept("extract", document)
        for name, step in self._steps:
            begin = time.perf_counter()
            verdict = step(document)
            self.tally[name].seconds += time.perf_counter() - begin
            if isinstance(verdict, str):
                return None, self._gone(document.id, str(document.facts.get("url", "")), name, verdict, document)
            document = verdict
            self.tally.kept(name, document)
        return document, None

    def lost(self, id: str, stage: str, reason: str, code: str) -> dict[str, Any]:
        """The row of a record that no stage could judge."""
        return self._gone(id, "", stage, reason, None, code)

    def _gone(
        self, id: str, url: str, stage: str, reason: str, document: Document | None, code: str = ""
    ) -> dict[str, Any]:
        self.tally[stage].reasons[code or reason] += 1
        text = None
        if self.recipe.keep_dropped and document is not None:
            text = document.text
            if self.recipe.privacy and stage != "privacy":
                text = "\n".join(scrubbed.text for scrubbed in self._scrubber.scrub_together(document.texts))
        words = len(document.text.split()) if document is not None else None
        return {"id": id, "url": url or None, "stage": stage, "reason": reason, "words": words, "text": text}

    def _opt_out(self, document: Document) -> Verdict:
        refusal = refused_by_page(document.facts, _WISHES)
        return refusal[1] if refusal else document

    def _licence(self, document: Document) -> Verdict:
        licence = licence_name(str(document.facts.get("licence", "")))
        if not licence:
            return "no licence is known"
        wanted = [name.upper() for name in self.recipe.licences]
        # CC-BY is also CC-BY-4.0, but not CC-BY-NC.
        fits = any(licence == name or re.fullmatch(rf"{re.escape(name)}-[\d.]+", licence) for name in wanted)
        return document.with_facts(licence=licence) if fits else f"licence {licence}"

    def _spoken(self, document: Document) -> Verdict:
        if self.recipe.languages and (reason := self._language.judge(document)):
            return reason.removeprefix("language: ")
        return document.with_facts(language=detect(sample(document))[0] or "")

    def _heuristics(self, document: Document) -> Verdict:
        return next((reason for each in self._filters if (reason := each.judge(document))), document)

    def _feedback(self, document: Document) -> Verdict:
        found = feedback.clean(document)
        reason = next((why for each in feedback.DOCUMENT_RULES if (why := each.judge(found.document))), None)
        if reason:
            return reason
        self.tally["feedback"].edits.update(found.counts)
        return found.document

    def _biomedical(self, document: Document) -> Verdict:
        document = scored(document)
        reason = self._topic.judge(document)
        return reason.removeprefix("biomedical: ") if reason else document

    def _pictured(self, document: Document) -> Verdict:
        least = self.recipe.least_images
        return document if len(document.images) >= least else f"fewer than {least} images"

    def _private(self, document: Document) -> Verdict:
        return scrub(document, self._scrubber, self.tally)


def scrub(document: Document, scrubber: Any, tally: Tally) -> Document:
    """The document without identifiers of patients, in texts, titles and alternative texts."""
    # Texts last: what stands below their heading "References" counts as published, and the title does not.
    alts = [image.alt for image in document.images]
    found = scrubber.scrub_together([str(document.facts.get("title") or ""), *alts, *document.texts])
    counts: dict[str, int] = {}
    for scrubbed in found:
        for finding in scrubbed.findings:
            counts[finding.kind] = counts.get(finding.kind, 0) + 1
    if not counts:
        return document
    tally["privacy"].edits.update(counts)
    clean = iter(scrubbed.text for scrubbed in found)
    facts = {**document.facts, "removed": counts}
    if title := next(clean):
        facts["title"] = title
    named = iter([next(clean) for _ in alts])
    parts = tuple(
        (Heading(next(clean), part.level) if isinstance(part, Heading) else next(clean))
        if isinstance(part, str)
        else replace(part, alt=next(named))
        for part in document.parts
    )
    return replace(document, parts=parts, facts=facts)
