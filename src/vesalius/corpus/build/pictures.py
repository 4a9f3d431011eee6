"""Images of the documents that stay: fetched by the driver, checked and scored source by source in workers.

Results are files: `NAME.images.json` says of each image's address what is known of it, or why it goes, and
`NAME.images.npz` in how many documents each occurs. Leaves manners to `images/fetch.py`, and taking
images out to `finish.py`.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.corpus.build.recipe import Images
from vesalius.corpus.build.sources import Source
from vesalius.corpus.build.whole import gone, left, read_counts, write_counts
from vesalius.corpus.dedup import count_images, frequent
from vesalius.corpus.images import Fetched, Wanted, check, fetch_all, picture, too_unsafe
from vesalius.corpus.images.fetch import known
from vesalius.corpus.images.local import is_local
from vesalius.corpus.images.robots import refused_by_page
from vesalius.run import progress, replacing

_WISHES = ("robots", "tdm_reservation")  # of a page's owner
_SEEN, _READ = 800, 6  # pixels of a side in which text is looked for; places that are read: a name would be among them


def fetch_images(sources: Sequence[Source], texts: Path, whole: Path, out: Path, asked: Images) -> dict[str, int]:
    """Fetches the images of all documents that stay; how many came, and why others did not.

    Args:
        sources: whose folders' figures may be taken.
        texts, whole: see `__init__.py`.
        out: folder of images.
        asked: what the recipe says.
    """
    roots = tuple(sorted({Path(source.root).resolve() for source in sources if source.root}))
    policy = asked.policy.model_copy(update={"roots": (*asked.policy.roots, *roots)})
    counts: dict[str, int] = {}
    wanted = _wanted(sources, texts, whole, asked)
    with progress("images", None) as advance:
        for fetched in fetch_all(wanted, out, policy, again=asked.again):
            counts[fetched.status] = counts.get(fetched.status, 0) + 1
            advance(sum(counts.values()) - counts.get("ok", 0))
    return counts


def _wanted(sources: Sequence[Source], texts: Path, whole: Path, asked: Images) -> Iterator[Wanted]:
    for source in sources:
        for document in left(texts / source.key, gone(str(whole), source.key)):
            page: dict[str, Any] = {name: document.facts[name] for name in _WISHES if name in document.facts}
            for image in document.images:
                if asked.fetch or is_local(image.url):
                    yield Wanted(image.url, document.id, page)


def pictures_of(folder: str, whole: str, images: str, asked: Images) -> dict[str, Any]:
    """Checks and scores a source's images; see the module. Gives how many are kept, and why others are not."""
    name = Path(folder).name
    documents: list[list[str]] = []
    refused: dict[str, str] = {}
    for document in left(Path(folder), gone(whole, name)):
        documents.append([image.url for image in document.images])
        if refusal := refused_by_page(document.facts, asked.policy):
            refused |= dict.fromkeys(documents[-1], refusal[0])
    urls = list(dict.fromkeys(url for document in documents for url in document))
    rows = {fetched.url: _judged(fetched, Path(images), asked) for fetched in known(images, urls)}
    if not asked.fetch:
        rows |= {url: {"reason": "", "facts": {}} for url in urls if url not in rows and not is_local(url)}
    rows |= {url: {"reason": refused.get(url, "not fetched"), "facts": {}} for url in urls if url not in rows}
    with replacing(Path(whole) / f"{name}.images.json") as part:
        part.write_text(json.dumps(rows), "utf-8")
    digests = [[d for url in document if (d := rows[url]["facts"].get("sha256"))] for document in documents]
    write_counts(count_images(digests), Path(whole) / f"{name}.images.npz")
    reasons: dict[str, int] = {}
    for row in rows.values():
        reasons[row["reason"]] = reasons.get(row["reason"], 0) + 1
    return {"kept": reasons.pop("", 0), "reasons": reasons}


def frequent_of(files: Sequence[str], whole: str, least: int, memory: int) -> str:
    """Images that more than `least` documents of all sources have; gives the path of `images.npz`."""
    counts = frequent(map(read_counts, files), whole, least=least + 1, memory=memory)
    return write_counts(counts, Path(whole) / "images.npz")


def rows_of(whole: str, source: str) -> dict[str, dict[str, Any]]:
    """What `pictures_of` found, by address: `reason` ("" keeps), `facts`."""
    return json.loads((Path(whole) / f"{source}.images.json").read_text("utf-8"))


def _judged(fetched: Fetched, images: Path, asked: Images) -> dict[str, Any]:
    if not fetched.ok or fetched.path is None:
        return {"reason": fetched.status, "facts": {}}
    data = (images / fetched.path).read_bytes()
    checked = check(data, asked.limits)
    facts: dict[str, Any] = {
        "status": "ok", "file": f"{images.name}/{fetched.path}", "format": checked.kind, "bytes": fetched.bytes,
        "sha256": checked.sha256, "p_hash": checked.phash, "date": fetched.date, "width": checked.width,
        "height": checked.height, "robots": fetched.robots,
    }  # fmt: skip
    if checked.reason:
        return {"reason": checked.reason, "facts": facts}
    with contextlib.suppress(ValueError):
        if asked.unsafe:
            facts |= _scorer().score([picture(data, 640, asked.limits)])[0]
        if asked.burnt_in:
            facts["burnt_in"] = _burnt_in(data, asked)
    return {"reason": too_unsafe(facts.get("unsafe"), asked.limits), "facts": facts}


def _burnt_in(data: bytes, asked: Images) -> int:
    """How many places of the image have text, of the largest that might."""
    from vesalius.privacy import burnt_in

    return len(burnt_in(np.asarray(picture(data, _SEEN, asked.limits)), most=_READ))


@cache
def _scorer() -> Any:
    from vesalius.corpus.images.unsafe import Scorer

    return Scorer()
