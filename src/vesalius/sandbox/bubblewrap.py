"""Runs a program in its world under its limits, watches it, and says what became of it.

The kernel keeps the limits; the watch only ends at once, and names, what ran into one. What the program wrote is taken
out through a descriptor of /output that was opened before it ran. Nothing here decides what an answer is worth.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from vesalius.errors import VesaliusError
from vesalius.sandbox.cgroups import Group, group
from vesalius.sandbox.harvest import Unacceptable, harvest
from vesalius.sandbox.limits import MB, Limits, Outcome
from vesalius.sandbox.started import Started, text_of
from vesalius.sandbox.world import command

NEEDED = ("--disable-userns", "--size", "--json-status-fd", "--block-fd", "--seccomp")
TOOLS = {"bwrap": "bubblewrap", "prlimit": "util-linux"}
TOOLS_OF_ROOT = {"unshare": "util-linux", "setpriv": "util-linux", "mount": "mount"}


def check(limits: Limits, root: Path | None = None) -> str:
    """Tries whether this machine can hold a program to the limits, with a program that does nothing.

    Raises:
        VesaliusError: it cannot; says which limit, why, and the remedy.
    """
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(["/bin/true"], Path(folder), replace(limits, seconds=30), root=root)
    # that an image has no /bin/true is found out by bubblewrap when all limits stand
    if outcome.status != "ok" and not (root and outcome.status == "crashed"):
        problem = f"a program that does nothing ended with {outcome.status} ({outcome.reason})"
        raise VesaliusError(problem, remedy="are the limits too tight for any program?", code="limit")
    return f"bubblewrap; {limits.seconds:g} s, {limits.memory_mb} MB, {limits.processes} processes"


def run(
    argv: Sequence[str],
    out: Path,
    limits: Limits,
    *,
    read_only: Mapping[Path, str] | None = None,
    env: Mapping[str, str] | None = None,
    root: Path | None = None,
    devices: Sequence[Path] = (),
) -> Outcome:
    """Runs a program to its end and brings out what it wrote.

    Args:
        argv: the program and its arguments, by paths inside.
        out: not there yet, or empty; takes the files of /output where the program ended well, and is gone otherwise.
        limits: all of them are enforced.
        read_only: files and folders by where the program finds them.
        env: variables besides PATH, HOME, TMPDIR and LANG.
        root: an unpacked image that stands as `/`, read-only; None for the system's programs and libraries.
        devices: device files that it may use.

    Raises:
        VesaliusError: a limit cannot be enforced here, bubblewrap is missing or fails: the program has not run.
    """
    _check_tools()
    with tempfile.TemporaryDirectory() as place, group(limits) as accounts:
        make = partial(command, Path(place), limits, read_only or {}, env or {}, root, devices)
        with Started(make, argv) as started:
            return _outcome(started, accounts, limits, out)


def _outcome(started: Started, accounts: Group, limits: Limits, out: Path) -> Outcome:
    accounts.add(started.pid)
    started.go()
    stopped = _watch(started, accounts, limits)
    started.kill()
    accounts.kill()
    started.read_on()
    stopped = stopped or _over(started, accounts, limits)
    code = None if stopped else started.exit_code()
    status, reason = stopped or (("ok", None) if code == 0 else ("crashed", _said(code)))
    if status == "ok":
        try:
            harvest(started.output, out, limits)
        except (Unacceptable, OSError) as error:
            shutil.rmtree(out, ignore_errors=True)
            status, reason, code = "output", f"its output is not taken: {error}", None
    return Outcome(
        status, reason, code, started.seconds, accounts.cpu_seconds, accounts.memory_mb,
        text_of(started.tails[0]), text_of(started.tails[1]),
    )  # fmt: skip


def _said(code: int | None) -> str:
    if code is None:
        return "could not be started"
    if 128 < code < 193:
        with contextlib.suppress(ValueError):
            return f"ended by {signal.Signals(code - 128).name}"
    return f"ended with exit code {code}"


def _check_tools() -> None:
    other = "use container:IMAGE where an engine answers"
    if not sys.platform.startswith("linux"):
        raise VesaliusError("programs are limited on Linux alone", remedy=other, code="limit")
    for tool, package in (TOOLS | TOOLS_OF_ROOT if os.geteuid() == 0 else TOOLS).items():
        if shutil.which(tool) is None:
            problem = f"no network, no foreign files: cannot be enforced, since {tool} is not installed"
            raise VesaliusError(problem, remedy=f"install {package}, or {other}", code="limit")
    text = subprocess.run(["bwrap", "--help"], capture_output=True, text=True, check=False).stdout
    if lacking := [name for name in NEEDED if name not in text]:
        problem = f"this bubblewrap has no {', '.join(lacking)}"
        raise VesaliusError(problem, remedy="install bubblewrap 0.8 or newer", code="limit")


def _watch(started: Started, accounts: Group, limits: Limits) -> tuple[str, str] | None:
    """Waits for the end; (status, reason) where the program has to be stopped before."""
    while not started.look():
        if stop := _over(started, accounts, limits):
            return stop
        if started.seconds > limits.seconds:
            return "timeout", f"took longer than {limits.seconds:g} s"
    return None


def _over(started: Started, accounts: Group, limits: Limits) -> tuple[str, str] | None:
    """The limit that the program ran into, if it did."""
    if accounts.memory_kills:
        return "memory", f"needs more than {limits.memory_mb} MB of memory (with the files it writes)"
    if accounts.refused_forks:
        return "processes", f"starts more than {limits.processes} processes and threads"
    if started.printed > limits.disk_mb * MB:
        return "disk", f"prints more than {limits.disk_mb} MB"
    for name, folder in (("/output", started.output), ("/tmp", started.scratch)):
        room = os.fstatvfs(folder)
        if room.f_bfree == 0:
            return "disk", f"fills {name} with {limits.disk_mb} MB"
        if room.f_files - room.f_ffree > limits.files + 1:
            return "disk", f"makes more than {limits.files} files in {name}"
    if started.looked_out():
        return "network", "looks for a network, and there is none"
    return None
