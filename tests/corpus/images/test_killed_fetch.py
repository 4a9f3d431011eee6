"""Killed at any moment, it goes on; and it stays small whatever it is sent."""

import gzip
import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from image_server import always, stream

from vesalius.corpus.images import Policy, Wanted, fetch_all


def run(server, folder: Path, count: int, **options) -> subprocess.Popen:
    script = Path(__file__).with_name("image_run.py")
    command = [sys.executable, str(script), str(server.port), str(folder), str(count), json.dumps(options)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_killed_in_the_middle_nothing_is_lost_and_nothing_asked_twice(server, tmp_path):
    server.slow = 0.02
    count = 90
    for signal_, most in ((signal.SIGKILL, 30), (signal.SIGTERM, 25)):
        process = run(server, tmp_path, count, per_host=2)
        assert process.stdout
        for _ in range(most):
            assert process.stdout.readline()
        process.send_signal(signal_)
        process.communicate()
    policy = Policy(allow=["127.0.0.0/8"], delay=0)
    wanted = [Wanted(f"http://{'abcd'[i % 4]}.test:{server.port}/{i}.png", f"d{i}") for i in range(count)]
    found = list(fetch_all(wanted, tmp_path, policy, lookup=lambda host: ["127.0.0.1"]))
    assert sorted(one.document for one in found) == sorted(one.document for one in wanted)
    assert all(one.ok and (tmp_path / one.path).stat().st_size == one.bytes for one in found)
    assert not list(tmp_path.glob(".parts/*")) and len(list(tmp_path.glob("??/*"))) == count
    asked = Counter(server.paths())
    # What was under way at a kill is asked again: at most what was in flight, twice.
    assert len(asked) == count and sum(asked.values()) <= count + 2 * (8 + 8)
    assert sum(one.before for one in found) >= 55


@pytest.mark.parametrize("announced", [None, 10**11])
def test_memory_stays_bounded_however_much_is_sent(server, tmp_path, announced):
    answer = stream([b"\x89PNG\r\n\x1a\n", *[bytes(1 << 20)] * 32], length=announced)
    zipped = always(
        body=gzip.compress(b"\x89PNG\r\n\x1a\n" + bytes(64 << 20), 1),
        headers={"Content-Encoding": "gzip"},
    )
    server.answers.update({f"{i}.png": zipped if i % 4 == 0 else answer for i in range(16)})
    process = run(server, tmp_path, 16, max_bytes=16 << 20, per_host=10, retries=0)
    said = json.loads(process.communicate(timeout=60)[0].splitlines()[-1])
    assert said["statuses"] == ["large"] and said["peak"] < 120, said  # MiB; 63 when this was written
    assert not list(tmp_path.glob("??/*")) and not list(tmp_path.glob(".parts/*"))
