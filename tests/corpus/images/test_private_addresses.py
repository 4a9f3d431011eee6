"""No page makes us ask an address that is not of the public internet."""

import socket

import pytest
from image_server import always, encoded

from vesalius.corpus.images import Policy
from vesalius.corpus.images.addresses import clean, is_public, sockets
from vesalius.corpus.images.record import Failed

PNG = encoded(1)
PRIVATE = """127.0.0.1
127.8.9.1 0.0.0.0 0.1.2.3 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 100.64.0.1
192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 :: ::1 fe80::1
fe80::1%eth0 fc00::1 fd12::1 ff02::1 ff0e::1 2001:db8::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:0:127.0.0.1
64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 2002:7f00:1:: 2002:c0a8:101:: 2001:0:7f00:1:: ::127.0.0.1 fec0::1
2130706433 0177.0.0.1 127.1 0x7f.1 localhost x"""
PUBLIC = "8.8.8.8 172.32.0.1 2606:4700::1111 ::ffff:8.8.8.8 64:ff9b::808:808"
NUMBERS = "2130706433 0x7f000001 0177.0.0.1 127.1 0x7f.1 017700000001 127.0.0.1. 0 1.2"
HERE = """http://127.0.0.1:{port}/1.png http://[::1]:{port}/1.png http://[::ffff:127.0.0.1]:{port}/1.png
http://localhost:{port}/1.png http://localhost.:{port}/1.png http://169.254.169.254/latest http://0:{port}/1.png
http://0.0.0.0:{port}/1.png http://①②⑦.0.0.1:{port}/1.png"""


@pytest.mark.parametrize(
    "address",
    PRIVATE.split(),
)
def test_what_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC.split())
def test_what_is_public(address):
    assert is_public(address)


def test_networks_may_be_allowed():
    allow = Policy(allow=["10.1.0.0/16", "fd00::/8"]).allow
    assert is_public("10.1.2.3", allow) and is_public("::ffff:10.1.2.3", allow) and is_public("fd00::1", allow)
    assert not is_public("10.2.0.1", allow) and not is_public("127.0.0.1", allow)


@pytest.mark.parametrize("host", NUMBERS.split())
def test_hosts_in_numbers_are_refused(host, fetch):
    with pytest.raises(Failed) as failed:
        clean(f"http://{host}/")
    assert failed.value.status == "private"
    (one,) = fetch(f"http://{host}/x.png", allow=())
    assert one.status == "private"


def test_a_url_is_asked_without_fragment_and_password():
    assert str(clean(" http://user:secret@a.test/x y.png#top\n")) == "http://a.test/x%20y.png"


@pytest.mark.parametrize(
    "url",
    HERE.split(),
)
def test_nothing_private_is_asked(server, fetch, url):
    (one,) = fetch(url.format(port=server.port), allow=(), lookup=None)
    assert one.status in ("private", "url", "no_host"), one
    assert not server.log and one.attempts <= 1


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://127.0.0.2:{port}/1.png", "private"),
        ("http://inside.test:{port}/1.png", "private"),
        ("http://169.254.169.254/latest/meta-data/", "private"),
        ("http://2130706433:{port}/1.png", "private"),
        ("//[::1]:{port}/1.png", "private"),
        ("file:///etc/passwd", "scheme"),
        ("gopher://a.test/1", "scheme"),
        ("data:image/png;base64,AAAA", "scheme"),
        ("http://[", "url"),
    ],
)
def test_no_redirect_leads_inside(server, fetch, target, status):
    server.answers["r"] = always(status=302, headers={"Location": target.format(port=server.port)})
    names = {"a.test": ["127.0.0.1"], "inside.test": ["192.168.0.9", "127.0.0.2"]}
    (one,) = fetch(server.url("r"), allow=("127.0.0.1/32",), lookup=names.__getitem__)
    assert one.status == status, one
    assert server.paths() == ["r"] and one.path is None


def test_a_name_that_changes_its_mind_gets_nowhere(server, fetch):
    """DNS rebinding: public when it is checked, inside when it is asked. There is one question, and one answer."""
    asked = []

    def lookup(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.9"]

    found = fetch(*(server.url(f"{i}.png") for i in range(4)), allow=("127.0.0.1/32",), lookup=lookup, per_host=1)
    assert all(one.ok for one in found) and asked == ["a.test"]

    # The other way round: each connection that is opened is to what was checked for it.
    server.log.clear()
    turns = iter([["127.0.0.9"], ["127.0.0.1"], ["127.0.0.9"]])
    (one,) = fetch(server.url("9.png", "b.test"), allow=("127.0.0.1/32",), lookup=lambda host: next(turns))
    assert one.status == "private" and not server.log


def test_of_several_addresses_only_public_ones_are_asked(server, fetch):
    lookup = {"a.test": ["10.0.0.1", "127.0.0.1", "::1"]}.__getitem__
    (one,) = fetch(server.url("1.png"), allow=("127.0.0.1/32",), lookup=lookup)
    assert one.ok


def test_the_socket_looks_too():
    info = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80))
    with pytest.raises(OSError, match="not public"):
        sockets(())(info)
    sockets(Policy(allow=["127.0.0.0/8"]).allow)(info).close()


def test_proxies_of_the_environment_are_not_asked(server, fetch, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url("proxy", "127.0.0.1"))
    (one,) = fetch("http://a.test:9/x.png", allow=(), lookup=lambda host: ["10.0.0.1"])
    assert one.status == "private" and not server.log


def test_names_that_nobody_has(fetch):
    def lookup(host: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME if host == "none.test" else socket.EAI_AGAIN, "no")

    found = fetch("http://none.test/1", "http://none.test/2", "http://later.test/1", lookup=lookup)
    assert sorted(one.status for one in found) == ["dns", "no_host", "no_host"]
