"""An OpenAI-compatible server that answers at once, or misbehaves as told; every question is logged before it answers.

    python stub_server.py LOG [BEHAVIOUR]      prints its port

It can be a judge, too: see `verdict`.
BEHAVIOUR is read from the question's own words where it is not given: a text with «@429» is turned away twice, …
"""

import asyncio
import collections
import json
import os
import re
import sys

from aiohttp import web

seen: collections.Counter = collections.Counter()
flying = 0
most = 0


def reply(text: str, finish: str = "stop", **message) -> web.Response:
    body = {
        "model": "stub-1",
        "system_fingerprint": "fp_0",
        "choices": [{"message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
        "id": "1",
        "object": "chat.completion",
        "created": 0,
    }
    return web.json_response(body)


async def complete(request: web.Request) -> web.Response:
    global flying, most
    raw = await request.read()
    body = json.loads(raw)
    content = body["messages"][-1]["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    words = " ".join(part.get("text", "") for part in parts)
    images = sum(part["type"] == "image_url" for part in parts)
    log = request.app["log"]
    os.write(
        log,
        (
            json.dumps({"words": words, "images": images, "body": {k: v for k, v in body.items() if k != "messages"}})
            + "\n"
        ).encode(),
    )
    seen[words] += 1
    flying += 1
    most = max(most, flying)
    try:
        return await behave(request, words, body)
    finally:
        flying -= 1


async def behave(request: web.Request, words: str, body: dict) -> web.Response:
    if delay := request.app["delay"]:
        await asyncio.sleep(delay)
    if "@429" in words and seen[words] <= 2:
        return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "0.01"})
    if "@500" in words and seen[words] <= 2:
        return web.json_response({"error": {"message": "oops"}}, status=500)
    if "@always500" in words:
        return web.json_response({"error": {"message": "broken for good"}}, status=500)
    if "@400" in words:
        return web.json_response({"error": {"message": "image too large"}}, status=400)
    if "@401" in words:
        return web.json_response({"error": {"message": "bad key"}}, status=401)
    if "@garbage" in words:
        return web.Response(text="<html>proxy</html>")
    if "@nochoices" in words:
        return web.json_response({"choices": []})
    if "@hang" in words:
        await asyncio.sleep(60)
    if "@slow" in words:
        await asyncio.sleep(0.05)
    if "@drop" in words and seen[words] <= 1:
        request.transport.close()
    if "@refuse" in words:
        return reply("", refusal="I cannot help with that.")
    if "@filter" in words:
        return reply("", finish="content_filter")
    if "@cut" in words:
        return reply("The answer", finish="length")
    if "@empty" in words:
        return reply("")
    if "@newname" in words and "max_tokens" in body:
        message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        return web.json_response({"error": {"message": message}}, status=400)
    if '{"verdict":' in words:
        return reply(verdict(words, body["model"]))
    return reply("B")


def verdict(words: str, model: str) -> str:
    """A judge's reply: `@say=X` in the judged words makes it say X, `@prose` makes it say no verdict.

    Its controls are passed, but by the models "wrong-judge" (always the first verdict) and "chatty-judge" (no JSON).
    """
    known = {
        "It is the spleen.": "B",
        "I do not know.": "NONE",
        "on the left side": "CORRECT",
        "the right side": "INCORRECT",
    }
    said = re.search(r"@say=(\w+)", words)
    word = said[1] if said else next((known[key] for key in known if f"nswer: {key}" in words), "NONE")
    if "@prose" in words or model == "chatty-judge":
        return f"I would say that it is {word}."
    if model == "wrong-judge":
        word = "A" if "NONE" in words else "CORRECT"
    return f'```json\n{{"verdict": "{word.lower()}", "why": "it says so"}}\n```'


async def models(request: web.Request) -> web.Response:
    return web.json_response({"data": [{"id": id} for id in ("stub", "wrong-judge", "chatty-judge")]})


async def statistics(request: web.Request) -> web.Response:
    return web.json_response({"most_in_flight": most})


def main() -> None:
    app = web.Application(client_max_size=2**30)
    app["log"] = os.open(sys.argv[1], os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    app["delay"] = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/v1/models", models)
    app.router.add_get("/statistics", statistics)

    async def serve() -> None:
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(site._server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
