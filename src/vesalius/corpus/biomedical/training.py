"""Makes `biomedical.npz` again: the classifier that tells biomedical texts from others.

    python -m vesalius.corpus.biomedical.training --texts biomed_vs_general.jsonl.gz --repositories FOLDER

Logistic regression over hashed words; a source, however large, and each side weigh about the same. Long texts are
learnt whole and in pieces, so that the score holds for a title, an abstract and an article. A tenth of the titles
calibrates it, a fifth is held out; what the held-out texts say is printed at the end, and by
`python -m vesalius.corpus.biomedical.evaluation` at any time. Needs scikit-learn, scipy and lxml; the same inputs give
the same weights. Leaves where texts are from to `sources.py`.
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.corpus.biomedical import WEIGHTS
from vesalius.corpus.biomedical.features import BITS, counted, encoded
from vesalius.corpus.biomedical.sources import Text, labelled, repositories
from vesalius.run import replacing

PIECES, SHORT, LONG = 4, 40, 400  # of each text longer than 300 words: pieces, and words in them
COST = 75.0  # C of scikit-learn; a tenth or ten times as much changes the held-out accuracy by less than 0.002
EVEN = 0.6  # a source of n texts weighs n ** EVEN


def pieces(text: Text) -> list[str]:
    """The text, and if it is long some pieces of it, the same on every run."""
    words = text.text.split()
    found = [text.text]
    if len(words) > 300:
        chance = random.Random(text.title)
        for _ in range(PIECES):
            size = int(SHORT * (LONG / SHORT) ** chance.random())
            start = chance.randrange(len(words) - min(size, len(words) - 1))
            found.append(" ".join(words[start : start + size]))
    return found


def matrix(texts: Sequence[str]) -> Any:
    """(texts, 2^BITS) sparse float64: what `features.evidence` weighs."""
    from scipy.sparse import csr_matrix

    buckets, values, ends = [], [], [0]
    for text in texts:
        found, counts = counted(encoded(text), BITS)
        value = 1 + np.log(counts)
        buckets.append(found)
        values.append(value / max(1e-9, float(np.sqrt((value**2).sum()))))
        ends.append(ends[-1] + len(found))
    return csr_matrix((np.concatenate(values), np.concatenate(buckets), ends), shape=(len(texts), 1 << BITS))


class Rows:
    """Texts and their pieces as a matrix.

    Attributes:
        x: (rows, 2^BITS) sparse.
        y: (rows,) 1 biomedical, 0 not.
        sources: (rows,) names with the label.
        parts: (rows,) `train`, `validation`, `test`.
        counts: (rows,) what a row counts within its text; those of a text sum to one.
    """

    def __init__(self, texts: Sequence[Text]):
        rows = [(piece, text, 1 / len(found)) for text in texts for found in (pieces(text),) for piece in found]
        self.x = matrix([piece for piece, _, _ in rows])
        self.y = np.array([text.label for _, text, _ in rows])
        self.sources = np.array([f"{text.source} {text.label}" for _, text, _ in rows])
        self.parts = np.array([text.part for _, text, _ in rows])
        self.counts = np.array([count for _, _, count in rows])

    def weights(self, chosen: np.ndarray) -> np.ndarray:
        """(chosen,) of rows: sources nearly even, the two sides even, one a row in the mean."""
        weights, sources = self.counts[chosen].copy(), self.sources[chosen]
        for source in np.unique(sources):
            weights[sources == source] *= weights[sources == source].sum() ** (EVEN - 1)
        for label in (0, 1):
            side = self.y[chosen] == label
            weights[side] /= 2 * weights[side].sum()
        return weights * len(chosen)


def fit(rows: Rows, without: str | None = None) -> dict[str, np.ndarray]:
    """Weights as `biomedical.npz` has them: words, slope, offset, bits.

    Args:
        rows: the parts `train` and `validation` of them are used.
        without: a source, with its label, that is left out.
    """
    from sklearn.linear_model import LogisticRegression

    train, check = (
        np.flatnonzero((rows.parts == part) & (rows.sources != without)) for part in ("train", "validation")
    )
    model = LogisticRegression(C=COST, max_iter=2000, tol=1e-5)
    model.fit(rows.x[train], rows.y[train], sample_weight=rows.weights(train))
    words = model.coef_[0].astype(np.float16)
    platt = LogisticRegression(C=1e6)
    found = (rows.x[check] @ words.astype(np.float32))[:, None]
    platt.fit(found, rows.y[check], sample_weight=rows.weights(check))
    return {
        "words": words, "slope": np.float32(platt.coef_[0, 0]), "offset": np.float32(platt.intercept_[0]),
        "bits": np.int64(BITS),
    }  # fmt: skip


def main() -> None:
    """See the module."""
    from vesalius.corpus.biomedical.evaluation import held_out

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True, help="biomed_vs_general.jsonl.gz")
    parser.add_argument("--repositories", type=Path, required=True, help="folder of checkouts, see the documentation")
    parser.add_argument("--each-source", action="store_true", help="tell how a source fares that was not learnt from")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    given = parser.parse_args()
    texts = [*labelled(given.texts), *repositories(given.repositories)]
    rows = Rows(texts)
    print(f"{len(texts):,} texts, {len(rows.y):,} with their pieces")
    found = fit(rows)
    with replacing(given.out) as part, open(part, "wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **found)
    print(held_out([text for text in texts if text.part == "test"], found))
    for source in np.unique(rows.sources) if given.each_source else ():
        odds = _odds(rows, fit(rows, source))
        chosen = rows.sources == source
        right = np.average((odds > 0)[chosen] == rows.y[chosen], weights=rows.counts[chosen])
        print(f"not learnt from {source:36} right {right:.3f}")


def _odds(rows: Rows, found: dict[str, np.ndarray]) -> np.ndarray:
    return rows.x @ found["words"].astype(np.float32) * found["slope"] + found["offset"]


if __name__ == "__main__":
    main()
