"""Bytes to facts or reasons; whatever the bytes are, in bounded time and memory."""

import io
import random
import struct
import time
import zlib

import numpy as np
import pytest
from image_server import encoded
from PIL import Image

from vesalius.corpus.dedup import hash_image, repeated_images
from vesalius.corpus.images import Limits, check, picture, too_frequent, too_unsafe
from vesalius.corpus.images.kinds import kind_of


def saved(image: Image.Image, form: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_of(width: int, height: int, data: bytes, *more: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tiff_of(width: int, height: int, **tags: int) -> bytes:
    entries = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 200, 277: 1, 278: height, 279: 100}
    entries.update({int(tag.lstrip("t")): value for tag, value in tags.items()})
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4) + bytes(300)


FORMS = ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"]


@pytest.mark.parametrize("form", FORMS)
def test_what_is_kept(form):
    data = encoded(3, form)
    checked = check(data)
    assert (checked.reason, checked.kind, checked.width, checked.height) == ("", form.lower(), 200, 160)
    hashes = hash_image(data)
    assert checked.phash == f"{hashes.perceptual:016x}" and checked.hashes().perceptual == hashes.perceptual
    assert not checked.animated and set(checked.facts()) == {"sha256", "kind", "animated", "phash"}
    shown = picture(data, 64)
    assert shown.mode == "RGB" and max(shown.size) == 64 and picture(data).size == (200, 160)


def test_the_same_image_in_other_forms_is_seen_to_be_the_same():
    hashes = [check(encoded(4, form)).hashes() for form in ("PNG", "JPEG", "WEBP")] + [check(encoded(5)).hashes()]
    assert repeated_images(hashes) == [False, True, True, False]


@pytest.mark.parametrize("form", FORMS)
def test_a_truncated_image_is_broken_or_has_all_its_pixels(form):
    data = encoded(6, form)
    for share in (0.999, 0.9, 0.5, 0.1):
        cut = data[: int(len(data) * share)]
        checked = check(cut)
        if not checked.reason:
            assert (np.asarray(picture(cut)) == np.asarray(picture(data))).all()
        else:
            assert checked.reason == "broken", checked
    assert check(data[: len(data) // 2]).reason == "broken"


@pytest.mark.parametrize(
    ("size", "reason"),
    [((149, 300), "tiny"), ((150, 150), ""), ((600, 150), ""), ((601, 150), "aspect"), ((150, 601), "aspect")],
)
def test_sizes(size, reason):
    checked = check(saved(Image.new("RGB", size), "PNG"))
    assert (checked.reason, checked.width, checked.height) == (reason, *size) and checked.phash is None
    assert bool(checked.error) == bool(reason)
    assert not check(saved(Image.new("RGB", size), "PNG"), Limits(min_side=10, max_aspect=10)).reason


GREY = zlib.compress(bytes(1 << 20))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "broken"),
        (b"\x89PNG\r\n\x1a\n", "broken"),
        (b"\xff\xd8\xff", "broken"),
        (b"GIF89a", "broken"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' width='9'/>", "type"),
        (b"<html><body>", "type"),
        (b"%PDF-1.7", "type"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "type"),
        (b"8BPS" + bytes(99), "type"),
        (b"\0" * 999, "type"),
        (png_of(100_000, 100_000, GREY), "bomb"),
        (png_of(1 << 30, 1 << 30, GREY), "bomb"),
        (png_of(0, 0, GREY), "broken"),
        (png_of(8000, 8000, GREY), "broken"),
        (
            png_of(300, 300, zlib.compress(bytes(901 * 300)), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 28)))),
            "broken",
        ),
        (png_of(300, 300, zlib.compress(bytes(1 << 28))), ""),
        (b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b"\x2c" + bytes(99), "bomb"),
        (tiff_of(100_000, 100_000), "bomb"),
        (tiff_of(300, 300, t322=100_000, t323=100_000, t324=200, t325=100), "bomb"),
        (saved(Image.new("RGB", (300, 300)), "JPEG") + b"\xff\xda\0\x08\x01\x01\0\0\0\0" * 200, "bomb"),
        (b"RIFF\xff\xff\xff\xffWEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff" * 6 + bytes(50), "bomb"),
        (b"BM" + bytes(12) + struct.pack("<IiiHHIIiiII", 40, 1 << 20, 1 << 20, 1, 24, 0, 0, 0, 0, 0, 0), "bomb"),
    ],
)
def test_hostile_bytes_have_a_reason_and_take_no_time(data, reason):
    begin = time.perf_counter()
    checked = check(data)
    assert time.perf_counter() - begin < 3
    # Pillow may refuse what is odd before it is too large; what it reads is never kept.
    assert checked.reason == reason or (reason == "bomb" and checked.reason == "broken"), checked
    if reason:
        with pytest.raises(ValueError):
            picture(data)


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 50}, {"lossless": True, "exif": b"Exif\0\0MM\0*"}])
def test_the_canvas_of_a_webp_is_known_before_it_is_opened(options):
    data = saved(Image.new("RGB", (301, 203), "red"), "WEBP", **options)
    assert check(data, Limits(max_pixels=301 * 203)).reason == ""
    dropped = check(data, Limits(max_pixels=301 * 203 - 1))
    assert dropped.reason == "bomb" and dropped.width is None


def test_a_gif_of_many_frames_is_read_to_its_first():
    frames = [Image.new("P", (600, 600), i % 255) for i in range(100)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    begin = time.perf_counter()
    checked = check(data)
    assert checked.animated and not checked.reason and time.perf_counter() - begin < 1


@pytest.mark.parametrize("form", FORMS)
def test_damaged_bytes_never_raise(form):
    chance = random.Random(form)
    data = bytearray(encoded(7, form))
    until = time.perf_counter() + 0.4
    while time.perf_counter() < until:
        bad = bytearray(data)
        for _ in range(chance.randrange(1, 20)):
            bad[chance.randrange(min(len(bad), chance.choice((64, 10**9))))] = chance.randrange(256)
        assert check(bytes(bad)).reason in ("", "broken", "type", "bomb", "tiny", "aspect")


def test_sixteen_bits_of_an_x_ray_are_seen():
    values = (np.add.outer(np.arange(200), np.arange(300)) * 60 + 2000).astype(np.uint16)
    data = saved(Image.fromarray(values), "PNG")
    checked = check(data)
    assert checked.mode.startswith("I") and checked.phash
    shown = np.asarray(picture(data))
    assert shown.min() == 0 and shown.max() == 255 and len(np.unique(shown)) > 200


def test_pictures_are_upright_over_white_and_in_colour():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert picture(saved(Image.new("RGB", (300, 200)), "JPEG", exif=exif)).size == (200, 300)
    assert picture(saved(Image.new("RGBA", (200, 200), (9, 9, 9, 0)), "PNG")).getpixel((5, 5)) == (255, 255, 255)
    assert picture(saved(Image.new("CMYK", (200, 200)), "JPEG")).mode == "RGB"


def test_limits_of_what_is_known_elsewhere():
    assert [too_frequent(count) for count in (1, 10, 11)] == ["", "", "frequent"]
    assert [too_unsafe(score) for score in (None, 0.84, 0.85)] == ["", "", "unsafe"]
    assert too_unsafe(1.0, Limits(unsafe=None)) == ""


def test_figures_of_articles_and_clinical_images_are_kept(shared_data):
    figures = sorted((shared_data / "corpus" / "jats").rglob("*.jpg"))[:20]
    reasons = [check(path.read_bytes()).reason for path in figures]
    assert len(figures) >= 10 and not any(reasons)
    formulas = sorted((shared_data / "corpus" / "jats").rglob("e0*.png"))
    assert all(check(path.read_bytes()).reason in ("tiny", "aspect") for path in formulas)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x1cftypavif", "avif"),
        (b"\0\0\0\x1cftypheic", "heic"),
        (b"\0\0\0\x1cftypisom", "mp4"),
        (b"\xef\xbb\xbf<!-- x --><svg:svg ", "svg"),
        (b"  <!DOCTYPE HTML>", "html"),
        (b"BMW drives", "unknown"),
        (b"", "unknown"),
    ],
)
def test_kinds(head, kind):
    assert kind_of(head) == kind
