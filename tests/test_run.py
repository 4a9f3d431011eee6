"""Runs: nothing twice, nothing lost, whatever dies."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vesalius.errors import VesaliusError
from vesalius.run import Run, Unit, file_stamp, fingerprint, replacing, work


def square(x, folder):
    """Leaves a mark for each call, so that tests can count them."""
    with open(Path(folder) / f"calls-{os.getpid()}", "a") as stream:
        stream.write(f"{x}\n")
    if x == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if x == "hang":
        time.sleep(600)
    if x == "bug":
        raise RuntimeError("a defect")
    if x == "no JSON":
        return {1, 2}
    if x == "exit":
        sys.exit(3)
    if x == "odd error":
        raise Unpicklable
    if x == "slow":
        time.sleep(0.2)
        return 0
    return x * x


class Unpicklable(Exception):
    def __reduce__(self):
        raise TypeError("not to be pickled")


def calls(folder):
    return [line for file in Path(folder).glob("calls-*") for line in file.read_text().split()]


def units(values, folder, stamp="1"):
    return [Unit(f"{i}", stamp, (value, str(folder))) for i, value in enumerate(values)]


def crashed(unit, error):
    return f"failed: {error.code}"


def results(run, jobs):
    return [payload for _, payload, _, _ in run.payloads(jobs)]


def test_a_worker_that_dies_hangs_or_fails_costs_one_unit(tmp_path):
    jobs = units([1, "die", 2, "hang", 3, "bug", "no JSON", "exit", "odd error", 4], tmp_path)
    with Run(tmp_path / "run.sqlite") as run:
        work(run, jobs, square, crashed=crashed, label="test", workers=2, timeout=3)
        expected = [1, "failed: crashed", 4, "failed: timeout", 9, *["failed: crashed"] * 4, 16]
        assert results(run, jobs) == expected


def test_what_is_done_is_not_done_again_and_what_crashed_is(tmp_path):
    jobs = units([1, 2, "die"], tmp_path)
    for expected in (3, 1):
        with Run(tmp_path / "run.sqlite") as run:
            assert work(run, jobs, square, crashed=crashed, label="test", workers=1) == expected
    assert sorted(calls(tmp_path)) == ["1", "2", "die", "die"]


def threads():
    """How many threads numpy's and torch's libraries take here."""
    import torch
    from threadpoolctl import threadpool_info

    return max(torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info()))


def test_a_worker_computes_with_one_thread_unless_the_user_says_otherwise(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    script = tmp_path / "driver.py"
    script.write_text(ALONE)
    command = [sys.executable, str(script), str(tmp_path), str(Path(__file__).parent)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == [1]


ALONE = """
import sys
sys.path.insert(0, sys.argv[2])
from test_run import *
if __name__ == "__main__":
    with Run(sys.argv[1] + "/run.sqlite") as run:
        jobs = [Unit("threads", "1", ())]
        work(run, jobs, threads, crashed=crashed, label="test", workers=1)
        print(results(run, jobs))
"""


def has_imported(module):
    """Whether the process has it already."""
    return module in sys.modules


def test_workers_begin_with_what_was_preloaded(tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(PRELOADED)
    command = [sys.executable, str(script), str(tmp_path), str(Path(__file__).parent)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == "[True]\n"


PRELOADED = """
import sys
sys.path.insert(0, sys.argv[2])
from test_run import *
from vesalius.run import preload
if __name__ == "__main__":
    preload("chunk")
    with Run(sys.argv[1] + "/run.sqlite") as run:
        jobs = [Unit("imported", "1", ("chunk",))]
        work(run, jobs, has_imported, crashed=crashed, label="test", workers=1)
        print(results(run, jobs))
"""


def test_ctrl_c_while_libraries_are_preloaded_is_the_drivers_business(tmp_path):
    (tmp_path / "slow_module.py").write_text("import time; print('begun', flush=True); time.sleep(3)")
    code = "from vesalius.run import preload; preload('slow_module'); import time; time.sleep(60)"
    driver = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(tmp_path)}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert driver.stdout.readline() == "begun\n"
    os.killpg(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=60)
    assert said.count("KeyboardInterrupt") == 1 and "slow_module" not in said  # the driver's own


def half_then_whole(folder, name):
    """A unit whose documents grow on disk while it is at work, as chunks do."""
    (Path(folder) / name).write_text("50")
    time.sleep(2.5)
    return 100


def test_the_bar_tells_documents_a_second_while_units_are_at_work_without_those_of_an_earlier_run(tmp_path, capfd):
    for name, before in (("new", "0"), ("resumed", "40")):
        (tmp_path / name).write_text(before)
    jobs = [Unit(name, "1", (str(tmp_path), name)) for name in ("new", "resumed")]
    told = []

    def holds(unit, payload):
        found = int((tmp_path / unit.key).read_text()) if payload is None else payload
        told.append((unit.key, found))
        return found

    with Run(tmp_path / "a.run") as run:
        assert work(run, jobs, half_then_whole, crashed=crashed, label="reading", workers=2, holds=holds) == 2
    assert ("new", 50) in told  # while it was at work
    shown = capfd.readouterr().err
    assert re.search(r"160 documents, [\d.]+/s", shown) and "200 documents" not in shown


def test_what_is_forgotten_is_done_again(tmp_path):
    jobs = units([1, 2], tmp_path)
    with Run(tmp_path / "run.sqlite") as run:
        work(run, jobs, square, crashed=crashed, label="test", workers=1)
        run.forget(jobs[0])
        assert run.left(jobs) == jobs[:1]


def begin_and_end(folder, name):
    """Says when it was at work."""
    begun = time.monotonic()
    time.sleep(0.1)
    (Path(folder) / name).write_text(json.dumps([begun, time.monotonic()]))


def test_a_unit_begins_after_those_that_it_names_and_others_do_not_wait(tmp_path):
    later = {"c": ("a", "b"), "d": ("c", "gone"), "e": ()}
    jobs = [Unit(name, "1", (str(tmp_path), name), later.get(name, ())) for name in "dcabe"]
    with Run(tmp_path / "run") as run:
        assert work(run, jobs, begin_and_end, crashed=crashed, label="", workers=2) == 5
    begun, ended = ({n: json.loads((tmp_path / n).read_text())[i] for n in "abcde"} for i in (0, 1))
    assert begun["c"] >= max(ended["a"], ended["b"]) and begun["d"] >= ended["c"] and begun["e"] < ended["d"]


def test_changed_inputs_are_done_again(tmp_path):
    with Run(tmp_path / "run.sqlite") as run:
        work(run, units([1, 2], tmp_path), square, crashed=crashed, label="test")
        assert len(run.left(units([1, 2], tmp_path, stamp="2"))) == 2


DRIVER = """
import sys
sys.path.insert(0, sys.argv[2])
from test_run import *
if __name__ == "__main__":
    with Run(sys.argv[1] + "/run.sqlite") as run:
        work(run, units(["slow"] * 30, sys.argv[1]), square, crashed=crashed, label="test", workers=2)
"""


def start_driver(folder):
    script = folder / "driver.py"
    script.write_text(DRIVER)
    command = [sys.executable, script, str(folder), str(Path(__file__).parent)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def done(folder):
    try:
        return sqlite3.connect(folder / "run.sqlite").execute("SELECT count(*) FROM units").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def wait_until(condition, seconds=60):
    stop = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < stop, "waited too long"
        time.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_driver_goes_on_where_it_was_and_leaves_no_worker(tmp_path, how):
    driver = start_driver(tmp_path)
    wait_until(lambda: done(tmp_path) >= 3)
    driver.send_signal(how)
    _, errors = driver.communicate(timeout=30)
    if how != signal.SIGKILL:
        assert "the same command goes on from here" in errors
    before = done(tmp_path)
    workers = [int(f.name.split("-")[1]) for f in tmp_path.glob("calls-*")]
    wait_until(lambda: not any(_alive(pid) for pid in workers), 15)
    assert 3 <= before < 30
    driver = start_driver(tmp_path)
    assert driver.communicate(timeout=60) and driver.returncode == 0
    assert done(tmp_path) == 30
    assert len(calls(tmp_path)) <= 30 + 4, "only what was in flight may be done again"


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def test_two_drivers_of_one_run_are_refused(tmp_path):
    with Run(tmp_path / "run.sqlite") as run:
        run.set_fact("driver", [__import__("socket").gethostname(), os.getppid()])
        with pytest.raises(VesaliusError, match=f"process {os.getppid()} is writing this run"):
            Run(tmp_path / "run.sqlite")
        run.set_fact("driver", [__import__("socket").gethostname(), 2**22 + 1])  # a process that is gone
        Run(tmp_path / "run.sqlite").close()


def test_a_file_that_is_no_run_is_refused_in_words(tmp_path):
    (tmp_path / "run.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(VesaliusError, match="is no state of a run"):
        Run(tmp_path / "run.sqlite")


def test_fingerprints_follow_values_not_order():
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1}) != fingerprint({"a": 1, "b": [3]})


def test_stamps_change_with_a_file_and_with_a_folders_files(tmp_path):
    (tmp_path / "a").write_text("1")
    before = file_stamp(tmp_path)
    (tmp_path / "a").write_text("22")
    assert json.dumps(before) != json.dumps(file_stamp(tmp_path))


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1
