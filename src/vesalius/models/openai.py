"""Any OpenAI-compatible server: `openai:MODEL@BASE_URL` (vLLM, llama.cpp, Ollama, LM Studio, a provider's own).

Knows the chat completions protocol: images as data URLs, concurrency, rate limit, time limits, retries with jitter, and
what usage costs. Retries are for the wire and the server's load (408, 409, 429, 5xx, broken connections); they are
counted in each answer and change nothing that is scored. Leaves what is asked, and keeping answers, to `asking.py`.

One thread and one event loop of its own: while an answer is being written to disk nothing else runs, so that what is
in flight never exceeds the concurrency.
"""

import asyncio
import json
import os
import random
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from pydantic import Field

from vesalius.errors import VesaliusError
from vesalius.models.media import data_url
from vesalius.models.protocol import Generation
from vesalius.records import Answer, Question

_AGAIN = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_FATAL = {401, 403, 404, 405}
_LONGEST_WAIT = 60.0  # seconds between two attempts, unless the server asks for more
_OTHER_LIMIT = "max_completion_tokens"
_TOGETHER = 0.05  # seconds that answers are waited for at most, to be written together with one that has come
_GIVE_UP = 10  # questions in a row that never reached the server


class Options(Generation):
    """Options of an endpoint."""

    concurrency: int = Field(8, ge=1, description="Questions in flight at once.")
    rate: float = Field(0, ge=0, description="Questions a minute at most; 0 for no limit.")
    timeout: float = Field(300, gt=0, description="Seconds for one attempt.")
    retries: int = Field(5, ge=0, description="Further attempts at a question.")
    key_env: str = Field("OPENAI_API_KEY", description="Environment variable that holds the API key.")
    price: str = Field("", description="Per million tokens, read and generated: 0.15,0.60.")
    detail: str = Field("", description="Of images: low, high or auto.")
    extra: str = Field("", description="JSON object, added to each request's body.")


class Unreachable(Exception):
    """All attempts failed; says why, and whether the server itself was never reached."""

    def __init__(self, why: str, attempts: int, *, server: bool, fatal: bool = False):
        super().__init__(why)
        self.attempts = attempts
        self.server = server
        self.fatal = fatal


class Endpoint:
    """See the module."""

    media = frozenset({"image"})

    def __init__(self, model: str, base_url: str, name: str, options: Options):
        self.model = model
        self.base_url = base_url.rstrip("/")
        self.name = name
        self.options = options
        self.extra = _object(options.extra, name)
        self.price = _price(options.price, name)
        self.headers = {"Content-Type": "application/json"}
        if key := os.environ.get(options.key_env):
            self.headers["Authorization"] = f"Bearer {key}"
        self._limit = "max_tokens"
        self._next_start = 0.0
        self._lost = 0

    def identity(self) -> dict[str, Any]:
        """Model, endpoint and what is sent with each question; not speed, not the key."""
        settings = self.options.model_dump(include={*Generation.model_fields, "detail"})
        return {"backend": "openai", "model": self.model, "url": self.base_url, "extra": self.extra, **settings}

    def check(self) -> str:
        """Asks the server which models it has."""
        return asyncio.run(self._check())

    async def _check(self) -> str:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=min(self.options.timeout, 30))
        try:
            async with (
                aiohttp.ClientSession(headers=self.headers, timeout=timeout, trust_env=True) as session,
                session.get(f"{self.base_url}/models") as response,
            ):
                text = await response.text()
                if response.status in (404, 405, 501):
                    return f"{self.base_url} answers, but does not list its models"
                if response.status >= 400:
                    raise self._refusal(response.status, text)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise self._dead(_words(error)) from None
        try:
            listed = [entry["id"] for entry in json.loads(text)["data"]]
        except (ValueError, KeyError, TypeError):
            return f"{self.base_url} answers, but its list of models cannot be read"
        if self.model not in listed and listed:
            remedy = f"it has: {', '.join(listed[:10])}"
            raise VesaliusError(f"has no model {self.model}", file=self.base_url, remedy=remedy, code="model")
        return f"{self.base_url} has {self.model}"

    def answer(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """Answers as they come; `concurrency` questions are in flight at once."""
        if self.options.likelihood:
            remedy = "leave it out, or use a local model (hf:)"
            raise VesaliusError("endpoints give no likelihood of options", file=self.name, remedy=remedy, code="model")
        loop = asyncio.new_event_loop()
        try:
            yield from self._answers(iter(questions), loop)
        finally:
            loop.run_until_complete(self._close(loop))
            loop.close()

    def _answers(self, questions: Iterator[Question], loop: asyncio.AbstractEventLoop) -> Iterator[Answer]:
        flying: set[asyncio.Task] = set()
        self._session = loop.run_until_complete(self._open())
        more = True
        while more or flying:
            start = time.perf_counter()
            while more and len(flying) < self.options.concurrency:
                question = next(questions, None)
                if question is None:
                    more = False
                else:
                    task = loop.create_task(self._one(question))
                    task.add_done_callback(_heard)
                    flying.add(task)
            writing = min(time.perf_counter() - start, _TOGETHER)
            if flying:
                done, flying = loop.run_until_complete(_landed(flying, writing))
                for task in sorted(done, key=_heard):  # what was answered is kept, also where another stops the run
                    yield task.result()

    async def _open(self) -> Any:
        import aiohttp

        connector = aiohttp.TCPConnector(limit=self.options.concurrency)
        timeout = aiohttp.ClientTimeout(total=self.options.timeout)
        proxy, auth = _proxy(self.base_url)
        return aiohttp.ClientSession(
            headers=self.headers, connector=connector, timeout=timeout, proxy=proxy, proxy_auth=auth
        )

    async def _close(self, loop: asyncio.AbstractEventLoop) -> None:
        tasks = asyncio.all_tasks(loop) - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if getattr(self, "_session", None) is not None:
            await self._session.close()

    async def _one(self, question: Question) -> Answer:
        start = time.perf_counter()
        try:
            body = self._body(question)
            reply, attempts = await self._ask(body)
            self._lost = 0
            answer = replace(self._read(question.id, reply), attempts=attempts)
        except VesaliusError as error:
            answer = Answer(question.id, status="failed", reason=str(error))
        except Unreachable as error:
            if error.fatal:
                raise VesaliusError(str(error), file=self.base_url, remedy="correct the URL, the model or the key",
                                    code="endpoint") from None  # fmt: skip
            self._lost = 0 if error.server else self._lost + 1
            if self._lost >= _GIVE_UP:
                raise self._dead(str(error)) from None
            answer = Answer(question.id, status="failed", reason=str(error), attempts=error.attempts)
        return replace(answer, seconds=time.perf_counter() - start)

    def _body(self, question: Question) -> bytes:
        messages = []
        for message in question.messages:
            content: list[dict[str, Any]] = []
            for part in message.parts:
                if part.type == "text":
                    content.append({"type": "text", "text": part.text})
                elif part.type == "image" and part.path:
                    image = {"url": data_url(part.path)} | (
                        {"detail": self.options.detail} if self.options.detail else {}
                    )
                    content.append({"type": "image_url", "image_url": image})
                else:
                    problem, remedy = f"takes no {part.type}", "ask a model that does, or --blind"
                    raise VesaliusError(problem, file=self.name, case=question.id, remedy=remedy, code="medium")
            only = content[0]["text"] if len(content) == 1 and content[0]["type"] == "text" else content
            messages.append({"role": message.role, "content": only})  # older servers take no lists of text
        o = self.options
        body = {"model": self.model, "messages": messages, self._limit: o.max_tokens, "temperature": o.temperature}
        if o.temperature > 0:
            body |= {"top_p": o.top_p, "seed": o.seed}
        if o.stop:
            body["stop"] = list(o.stop)
        return json.dumps(body | self.extra).encode()

    async def _ask(self, body: bytes) -> tuple[dict[str, Any], int]:
        """The server's reply, after as many attempts as it takes."""
        import aiohttp

        url = f"{self.base_url}/chat/completions"
        attempt = 0
        while True:
            attempt += 1
            await self._turn()
            pause = None
            try:
                async with self._session.post(url, data=body) as response:
                    text = await response.text()
                    if response.status == 200:
                        return json.loads(text), attempt
                    if response.status == 400 and b'"max_tokens"' in body and _OTHER_LIMIT in text:
                        # Newer models of OpenAI know the limit by another name only.
                        self._limit = _OTHER_LIMIT
                        body = body.replace(b'"max_tokens"', f'"{_OTHER_LIMIT}"'.encode(), 1)
                        continue
                    why, server = f"HTTP {response.status}: {_message(text)}", True
                    if response.status not in _AGAIN:
                        raise Unreachable(why, attempt, server=True, fatal=response.status in _FATAL)
                    pause = _seconds(response.headers.get("Retry-After"))
            except ValueError as error:
                why, server = f"the reply is no JSON ({error})", True
            except TimeoutError:
                why, server = f"no reply within {self.options.timeout:g} s", True
            except aiohttp.ClientError as error:
                why, server = _words(error), not isinstance(error, aiohttp.ClientConnectorError)
            if attempt > self.options.retries:
                raise Unreachable(f"{why} (asked {attempt} times)", attempt, server=server)
            # Full jitter: a crowd that was turned away together does not come back together.
            await asyncio.sleep(pause or random.uniform(0, min(_LONGEST_WAIT, 2.0 ** (attempt - 1))))

    async def _turn(self) -> None:
        """Waits until the rate limit allows another request."""
        if self.options.rate:
            now = time.monotonic()
            self._next_start = max(self._next_start, now) + 60 / self.options.rate
            await asyncio.sleep(self._next_start - 60 / self.options.rate - now)

    def _read(self, id: str, reply: dict[str, Any]) -> Answer:
        try:
            choice = reply["choices"][0]
            message = choice["message"]
            text = message.get("content") or ""
        except (KeyError, IndexError, TypeError, AttributeError):
            return Answer(id, status="failed", reason=f"the reply has no answer: {_message(json.dumps(reply))}")
        usage = reply.get("usage") or {}
        read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
        cost = (
            (read * self.price[0] + (written or 0) * self.price[1]) / 1e6 if self.price and read is not None else None
        )
        served = "/".join(str(reply[k]) for k in ("model", "system_fingerprint") if reply.get(k)) or None
        more: dict[str, Any] = {"prompt_tokens": read, "tokens": written, "cost": cost, "served_by": served}
        finish = choice.get("finish_reason")
        if message.get("refusal") or finish == "content_filter":
            said = message.get("refusal") or text
            return Answer.of_text(
                id, said, status="refused", reason=str(message.get("refusal") or "content filter"), **more
            )
        if finish == "length":
            return Answer.of_text(
                id, text, status="cut_off", reason=f"cut off at {self.options.max_tokens} tokens", **more
            )
        return Answer.of_text(id, text, **more)

    def _dead(self, why: str) -> VesaliusError:
        remedy = "is the server running? what is answered is kept, the same command goes on"
        return VesaliusError(f"cannot be reached ({why})", file=self.base_url, remedy=remedy, code="endpoint")

    def _refusal(self, status: int, text: str) -> VesaliusError:
        remedy = f"is the key in {self.options.key_env}?" if status in (401, 403) else "correct the URL"
        return VesaliusError(f"HTTP {status}: {_message(text)}", file=self.base_url, remedy=remedy, code="endpoint")

    def close(self) -> None:
        """Connections are closed with each `answer`."""


def _proxy(url: str) -> tuple[Any, Any]:
    """The environment's proxy for an address and its credentials, None where there is none.

    aiohttp's own `trust_env` looks them up, and reads ~/.netrc, in threads and anew for every request.
    """
    from aiohttp.helpers import get_env_proxy_for_url
    from yarl import URL

    try:
        return get_env_proxy_for_url(URL(url))
    except LookupError:
        return None, None


def _heard(task: asyncio.Task) -> bool:
    """Whether a task that is done ended in an error. Looking at it is enough: one error stops a run and is raised, and
    asyncio would print a traceback for each of the others, from a finalizer, at a moment of its choosing."""
    return task.cancelled() or task.exception() is not None


async def _landed(flying: set[asyncio.Task], seconds: float) -> tuple[set[asyncio.Task], set[asyncio.Task]]:
    """(done, still flying) once something has come, and what comes within so many seconds of it.

    By the next question what came is on disk, and that costs as much for many answers as for one. So others are given
    the time that it took last: a slow disk is written to less often, and a fast one hardly delays anything.
    """
    done, left = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
    if left:
        late, left = await asyncio.wait(left, timeout=seconds)
        done |= late
    return done, left


def _words(error: BaseException) -> str:
    return re.sub(r"\s*ssl:default", "", str(error)) or type(error).__name__


def _message(text: str) -> str:
    """The message in a server's reply, or its beginning."""
    try:
        said = json.loads(text)
        error = said.get("error", said.get("message", said)) if isinstance(said, dict) else said
        text = str(error.get("message", error) if isinstance(error, dict) else error)
    except ValueError:
        pass
    return " ".join(text.split())[:300]


def _seconds(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None  # a date: wait as long as we would


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise VesaliusError("option extra: is no JSON object", file=name, remedy='write {"key": value}', code="model")
    return value


def _price(text: str, name: str) -> tuple[float, float] | None:
    if not text:
        return None
    try:
        read, written = (float(word) for word in text.split(","))
    except ValueError:
        remedy = "write two numbers per million tokens: price=0.15,0.60"
        raise VesaliusError(f"option price: «{text}» is no price", file=name, remedy=remedy, code="model") from None
    return read, written


def connect(target: str, name: str, options: Options) -> Endpoint:
    """`openai:MODEL@BASE_URL`.

    Raises:
        VesaliusError: no base URL.
    """
    model, _, url = target.rpartition("@")
    if not model or not url.startswith(("http://", "https://")):
        remedy = "write openai:MODEL@BASE_URL, for example openai:gpt-4o@https://api.openai.com/v1"
        raise VesaliusError(f"«{target}» names no endpoint", remedy=remedy, code="model")
    return Endpoint(model, url, name, options)
