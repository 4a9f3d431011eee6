"""nnU-Net trained for a few steps and judged as any program is: phantom hospitals, its own commands, a challenge.

    python -m venv nnunet_env && nnunet_env/bin/pip install torch nnunetv2
    .venv/bin/python side_by_side/nnunet_through_the_door.py --env nnunet_env/ --out nnunet/

What it shows is that the door holds, from nnU-Net's folders to a Score table; five short epochs of a small network on
voxels of 6 mm say nothing about nnU-Net. Goes on where it was stopped, training excepted.
"""

import argparse
import json
import os
import subprocess
import time
from pathlib import Path

import polars as pl

from vesalius.bench.challenge import run_challenge
from vesalius.phantom.hospitals import make_case, plan_cases, write_tables

DATASET, PLANS, TRAINER = "Dataset701_Phantom", "nnUNetQuickPlans", "nnUNetTrainer_5epochs"
LIMITS = {"seconds": 1200, "memory_mb": 8192, "disk_mb": 1024, "processes": 256}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", type=Path, required=True, help="environment with nnunetv2")
    parser.add_argument("--out", type=Path, default=Path("nnunet"))
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    make_phantoms(out / "raw" / DATASET, arguments.seed)
    model = train(arguments.env.resolve(), out)
    url = f"nnunet=command:nnunet?model={model}&env={arguments.env}&batch=5&tta=false"
    print(f"vesalius bench run challenge.yaml -m '{url}'")
    summary = run_challenge(write_challenge(out), [url], out / "run")
    print(summary.last_line())
    print(markdown(out))


def make_phantoms(folder: Path, seed: int) -> None:
    """18 training cases of hospitals A to C, 2 test cases of each of the five; nnU-Net's layout is what is written."""
    if (folder / "dataset.json").is_file():
        return
    plans = plan_cases(seed, training=6, test=2)
    for plan in plans:
        make_case(str(folder), plan)
    write_tables(folder, plans)


def train(env: Path, out: Path) -> Path:
    """The folder of the trained model."""
    places = {"nnUNet_raw": out / "raw", "nnUNet_preprocessed": out / "preprocessed", "nnUNet_results": out / "results"}
    several = {"OMP_NUM_THREADS": "1", "nnUNet_n_proc_DA": "1", "nnUNet_compile": "F"}
    environment = os.environ | {name: str(path) for name, path in places.items()} | several
    model = out / "results" / DATASET / f"{TRAINER}__{PLANS}__2d"
    if (model / "fold_0" / "checkpoint_final.pth").is_file():
        return model

    def run(*words: str) -> None:
        started = time.perf_counter()
        print("nnUNetv2_" + " ".join(words), flush=True)
        command = [str(env / "bin" / f"nnUNetv2_{words[0]}"), *words[1:]]
        with open(out / f"{words[0]}.log", "w") as log:
            subprocess.run(command, env=environment, check=True, stdout=log, stderr=subprocess.STDOUT)
        print(f"  {time.perf_counter() - started:.0f} s", flush=True)

    run("extract_fingerprint", "-d", "701", "-np", "1", "--verify_dataset_integrity")
    coarse = ("-overwrite_target_spacing", "6", "6", "6", "-overwrite_plans_name", PLANS)
    run("plan_experiment", "-d", "701", "-gpu_memory_target", "1", *coarse)
    make_small(out / "preprocessed" / DATASET / f"{PLANS}.json")
    run("preprocess", "-d", "701", "-plans_name", PLANS, "-c", "2d", "-np", "1")
    run("train", "701", "2d", "0", "-p", PLANS, "-tr", TRAINER, "-device", "cpu")
    return model


def make_small(plans: Path) -> None:
    """A network and a batch for a processor: features 8 to 64 instead of 32 to 256, 4 slices instead of 33."""
    given = json.loads(plans.read_text())
    small = given["configurations"]["2d"]
    small["batch_size"] = 4
    stages = len(small["architecture"]["arch_kwargs"]["features_per_stage"])
    small["architecture"]["arch_kwargs"]["features_per_stage"] = [8 * 2**n for n in range(stages)]
    plans.write_text(json.dumps(given, indent=2))


def write_challenge(out: Path) -> Path:
    """The test cases as a challenge; dataset.json beside the labels names the organs."""
    file = out / "challenge.yaml"
    raw = f"raw/{DATASET}"
    file.write_text(
        f"name: phantoms\nimages: {raw}/imagesTs\nlabels: {raw}/labelsTs\nmetadata: {raw}/patients.csv\n"
        f"metrics: [dsc, nsd]\ntolerance: 4\nlimits: {json.dumps(LIMITS)}\n"
    )
    return file


def markdown(out: Path) -> str:
    """Mean DSC in percent by organ, in the hospitals of training and elsewhere; a missed organ counts 0."""
    dsc = pl.read_parquet(out / "run" / "scores.parquet").filter(metric="dsc")
    dsc = dsc.with_columns(inside=pl.col("case").str.head(1).is_in(["A", "B", "C"]))
    lines = ["| organ | A–C | D and E |", "|---|---|---|"]
    for (organ,), rows in dsc.sort("target").group_by("target", maintain_order=True):
        inside, outside = (rows.filter(inside=where)["value"].drop_nulls() for where in (True, False))
        lines.append(f"| {organ} | {100 * inside.mean():.1f} | {100 * outside.mean():.1f} |")
    cases = pl.read_csv(out / "run" / "cases.csv")
    seconds = f"{cases['seconds'].mean():.0f} s a case, {cases['memory_mb'].max():.0f} MB at most"
    return "\n".join([*lines, "", seconds])


if __name__ == "__main__":
    main()
