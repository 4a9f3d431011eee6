"""What a text looks like to the classifier: hashed words, word pairs, beginnings and ends of words.

Knows bytes and buckets; leaves the weights to `__init__.py` and how they are found to `training.py`.
"""

import numpy as np

from vesalius.media.kernels import njit

BITS = 18  # 2^18 buckets: 0.5 MB of float16
_EDGE = 5  # letters of a word's beginning and end: "hepat…", "…ectomy" are told in words never seen


def encoded(text: str) -> np.ndarray:
    """(bytes,) uint8 of UTF-8, in small letters; surrogates and the like become question marks."""
    return np.frombuffer(text.lower().encode("utf-8", "replace"), np.uint8)


@njit(cache=True, nogil=True)
def counted(data, bits):
    """Buckets and how often each was hit.

    A word is a run of letters (ASCII, or any character beyond Latin-1's signs and general punctuation), two of them
    at least; two words are a pair only where nothing but a space or a hyphen is between them.

    Args:
        data: (bytes,) uint8, from `encoded`.
        bits: log2 of the number of buckets.

    Returns:
        (features,) int64 buckets in order of first appearance, (features,) float64 counts.
    """
    mask = np.uint64((1 << bits) - 1)
    prime = np.uint64(1099511628211)
    seed = np.uint64(14695981039346656037)
    seen = np.zeros(1 << bits, np.int32)
    found = np.empty(min(1 << bits, 4 * len(data) + 4), np.int64)
    hits = np.empty(4, np.uint64)
    size = 0
    n = len(data)
    at = 0
    before = np.uint64(0)
    while at < n:
        start = at
        word = seed
        while at < n:
            c = data[at]
            if c >= 128:
                if c == 0xE2 and at + 1 < n and data[at + 1] <= 0x81:
                    break
                if c == 0xC2:
                    break
            elif c < 97 or c > 122:
                break
            word = (word ^ np.uint64(c)) * prime
            at += 1
        length = at - start
        if length == 0:
            c = data[at]
            if c != 32 and c != 45:
                before = np.uint64(0)
            at += 3 if c == 0xE2 else 2 if c == 0xC2 else 1
            continue
        if length == 1:  # a letter alone says nothing
            before = np.uint64(0)
            continue
        k = 1
        hits[0] = word
        if before != 0:
            hits[k] = (before * np.uint64(0x9E3779B97F4A7C15)) ^ word
            k += 1
        if length > 6:
            edge = seed ^ np.uint64(1)
            for i in range(start, start + _EDGE):
                edge = (edge ^ np.uint64(data[i])) * prime
            hits[k] = edge
            edge = seed ^ np.uint64(2)
            for i in range(at - _EDGE, at):
                edge = (edge ^ np.uint64(data[i])) * prime
            hits[k + 1] = edge
            k += 2
        for j in range(k):
            h = hits[j] ^ (hits[j] >> np.uint64(29))
            h *= np.uint64(0xBF58476D1CE4E5B9)
            bucket = np.int64((h ^ (h >> np.uint64(32))) & mask)
            if seen[bucket] == 0:
                found[size] = bucket
                size += 1
            seen[bucket] += 1
        before = word
    found = found[:size].copy()
    return found, seen[found].astype(np.float64)


@njit(cache=True, nogil=True)
def evidence(data, weights, bits):
    """The weighed mean of a text's features, each counted 1 + log(hits), the whole of length one (L2).

    Returns:
        float; 0 for a text without words.
    """
    buckets, counts = counted(data, bits)
    total, square = 0.0, 0.0
    for i in range(len(buckets)):
        value = 1.0 + np.log(counts[i])
        total += value * weights[buckets[i]]
        square += value * value
    return total / np.sqrt(square) if square > 0 else 0.0
