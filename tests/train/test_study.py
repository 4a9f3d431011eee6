"""A whole study by the command, small: its order and its files are those of the real one, its numbers mean nothing."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import yaml

SIZES = {
    "image_size": 16, "patch_size": 4, "hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
    "mlp_ratio": 2, "window_size": 4, "global_attn_indexes": [0], "prompt_dim": 24, "mask_in_chans": 16,
    "decoder_heads": 1, "decoder_mlp_dim": 32, "num_multimask_outputs": 0, "iou_head_hidden_dim": 8,
    "exchanged_axes": False,
}  # fmt: skip
STUDY = {
    "tasks": ["pancreas"], "seeds": [1], "training": 2, "validation": 1, "test": 1, "after": [1], "sizes": SIZES,
    "cropping": {"spacing": 12.0, "clip": [-200, 300], "pad": -200, "lattice": 4},
    "interaction": {"clicks": 2}, "curve": 2, "calibration": 4, "judged": 1,
    "warmup": {"steps": 2, "learning_rate": 1.0e-3}, "general": {"steps": 4, "learning_rate": 1.0e-3},
    "expert": {"steps": 2, "learning_rate": 1.0e-3}, "gate": {"steps": 2, "learning_rate": 1.0e-3},
}  # fmt: skip


def test_a_study_trains_clicks_judges_and_draws_its_plateau(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    command = [sys.executable, "-m", "vesalius", "study", "study.yaml", "--out", "out"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}

    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "joined model" in done.stdout and "report.html" in done.stdout
    scores = pl.read_parquet(tmp_path / "out" / "scores.parquet")
    assert set(scores["model"]) == {"generalist", "continued", "tuned", "joined", "expert pancreas", "seeds"}
    assert set(scores.filter(pl.col("model") == "expert pancreas")["target"]) == {"pancreas"}
    assert {name[:3] for name in scores["case"]} == {"s1-"} and scores["case"].n_unique() == 5
    assert len(pl.read_csv(tmp_path / "out" / "plateau.csv")) == 2 and (tmp_path / "out" / "plateau.png").is_file()
