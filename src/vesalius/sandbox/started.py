"""A program that stands ready in its world, goes when it is told to, and is killed with all that it started.

Knows bubblewrap's descriptors and what a process tells from outside: what it prints, what it wrote, whether it looked
for a network. Leaves limits and verdicts to `bubblewrap.py`.
"""

import contextlib
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vesalius.errors import VesaliusError
from vesalius.sandbox.syscalls import program as filter_of_calls
from vesalius.sandbox.world import ETC

TAIL = 4096  # bytes kept of standard output and of standard error
TICK = 0.02  # seconds between looks at a running program


class Started:
    """A program that stands ready in its world, and goes when it is told to.

    Attributes:
        pid: of the first process in its world; with it all others die.
        output: a descriptor of /output, which stays when the world is gone.
        seconds: of wall clock since it went.
        tails: the last of standard output and error.
        printed: bytes of both together.
    """

    def __init__(self, make: Callable[[Mapping[str, int]], list[str]], argv: Sequence[str]):
        self._closing = contextlib.ExitStack()
        self.seconds, self.printed, self.tails = 0.0, 0, [b"", b""]
        try:
            self._start(make, argv)
        except BaseException:
            self._closing.close()
            raise

    def _start(self, make: Callable[[Mapping[str, int]], list[str]], argv: Sequence[str]) -> None:
        self._status, status = os.pipe()
        self._opened(self._status)
        block, self._go = os.pipe()
        self._opened(self._go)
        theirs = {"status": status, "block": block}
        try:
            for name, data in {"calls": filter_of_calls(), **{n: t.encode() for n, t in ETC.items()}}.items():
                theirs[name] = _data(data)
            self.process = subprocess.Popen(
                [*make(theirs), *argv],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=tuple(theirs.values()),
                env={"PATH": _path()},
                cwd="/",  # a shell would tell it
            )
        finally:
            for descriptor in theirs.values():
                os.close(descriptor)
        self._closing.callback(self._reap)
        self._selector = self._closing.enter_context(selectors.DefaultSelector())
        for number, stream in enumerate((self.process.stdout, self.process.stderr)):
            assert stream is not None
            self._closing.callback(stream.close)
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_READ, number)
        ended = self._opened(os.pidfd_open(self.process.pid))
        self._selector.register(ended, selectors.EVENT_READ, None)
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        """Until its world is made and bubblewrap waits for the word to start the program."""
        status = b""
        while not status.endswith(b"\n"):
            more = os.read(self._status, 4096)
            if not more:
                self._fail()
            status += more
        self.pid = json.loads(status)["child-pid"]
        self._first = self._opened(os.pidfd_open(self.pid))
        world, end = Path(f"/proc/{self.pid}/root"), time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError):
                outer, output, temporary = os.stat(world), os.stat(world / "output"), os.stat(world / "tmp")
                # /output is a mount of its own in the last root alone, not in those that bubblewrap goes through
                if outer.st_dev != output.st_dev != temporary.st_dev and not _same(outer, os.stat("/")):
                    break
            if self.process.poll() is not None or time.monotonic() > end:
                self._fail()
            time.sleep(0.001)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        self.output = self._opened(os.open(world / "output", flags))
        self.scratch = self._opened(os.open(world / "tmp", flags))
        self._network = []
        for name in ("snmp", "snmp6"):
            with contextlib.suppress(OSError):  # no IPv6, or a kernel that does not count
                self._network.append(self._opened(os.open(f"/proc/{self.pid}/net/{name}", os.O_RDONLY | os.O_CLOEXEC)))

    def _fail(self) -> None:
        self.process.kill()
        self.process.wait()
        self.read_on()
        words = text_of(self.tails[1]).strip().splitlines() or ["no word"]
        remedy = "allow user namespaces to this user, or use container:IMAGE where an engine answers"
        raise VesaliusError(f"bubblewrap makes no sandbox here ({words[-1]})", remedy=remedy, code="limit")

    def go(self) -> None:
        """Starts the program."""
        self._began = time.monotonic()
        os.write(self._go, b"go")

    def look(self) -> bool:
        """Waits a moment, reads what it prints; returns whether it has ended."""
        ended = False
        for key, _ in self._selector.select(TICK):
            if key.data is None:
                ended = True
            else:
                self._take(key.fd, key.data)
        self.seconds = time.monotonic() - self._began
        return ended

    def read_on(self) -> None:
        """Reads what stands in the pipes when all is over."""
        for number, stream in enumerate((self.process.stdout, self.process.stderr)):
            while stream is not None and self._take(stream.fileno(), number):
                continue

    def _take(self, descriptor: int, number: int) -> bool:
        try:
            more = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return False
        if not more:
            with contextlib.suppress(KeyError):
                self._selector.unregister(descriptor)
        self.printed += len(more)
        self.tails[number] = (self.tails[number] + more)[-TAIL:]
        return bool(more)

    def looked_out(self) -> bool:
        """Whether it sent something for which there is no way: the empty network has none but to itself."""
        text = "".join(os.pread(descriptor, 1 << 16, 0).decode() for descriptor in self._network)
        heads: dict[str, str] = {}
        for name, values in re.findall(r"^(Ip): (.+)$", text, re.MULTILINE):
            if name in heads:  # v4: a line of names, then one of numbers
                counted = dict(zip(heads[name].split(), values.split(), strict=False))
                if int(counted.get("OutNoRoutes", 0)):
                    return True
            heads[name] = values
        return any(int(n) for n in re.findall(r"^Ip6OutNoRoutes\s+(\d+)", text, re.MULTILINE))

    def kill(self) -> None:
        """Kills it and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._first, signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    def exit_code(self) -> int | None:
        """The program's own, None where bubblewrap did not say."""
        text = b""
        while more := os.read(self._status, 4096):
            text += more
        found = re.search(rb'"exit-code": (\d+)', text)
        return int(found[1]) if found else None

    def _reap(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _opened(self, descriptor: int) -> int:
        self._closing.callback(os.close, descriptor)
        return descriptor

    def __enter__(self) -> "Started":
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()


def _same(a: os.stat_result, b: os.stat_result) -> bool:
    return (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)


def _path() -> str:
    """Where our tools lie and no more: bubblewrap's own environment can be read inside."""
    found = (shutil.which(tool) for tool in ("bwrap", "prlimit", "sh", "unshare", "mount", "setpriv"))
    return os.pathsep.join(dict.fromkeys(os.path.dirname(path) for path in found if path))


def _data(data: bytes) -> int:
    """A file in memory from which bubblewrap reads."""
    descriptor = os.memfd_create("data")
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def text_of(tail: bytes) -> str:
    """Without what would steer a terminal or break a table."""
    return re.sub(r"[^\n\t\x20-\x7e\xa0-\U0010ffff]", "\N{REPLACEMENT CHARACTER}", tail.decode(errors="replace"))
