"""How much a program may take, and what became of it."""

from dataclasses import dataclass

MB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What one call of a program may take.

    Attributes:
        seconds: of wall clock.
        memory_mb: of all its processes together, with what they write to /output, /tmp and /dev/shm (these live in
            memory) and without swap.
        disk_mb: in each of /output and /tmp, and on standard output and error together.
        processes: alive at once; threads count.
        cpus: cores' worth of processor time; None for all there are.
        files: in each of /output and /tmp.
    """

    seconds: float = 600
    memory_mb: int = 8192
    disk_mb: int = 2048
    processes: int = 256
    cpus: float | None = None
    files: int = 10_000


# ok         ended by itself with exit code 0, and its files were brought out
# crashed    ended by itself with another exit code or by a signal
# the rest   stopped: it ran into that limit, or its files are none that may be brought out ("output")
STATUSES = ("ok", "crashed", "timeout", "memory", "disk", "processes", "network", "output")


@dataclass(frozen=True)
class Outcome:
    """What became of one call.

    Attributes:
        status: one of `STATUSES`.
        reason: a clause for a person, where the status is not "ok".
        exit_code: None where it was stopped; 128 + n where signal n ended it.
        seconds: of wall clock.
        cpu_seconds: of all its processes together; None where the kernel does not count them.
        memory_mb: the most that its processes held together, files they wrote and read included; None as above.
        stdout, stderr: the last of them, as text.
    """

    status: str
    reason: str | None = None
    exit_code: int | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None
    memory_mb: float | None = None
    stdout: str = ""
    stderr: str = ""
