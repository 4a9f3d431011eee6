"""A web server of this machine that behaves as badly as it is told to, and keeps a log of who asked when."""

import asyncio
import io
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np
from aiohttp import web
from PIL import Image

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def encoded(number: int = 0, form: str = "PNG", size: tuple[int, int] = (200, 160)) -> bytes:
    """An image that is like no other of another number."""
    noise = np.random.default_rng(number).integers(0, 256, (size[1] // 20, size[0] // 20, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).resize(size).save(stream, form)
    return stream.getvalue()


@dataclass
class Asked:
    host: str
    path: str
    begin: float
    end: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


class Server:
    """Paths are answered by `answers`; `/N.png` by an image, `/robots.txt` by `robots` of its host, or 404."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.robots: dict[str, str] = {}
        self.log: list[Asked] = []
        self.slow = 0.0
        self._active: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()

    async def _start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port: int = self._runner.addresses[0][1]

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def url(self, path: str, host: str = "a.test") -> str:
        return f"http://{host}:{self.port}/{path}"

    def paths(self) -> list[str]:
        """What was asked, robots.txt left out."""
        return [one.path for one in self.log if one.path != "robots.txt"]

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        host, path = request.host.partition(":")[0], request.path.lstrip("/")
        one = Asked(host, path, time.monotonic(), headers=dict(request.headers))
        self.log.append(one)
        self._active[host] += 1
        self.most[host] = max(self.most[host], self._active[host])
        try:
            if path in self.answers:
                return await self.answers[path](request)
            if path == "robots.txt":
                text = self.robots.get(host)
                return web.Response(text=text, status=200) if text is not None else web.Response(status=404)
            await asyncio.sleep(self.slow)
            if path.endswith(".png"):
                return web.Response(body=encoded(int(path.removesuffix(".png"))), content_type="image/png")
            return web.Response(status=404)
        finally:
            self._active[host] -= 1
            one.end = time.monotonic()


def always(**response: object) -> Answer:
    """Answers with this, whoever asks."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(**response)

    return answer


def stream(pieces: list[bytes], pause: float = 0.0, *, length: int | None = None, drop: bool = False) -> Answer:
    """Sends piece by piece, and may announce another length, or drop the connection at the end."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={} if length is None else {"Content-Length": str(length)})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(pause)
        if drop:
            request.transport.abort()
        return response

    return answer


def in_turn(*answers: Answer) -> Answer:
    """The first asker gets the first, and all after the last the last."""
    left = list(answers)

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (left.pop(0) if len(left) > 1 else left[0])(request)

    return answer
