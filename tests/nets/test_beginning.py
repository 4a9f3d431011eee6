"""A new network's first weights: clicks look at their own place, and answers differ from click to click."""

from typing import Any

import pytest
import torch

from vesalius.nets.sam3d import Prompts, Sam3DConfig, Sam3DModel
from vesalius.nets.sam3d.beginning import begin


@pytest.fixture(params=[1, 2])
def model(request) -> Sam3DModel:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "image_size": 32, "patch_size": 4, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "mlp_ratio": 2, "window_size": 8, "global_attn_indexes": [0, 1], "prompt_dim": 96, "mask_in_chans": 16,
        "decoder_heads": request.param, "decoder_mlp_dim": 192, "num_multimask_outputs": 0, "exchanged_axes": False,
    }  # fmt: skip
    return Sam3DModel(Sam3DConfig(**sizes)).eval()


@torch.no_grad()
def looked_at(model: Sam3DModel, points: torch.Tensor) -> list[torch.Tensor]:
    """Share of each click's attention that falls on its own image token, a layer an entry."""
    shares = []
    own = (points[:, 0] // 4).long() @ torch.tensor([64, 8, 1])

    def watch(attention: Any, given: tuple[torch.Tensor, ...]) -> None:
        q, k, _ = given
        q, k = (
            p(x).unflatten(-1, (attention.heads, -1)).transpose(1, 2)
            for p, x in ((attention.q_proj, q), (attention.k_proj, k))
        )
        share = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        shares.append(share[torch.arange(len(own)), :, 2, own])  # tokens: IoU, mask, click, no point

    transformer: Any = model.mask_decoder.transformer
    layers = [block.cross_attn_token_to_image for block in transformer.layers]
    hooks = [one.register_forward_pre_hook(watch) for one in (*layers, transformer.final_attn_token_to_image)]
    image = model.encode(torch.randn(1, 1, 32, 32, 32))
    model.decode(image, Prompts(points, torch.ones(len(points), 1)))
    for hook in hooks:
        hook.remove()
    return shares


def test_a_click_looks_at_its_own_token_in_every_layer(model: Sam3DModel) -> None:
    points = torch.randint(0, 32, (64, 1, 3), generator=torch.Generator().manual_seed(1)).float()
    before = [float(share.mean()) for share in looked_at(model, points)]
    begin(model)
    after = [float(share.mean()) for share in looked_at(model, points)]
    assert max(before) < 0.02  # of 512 tokens
    assert min(after) > (0.4 if model.config.decoder_heads == 1 else 0.15)


def test_answers_differ_from_click_to_click_and_the_network_is_the_same(model: Sam3DModel) -> None:
    shapes = {name: weights.shape for name, weights in model.state_dict().items()}
    points = torch.randint(0, 32, (16, 1, 3), generator=torch.Generator().manual_seed(1)).float()
    image = torch.randn(1, 1, 32, 32, 32, generator=torch.Generator().manual_seed(2))

    @torch.no_grad()
    def spread() -> float:
        logits = model(image, points, torch.ones(16, 1)).logits
        return float(logits.std(0).mean())

    before = spread()
    begin(model)
    assert spread() > 4 * before
    assert {name: weights.shape for name, weights in model.state_dict().items()} == shapes
