"""How good the shipped classifier is: on the held-out titles by source, and on documents of other kinds.

    python -m vesalius.corpus.biomedical.evaluation --texts biomed_vs_general.jsonl.gz [--repositories FOLDER]
    python -m vesalius.corpus.biomedical.evaluation --look PATH ...

`--look` lists documents of any source that `vesalius.corpus.read` takes, by score, for eyes to judge. Leaves the split
to `sources.py`.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vesalius.corpus.biomedical import THRESHOLD, WEIGHTS, probability, score
from vesalius.corpus.biomedical.features import encoded, evidence
from vesalius.corpus.biomedical.sources import Text, labelled, repositories
from vesalius.corpus.document import Document
from vesalius.errors import VesaliusError

_BINS = np.linspace(0, 1, 11)


def scores(texts: Sequence[str], weights: dict[str, np.ndarray]) -> np.ndarray:
    """(texts,) probabilities."""
    words, bits = weights["words"].astype(np.float32), int(weights["bits"])
    return np.array([probability(evidence(encoded(text), words, bits), weights) for text in texts])


def area(truth: np.ndarray, found: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half; NaN where one side is empty."""
    ranks = np.searchsorted(np.sort(found), found, "left") + np.searchsorted(np.sort(found), found, "right") + 1
    positive = truth == 1
    pairs = positive.sum() * (~positive).sum()
    if not pairs:
        return float("nan")
    return float((ranks[positive].sum() / 2 - positive.sum() * (positive.sum() + 1) / 2) / pairs)


def calibration_error(truth: np.ndarray, found: np.ndarray) -> float:
    """The mean distance of probability and share, in ten bins of equal width, weighed by what is in them."""
    at = np.clip(np.digitize(found, _BINS) - 1, 0, 9)
    return float(sum(abs(found[at == b].sum() - truth[at == b].sum()) for b in range(10)) / len(truth))


def held_out(texts: Sequence[Text], weights: dict[str, np.ndarray]) -> str:
    """A report: accuracy, AUC, precision and recall, reliability, thresholds, each source."""
    truth = np.array([text.label for text in texts])
    found = scores([text.text for text in texts], weights)
    kept = found >= THRESHOLD
    lines = [
        f"held out: {len(texts):,} texts, {truth.sum():,} biomedical",
        f"accuracy {(kept == truth).mean():.4f}  AUC {area(truth, found):.4f}  "
        f"calibration error {calibration_error(truth, found):.4f}",
    ]
    for least in (0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9):
        chosen = found >= least
        right = (chosen & (truth == 1)).sum()
        lines.append(f"from {least:<4}  precision {right / chosen.sum():.4f}  recall {right / truth.sum():.4f}")
    at = np.clip(np.digitize(found, _BINS) - 1, 0, 9)
    for b in range(10):
        if (at == b).any():
            said, held = found[at == b].mean(), truth[at == b].mean()
            lines.append(f"said {said:.2f}  is {held:.2f}  ({(at == b).sum():,} texts)")
    names = np.array([f"{text.source} {text.label}" for text in texts])
    for name in np.unique(names):
        chosen = names == name
        what = "kept" if name.endswith("1") else "dropped"
        right = (kept == truth)[chosen].mean()
        lines.append(f"{name.rsplit(' ', 1)[0]:36} {chosen.sum():5,} texts, {what} {right:.3f}")
    return "\n".join(lines)


def look(paths: Sequence[str]) -> Iterator[str]:
    """A line a document, the highest score first."""
    found = [(score(document.text), document) for path in paths for document in _documents(path)]
    for value, document in sorted(found, key=lambda pair: (-pair[0], pair[1].id)):
        title = document.facts.get("title") or document.text[:80].replace("\n", " ")
        yield f"{value:.3f}  {len(document.text.split()):6,} words  {document.id}  {title}"


def _documents(path: str) -> Iterator[Document]:
    from vesalius.corpus.read import read

    try:
        yield from (document for document in read(path) if isinstance(document, Document))
    except VesaliusError as error:
        print(error)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--repositories", type=Path)
    parser.add_argument("--look", nargs="+", default=())
    given = parser.parse_args()
    texts = [*(labelled(given.texts) if given.texts else ()),
             *(repositories(given.repositories) if given.repositories else ())]  # fmt: skip
    if texts:
        with np.load(WEIGHTS) as stored:
            print(held_out([text for text in texts if text.part == "test"], dict(stored)))
    for line in look(given.look):
        print(line)


if __name__ == "__main__":
    main()
