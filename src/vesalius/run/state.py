"""What of a long job is done: one SQLite file with a row a unit of work (a case of a model, a sample, a shard).

Only the driver writes. Kill it at any moment and start it again: units whose inputs and settings are the same are not
done twice. Leaves what a unit is, and what a failed one means, to callers, and who does it to `work.py`.
"""

import contextlib
import json
import os
import socket
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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

    def forget(self, unit: Unit) -> None:
        """Leave a unit to be done again."""
        with self.connection:
            self.connection.execute("DELETE FROM units WHERE key = ?", (unit.key,))

    def payloads(self, units: Iterable[Unit]) -> Iterator[tuple[Unit, Any, float, str]]:
        """(unit, payload, seconds, state) of each unit that has one, in the order given."""
        for unit in units:
            query = "SELECT payload, seconds, state FROM units WHERE key = ? AND stamp = ?"
            row = self.connection.execute(query, (unit.key, unit.stamp)).fetchone()
            if row:
                yield unit, json.loads(row[0]), row[1], row[2]
