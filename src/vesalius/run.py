"""What of a long job is done, and a map over what is left; what ran, where, with which versions.

The state of a run is one SQLite file with a row a unit of work (a case of a model, a sample, a shard). Only the driver
writes; workers are processes that may die or hang and cost one unit each. Kill the driver at any moment and start it
again: units whose inputs and settings are the same are not done twice. Leaves what a unit is, and what a failed one
means, to callers.
"""

import contextlib
import ctypes
import hashlib
import json
import multiprocessing
import os
import platform
import signal
import socket
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from vesalius.errors import VesaliusError

TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS units (
  key TEXT PRIMARY KEY, stamp TEXT NOT NULL, state TEXT NOT NULL, payload TEXT NOT NULL, seconds REAL NOT NULL
);
"""


_PATIENCE = 600  # seconds to wait for somebody who reads the file with other means
_KEYS = 500  # of one query; SQLite takes 999 everywhere


@dataclass(frozen=True)
class Unit:
    """One piece of work.

    Attributes:
        key: unique within the run ("model/case").
        stamp: fingerprint of inputs and settings; another stamp means the unit has to be done again.
        arguments: what the function is called with; must pickle.
        after: keys of units of the same run that it begins after.
    """

    key: str
    stamp: str
    arguments: tuple[Any, ...]
    after: tuple[str, ...] = ()


class Interrupted(VesaliusError):
    """The user or the cluster stopped the run; what is done is kept."""

    exit_code = 130


class Run:
    """The state of one run: open it, ask what is left, record what came; or, `read_only`, look at another's.

    Raises:
        VesaliusError: the file is no run of ours, or another process on this machine is writing it.
    """

    def __init__(self, path: str | Path, *, read_only: bool = False):
        self.path = Path(path)
        self.read_only = read_only
        if read_only:
            self.connection = self._copy()
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.connection = sqlite3.connect(self.path, timeout=_PATIENCE)
            self.connection.executescript(TABLES)
        except sqlite3.DatabaseError as error:
            remedy = "remove the file or choose another output"
            raise VesaliusError(f"is no state of a run ({error})", file=self.path, remedy=remedy) from None
        self._claim()

    def _copy(self) -> sqlite3.Connection:
        """A copy to look at, made at once: whoever reads at leisure would keep the driver from writing."""
        self._folder = tempfile.TemporaryDirectory(prefix="vesalius-")
        try:
            source = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
            copy = sqlite3.connect(Path(self._folder.name) / self.path.name)
            with contextlib.closing(source):
                source.backup(copy)
        except sqlite3.DatabaseError as error:
            remedy = "name the folder or file of a run"
            raise VesaliusError(f"is no state of a run ({error})", file=self.path, remedy=remedy) from None
        return copy

    def _claim(self) -> None:
        """One driver at a time; a claim of a process that is gone counts for nothing."""
        host, pid = self.fact("driver") or [None, None]
        if host == socket.gethostname() and pid != os.getpid() and Path(f"/proc/{pid}").exists():
            problem = f"process {pid} is writing this run"
            raise VesaliusError(problem, file=self.path, remedy="wait for it or stop it", code="busy")
        self.set_fact("driver", [socket.gethostname(), os.getpid()])

    def close(self) -> None:
        """Give the run back."""
        if not self.read_only:
            self.set_fact("driver", None)
        self.connection.close()
        if self.read_only:
            self._folder.cleanup()

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fact(self, name: str) -> Any:
        """A value kept beside the units, or None."""
        row = self.connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def set_fact(self, name: str, value: Any) -> None:
        """Keep a value (anything that JSON takes)."""
        with self.connection:
            self.connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    def left(self, units: Iterable[Unit]) -> list[Unit]:
        """Units that are not done with their present stamp; crashed ones are left again."""
        units = list(units)
        done: dict[str, str] = {}
        for start in range(0, len(units), _KEYS):
            keys = [unit.key for unit in units[start : start + _KEYS]]
            marks = ",".join("?" * len(keys))
            query = f"SELECT key, stamp FROM units WHERE state = 'done' AND key IN ({marks})"
            done.update(self.connection.execute(query, keys))
        return [unit for unit in units if done.get(unit.key) != unit.stamp]

    def record(self, unit: Unit, payload: Any, seconds: float, state: str = "done") -> None:
        """Keep what came of a unit; the key makes it once."""
        self.put(unit, payload, seconds, state)
        self.connection.commit()

    def put(self, unit: Unit, payload: Any, seconds: float, state: str = "done") -> None:
        """As `record`, but on disk only with the next `commit`, which may be for many."""
        row = (unit.key, unit.stamp, state, json.dumps(payload), seconds)
        self.connection.execute("INSERT OR REPLACE INTO units VALUES (?, ?, ?, ?, ?)", row)

    def commit(self) -> None:
        """What was put is on disk when this returns."""
        self.connection.commit()

    def payloads(self, units: Iterable[Unit]) -> Iterator[tuple[Unit, Any, float, str]]:
        """(unit, payload, seconds, state) of each unit that has one, in the order given."""
        for unit in units:
            query = "SELECT payload, seconds, state FROM units WHERE key = ? AND stamp = ?"
            row = self.connection.execute(query, (unit.key, unit.stamp)).fetchone()
            if row:
                yield unit, json.loads(row[0]), row[1], row[2]


def work(
    run: Run,
    units: Iterable[Unit],
    function: Callable[..., Any],
    *,
    crashed: Callable[[Unit, VesaliusError], Any],
    label: str,
    workers: int | None = None,
    timeout: float | None = None,
    count: Callable[[Any], bool] = lambda payload: False,
) -> int:
    """Does what is left of `units` in worker processes and records it; returns how many were done now.

    Args:
        run: where results go.
        units: the whole job; what is done already is skipped.
        function: called in a worker with a unit's arguments; importable, its result takes JSON.
        crashed: makes the payload of a unit whose worker died, hung or met an error that is not the input's.
        label: what the progress bar says ("scoring").
        workers: processes; one a core by default.
        timeout: seconds a unit may take before its worker is killed.
        count: whether a payload counts as a failure in the progress line.

    Raises:
        Interrupted: on Ctrl-C or SIGTERM, after the workers are gone.
    """
    from pebble import ProcessPool

    queue = deque(run.left(units))
    total, failures = len(queue), 0
    if not queue:
        return 0
    workers = min(workers or cores(), total)
    context = _fork_server(function.__module__)
    pool = ProcessPool(max_workers=workers, initializer=_start_worker, context=context)
    pending: dict[Any, Unit] = {}
    with sigterm_as_interrupt(), progress(label, total) as advance:
        try:
            while queue or pending:
                while len(pending) < 2 * workers and (unit := _next(queue, pending.values())):
                    pending[pool.schedule(_timed, args=(function, unit.arguments), timeout=timeout)] = unit
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    unit = pending.pop(future)
                    payload, seconds, state = _result(future, unit, crashed, timeout)
                    run.record(unit, payload, seconds, state)
                    failures += state != "done" or count(payload)
                    advance(failures)
        except KeyboardInterrupt:
            done = total - len(queue) - len(pending)
            problem = f"stopped; {done} of {total} done and kept"
            raise Interrupted(problem, file=run.path, remedy="the same command goes on from here") from None
        finally:
            pool.stop()
            pool.join()
    return total


def _next(queue: deque[Unit], pending: Iterable[Unit]) -> Unit | None:
    """Takes the first unit that waits for none that is queued or at work."""
    if queue and not queue[0].after:
        return queue.popleft()
    unfinished = {unit.key for unit in (*queue, *pending)}
    for unit in queue:
        if unfinished.isdisjoint(unit.after):
            queue.remove(unit)
            return unit
    return None


def _fork_server(preload: str) -> Any:
    """A context whose workers begin clean: fork would copy locks that threads of numpy and polars hold.

    There is a worker a core already, so libraries in them get one thread each unless the user says otherwise.
    """
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([preload])
    given = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    try:
        os.environ.update({name: value or "1" for name, value in given.items()})
        forkserver.ensure_running()
    finally:
        for name in (name for name, value in given.items() if value is None):
            del os.environ[name]
    return context


def _result(future: Any, unit: Unit, crashed: Callable[[Unit, VesaliusError], Any], timeout: float | None):
    try:
        text, seconds = future.result()
        return json.loads(text), seconds, "done"
    except TimeoutError:
        error = VesaliusError(f"took longer than {timeout:g} s and was stopped", code="timeout")
        return crashed(unit, error), float(timeout or 0), "crashed"
    except VesaliusError as error:
        return crashed(unit, error), 0.0, "crashed"
    except Exception as error:  # pebble's ProcessExpired: killed, or gone without a word
        words = f"the worker died (exit code {getattr(error, 'exitcode', '?')})"
        remedy = "was there enough memory? the same command tries it again"
        return crashed(unit, VesaliusError(words, remedy=remedy, code="crashed")), 0.0, "crashed"


def _timed(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[str, float]:
    """In the worker. Whatever goes wrong becomes an error that pickles: a defect costs this unit, not the run."""
    start = time.perf_counter()
    try:
        result = json.dumps(function(*arguments))
    except VesaliusError:
        raise
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        words = f"{type(error).__name__}: {error} ({Path(frame.filename).name}, line {frame.lineno})"
        raise VesaliusError(words, remedy="please report this", code="crashed") from None
    return result, time.perf_counter() - start


def _start_worker() -> None:
    """Ctrl-C is the driver's business, and no worker outlives it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: of the fork server, which ends with the driver


@contextlib.contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Slurm ends jobs with SIGTERM: stop as cleanly as on Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def console() -> Any:
    """Where progress is shown: standard error, and nowhere in worker processes, whose driver has a bar of its own."""
    from rich.console import Console

    return Console(stderr=True, quiet=multiprocessing.parent_process() is not None)


@contextlib.contextmanager
def progress(label: str, total: int | None) -> Iterator[Callable[..., None]]:
    """A bar on standard error with count, rate, failures and remaining time.

    Yields `advance(failures, by=1, kept=0)`: how many failed so far, how many are done now, and how many were done by
    an earlier run, which tell nothing about the rate.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[left]}"),
        TextColumn("[red]{task.fields[failed]}"),
    )
    start, done, before = time.monotonic(), 0, 0
    with Progress(*columns, console=console()) as bar:
        task = bar.add_task(label, total=total, rate="", left="", failed="")

        def advance(failures: int, by: int = 1, kept: int = 0) -> None:
            nonlocal done, before
            done += by
            before += kept
            rate = done / max(time.monotonic() - start, 1e-9)
            speed = f"{rate:.1f}/s" if rate >= 1 or not done else f"{1 / rate:.1f} s each"
            remaining = _clock((total - done - before) / rate) if total and done else ""
            failed = f"{failures:,} failed" if failures else ""
            bar.update(task, advance=by + kept, rate=speed if done else "", left=remaining, failed=failed)

        yield advance


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} left" if hours else f"{minutes}:{rest:02d} left"


def cores() -> int:
    """Cores this process may use (a Slurm job's, not the node's)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fingerprint(*parts: Any) -> str:
    """Short hash of anything that JSON takes; the same for equal values."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_stamp(path: str | Path) -> list[Any]:
    """Size and time of change of a file, or of all files in a folder: what decides whether a unit is done again."""
    path = Path(path)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [[str(f), s.st_size, s.st_mtime_ns] for f in files if f.is_file() and (s := f.stat())]


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def provenance(libraries: Iterable[str] = ()) -> dict[str, Any]:
    """Who made a result: versions, machine, command line and time; no user or host name."""
    names = ["vesalius", "numpy", "polars", *libraries]
    return {
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}, {cores()} cores",
        "versions": {name: metadata.version(name) for name in dict.fromkeys(names)},
    }


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well; otherwise nothing changes.

    It keeps the suffixes and begins with a dot, so that nothing that lists the folder takes it for a case.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
