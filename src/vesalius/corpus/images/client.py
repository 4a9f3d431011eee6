"""One request: at its host's turn, to an address that may be asked, its body no larger than allowed.

Also the robots.txt of each site, asked once, before anything else of it. Leaves redirects and further attempts of
images to `item.py`.
"""

import asyncio
import contextlib
import socket
import ssl
import time
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from yarl import URL

from vesalius.corpus.images import record, robots
from vesalius.corpus.images.addresses import Lookup, Refused, Resolver, clean, sockets
from vesalius.corpus.images.hosts import Clock, Hosts
from vesalius.corpus.images.policy import Policy
from vesalius.corpus.images.record import Failed
from vesalius.corpus.images.robots import Rules

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 1 << 16
_ROBOTS_BYTES = 512 << 10  # RFC 9309: 500 KiB at least
_ROBOTS_REDIRECTS = 5
_ROBOTS_AGAIN = 300.0  # seconds after which one that could not be had is asked again
_SITES = 20_000  # whose rules are remembered


class Client:
    """An HTTP client with manners; to be closed."""

    def __init__(self, policy: Policy, lookup: Lookup):
        self.policy = policy
        self.hosts = Hosts(policy)
        self._sites: OrderedDict[URL, tuple[float, asyncio.Task[Rules]]] = OrderedDict()
        self._resolver = Resolver(lookup, policy.allow)
        # No proxies of the environment, no cookies, no redirects: each of them goes where nobody looked.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, resolver=self._resolver, socket_factory=sockets(policy.allow)),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": policy.user_agent, "Accept": "image/*,*/*;q=0.1", "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=policy.connect, sock_read=policy.silence),
            auto_decompress=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Ends what is open."""
        for _, task in self._sites.values():
            task.cancel()
        await asyncio.gather(*(task for _, task in self._sites.values()), return_exceptions=True)
        await self._session.close()
        await self._resolver.close()

    @contextlib.asynccontextmanager
    async def ask(self, url: URL) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response to a request, within its host's turn; a body that is not read to its end ends the connection.

        Raises:
            Failed: whatever goes wrong on the wire, here or while the body is read.
        """
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _failure(error) from None

    async def rules(self, url: URL) -> Rules:
        """What the site of a URL allows; asked once, however many wait for it."""
        if not self.policy.robots:
            return Rules("off")
        site = url.origin()
        until, task = self._sites.get(site, (0.0, None))
        if task is None or (task.done() and time.monotonic() > until):
            task = asyncio.get_running_loop().create_task(self._ask_rules(site))
            self._sites[site] = (float("inf"), task)
            self._forget()
        return await asyncio.shield(task)

    def _forget(self) -> None:
        while len(self._sites) > _SITES and next(iter(self._sites.values()))[1].done():
            self._sites.popitem(last=False)

    async def _ask_rules(self, site: URL) -> Rules:
        for attempt in range(2):
            if attempt:
                await asyncio.sleep(self.policy.pause)
            try:
                async with asyncio.timeout(None) as limit:
                    found = await self._robots(site, Clock(limit, self.policy))
                break
            except TimeoutError:
                failure = record.ROBOTS_UNREACHABLE, "robots.txt never came"
            except Failed as failed:
                failure = failed.status, f"robots.txt: {failed.error or failed.status}"
            except Exception as defect:  # a site's text never stops a run
                failure = record.ROBOTS_UNREACHABLE, f"robots.txt: {type(defect).__name__}: {defect}"[:200]
            found = Rules("unreachable", failure=failure)
            if failure[0] not in record.RETRIED:
                break
        ttl = self.policy.robots_ttl if found.failure is None else _ROBOTS_AGAIN
        self._sites[site] = (time.monotonic() + ttl, self._sites[site][1])
        return found

    async def _robots(self, site: URL, clock: Clock) -> Rules:
        url = site / "robots.txt"
        for hop in range(_ROBOTS_REDIRECTS + 1):
            try:
                found = await self._robots_at(url, clock)
                if isinstance(found, Rules):
                    return found
                url = clean(found, url)
            except Failed as failed:
                if hop:  # says nothing of the site itself
                    raise Failed(record.ROBOTS_UNREACHABLE, failed.error) from None
                raise
        return Rules("absent")  # as RFC 9309 has it

    async def _robots_at(self, url: URL, clock: Clock) -> Rules | str:
        """The rules, or where they are said to be."""
        with self.hosts.using(url.raw_host or "") as host:
            async with host.turn(clock), self.ask(url) as response:
                status = response.status
                if status in REDIRECTS and (target := response.headers.get("Location")):
                    return target
                if status == 429 or status >= 500:
                    raise Failed(record.ROBOTS_UNREACHABLE, f"HTTP {status}")
                if status != 200:
                    return Rules("absent")
                text = b""
                async for piece in body(response):
                    text += piece[: _ROBOTS_BYTES - len(text)]
                    if len(text) == _ROBOTS_BYTES:
                        break
                return robots.parse(text.decode("utf-8", "replace"), self.policy)


async def body(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """A body in pieces of at most 64 KiB, gzip and deflate undone, though nobody asked for them.

    Raises:
        Failed: `encoding`.
    """
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding in ("", "identity", "none"):
        async for piece in response.content.iter_chunked(_CHUNK):
            yield piece
        return
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise Failed(record.ENCODING, f"has the content encoding {coding[:40]}")
    packed = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        async for piece in response.content.iter_chunked(_CHUNK):
            while piece and not packed.eof:
                yield packed.decompress(piece, _CHUNK)
                piece = packed.unconsumed_tail
        while rest := packed.decompress(packed.unconsumed_tail, _CHUNK):
            yield rest
    except zlib.error as error:
        raise Failed(record.ENCODING, f"is no {coding}, as its header says ({error})") from None
    if not packed.eof:
        raise Failed(record.DROPPED, f"ends within its {coding}")


def retry_after(response: aiohttp.ClientResponse) -> float | None:
    """Seconds that a server asks to be left alone; None where it does not say."""
    said = response.headers.get("Retry-After", "").strip()
    if said.isdigit():
        return float(said[:9])
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _failure(error: Exception) -> Failed:
    words = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    cause: Any = getattr(error, "os_error", None) or error.__cause__ or error
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError)):
        return Failed(record.TLS, words)
    if isinstance(cause, Refused):
        return Failed(record.PRIVATE, str(cause))
    if isinstance(error, aiohttp.ClientConnectorDNSError) or isinstance(cause, (socket.gaierror, UnicodeError)):
        unknown = getattr(cause, "errno", None) in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None))
        return Failed(record.NO_HOST if unknown else record.DNS, words)
    if isinstance(error, (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError)):
        return Failed(record.CONNECT, words)
    if isinstance(error, TimeoutError):
        return Failed(record.TIMEOUT, words)
    if isinstance(error, ssl.SSLError):
        return Failed(record.TLS, words)
    if isinstance(error, (aiohttp.ClientResponseError, aiohttp.InvalidURL, ValueError)):
        return Failed(record.PROTOCOL, words)
    return Failed(record.DROPPED, words)
