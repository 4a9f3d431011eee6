"""Fixtures that every room's tests share."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No timing decides a test, and none fails today that passed yesterday; `--hypothesis-profile wide` looks further.
settings.register_profile("wide", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=2000)
settings.register_profile("same", settings.get_profile("wide"), max_examples=100, derandomize=True)
settings.load_profile("same")

REPO = Path(__file__).parent.parent
# take a minute and more
LONG = ("cli/test_demo.py", "train/", "bench/test_score.py", "bench/test_challenge.py", "models/test_hf.py",
        "bench/questions/test_page", "test_ray.py", "corpus/build/", "bench/test_report")  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: two processes that share files out end together only if the last ones are short."""
    here = Path(__file__).parent
    items.sort(key=lambda item: not item.path.relative_to(here).as_posix().startswith(LONG))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; tests that need it skip where it is absent."""
    folder = REPO.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real data is not beside this checkout (../shared/data)")
    return folder


@dataclass
class Stub:
    """A running stub server: its base URL, and what it was asked."""

    url: str
    log: Path

    @property
    def asked(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


@pytest.fixture
def start_stub(tmp_path: Path) -> Iterator[Callable[..., Stub]]:
    """Starts OpenAI-compatible servers (see `stub_server.py`); all are gone afterwards."""
    running: list[subprocess.Popen] = []

    def start(delay: float = 0.0) -> Stub:
        log = tmp_path / f"stub-{len(running)}.log"
        command = [sys.executable, Path(__file__).with_name("stub_server.py"), log, str(delay)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert running[-1].stdout
        return Stub(f"http://127.0.0.1:{running[-1].stdout.readline().strip()}/v1", log)

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def stub(start_stub: Callable[..., Stub]) -> Stub:
    """A stub server that answers at once."""
    return start_stub()
