"""What is said of a model's memory beforehand, against the peak of a process that does it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vesalius.errors import VesaliusError
from vesalius.media.volume import Volume, read_header, write_volume
from vesalius.models.promptable import open_promptable
from vesalius.nets.sam3d import Sam3DConfig, Sam3DModel
from vesalius.nets.sam3d.crop import Preprocessing

CLICK = """
import json, re, sys
from pathlib import Path
from vesalius.media.volume import read_header, read_volume
from vesalius.models.promptable import Prompt, open_promptable
model = open_promptable(sys.argv[1])
said = model.needs(read_header(sys.argv[2])).total
volume = read_volume(sys.argv[2])
middle = volume.affine[:3, :3] @ [n // 2 for n in volume.shape] + volume.affine[:3, 3]
model.open(volume).segment([Prompt(tuple(map(float, middle)))], probability=True)
peak = re.search("VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())  # ru_maxrss begins with the parent's
print(json.dumps({"said": said, "peak": 1024 * int(peak[1])}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("memory")
    config = Sam3DConfig(image_size=64, hidden_size=96, num_hidden_layers=2, num_attention_heads=4, prompt_dim=96)
    config.global_attn_indexes = [1]
    Sam3DModel(config).save_pretrained(folder / "model")
    Preprocessing(size=64).save_pretrained(folder / "model")
    for name, shape in (("small", (64, 64, 64)), ("large", (400, 400, 250))):
        data = np.random.default_rng(0).integers(0, 99, shape, np.int16)
        write_volume(folder / f"{name}.nii", Volume(data, np.eye(4)))
    return folder


@pytest.mark.parametrize("image", ["small", "large"])
def test_the_memory_said_beforehand_is_what_a_process_takes_to_a_quarter(image: str, folder: Path) -> None:
    command = [sys.executable, "-c", CLICK, f"sam3d:{folder / 'model'}?device=cpu", str(folder / f"{image}.nii")]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert 0.75 < found["said"] / found["peak"] < 1.33


def test_a_volume_that_takes_more_than_is_allowed_is_refused_by_its_header(folder: Path) -> None:
    model = open_promptable(f"sam3d:{folder / 'model'}?memory=0.55")
    assert 0.4 < model.needs(read_header(folder / "small.nii")).total / 2**30 < 0.55
    with pytest.raises(VesaliusError, match=r"would take about 0\.6 GiB, more than memory=0\.55") as caught:
        model.needs(read_header(folder / "large.nii"))
    assert caught.value.code == "memory"
