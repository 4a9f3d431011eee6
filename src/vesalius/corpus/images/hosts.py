"""Hosts and their turns: never too many requests to one at once, never too soon after another.

A host is a name, whatever its port and scheme. Knows time; leaves what is asked, and robots.txt, to others.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator

from vesalius.corpus.images.policy import Policy
from vesalius.corpus.images.record import DOWN, NO_HOST

_MOST = 20_000  # hosts remembered; those that nobody asks now are forgotten first


class Clock:
    """What an image may still spend: on waiting for turns, and on all else.

    Waiting is for the host's sake and not the image's fault; a page of five hundred images from one slow host takes its
    time. Starts waiting.
    """

    def __init__(self, limit: asyncio.Timeout, policy: Policy):
        self._limit = limit
        self._left = {True: policy.patience, False: policy.deadline}
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self.waiting = False
        self._switch(True)

    def wait(self) -> None:
        """Waits from now on."""
        if not self.waiting:
            self._switch(True)

    def work(self) -> None:
        """Works from now on."""
        if self.waiting:
            self._switch(False)

    def left(self) -> float:
        """Seconds of work that are left."""
        return self._left[False] - (0 if self.waiting else self._loop.time() - self._since)

    def _switch(self, waiting: bool) -> None:
        now = self._loop.time()
        self._left[self.waiting] -= now - self._since
        self.waiting, self._since = waiting, now
        self._limit.reschedule(now + self._left[waiting])


class Host:
    """One host.

    Attributes:
        down: the status of its images from now on, where it answers nobody.
        users: images that hold or await it; it is not forgotten meanwhile.
    """

    def __init__(self, policy: Policy, everybody: asyncio.Semaphore):
        self._policy, self._everybody = policy, everybody
        self._gate = asyncio.Lock()  # first come, first served
        self._freed = asyncio.Event()
        self._active = 0
        self._most = policy.per_host
        self._delay = policy.delay
        self._last = self._next = float("-inf")  # loop's seconds: the last start, the earliest next one
        self._failures = 0
        self.down: str | None = None
        self.users = 0

    def ask_for(self, delay: float) -> None:
        """Its robots.txt has a Crawl-delay: seconds, and one at a time."""
        if delay > 0:
            self._delay, self._most = max(self._policy.delay, delay), 1
            self._next = max(self._next, self._last + self._delay)

    def leave_alone(self, seconds: float) -> None:
        """Nobody asks it for so long."""
        self._next = max(self._next, asyncio.get_running_loop().time() + seconds)

    def answered(self) -> None:
        """It is alive."""
        self._failures = 0

    def failed(self, status: str) -> None:
        """An image failed, not by its own fault; after some in a row, or if there is no such host, it is down."""
        self._failures += 1
        if status == NO_HOST:
            self.down = NO_HOST
        elif self._failures >= self._policy.host_failures:
            self.down = DOWN

    @contextlib.asynccontextmanager
    async def turn(self, clock: Clock | None) -> AsyncIterator[None]:
        """For the time of one request."""
        if clock:
            clock.wait()
        await self._enter()
        try:
            if clock:
                clock.work()
            yield
        finally:
            self._everybody.release()
            self._active -= 1
            self._freed.set()

    async def _enter(self) -> None:
        loop = asyncio.get_running_loop()
        # The gate is held until the request begins, so that the next one's delay counts from there.
        async with self._gate:
            while self._active >= self._most:
                self._freed.clear()
                await self._freed.wait()
            while (early := self._next - loop.time()) > 0:
                await asyncio.sleep(early)
            await self._everybody.acquire()
            self._active += 1
            self._last = loop.time()
            self._next = max(self._next, self._last + self._delay)


class Hosts:
    """All hosts of a run."""

    def __init__(self, policy: Policy):
        self._policy = policy
        self._everybody = asyncio.Semaphore(policy.concurrency)
        self._known: OrderedDict[str, Host] = OrderedDict()

    @contextlib.contextmanager
    def using(self, name: str):
        """A host by its name, which is not forgotten in the block."""
        host = self._known.get(name) or self._known.setdefault(name, Host(self._policy, self._everybody))
        self._known.move_to_end(name)
        host.users += 1
        try:
            yield host
        finally:
            host.users -= 1
            self._forget()

    def _forget(self) -> None:
        if len(self._known) > _MOST:
            idle = [name for name, host in self._known.items() if not host.users][: _MOST // 10]
            for name in idle:
                del self._known[name]
