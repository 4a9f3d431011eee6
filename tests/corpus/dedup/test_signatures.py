import re
import subprocess
import sys

import numpy as np
import pytest

from vesalius.corpus.dedup import Scheme, gram_hashes, normal_form, sign
from vesalius.corpus.dedup.signatures import _permutations, minhash, similarity
from vesalius.corpus.document import Document

PROBE = "Ångström naïve Straße, ЖИЗНЬ (2) «η-ΑΒΓ» it's e.g. 3.5%\n\tzero_width x²"


def test_the_normal_form_is_lower_case_words_with_one_space_between():
    assert normal_form(PROBE) == " ".join(re.findall(r"\w+", PROBE.lower()))
    assert normal_form("  …!? ") == normal_form("") == ""


def test_the_normal_form_of_articles_is_what_the_regular_expression_says(article_texts):
    for text in article_texts:
        plain = re.sub(r"[^\x00-\u024f\u0370-\u03ff\u2000-\u200a\u2010-\u2027]", " ", text).replace("\xad", "")
        assert normal_form(plain) == " ".join(re.findall(r"\w+", plain.lower())).replace("ς", "σ")


def test_composed_and_decomposed_letters_and_invisible_characters_make_no_difference():
    assert normal_form("Caf\u0065\u0301 co\u00adope\u200brate") == "café cooperate"


def test_scripts_without_spaces_have_words_of_one_character():
    assert normal_form("患者は2型糖尿病 (T2DM)") == "患 者 は 2 型 糖 尿 病 t2dm"


def test_marks_of_other_scripts_stay_in_their_word():
    assert normal_form("हिन्दी भाषा") == "हिन्दी भाषा"


def test_similarity_is_that_of_the_sets_of_five_grams(make_texts, plant_copies):
    planted = plant_copies(make_texts(100, 60), seed=7)
    grams = {document.id: gram_hashes(document.text) for document in planted.documents}
    for (one, other), true in planted.truth.items():
        assert similarity(grams[one], grams[other], 10**6) == pytest.approx(true)


def test_the_similarity_of_cut_sets_is_near_the_true_one():
    draw = np.random.default_rng(0)
    numbers = draw.permutation(2**20).astype(np.uint32)[:30_000] * np.uint32(4093)
    one, other = np.sort(numbers[:25_000]), np.sort(numbers[5_000:])
    assert similarity(one[:16_384], other[:16_384], 16_384) == pytest.approx(20 / 30, abs=0.015)
    assert similarity(one, other, 10**6) == pytest.approx(20 / 30)


def test_the_similarity_of_nothing_is_0_and_of_the_largest_hash_to_itself_1():
    nothing, largest = np.empty(0, np.uint32), np.array([2**32 - 1], np.uint32)
    assert similarity(nothing, nothing, 10) == similarity(nothing, largest, 10) == 0
    assert similarity(largest, largest, 10) == 1


@pytest.mark.parametrize("grams", [30, 300, 3000])
def test_minhash_agrees_as_often_as_the_sets_are_similar_and_with_the_binomial_spread(grams):
    a, b = _permutations(256)
    draw = np.random.default_rng(grams)
    agree = []
    for _ in range(400):
        numbers = draw.integers(0, 2**32, grams, np.uint32)
        one, other = numbers[: grams * 9 // 10], numbers[grams // 10 :]
        agree.append(np.mean(minhash(one, a, b) == minhash(other, a, b)))
    true = 0.8
    spread = (true * (1 - true) / 256) ** 0.5
    assert np.mean(agree) == pytest.approx(true, abs=4 * spread / 20)
    assert np.std(agree) == pytest.approx(spread, rel=0.15)


def test_pairs_share_a_band_as_often_as_the_scheme_says(make_texts, plant_copies):
    planted = plant_copies(make_texts(600, 150), seed=8)
    bands = {}
    for batch in sign(planted.documents):
        bands.update(zip(batch.ids, batch.bands, strict=True))
    scheme = Scheme()
    shared = [(bands[one] == bands[other]).any() for one, other in planted.truth]
    expected = [scheme.found(true) for true in planted.truth.values()]
    variance = sum(p * (1 - p) for p in expected)
    assert sum(shared) == pytest.approx(sum(expected), abs=4 * variance**0.5)


def test_signatures_are_the_same_in_every_process_and_for_ever():
    show = (
        "from vesalius.corpus.dedup import sign; from vesalius.corpus.document import Document;"
        f"b = next(sign([Document('a', ({PROBE!r},))]));"
        "print(b.digests.tolist(), b.bands[0, ::16].tolist(), b.grams[:2])"
    )
    printed = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True).stdout
    assert printed == EXPECTED


def test_a_batch_holds_documents_in_order(make_texts):
    documents = [Document(f"{i}", (text,), {"date": "2020"}) for i, text in enumerate([*make_texts(4, 50), ""])]
    batches = list(sign(documents, batch=2))
    assert [batch.ids for batch in batches] == [["0", "1"], ["2", "3"], ["4"]]
    assert batches[0].grams[: batches[0].ends[0]].tolist() == gram_hashes(documents[0].text).tolist()
    assert batches[2].words.tolist() == [0] and batches[2].grams.size == 0
    assert batches[0].dates == ["2020", "2020"]
    assert batches[1].words[0] == len(documents[2].text.split())


EXPECTED = """\
[[15636922798412557137, 5605538095879265593]] [8582452213669879102, 18306256334800294079] [359784002 549057965]
"""
