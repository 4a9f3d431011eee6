"""Daft, for what needs all of a corpus at once: on the cluster whose task this is, else on this machine; kept quiet."""

import os
import sys
from functools import lru_cache
from typing import Any

# Daft tells its makers that it was imported unless it is told not to; its progress would be drawn over ours.
_QUIET = {"DO_NOT_TRACK": "1", "DAFT_ANALYTICS_ENABLED": "0", "DAFT_PROGRESS_BAR": "0"}


def on_cluster() -> bool:
    """Whether this is a task of a Ray cluster."""
    ray = sys.modules.get("ray")  # asked of Daft itself, it would import Ray, which then reads how to connect too early
    return ray is not None and ray.is_initialized()


def workers() -> int:
    """How many cores do Daft's work on a cluster; 1 on this machine."""
    return int(sys.modules["ray"].cluster_resources().get("CPU", 1)) if on_cluster() else 1


@lru_cache(maxsize=1)
def daft() -> Any:
    """The library, its work on the cluster or on this machine: one or the other for good."""
    os.environ.update(_QUIET)
    import daft

    if on_cluster():
        daft.set_runner_ray(noop_if_initialized=True)
    else:
        daft.set_runner_native()
    return daft
