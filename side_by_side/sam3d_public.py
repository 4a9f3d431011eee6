"""SAM-Med3D side by side: the public code and ours with the same random weights, on the same crop, in one run.

    .venv/bin/python side_by_side/sam3d_public.py --peer SAM-MED3D [--small] [--record tests/nets/sam3d_public.json]

`--peer` is a checkout of uni-medical/SAM-Med3D; only its three network files are imported (they need torch alone).
Prints the largest difference of the encoder's embedding and of the logits after each click, then times: encoder against
encoder, one
decoding against one, and the interactive case: 10 clicks in each of 9 organs with each of 4 experts, where the public
way is one call of its inference (encode, then its clicks) for each organ and expert. Ratios within the run are what
counts. `--small` is a network of a few layers, whose numbers `--record` keeps for the tests.
"""

import argparse
import json
import sys
import time
import types
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vesalius.nets.sam3d import Prompts, Sam3DConfig, Sam3DModel
from vesalius.nets.sam3d.decoder import MaskDecoder

SMALL: dict[str, Any] = {
    "image_size": 40, "patch_size": 8, "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "mlp_ratio": 2.0, "window_size": 3, "global_attn_indexes": [1], "prompt_dim": 48, "mask_in_chans": 8,
    "decoder_mlp_dim": 2048, "num_multimask_outputs": 3, "iou_head_hidden_dim": 64,
}  # fmt: skip


def fill(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights that depend on their names alone, so that both networks, and the tests, have the same."""
    out = {}
    for name, value in state.items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        fan = max(1, int(np.prod(value.shape[1:])))
        scale = 1.0 if "gaussian" in name else 0.3 if "pos" in name else 0.02 if value.ndim < 2 else fan**-0.5
        drawn = torch.from_numpy(rng.normal(0, scale, value.shape).astype(np.float32))
        out[name] = drawn + 1 if value.ndim == 1 and name.endswith("weight") else drawn
    return out


def ask(size: int, clicks: int) -> tuple[torch.Tensor, list[tuple[torch.Tensor, torch.Tensor]]]:
    """A normalised crop, and clicks one after the other, points (1, n, 3) and labels (1, n)."""
    rng = np.random.default_rng(7)
    crop = torch.from_numpy(rng.normal(0, 1, (1, 1, size, size, size)).astype(np.float32))
    points = torch.from_numpy(rng.integers(0, size, (1, clicks, 3)).astype(np.float32))
    labels = torch.tensor([[float(i % 3 != 1) for i in range(clicks)]])
    return crop, [(points[:, : n + 1], labels[:, : n + 1]) for n in range(clicks)]


def public(peer: Path, config: Sam3DConfig) -> torch.nn.Module:
    """The public network, from the three files of it alone."""
    folder = peer / "segment_anything" / "modeling"
    package = types.ModuleType("sam_med3d")
    package.__path__ = [str(folder)]
    sys.modules["sam_med3d"] = package
    from sam_med3d.image_encoder3D import ImageEncoderViT3D
    from sam_med3d.mask_decoder3D import MaskDecoder3D, TwoWayTransformer3D
    from sam_med3d.prompt_encoder3D import PromptEncoder3D

    net = torch.nn.Module()
    net.image_encoder = ImageEncoderViT3D(
        depth=config.num_hidden_layers, embed_dim=config.hidden_size, img_size=config.image_size,
        mlp_ratio=config.mlp_ratio, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        num_heads=config.num_attention_heads, patch_size=config.patch_size, qkv_bias=True, use_rel_pos=True,
        global_attn_indexes=config.global_attn_indexes, window_size=config.window_size, out_chans=config.prompt_dim,
    )  # fmt: skip
    net.prompt_encoder = PromptEncoder3D(
        embed_dim=config.prompt_dim, image_embedding_size=(config.grid,) * 3,
        input_image_size=(config.image_size,) * 3, mask_in_chans=config.mask_in_chans,
    )  # fmt: skip
    net.mask_decoder = MaskDecoder3D(
        num_multimask_outputs=config.num_multimask_outputs, transformer_dim=config.prompt_dim,
        iou_head_depth=config.iou_head_depth, iou_head_hidden_dim=config.iou_head_hidden_dim,
    )  # fmt: skip
    assert isinstance(net.mask_decoder.transformer, TwoWayTransformer3D)
    net.load_state_dict(fill(net.state_dict()))
    return net.eval()


def public_clicks(net: Any, embedding: torch.Tensor, clicks: list, size: int) -> list[torch.Tensor]:
    """Logits after each click, as its `sam_model_infer` asks for them; once without points, as in its training."""
    low, out = torch.zeros(1, 1, size, size, size), []
    for number, (points, labels) in enumerate(clicks):
        given = None if number == 3 else [points, labels]
        sparse, dense = net.prompt_encoder(points=given, boxes=None, masks=low)
        low, _ = net.mask_decoder(
            image_embeddings=embedding, image_pe=net.prompt_encoder.get_dense_pe(), sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense, multimask_output=False,
        )  # fmt: skip
        out.append(low)
    return out


def our_clicks(model: Sam3DModel, embedding: torch.Tensor, clicks: list, decoder: Any = None) -> list[torch.Tensor]:
    """The same of ours."""
    size = model.config.mask_size
    low, out = torch.zeros(len(clicks[0][0]), 1, size, size, size), []
    for number, (points, labels) in enumerate(clicks):
        prompts = Prompts(masks=low) if number == 3 else Prompts(points, labels, low)
        low = model.decode(embedding, prompts, decoder).logits
        out.append(low)
    return out


def seconds(function: Callable[[], Any], repeats: int) -> float:
    """Median of some runs, after one to warm up."""
    function()
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        taken.append(time.perf_counter() - begin)
    return float(np.median(taken))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="checkout of uni-medical/SAM-Med3D")
    parser.add_argument("--small", action="store_true", help="a small network")
    parser.add_argument("--record", type=Path, help="keep the public code's numbers there")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    config = Sam3DConfig(**(SMALL if given.small else {}))
    theirs, ours = public(given.peer, config), Sam3DModel(config).eval()
    ours.load_state_dict(fill(ours.state_dict()))
    crop, clicks = ask(config.image_size, 6)
    with torch.no_grad():
        a, b = theirs.image_encoder(crop), ours.encode(crop)
        print(f"encoder: largest difference {float((a - b).abs().max()):.1e} of {float(a.abs().max()):.3g}")
        both = list(zip(public_clicks(theirs, a, clicks, config.mask_size), our_clicks(ours, b, clicks), strict=True))
        for number, (x, y) in enumerate(both, 1):
            print(f"click {number}: largest difference {float((x - y).abs().max()):.1e} of {float(x.abs().max()):.3g}")
        if given.record:
            record(given.record, config, a, [x for x, _ in both])
            return
        times(theirs, ours, crop, given.repeats)


def record(path: Path, config: Sam3DConfig, embedding: torch.Tensor, logits: list[torch.Tensor]) -> None:
    """A few hundred numbers of the public code."""
    step = max(1, logits[0].numel() // 40)
    kept = {
        "embedding": embedding.flatten()[:: max(1, embedding.numel() // 100)].tolist(),
        "logits": [x.flatten()[::step].tolist() for x in logits],
    }
    path.write_text(json.dumps({"config": SMALL, **kept}, indent=None))


def times(theirs: Any, ours: Sam3DModel, crop: torch.Tensor, repeats: int) -> None:
    """Seconds and ratios."""
    size = ours.config.mask_size
    embedding = ours.encode(crop)
    rows = [
        ("encoder", seconds(lambda: theirs.image_encoder(crop), repeats), seconds(lambda: ours.encode(crop), repeats))
    ]
    _, ten = ask(ours.config.image_size, 10)
    rows.append(
        ("10 clicks", seconds(lambda: public_clicks(theirs, embedding, ten, size), repeats),
         seconds(lambda: our_clicks(ours, embedding, ten), repeats))
    )  # fmt: skip
    experts = [MaskDecoder(ours.config).eval() for _ in range(4)]

    def public_way() -> None:  # one organ and expert; the others take as long
        public_clicks(theirs, theirs.image_encoder(crop), ten, size)

    def our_way() -> None:
        found = ours.encode(crop)
        for expert in experts:
            for _ in range(9):
                our_clicks(ours, found, ten, expert)

    rows.append(
        ("9 organs x 4 experts x 10 clicks", 36 * seconds(public_way, max(1, repeats // 2)), seconds(our_way, 1))
    )
    print(f"\ntorch {torch.__version__}, {torch.get_num_threads()} threads, {ours.config.image_size}³\n")
    print("| | public | ours | times as fast |\n|---|---|---|---|")
    for name, a, b in rows:
        print(f"| {name} | {a:.3f} s | {b:.3f} s | {a / b:.1f} |")


if __name__ == "__main__":
    main()
