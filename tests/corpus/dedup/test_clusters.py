import os
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from vesalius.corpus.dedup import ClusterGroups, Scheme, Signed, duplicates, estimate, sign
from vesalius.corpus.dedup import clusters as module
from vesalius.corpus.document import Document, Image
from vesalius.errors import VesaliusError

BINS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.82, 0.85, 0.9, 1.0)


def table(documents: list[Document], folder: Path, scheme: Scheme | None = None, **options) -> pl.DataFrame:
    return pl.read_parquet(duplicates(sign(documents, scheme), folder, scheme, **options).table)


def members(found: pl.DataFrame) -> set[tuple]:
    return set(found.drop("number").iter_rows())


def pairs(found: pl.DataFrame) -> set[tuple[str, str]]:
    groups = found.group_by("cluster").agg("id")["id"].to_list()
    return {(a, b) for ids in groups for a in ids for b in ids if a < b}


def recall_and_precision(truth: dict[tuple[str, str], float], got: set[tuple[str, str]]) -> tuple[dict, float]:
    rows = {}
    for low, high in pairwise(BINS):
        there = [pair for pair, similarity in truth.items() if low <= similarity < high or similarity == high == 1.0]
        rows[low] = (len(there), sum(pair in got for pair in there) / max(1, len(there)))
    return rows, sum(truth.get(pair, 0.0) >= 0.8 for pair in got) / max(1, len(got))


def check(planted, folder: Path) -> None:
    rows, precision = recall_and_precision(planted.truth, pairs(table(planted.documents, folder)))
    print("\n".join(f"{low:.2f} {number:5d} {recall:.3f}" for low, (number, recall) in rows.items()), precision)
    assert precision >= 0.95
    at_least = [row for low, row in rows.items() if low >= 0.8]
    assert all(number >= 20 for number, _ in at_least)  # else nothing is shown
    assert all(recall >= 0.95 for _, recall in at_least)
    assert all(recall == 0 for low, (_, recall) in rows.items() if low < 0.75)


def test_made_up_near_duplicates_are_found_in_each_bin_from_0_8(make_texts, plant_copies, tmp_path):
    check(plant_copies(make_texts(1500, 200), seed=1), tmp_path)


def test_near_duplicates_of_articles_are_found_in_each_bin_from_0_8(article_texts, plant_copies, tmp_path):
    check(plant_copies(article_texts, seed=2, most=0.06), tmp_path)


def test_clusters_are_the_same_in_any_order_any_batches_and_any_memory(make_texts, plant_copies, tmp_path):
    documents = plant_copies(make_texts(300, 120), seed=3).documents
    once = members(table(documents, tmp_path / "once"))
    assert len(once) > 100
    shuffled = documents.copy()
    random.Random(0).shuffle(shuffled)
    assert members(table(shuffled, tmp_path / "shuffled")) == once
    shards = [shuffled[i::7] for i in range(7)]
    signed = (batch for shard in shards for batch in sign(shard, batch=13))
    assert members(pl.read_parquet(duplicates(signed, tmp_path / "shards", memory=2**25).table)) == once
    assert members(table(documents, tmp_path / "again")) == once


def test_clusters_are_the_same_when_daft_groups_them_for_a_cluster(make_texts, plant_copies, tmp_path, monkeypatch):
    pytest.importorskip("daft")
    documents = plant_copies(make_texts(300, 120), seed=5).documents
    documents += [Document(f"same-{i}", (documents[0].texts[0],)) for i in range(50)]
    once = members(table(documents, tmp_path / "once"))
    assert len(once) > 150
    assert members(table(documents, tmp_path / "daft", groups=ClusterGroups)) == once
    monkeypatch.setattr(module, "LEAST_MEMORY", 2**14)  # few groups at a time
    assert members(table(documents, tmp_path / "few", groups=ClusterGroups, memory=2**14)) == once
    assert [path.name for path in (tmp_path / "few").iterdir()] == ["clusters.parquet"]
    assert members(table([], tmp_path / "none", groups=ClusterGroups)) == set()


def test_tiny_groups_and_mapped_arrays_give_the_same(make_texts, plant_copies, tmp_path, monkeypatch):
    documents = plant_copies(make_texts(300, 120), seed=4).documents
    once = members(table(documents, tmp_path / "once"))
    # 16 kB: 14 kB of arrays are mapped, groups are spread until they have 1 kB, grams of 500 words are held at a time.
    monkeypatch.setattr(module, "LEAST_MEMORY", 2**14)
    found = table(documents, tmp_path / "tiny", memory=2**14)
    assert members(found) == once
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == ["clusters.parquet"]


def test_the_kept_one_is_the_latest_then_the_longest_then_of_the_smallest_id(make_texts, tmp_path):
    text, other, third = make_texts(3, 200)
    documents = [
        Document("a", (text,), {"date": "2019-05-01"}),
        Document("b", (text,), {"date": "2020"}),
        Document("c", (text, "and a little more of it"), {"date": "2020"}),
        Document("d", (other.upper(),), {}),
        Document("e", (other,), {}),
        Document("f", (third,), {}),
    ]
    for order in (documents, documents[::-1]):
        found = table(order, tmp_path)
        assert found.select("id", "cluster", "size", "kept", "equal").rows() == [
            ("a", "a", 3, False, False), ("b", "a", 3, False, False), ("c", "a", 3, True, True),
            ("d", "d", 2, True, True), ("e", "d", 2, False, True),
        ]  # fmt: skip
        assert [order[number].id for number in found["number"]] == found["id"].to_list()


def test_the_summary_counts_what_the_table_holds(make_texts, tmp_path):
    text = make_texts(1, 100)[0]
    documents = [Document(name, (text + more,)) for name, more in (("a", ""), ("b", "!"), ("c", " one more word"))]
    summary = duplicates(sign(documents), tmp_path)
    assert (summary.documents, summary.clusters, summary.removed, summary.equal) == (3, 1, 2, 0)
    assert duplicates(sign(documents[:2]), tmp_path).equal == 1


def test_documents_without_words_are_nobodys_duplicates(tmp_path):
    documents = [Document(f"{i}", (Image("a.png"), "***")) for i in range(5)]
    assert duplicates(sign(documents), tmp_path).removed == 0


def test_texts_of_fewer_than_five_words_are_compared_wholly(tmp_path):
    texts = ["Not found", "not found!", "found", "Not found here"]
    found = table([Document(f"{i}", (text,)) for i, text in enumerate(texts)], tmp_path)
    assert found["id"].to_list() == ["0", "1"]


def test_no_documents_give_an_empty_table(tmp_path):
    summary = duplicates(sign([]), tmp_path)
    assert summary.documents == summary.clusters == len(pl.read_parquet(summary.table)) == 0


def test_without_bands_only_equal_texts_are_found(make_texts, tmp_path):
    scheme = Scheme(bands=0)
    text = make_texts(1, 100)[0]
    documents = [Document("a", (text,)), Document("b", (text + ".",)), Document("c", (text + " more",))]
    assert table(documents, tmp_path, scheme)["id"].to_list() == ["a", "b"]


@pytest.fixture
def compared(monkeypatch) -> list[int]:
    """Gets the number of pairs that are compared, a call at a time."""
    numbers: list[int] = []
    check = module._Search._check

    def counted(self, one, other, file):
        numbers.append(one.size)
        check(self, one, other, file)

    monkeypatch.setattr(module._Search, "_check", counted)
    return numbers


def test_three_thousand_variants_of_one_page_are_one_cluster_at_a_linear_cost(make_texts, tmp_path, compared):
    page = make_texts(1, 300)[0]
    documents = [Document(f"{i:05d}", (page, f"visitor number {i} of this page")) for i in range(3000)]
    summary = duplicates(sign(documents), tmp_path)
    assert (summary.clusters, summary.removed) == (1, 2999)
    assert sum(compared) <= 2 * module.LEADERS * 3000  # of 4,498,500 pairs


def test_near_duplicates_among_pages_with_one_frame_are_found_at_a_linear_cost(make_texts, tmp_path, compared):
    draw = random.Random(0)
    frame, *others = (text.split() for text in make_texts(20, 400))
    vocabulary = sorted({word for text in others for word in text})
    each = []
    for number in (300, 1500):
        documents = []
        for i in range(number):  # 0.5 to 0.6 alike, and each with a near-duplicate
            body = draw.choices(vocabulary, k=70)
            near = [*body[:30], "edited", *body[31:]]
            documents += [
                Document(f"{i}/{name}", (" ".join(frame[:200] + own),)) for name, own in (("a", body), ("b", near))
            ]
        compared.clear()
        found = table(documents, tmp_path)
        assert set(found["size"]) == {2} and found["kept"].sum() >= 0.99 * number
        each.append(sum(compared) / number)
    assert each[1] < 1.5 * each[0]


def test_the_similarity_of_texts_longer_than_is_kept_is_estimated(make_texts, tmp_path):
    scheme = Scheme(most=500)
    one, other = make_texts(2, 4000)
    near = one.split()
    near[:: len(near) // 20] = ["changed"] * len(near[:: len(near) // 20])
    documents = [Document("a", (one,)), Document("b", (" ".join(near),)), Document("c", (other,))]
    assert table(documents, tmp_path, scheme)["id"].to_list() == ["a", "b"]


def test_a_scheme_that_would_miss_pairs_is_refused():
    with pytest.raises(VesaliusError, match=r"find 0\.92 of the pairs"):
        Scheme(bands=14, rows=8)
    with pytest.raises(VesaliusError, match="out of range"):
        Scheme(threshold=1.2)
    assert Scheme().found(0.8) > 0.99


def test_batches_of_another_scheme_and_too_little_memory_are_refused(make_texts, tmp_path):
    documents = [Document("a", (make_texts(1, 50)[0],))]
    with pytest.raises(VesaliusError, match="64 bands, not 32"):
        duplicates(sign(documents, Scheme(bands=64)), tmp_path)
    with pytest.raises(VesaliusError, match="too few"):
        duplicates(sign(documents), tmp_path, memory=1000)


def test_the_estimate_covers_what_is_used_and_refuses_a_full_disk(make_texts, plant_copies, tmp_path, monkeypatch):
    documents = plant_copies(make_texts(300, 120), seed=5).documents
    words = sum(len(document.text.split()) for document in documents) / len(documents)
    used = []
    wrapped = module._Search.link_equal
    monkeypatch.setattr(
        module._Search,
        "link_equal",
        lambda self: (used.extend(p.stat().st_size for p in self.folder.rglob("*") if p.is_file()), wrapped(self)),
    )
    duplicates(sign(documents), tmp_path)
    told = estimate(len(documents), words, name=14)
    assert 0.5 * told.disk < sum(used) < told.disk
    told.check(tmp_path, told.memory)
    with pytest.raises(VesaliusError, match="are free"):
        estimate(10**14).check(tmp_path, 2**60)
    with pytest.raises(VesaliusError, match="of memory are given"):
        told.check(tmp_path, 1000)


LIMITED = """
import resource, sys
import numpy as np
from vesalius.corpus.dedup import Signed, duplicates

def batches(number, size=200, grams=1000):
    for i in range(number):
        draw = np.random.default_rng(i // 2)  # each batch comes twice
        rows = np.sort(draw.integers(0, 2**32, (size, grams), np.uint32), axis=1)
        bands = draw.integers(0, 2**64, (size, 32), np.uint64)
        digests = np.random.default_rng([i, 1]).integers(0, 2**64, (size, 2), np.uint64)
        ends = np.arange(1, size + 1) * grams
        ids = [f"{i}/{j}" for j in range(size)]
        yield Signed(ids, [""] * size, np.full(size, grams), digests, bands, ends, rows.ravel())

def resident():
    return 1024 * int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

folder, memory = sys.argv[1], int(sys.argv[2])
duplicates(batches(10), folder, memory=memory)  # libraries and kernels are loaded
before = resident()
summary = duplicates(batches(500), folder, memory=memory)
print(summary.removed, resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="what a process takes is read from /proc")
def test_a_corpus_seven_times_as_large_as_memory_stays_within_it(tmp_path):
    memory = 64_000_000  # for 400 MB of grams and 51 MB of band keys
    command = [sys.executable, "-c", LIMITED, str(tmp_path), str(memory)]
    few_threads = {**os.environ, "POLARS_MAX_THREADS": "2"}  # each keeps memory of its own
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=few_threads)
    removed, taken = map(int, done.stdout.split())
    assert removed == 50_000
    assert taken < memory, f"{taken:,} bytes"


def test_signed_batches_can_be_kept_and_read_again(make_texts, tmp_path):
    documents = [Document(f"{i}", (text,)) for i, text in enumerate(make_texts(5, 50) * 2)]
    batches = list(sign(documents, batch=4))
    for i, batch in enumerate(batches):
        np.savez(tmp_path / f"{i}.npz", **batch._asdict())
    kept = []
    for i in range(len(batches)):
        with np.load(tmp_path / f"{i}.npz") as arrays:
            kept.append(Signed(**{**arrays, "ids": arrays["ids"].tolist(), "dates": arrays["dates"].tolist()}))
    assert duplicates(kept, tmp_path / "a").removed == duplicates(batches, tmp_path / "b").removed == 5
