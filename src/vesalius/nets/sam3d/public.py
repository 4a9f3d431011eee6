"""The public checkpoint of SAM-Med3D: a `.pth` with `model_state_dict`, read without running it, and written.

Sizes are told from the shapes of the weights, so that every size of the public code loads.
"""

import argparse
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vesalius.errors import VesaliusError
from vesalius.nets.sam3d.config import Sam3DConfig
from vesalius.nets.sam3d.model import Sam3DModel
from vesalius.run import replacing

_BLOCK = "image_encoder.blocks."


def load_public(path: str | Path) -> Sam3DModel:
    """The model in a public `.pth`; every weight must be there and fit.

    Raises:
        VesaliusError: no such file, no checkpoint, pickled code in it, weights missing, unknown or of another shape.
    """
    weights = _weights(path)
    model = Sam3DModel(_config(weights, path))
    try:
        model.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        remedy = "give a checkpoint of SAM-Med3D, whole"
        raise VesaliusError(f"does not fit: {_first(error)}", file=path, remedy=remedy, code="weights") from None
    return model.eval()


def save_public(model: Sam3DModel, path: str | Path) -> None:
    """Writes the layout that the public code reads."""
    with replacing(path) as part:
        torch.save({"model_state_dict": dict(model.state_dict())}, part)


def _weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Tensors alone: `weights_only`, with the plain things that the public trainer keeps beside them let through."""
    try:
        with torch.serialization.safe_globals(_plain_globals()):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise VesaliusError("there is no such file", file=path, remedy="check the path", code="unreadable") from None
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, KeyError, ValueError) as error:
        remedy = "copy the file again, or save `model_state_dict` alone in it"
        raise VesaliusError(
            f"is no checkpoint ({_first(error)})", file=path, remedy=remedy, code="unreadable"
        ) from None
    for key in ("model_state_dict", "state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
            break
    tensors = {str(k).removeprefix("module."): v for k, v in dict(found).items() if isinstance(v, torch.Tensor)}
    if not any(key.startswith("image_encoder.") for key in tensors):
        remedy = "expected image_encoder.*, prompt_encoder.* and mask_decoder.* under `model_state_dict`"
        raise VesaliusError("holds no SAM-Med3D", file=path, remedy=remedy, code="weights")
    return tensors


def _plain_globals() -> list[Any]:
    """What argparse and numpy leave in a checkpoint of the public trainer."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.bool_)]
    return [argparse.Namespace, scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype, *kinds]


def _config(weights: Mapping[str, torch.Tensor], path: str | Path) -> Sam3DConfig:
    """Sizes from shapes; heads from the tables of relative positions, windows from their lengths."""
    try:
        grid, dim = weights["image_encoder.pos_embed"].shape[1::3]
        patch = weights["image_encoder.patch_embed.proj.weight"].shape[-1]
        tables = [weights[f"image_encoder.blocks.{i}.attn.rel_pos_d"].shape for i in range(_count(weights, _BLOCK))]
        windows = [(length + 1) // 2 for length, _ in tables]
        local = [window for window in windows if window != grid]
        dense = weights["prompt_encoder.mask_downscaling.3.weight"].shape[0]
        iou = "mask_decoder.iou_prediction_head.layers."
        return Sam3DConfig(
            image_size=grid * patch,
            patch_size=patch,
            hidden_size=dim,
            num_hidden_layers=len(tables),
            num_attention_heads=dim // tables[0][1],
            mlp_ratio=weights["image_encoder.blocks.0.mlp.lin1.weight"].shape[0] / dim,
            window_size=local[0] if local else grid,
            global_attn_indexes=[i for i, window in enumerate(windows) if window == grid],
            prompt_dim=weights["prompt_encoder.no_mask_embed.weight"].shape[1],
            mask_in_chans=dense,
            decoder_depth=_count(weights, "mask_decoder.transformer.layers."),
            decoder_mlp_dim=weights["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0],
            num_multimask_outputs=weights["mask_decoder.mask_tokens.weight"].shape[0] - 1,
            iou_head_depth=_count(weights, iou),
            iou_head_hidden_dim=weights[f"{iou}0.weight"].shape[0],
        )
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        problem = f"lacks weights of a SAM-Med3D ({_first(error)})"
        raise VesaliusError(problem, file=path, remedy="give a whole checkpoint", code="weights") from None


def _count(weights: Mapping[str, torch.Tensor], prefix: str) -> int:
    return len({key.removeprefix(prefix).split(".")[0] for key in weights if key.startswith(prefix)})


def _first(error: BaseException) -> str:
    """Of a long message what says most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[1] if len(lines) > 1 and lines[0].endswith(":") else lines[0]) if lines else type(error).__name__
