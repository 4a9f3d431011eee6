"""What a text is to the search for duplicates: its normal form, hashes of its word 5-grams, its MinHash band keys.

Knows characters, words and hashes of one document at a time, and so runs wherever documents are; leaves finding pairs
to `clusters.py`. All is fixed by constants: the same text has the same numbers on every machine and in every process.

The normal form is NFC, lower case, words (`\\w` and combining marks) with one space between; where a script writes no
spaces (Han, kana, Thai, …) each character is a word. A regular expression that says this takes five times as long.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import NamedTuple

import numpy as np

from vesalius.corpus.document import Document
from vesalius.errors import VesaliusError
from vesalius.media.kernels import njit

GAP, WORD, ALONE, NOTHING = range(4)  # what a character is
_END = 0x32400  # of the characters that Unicode has given out; what is beyond (private use, tags) separates words
_WITHOUT_SPACES = (  # Thai, Lao; Burmese; Khmer; kana; Han and its extensions
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3005, 0x3007), (0x3040, 0x30FF), (0x31F0, 0x31FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF),
)  # fmt: skip
_FNV, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_AFTER = np.int64(2**32)  # what is greater than any gram
_A, _B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True)
class Scheme:
    """How similar two texts must be, and how hard they are looked for.

    FineWeb's 14 bands of 8 rows find 0.92 of the pairs at a similarity of 0.8; 32 bands find 0.997.

    Attributes:
        threshold: Jaccard similarity of the sets of word n-grams from which two texts are duplicates, above 0 to 1.
        words: n; a text with fewer words is one gram.
        bands, rows: two texts are compared where `rows` MinHash values agree in one of `bands`; 0 bands: exact only.
        most: grams kept of a text (4 bytes each), the smallest hashes; the similarity of longer texts is estimated
            from these, with a standard error of 0.003 at 16,384.

    Raises:
        VesaliusError: at values out of range, or where bands and rows find under 0.95 of the pairs at the threshold.
    """

    threshold: float = 0.8
    words: int = 5
    bands: int = 32
    rows: int = 8
    most: int = 16_384

    def __post_init__(self):
        if not 0 < self.threshold <= 1 or self.words < 1 or self.bands < 0 or self.rows < 1 or self.most < 1:
            raise VesaliusError(f"{self} is out of range", remedy="give 0 < threshold <= 1, and counts of 1 or more")
        if self.bands and self.found(self.threshold) < 0.95:
            problem = f"{self.bands} bands of {self.rows} rows find {self.found(self.threshold):.2f} of the pairs"
            raise VesaliusError(f"{problem} at {self.threshold}", remedy="give more bands or fewer rows")

    def found(self, similarity: float) -> float:
        """The share of pairs of a similarity that share a band, and so are compared."""
        return 1 - (1 - similarity**self.rows) ** self.bands


class Signed(NamedTuple):
    """A batch of documents, as `clusters.py` needs them; a tuple of arrays that can be kept or sent as it is.

    Attributes:
        ids: of the documents.
        dates: as far as they are known, ISO 8601, else "".
        words: (documents,) int64, words in each; documents without words are nobody's duplicate.
        digests: (documents, 2) uint64, the 128-bit hash of the normal form.
        bands: (documents, bands) uint64.
        ends: (documents,) int64, where each document's grams end in `grams`.
        grams: (grams,) uint32, sorted and distinct for each document.
    """

    ids: list[str]
    dates: list[str]
    words: np.ndarray
    digests: np.ndarray
    bands: np.ndarray
    ends: np.ndarray
    grams: np.ndarray


def sign(documents: Iterable[Document], scheme: Scheme | None = None, *, batch: int = 1000) -> Iterator[Signed]:
    """Documents in, what the search needs out, in batches and in order.

    Args:
        documents: of a shard or of all; their `text`, `id` and the fact `date` are read.
        scheme: must be the one that `duplicates` is given.
        batch: documents in each batch.
    """
    scheme = scheme or Scheme()
    rest = iter(documents)
    while some := list(islice(rest, batch)):
        forms = [normal_form(document.text) for document in some]
        counted, grams = [], []
        for form in forms:
            found, words = _grams(_codes(form), scheme.words)
            counted.append(words)
            grams.append(_distinct(found)[: scheme.most] if scheme.bands else found[:0])
        a, b = _permutations(scheme.bands * scheme.rows)
        bands = np.zeros((len(some), scheme.bands), np.uint64)
        for row, own in zip(bands, grams, strict=True):
            if own.size and scheme.bands:
                _band_keys(minhash(own, a, b), row)
        yield Signed(
            ids=[document.id for document in some],
            dates=[str(document.facts.get("date") or "") for document in some],
            words=np.array(counted, np.int64),
            digests=np.frombuffer(b"".join(map(digest, forms)), "<u8").reshape(-1, 2),
            bands=bands,
            ends=np.cumsum([own.size for own in grams], dtype=np.int64),
            grams=np.concatenate(grams),
        )


def normal_form(text: str) -> str:
    """What is left of a text when case, punctuation and spacing are taken away; see the module."""
    codes = _codes(unicodedata.normalize("NFC", text))
    out = np.empty(2 * codes.size, np.uint32)
    return out[: _clean(codes, *_characters(), out)].tobytes().decode("utf-32-le", "surrogatepass")


def digest(form: str) -> bytes:
    """The 128-bit hash (BLAKE2b) of a normal form, 16 bytes."""
    return hashlib.blake2b(form.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def key(*names: str) -> int:
    """A 64-bit hash of names."""
    joined = "\0".join(names).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(joined, digest_size=8).digest(), "little")


def gram_hashes(text: str, words: int = 5) -> np.ndarray:
    """(distinct word n-grams,) uint32, sorted: hashes of a text's n-grams; of all its words where it has fewer."""
    return _distinct(_grams(_codes(normal_form(text)), words)[0])


def mix(numbers: np.ndarray) -> np.ndarray:
    """Uint64 to uint64, one to one, each bit of the result depending on all (the finaliser of SplitMix64)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _A
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _B
    return numbers ^ (numbers >> np.uint64(31))


def _distinct(numbers: np.ndarray) -> np.ndarray:
    """As np.unique, which takes four times as long for a thousand."""
    numbers.sort()
    return numbers[np.flatnonzero(np.append(True, numbers[1:] != numbers[:-1])[: numbers.size])]


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


@cache
def _characters() -> tuple[np.ndarray, np.ndarray]:
    """What each character is, and its lower case."""
    kinds, lower = np.zeros(_END, np.uint8), np.arange(_END, dtype=np.uint32)
    for code in range(_END):
        character = chr(code)
        if character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M":
            kinds[code] = WORD
            lower[code] = ord(character.lower()[0])
        elif unicodedata.category(character) == "Cf":  # soft hyphens, joiners, marks of direction: nobody sees them
            kinds[code] = NOTHING
    for first, last in _WITHOUT_SPACES:
        kinds[first : last + 1][kinds[first : last + 1] == WORD] = ALONE
    return kinds, lower


@cache
def _permutations(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Odd factors and summands of the permutations h → a·h + b modulo 2³²."""
    drawn = mix(np.arange(1, 2 * number + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
    return drawn[0::2].astype(np.uint32) | np.uint32(1), drawn[1::2].astype(np.uint32)


@njit(cache=True, nogil=True)
def _clean(codes, kinds, lower, out):
    at, gap, before = 0, False, GAP
    for code in codes:
        kind = kinds[code] if code < kinds.size else GAP
        if kind == GAP:
            gap = True
        elif kind != NOTHING:
            if at and (gap or kind == ALONE or before == ALONE):
                out[at] = 32
                at += 1
            out[at] = lower[code]
            at += 1
            gap, before = False, kind
    return at


@njit(cache=True, nogil=True)
def _mixed(number):
    number = (number ^ (number >> np.uint64(30))) * _A
    number = (number ^ (number >> np.uint64(27))) * _B
    return number ^ (number >> np.uint64(31))


@njit(cache=True, nogil=True)
def _grams(codes, length):
    """Hashes of a normal form's n-grams in order, and its words."""
    words = np.empty(codes.size // 2 + 1, np.uint64)
    count, state = 0, _FNV
    for i in range(codes.size + 1):
        if i < codes.size and codes[i] != 32:
            state = (state ^ np.uint64(codes[i])) * _PRIME
        elif codes.size:
            words[count] = _mixed(state)
            count += 1
            state = _FNV
    grams = np.empty(max(count - length + 1, min(count, 1)), np.uint32)
    for i in range(grams.size):
        state = _FNV
        for j in range(i, min(i + length, count)):
            state = (state ^ words[j]) * _A
            state ^= state >> np.uint64(32)
        grams[i] = np.uint32(_mixed(state) >> np.uint64(32))
    return grams, count


@njit(cache=True, nogil=True)
def minhash(grams, a, b):
    """(permutations,) uint32: the smallest of the grams' hashes under each.

    Multiplication modulo 2³² of hashes that are already random: eight lanes of AVX2 at once, 8 µs for 500 grams under
    256 permutations. Measured without bias and with the binomial's spread, for 30 grams as for 3,000. 64-bit factors
    took five times as long for the same; one-permutation hashing with densification an eighth, but has a spread 1.15
    times as wide in short texts, and reading the words takes longer than either.
    """
    lowest = np.empty(a.size, np.uint32)
    for p in range(a.size):
        low, factor, summand = np.uint32(0xFFFFFFFF), a[p], b[p]
        for i in range(grams.size):
            low = min(low, np.uint32(grams[i] * factor + summand))
        lowest[p] = low
    return lowest


@njit(cache=True, nogil=True)
def _band_keys(signature, out):
    rows = signature.size // out.size
    for band in range(out.size):
        state = _FNV + np.uint64(band)  # so that a key says which band it is of
        for row in range(band * rows, (band + 1) * rows):
            state = (state ^ np.uint64(signature[row])) * _A
            state ^= state >> np.uint64(32)
        out[band] = _mixed(state)


@njit(cache=True, nogil=True)
def similarity(one, other, most):
    """Jaccard similarity of two texts' grams, sorted and distinct.

    Exact where both have fewer than `most`; of one that was cut only what lies below its largest is known, so both are
    looked at up to there.
    """
    last_one = np.int64(one[-1]) if one.size >= most else _AFTER
    last_other = np.int64(other[-1]) if other.size >= most else _AFTER
    limit = min(last_one, last_other)
    i, j, common, distinct = 0, 0, 0, 0
    while i < one.size or j < other.size:
        left = np.int64(one[i]) if i < one.size else _AFTER
        right = np.int64(other[j]) if j < other.size else _AFTER
        if min(left, right) > limit:
            break
        distinct += 1
        if left == right:
            common += 1
        i += int(left <= right)
        j += int(right <= left)
    return common / distinct if distinct else 0.0
