"""Makes `body.npz` again: the network that says which blocks of a page are its own.

    python -m vesalius.corpus.extract.training --readability PAGES --trafilatura TESTS --journals FOLDER

It learns from pages with a known body: mozilla/readability's `test/test-pages` (source.html, expected.html), the
evaluation pages of adbar/trafilatura (`tests`: segments that must and must not be there; everything between them is
taught by trafilatura itself, and counts less), and journal pages beside their publisher's XML (fulltext.html,
fulltext.xml; ContentMine/norma has some). None of them is in this repository, and no page of the benchmarks that it is
judged on is among them: folders named in `--without` are left out. Needs torch, lxml, and what is no part of a setup:
`pip install trafilatura lxml_html_clean`.
"""

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.corpus.extract.body import votes_of
from vesalius.corpus.extract.encoding import decoded, utf8
from vesalius.corpus.extract.features import features
from vesalius.corpus.extract.scan import scan
from vesalius.corpus.extract.tags import TITLE
from vesalius.run import replacing

HIDDEN, NETWORKS, EPOCHS, RATE, LEFT_OUT = 48, 2, 8, 3e-3, 0.25
SAID, TAUGHT, DOUBTED, JOURNAL = 6.0, 0.5, 0.1, 2.0  # what a label counts, by where it is from
_WORD = re.compile(r"\w+")


@dataclass
class Page:
    """A page's blocks and what is known of them.

    Attributes:
        rows: (blocks, columns) of features.
        texts: of the blocks.
        body: (blocks,) 1 the page's own, 0 not, NaN unknown.
        taught: (blocks,) what a teacher says, where there is one.
        counts: what a known label counts.
    """

    rows: np.ndarray
    texts: list[str]
    body: np.ndarray = field(default_factory=lambda: np.zeros(0))
    taught: np.ndarray | None = None
    counts: float = 1.0

    @property
    def weights(self) -> np.ndarray:
        """Longer blocks count more, but less than their length."""
        return np.sqrt([max(1, len(words(text))) for text in self.texts])


def words(text: str) -> list[str]:
    """In lower case."""
    return [word.lower() for word in _WORD.findall(text)]


def look(html: bytes, encoding: str | None = None) -> Page:
    """A page, nothing known of it yet."""
    blocks, elements, *_ = scan(utf8(html, encoding))
    texts = [decoded(blocks.text[a:b].tobytes()) for a, b in zip(blocks.start, blocks.end, strict=True)]
    page = Page(features(blocks, elements), texts)
    page.body = np.where(elements.kind[blocks.element] == TITLE, 0.0, np.nan)
    return page


def readability(folder: Path) -> Iterator[Page]:
    """Pages whose words are aligned with those of their expected body."""
    for case in sorted(folder.glob("*/expected.html")):
        page = look(case.with_name("source.html").read_bytes(), "utf-8")
        expected = " ".join(look(b"<meta charset=utf-8>" + case.read_bytes(), "utf-8").texts)
        own = [words(text) for text in page.texts]
        flat = [word for block in own for word in block]
        hit = np.zeros(len(flat) + 1)
        for start, _, size in SequenceMatcher(None, flat, words(expected), autojunk=False).get_matching_blocks():
            hit[start : start + size] = 1
        ends = np.cumsum([len(block) for block in own])
        shares = [hit[end - len(block) : end].mean() if block else np.nan for end, block in zip(ends, own, strict=True)]
        page.body = _decided(np.array(shares))
        yield page


def trafilatura(folder: Path) -> Iterator[Page]:
    """Pages of which some segments are known, taught by trafilatura between them."""
    import trafilatura as teacher

    for case in json.loads((folder / "evaldata.json").read_text("utf-8")).values():
        file = next((f for f in (folder / "eval" / case["file"], folder / "cache" / case["file"]) if f.is_file()), None)
        if file is None:
            continue
        html = file.read_bytes()
        page = look(html)
        page.counts = SAID
        own = [f" {' '.join(words(text))} " for text in page.texts]
        for label, segments in ((0.0, case["without"]), (1.0, case["with"])):
            for segment in (f" {' '.join(words(segment))} " for segment in segments):
                hits = [b for b, text in enumerate(own) if segment in text]
                if not (label and len(hits) > 1 and len(segment) < 40):  # a short one may stand in a menu too
                    page.body[hits] = label
        text = teacher.extract(html, include_comments=False, fast=True) or ""
        if len(text) > 300:
            page.taught = _held(page.texts, text)
        yield page


def journals(folder: Path, without: Sequence[Path]) -> Iterator[Page]:
    """Journal pages against their publisher's XML; an article counts once."""
    seen = {_article(file)[:200] for place in without for file in place.rglob("fulltext.xml")}
    for file in sorted(folder.rglob("fulltext.xml")):
        html, truth = file.with_name("fulltext.html"), _article(file)
        if not html.is_file() or len(words(truth)) < 800 or truth[:200] in seen:
            continue
        seen.add(truth[:200])
        page = look(html.read_bytes())
        page.counts = JOURNAL
        page.body = _decided(np.array(_held(page.texts, truth, short=np.nan)))
        if np.nansum(page.body * page.weights**2) > 0.3 * len(words(truth)):  # some pages hold the abstract alone
            yield page


def _article(file: Path) -> str:
    """Abstract and body, without references; BMC's own format has other names for the same."""
    from lxml import etree

    parser = etree.XMLParser(recover=True, resolve_entities=False, load_dtd=False, no_network=True)
    try:
        root = etree.parse(str(file), parser).getroot()
    except (OSError, etree.XMLSyntaxError):
        return ""
    if root is None or str(root.tag).endswith("html"):  # a page that somebody saved as XML says nothing of itself
        return ""
    for node in list(root.iter("{*}ref-list", "{*}contrib-group", "{*}object-id", "{*}permissions", "{*}sub-article")):
        for child in list(node):
            node.remove(child)
        node.text = None
    return " ".join(" ".join(n.itertext()) for n in root.iter("{*}abstract", "{*}body", "{*}abs", "{*}bdy"))


def _held(texts: list[str], truth: str, short: float | None = None) -> np.ndarray:
    """Share of each block's word 4-grams that a text has; of short ones whether it has them as a line, or `short`."""
    lines = {" ".join(words(line)) for line in truth.split("\n")}
    flat = words(truth)
    grams = {tuple(flat[i : i + 4]) for i in range(len(flat) - 3)}
    shares: list[float] = []
    for block in map(words, texts):
        if len(block) >= 6 or (short is not None and len(block) >= 4):
            shares.append(float(np.mean([tuple(block[i : i + 4]) in grams for i in range(len(block) - 3)])))
        else:
            shares.append(float(" ".join(block) in lines) if short is None else short)
    return np.array(shares, float)


def _decided(shares: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(shares), np.nan, (shares > 0.5).astype(float))


def fit(pages: Sequence[Page], teacher: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """Networks side by side as one, ready for `body.votes_of`.

    Args:
        pages: what they learn from.
        teacher: earlier networks; what another teacher says counts little where they disagree with it.
    """
    rows, labels, counts = [], [], []
    for page in pages:
        known = ~np.isnan(page.body)
        label, count = np.nan_to_num(page.body), np.where(known, page.counts, 0.0)
        if teacher is not None and page.taught is not None:
            said = 1 / (1 + np.exp(-votes_of(page.rows, teacher)))
            taught = np.nan_to_num(page.taught) > 0.5
            label = np.where(known, label, taught)
            count = np.where(known, count, np.where(np.abs(said - taught) < 0.5, TAUGHT, DOUBTED))
        rows.append(page.rows)
        labels.append(label)
        counts.append(count * page.weights)
    x, y, w = (np.concatenate(part).astype(np.float32) for part in (rows, labels, counts))
    x, y, w = x[w > 0], y[w > 0], w[w > 0]
    mean, deviation = x.mean(0), x.std(0) + 1e-3
    x = np.clip((x - mean) / deviation, -5, 5)
    found = [_network(x, y, w, seed, EPOCHS if teacher else 4 * EPOCHS) for seed in range(NETWORKS)]
    w1, b1, w2, b2 = (list(part) for part in zip(*found, strict=True))
    return {
        "mean": mean, "deviation": deviation, "w1": np.concatenate(w1, 1), "b1": np.concatenate(b1),
        "w2": np.concatenate(w2) / NETWORKS, "b2": np.float32(np.mean(b2)),
    }  # fmt: skip


def _network(x: np.ndarray, y: np.ndarray, w: np.ndarray, seed: int, epochs: int) -> tuple[Any, ...]:
    import torch
    from torch import nn

    torch.manual_seed(seed)
    first, last = nn.Linear(x.shape[1], HIDDEN), nn.Linear(HIDDEN, 1)
    net = nn.Sequential(nn.Dropout(LEFT_OUT), first, nn.ReLU(), nn.Dropout(0.2), last)
    batches = -(-len(x) // 512)
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=epochs * batches)
    inputs, labels, weights = (torch.from_numpy(part) for part in (x, y, w))
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(512):
            loss = nn.functional.binary_cross_entropy_with_logits(
                net(inputs[batch])[:, 0], labels[batch], weights[batch]
            )
            optimizer.zero_grad()
            (loss / weights[batch].mean()).backward()
            optimizer.step()
            schedule.step()
    parts = (first.weight.T, first.bias, last.weight[0], last.bias[0])
    return tuple(part.detach().numpy().copy() for part in parts)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("readability", "trafilatura", "journals"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--without", type=Path, action="append", default=[])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("body.npz"))
    given = parser.parse_args()
    sure = [*readability(given.readability), *journals(given.journals, given.without)]
    pages = [*sure, *trafilatura(given.trafilatura)]
    print(f"{len(pages)} pages, {sum(len(page.texts) for page in pages):,} blocks")
    found = fit(pages, fit(pages))
    with replacing(given.out) as part, open(part, "wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **found)


if __name__ == "__main__":
    main()
