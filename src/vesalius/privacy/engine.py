"""The name model as an engine of Presidio: installed, pinned, and asked only where names are to be looked for.

spaCy's English model comes as the package that `scrubber.MODEL` names, with the extra `privacy`; any other spaCy
package or folder with a recogniser of entities can take its place. Only that recogniser of it runs.
"""

from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import regex
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

from vesalius.errors import VesaliusError
from vesalius.privacy.published import NAMES, published

_KEPT = ("ner", "tok2vec", "transformer", "entity_ruler")
_END = regex.compile(
    r"(?<=[.!?][\"”’)\]]?)(?<!\b(?:\p{Lu}|Dr|Mr|Mrs|Ms|Prof|St|vs|[Ff]ig|al|No|Nr|approx|e\.g|i\.e)\.)\s+"
    r"(?=[\p{Lu}\d\"“(\[])|\n+",
    regex.VERSION1,
)
_CAPITAL = regex.compile(r"\p{Lu}\p{Ll}|\p{Lu}{3}")
# What papers are full of and letters about patients are not: citations, figures, makers of reagents, p-values.
_PAPER = regex.compile(
    r"\[\d+(?:[,–-][ ]?\d+)*\]|\bet[ ]al\b|\((?:[^()]*[ ,])?(?:19|20)\d\d[a-z]?\)|\b(?:Fig(?:ure|s)?\.?|Table|"
    r"Supplementary|Eq\.?)[ ]?"
    r"[(S]?\d|\b[pP][ ]?[<=>≤][ ]?0?\.\d|\b(?:Inc|Ltd|GmbH|Corp|Co)\b\.?[,)]|,[ ](?:USA|UK|Germany|Japan|China|Taiwan|"
    r"Switzerland)\)|±|\bμ?mM\b|\bμ[MLlmg]\b|\bn[ ]?=[ ]?\d|\bv/v\b|\b(?:primers?|antibod(?:y|ies)|software|mutants?|"
    r"wild[- ]type|plasmid|equilibrium|hypothes[ie]s|in vitro|in vivo|algorithm|species|genes?|cohort|participants|"
    r"patients|randomi[sz]ed|CI)\b"
)


class NameEngine(NlpEngine):
    """Finds people, sentence by sentence.

    Args:
        model: an installed spaCy package, or a folder.
        language: its language.
        tokens: hand tokens to recognisers, which Presidio's words of context need; ours have none.
        keep_published: do not look for people where `published` says that all are authors.

    Raises:
        VesaliusError: the model is not installed, or no model; code `library`.
    """

    def __init__(self, model: str, language: str = "en", tokens: bool = False, keep_published: bool = True):
        self.model, self.language, self.tokens, self.keep_published = model, language, tokens, keep_published
        self.nlp: Any = None
        self.load()

    def load(self) -> None:
        """Loads the installed model; nothing is fetched."""
        import spacy

        if not Path(self.model).is_dir() and find_spec(self.model) is None:
            remedy = f"pip install 'vesalius[privacy]', or {self.model} itself"
            raise VesaliusError(f"the name model {self.model} is not installed", remedy=remedy, code="library")
        try:
            self.nlp = spacy.load(self.model)
        except (OSError, ValueError) as error:
            remedy = "name a spaCy model, or its folder, that fits the spaCy that is installed"
            raise VesaliusError(f"{self.model} is no name model ({error})", remedy=remedy, code="library") from None
        self.nlp.select_pipes(enable=[name for name in self.nlp.pipe_names if name in _KEPT])

    def is_loaded(self) -> bool:
        """Always: it loads when it is made."""
        return self.nlp is not None

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        """The people of one text."""
        return next(self.process_batch([text], language))[1]

    def process_batch(
        self,
        texts: Iterable[str],
        language: str,
        batch_size: int = 256,
        n_process: int = 1,
        ask: Sequence[bool] | None = None,
        **others: Any,
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        """The people of texts, in their order; sentences of all of them go through the model together.

        Args:
            texts, language, batch_size: as of spaCy's `pipe`.
            n_process, others: Presidio's, without a meaning here.
            ask: of which texts the model is asked; None, of all.
        """
        texts = list(texts)
        asked = [
            (number, at)
            for number, (text, wanted) in enumerate(zip(texts, ask or [True] * len(texts), strict=True))
            if wanted
            for at in worth_asking(text, self.keep_published)
        ]
        found: list[list[Person]] = [[] for _ in texts]
        sentences = (texts[number][start:end] for number, (start, end) in asked)
        for doc, (number, (start, _)) in zip(self.nlp.pipe(sentences, batch_size=batch_size), asked, strict=True):
            found[number] += [
                Person(start + e.start_char, start + e.end_char) for e in doc.ents if e.label_ == "PERSON"
            ]
        for text, people in zip(texts, found, strict=True):
            tokens: Any = self.nlp.make_doc(text) if self.tokens else ()
            places, words = [token.idx for token in tokens], [token.lower_ for token in tokens]
            spans: Any = people
            yield text, NlpArtifacts(spans, tokens, places, words, self, self.language)

    def is_stopword(self, word: str, language: str) -> bool:
        """Whether spaCy lists it among words that say little."""
        return self.nlp.vocab[word].is_stop

    def is_punct(self, word: str, language: str) -> bool:
        """Whether it is a mark."""
        return self.nlp.vocab[word].is_punct

    def get_supported_entities(self) -> list[str]:
        """What this project asks the model for."""
        return ["PERSON"]

    def get_supported_languages(self) -> list[str]:
        """The one it was made with."""
        return [self.language]


class Person:
    """What the model takes for a person, with the names that spaCy's spans have."""

    label_ = "PERSON"

    def __init__(self, start: int, end: int):
        self.start_char, self.end_char = start, end


def worth_asking(text: str, keep_published: bool = True) -> list[tuple[int, int]]:
    """Where the sentences are that the model is asked about: with capitals, in a text that reads like no paper."""
    if not _CAPITAL.search(text) or _PAPER.search(text):
        return []
    authors = [part for part in published(text) if part[2] >= NAMES] if keep_published else []
    found, start = [], 0
    for end, after in [*(match.span() for match in _END.finditer(text)), (len(text), len(text))]:
        if _CAPITAL.search(text, start, end) and not any(low <= start and end <= high for low, high, _ in authors):
            found.append((start, end))
        start = after
    return found
