import io
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vesalius.corpus.dedup import (
    ImageHashes,
    count_images,
    frequent,
    hash_image,
    image_key,
    near_images,
    repeated_images,
)
from vesalius.corpus.dedup.images import _masks
from vesalius.errors import VesaliusError

# From: python -c "import imagehash, sys; from PIL import Image; print(imagehash.phash(Image.open(sys.argv[1])))" FILE
# (imagehash 4.3.2, Pillow 13.0.0, scipy 1.17.1)
BY_IMAGEHASH = {
    "nih_chestxray14/images/00007007_004.jpg": "812ac61e4b5f5c4f",
    "nih_chestxray14/images/00004490_008.jpg": "887e061e5b687ce9",
    "nih_chestxray14/images/00003461_000.jpg": "893b861e190b1f5f",
    "vqa_rad/images/synpic27601.jpg": "85c97f163c6a6169",
    "vqa_rad/images/synpic51426.jpg": "82b73bb4349d3166",
}


def picture(seed: int = 0, size: tuple[int, int] = (300, 200)) -> Image.Image:
    """Blobs of colour."""
    draw = np.random.default_rng(seed)
    small = Image.fromarray(draw.integers(0, 256, (9, 9, 3), np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, form: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def test_the_perceptual_hash_is_that_of_imagehash_bit_for_bit(shared_data: Path):
    for name, expected in BY_IMAGEHASH.items():
        path = shared_data / "images" / name
        if not path.exists():
            pytest.skip(f"{path} is not there")
        assert f"{hash_image(path.read_bytes()).perceptual:016x}" == expected


def test_the_perceptual_hash_of_a_made_up_image_is_that_of_imagehash():
    x, y = np.meshgrid(np.arange(160), np.arange(120))
    image = Image.fromarray((127 + 60 * np.sin(x / 17) + 60 * np.cos(y / 11 + x / 40)).astype(np.uint8))
    assert f"{hash_image(encoded(image)).perceptual:016x}" == MADE_UP


def test_scaled_compressed_and_brightened_images_are_near_and_others_far():
    original = hash_image(encoded(picture())).perceptual
    bright = picture().point(lambda value: min(255, int(value * 1.1)))
    for variant in (encoded(picture(), "JPEG", quality=40), encoded(picture(size=(150, 100))), encoded(bright)):
        other = hash_image(variant).perceptual
        assert (original ^ other).bit_count() <= 4
    others = [hash_image(encoded(picture(seed))).perceptual for seed in range(1, 50)]
    assert min((original ^ other).bit_count() for other in others) > 12


def test_a_flat_image_has_no_perceptual_hash_but_one_of_its_bytes():
    flat = hash_image(encoded(Image.new("RGB", (50, 50), "white")))
    assert flat.perceptual is None
    assert len(flat.digest) == 32
    assert (flat.width, flat.height) == (50, 50)


def test_what_is_no_image_is_an_error_of_the_users():
    for data in (b"", b"<html>", encoded(picture())[:500]):
        with pytest.raises(VesaliusError, match="no readable image"):
            hash_image(data)


def test_of_a_documents_images_those_that_show_what_one_before_shows_are_repeated():
    plain, small = hash_image(encoded(picture())), hash_image(encoded(picture(), "JPEG", quality=40))
    flat, other = hash_image(encoded(Image.new("L", (9, 9)))), hash_image(encoded(picture(3)))
    white = hash_image(encoded(Image.new("L", (9, 9), 255)))
    assert repeated_images([plain, other, small, flat, plain, white, flat]) == [
        False,
        False,
        True,
        False,
        True,
        False,
        True,
    ]
    assert repeated_images([]) == []


@pytest.mark.parametrize("distance", [0, 1, 3, 4, 8])
def test_near_images_are_grouped_as_comparing_all_pairs_would(distance):
    draw = random.Random(distance)
    hashes = [draw.getrandbits(64) for _ in range(150)]
    for _ in range(250):
        near = draw.choice(hashes)
        for bit in draw.sample(range(64), draw.randint(0, distance + 2)):
            near ^= 1 << bit
        hashes.append(near)
    draw.shuffle(hashes)
    group = list(range(len(hashes)))
    for i, one in enumerate(hashes):
        for j, other in enumerate(hashes[:i]):
            if (one ^ other).bit_count() <= distance and group[i] != group[j]:
                gone, stays = group[i], group[j]
                group = [stays if number == gone else number for number in group]
    smallest = {number: min(h for h, g in zip(hashes, group, strict=True) if g == number) for number in set(group)}
    assert near_images(np.array(hashes, np.uint64), distance).tolist() == [smallest[number] for number in group]


@pytest.mark.parametrize("hashes", [10, 10**6, 10**9])
@pytest.mark.parametrize("distance", [1, 4, 6])
def test_any_two_hashes_within_the_distance_are_equal_under_one_mask(distance, hashes):
    masks = _masks(distance, hashes)
    assert len(masks) <= 128
    draw = random.Random(0)
    for _ in range(500):
        change = sum(1 << bit for bit in draw.sample(range(64), distance))
        assert any(change & mask == 0 for mask in masks)


def test_no_hashes_have_no_groups_and_an_absurd_distance_is_refused():
    assert near_images(np.array([], np.uint64)).tolist() == []
    with pytest.raises(VesaliusError, match="out of range"):
        near_images(np.array([1], np.uint64), 40)


def test_the_documents_of_an_image_are_counted_over_shards(tmp_path):
    logo, other = (hash_image(encoded(picture(seed))).digest for seed in range(2))
    shards = [[[logo, other], [logo, logo]], [[logo], []]]
    counts = frequent(map(count_images, shards), tmp_path)
    assert counts.of(map(image_key, [logo, other])).tolist() == [3, 1]


def test_hashes_are_plain_values():
    assert hash_image(encoded(picture())) == ImageHashes(*hash_image(encoded(picture())))


MADE_UP = "a56b3f6ac095c195"
