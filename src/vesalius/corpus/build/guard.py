"""A record that hangs or kills its worker costs itself, not its source.

Knows a folder in which a worker leaves word of the record that it is at: whoever takes its place finds it there. Two
deaths at the same record of one run condemn it. (A worker that the user stopped dies too, but then its run is over.)
"""

import contextlib
import faulthandler
import json
import os
from collections.abc import Iterator
from pathlib import Path

_DEATHS = 2


class Guard:
    """See the module.

    Args:
        folder: of the source.
        session: of the run, another one each time it is started.
        seconds: that a record may take; then the worker is ended, from a thread in C, whatever it is in.
        memory: bytes that the worker may take; then Python says so, and the record alone is lost.
    """

    def __init__(self, folder: Path, session: str, seconds: float, memory: int):
        self._at, self._deaths = folder / "at.json", folder / "deaths.json"
        self._session, self._seconds = session, seconds
        self._null = open(os.devnull, "w")  # noqa: SIM115  (open while the worker lives)
        self._memory = memory
        self._condemned = self._look()

    def condemned(self, number: int) -> bool:
        """Whether a record killed its worker twice."""
        return self._condemned.get(str(number), 0) >= _DEATHS

    @contextlib.contextmanager
    def watch(self, number: int) -> Iterator[None]:
        """While a record is worked on."""
        self._at.write_text(json.dumps([self._session, number]))
        faulthandler.dump_traceback_later(self._seconds, exit=True, file=self._null)
        try:
            with _limited(self._memory):
                yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            self._at.unlink(missing_ok=True)

    def _look(self) -> dict[str, int]:
        """Deaths by record, the last one counted in."""
        deaths: dict[str, int] = {}
        with contextlib.suppress(OSError, ValueError):
            deaths = json.loads(self._deaths.read_text())
        with contextlib.suppress(OSError, ValueError):
            session, number = json.loads(self._at.read_text())
            self._at.unlink()
            if session == self._session:
                deaths[str(number)] = deaths.get(str(number), 0) + 1
                self._deaths.write_text(json.dumps(deaths))
        return deaths


@contextlib.contextmanager
def _limited(memory: int) -> Iterator[None]:
    """A limit that ends with the record: the worker has other work after it, of other sizes."""
    try:
        import resource
    except ImportError:  # no such limit on this system
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
