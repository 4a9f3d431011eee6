"""A map over what is left of a run.

Knows which units may begin, what is tried again, and what is recorded; leaves processes and clusters to `pools.py`.
"""

import contextlib
import json
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from typing import Any

from vesalius.errors import VesaliusError
from vesalius.run.cluster import RayTasks
from vesalius.run.console import progress
from vesalius.run.files import cores
from vesalius.run.pools import Pool, Processes
from vesalius.run.state import Interrupted, Run, Unit


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
    ray: str | None = None,
    tries: int = 1,
    pool: Pool | None = None,
    holds: Callable[[Unit, Any], int] | None = None,
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
        ray: address of a Ray cluster that works instead of processes here ("auto", "host:port", "local").
        tries: of a unit whose worker died, before that is recorded; on Ray one more, since machines come and go.
        pool: workers that there are already (see `opened`), for a job of several maps; then `workers`, `timeout` and
            `ray` are theirs.
        holds: documents of a unit, by its payload, or so far (None); then the bar tells how many there were a second.

    Raises:
        Interrupted: on Ctrl-C or SIGTERM, after the workers are gone.
        VesaliusError: no such cluster.
    """
    queue = deque(run.left(units))
    total, failures = len(queue), 0
    if not queue:
        return 0
    tries += ray is not None
    pending: dict[Any, Unit] = {}
    documents = _Documents(holds)
    tried: Counter[str] = Counter()
    size = workers if ray else min(workers or cores(), total)
    own = contextlib.nullcontext(pool) if pool else opened(function.__module__, size, timeout, ray)
    with sigterm_as_interrupt(), own as pool, progress(label, total) as advance:
        try:
            while queue or pending:
                while len(pending) < 2 * pool.size and (unit := _next(queue, pending.values())):
                    documents.begin(unit)
                    pending[pool.submit(function, unit.arguments)] = unit
                for future in wait(pending, 1 if holds else None, FIRST_COMPLETED).done:
                    unit = pending.pop(future)
                    tried[unit.key] += 1
                    if _died(future) and tried[unit.key] < tries:
                        queue.appendleft(unit)
                        continue
                    payload, seconds, state = _result(future, unit, crashed, timeout)
                    run.record(unit, payload, seconds, state)
                    failures += state != "done" or count(payload)
                    documents.end(unit, payload, state)
                    advance(failures, things=documents.told(pending.values()))
                if holds:
                    advance(failures, by=0, things=documents.told(pending.values()))
        except KeyboardInterrupt:
            done = total - len(queue) - len(pending)
            problem = f"stopped; {done} of {total} done and kept"
            raise Interrupted(problem, file=run.path, remedy="the same command goes on from here") from None
    return total


@contextlib.contextmanager
def opened(
    preload: str, workers: int | None = None, timeout: float | None = None, ray: str | None = None
) -> Iterator[Pool]:
    """Workers for several maps; see `work`.

    Args:
        preload: a module that workers need, imported once for all.
        workers, timeout, ray: see `work`.
    """
    pool: Pool = Processes(workers, timeout, preload) if ray is None else RayTasks(ray, workers, timeout)
    try:
        yield pool
    finally:
        pool.close()


class _Documents:
    """How many documents there were since the map began, in units that are done and in those at work.

    Those at work are looked at once a second at most, and no more than a twentieth of the time: a disk may be slow.
    """

    def __init__(self, holds: Callable[[Unit, Any], int] | None):
        self._holds, self._start = holds, time.monotonic()
        self._before: dict[str, int] = {}
        self._at_work: dict[str, int] = {}
        self._done, self._next = 0, 0.0

    def begin(self, unit: Unit) -> None:
        """What an earlier run did of it tells nothing about the rate."""
        if self._holds:
            self._before.setdefault(unit.key, self._holds(unit, None))

    def end(self, unit: Unit, payload: Any, state: str) -> None:
        """It is at work no more."""
        if self._holds:
            self._at_work.pop(unit.key, None)
            self._done += self._holds(unit, payload if state == "done" else None) - self._before.pop(unit.key)

    def told(self, at_work: Iterable[Unit]) -> str:
        """For the bar; "" where there is nothing to tell."""
        if not self._holds:
            return ""
        now = time.monotonic()
        if now >= self._next:
            self._at_work = {unit.key: self._holds(unit, None) - self._before[unit.key] for unit in at_work}
            self._next = time.monotonic() + max(1, 20 * (time.monotonic() - now))
        count = self._done + sum(self._at_work.values())
        return f"{count:,} documents, {count / max(now - self._start, 1e-3):,.1f}/s" if count > 0 else ""


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


def _died(future: Any) -> bool:
    """Whether the worker is gone, for which the unit need not be to blame."""
    error = future.exception()
    return error is not None and not isinstance(error, (TimeoutError, VesaliusError))


def _result(future: Any, unit: Unit, crashed: Callable[[Unit, VesaliusError], Any], timeout: float | None):
    try:
        text, seconds = future.result()
        return json.loads(text), seconds, "done"
    except TimeoutError:
        error = VesaliusError(f"took longer than {timeout:g} s and was stopped", code="timeout")
        return crashed(unit, error), float(timeout or 0), "crashed"
    except VesaliusError as error:
        return crashed(unit, error), 0.0, "crashed"
    except Exception as error:  # killed, or gone without a word
        words = f"the worker died (exit code {getattr(error, 'exitcode', '?')})"
        remedy = "was there enough memory? the same command tries it again"
        return crashed(unit, VesaliusError(words, remedy=remedy, code="crashed")), 0.0, "crashed"


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
