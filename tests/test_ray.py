"""A real cluster of two workers: the same results as here, and the death of a worker costs nothing."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import psutil
import pytest
from typer.testing import CliRunner

from vesalius.cli import app
from vesalius.corpus.build import build
from vesalius.corpus.build.recipe import Recipe
from vesalius.corpus.frames import on_cluster, workers
from vesalius.errors import VesaliusError
from vesalius.media.volume import Volume, write_volume
from vesalius.run import Run, Unit, work

# Not importorskip: Ray reads how it proves who it is when it is imported, and `connect` says so before.
pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """`ray start --head`, as on a cluster; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", f"--port={port}", "--num-cpus=2", "--block",
        "--include-dashboard=false", f"--temp-dir={tmp_path_factory.mktemp('ray')}", "--disable-usage-stats",
        "--node-ip-address=127.0.0.1", "--object-store-memory=100000000",
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    head = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    address = f"127.0.0.1:{port}"
    until = time.monotonic() + 120
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert head.poll() is None and time.monotonic() < until, "the cluster did not start"
            time.sleep(0.3)
    yield address
    for process in [*psutil.Process(head.pid).children(recursive=True), head]:
        process.kill()
    head.wait(30)


def double(number: int, flag: str) -> int:
    """Dies once at 3, fails at 5."""
    if number == 3 and not Path(flag).exists():
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 5:
        raise VesaliusError("is five", case="5")
    return 2 * number


def place(number: int, flag: str) -> bool:
    return on_cluster() and workers() >= 2


def test_a_task_of_a_cluster_knows_it_so_that_daft_works_there(cluster, tmp_path):
    units = [Unit("1", "s", (1, ""))]
    with Run(tmp_path / "a.run") as state:
        work(state, units, place, crashed=lambda unit, error: str(error), label="asking", ray=cluster)
        assert [payload for _, payload, _, _ in state.payloads(units)] == [True]
    assert not on_cluster() and workers() == 1


def test_a_map_survives_the_death_of_a_worker_and_names_the_unit_that_fails(cluster, tmp_path):
    units = [Unit(str(i), "s", (i, str(tmp_path / "flag"))) for i in range(8)]
    with Run(tmp_path / "a.run") as state:
        done = work(state, units, double, crashed=lambda unit, error: str(error), label="doubling", ray=cluster)
        found = {unit.key: (payload, kind) for unit, payload, _, kind in state.payloads(units)}
        assert work(state, units[:3], double, crashed=lambda unit, error: "", label="again", ray=cluster) == 0
    assert done == 8 and (tmp_path / "flag").exists()
    assert found.pop("5") == ("case 5: is five", "crashed")
    assert found == {str(i): (2 * i, "done") for i in range(8) if i != 5}


def test_no_cluster_is_one_line_that_says_how_to_start_one(tmp_path):
    with Run(tmp_path / "a.run") as state, pytest.raises(VesaliusError, match=r"no Ray cluster answers at .*ray start"):
        work(state, [Unit("1", "s", (1, ""))], double, crashed=lambda unit, error: "", label="x", ray="127.0.0.1:1")


def test_bench_score_gives_the_same_table_on_a_cluster(cluster, tmp_path):
    rng = np.random.default_rng(0)
    for folder in ("reference", "prediction"):
        for case in "abc":
            mask = (rng.random((12, 12, 12)) > 0.5).astype(np.uint8)
            write_volume(tmp_path / folder / f"{case}.nii.gz", Volume(mask, np.eye(4)))
    tables = []
    for name, more in (("here", []), ("there", ["--ray", cluster])):
        out = tmp_path / f"{name}.parquet"
        asked = ["bench", "score", str(tmp_path / "prediction"), str(tmp_path / "reference"), "--out", str(out), *more]
        told = CliRunner().invoke(app, asked)
        assert told.exit_code == 0, told.output
        tables.append(pl.read_parquet(out).drop("seconds"))
    assert tables[0].equals(tables[1]) and len(tables[0]) > 3


def test_a_corpus_built_on_a_cluster_is_the_same(cluster, tmp_path):
    words = "the liver of a patient was seen with contrast and that lesion in the left lobe is to be followed"
    (tmp_path / "in").mkdir()
    for number in range(300):
        rng = random.Random(number // 2)  # every page twice
        paragraphs = "".join(f"<p>{' '.join(rng.choices(words.split(), k=60))}.</p>" for _ in range(3))
        page = f"<html><body><article><h1>Page</h1>{paragraphs}</article></body></html>"
        (tmp_path / "in" / f"{number}.html").write_text(page)
    few = {"heuristics": (), "feedback": False, "privacy": False, "languages": ()}
    for name, address in (("here", None), ("there", cluster)):
        build(Recipe(sources=(str(tmp_path / "in"),), output=tmp_path / name, **few), workers=2, ray=address)
    here, there = [json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("here", "there")]
    assert here["shards"] == there["shards"] and sum(shard["documents"] for shard in here["shards"]) == 150
    assert here["contents"] == there["contents"] and here["contents"]["site"][0]["dropped"] == 150  # Daft, on both


def test_bench_run_gives_the_same_answers_on_a_cluster(cluster, tmp_path):
    file = tmp_path / "q.jsonl"
    rows = [
        {"id": str(i), "question": f"Which of them is {i}?", "A": "one", "B": "two", "answer": "A"} for i in range(40)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    answers = []
    for name, more in (("here", []), ("there", ["--ray", cluster])):
        asked = ["bench", "run", str(file), "-m", "random:7", "--out", str(tmp_path / name), "--json", *more]
        told = CliRunner().invoke(app, asked)
        assert told.exit_code == 0, told.output
        with Run(tmp_path / name / "run.sqlite", read_only=True) as state:
            found = state.connection.execute(
                "SELECT key, payload FROM units WHERE state = 'done' ORDER BY key"
            ).fetchall()
        answers.append([(key, {**json.loads(payload), "seconds": None}) for key, payload in found])
    assert answers[0] == answers[1] and len(answers[0]) == 40
