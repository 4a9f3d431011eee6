"""Near-duplicates among documents side by side: ours, datatrove's MinHash and Daft's on the same copies, one core.

    .venv/bin/python side_by_side/deduplication.py [--sizes 3000 10000 30000 100000] [--peer-sizes 3000 10000]

Documents are 150 words of a vocabulary of 20,000, drawn by Zipf's law; a fifth are copies of others with up to a tenth
of their words changed. The truth is the Jaccard similarity of sets of word 5-grams, asked of each copy and its original
(random texts share none). Told are recall by bin of similarity, precision at 0.8 (pairs that were joined although they
are less alike), seconds, and the largest memory of the process. datatrove: its defaults (14 buckets of 8, 5-grams).
Daft: as its guide to MinHash does it, with the same bands; what shares one is joined. "ours by Daft" is what runs on a
Ray cluster: ours, but Daft brings together what shares a band.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
BINS = ((0.5, 0.7), (0.7, 0.8), (0.8, 0.85), (0.85, 0.9), (0.9, 0.95), (0.95, 1.01))


def planted(size: int, path: Path) -> dict[str, float]:
    """Writes `size` documents as JSON lines; similarity of each copy (by id) with its original."""
    draw = random.Random(size)
    vocabulary = [f"{draw.choice('bcdfglmnprst')}{i:x}" for i in range(20_000)]
    weights = [1 / (i + 10) for i in range(len(vocabulary))]
    originals = size * 4 // 5
    words = draw.choices(vocabulary, weights, k=originals * 150)
    truth, lines = {}, []
    for number in range(originals):
        own = words[number * 150 : number * 150 + 150]
        lines.append({"id": f"o{number}", "text": " ".join(own)})
        if number < size - originals:
            share = draw.random() * 0.1
            copy = [draw.choice(vocabulary) if draw.random() < share else word for word in own]
            lines.append({"id": f"c{number}", "text": " ".join(copy)})
            one, other = ({tuple(text[i : i + 5]) for i in range(146)} for text in (own, copy))
            truth[f"c{number}"] = len(one & other) / len(one | other)
    draw.shuffle(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return truth


def of_ours(path: str, by_daft: bool = False) -> dict:
    """Clusters and seconds."""
    import polars as pl

    from vesalius.corpus.dedup import ClusterGroups, Groups, duplicates, sign
    from vesalius.corpus.document import Document

    with open(path, encoding="utf-8") as lines, tempfile.TemporaryDirectory() as folder:
        documents = (Document(line["id"], (line["text"],)) for line in map(json.loads, lines))
        list(sign([Document("", ("a text to load what is compiled",))]))
        groups = ClusterGroups if by_daft else Groups
        duplicates(sign([Document("", ("a text",))]), folder, groups=groups)
        start = time.perf_counter()
        found = duplicates(sign(documents), folder, groups=groups)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "clusters": dict(pl.read_parquet(found.table).select("id", "cluster").rows())}


def of_datatrove(path: str) -> dict:
    """Its four steps; cluster ids as it writes them beside the documents that stay or go."""
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
    from datatrove.pipeline.readers import JsonlReader

    with tempfile.TemporaryDirectory() as place:
        folder, config = Path(place), MinhashConfig()
        reader = lambda: JsonlReader(str(Path(path).parent), glob_pattern=Path(path).name)  # noqa: E731
        signatures, buckets, clusters = (str(folder / name) for name in ("signatures", "buckets", "clusters"))
        start = time.perf_counter()
        MinhashDedupSignature(signatures, config=config).run(reader().run(None, 0, 1), 0, 1)
        for bucket in range(config.num_buckets):
            MinhashDedupBuckets(signatures, buckets, config=config).run(None, bucket, config.num_buckets)
        MinhashDedupCluster(buckets, clusters, config=config, save_cluster_id=True, ignore_index_matches=True).run(
            None, 0, 1
        )
        found = {}
        step = MinhashDedupFilter(clusters, load_cluster_ids=True)
        kept = [(document.id, document.metadata) for document in step.run(reader().run(None, 0, 1), 0, 1)]
        seconds = time.perf_counter() - start
        left = {name for name, _ in kept}
        found = {name: name for name in left}
        return {"seconds": seconds, "left": sorted(found)}


def of_daft(path: str) -> dict:
    """MinHash, bands, groups by band, in Daft; the pairs these give are joined in memory."""
    import os

    os.environ |= {"DO_NOT_TRACK": "1", "DAFT_ANALYTICS_ENABLED": "0", "DAFT_PROGRESS_BAR": "0"}
    import daft
    import numpy as np
    from daft import col
    from daft import functions as f

    from vesalius.corpus.dedup.union import flatten, link_all

    bands, rows, words = range(14), 8, daft.DataType.list(daft.DataType.string())

    def band(number: int) -> daft.Expression:
        hashes = f.slice(col("text"), rows * number, rows * (number + 1))
        return f.hash(f.list_join(hashes.cast(words), " "))

    daft.set_runner_native(1)
    start = time.perf_counter()
    signatures = f.minhash(col("text"), num_hashes=len(bands) * rows, ngram_size=5)
    signed = daft.read_json(path).select(col("id"), signatures.cast(daft.DataType.list(daft.DataType.uint32())))
    keys = signed.select(
        col("id"), f.to_list(*map(band, bands)).alias("key"), f.to_list(*map(daft.lit, bands)).alias("band")
    )
    groups = keys.explode("key", "band").groupby("key", "band").agg(col("id").list_agg())
    shared = groups.where(f.list_count(col("id")) > 1).to_pydict()["id"]
    numbers = {name: i for i, name in enumerate(sorted({name for group in shared for name in group}))}
    first = [numbers[group[0]] for group in shared for _ in group]
    second = [numbers[name] for group in shared for name in group]
    parents = np.arange(len(numbers))
    link_all(parents, np.array(first), np.array(second))
    flatten(parents)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "clusters": {name: int(parents[i]) for name, i in numbers.items()}}


ROLES = {
    "ours": of_ours,
    "ours by Daft": lambda path: of_ours(path, by_daft=True),
    "Daft": of_daft,
    "datatrove": of_datatrove,
}


def asked(python: str, role: str, path: Path) -> dict:
    """The answer of this file in a process of its own, on one core, and how much memory that took."""
    code = f"import resource, runpy, sys; sys.argv = {[__file__, '--role', role, '--value', str(path)]!r}\n"
    code += f"runpy.run_path({__file__!r}, run_name='__main__')\n"
    code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    one = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    command = ["taskset", "-c", "0", python, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=one)
    if done.returncode:
        sys.exit(f"{role} failed:\n{done.stderr[-2000:]}")
    *_, answer, memory = done.stdout.splitlines()
    return json.loads(answer) | {"memory": int(memory) / 1024}


def judged(answer: dict, truth: dict[str, float]) -> tuple[list[str], str]:
    """Recall by bin; precision at 0.8 of what was joined."""
    if "clusters" in answer:
        clusters = answer["clusters"]
        joined = {name for name in truth if name in clusters and clusters[name] == clusters.get(f"o{name[1:]}")}
    else:  # of each pair it removes one
        left = set(answer["left"])
        joined = {name for name in truth if name not in left or f"o{name[1:]}" not in left}
    recall = []
    for low, high in BINS:
        inside = [name for name, value in truth.items() if low <= value < high]
        recall.append(f"{sum(name in joined for name in inside) / len(inside):.3f}" if inside else "–")
    right = sum(truth[name] >= 0.8 for name in joined)
    return recall, f"{right / len(joined):.3f}" if joined else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[3000, 10_000, 30_000, 100_000])
    parser.add_argument("--peer-sizes", type=int, nargs="*", default=[3000, 10_000])
    parser.add_argument("--python", default=str(HERE / ".venv" / "corpus" / "bin" / "python"), help="with datatrove")
    parser.add_argument("--role", help=argparse.SUPPRESS)
    parser.add_argument("--value", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        print("\n" + json.dumps(ROLES[options.role](options.value)))
        return
    bins = " | ".join(f"{low}–{min(high, 1)}" for low, high in BINS)
    print(f"| | documents | s | µs a document | MB | recall {bins} | precision at 0.8 |\n|" + "---|" * (6 + len(BINS)))
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "documents.jsonl"
            truth = planted(size, path)
            for name in ROLES if size in options.peer_sizes else [name for name in ROLES if name != "datatrove"]:
                answer = asked(options.python if name == "datatrove" else sys.executable, name, path)
                recall, precision = judged(answer, truth)
                each = answer["seconds"] / size * 1e6
                numbers = f"{size:,} | {answer['seconds']:.2f} | {each:.0f} | {answer['memory']:.0f}"
                print(f"| {name} | {numbers} | {' | '.join(recall)} | {precision} |", flush=True)


if __name__ == "__main__":
    main()
