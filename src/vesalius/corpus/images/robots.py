"""What the owner of a site allows: robots.txt, headers of an image, words of a page.

Knows texts and headers; leaves asking for them to `client.py`. A robots.txt counts as RFC 9309 says: none (4xx) allows
all, one that cannot be had (5xx, or no answer) forbids all; 429 is such an answer too. Rules are matched by protego,
since the standard library's parser knows no wildcards. Its `Content-Signal: ai-train=no` and the header
`TDM-Reservation: 1` reserve rights, and are obeyed.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from protego import Protego

from vesalius.corpus.images import record
from vesalius.corpus.images.policy import Policy
from vesalius.corpus.images.record import NOAI, TDM

_AGENT = re.compile(r"[a-z0-9_*-]+")
_NAMING = frozenset({"user-agent", "useragent", "user agent"})
_OF_THE_SITE = frozenset({"sitemap", "sitemaps", "site-map", "host"})
_SIGNAL = re.compile(r"\s*content-signal\s*:.*\bai-train\s*=\s*no\b", re.IGNORECASE)
_WILDCARDS = 1000  # rules with some; honest sites have hundreds, and each costs a microsecond for each image
_VALUED = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})

Refusal = tuple[str, str]
"""A status, and the words that refuse."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Of a site.

    Attributes:
        robots: `allowed` where there is a robots.txt, `disallowed` where it cannot be judged, `absent`, `unreachable`,
            `off`.
        rules: of the text, if there is one.
        agent: who asks.
        delay: seconds of its Crawl-delay.
        reserved: whether it says `ai-train=no`.
        failure: (status, error) of all images, where it was asked for in vain.
    """

    robots: str
    rules: Protego | None = None
    agent: str = ""
    delay: float = 0.0
    reserved: bool = False
    failure: tuple[str, str] | None = None

    def allow(self, url: str) -> bool:
        """Whether a URL may be asked."""
        return self.robots != "unreachable" and (self.rules is None or self.rules.can_fetch(url, self.agent))


def parse(text: str, policy: Policy) -> Rules:
    """The rules of a robots.txt, of however odd a form, in a time that its length bounds."""
    lines = _group(text, policy.agent)
    if sum("*" in line or "$" in line for line in lines) > _WILDCARDS:
        failure = record.ROBOTS, f"its robots.txt has more than {_WILDCARDS:,} rules with wildcards"
        return Rules("disallowed", failure=failure)
    rules = Protego.parse("\n".join(["User-agent: *", *lines]))
    delay = rules.crawl_delay(policy.agent) or 0.0
    if rate := rules.request_rate(policy.agent):
        delay = max(delay, rate.seconds / rate.requests)
    reserved = any(_SIGNAL.match(line) for line in lines)
    return Rules("allowed", rules, policy.agent, min(delay, policy.longest_delay), reserved)


def _group(text: str, agent: str) -> list[str]:
    """The lines of the groups for this agent, or else of those for all.

    protego would copy every rule to every agent of its group: a hundred kilobytes are enough to keep it busy for
    minutes.
    """
    agent = agent.lower()
    groups: dict[str, list[str]] = {}
    names: set[str] = {"*"}
    naming = False
    for line in text.splitlines():
        name, _, value = line.partition("#")[0].partition(":")
        name = name.strip().lower()
        if name in _NAMING:
            said = (_AGENT.match(value.strip().lower()) or [""])[0]
            names = (names if naming else set()) | ({said} & {agent, "*"})
            naming = True
            groups.update((one, groups.get(one, [])) for one in names)
        elif name and name not in _OF_THE_SITE:
            naming = False
            for one in names:
                groups.setdefault(one, []).append(line)
    return groups.get(agent, groups.get("*", []))


def directives(values: Iterable[str], agent: str) -> set[str]:
    """The words of X-Robots-Tag headers that are said to all or to this agent, in small letters.

    `otherbot: noai, noindex` is said to otherbot alone, up to where somebody else is named.
    """
    said: set[str] = set()
    for value in values:
        meant = True
        for piece in value.lower().split(","):
            name, colon, rest = (part.strip() for part in piece.partition(":"))
            if colon and name not in _VALUED and _AGENT.fullmatch(name):
                meant = name in ("*", "robots", agent.lower())
                name = rest
            if meant and name:
                said.add(name)
    return said


def refused_by_headers(headers: Mapping[str, Any], policy: Policy) -> Refusal | None:
    """Whether an image's own response refuses it.

    Args:
        headers: aiohttp's (of which a name may occur often), or a dict.
        policy: which words refuse.
    """
    every = headers.getall if hasattr(headers, "getall") else lambda name, none: [headers.get(name) or ""]
    words = directives(every("X-Robots-Tag", []), policy.agent) & policy.refusing
    if words:
        return NOAI, min(words)
    if policy.reservation and any(value.strip() == "1" for value in every("TDM-Reservation", [])):
        return TDM, "tdm-reservation"
    return None


def refused_by_page(page: Mapping[str, Any], policy: Policy) -> Refusal | None:
    """Whether the page on which an image stands refuses it; see `Wanted.page`."""
    said = page.get("robots") or ()
    words = directives([said] if isinstance(said, str) else map(str, said), policy.agent) & policy.page_refusing
    if words:
        return NOAI, min(words)
    if policy.reservation and str(page.get("tdm_reservation") or "").strip() in ("1", "True", "true"):
        return TDM, "tdm-reservation"
    return None
