"""The text filter that OmniCorpus made from human feedback, for English: the rules in their order, and for documents.

From arXiv 2406.08418 and its public code, `human_feedback_textfiltering`, with the same thresholds; written anew. The
rules for paragraphs are in `feedback_shape`, `feedback_phrases` and `feedback_ends`, each with what it does not keep
of the public code; where a public rule would drop what a journal article needs, ours is narrower and says so. Leaves
the heuristics of other corpora to `heuristics`.
"""

from vesalius.corpus.document import Document
from vesalius.corpus.filters import Filtered, ParagraphRule, apply
from vesalius.corpus.filters import feedback_ends as ends
from vesalius.corpus.filters import feedback_phrases as phrases
from vesalius.corpus.filters import feedback_shape as shape
from vesalius.corpus.filters.statistics import Statistics, StatisticsFilter
from vesalius.corpus.filters.words import FLAGGED, STOP_WORDS

RULES: tuple[ParagraphRule, ...] = (
    shape.Newlines(),
    shape.Underlines(),
    phrases.ReadMore(),
    shape.Video(),
    shape.FullText(),
    phrases.DownloadLinks(),
    ends.SourceReferences(),
    shape.Uppercase(),
    shape.Numerical(),
    phrases.SocialMediaCounter(),
    phrases.Short(),
    phrases.Adult(),
    phrases.Comments(),
    phrases.HeaderFooter(),
    shape.Heads(),
    phrases.Url(),
    phrases.ImageCaption(),
    phrases.Advertisement(),
    shape.AberrantItem(),
    ends.SquareBrackets(),
    ends.References(),
    ends.Contact(),
    ends.Dateline(),
    ends.LastBracket(),
    phrases.SocialMedia(),
    ends.Byline(),
    # What is merely short goes last, so that the counts tell what it was.
    shape.TooShort(),
)
"""In the public order, but for `ReadMore`, which is a finished end no more once cut, and `TooShort`."""


def clean(document: Document, most_passes: int = 20) -> Filtered:
    """All rules, until nothing changes; see `apply`."""
    return apply(document, RULES, most_passes)


class Words(StatisticsFilter):
    """50 to 100,000 words of 3 to 10 characters on average (`words_discard`).

    The public function returns a pair whatever it is asked, by the precedence of "if … else" over the comma, and a
    pair is true. It counts NLTK's tokens, marks among them; here and in all of these, words are what white space
    separates.
    """

    def __init__(self, fewest: int = 50, most: int = 100_000, shortest: float = 3, longest: float = 10):
        self.fewest, self.most, self.shortest, self.longest = fewest, most, shortest, longest

    def weigh(self, document: Document, statistics: Statistics) -> str | None:
        """See `StatisticsFilter`."""
        count = len(statistics.words)
        if count < self.fewest:
            return f"feedback: fewer than {self.fewest} words"
        if count > self.most:
            return f"feedback: more than {self.most} words"
        mean = statistics.letters / count
        return None if self.shortest <= mean <= self.longest else "feedback: mean word length"


class Letters(StatisticsFilter):
    """At least 0.8 of the words have a letter (`char_discard`).

    The public code wants more than 0.8, and counts each comma and bracket as a word without a letter, which a text
    full of citations does not survive.
    """

    def __init__(self, least: float = 0.8):
        self.least = least

    def weigh(self, document: Document, statistics: Statistics) -> str | None:
        """See `StatisticsFilter`."""
        few = statistics.alphabetic < self.least * len(statistics.words)
        return "feedback: words without letters" if few else None


class StopWords(StatisticsFilter):
    """At least two of the commonest English words (`stop_word_discard`).

    Two different ones, in any letters, as Gopher has it; the public code is content with one of them twice, and does
    not know "The".
    """

    def __init__(self, least: int = 2, words: frozenset[str] = STOP_WORDS):
        self.least, self.words = least, words

    def weigh(self, document: Document, statistics: Statistics) -> str | None:
        """See `StatisticsFilter`."""
        return "feedback: stop words" if len(self.words & statistics.lowered.keys()) < self.least else None


class AdultShare(StatisticsFilter):
    """At most 0.02 of the words are of adult sites (`document_porn_discard`); see `words.FLAGGED`."""

    def __init__(self, most: float = 0.02, words: frozenset[str] = FLAGGED):
        self.most, self.words = most, words

    def weigh(self, document: Document, statistics: Statistics) -> str | None:
        """See `StatisticsFilter`."""
        flagged = sum(statistics.lowered[word] for word in self.words & statistics.lowered.keys())
        return "feedback: adult words" if flagged > self.most * len(statistics.words) else None


class WordsPerImage(StatisticsFilter):
    """With two images or more, at least 50 words an image (`img_txt_ratio_discard`).

    The public code begins at three ("more than min_image_count"), and counts the images before the paragraph rules.
    """

    def __init__(self, least: float = 50, images: int = 2):
        self.least, self.images = least, images

    def weigh(self, document: Document, statistics: Statistics) -> str | None:
        """See `StatisticsFilter`."""
        images = len(document.images)
        few = images >= self.images and len(statistics.words) < self.least * images
        return f"feedback: fewer than {self.least} words an image" if few else None


class ParagraphLengths(StatisticsFilter):
    """A paragraph of 35 words, or 12 on average (`check_paragraph_lengths`).

    Headings and, in the public code, lists and tables do not count; here "- items" and rows do.
    """

    def __init__(self, longest: int = 35, mean: float = 12):
        self.longest, self.mean = longest, mean

    def weigh(self, document: Document, statistics: Statistics) -> str | None:
        """See `StatisticsFilter`."""
        sizes = statistics.body_sizes
        short = max(sizes, default=0) < self.longest and sum(sizes) < self.mean * max(1, len(sizes))
        return "feedback: only short paragraphs" if short else None


DOCUMENT_RULES: tuple[StatisticsFilter, ...] = (
    Words(),
    Letters(),
    StopWords(),
    AdultShare(),
    WordsPerImage(),
    ParagraphLengths(),
)
"""In the public order; all with the published thresholds. Several share their counts within `statistics.Together`."""
