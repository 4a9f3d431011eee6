"""Scores are facts: of NudeNet, of a CLIP made here, of an aesthetic predictor on it."""

from itertools import pairwise

import numpy as np
import pytest
from image_server import encoded
from PIL import Image

from vesalius.corpus.document import Document
from vesalius.corpus.document import Image as Picture
from vesalius.corpus.images import picture, too_unsafe
from vesalius.corpus.images.clip import Aesthetic, Clip, nearest_texts
from vesalius.corpus.images.unsafe import Scorer
from vesalius.errors import VesaliusError


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer()


PICTURES = [picture(encoded(i, size=(200 + 40 * i, 160))) for i in range(5)]


def test_unsafe_scores_do_not_depend_on_the_batch(scorer):
    together, alone = scorer.score(PICTURES, batch=3), [scorer.score([one])[0] for one in PICTURES]
    assert together == alone and scorer.score([]) == []
    assert all(0 <= one["unsafe"] <= 1 and set(one) == {"unsafe", "unsafe_found"} for one in together)


def test_grey_flat_and_tall_images_have_scores(scorer):
    odd = [Image.new("RGB", (200, 200)), Image.new("L", (150, 900), 200).convert("RGB")]
    assert [one["unsafe"] for one in scorer.score(odd)] == [0, 0]


def test_no_clinical_image_is_lost_by_default(scorer, shared_data):
    names = ["ham10000_dermoscopy", "busi_breast_ultrasound", "nih_chestxray14", "hyperkvasir_endoscopy"]
    paths = [path for name in names for path in sorted((shared_data / "images" / name / "images").iterdir())[:6]]
    scores = scorer.score([picture(path.read_bytes(), 640) for path in paths])
    assert not any(too_unsafe(one["unsafe"]) for one in scores)


def test_similarities_are_cosines_of_clip(clip_checkpoint):
    import torch
    from transformers import CLIPModel

    clip = Clip(clip_checkpoint)
    images = clip.images(PICTURES, batch=2)
    assert images.shape == (5, clip.size) == (5, 16) and np.allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    texts = [["a cell", "a very long text " * 50], [], ["a cell"], ["été ☃", ""], ["a cell"]]
    found = clip.similarities(images, texts)
    assert [len(some) for some in found] == [2, 0, 1, 2, 1]
    # As the model itself says it, an image and a text at a time.
    model = CLIPModel.from_pretrained(clip_checkpoint).eval()
    with torch.inference_mode():
        out = model(**clip._tokens(["a cell"]), **clip._pixels([PICTURES[2]]))
        expected = float(out.logits_per_image[0, 0] / model.logit_scale.exp())
    assert found[2][0] == pytest.approx(expected, abs=1e-3)
    assert clip.images([]).shape == (0, 16) and clip.similarities(images[:0], []) == []


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("layers", ["linear", "mlp"])
def test_aesthetic_scores_are_those_of_the_layers(tmp_path, layers, suffix):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    class Improved(torch.nn.Module):
        def __init__(self):
            super().__init__()
            sizes = [16, 12, 8, 6, 4, 1]
            parts = [torch.nn.Linear(*pair) for pair in pairwise(sizes)]
            dropped = [part for linear in parts[:3] for part in (linear, torch.nn.Dropout(0.2))]
            self.layers = torch.nn.Sequential(*dropped, *parts[3:])

        def forward(self, x):
            return self.layers(x)

    torch.manual_seed(1)
    model = (torch.nn.Linear(16, 1) if layers == "linear" else Improved()).eval()
    path = tmp_path / f"predictor{suffix}"
    (torch.save if suffix == ".pth" else lambda state, to: save_file(state, to))(model.state_dict(), path)
    images = np.random.default_rng(0).normal(size=(7, 16)).astype(np.float32)
    with torch.inference_mode():
        expected = model(torch.from_numpy(images))[:, 0].tolist()
    assert Aesthetic(path, 16).score(images) == pytest.approx(expected, abs=1e-4)
    with pytest.raises(VesaliusError, match="takes embeddings of 16 numbers, CLIP gives 32"):
        Aesthetic(path, 32)


def test_models_that_are_none(tmp_path):
    torch = pytest.importorskip("torch")
    (tmp_path / "config.json").write_text("{}")
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(VesaliusError) as error:
            Clip(path)
        assert error.value.code == "model"

    class Evil:
        def __reduce__(self):
            return print, ("run",)

    torch.save({"weight": Evil()}, tmp_path / "evil.pth")
    torch.save({"weight": torch.zeros(3, 16)}, tmp_path / "three.pth")
    (tmp_path / "text.safetensors").write_bytes(b"x" * 99)
    for name in ("evil.pth", "three.pth", "text.safetensors", "none.pth"):
        with pytest.raises(VesaliusError) as error:
            Aesthetic(tmp_path / name, 16)
        assert error.value.code == "model"


def test_the_nearest_texts_of_an_image():
    parts = ("a", "b", Picture("1"), Picture("2"), "c", "d", "e")
    document = Document("x", parts)
    assert nearest_texts(document, 2) == [1, 4, 0, 5] and nearest_texts(document, 3, near=1) == [1, 4]
    assert nearest_texts(Document("x", (Picture("1"), "a", "b")), 0) == [1, 2]
    assert nearest_texts(Document("x", (Picture("1"),)), 0) == []
    with pytest.raises(VesaliusError, match="part 0 is no image"):
        nearest_texts(document, 0)


def test_a_missing_package_is_said_in_a_line(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "nudenet", None)
    with pytest.raises(VesaliusError, match=r"package nudenet — pip install 'vesalius\[corpus\]'"):
        Scorer()
