"""Images of documents: fetched with manners, checked, scored.

    policy = Policy(contact="https://example.org/bot", roots=[folder_of_articles])
    for fetched in fetch_all(wanted, folder, policy):             # a row for each, whatever became of it
        if fetched.ok:
            checked = check((folder / fetched.path).read_bytes())  # in worker processes; checked.reason, facts
    fetch_all(wanted, folder, policy, again=NETWORK)               # only what failed for the network

    unsafe.Scorer().score(pictures)                                # facts for `too_unsafe`
    clip.Clip(path).images(pictures), clip.Aesthetic(path, size)   # facts alone

Knows images one by one. Which occur too often is counted over all documents (`dedup`); stages, shards and statistics
are for others.
"""

from vesalius.corpus.images.check import Checked, Limits, check, picture, too_frequent, too_unsafe
from vesalius.corpus.images.fetch import fetch_all, share_of
from vesalius.corpus.images.policy import Policy
from vesalius.corpus.images.record import NETWORK, OK, REFUSED, STRAGGLERS, Fetched, Wanted

__all__ = [
    "NETWORK",
    "OK",
    "REFUSED",
    "STRAGGLERS",
    "Checked",
    "Fetched",
    "Limits",
    "Policy",
    "Wanted",
    "check",
    "fetch_all",
    "picture",
    "share_of",
    "too_frequent",
    "too_unsafe",
]
