"""Files that appear whole or not at all, fingerprints of what decides a result, and what ran with which versions."""

import contextlib
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any


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
