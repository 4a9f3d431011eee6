"""What is biomedical is kept: held-out texts, documents of other kinds, texts written for this file, hostile ones."""

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest

from vesalius.corpus.biomedical import WEIGHTS, Biomedical, score, scored
from vesalius.corpus.biomedical.evaluation import area, calibration_error, held_out, scores
from vesalius.corpus.biomedical.features import counted, encoded
from vesalius.corpus.biomedical.sources import labelled, part_of
from vesalius.corpus.build.recipe import Recipe
from vesalius.corpus.build.stages import Stages
from vesalius.corpus.build.tables import read_documents, write_documents
from vesalius.corpus.document import Document
from vesalius.corpus.read import read
from vesalius.errors import VesaliusError

SHARED = Path("../shared/data/corpus")
TEXTS = SHARED / "biomed_text" / "biomed_vs_general.jsonl.gz"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data/corpus is not here")

BIOMEDICAL = {
    "case report": """A 54-year-old man presented to the emergency department with chest pain radiating to the left arm.
        Electrocardiography showed ST-segment elevation and troponin was raised. He underwent percutaneous coronary
        intervention with a stent in the left anterior descending artery and was discharged on aspirin.""",
    "radiology report": """CT of the chest, abdomen and pelvis with contrast. Findings: a 14 mm spiculated nodule in the
        right upper lobe. No pleural effusion. Liver, spleen and kidneys are unremarkable. Impression: suspicious
        pulmonary nodule, biopsy recommended.""",
    "leaflet": """What these tablets are and what they are used for. Do not take this medicine if you are allergic to
        ibuprofen or have a stomach ulcer. Tell your doctor or pharmacist if you are pregnant. Possible side effects:
        nausea, dizziness, rash. Keep out of the reach of children.""",
    "health news": """More people are being vaccinated against influenza this winter, health officials said on Tuesday.
        Hospitals have seen fewer patients with pneumonia than last year, and doctors urge pregnant women to get it.""",
    "machine learning on scans": """We train a convolutional neural network to segment tumours in MRI scans of the brain
        and evaluate it on patients of three hospitals.""",
    "title": "outcome of laparoscopic cholecystectomy in elderly patients",
}
OTHER = {
    "recipe": """Preheat the oven to 180 degrees. Melt the butter with the sugar, stir in the flour and two eggs, and
        fold in the chopped walnuts. Bake for half an hour until golden and serve with whipped cream.""",
    "football": """The home side took the lead after twenty minutes when the striker headed in a corner. The visitors
        equalised from the penalty spot before half-time, but a late free kick gave the leaders all three points.""",
    "physics": """We study the ground state of a two-dimensional lattice of interacting bosons by quantum Monte Carlo. A
        transition from the superfluid to the Mott insulator is found, and its critical exponents agree with those of
        the three-dimensional XY universality class.""",
    "software": """To install the package, run the command below and add the directory to your path. The function
        returns a list of strings; pass a callback to handle errors. See the settings for its options.""",
    "fitness": """Stand with your feet shoulder-width apart and hold the barbell. Keep your back straight, squat until
        your thighs are parallel to the floor, and push up through your heels. Do three sets of ten.""",
    "ecology": """We counted seabirds on twelve islands over ten years. Breeding success declined with sea surface
        temperature, and colonies close to fisheries lost more chicks.""",
    "hospital shares": """The hospital operator said quarterly revenue rose 12 percent to 1.4 billion dollars. Shares
        gained four percent after the board approved a dividend and the sale of two properties.""",
    "title": "fiscal policy and economic growth in developing countries",
}


def document(text: str, **facts: object) -> Document:
    return Document("d", (text,), facts)


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    with np.load(WEIGHTS) as stored:
        return dict(stored)


@pytest.mark.parametrize("kind", BIOMEDICAL)
def test_biomedical_text_is_kept(kind):
    assert Biomedical().judge(document(BIOMEDICAL[kind])) is None


@pytest.mark.parametrize("kind", OTHER)
def test_other_text_goes_with_the_one_reason(kind):
    assert Biomedical().judge(document(OTHER[kind])) == "biomedical: score below 0.5"


def test_the_score_is_a_probability_and_the_same_every_time():
    for text in (*BIOMEDICAL.values(), *OTHER.values()):
        assert 0 <= score(text) <= 1
        assert score(text) == score(text) == score(text.upper())


def test_the_threshold_is_an_option_and_zero_keeps_all():
    report = document(BIOMEDICAL["leaflet"])
    assert Biomedical(0.9999).judge(report) == "biomedical: score below 0.9999"
    assert all(Biomedical(0).judge(document(text)) is None for text in ("", *OTHER.values()))
    with pytest.raises(VesaliusError, match="no probability"):
        Biomedical(1.5)


def test_the_score_becomes_a_fact_of_three_digits_and_is_not_reckoned_again():
    known = scored(document(OTHER["recipe"]))
    assert known.facts["biomedical"] == round(score(OTHER["recipe"]), 3)
    assert Biomedical().judge(document(OTHER["recipe"], biomedical=0.9)) is None


@pytest.mark.parametrize(
    "text",
    ["cancer " * 10**6, "a" * 10**7, "é—“" * 10**6, "医" * 10**6, "\0" * 10**6, "\ud800 x" * 1000, "x", "‘", "\xe2"],
    ids=["one word", "no space", "marks", "Chinese", "zeros", "surrogates", "letter", "quote", "accent"],
)
def test_hostile_text_is_judged_fast_and_safely(text):
    score("warm")
    begin = time.perf_counter()
    assert 0 <= score(text) <= 1
    assert time.perf_counter() - begin < 1


def test_nothing_to_read_scores_zero():
    assert [score(text) for text in ("", " \n", "1234 5678 — 90 %", "\0\0")] == [0, 0, 0, 0]


def test_a_word_is_one_feature_however_it_is_written_and_marks_part_pairs():
    def features(text: str) -> dict[int, float]:
        return dict(zip(*(column.tolist() for column in counted(encoded(text), 18)), strict=True))

    assert features("Heart HEART heart") == features("heart heart heart") != features("heart heart")
    assert set(features("liver kidney")) - set(features("liver. kidney"))  # a pair
    assert set(features("liver. kidney")) == set(features("liver")) | set(features("kidney"))
    assert set(features("“liver”—kidney")) == set(features("liver. kidney"))
    assert set(features("appendectomy")) & set(features("tonsillectomy"))  # the end


def test_an_article_is_scored_within_a_millisecond():
    text = " ".join(BIOMEDICAL.values()) * 4  # about 900 words
    score(text)
    times = []
    for _ in range(30):
        begin = time.perf_counter()
        score(text)
        times.append(time.perf_counter() - begin)
    assert min(times) < 1e-3


def test_the_weights_are_small():
    assert WEIGHTS.stat().st_size < 2 * 2**20


def test_the_split_is_by_title_and_takes_a_fifth():
    parts = [part_of(f"title {number}") for number in range(5000)]
    assert part_of("A Title: of it") == part_of("a title — of it ")
    assert 0.18 < parts.count("test") / 5000 < 0.22 and 0.08 < parts.count("validation") / 5000 < 0.12


def test_auc_and_calibration_error_are_what_they_are_by_hand():
    truth, found = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.9])
    assert area(truth, found) == pytest.approx(3.5 / 4)
    assert np.isnan(area(np.array([1, 1]), np.array([0.1, 0.2])))
    assert calibration_error(np.array([0, 1]), np.array([0.25, 0.75])) == pytest.approx(0.25)


@needs_shared
def test_held_out_texts_are_told_apart_as_documented(weights):
    texts = [text for text in labelled(TEXTS) if text.part == "test"]
    truth = np.array([text.label for text in texts])
    found = scores([text.text for text in texts], weights)
    assert len(texts) > 2000
    assert ((found >= 0.5) == truth).mean() > 0.965
    assert area(truth, found) > 0.992
    assert calibration_error(truth, found) < 0.03
    for source, least in (("pubmedqa", 0.97), ("medical_abstracts", 0.985), ("ag_news", 0.97), ("scibert_sciie", 0.95)):
        own = np.array([text.source == source for text in texts])
        assert ((found >= 0.5) == truth)[own].mean() > least, source
    assert f"held out: {len(texts):,} texts" in held_out(texts, weights)


@needs_shared
def test_of_general_pages_only_those_on_health_are_kept():
    pages = json.loads((SHARED / "scrapinghub" / "ground-truth.json").read_text("utf-8"))
    kept = [page["url"] for page in pages.values() if score(page["articleBody"]) >= 0.5]
    # Feather duvet lung, plague, encephalitis, influenza, addiction, immunology, alarms of intensive care: seen by eye.
    health = re.compile(
        "duvet|plague|bedding|binge-eating|tuft-cells|ascom|encephal|eastern-equine|flu-shots|use-disorder"
    )
    assert [url for url in kept if not health.search(url)] == []
    assert len(kept) >= 10


@needs_shared
def test_articles_are_kept_by_their_subject_whatever_the_journal():
    def of(name: str) -> float:
        return score(next(d for d in read(next(SHARED.joinpath("jats").rglob(name))) if isinstance(d, Document)).text)

    for name in ("PMC5828200.nxml", "ehp-116-1694.nxml", "pntd.0002065.nxml", "pone.0046493.nxml"):
        assert of(name) >= 0.9, name
    for folder in ("elife-43154-v2", "elife-46472-v3", "biorxiv-2022.03.15.484463"):
        assert of(f"{folder}/*.xml") >= 0.9, folder
    for name in ("plosone-0093988/*.xml", "plosone-0091296/*.xml", "PMC6398430.nxml"):  # games, fishing, crows
        assert of(name) < 0.5, name


def test_the_recipe_drops_below_its_threshold_and_the_fact_is_written(tmp_path):
    few = {"heuristics": (), "feedback": False, "privacy": False, "languages": ()}
    stages = Stages(Recipe(sources=("x",), output=tmp_path, biomedical=0.5, **few))
    kept, gone = stages(document(BIOMEDICAL["case report"]))
    assert gone is None and kept is not None and kept.facts["biomedical"] >= 0.5
    none, gone = stages(document(OTHER["football"], url="u"))
    assert none is None and (gone["stage"], gone["reason"]) == ("biomedical", "score below 0.5")
    write_documents([kept], tmp_path / "d.parquet")
    (back,) = read_documents(tmp_path / "d.parquet")
    assert back.facts["biomedical"] == pytest.approx(kept.facts["biomedical"], abs=1e-6)


def test_without_a_threshold_all_documents_are_kept_and_scored(tmp_path):
    few = {"heuristics": (), "feedback": False, "privacy": False, "languages": ()}
    stages = Stages(Recipe(sources=("x",), output=tmp_path, **few))
    for text in (*BIOMEDICAL.values(), *OTHER.values(), ""):
        kept, _ = stages(document(text))
        assert kept is not None and 0 <= kept.facts["biomedical"] <= 1
