"""One image: attempts, redirects, what its owner says, and its bytes into the store.

Whatever happens becomes a `Fetched`; only a full disk is raised.
"""

import asyncio
import random
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
from yarl import URL

from vesalius.corpus.images import record
from vesalius.corpus.images.addresses import Lookup, clean
from vesalius.corpus.images.client import REDIRECTS, Client, body, retry_after
from vesalius.corpus.images.hosts import Clock, Host
from vesalius.corpus.images.kinds import HEAD, kind_of
from vesalius.corpus.images.policy import Policy
from vesalius.corpus.images.record import Failed, Fetched
from vesalius.corpus.images.robots import Rules, refused_by_headers
from vesalius.corpus.images.store import Store
from vesalius.errors import VesaliusError

# Failures that may be the host's: too many in a row, and it is left alone.
_HOSTS_FAULT = frozenset({record.DNS, record.NO_HOST, record.CONNECT, record.TIMEOUT, record.DROPPED, record.DEADLINE})


@dataclass
class _Trace:
    """What is known while it goes on, so that a deadline loses nothing of it."""

    host: Host | None = None
    http: int | None = None
    final_url: str | None = None
    type: str | None = None
    modified: str | None = None
    robots: str | None = None
    date: str | None = None
    attempts: int = 0
    kind: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    path: str | None = None


class Fetcher:
    """Fetches images into a store, on the loop that runs."""

    def __init__(self, store: Store, policy: Policy, lookup: Lookup):
        self.policy, self._store = policy, store
        self._client = Client(policy, lookup)

    async def __aenter__(self) -> "Fetcher":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def fetch(self, url: str) -> Fetched:
        """What becomes of a URL.

        Raises:
            VesaliusError: code `space`, the disk is full.
        """
        trace, clock = _Trace(), None
        status, error = record.OK, ""
        try:
            async with asyncio.timeout(None) as limit:
                clock = Clock(limit, self.policy)
                await self._attempts(url, trace, clock)
        except TimeoutError:
            status, error = self._late(clock is not None and clock.waiting)
        except Failed as failed:
            status, error = failed.status, failed.error
        except VesaliusError:
            raise
        except Exception as defect:  # one image never stops a run
            status, error = record.PROTOCOL, f"{type(defect).__name__}: {defect}"[:200]
        host, known = trace.host, {key: value for key, value in vars(trace).items() if key != "host"}
        if host and status in _HOSTS_FAULT:
            host.failed(status)
        elif host and trace.http:
            host.answered()
        spent = self.policy.deadline - clock.left() if clock else 0.0
        return Fetched(url, "", status, error, seconds=round(spent, 3), **known)

    def _late(self, waiting: bool) -> tuple[str, str]:
        if waiting:
            return record.CROWDED, f"its turn at its host did not come within {self.policy.patience:g} s"
        return record.DEADLINE, f"was not done within {self.policy.deadline:g} s"

    async def _attempts(self, url: str, trace: _Trace, clock: Clock) -> None:
        # Chance of its own for each image: the same whatever the others do.
        chance = random.Random(f"{self.policy.seed} {url}")
        for attempt in range(self.policy.retries + 1):
            try:
                return await self._attempt(url, trace, clock)
            except Failed as failed:
                if failed.status not in record.RETRIED or failed.final or attempt == self.policy.retries:
                    raise
                pause = failed.pause or self.policy.pause * 2**attempt * (1 + chance.random() / 2)
                if failed.status == record.BUSY and trace.host:
                    trace.host.leave_alone(pause)  # all of its images wait
                else:
                    clock.work()
                    await asyncio.sleep(pause)

    async def _attempt(self, address: str, trace: _Trace, clock: Clock) -> None:
        url, asked = clean(address), set[URL]()
        while url not in asked:
            if len(asked) > self.policy.redirects:
                raise Failed(record.REDIRECTS, f"leads on more than {self.policy.redirects} times")
            target = await self._ask(url, trace, clock, first=not asked)
            if target is None:
                return
            asked.add(url)
            url = clean(target, url)
        raise Failed(record.REDIRECTS, "leads back to itself")

    async def _ask(self, url: URL, trace: _Trace, clock: Clock, first: bool) -> str | None:
        """Asks one URL; where it leads on to, or None if its image is stored."""
        with self._client.hosts.using(url.raw_host or "") as host:
            trace.host, trace.http = host, None
            clock.wait()
            _raise_if_down(host)
            rules = await self._client.rules(url)
            trace.robots = rules.robots
            self._obey(rules, url, trace)
            host.ask_for(rules.delay)
            async with host.turn(clock):
                _raise_if_down(host)  # as others found while this one waited
                trace.attempts += first
                trace.date = datetime.now(UTC).isoformat(timespec="seconds")
                async with self._client.ask(url) as response:
                    trace.http, trace.final_url = response.status, str(url)
                    return await self._take(response, host, trace)

    def _obey(self, rules: Rules, url: URL, trace: _Trace) -> None:
        if rules.failure:
            status, words = rules.failure
            raise Failed(status, words, final=True)
        if not rules.allow(str(url)):
            trace.robots = "disallowed"
            raise Failed(record.ROBOTS, "its robots.txt disallows it")
        if rules.reserved and self.policy.reservation:
            trace.robots = "ai-train=no"
            raise Failed(record.TDM, "its robots.txt reserves it (ai-train=no)")

    async def _take(self, response: aiohttp.ClientResponse, host: Host, trace: _Trace) -> str | None:
        headers = response.headers
        if response.status in REDIRECTS and headers.get("Location"):
            return headers["Location"]
        self._raise_for_status(response, host)
        trace.type = headers.get("Content-Type", "")[:100] or None
        trace.modified = headers.get("Last-Modified", "")[:40] or None
        if refusal := refused_by_headers(headers, self.policy):
            status, trace.robots = refusal
            raise Failed(status, f"its owner says {trace.robots}")
        limit = self.policy.max_bytes
        if (response.content_length or 0) > limit:
            raise Failed(record.LARGE, f"has {response.content_length:,} bytes")
        with self._store.part() as part:
            async for piece in body(response):
                before = part.size
                part.write(piece)
                if part.size > limit:
                    raise Failed(record.LARGE, f"has more than {limit:,} bytes")
                if before < HEAD <= part.size:  # what is no image need not be read to its end
                    self._kind(part.head)
            kind = self._kind(part.head)
            trace.sha256, trace.path = part.keep(kind)
            trace.kind, trace.bytes = kind, part.size
        return None

    def _raise_for_status(self, response: aiohttp.ClientResponse, host: Host) -> None:
        status = response.status
        if status in (429, 503):
            pause = retry_after(response)
            if pause is not None and pause > self.policy.longest_pause:
                host.down = record.BUSY
            raise Failed(record.BUSY, f"HTTP {status}", pause, final=host.down is not None)
        if status >= 500 or status in (408, 425):
            raise Failed(record.SERVER, f"HTTP {status}")
        if status != 200:
            raise Failed(record.HTTP, f"HTTP {status}")

    def _kind(self, head: bytes) -> str:
        kind = kind_of(head)
        if not head:
            raise Failed(record.EMPTY, "has no bytes")
        if kind not in self.policy.kinds:
            raise Failed(record.TYPE, f"is {kind}")
        return kind


def _raise_if_down(host: Host) -> None:
    if host.down:
        raise Failed(host.down, "its host was given up", final=True)
