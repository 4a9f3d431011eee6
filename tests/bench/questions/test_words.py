"""Open answers and captions: SQuAD's published definition, and sacrebleu and rouge-score called directly."""

import random
import re
import string
from collections import Counter

import pytest

from vesalius.bench.questions.words import caption_scores, corpus_bleu, exact, normalised, short, token_f1

PAIRS = [
    ("A small nodule is seen in the right upper lobe.", "There is a small nodule in the right upper lobe."),
    ("No acute cardiopulmonary abnormality.", "The lungs are clear without acute abnormality."),
    ("Invasive ductal carcinoma of the breast, grade 2.", "Breast tissue with invasive ductal carcinoma."),
    ("effusion", "Large left pleural effusion with mediastinal shift to the right."),
]


def squad_f1(prediction: str, truth: str) -> float:
    """As SQuAD's evaluation script (v1.1) publishes it."""

    def normalize(text: str) -> list[str]:
        text = "".join(ch for ch in text.lower() if ch not in set(string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    prediction_tokens, truth_tokens = normalize(prediction), normalize(truth)
    same = sum((Counter(prediction_tokens) & Counter(truth_tokens)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(prediction_tokens), same / len(truth_tokens)
    return 2 * precision * recall / (precision + recall)


def test_token_f1_is_squads():
    rng = random.Random(0)
    words = ["the", "right", "left", "upper", "lobe", "a", "nodule", "lung", "seen", "of", "mass", "Mass.", "effusion,"]
    for _ in range(500):
        said, truth = (" ".join(rng.choices(words, k=rng.randint(1, 8))) for _ in range(2))
        if normalised(said) and normalised(truth):
            assert token_f1(said, truth) == pytest.approx(squad_f1(said, truth))


@pytest.mark.parametrize(
    ("said", "truth", "value"),
    [
        ("right lower lobe", "the lower lobe", 2 * 1 * (2 / 3) / (1 + 2 / 3)),  # precision 2/3, recall 1
        ("lung", "liver", 0),
        ("Lung.", "the lung", 1),
        ("left left lung", "left lung", 2 * (2 / 3) * 1 / (2 / 3 + 1)),
        ("", "lung", 0),
        ("the", "a", 1),  # nothing is left of either
    ],
)
def test_token_f1_by_hand(said, truth, value):
    assert token_f1(said, truth) == pytest.approx(value)


@pytest.mark.parametrize(
    ("said", "truth"),
    [
        ("The Right lung.", "right lung"),
        ("Two", "2"),
        ("answer: left lung", "Left lung"),
        ("**Answer:** left lung.", "left lung"),
        ("The answer is: left lung.", "left lung"),
        ("Final answer: left lung\nbecause of the shadow", "left lung"),
        ("<think>the right one?</think>left lung", "left lung"),
        ("the right one?</think>left lung", "left lung"),
        ("1,000 ml", "1000 ml"),
        ("x-ray", "X ray"),
        ("50%", "50 %".replace(" ", "")),
    ],
)
def test_what_is_the_same_after_normalisation_is_right(said, truth):
    assert exact(said, truth) == 1


@pytest.mark.parametrize(
    ("said", "truth"),
    [("left", "right"), ("1.5 cm", "15 cm"), ("left lung and heart", "left lung"), ("50%", "50"), ("", "left")],
)
def test_what_differs_is_not(said, truth):
    assert exact(said, truth) == 0


def test_thinking_that_never_ended_leaves_nothing_to_score():
    assert short("<think>the left lung") == ""
    assert token_f1("<think>the left lung", "left lung") == 0


@pytest.mark.parametrize(("said", "truth"), PAIRS)
def test_scores_of_captions_are_sacrebleus_and_rouge_scores(said, truth):
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics import BLEU

    found = caption_scores(said, truth)
    for n in range(1, 5):
        theirs = BLEU(max_ngram_order=n, lowercase=True, effective_order=True).sentence_score(said, [truth]).score
        assert found[f"bleu_{n}"] == pytest.approx(theirs / 100)
    rouge = RougeScorer(["rougeL"], use_stemmer=True).score(truth, said)["rougeL"]
    assert found["rouge_l"] == pytest.approx(rouge.fmeasure)
    assert set(found) == {"bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l"}


def test_bleu_1_and_rouge_l_by_hand():
    """«a b c d» against «a b d e»: three of four words, and a longest common subsequence of three (a, b, d)."""
    found = caption_scores("lung heart liver spleen", "lung heart spleen kidney")
    assert found["bleu_1"] == pytest.approx(3 / 4)
    assert found["rouge_l"] == pytest.approx(3 / 4)
    assert caption_scores("lung heart", "lung heart")["bleu_4"] == pytest.approx(1)
    assert set(caption_scores("", "lung").values()) == {0.0}


def test_bleu_of_a_whole_set_is_sacrebleus_and_not_the_mean():
    import sacrebleu

    said, truth = map(list, zip(*PAIRS, strict=True))
    theirs = sacrebleu.corpus_bleu(said, [truth], lowercase=True).score / 100
    assert corpus_bleu(said, truth) == pytest.approx(theirs)
    assert corpus_bleu(["lung heart"], ["lung heart"]) == pytest.approx(
        sacrebleu.corpus_bleu(["lung heart"], [["lung heart"]], lowercase=True).score / 100
    )
