"""Manners, measured at the server: turns, delays, and what owners say."""

import asyncio
import time
from collections import Counter
from itertools import pairwise

import pytest
from aiohttp import web
from image_server import always, encoded, in_turn

from vesalius.corpus.images import Policy, Wanted
from vesalius.corpus.images.robots import directives, parse, refused_by_headers, refused_by_page

PNG = encoded(1)


def gaps(server, host: str, every: bool = False) -> list[float]:
    begins = sorted(one.begin for one in server.log if one.host == host and (every or one.path != "robots.txt"))
    return [after - before for before, after in pairwise(begins)]


def test_never_more_than_so_many_at_once_of_a_host_and_in_all(server, fetch):
    server.slow = 0.05
    urls = [server.url(f"{i}.png", f"{host}.test") for i in range(8) for host in "abcd"]
    assert all(one.ok for one in fetch(*urls, per_host=2, concurrency=6))
    assert {server.most[f"{host}.test"] for host in "abcd"} == {2}
    spans = [(one.begin, one.end) for one in server.log]
    assert max(sum(begin <= at < end for begin, end in spans) for at, _ in spans) <= 6


def test_the_delay_is_kept_at_each_host_and_hosts_do_not_wait_for_each_other(server, fetch):
    urls = [server.url(f"{i}.png", f"{host}.test") for host in "ab" for i in range(6)]
    assert all(one.ok for one in fetch(*urls, delay=0.15, per_host=4))
    for host in ("a.test", "b.test"):
        # Between starts, as they come here: what the machine adds to one it takes from the next.
        assert min(found := gaps(server, host, every=True)) >= 0.1 and sum(found) >= 0.148 * len(found)
    spans = [one.begin for one in server.log]
    assert max(spans) - min(spans) < 2 * 6 * 0.15


def test_a_host_is_a_name_whatever_its_letters_and_port(server, fetch):
    server.slow = 0.05
    urls = [server.url(f"{i}.png", host) for i in range(4) for host in ("a.test", "A.TEST")]
    assert all(one.ok for one in fetch(*urls, per_host=1))
    assert server.most["a.test"] == 1 and server.most["A.TEST"] == 0


def test_crawl_delay_counts_from_robots_txt_on_and_one_at_a_time(server, fetch):
    server.robots["a.test"] = "User-agent: *\nCrawl-delay: 0.3\n"
    server.slow = 0.4  # longer than the delay
    assert all(one.ok for one in fetch(*(server.url(f"{i}.png") for i in range(3)), per_host=4))
    assert server.most["a.test"] == 1 and min(gaps(server, "a.test", every=True)) >= 0.28


def test_crawl_delay_is_honoured_up_to_a_cap():
    assert parse("User-agent: *\nCrawl-delay: 9999", Policy(longest_delay=20)).delay == 20
    assert parse("User-agent: *\nRequest-rate: 1/5", Policy()).delay == 5
    assert parse("User-agent: VesaliusBot\nCrawl-delay: 2\n\nUser-agent: *\nCrawl-delay: 7", Policy()).delay == 2


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("User-agent: VesaliusBot\nDisallow: /x\n\nUser-agent: *\nDisallow: /", True),
        ("User-agent: *\nDisallow: /\nUser-agent: vesaliusbot/1.0\nAllow: /", True),
        ("User-agent: VesaliusBot2\nDisallow: /", True),
        ("User-agent: other\nUser-agent: VesaliusBot\nDisallow: /", False),
        ("User-agent: VesaliusBot\nSitemap: http://a.test/s.xml\nUser-agent: other\nDisallow: /", False),
        ("User-agent: VesaliusBot\n\nUser-agent: *\nDisallow: /", False),
        ("User-agent: VesaliusBot\nDisallow:\nUser-agent: *\nDisallow: /", True),
        ("user agent:*#x\nDISALLOW : /", False),
        ("Disallow: /", False),
        ("User-agent: *\nDisallow: /*.png$\nAllow: /1.png", False),
        ("User-agent: *\nDisallow: /\nAllow: /1.png", True),
    ],
)
def test_groups_of_robots_txt(text, allowed):
    rules = parse(text, Policy())
    assert rules.allow("http://a.test/1.png") == allowed


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"User-agent: x{i}\n" for i in range(5000)) + "Disallow: /a\n" * 5000,
        "User-agent: *\n" * 20_000 + "Disallow: /a\n" * 10_000,
        "User-agent: *\nDisallow: /" + "*b" * 250_000 + "x",
        "User-agent: *\n" + "Disallow: /*b*b*b*b*x\n" * 20_000,
        "User-agent: *\nDisallow: /" + "$" * 500_000,
    ],
)
def test_no_robots_txt_keeps_us_busy(text):
    begin = time.perf_counter()
    rules = parse(text[: 512 << 10], Policy())
    for i in range(100):
        rules.allow("http://a.test/" + "b" * (7000 + i))
    assert time.perf_counter() - begin < 2


def test_robots_txt_is_asked_once_before_anything_else_and_obeyed(server, fetch):
    server.robots["a.test"] = "User-agent: *\nDisallow: /\n\nUser-agent: vesaliusbot\nDisallow: /*/private$\nAllow: /"
    server.answers["x/private"] = always(body=PNG)
    found = {
        one.url.rpartition("/")[2]: one
        for one in fetch(*(server.url(path) for path in ["1.png", "x/private", "2.png", "private"]))
    }
    assert found["1.png"].ok and found["1.png"].robots == "allowed"
    assert (found["private"].status, found["private"].robots) in [("robots", "disallowed"), ("http", "allowed")]
    assert server.log[0].path == "robots.txt" and "x/private" not in server.paths()
    assert [one.path for one in server.log].count("robots.txt") == 1


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (always(status=404), "ok", "absent"),
        (always(status=403), "ok", "absent"),
        (always(status=500), "robots_unreachable", "unreachable"),
        (always(status=429), "robots_unreachable", "unreachable"),
        (always(status=302, headers={"Location": "/moved"}), "robots", "disallowed"),
        (always(status=302, headers={"Location": "/robots.txt"}), "ok", "absent"),
        (always(status=302, headers={"Location": "http://10.0.0.1/robots.txt"}), "robots_unreachable", "unreachable"),
        (always(text="User-agent: *\nDisallow: /" + "\n#" * 10**6), "robots", "disallowed"),
        (always(text="User-agent: *\n" + "#\n" * 10**6 + "Disallow: /"), "ok", "allowed"),
        (always(body=bytes(range(256)) * 99), "ok", "allowed"),
        (always(text="User-agent: *\nDisallow: /" + "*a" * 10**4 + "b"), "ok", "allowed"),
        (always(text="User-agent: *\nContent-Signal: search=yes, ai-train=no\nAllow: /"), "tdm", "ai-train=no"),
        (always(text="Content-Signal: ai-train=yes\nUser-agent: x\nContent-signal: ai-train=no"), "ok", "allowed"),
    ],
)
def test_how_robots_txt_fails(server, fetch, answer, status, said):
    server.answers["robots.txt"] = answer
    server.answers["moved"] = always(text="User-agent: *\nDisallow: /")
    (one,) = fetch(server.url("1.png"))
    assert (one.status, one.robots) == (status, said), one.error
    assert ("1.png" in server.paths()) == (status == "ok")


def test_a_robots_txt_that_never_comes_holds_nobody_for_ever(server, fetch):
    async def silent(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    server.answers["robots.txt"] = silent
    found = fetch(server.url("1.png"), server.url("2.png"), server.url("1.png", "b.test"), silence=0.2)
    assert {one.status for one in found} == {"timeout"} and {one.robots for one in found} == {"unreachable"}
    assert not server.paths()


def test_another_hosts_robots_txt_counts_after_a_redirect(server, fetch):
    server.robots["b.test"] = "User-agent: *\nDisallow: /2"
    server.answers["a"] = always(status=302, headers={"Location": server.url("2.png", "b.test")})
    (one,) = fetch(server.url("a"))
    assert (one.status, one.robots) == ("robots", "disallowed") and server.paths() == ["a"]


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"X-Robots-Tag": "noai"}, "noai"),
        ({"X-Robots-Tag": "nofollow, NoImageAI"}, "noimageai"),
        ({"X-Robots-Tag": "none"}, "none"),
        ({"X-Robots-Tag": "noindex"}, "noindex"),
        ({"X-Robots-Tag": "otherbot: noai, noindex"}, None),
        ({"X-Robots-Tag": "otherbot: noindex, VesaliusBot: noai"}, "noai"),
        ({"X-Robots-Tag": "otherbot: noindex, *: noimageai"}, "noimageai"),
        ({"X-Robots-Tag": "unavailable_after: 25 Jun 2010 15:00:00 PST, noai"}, "noai"),
        ({"X-Robots-Tag": "unavailable_after: Friday, 25-Jun-10 15:00:00 UTC, noai"}, "noai"),
        ({"X-Robots-Tag": "max-image-preview: large, nofollow"}, None),
        ({"TDM-Reservation": "1"}, "tdm-reservation"),
        ({"TDM-Reservation": "0"}, None),
        ({}, None),
    ],
)
def test_words_of_headers(server, fetch, headers, said):
    server.answers["it"] = always(body=PNG, headers=headers)
    (one,) = fetch(server.url("it"))
    assert (one.ok, one.robots) == (said is None, said or "absent")
    assert one.ok or one.status == ("tdm" if said == "tdm-reservation" else "noai")


def test_what_refuses_is_an_option():
    assert refused_by_headers({"X-Robots-Tag": "noindex"}, Policy(refusing=["noai"])) is None
    assert refused_by_headers({"TDM-Reservation": "1"}, Policy(reservation=False)) is None
    assert directives(["noai", "otherbot: none"], "VesaliusBot") == {"noai"}


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ({"robots": "noimageai, nofollow"}, "noimageai"),
        ({"robots": ["index", "noai"]}, "noai"),
        ({"robots": "noindex"}, None),
        ({"tdm_reservation": 1}, "tdm-reservation"),
        ({"tdm_reservation": "0", "robots": None}, None),
    ],
)
def test_words_of_pages_refuse_before_anybody_is_asked(server, fetch, page, said):
    refused = refused_by_page(page, Policy())
    assert (refused and refused[1]) == said
    refusing, open_one = Wanted(server.url("1.png"), "refusing", page), Wanted(server.url("1.png"), "open")
    found = {one.document: one for one in fetch(refusing, open_one)}
    assert found["open"].ok and found["refusing"].ok == (said is None)
    if said:
        assert found["refusing"].robots == said and found["refusing"].path is None


def test_patience_ends_where_a_host_is_too_slow(server, fetch):
    found = fetch(*(server.url(f"{i}.png") for i in range(5)), delay=0.4, patience=1, per_host=1)
    assert Counter(one.status for one in found)["crowded"] in (2, 3)


def test_a_redirect_waits_for_its_turn_at_the_other_host(server, fetch):
    server.slow = 0.1
    for i in range(4):
        server.answers[f"to{i}"] = always(status=302, headers={"Location": server.url(f"{i}.png", "b.test")})
    urls = [server.url(f"to{i}") for i in range(4)] + [server.url(f"{i}.png", "b.test") for i in range(4, 8)]
    assert all(one.ok for one in fetch(*urls, per_host=1))
    assert server.most["b.test"] == 1


def test_robots_txt_may_be_left_unasked_by_who_owns_the_mirror(server, fetch):
    server.robots["a.test"] = "User-agent: *\nDisallow: /"
    server.answers["x"] = in_turn(always(body=PNG))
    (one,) = fetch(server.url("x"), robots=False)
    assert one.ok and one.robots == "off" and [entry.path for entry in server.log] == ["x"]
