"""Limits on memory, processes and processor time that the kernel keeps for all processes of a program together.

Knows cgroup v1 and v2 and where in them this user may make groups. Resource limits (`ulimit`) are no substitute: they
hold for one process, not for all, and the number of processes is not limited for root at all; so where no group can be
made, a limit is refused.

v1: a group below our own, else below the root, in the hierarchy of each controller.
v2: root makes groups below the root; anybody else below a group that was delegated to him, where this process itself
    has to move into a child first, since only leaves may hold processes.
"""

import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vesalius.errors import VesaliusError
from vesalius.sandbox.limits import MB, Limits

REMEDY = (
    "run as root, or under `systemd-run --user --scope -p Delegate=yes`, or as container:IMAGE where an engine answers"
)
LEAF = "vesalius-driver"  # where this process stands in a group that was delegated to it
_PERIOD = 100_000  # µs, the kernel's default period of processor quotas


class Group:
    """The processes of one program, with their limits and accounts.

    Attributes:
        folders: controller → its folder; one and the same under v2.
        version: 1 or 2.
    """

    def __init__(self, version: int, folders: dict[str, Path]):
        self.version, self.folders = version, folders

    def limit(self, limits: Limits) -> None:
        """Sets the limits and reads them back.

        Raises:
            VesaliusError: one does not hold.
        """
        memory, pids, cpu = self.folders["memory"], self.folders["pids"], self.folders.get("cpu")
        size = limits.memory_mb * MB
        what = f"the memory limit of {limits.memory_mb} MB"
        if self.version == 1:
            _set(memory / "memory.limit_in_bytes", size, what)
            swap = memory / "memory.memsw.limit_in_bytes"  # memory and swap together
        else:
            _set(memory / "memory.max", size, what)
            swap = memory / "memory.swap.max"
        if swap.exists():
            _set(swap, size if self.version == 1 else 0, what)
        elif _has_swap():
            problem = f"{what} cannot be enforced: the kernel does not count this machine's swap"
            raise VesaliusError(problem, remedy="boot with swapaccount=1, or `swapoff -a`", code="limit")
        _set(pids / "pids.max", limits.processes, f"the limit of {limits.processes} processes")
        if limits.cpus is not None and cpu is not None:
            quota, what = round(limits.cpus * _PERIOD), f"the limit of {limits.cpus:g} cpus"
            if self.version == 1:
                _set(cpu / "cpu.cfs_period_us", _PERIOD, what)
                _set(cpu / "cpu.cfs_quota_us", quota, what)
            else:
                _set(cpu / "cpu.max", f"{quota} {_PERIOD}", what)

    def add(self, pid: int) -> None:
        """Moves a process in; its children are born here."""
        for folder in dict.fromkeys(self.folders.values()):
            (folder / "cgroup.procs").write_text(str(pid))

    @property
    def memory_kills(self) -> int:
        """Processes that the kernel killed for want of memory."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        return _counter(self.folders["memory"] / name, "oom_kill")

    @property
    def refused_forks(self) -> int:
        """Processes that were not born because there were too many."""
        return _counter(self.folders["pids"] / "pids.events", "max")

    @property
    def memory_mb(self) -> float | None:
        """The most that was held at once; None where the kernel does not say (v2 before Linux 5.19)."""
        name = "memory.max_usage_in_bytes" if self.version == 1 else "memory.peak"
        value = _read(self.folders["memory"] / name)
        return int(value) / MB if value else None

    @property
    def cpu_seconds(self) -> float | None:
        """Processor time of all together; None where nobody counts it."""
        if self.version == 1:
            value = _read(self.folders["cpuacct"] / "cpuacct.usage") if "cpuacct" in self.folders else None
            return int(value) / 1e9 if value else None
        return _counter(self.folders["memory"] / "cpu.stat", "usage_usec") / 1e6

    def kill(self, patience: float = 10) -> None:
        """Kills all that is in it, until nothing is.

        Raises:
            VesaliusError: something would not die within `patience` seconds (stuck in the kernel).
        """
        end = time.monotonic() + patience
        while pids := self._pids():
            if self.version == 2 and (self.folders["memory"] / "cgroup.kill").exists():
                (self.folders["memory"] / "cgroup.kill").write_text("1")
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            if time.monotonic() > end:
                raise VesaliusError(f"processes {pids} of the program do not die", remedy="restart the machine")
            time.sleep(0.002)

    def _pids(self) -> list[int]:
        found: set[int] = set()
        for folder in self.folders.values():
            found.update(int(word) for word in (_read(folder / "cgroup.procs") or "").split() if word != "0")
        return sorted(found)

    def remove(self) -> None:
        """Gives the folders back."""
        for folder in dict.fromkeys(self.folders.values()):
            _rmdir(folder)


@contextmanager
def group(limits: Limits) -> Iterator[Group]:
    """A group with the limits set; whatever is still in it at the end is killed.

    Raises:
        VesaliusError: a limit cannot be enforced here; says which and why.
    """
    made = _make(limits)
    try:
        made.limit(limits)
        yield made
    finally:
        made.kill()
        made.remove()


def _make(limits: Limits) -> Group:
    needed = {
        "memory": f"the memory limit of {limits.memory_mb} MB",
        "pids": f"the limit of {limits.processes} processes",
    }
    if limits.cpus is not None:
        needed["cpu"] = f"the limit of {limits.cpus:g} cpus"
    mounts = _mounts()
    if all(name in mounts for name in needed):
        return _make_v1(mounts, needed)
    if "unified" in mounts:
        return _make_v2(mounts["unified"], needed)
    missing = next(name for name in needed if name not in mounts)
    raise _refusal(needed[missing], f"this kernel or container mounts no cgroup with the {missing} controller")


def _make_v1(mounts: dict[str, list[Path]], needed: dict[str, str]) -> Group:
    made = Group(1, {})
    try:
        for name in [*needed, *(["cpuacct"] if "cpuacct" in mounts else [])]:
            try:
                # one hierarchy may have several controllers (cpu,cpuacct), and a process is in one place of it
                same = next((folder for other, folder in made.folders.items() if mounts[other] == mounts[name]), None)
                made.folders[name] = same or _mkdir(mounts[name])
            except OSError as error:
                if name in needed:
                    raise _refusal(needed[name], f"no cgroup can be made ({error.strerror})") from None
    except VesaliusError:
        made.remove()
        raise
    return made


def _make_v2(places: list[Path], needed: dict[str, str]) -> Group:
    own, root = places
    base = root if os.geteuid() == 0 else own
    problem = f"the cgroup {base} is not delegated to this user"
    try:
        if base != root:
            _become_leaf(base)
        lacking = set(needed) - set((_read(base / "cgroup.subtree_control") or "").split())
        if lacking:
            problem = f"the cgroup {base} hands no {', '.join(sorted(lacking))} controller to its children"
            (base / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(lacking)))
        folder = _mkdir([base])
    except OSError as error:
        raise _refusal(next(iter(needed.values())), f"{problem} ({error.strerror})") from None
    return Group(2, dict.fromkeys(needed, folder))


def _become_leaf(base: Path) -> None:
    """Moves what is in a delegated group (this process, and who started it in the same scope) one down."""
    child = base / LEAF
    child.mkdir(exist_ok=True)
    for pid in (_read(base / "cgroup.procs") or "").split():
        (child / "cgroup.procs").write_text(pid)


def _mkdir(places: list[Path]) -> Path:
    """A new group in the first of the places that takes one; those of drivers that were killed are removed."""
    error: OSError | None = None
    for place in places:
        for old in place.glob("vesalius-[0-9]*-*"):
            if not Path("/proc", old.name.split("-")[1]).exists():
                with suppress(OSError):  # of a driver that we cannot see, and not empty
                    old.rmdir()
        folder = place / f"vesalius-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            folder.mkdir()
            return folder
        except OSError as failed:
            error = failed
    raise error or OSError(2, "there is none")


def _mounts() -> dict[str, list[Path]]:
    """Where groups can be made: controller of v1, or "unified" for v2 → [our own group, the root]."""
    own: dict[str, str] = {}
    for line in (_read(Path("/proc/self/cgroup")) or "").splitlines():
        _, names, path = line.split(":", 2)
        own.update(dict.fromkeys(names.split(",") if names else ["unified"], path))
    found: dict[str, list[Path]] = {}
    for line in (_read(Path("/proc/self/mountinfo")) or "").splitlines():
        before, _, after = line.partition(" - ")
        inside, mount = before.split()[3:5]
        kind, _, options = after.split(" ", 2)
        held = ["unified"] if kind == "cgroup2" else options.split(",") if kind == "cgroup" else []
        for controller in set(held) & set(own):
            relative = os.path.relpath(own[controller].removesuffix(f"/{LEAF}") or "/", inside)
            below = Path(mount) if relative.startswith("..") else Path(mount) / relative
            found[controller] = [below, Path(mount)]
    return found


def _refusal(limit: str, why: str) -> VesaliusError:
    return VesaliusError(f"{limit} cannot be enforced: {why}", remedy=REMEDY, code="limit")


def _set(file: Path, value: int | str, what: str) -> None:
    try:
        file.write_text(str(value))
        kept = file.read_text().strip()
    except OSError as error:
        raise _refusal(what, f"{file} cannot be set ({error.strerror})") from None
    if kept != str(value):  # a size is rounded to pages, never upwards by one
        words = kept.split()
        if not (isinstance(value, int) and words[0].isdecimal() and 0 <= value - int(words[0]) < 1 << 16):
            raise _refusal(what, f"{file} says {kept}")


def _has_swap() -> bool:
    return len((_read(Path("/proc/swaps")) or "").splitlines()) > 1


def _counter(file: Path, name: str) -> int:
    for line in (_read(file) or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def _read(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except OSError:
        return None


def _rmdir(folder: Path) -> None:
    for _ in range(100):
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:  # the last process is gone, but not yet for the kernel
            time.sleep(0.01)
