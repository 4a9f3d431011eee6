"""What a benchmark's words give away: chance, the majority answer, the longest option.

Knows the questions and their truth alone. A model is worth its name where it beats all three; a text-only model asked
with `--blind` is the fourth, and stands among the models.
"""

from collections import Counter
from collections.abc import Iterable

from vesalius.records import Sample


def chance(sample: Sample) -> float | None:
    """Probability that a guess is right; None where nothing can be guessed."""
    k = len(sample.question.options)
    match sample.question.type:
        case "choice" if k:
            return 1 / k
        case "choices" if k:
            return 1 / (2**k - 1)
        case "yes_no":
            return 0.5
    return None


def longest(sample: Sample) -> float | None:
    """Probability that «take the longest option» is right: ties share it; None without options."""
    options = sample.question.options
    if sample.question.type != "choice" or sample.truth is None:
        return None
    lengths = [len(option) for option in options]
    best = [place for place, length in enumerate(lengths) if length == max(lengths)]
    return ("ABCDEFGHIJKLMNOPQRSTUVWXYZ".index(sample.truth) in best) / len(best)


def majority(samples: Iterable[Sample]) -> float | None:
    """Share that the commonest answer (letter, yes or no, words) of each type of question gets; None without truths."""
    counts: dict[str, Counter[str]] = {}
    for sample in samples:
        if sample.truth is not None:
            counts.setdefault(sample.question.type, Counter())[sample.truth.strip().lower()] += 1
    total = sum(sum(counter.values()) for counter in counts.values())
    return sum(max(counter.values()) for counter in counts.values()) / total if total else None
