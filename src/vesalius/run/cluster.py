"""Units as tasks of a Ray cluster, whose machines have this package installed and see the same files.

Knows Ray; leaves what is done and tried again to `work.py`, so that resuming is the same as on one machine.
"""

import faulthandler
import logging
import os
import socket
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from vesalius.errors import VesaliusError
from vesalius.run.pools import THREADS, timed

_PATIENCE = 10  # seconds until a head answers
_TOKEN = Path.home() / ".ray" / "auth_token"  # where Ray keeps it


def connect(address: str) -> Any:
    """Ray, connected; it phones nobody, and its workers' words stay in its own logs.

    Args:
        address: "host:port" of a cluster's head, "auto" for the one of this machine, "local" for one of its own.

    Raises:
        VesaliusError: not installed, or no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if any(map(os.environ.get, ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))) or _TOKEN.is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # clusters ask for it by default, clients send it if told to
    try:
        import ray
    except ImportError:
        remedy = "install the extra: pip install 'vesalius[ray]'"
        raise VesaliusError("Ray is not installed", remedy=remedy, code="missing") from None
    try:
        if (host := address.rpartition(":"))[2].isdigit():
            socket.create_connection((host[0], int(host[2])), _PATIENCE).close()  # Ray itself would try for minutes
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True)
    except (OSError, RuntimeError, ValueError) as error:
        remedy = "start one with `ray start --head` and give host:port of its head (and its token), or write local"
        problem = f"no Ray cluster answers at {address} ({str(error).splitlines()[0]})"
        raise VesaliusError(problem, remedy=remedy, code="ray") from None
    return ray


class RayTasks:
    """Tasks of a Ray cluster, whose machines have this package and see the same files.

    A worker that dies costs its task alone; Ray itself tries nothing again, so that `work` alone counts the tries.
    """

    def __init__(self, address: str, size: int | None, timeout: float | None):
        ray = connect(address)
        self.size = size or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._ray = ray
        self._timeout = timeout
        environment = {"env_vars": dict.fromkeys(THREADS, "1")}
        self._task = ray.remote(max_retries=0, num_cpus=1, runtime_env=environment)(_on_ray)
        self._running: set[Any] = set()

    def submit(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Future:
        """See `Pool`."""
        reference = self._task.remote(function, arguments, self._timeout)
        self._running.add(reference)
        future: Future = Future()

        def settle(given: Future) -> None:
            self._running.discard(reference)
            error = given.exception()
            found = error or given.result()
            if isinstance(found, BaseException):
                future.set_exception(found)
            else:
                future.set_result(found)

        reference.future().add_done_callback(settle)
        return future

    def close(self) -> None:
        """See `Pool`; the cluster goes on."""
        for reference in list(self._running):
            self._ray.cancel(reference, force=True)
        self._ray.shutdown()


def _on_ray(
    function: Callable[..., Any], arguments: tuple[Any, ...], timeout: float | None
) -> tuple[str, float] | VesaliusError:
    """In a worker of Ray, which has no time limit of its own: a clock in C ends a worker that hangs.

    An error is returned, since Ray wraps what is raised.
    """
    if timeout:
        faulthandler.dump_traceback_later(timeout, exit=True)
    try:
        return timed(function, arguments)
    except VesaliusError as error:
        return error
    finally:
        faulthandler.cancel_dump_traceback_later()
