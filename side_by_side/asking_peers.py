"""One client, or the server that all of them ask, in a process of its own; called by asking.py.

    asking_peers.py serve                                    prints its port; answers every question at once
    asking_peers.py httpx   FILE URL CONCURRENCY OUT         a bare asyncio + httpx loop: the yardstick
    asking_peers.py aiohttp FILE URL CONCURRENCY OUT         the same with aiohttp, which ours uses
    asking_peers.py ours    FILE URL CONCURRENCY OUT         what `vesalius bench run` does between start and end
    asking_peers.py vlmevalkit FILE URL CONCURRENCY OUT CHECKOUT [--no-pause]

FILE is JSON Lines of id, question, options, answer, image. Each client prints a JSON object: `seconds` from the first
question taken to the last answer kept, and `answers`. The server is a bare protocol that reads Content-Length and
writes fixed bytes, so that it costs as little as can be on the cores that it shares with the client.
"""

import asyncio
import base64
import json
import sys
import time
from pathlib import Path

ANSWER = {
    "id": "1", "object": "chat.completion", "created": 0, "model": "stub",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "B"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
}  # fmt: skip


def _http(body: dict) -> bytes:
    data = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data)


class Stub(asyncio.Protocol):
    """Answers each request with the same bytes as soon as its last byte is there."""

    answer = _http(ANSWER)
    models = _http({"data": [{"id": "stub"}]})

    def connection_made(self, transport):
        self.transport = transport
        self.head = b""
        self.left = -1  # bytes of the body that are to come; −1 while the header is read

    def data_received(self, data):
        while data or self.left == 0:
            if self.left < 0:
                self.head += data
                header, end, data = self.head.partition(b"\r\n\r\n")
                if not end:
                    return
                low = header.lower()
                at = low.find(b"content-length:")
                self.left = int(low[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
                self.reply = self.models if header.startswith(b"GET") else self.answer
                self.head = b""
                if b"expect: 100-continue" in low:
                    self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            taken = min(self.left, len(data))
            self.left -= taken
            data = data[taken:]
            if self.left == 0:
                self.left = -1
                self.transport.write(self.reply)


async def serve() -> None:
    """Until it is killed."""
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def prompt(row: dict) -> str:
    """The words that all clients send."""
    options = [f"{letter}. {option}" for letter, option in zip("ABCD", row["options"], strict=False)]
    request = "Please select the correct answer from the options above. Answer with the letter of the option."
    return "\n".join([f"Question: {row['question']}", "Options:", *options, request])


def rows(file: str) -> list[dict]:
    """The questions."""
    return [json.loads(line) for line in Path(file).read_text().splitlines()]


def body(row: dict) -> dict:
    """What the bare loops send."""
    image = base64.b64encode(Path(row["image"]).read_bytes()).decode()
    content = [
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{image}"}},
        {"type": "text", "text": prompt(row)},
    ]
    return {"model": "stub", "messages": [{"role": "user", "content": content}], "max_tokens": 512}


async def httpx_loop(file: str, url: str, concurrency: int, out: str) -> tuple[float, int]:
    """What anybody would write: as many workers as may be in flight, a list of answers, a file at the end."""
    import httpx

    questions = rows(file)
    answers = {}
    start = time.perf_counter()
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx.AsyncClient(limits=limits, timeout=300) as client:
        left = iter(questions)

        async def worker():
            for row in left:
                reply = await client.post(f"{url}/chat/completions", json=body(row))
                answers[row["id"]] = reply.json()["choices"][0]["message"]["content"]

        await asyncio.gather(*(worker() for _ in range(concurrency)))
    Path(out).write_text(json.dumps(answers))
    return time.perf_counter() - start, len(answers)


async def aiohttp_loop(file: str, url: str, concurrency: int, out: str) -> tuple[float, int]:
    """The same as `httpx_loop`."""
    import aiohttp

    questions = rows(file)
    answers = {}
    start = time.perf_counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as client:
        left = iter(questions)

        async def worker():
            for row in left:
                async with client.post(f"{url}/chat/completions", json=body(row)) as reply:
                    answers[row["id"]] = (await reply.json())["choices"][0]["message"]["content"]

        await asyncio.gather(*(worker() for _ in range(concurrency)))
    Path(out).write_text(json.dumps(answers))
    return time.perf_counter() - start, len(answers)


def ours(file: str, url: str, concurrency: int, out: str) -> tuple[float, int]:
    """The asking of a run whose questions are there already."""
    from vesalius.bench.questions.runner import Settings, open_benchmark, run
    from vesalius.bench.questions.store import Store
    from vesalius.models import open_model

    name = f"openai:stub@{url}?concurrency={concurrency}"
    with Store(out, create=True) as store:
        benchmark, opened = open_benchmark(file, store.media)
        store.ingest(benchmark, opened)
        model = open_model(name)
        start = time.perf_counter()
        account = run(store, benchmark, model, name, Settings())
        return time.perf_counter() - start, account.asked


def vlmevalkit(file: str, url: str, concurrency: int, out: str, checkout: str, *more: str) -> tuple[float, int]:
    """Its API wrapper and its progress, as its `infer_data_api` calls them; its packages' `__init__` stepped over.

    `--no-pause` takes out the random pause of up to half a second that it makes before each question.
    """
    from letters_peer import package

    package(checkout, "vlmeval", "vlmeval.api")
    from vlmeval.api import base
    from vlmeval.api.gpt import GPT4V
    from vlmeval.utils import track_progress_rich

    if "--no-pause" in more:
        base.time = type("time", (), {"sleep": staticmethod(lambda seconds: None)})
    questions = rows(file)
    model = GPT4V(model="stub", key="x", api_base=f"{url}/chat/completions", verbose=False, max_tokens=512)
    start = time.perf_counter()
    structs = [
        {"message": [{"type": "image", "value": row["image"]}, {"type": "text", "value": prompt(row)}], "dataset": "x"}
        for row in questions
    ]
    keys = [str(row["id"]) for row in questions]
    found = track_progress_rich(model.generate, structs, nproc=concurrency, chunksize=concurrency, save=out, keys=keys)
    return time.perf_counter() - start, sum(answer == "B" for answer in found)


def main() -> None:
    """See the module."""
    who, *words = sys.argv[1:]
    if who == "serve":
        asyncio.run(serve())
        return
    file, url, concurrency, out, *more = words
    clients = {"httpx": httpx_loop, "aiohttp": aiohttp_loop, "ours": ours, "vlmevalkit": vlmevalkit}
    found = clients[who](file, url, int(concurrency), out, *more)
    seconds, answers = asyncio.run(found) if asyncio.iscoroutine(found) else found
    print(json.dumps({"seconds": seconds, "answers": answers}))


if __name__ == "__main__":
    main()
