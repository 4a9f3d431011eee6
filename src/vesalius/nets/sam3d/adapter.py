"""LoRA weights of an expert on the image encoder, in PEFT's own files: a delta of a few MB, on or off.

transformers' own door to PEFT asks for a newer one than there is; this is PEFT's, for one encoder.
"""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file, save_file

from vesalius.errors import VesaliusError

ADAPTED = r"blocks\.\d+\.(attn\.(qkv|proj)|mlp\.lin[12])"
FILES = ("adapter_config.json", "adapter_model.safetensors")


def add(encoder: torch.nn.Module, name: str, rank: int, alpha: int) -> None:
    """New LoRA weights in every linear layer of the encoder's blocks; the delta begins at zero."""
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=ADAPTED), encoder, name)


def use(encoder: torch.nn.Module, name: str | None) -> None:
    """The encoder with this delta, or with none."""
    for layer in encoder.modules():
        if isinstance(layer, BaseTunerLayer):
            layer.enable_adapters(name is not None)
            if name is not None:
                layer.set_adapter(name)  # leaves it trainable: a training may be judged on the way


def save(encoder: torch.nn.Module, name: str, folder: Path) -> None:
    """Writes a delta as PEFT does."""
    layer: Any = next(m for m in encoder.modules() if isinstance(m, BaseTunerLayer))
    folder.mkdir(parents=True, exist_ok=True)
    rank, alpha = layer.r[name], layer.lora_alpha[name]
    LoraConfig(r=rank, lora_alpha=alpha, target_modules=ADAPTED, inference_mode=True).save_pretrained(str(folder))
    weights = get_peft_model_state_dict(encoder, adapter_name=name)
    save_file({key: value.contiguous() for key, value in weights.items()}, folder / FILES[1], {"format": "pt"})


def load(encoder: torch.nn.Module, name: str, folder: Path) -> None:
    """Reads a delta that `save` wrote, into a new or an existing adapter of that name.

    Raises:
        VesaliusError: code `size`, where it does not fit the encoder.
    """
    layers: list[Any] = [m for m in encoder.modules() if isinstance(m, BaseTunerLayer)]
    known = any(name in layer.r for layer in layers)
    try:
        if not known:
            inject_adapter_in_model(LoraConfig.from_pretrained(str(folder)), encoder, name)
        left: Any = set_peft_model_state_dict(encoder, load_file(folder / FILES[1]), adapter_name=name)
    except (OSError, RuntimeError, ValueError) as error:
        remedy = "join experts with the foundation that they were trained on"
        raise VesaliusError(f"does not fit ({error})", file=folder, remedy=remedy, code="size") from None
    if left.unexpected_keys:
        problem = f"holds weights that the encoder has no place for ({left.unexpected_keys[0]})"
        raise VesaliusError(problem, file=folder, remedy="give the delta of this encoder", code="size")
