"""Images that are the same, byte for byte or to the eye.

Knows an image's bytes and 64-bit perceptual hashes; leaves fetching them, and where they stand, to others.
"""

import hashlib
import io
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise
from math import comb
from typing import NamedTuple

import numpy as np

from vesalius.corpus.dedup.counts import Counts, count
from vesalius.corpus.dedup.union import flatten, link
from vesalius.errors import VesaliusError
from vesalius.media.kernels import njit

_SIDE = 8  # frequencies in each direction: 64 bits
_FLAT = 4  # grey levels; an image that has no more between its darkest and lightest has no hash, only noise
_PASSES = 128


class ImageHashes(NamedTuple):
    """What an image is recognised by.

    Attributes:
        digest: 128-bit hash (BLAKE2b) of the bytes, 32 hexadecimal digits.
        perceptual: see `perceptual_hash`.
        width, height: pixels.
    """

    digest: str
    perceptual: int | None
    width: int
    height: int


def hash_image(data: bytes) -> ImageHashes:
    """The hashes of an encoded image (JPEG, PNG, …).

    Raises:
        VesaliusError: code `unreadable`, no image, a damaged or a gigantic one.
    """
    from PIL import Image

    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return ImageHashes(digest, perceptual_hash(image), *image.size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise VesaliusError(f"no readable image ({error})", remedy="fetch it again", code="unreadable") from None


def perceptual_hash(image) -> int | None:
    """The 64-bit DCT hash of a PIL image; few bits change when it is scaled, compressed or slightly recoloured.

    In grey, 32 × 32 pixels (Lanczos); bit by bit, row by row, from the highest: is the cosine transform's coefficient
    at this one of the 8 × 8 lowest frequencies above their median. So does `imagehash.phash`, whose hexadecimal digits
    are `f"{…:016x}"`. None where the image shows nothing: it is flat, and its bits would be rounding errors.
    """
    from PIL import Image
    from scipy.fft import dct

    pixels = np.asarray(image.convert("L").resize((4 * _SIDE, 4 * _SIDE), Image.Resampling.LANCZOS), np.float64)
    if np.ptp(pixels) <= _FLAT:
        return None
    low = dct(dct(pixels, axis=0), axis=1)[:_SIDE, :_SIDE]
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes(), "big")


def repeated_images(images: Sequence[ImageHashes], distance: int = 4) -> list[bool]:
    """Which images of one document show what one before them shows.

    Args:
        images: in order.
        distance: bits of the perceptual hash in which two may differ; images without one are compared by their bytes.
    """
    answer: list[bool] = []
    for i, image in enumerate(images):
        before = images[:i]
        same = any(other.digest == image.digest for other in before)
        answer.append(same or any(_near(image.perceptual, other.perceptual, distance) for other in before))
    return answer


def _near(one: int | None, other: int | None, distance: int) -> bool:
    return one is not None and other is not None and (one ^ other).bit_count() <= distance


def count_images(documents: Iterable[Iterable[str]]) -> Counts:
    """In how many of a shard's documents each image occurs, each document given as its images' digests.

    Put the shards together with `frequent(shards, folder, least=…)`: what very many documents have is a logo. Ask with
    `counts.of(map(image_key, digests))`.
    """
    return count(map(image_key, digests) for digests in documents)


def image_key(digest: str) -> int:
    """The 64-bit key in `Counts` of a digest."""
    return int(digest[:16], 16)


def near_images(hashes: np.ndarray, distance: int = 4) -> np.ndarray:
    """Groups perceptual hashes: two in one group are joined by a chain of hashes at most `distance` bits apart.

    All pairs within the distance are found: of 64 bits cut into parts, as many parts as may be gone are left out in
    each possible way, and hashes that are equal in the rest are compared bit by bit. More parts mean more ways but
    fewer hashes that are equal by chance; how many follows from the number of hashes.

    Args:
        hashes: (images,) uint64, in any order; 32 bytes of memory for each distinct one.
        distance: bits, 0 to 16.

    Returns:
        (images,) uint64: the smallest hash of each one's group.
    """
    if not 0 <= distance <= 16:
        raise VesaliusError(f"a distance of {distance} bits is out of range", remedy="give 0 to 16")
    distinct, places = np.unique(np.asarray(hashes, np.uint64), return_inverse=True)
    parents = np.arange(distinct.size)
    for mask in _masks(distance, distinct.size):
        masked = distinct & np.uint64(mask)
        order = np.argsort(masked)
        _link_runs(masked[order], order, distinct, distance, parents)
    flatten(parents)
    return distinct[parents][places]


def _masks(distance: int, hashes: int) -> list[int]:
    """Bits to compare: in one of them at least, any two hashes within the distance are equal."""
    if not distance:
        return []
    wanted = np.log2(max(hashes, 2)) + 2  # bits, so that few are equal by chance
    parts = distance + 1
    while 64 * (parts - distance) / parts < wanted and comb(parts + 1, distance) <= _PASSES:
        parts += 1
    bounds = np.linspace(0, 64, parts + 1).astype(int)
    pieces = [(1 << int(stop)) - (1 << int(start)) for start, stop in pairwise(bounds)]
    return [sum(kept) for kept in combinations(pieces, parts - distance)]


@njit(cache=True, nogil=True)
def _bits(number):
    number -= (number >> np.uint64(1)) & np.uint64(0x5555555555555555)
    number = (number & np.uint64(0x3333333333333333)) + ((number >> np.uint64(2)) & np.uint64(0x3333333333333333))
    number = (number + (number >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (number * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit(cache=True, nogil=True)
def _link_runs(masked, order, hashes, distance, parents):
    start = 0
    for stop in range(1, masked.size + 1):
        if stop < masked.size and masked[stop] == masked[start]:
            continue
        for i in range(start, stop):
            for j in range(i + 1, stop):
                if _bits(hashes[order[i]] ^ hashes[order[j]]) <= distance:
                    link(parents, order[i], order[j])
        start = stop
