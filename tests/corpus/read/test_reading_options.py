"""How files are read can be said where a corpus is described: frames of videos, pages of PDFs."""

import json
from pathlib import Path

import numpy as np
import pytest
from make_pdf import Type, make_pdf
from PIL import Image as Picture
from test_video_reader import SUBTITLES, film

from vesalius.corpus.build import build
from vesalius.corpus.build.recipe import load_recipe
from vesalius.corpus.build.tables import read_documents
from vesalius.corpus.document import Document
from vesalius.corpus.read import read
from vesalius.corpus.read.options import Pdf, Reading, Video
from vesalius.errors import VesaliusError

RECIPE = """
sources: [in]
output: out
languages: []
heuristics: []
feedback: false
privacy: false
images: {burnt_in: false, unsafe: false, limits: {min_side: 20}}
video: {every: 60, scene: 10}
pdf: {page_images: true}
"""
LINES = ["Keep the wound dry for two days and change the", "dressing when it is wet."]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "in" / "leaflets").mkdir(parents=True)
    lines = [Type(50, 500 - 12 * number, line) for number, line in enumerate(LINES)]
    (tmp_path / "in" / "leaflets" / "wound.pdf").write_bytes(make_pdf([lines]))
    rng = np.random.default_rng(0)
    scenes = [rng.integers(0, 256, (9, 16, 3), np.uint8).repeat(10, 0).repeat(10, 1) for _ in range(3)]
    film(tmp_path / "in" / "talk.mp4", scenes)
    (tmp_path / "in" / "talk.vtt").write_text(SUBTITLES)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path / "recipe.yaml"


def test_a_folder_names_its_files_by_their_place_in_it(recipe: Path):
    found = read(recipe.parent / "in", Reading(video=Video(every=60), pdf=Pdf(page_images=True)))
    leaflet, talk = found
    assert isinstance(leaflet, Document) and isinstance(talk, Document)
    assert (leaflet.id, talk.id) == ("leaflets/wound.pdf", "talk.mp4")
    assert (len(leaflet.images), len(talk.images)) == (1, 1)


def documents(out: Path) -> dict[str, Document]:
    shards = json.loads((out / "manifest.json").read_text("utf-8"))["shards"]
    return {document.id: document for shard in shards for document in read_documents(out / shard["file"])}


def test_a_recipe_asks_for_frames_by_scene_and_pages_as_images_and_ids_do_not_tell_where_its_folder_lies(recipe: Path):
    build(load_recipe(recipe), workers=1)
    out = recipe.parent / "out"
    built = documents(out)
    assert set(built) == {"in/leaflets/wound.pdf", "in/talk.mp4"}
    leaflet, talk = built["in/leaflets/wound.pdf"], built["in/talk.mp4"]
    assert leaflet.texts == (" ".join(LINES),)
    assert [image.facts["time"] for image in talk.images] == [0.0, 3.0, 6.0]
    for image in (*leaflet.images, *talk.images):
        with Picture.open(out / image.facts["file"]) as picture:
            assert picture.size == (image.width, image.height)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("privacy=true", "pdf.page_images would show what privacy takes out of the text"),
        ("video.scenes=10", "has no key video.scenes — did you mean scene"),
        ("file=other.yaml", "has no key file"),
        ("video.every=0", "key video.every: input should be greater than 0"),
    ],
)
def test_what_cannot_be_asked_is_said_before_anything_is_read(recipe: Path, change: str, problem: str):
    with pytest.raises(VesaliusError, match=problem):
        load_recipe(recipe, (change,))
