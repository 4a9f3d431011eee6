"""Where units are worked on: worker processes of this machine here, tasks of a Ray cluster in `cluster.py`.

A pool takes a function with arguments and gives a future: of (JSON, seconds), or of an error. It knows nothing of what
is done already, nor what a failure means; see `work.py`.
"""

import contextlib
import ctypes
import gc
import json
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

from vesalius.errors import VesaliusError
from vesalius.run.files import cores

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Pool(Protocol):
    """Workers.

    Attributes:
        size: how many units are worked on at once.
    """

    size: int

    def submit(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Future:
        """Begins; the future gives (result as JSON, seconds), or raises.

        VesaliusError is what the function raised or could not help; TimeoutError, it took too long; anything else, the
        worker is gone.
        """

    def close(self) -> None:
        """Stops what runs; nothing of it is alive when this returns."""


class Processes:
    """Worker processes on this machine."""

    def __init__(self, size: int | None, timeout: float | None, module: str):
        from pebble import ProcessPool

        self.size = size or cores()
        self._timeout = timeout
        self._pool = ProcessPool(max_workers=self.size, initializer=_start_worker, context=preload(module))

    def submit(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Future:
        """See `Pool`."""
        return self._pool.schedule(timed, args=(function, arguments), timeout=self._timeout)

    def close(self) -> None:
        """See `Pool`."""
        self._pool.stop()
        self._pool.join()


def timed(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[str, float]:
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


def preload(module: str) -> Any:
    """Begins the server that workers are forked from, with a module imported; returns the context of its workers.

    There is one a process: what it has imported first, all workers have. Workers begin clean: a fork of this process
    would copy locks that threads of numpy and polars hold. There is a worker a core already, so libraries in them get
    one thread each unless the user says otherwise.
    """
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
    given = {name: os.environ.get(name) for name in THREADS}
    interrupt = None
    with contextlib.suppress(ValueError):  # not the main thread
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: Ctrl-C is the driver's business
    try:
        os.environ.update({name: value or "1" for name, value in given.items()})
        forkserver.ensure_running()
    finally:
        if interrupt is not None:
            signal.signal(signal.SIGINT, interrupt)
        for name in (name for name, value in given.items() if value is None):
            del os.environ[name]
    return context


def _start_worker() -> None:
    """Ctrl-C is the driver's business, and no worker outlives it; its collector is as lazy as the command's."""
    gc.set_threshold(50_000, 50, 100)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: of the fork server, which ends with the driver
