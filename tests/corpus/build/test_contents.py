"""What is in a corpus: Daft's counts are those of a plain loop, and nobody is told of them."""

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("daft")

from vesalius.corpus.build.contents import MOST, contents_of
from vesalius.corpus.build.page import _spread
from vesalius.corpus.build.tables import write_documents, write_dropped
from vesalius.corpus.document import Document, Image

# As they are said, and as they are counted.
URLS = {"https://www.a.org/{}": "a.org", "http://b.org:80/{}": "b.org", "https://c.d.edu/{}?q=1": "c.d.edu", "": ""}
LICENCES = {"https://creativecommons.org/licenses/by/4.0/": "CC-BY-4.0", "CC BY 4.0": "CC-BY-4.0", "cc0": "CC0", "": ""}
DATES = {
    "2019-02-01T00:00:00+00:00": "2019", "2020": "2020", "Tue, 02 Jan 2018 10:00:00 GMT": "2018", "soon": "", "": "",
}  # fmt: skip
LANGUAGES = {"en": "en", "de": "de", "": ""}


@pytest.fixture
def corpus(tmp_path: Path) -> tuple[list[str], str, list[tuple[Document, dict[str, str]]]]:
    """Two shards of 300 documents, each with the names under which it is counted, and what was dropped."""
    draw, documents = random.Random(7), []
    for number in range(300):
        images = [Image(f"{number}-{i}.png") for i in range(draw.choice((0, 0, 1, 2, 3, 8)))]
        words = " ".join(["word"] * draw.choice((1, 3, 4, 127, 128, 1000)))
        said, names = {}, {}
        for fact, name, known in (
            ("url", "site", URLS), ("licence", "licence", LICENCES), ("date", "year", DATES),
            ("language", "language", LANGUAGES),
        ):  # fmt: skip
            value = draw.choice(list(known))
            said[fact], names[name] = value.format(number), known[value]
        facts = {fact: value for fact, value in said.items() if value}
        documents.append((Document(f"in/{number}", (words, *images), facts), names))
    shards = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    write_documents([document for document, _ in documents[:200]], shards[0])
    write_documents([document for document, _ in documents[200:]], shards[1])
    rows = [("http://a.org/x", "url"), ("http://only.org/", "url"), ("http://[bad/", "id"), ("in/1", "id")]
    dropped = [
        {"id": at if where == "id" else "in/9", "url": at if where == "url" else None, "stage": "language",
         "reason": "de", "words": 3, "text": None}
        for at, where in rows
    ]  # fmt: skip
    write_dropped(dropped, tmp_path / "dropped.parquet")
    return [str(shard) for shard in shards], str(tmp_path / "dropped.parquet"), documents


def test_counts_are_those_of_a_loop_over_the_documents(corpus):
    shards, dropped, documents = corpus
    found = contents_of(shards, dropped)
    for name in ("site", "licence", "year", "language"):
        counts, words, images = Counter(), Counter(), Counter()
        for document, names in documents:
            key = names[name]
            counts[key] += 1
            words[key] += len(document.text.split())
            images[key] += len(document.images)
        rows = [row for row in found[name] if row["documents"]]
        assert [row["documents"] for row in rows] == sorted(counts.values(), reverse=True)
        told = {row[name]: (row["documents"], row["words"], row["images"]) for row in rows}
        assert told == {key: (counts[key], words[key], images[key]) for key in counts}
    gone = {row["site"]: row["dropped"] for row in found["site"] if row["dropped"]}
    assert gone == {"a.org": 1, "only.org": 1, "": 2}
    assert found["sites"] == 4


def test_lengths_are_counted_by_powers_of_two(corpus):
    shards, dropped, documents = corpus
    found = contents_of(shards, dropped)
    words = Counter(len(document.text.split()) for document, _ in documents)
    assert found["lengths"] == [
        {"least": 1, "documents": words[1]},
        {"least": 2, "documents": words[3]},
        {"least": 4, "documents": words[4]},
        {"least": 64, "documents": words[127]},
        {"least": 128, "documents": words[128]},
        {"least": 512, "documents": words[1000]},
    ]
    images = Counter(len(document.images) for document, _ in documents)
    assert [row["least"] for row in found["pictured"]] == [0, 1, 2, 8]
    assert found["pictured"][2]["documents"] == images[2] + images[3]
    shown = _spread(found["lengths"])
    assert [row["least"] for row in shown] == ["1", "2", "4", "8", "16", "32", "64", "128", "256", "512"]
    assert sum(row["documents"] for row in shown) == 300


def test_of_many_sites_the_largest_are_told_and_all_are_counted(tmp_path):
    documents = [Document(f"http://s{n % 150}.org/{n}", ("text",)) for n in range(451)]
    write_documents(documents, tmp_path / "a.parquet")
    write_dropped([], tmp_path / "dropped.parquet")
    found = contents_of([str(tmp_path / "a.parquet")], str(tmp_path / "dropped.parquet"))
    assert found["sites"] == 150 and len(found["site"]) == MOST
    assert found["site"][0] == {"site": "s0.org", "documents": 4, "words": 4, "images": 0, "dropped": 0}
    assert contents_of([], "") == {}


def test_nobody_is_told_that_daft_was_imported(corpus):
    shards, dropped, _ = corpus
    code = (
        "import sys, urllib.request\n"
        "asked = []\n"
        "urllib.request.urlopen = lambda *a, **k: asked.append(a)\n"
        "from vesalius.corpus.build.contents import contents_of\n"
        f"contents_of({shards!r}, {dropped!r})\n"
        "import threading\n"
        "[t.join(3) for t in threading.enumerate() if t is not threading.current_thread()]\n"
        "sys.exit(len(asked))"
    )
    names = ("DO_NOT_TRACK", "DAFT_ANALYTICS_ENABLED", "SCARF_NO_ANALYTICS")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    assert subprocess.run([sys.executable, "-c", code], env=environment, timeout=120).returncode == 0
    loud = code.replace("from vesalius", "import vesalius.corpus.frames as f; f._QUIET = {}\nfrom vesalius")
    assert subprocess.run([sys.executable, "-c", loud], env=environment, timeout=120).returncode > 0
