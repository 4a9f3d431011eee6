"""Segmentation metrics side by side: values and speed of ours and of four peers, on the same masks in one run.

    .venv/bin/python side_by_side/segmentation_metrics.py [--data ../shared/data/volumes] [--peer METRICS_RELOADED]

Peers live in an environment of their own, side_by_side/.venv, made on the first run from peers.txt. MetricsReloaded
takes part where `--peer` names a checkout. Everything runs on one core. Speed is given as ratios within this run.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

PAIRS = {  # name → (prediction, reference)
    "AMOS CT, 15 organs": ("amos_0013/synthetic_perturbed_prediction.nii.gz", "amos_0013/reference.nii.gz"),
    "knee MR, 4 tissues": ("distorch_knee/b.nii.gz", "distorch_knee/a.nii.gz"),
    "spine MR, semantic": ("panoptica_spine/semantic_pred.nii.gz", "panoptica_spine/semantic_ref.nii.gz"),
    "brain tumour MR": (
        "brats_multimodel/TCGA-DU-7294/model_scan-20.nii.gz",
        "brats_multimodel/TCGA-DU-7294/fusion_simple.nii.gz",
    ),
}
TOLERANCE = 2.0
SHOWN = ("dsc", "nsd", "hd95", "nsd_voxel", "hd95_voxel", "hd95_voxel_pooled")


def environment() -> Path:
    """The peers' Python; made if it is not there."""
    python = HERE / ".venv" / "bin" / "python"
    if not (HERE / ".venv" / ".made").exists():
        print("making the peers' environment (some minutes) ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", HERE / ".venv"], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE / "peers.txt"], check=True)
        (HERE / ".venv" / ".made").touch()
    return python


def peer(name: str, files: list[Path], repeats: int, path: str | None = None) -> list[dict]:
    """What one peer says of all pairs."""
    command = [environment(), HERE / "segmentation_peers.py", name, str(TOLERANCE), str(repeats)]
    command += ["--path", path] if path else []
    done = subprocess.run([*command, *files], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def ours(files: list[Path], metrics: tuple[str, ...], repeats: int) -> list[dict]:
    """What ours says of all pairs; masks in memory, as for the peers."""
    import nibabel
    import numpy as np

    from vesalius.bench.metrics.segmentation import score

    out = []
    for prediction_path, reference_path in zip(files[::2], files[1::2], strict=True):
        images = [nibabel.load(path) for path in (prediction_path, reference_path)]
        prediction, reference = (np.asarray(image.dataobj) for image in images)
        spacing = tuple(float(s) for s in images[1].header.get_zooms()[:3])
        labels = [int(v) for v in np.unique(reference) if v and (prediction == v).any()]
        seconds = []
        for _ in range(repeats + 1):  # the first compiles or loads the kernels
            start = time.perf_counter()
            records = score(prediction, reference, spacing, labels, metrics, TOLERANCE)
            seconds.append(time.perf_counter() - start)
        values: dict[str, dict[str, float]] = {}
        for record in records:
            values.setdefault(record["target"], {})[record["metric"]] = record["value"]
        out.append({"seconds": min(seconds[1:]), "values": values})
    return out


def reading(files: list[Path], repeats: int = 5) -> list[dict[str, float]]:
    """Seconds to read a pair (with isal and with nibabel) and to do all that `bench score` does for it."""
    import nibabel
    import numpy as np

    from vesalius.bench import score_case
    from vesalius.formats.masks import entry_of
    from vesalius.media.volume import read_labels

    def best(function) -> float:
        seconds = []
        for _ in range(repeats):
            score_case._cached.cache_clear()
            start = time.perf_counter()
            function()
            seconds.append(time.perf_counter() - start)
        return min(seconds)

    out = []
    for pair in zip(files[::2], files[1::2], strict=True):
        job = score_case.Case("m", "c", *(entry_of(path) for path in pair))
        out.append(
            {
                "isal": best(lambda pair=pair: [read_labels(path) for path in pair]),
                "nibabel": best(lambda pair=pair: [np.asarray(nibabel.load(path).dataobj) for path in pair]),
                "score": best(lambda job=job: score_case.score_case(job)),
            }
        )
    return out


def agreement(values: list[dict], theirs: list[dict]) -> dict[str, float]:
    """Largest absolute difference for each metric that both give, over all labels of all pairs."""
    worst: dict[str, float] = {}
    for a, b in zip(values, theirs, strict=True):
        for label, metrics in b["values"].items():
            for name, value in metrics.items():
                worst[name] = max(worst.get(name, 0.0), abs(value - a["values"][label][name]))
    return worst


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows])


def machine() -> str:
    """The processor, without the machine's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    words = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{words[0] if words else platform.machine()}, one core, Python {platform.python_version()}"


def main() -> None:
    """Runs everything and prints Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data" / "volumes")
    parser.add_argument("--peer", help="a checkout of MetricsReloaded")
    arguments = parser.parse_args()
    files = [arguments.data / path for pair in PAIRS.values() for path in pair]
    if missing := [path for path in files if not path.exists()]:
        sys.exit(f"{missing[0]}: no such file — name the folder of volumes with --data")

    everything = ours(files, SHOWN, 1)
    fast = ours(files, ("dsc", "nsd", "hd95"), 5)
    peers = {
        name: peer(name, files, 3 if name == "surface_distance" else 1)
        for name in ("surface_distance", "monai", "panoptica")
    }
    if arguments.peer:
        peers["metrics_reloaded"] = peer("metrics_reloaded", files, 1, arguments.peer)

    print(f"Machine: {machine()}. Tolerance of NSD {TOLERANCE:g} mm.\n")
    print("Seconds for DSC + NSD + HD95 of all labels, masks in memory, and how many times ours is faster:\n")
    header = ["", "ours", *(f"{name}" for name in peers)]
    rows = []
    for i, name in enumerate(PAIRS):
        mine = fast[i]["seconds"]
        rows.append(
            [
                name,
                f"{mine:.3f} s",
                *(f"{p[i]['seconds']:.2f} s ({p[i]['seconds'] / mine:.0f}×)" for p in peers.values()),
            ]
        )
    print(table(header, rows))

    print("\nThe whole of `bench score` for one case against reading its two files (the floor is 1):\n")
    rows = []
    for name, r in zip(PAIRS, reading(files), strict=True):
        ratios = (f"{r['score'] / r[reader]:.2f}" for reader in ("isal", "nibabel"))
        rows.append([name, *(f"{r[key]:.3f} s" for key in ("isal", "nibabel", "score")), *ratios])
    print(table(["", "read (ours)", "read (nibabel)", "score", "score / our read", "score / nibabel's"], rows))

    print(
        "\nLargest difference between ours and each peer, over all labels of all pairs, for the definition it uses:\n"
    )
    differences = {name: agreement(everything, p) for name, p in peers.items()}
    rows = [[m, *(f"{d[m]:.1e}" if m in d else "" for d in differences.values())] for m in SHOWN]
    print(table(["", *peers], rows))

    print("\npanoptica's NSD is the mean of the two directed shares, ours and the others' the share of both together.")
    print("\nWhich definition gives which number (AMOS, first five labels):\n")
    values = everything[0]["values"]
    rows = [[f"label {k}", *(f"{values[k][m]:.4f}" for m in SHOWN)] for k in list(values)[:5]]
    given = {m: [n for n, d in differences.items() if m in d] for m in SHOWN}
    rows.append(["given by", *(", ".join(["ours", *given[m]]) for m in SHOWN)])
    print(table(["", *SHOWN], rows))


if __name__ == "__main__":
    main()
