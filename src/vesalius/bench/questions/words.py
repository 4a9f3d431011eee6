"""Open answers and captions against what is expected: normalised exact match, token F1, BLEU, ROUGE-L.

Knows the normalisation of SQuAD's evaluation (case, punctuation, articles, blanks), which VQA evaluations share, with
numbers written as words made digits. BLEU and ROUGE are sacrebleu's and rouge-score's. All values lie in 0–1.
"""

import re
import string
from collections import Counter
from functools import lru_cache
from typing import Any

from vesalius.bench.questions.wrapping import without_thinking

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans({mark: " " for mark in string.punctuation if mark not in "%+"})
_ANSWER = re.compile(r"\banswer\s{0,4}(?:is\b\s{0,4}:?|:)\s*(?=\S)", re.IGNORECASE)
_WRAPPING = "*`\"' \t\r\n"
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBERS = {word: str(i) for i, word in enumerate(_WORDS)}


def normalised(text: str) -> str:
    """Lower case, no punctuation, no articles, single blanks, small numbers as digits.

    >>> normalised("The Right lung.")
    'right lung'
    """
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text.lower())
    text = re.sub(r"(?<=\d)\.(?=\d)", "\0", text).translate(_PUNCTUATION).replace("\0", ".")
    words = _ARTICLES.sub(" ", text).split()
    return " ".join(_NUMBERS.get(word, word) for word in words)


def short(text: str) -> str:
    """The answer without what is said around it: «Answer: left lung.» is «left lung.»."""
    text, endless = without_thinking(text)
    if endless:
        return ""
    if found := re.search(
        r"(?:final |short )?\banswer\s{0,4}(?:is\b\s{0,4}:?|:)(?=.*\S)", text, re.IGNORECASE | re.DOTALL
    ):
        text = text[found.end() :]
    lines = text.strip(_WRAPPING).splitlines()
    return lines[0].rstrip(_WRAPPING) if lines else ""


def exact(answer: str, expected: str) -> float:
    """1 where both are the same after normalisation."""
    return float(normalised(short(answer)) == normalised(expected))


def token_f1(answer: str, expected: str) -> float:
    """Harmonic mean of precision and recall of tokens, as SQuAD's evaluation computes it; 1 where both are empty.

    >>> round(token_f1("right lower lobe", "the lower lobe"), 2)
    0.8
    """
    said, truth = normalised(short(answer)).split(), normalised(expected).split()
    if not said or not truth:
        return float(said == truth)
    same = sum((Counter(said) & Counter(truth)).values())
    return 2 * same / (len(said) + len(truth))


def caption_scores(answer: str, expected: str) -> dict[str, float]:
    """BLEU-1 to BLEU-4 of one caption (smoothed as sacrebleu does for sentences) and ROUGE-L (F-measure).

    BLEU of a whole set is not the mean of these: see `corpus_bleu`.
    """
    scores = {f"bleu_{n}": _share(_bleu(n, True).sentence_score(answer, [expected]).score) for n in range(1, 5)}
    scores["rouge_l"] = _rouge().score(expected, answer)["rougeL"].fmeasure
    return scores


def corpus_bleu(answers: list[str], expected: list[str], order: int = 4) -> float:
    """BLEU of a whole set, as papers report it."""
    return _share(_bleu(order, False).corpus_score(answers, [expected]).score)


def _share(percent: float) -> float:
    return min(1.0, percent / 100)  # sacrebleu's logarithms leave 100.00000000000004


@lru_cache
def _bleu(order: int, sentence: bool) -> Any:
    """Of a sentence, orders that it is too short for are left out (as sacrebleu does); of a whole set none is."""
    from sacrebleu.metrics import BLEU

    return BLEU(max_ngram_order=order, lowercase=True, smooth_method="exp", effective_order=sentence)


@lru_cache
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)
