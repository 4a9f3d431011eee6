"""A server that misbehaves, and a way to fetch from it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from image_server import Server

from vesalius.corpus.images import Fetched, Policy, Wanted, fetch_all

QUICK: dict[str, Any] = {"allow": ("127.0.0.0/8",), "delay": 0, "pause": 0.01, "deadline": 5, "connect": 2}


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def fetch(tmp_path: Path) -> Callable[..., list[Fetched]]:
    """Fetches URLs with a quick policy, every name leading to this machine."""

    def fetch(*wanted: str | Wanted, again: Any = (), lookup: Any = lambda host: ["127.0.0.1"], **policy: Any):
        asked = [one if isinstance(one, Wanted) else Wanted(one, "d") for one in wanted]
        return list(fetch_all(asked, tmp_path, Policy(**{**QUICK, **policy}), again=again, lookup=lookup))

    return fetch
