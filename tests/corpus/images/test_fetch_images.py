"""What servers do, and what comes of it: each image a row, none a crash, a hang or an endless wait."""

import asyncio
import gzip
import hashlib
import threading
import time
import zlib
from collections import Counter
from pathlib import Path

import pytest
from aiohttp import web
from image_server import always, encoded, in_turn, stream

from vesalius.corpus.images import NETWORK, Policy, Wanted, fetch_all, share_of
from vesalius.errors import VesaliusError

PNG = encoded(1)


def test_an_image_is_stored_by_what_is_in_it(server, fetch, tmp_path):
    one, other = fetch(server.url("1.png"), server.url("2.png"))
    one, other = sorted((one, other), key=lambda fetched: fetched.url)
    assert (one.status, one.http, one.kind, one.robots, one.attempts) == ("ok", 200, "png", "absent", 1)
    assert one.sha256 == hashlib.sha256(PNG).hexdigest() and one.bytes == len(PNG)
    assert one.path == f"{one.sha256[:2]}/{one.sha256}.png" and (tmp_path / one.path).read_bytes() == PNG
    assert one.date.endswith("+00:00") and one.type == "image/png" and one.path != other.path
    assert not list(tmp_path.glob(".parts/*"))
    assert one.facts()["sha256"] == one.sha256 and "document" not in one.facts() and "url" not in one.facts()


def test_the_agent_says_who_it_is_and_how_to_complain(server, fetch):
    fetch(server.url("1.png"), contact="https://example.org/bot")
    agents = {one.headers["User-Agent"] for one in server.log}
    assert len(agents) == 1 and agents.pop().startswith("VesaliusBot/") and len(server.log) == 2
    assert server.log[0].headers["User-Agent"].endswith("(+https://example.org/bot)")
    assert all("Cookie" not in one.headers for one in server.log)


def test_the_same_image_at_two_urls_is_one_file(server, fetch, tmp_path):
    server.answers["copy"] = always(body=PNG)
    one, other = fetch(server.url("1.png"), server.url("copy"))
    assert one.path == other.path and len(list(tmp_path.glob("??/*"))) == 1


def test_a_url_of_many_documents_is_asked_once_and_answered_to_each(server, fetch):
    url = server.url("1.png")
    found = fetch(*(Wanted(url + suffix, f"d{i}") for i, suffix in enumerate(["", "#top", "", "#x"])))
    assert sorted(one.document for one in found) == ["d0", "d1", "d2", "d3"]
    assert {one.url for one in found} == {url, f"{url}#top", f"{url}#x"} and server.paths() == ["1.png"]
    assert sum(not one.before for one in found) == 1


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (always(status=404), "http"),
        (always(status=403, body=PNG), "http"),
        (always(status=204), "http"),
        (always(body=b""), "empty"),
        (always(body=b"<!doctype html><p>Not found", content_type="image/png"), "type"),
        (always(body=b"<?xml version='1.0'?><svg xmlns='x'/>", content_type="image/png"), "type"),
        (always(body=b"PK\x03\x04" + bytes(99), content_type="image/png"), "type"),
        (always(body=PNG, content_type="text/html"), "ok"),
        (always(body=PNG, headers={"Content-Encoding": "gzip"}), "encoding"),
        (always(body=PNG, headers={"Content-Encoding": "br"}), "encoding"),
        (always(body=gzip.compress(PNG), headers={"Content-Encoding": "gzip"}), "ok"),
        (always(body=zlib.compress(PNG), headers={"Content-Encoding": "deflate"}), "ok"),
        (always(body=gzip.compress(PNG)[:-20], headers={"Content-Encoding": "gzip"}), "dropped"),
        (always(body=gzip.compress(PNG[:8] + bytes(60_000_000)), headers={"Content-Encoding": "gzip"}), "large"),
        (stream([PNG[:200]], length=len(PNG), drop=True), "dropped"),
        (stream([PNG[:200]], drop=True), "dropped"),
        (stream([b"\x89PNG\r\n\x1a\n", *[bytes(99_999)] * 30]), "large"),
        (stream([], length=10**12), "large"),
        (always(status=500), "server"),
        (always(status=429), "busy"),
        (always(body=PNG, headers={f"X-{i}": "x" * 8000 for i in range(200)}), "protocol"),
        (always(body=PNG, headers={"X": "x" * 10**6}), "protocol"),
    ],
)
def test_what_a_server_sends(server, fetch, tmp_path, answer, status):
    server.answers["it"] = answer
    (one,) = fetch(server.url("it"), max_bytes=1_000_000, retries=1)
    assert (one.status, bool(one.path)) == (status, status == "ok"), one.error
    assert one.error or one.ok
    assert one.attempts == (2 if status in ("dropped", "server", "busy") else 1)
    assert not list(tmp_path.glob(".parts/*"))
    if one.ok:
        assert (tmp_path / one.path).read_bytes() == PNG


def test_what_is_no_image_is_not_read_to_its_end(server, fetch):
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 200 << 20:
            await response.write(b"<!doctype html>" * 4000)
            sent += 60_000
        return response

    server.answers["page"] = endless
    assert fetch(server.url("page"), max_bytes=10**9)[0].status == "type"
    assert sent < 20 << 20


def test_failures_that_pass_are_tried_again_and_others_not(server, fetch):
    server.answers["late"] = in_turn(always(status=503), stream([PNG[:99]], length=999, drop=True), always(body=PNG))
    server.answers["gone"] = always(status=410)
    late, gone = sorted(fetch(server.url("late"), server.url("gone")), key=lambda one: one.url, reverse=True)
    assert late.ok and late.attempts == 3 and gone.attempts == 1
    assert Counter(server.paths()) == {"late": 3, "gone": 1}


def test_retry_after_is_honoured_by_all_images_of_the_host(server, fetch):
    server.answers["busy"] = in_turn(always(status=429, headers={"Retry-After": "1"}), always(body=PNG))
    found = fetch(server.url("busy"), *(server.url(f"{i}.png") for i in range(4)), per_host=1)
    assert all(one.ok for one in found)
    refused = next(one for one in server.log if one.path == "busy")
    assert min(one.begin for one in server.log if one.begin > refused.end) - refused.end >= 0.95


def test_a_host_that_wants_to_be_left_alone_for_long_is(server, fetch):
    server.answers["busy"] = always(status=503, headers={"Retry-After": "86400"})
    found = fetch(server.url("busy"), *(server.url(f"{i}.png") for i in range(4)), per_host=1)
    assert {one.status for one in found} == {"busy"} and server.paths() == ["busy"]


def test_a_drip_ends_at_its_deadline(server, fetch):
    server.answers["drip"] = stream([b"\x89PNG\r\n\x1a\n", *[b"x"] * 200], 0.05)
    begin = time.monotonic()
    (one,) = fetch(server.url("drip"), deadline=0.6)
    assert one.status == "deadline" and "0.6 s" in one.error and one.http == 200
    assert time.monotonic() - begin < 3 and 0.5 < one.seconds < 1.5


def test_a_server_that_says_nothing_times_out(server, fetch):
    async def silent(request: web.Request) -> web.Response:
        await asyncio.sleep(20)
        return web.Response()

    server.answers["silent"] = silent
    (one,) = fetch(server.url("silent"), silence=0.2, retries=1)
    assert (one.status, one.attempts) == ("timeout", 2)


def test_redirects_are_followed_by_hand(server, fetch):
    for i in range(7):
        server.answers[f"r{i}"] = always(status=302, headers={"Location": f"/r{i - 1}" if i else "/1.png"})
    server.answers["loop"] = always(status=301, headers={"Location": "/pool"})
    server.answers["pool"] = always(status=301, headers={"Location": "loop#x"})
    found = {one.url.rpartition("/")[2]: one for one in fetch(*map(server.url, ["r4", "r5", "loop"]))}
    assert found["r4"].ok and found["r4"].final_url == server.url("1.png") and found["r4"].attempts == 1
    assert found["r5"].status == "redirects" and "5 times" in found["r5"].error
    assert found["loop"].status == "redirects" and server.paths().count("loop") == 1


def test_a_host_that_answers_nobody_is_given_up(server, fetch):
    server.answers["drop"] = stream([], drop=True)
    found = fetch(*(server.url(f"drop?{i}") for i in range(30)), per_host=1, retries=0, host_failures=3)
    assert Counter(one.status for one in found) == {"dropped": 3, "down": 27}
    assert len(server.paths()) == 3


def test_known_results_are_not_asked_again_unless_wished(server, fetch, tmp_path):
    server.answers["down"] = in_turn(always(status=500), always(body=PNG))
    urls = [server.url("down"), server.url("none"), server.url("2.png")]
    first = {one.url: one.status for one in fetch(*urls, retries=0)}
    assert list(first.values()).count("ok") == 1 and set(first.values()) == {"server", "http", "ok"}
    again = fetch(*urls)
    assert {one.url: one.status for one in again} == first and all(one.before for one in again)
    assert len(server.paths()) == 3
    mended = fetch(*urls, *urls, again=NETWORK)
    assert Counter(one.status for one in mended) == {"ok": 4, "http": 2}
    assert server.paths()[3:] == ["down"]
    # A file that went away is fetched again.
    (tmp_path / next(one.path for one in mended if one.url == urls[2])).unlink()
    assert all(one.ok for one in fetch(urls[2])) and server.paths()[4:] == ["2.png"]


def test_few_successes_stop_the_run_and_say_why(server, tmp_path):
    wanted = [Wanted(server.url(f"none{i}")) for i in range(500)] + [Wanted("ftp://x/y")]
    policy = Policy(allow=["127.0.0.0/8"], delay=0, per_host=8, success_window=50, window=64)
    came = []
    with pytest.raises(VesaliusError, match=r"only 0 of the last 50 images came \(in all: http 404 \d+") as error:
        came.extend(fetch_all(wanted, tmp_path, policy, lookup=lambda host: ["127.0.0.1"]))
    assert error.value.code == "success" and 50 <= len(server.paths()) < 250


def test_a_reader_that_goes_away_leaves_nothing_behind(server, tmp_path):
    server.slow = 0.2
    policy = Policy(allow=["127.0.0.0/8"], delay=0)
    wanted = (Wanted(server.url(f"{i}.png")) for i in range(50))
    results = fetch_all(wanted, tmp_path, policy, lookup=lambda host: ["127.0.0.1"])
    assert next(results).ok
    results.close()
    until = time.monotonic() + 2
    while alive := [one for one in threading.enumerate() if one.name.startswith("vesalius")]:
        assert time.monotonic() < until, alive
        time.sleep(0.01)
    assert not list(tmp_path.glob(".parts/*"))


def test_wanted_images_are_taken_up_as_they_are_needed(server, tmp_path):
    taken = 0

    def wanted():
        nonlocal taken
        for i in range(400):
            taken += 1
            yield Wanted(server.url(f"{i % 7}.png?{i}"))

    policy = Policy(allow=["127.0.0.0/8"], delay=0, window=20)
    results = fetch_all(wanted(), tmp_path, policy, lookup=lambda host: ["127.0.0.1"])
    next(results)
    assert taken < 60
    results.close()


def test_a_full_disk_stops_the_run(server, tmp_path, monkeypatch):
    from vesalius.corpus.images import store

    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None: ...

    monkeypatch.setattr(store.Path, "open", lambda *_: Full())
    policy = Policy(allow=["127.0.0.0/8"], delay=0)
    with pytest.raises(VesaliusError, match="No space left") as error:
        list(fetch_all([Wanted(server.url("1.png"))], tmp_path, policy, lookup=lambda host: ["127.0.0.1"]))
    assert error.value.code == "space"


def test_odd_urls_are_rows(fetch):
    odd = ["", "  ", "http://", "http:///x.png", "http://[::1", "http://a.test:99999/x", "http://a b/", "ftp://x/y.png"]
    odd += ["data:image/png;base64,AAAA", "javascript:alert(1)", "file:///etc/passwd", "//a.test/x", "\ud800", "/x.png"]
    odd += ["http://" + "a" * 70 + ".test/", "http://x/" + "y" * 9000, "http://\x00/", "http://a.test\\@b.test/"]
    found = fetch(*odd)
    assert sorted(one.url for one in found) == sorted(odd)
    assert {one.status for one in found} <= {"url", "scheme", "outside", "connect"}


def test_shares_are_by_host():
    shares = {share_of(f"https://{host}/{i}.png", 4) for i in range(9) for host in ["one.test"]}
    assert len(shares) == 1 and share_of("http://[", 4) in range(4)
    assert {share_of(f"https://{i}.test/x", 4) for i in range(99)} == {0, 1, 2, 3}


def test_two_processes_do_not_fetch_into_one_folder(server, tmp_path: Path):
    from vesalius.run import Run

    with Run(tmp_path / "fetched.sqlite") as run:
        run.set_fact("driver", [__import__("socket").gethostname(), 1])
        with pytest.raises(VesaliusError, match="process 1 is writing"):
            list(fetch_all([], tmp_path))
        run.set_fact("driver", None)
