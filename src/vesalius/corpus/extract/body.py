"""Which blocks are the page's own: a small network votes on each, and the cheapest story of all votes is told.

The weights lie beside this file, made by the steps that `training.py` has. In a journal's article its sections have a
say, too: the pages that the network learned from are news most of all, where text between figures is not the text.
Leaves what a block looks like to `features.py`, and what sections there are to `sections.py`.
"""

import re
from functools import cache
from pathlib import Path

import numpy as np

from vesalius.corpus.extract.features import features
from vesalius.corpus.extract.scan import Blocks, Elements
from vesalius.corpus.extract.sections import BACK, leaning
from vesalius.corpus.extract.tags import TABLE, TITLE, WORDS
from vesalius.media.kernels import njit

BIAS = 0.5  # a vote must pass it: what surrounds a text does more harm in it than a lost line
SWITCH = 1.0  # what it costs to go into the body, or out of it
_CELLS, _CELL = 4, 60  # a table has so many and more, of so many bytes and fewer: else it makes a layout
_SURE = 6.0  # votes count no more than this
_SENTENCE = re.compile(rb"""[.!?]["')\]]?(?:\s|$)|\xe3\x80\x82""")
_PARAGRAPH, _LINKED, _NEAR = 150, 5, -2.0  # bytes, a share of which in links makes it none; a vote
_REFERENCES = np.uint32(1 << next(bit for bit, words in enumerate(WORDS) if "referenc" in words))


def body(blocks: Blocks, elements: Elements) -> np.ndarray:
    """(blocks,) bool."""
    if not len(blocks.start):
        return np.zeros(0, bool)
    votes = votes_of(features(blocks, elements), _network()) - BIAS
    own = elements.kind[blocks.element] != TITLE
    said = leaning(blocks)
    if said is not None:
        said[_held_by(np.flatnonzero(elements.bits & _REFERENCES), elements, len(said))] = BACK
        # A long paragraph is more of a witness than a line.
        spaces = np.concatenate([[0], np.cumsum(blocks.text <= 32)])
        words = spaces[blocks.end] - spaces[blocks.start] + 1
        votes = (votes + said) * np.clip(np.sqrt(words / 20), 1, 3)
        own &= ~np.isnan(said)  # they are out, and no witnesses against what stands around them
        votes = np.nan_to_num(votes)
    _tables_as_one(votes, blocks, elements)
    found = settle(votes, SWITCH) & own
    return found if found.any() else _least(votes, blocks, own)


def _least(votes: np.ndarray, blocks: Blocks, own: np.ndarray) -> np.ndarray:
    """Of a page whose text convinces nobody: what comes nearest, if that is a paragraph and near enough.

    A single paragraph has nobody who votes with it.
    """
    sizes = blocks.end - blocks.start
    long = np.flatnonzero(own & (sizes >= _PARAGRAPH) & (_LINKED * blocks.links <= sizes) & (votes >= _NEAR))
    best = max(
        (votes[b] for b in long if _SENTENCE.search(blocks.text[blocks.start[b] : blocks.end[b]].tobytes())),
        default=-np.inf,
    )
    if best < _NEAR:
        return np.zeros(len(votes), bool)
    return settle(votes + (2 * SWITCH + 0.1 - min(best, 2 * SWITCH)), SWITCH) & own


def _held_by(those: np.ndarray, elements: Elements, count: int) -> np.ndarray:
    """(count,) bool: blocks that some elements hold, those apart that hold half of the page."""
    first, after = elements.first[those], elements.after[those]
    small = 2 * (after - first) < count
    opened = np.bincount(first[small], minlength=count + 1) - np.bincount(after[small], minlength=count + 1)
    return np.cumsum(opened[:count]) > 0


def _tables_as_one(votes: np.ndarray, blocks: Blocks, elements: Elements) -> None:
    """A table of data is one witness, not one a cell: it goes with the text that it stands in.

    One that holds another makes a layout.
    """
    tables = np.flatnonzero(elements.kind == TABLE)
    first, after = elements.first[tables], elements.after[tables]
    innermost = np.append(first[1:] >= after[:-1], True)[: len(tables)]
    sizes = blocks.end - blocks.start
    for a, b in zip(first[innermost].tolist(), after[innermost].tolist(), strict=True):
        own = sizes[a:b]
        if len(own) >= _CELLS and np.median(own) <= _CELL and 2 * blocks.links[a:b].sum() <= own.sum():
            votes[a:b] = votes[a:b].mean() / len(own)


def votes_of(rows: np.ndarray, network: dict[str, np.ndarray]) -> np.ndarray:
    """(blocks, COLUMNS) of features -> (blocks,) log odds; the network's parts are named as in `body.npz`."""
    rows = np.clip((rows - network["mean"]) / network["deviation"], -5, 5)
    return np.maximum(rows @ network["w1"] + network["b1"], 0) @ network["w2"] + network["b2"]


@cache
def _network() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).with_name("body.npz")) as stored:
        return dict(stored)


@njit(cache=True, nogil=True)
def settle(given, switch):
    """The sequence of in and out with the most votes, each change of side costing `switch` (Viterbi's algorithm)."""
    n = len(given)
    stayed = np.zeros((n, 2), np.bool_)
    out, into = 0.0, -switch
    for b in range(n):
        vote = min(max(given[b], -_SURE), _SURE)
        stayed[b, 0], stayed[b, 1] = out >= into - switch, into >= out - switch
        out, into = max(out, into - switch), max(into, out - switch) + vote
    found = np.zeros(n, np.bool_)
    side = into > out
    for b in range(n - 1, -1, -1):
        found[b] = side
        side = side == stayed[b, 1 if side else 0]
    return found
