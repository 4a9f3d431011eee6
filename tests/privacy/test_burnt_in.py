import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from vesalius.errors import VesaliusError
from vesalius.privacy import burnt_in

pytest.importorskip("rapidocr", reason="the extra `privacy` is not installed")

# Looked at one by one: frames with text, and frames whose only mark is the scope's position.
WITH_TEXT = (
    "003f46f1-e447-486a-aeb7-6bf8b45a2184",
    "00be7d4a-d643-4075-9ea3-e5bff2cd9a5c",
    "03e15c74-4234-4074-bd5b-b4b81834d3d6",
)
WITHOUT = ("0b08ec01-337a-4f20-a4d7-43313d0724a6",)


def texture(rows: int = 300, columns: int = 400) -> np.ndarray:
    draw = np.random.default_rng(1)
    small = Image.fromarray(draw.integers(40, 110, (8, 10), np.uint8))
    return np.array(small.resize((columns, rows), Image.Resampling.BICUBIC))


def written(image: np.ndarray, words: str, at: tuple[int, int], size: int = 16) -> np.ndarray:
    picture = Image.fromarray(image)
    ImageDraw.Draw(picture).text(at, words, fill=255, font=ImageFont.load_default(size))
    return np.array(picture)


def test_the_name_and_date_of_birth_in_a_ct_are_boxed(shared_data: Path):
    import pydicom

    folder = shared_data / "phi/dicom"
    pixels = pydicom.dcmread(folder / "presidio_2_ORIGINAL.dcm").pixel_array.astype(float)
    low, high = np.percentile(pixels, [0.5, 99.5])
    shown = (np.clip((pixels - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    boxes = burnt_in(shown)
    truth = json.loads((folder / "presidio_ground_truth.json").read_text())["sample_data/2_ORIGINAL.dcm"]
    for word in truth:  # their boxes were measured with a border of 25 pixels around the image
        x, y = word["left"] - 25 + word["width"] / 2, word["top"] - 25 + word["height"] / 2
        assert any(box.left <= x <= box.right and box.top <= y <= box.bottom for box in boxes), word["label"]


def test_endoscopy_frames_with_text_are_flagged_and_those_without_are_not(shared_data: Path):
    folder = shared_data / "images/hyperkvasir_endoscopy/images"
    for name in (*WITH_TEXT, *WITHOUT):
        boxes = burnt_in(np.array(Image.open(folder / f"{name}.jpg").convert("RGB")))
        assert bool(boxes) == (name in WITH_TEXT), name


def test_words_are_found_where_they_were_written_in_grey_and_colour():
    image = written(texture(), "DOE JANE 01/02/1950", (120, 200))
    for pixels in (
        image,
        image[:, :, None],
        np.dstack([image] * 3),
        np.dstack([image] * 3 + [np.full_like(image, 255)]),
    ):
        (box,) = burnt_in(pixels)
        assert 110 <= box.left <= 125 and 190 <= box.top <= 206 and 270 <= box.right <= 310 and box.score > 0.8


def test_small_words_in_a_large_image_are_found_across_tiles():
    image = written(texture(1000, 1400), "PATIENT 4711", (680, 720), 18)
    (box,) = burnt_in(image)
    assert 660 <= box.left <= 690 and 710 <= box.top <= 730 and box.right > 790


def test_the_largest_places_are_read_first():
    image = written(written(texture(600, 600), "axis 12", (40, 40), 12), "DOE JANE 01/02/1950", (120, 300), 30)
    assert len(burnt_in(image)) == 2
    (box,) = burnt_in(image, most=1)
    assert box.top > 280


def test_images_without_text_are_not_flagged():
    assert burnt_in(texture()) == []
    assert burnt_in(np.zeros((64, 64), np.uint8)) == []
    assert burnt_in(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)) == []


@pytest.mark.parametrize("pixels", [np.zeros((4, 4)), np.zeros(9, np.uint8), np.zeros((9, 9, 2), np.uint8)])
def test_what_is_no_image_is_an_error_of_the_users(pixels: np.ndarray):
    with pytest.raises(VesaliusError, match="no image") as error:
        burnt_in(pixels)
    assert error.value.code == "shape"
