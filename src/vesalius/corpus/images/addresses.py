"""Which addresses may be asked: those of the public internet, and those of networks that somebody allowed.

A page can name `http://169.254.169.254/`, a host in numbers (`2130706433`), or a name that leads to this very machine,
and can change what a name leads to between two questions. So what a name led to is checked, and the socket, the last to
see the address, checks it again: the connection goes where the check looked.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from vesalius.corpus.images.policy import Network
from vesalius.corpus.images.record import PRIVATE, SCHEME, Failed
from vesalius.corpus.images.record import URL as MALFORMED

Lookup = Callable[[str], Sequence[str]]
"""The addresses of a name, as text; may block; raises `socket.gaierror`."""

_LONGEST = 8192  # characters of a URL
_THREADS = 32  # that wait for name servers
_NAT64 = ip_network("64:ff9b::/96")
_UNICAST = ip_network("2000::/3")  # all that is given out of IPv6; what lies elsewhere has a purpose of its own


class Refused(OSError):
    """An address that is not asked."""


def is_public(address: str, allow: Iterable[Network] = ()) -> bool:
    """Whether an address is of the public internet, or of an allowed network; False for what is no address.

    An IPv6 address that carries an IPv4 one (mapped, 6to4, NAT64, Teredo) is as public as that.
    """
    try:
        ip: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False
    carried = _carried(ip) if isinstance(ip, IPv6Address) else []
    if any(one in network for one in (ip, *carried) for network in allow if one.version == network.version):
        return True
    if isinstance(ip, IPv6Address) and not (ip in _UNICAST or ip in _NAT64 or ip.ipv4_mapped):
        return False
    mapped = isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None
    return all(one.is_global and not one.is_multicast for one in (carried if mapped else (ip, *carried)))


def _carried(ip: IPv6Address) -> list[IPv4Address]:
    nat = IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
    teredo = ip.teredo or ()
    return [one for one in (ip.ipv4_mapped, ip.sixtofour, nat, *teredo) if one is not None]


def clean(url: str, base: URL | None = None) -> URL:
    """A URL as it is asked: absolute, without fragment, user and password.

    Raises:
        Failed: `url`, none; `scheme`, neither http nor https; `private`, a host in numbers that is no address in its
            usual form.
    """
    url = url.strip()
    if len(url) > _LONGEST:
        raise Failed(MALFORMED, f"is {len(url):,} characters long")
    try:
        parsed = base.join(URL(url)) if base else URL(url)
        host, port = parsed.raw_host or "", parsed.port or 0
        host.encode("idna")  # for its limits; it is encoded already
    except (ValueError, TypeError) as error:
        raise Failed(MALFORMED, f"is no address ({error})") from None
    if parsed.scheme not in ("http", "https"):
        raise Failed(SCHEME, f"is no web address, but {parsed.scheme[:20] or 'a path'}")
    if not host or not 0 < port < 65536:
        raise Failed(MALFORMED, "names no host")
    if _numeric(host) and not _usual(host):
        raise Failed(PRIVATE, f"names its host in numbers ({host[:40]})")
    return parsed.with_fragment(None).with_user(None)


def _usual(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _numeric(host: str) -> bool:
    """Whether a resolver would take it for an address: dotted, or in any of the forms that inet_aton knows."""
    if ":" in host:
        return True
    last = host.rstrip(".").rpartition(".")[2].lower()
    return last.isdigit() or (last.startswith("0x") and all(digit in "0123456789abcdef" for digit in last[2:]))


def system_lookup(host: str) -> list[str]:
    """What this machine's resolver says."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Resolver(AbstractResolver):
    """Names to addresses that may be asked; in threads of its own, since the system's resolver blocks."""

    def __init__(self, lookup: Lookup, allow: Iterable[Network]):
        self._lookup, self._allow = lookup, tuple(allow)
        self._threads = ThreadPoolExecutor(_THREADS, "vesalius-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """See aiohttp. Raises `Refused` where nothing that the name leads to is public."""
        found = await asyncio.get_running_loop().run_in_executor(self._threads, self._lookup, host)
        public = [address for address in found if is_public(address, self._allow)]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        if not public:
            raise Refused(f"{host} leads to {found[0]}, which is not public")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in public
        ]

    async def close(self) -> None:
        """See aiohttp."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def sockets(allow: Iterable[Network]) -> Callable[[Any], socket.socket]:
    """For aiohttp: makes a socket for an address, if it may be asked. Raises `Refused`."""
    allowed = tuple(allow)

    def make(info: Any) -> socket.socket:
        family, type_, proto, _, address = info
        if not is_public(str(address[0]), allowed):
            raise Refused(f"{address[0]} is not public")
        return socket.socket(family, type_, proto)

    return make
