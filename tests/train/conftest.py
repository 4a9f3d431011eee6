"""A little labelled world on which trainings take seconds: balls and rods in noise, in nnU-Net's layout."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from vesalius.media.volume import Volume, write_volume

SIZES = {
    "image_size": 16, "patch_size": 4, "hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
    "mlp_ratio": 2, "window_size": 4, "global_attn_indexes": [0], "prompt_dim": 24, "mask_in_chans": 16,
    "decoder_heads": 2, "decoder_mlp_dim": 32, "num_multimask_outputs": 0, "iou_head_hidden_dim": 8,
    "exchanged_axes": False,
}  # fmt: skip


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    for number in range(4):
        rng = np.random.default_rng(number)
        image = rng.normal(40, 10, (24, 22, 18))
        labels = np.zeros(image.shape, np.uint8)
        x, y, z = np.meshgrid(*[np.arange(n) for n in image.shape], indexing="ij")
        ball = (x - 8 - rng.integers(3)) ** 2 + (y - 10) ** 2 + (z - 9) ** 2 < 16
        rod = (x - 17) ** 2 + (y - 12 + rng.integers(3)) ** 2 < 6
        labels[ball], labels[rod] = 1, 2
        image += 80 * ball + 40 * rod
        affine = np.diag([3.0, 3.0, 4.0, 1.0])
        name = f"case{number}"
        write_volume(folder / "imagesTr" / f"{name}_0000.nii.gz", Volume(image.astype(np.int16), affine))
        write_volume(folder / "labelsTr" / f"{name}.nii.gz", Volume(labels, affine))
    names = {"labels": {"background": 0, "ball": 1, "rod": 2}, "file_ending": ".nii.gz"}
    (folder / "labelsTr" / "dataset.json").write_text(json.dumps(names))
    (folder / "patients.csv").write_text("case,site\n" + "".join(f"case{i},{'AB'[i % 2]}\n" for i in range(4)))
    return folder


@pytest.fixture
def write_recipe(world: Path, tmp_path: Path):
    """Writes a recipe of `sam3d/pretrain`, or of what is given instead; returns its path."""

    def write(name: str = "recipe", **changes: Any) -> Path:
        base: dict[str, Any] = {
            "task": "sam3d/pretrain", "output": f"out_{name}", "steps": 8, "batch_size": 2, "learning_rate": 1e-3,
            "schedule": {"kind": "cosine", "warmup": 0.1}, "start": {"sizes": SIZES},
            "cropping": {"spacing": 4.0, "lattice": 4}, "interaction": {"clicks": 5, "iou": 0.1}, "least": 5,
            "jitter": 2, "cache": "memory", "data": [{"folder": str(world)}], "log_every": 1, "save_every": 3,
            "loaders": 0, "judging": {"after": [1, 2], "cases": 1},
        }  # fmt: skip
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({key: v for key, v in {**base, **changes}.items() if v is not None}))
        return path

    return write
