"""Kill −9 at random moments of a run: every question is answered exactly once, and next to none is asked twice."""

import collections
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

N, KILLS, CONCURRENCY = 2000, 10, 16


@pytest.mark.timeout(280)
def test_ten_kills_of_a_run_lose_nothing_and_ask_only_what_was_in_flight_again(tmp_path, start_stub):
    questions = tmp_path / "set.jsonl"
    rows = [
        {"id": f"q{i}", "question": f"Which of these, number {i}?", "options": ["a", "b", "c"], "answer": "B"}
        for i in range(N)
    ]
    questions.write_text("\n".join(map(json.dumps, rows)))
    stub, run = start_stub(0.003), tmp_path / "run"
    log = stub.log
    command = [
        sys.executable,
        "-m",
        "vesalius",
        "bench",
        "run",
        questions,
        "-m",
        f"m=openai:stub@{stub.url}?concurrency={CONCURRENCY}",
        "-o",
        run,
    ]
    rng = random.Random(0)
    killed = 0
    while killed < KILLS:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = _lines(log)
        want = before + rng.randint(1, N // KILLS)
        while _lines(log) < want and process.poll() is None:
            time.sleep(0.002)
        time.sleep(rng.random() * 0.02)
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        killed += 1
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert killed == KILLS
    assert "2,000" in done.stdout
    asked = collections.Counter(json.loads(line)["words"] for line in log.read_text().splitlines())
    assert len(asked) == N
    assert sum(asked.values()) - N <= KILLS * CONCURRENCY
    with sqlite3.connect(run / "run.sqlite") as found:
        states = found.execute("SELECT state, count(*) FROM units GROUP BY state").fetchall()
        planned = found.execute(
            "SELECT count(*), count(DISTINCT unit) FROM plan JOIN units ON units.key = plan.unit"
        ).fetchone()
    assert states == [("done", N)]
    assert planned == (N, N)


def _lines(path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0
