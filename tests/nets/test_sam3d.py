"""The network: equal to the published code, whatever is done faster."""

import json
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

from vesalius.errors import VesaliusError
from vesalius.nets.sam3d import Prompts, Sam3DConfig, Sam3DModel
from vesalius.nets.sam3d.decoder import paint
from vesalius.nets.sam3d.encoder import WindowAttention
from vesalius.nets.sam3d.public import load_public, save_public

sys.path.insert(0, str(Path(__file__).parents[2] / "side_by_side"))
from sam3d_public import SMALL, ask, fill, our_clicks


@pytest.fixture(scope="module")
def small() -> Sam3DModel:
    model = Sam3DModel(Sam3DConfig(**SMALL)).eval()
    model.load_state_dict(fill(model.state_dict()))
    return model


def published(attention: WindowAttention, x: torch.Tensor) -> torch.Tensor:
    """The published attention over a window in which every pad is made, with its bias taken term by term."""
    batch, d, h, w, dim = x.shape
    n, heads = attention.window, attention.heads
    padded = x.new_zeros(batch, n, n, n, dim)
    padded[:, :d, :h, :w] = x
    q, k, v = attention.qkv(padded).reshape(batch, n**3, 3, heads, -1).permute(2, 0, 3, 1, 4)
    q6 = q.reshape(batch, heads, n, n, n, -1)
    place = torch.arange(n)[:, None] - torch.arange(n) + n - 1
    rd, rh, rw = (t[place] for t in (attention.rel_pos_d, attention.rel_pos_h, attention.rel_pos_w))
    bias = (
        torch.einsum("zmabcx,akx->zmabck", q6, rd)[:, :, :, :, :, None, None, :]
        + torch.einsum("zmabix,bkx->zmabik", q6, rh)[:, :, :, :, None, :, None, :]
        + torch.einsum("zmabjx,jkx->zmabjk", q6, rw)[:, :, :, :, None, None, :, :]
    ).reshape(batch, heads, n**3, n**3)
    weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + bias).softmax(-1)
    out = (weights @ v).transpose(1, 2).reshape(batch, n, n, n, dim)
    return attention.proj(out)[:, :d, :h, :w]


@pytest.mark.parametrize("extent", [(4, 4, 4), (2, 4, 4), (4, 2, 3), (1, 2, 3), (3, 3, 3)])
def test_pads_that_are_never_made_count_as_if_they_were(extent: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    attention = WindowAttention(24, 2, 4)
    for table in (attention.rel_pos_d, attention.rel_pos_h, attention.rel_pos_w):
        torch.nn.init.normal_(table, std=0.7)
    x = torch.randn(2, *extent, 24)
    torch.testing.assert_close(attention(x), published(attention, x), rtol=1e-5, atol=1e-5)


def test_gradients_through_pads_are_those_of_the_padded_attention() -> None:
    torch.manual_seed(1)
    attention = WindowAttention(12, 1, 3).double()
    torch.nn.init.normal_(attention.rel_pos_h, std=0.7)
    x = torch.randn(1, 2, 2, 2, 12, dtype=torch.double)
    both = []
    for way in (attention, lambda x: published(attention, x)):
        attention.zero_grad()
        way(x).pow(2).sum().backward()
        both.append({name: p.grad.clone() for name, p in attention.named_parameters()})
    for name in both[0]:
        torch.testing.assert_close(both[0][name], both[1][name], msg=name)


def test_embedding_and_logits_of_six_clicks_equal_the_public_codes(small: Sam3DModel) -> None:
    """Recorded from uni-medical/SAM-Med3D with the same weights by side_by_side/sam3d_public.py."""
    kept = json.loads(Path(__file__).with_name("sam3d_public.json").read_text())
    crop, clicks = ask(small.config.image_size, 6)
    with torch.no_grad():
        embedding = small.encode(crop)
        logits = our_clicks(small, embedding, clicks)
    seen = embedding.flatten()[:: max(1, embedding.numel() // 100)]
    np.testing.assert_allclose(seen, kept["embedding"], atol=1e-4)
    for found, wanted in zip(logits, kept["logits"], strict=True):
        np.testing.assert_allclose(found.flatten()[:: max(1, found.numel() // 40)], wanted, atol=1e-4)


def test_the_public_checkpoint_loads_and_saves_round_trip(small: Sam3DModel, tmp_path: Path) -> None:
    file = tmp_path / "sam_med3d.pth"
    extra = {"epoch": 3, "args": Namespace(lr=8e-4, device=torch.device("cpu")), "best_loss": np.float64(0.5)}
    torch.save({"model_state_dict": small.state_dict(), **extra}, file)
    loaded = load_public(file)
    assert {key.split(".")[0] for key in loaded.state_dict()} == {"image_encoder", "prompt_encoder", "mask_decoder"}
    for name in SMALL:
        assert getattr(loaded.config, name) == SMALL[name], name
    save_public(loaded, tmp_path / "again.pth")
    again = torch.load(tmp_path / "again.pth", weights_only=True)["model_state_dict"]
    assert again.keys() == small.state_dict().keys()
    assert all(torch.equal(again[key], value) for key, value in small.state_dict().items())


def test_save_pretrained_and_from_pretrained_give_the_same_masks(small: Sam3DModel, tmp_path: Path) -> None:
    small.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    again = Sam3DModel.from_pretrained(tmp_path).eval()
    crop, clicks = ask(small.config.image_size, 1)
    with torch.no_grad():
        one, two = (m(crop, *clicks[0]).logits for m in (small, again))
    torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)


def test_a_batch_of_organs_on_one_embedding_equals_one_by_one(small: Sam3DModel) -> None:
    torch.manual_seed(0)
    crop, _ = ask(small.config.image_size, 1)
    points, labels = torch.rand(5, 3, 3) * 40, torch.ones(5, 3)
    low = torch.randn(5, 1, *[small.config.mask_size] * 3)
    with torch.no_grad():
        embedding = small.encode(crop)
        together = small.decode(embedding, Prompts(points, labels, low)).logits
        alone = [
            small.decode(embedding, Prompts(points[i : i + 1], labels[i : i + 1], low[i : i + 1])).logits
            for i in range(5)
        ]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("masks", [1, 2, 7])
def test_a_mask_is_its_filter_times_the_features_of_each_voxel(masks: int) -> None:
    torch.manual_seed(0)
    grid, features, filters = (2, 2, 2), torch.randn(3, 8 * 64, 12), torch.randn(1, masks, 12)
    found = paint(features, filters, grid)
    assert found.shape == (3, masks, 8, 8, 8)
    x, y, z = 5, 2, 7  # token 1, 0, 1; eighth 0, 1, 1; voxel of the eighth 1, 0, 1
    at = (1 * 4 + 0 * 2 + 1) * 64 + (0 * 4 + 1 * 2 + 1) * 8 + (1 * 4 + 0 * 2 + 1)
    assert torch.allclose(found[:, :, x, y, z], features[:, at] @ filters[0].T, atol=1e-5)


def test_a_crop_that_was_not_normalised_is_refused(small: Sam3DModel) -> None:
    hounsfield = torch.full((1, 1, 40, 40, 40), -1000.0)
    with pytest.raises(VesaliusError, match="not normalised"):
        small.encode(hounsfield)
    with pytest.raises(VesaliusError, match="shape"):
        small.encode(torch.zeros(1, 1, 40, 40, 41))
    with pytest.raises(VesaliusError, match="not normalised"):
        small.encode(torch.full((1, 1, 40, 40, 40), float("nan")))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not a checkpoint", "is no checkpoint"),
        ({"model_state_dict": {"conv.weight": torch.zeros(3)}}, "holds no SAM-Med3D"),
        ({"model_state_dict": {"image_encoder.pos_embed": torch.zeros(1, 5, 5, 5, 48)}}, "lacks weights"),
    ],
)
def test_files_that_are_no_checkpoint_are_one_clear_line(content, said: str, tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    file.write_bytes(content) if isinstance(content, bytes) else torch.save(content, file)
    with pytest.raises(VesaliusError, match=said):
        load_public(file)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"model_state_dict": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(VesaliusError, match="is no checkpoint"):
        load_public(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


def test_weights_that_are_lacking_are_named(small: Sam3DModel, tmp_path: Path) -> None:
    weights = dict(small.state_dict())
    del weights["mask_decoder.iou_token.weight"]
    torch.save({"model_state_dict": weights}, tmp_path / "x.pth")
    with pytest.raises(VesaliusError, match=r"mask_decoder\.iou_token\.weight"):
        load_public(tmp_path / "x.pth")


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(VesaliusError, match="image_size 100 is no multiple of patch_size 16"):
        Sam3DModel(Sam3DConfig(image_size=100))
