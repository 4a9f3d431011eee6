"""Labelled sets → a benchmark: read, split by patient, draw blocks, paint regions, write GMAI-MMBench's TSV.

Knows the order of the work, and that a bad image costs its own questions and one line. Leaves each step to its own
file. The same sets, YAML and seed give the same bytes.
"""

import hashlib
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from vesalius.errors import VesaliusError
from vesalius.formats import gmai
from vesalius.instruct import balance, blind, regions
from vesalius.instruct.balance import Candidate
from vesalius.instruct.config import SetConfig
from vesalius.instruct.draw import draw, encode, open_image
from vesalius.instruct.labelled import Labelled
from vesalius.instruct.questions import chooser, what_to_ask
from vesalius.instruct.readers import read_set
from vesalius.instruct.split import patients, sides
from vesalius.instruct.templates import Template
from vesalius.records import Message, Part, Question, Sample
from vesalius.run import progress, replacing

# pandas takes these for empty cells, so VLMEvalKit would drop an option that is called so.
_PANDAS_EMPTY = {"", "n/a", "na", "nan", "null", "none", "-nan", "#n/a", "<na>"}


@dataclass(frozen=True)
class Planned:
    """One question before it is painted."""

    template: Template
    candidate: Candidate
    image: Labelled
    sentence: str
    options: tuple[str, ...]
    answer: int
    side: str
    patient: str | None
    lossless: bool
    max_side: int
    dataset: str


@dataclass
class Built:
    """What came of it.

    Attributes:
        planned: the questions in the file's order.
        problems: files and rows that were left out, one error each.
        warnings: what the user should know.
        unfit: why regions were not asked about, counted by template.
        images: labelled images by set.
    """

    planned: list[Planned] = field(default_factory=list)
    problems: list[VesaliusError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unfit: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    images: dict[str, int] = field(default_factory=dict)

    def by_template(self) -> dict[str, blind.Blind]:
        """Blind baselines of every template."""
        items: dict[str, list[blind.Item]] = defaultdict(list)
        for planned in self.planned:
            items[planned.template.id].append(blind.Item(planned.options, planned.answer))
        return {name: blind.baselines(some) for name, some in sorted(items.items())}


def build(sets: Sequence[tuple[SetConfig, Path]], out: str | Path, per_image: int = 4, seed: int = 0) -> Built:
    """Writes the benchmark of all sets to one TSV.

    Args:
        sets: each set's YAML and its folder.
        out: the TSV; written under a temporary name first.
        per_image: the most questions of one image.
        seed: of the split, the blocks and the wording.

    Raises:
        VesaliusError: two sets have one name, a set cannot be read, a label is outside its closed space, or not one
            question can be asked.
    """
    twice = [name for name, n in Counter(config.name for config, _ in sets).items() if n > 1]
    if twice:
        remedy = "give each its own `name`"
        raise VesaliusError(f"two sets are called «{twice[0]}»", remedy=remedy, code="duplicate")
    built = Built()
    for config, root in sets:
        _plan(config, root, per_image, seed, built)
    if not built.planned:
        reasons = [*map(str, built.problems[:1]), *built.warnings[::-1]]
        why = f"{len(built.problems)} files or rows left out, first {reasons[0]}" if built.problems else reasons[0]
        raise VesaliusError(f"not one question can be asked ({why})", file=out, remedy="correct the YAML", code="empty")
    # Blocks stand apart in the file, and a running number tells nothing of the set it came from.
    random.Random(f"{seed}/order").shuffle(built.planned)
    with tempfile.TemporaryDirectory() as folder, progress("painting", len(built.planned)) as advance:
        gmai.write(_samples(built.planned, Path(folder), seed, advance), out)
    return built


def _plan(config: SetConfig, root: Path, per_image: int, seed: int, built: Built) -> None:
    """Adds the questions of one set."""
    found = read_set(config, root)
    built.problems += found.problems
    built.images[config.name] = len(found.images)
    built.warnings += config.unusual_words()
    owners = patients(config, found.images, built.problems)
    side_of, warning = sides(config, found.images, owners, random.Random(f"{seed}/{config.name}/split"))
    if warning:
        built.warnings.append(warning)
    asking = what_to_ask(config, found.images)
    built.warnings += [line for template, _ in asking for line in _odd_words(template)]
    lossless = not all(image.path.suffix.lower() in (".jpg", ".jpeg") for image in found.images)
    checks = _Checks(found.images, seed, built)
    templates = {template.id: template for template, _ in asking}
    asked: Counter[int] = Counter()
    pools: dict[str, dict[str, balance.Pool]] = {side: {} for side in dict.fromkeys(side_of.values())}
    for side, here in pools.items():
        for template, candidates in asking:
            rng = random.Random(f"{seed}/{template.id}/{side}")
            mine = [c for c in candidates if side_of.get(c.image) == side]
            here[template.id] = balance.Pool(mine, chooser(template), template.options, rng)
    _same_size(pools)
    for side, here in pools.items():
        for name, block in balance.blocks(here, per_image, lambda n, c: checks.usable(templates[n], c), asked):
            template = templates[name]
            sentence = here[name].rng.choice(template.sentences())
            options = tuple(template.shown(truth) for truth in block.options)
            for answer, candidate in enumerate(block.candidates):
                built.planned.append(
                    Planned(
                        template,
                        candidate,
                        found.images[candidate.image],
                        sentence,
                        options,
                        answer,
                        side,
                        owners.get(candidate.image),
                        lossless,
                        config.max_side,
                        config.name,
                    )
                )
    used = {planned.template.id for planned in built.planned}
    built.warnings += [_nothing(template, built.unfit) for template, _ in asking if template.id not in used]
    unseen = sorted(config.space.keys() - {x for i in found.images for x in {*i.labels, *(r.label for r in i.regions)}})
    if unseen:
        built.warnings.append(f"{config.name}: no image has the label {', '.join(unseen)}")


def _same_size(pools: Mapping[str, Mapping[str, balance.Pool]]) -> None:
    """A template has as many options on every side as on its largest: its chance level is one number."""
    for name in {name for here in pools.values() for name in here}:
        mine = [here[name] for here in pools.values()]
        options = max(mine, key=lambda pool: pool.size).options
        for pool in mine:
            pool.options = options if pool.options >= options else 0


class _Checks:
    """Whether candidates can be shown; every image is opened before a question about it is promised."""

    def __init__(self, images: Sequence[Labelled], seed: int, built: Built):
        self.images, self.seed, self.built = images, seed, built
        self.broken: set[int] = set()
        self.good: set[int] = set()

    def usable(self, template: Template, candidate: Candidate) -> bool:
        number, image = candidate.image, self.images[candidate.image]
        if number in self.broken:
            return False
        if number in self.good and candidate.region is None:
            return True
        try:
            pixels = _pixels(image.path, image.size)
            self.good.add(number)
            if candidate.region is not None:
                place(template, image, candidate, pixels, self.seed)
            return True
        except regions.Unfit as unfit:
            self.built.unfit[template.id][str(unfit)] += 1
        except VesaliusError as error:
            self.broken.add(number)
            self.built.problems.append(
                VesaliusError(error.problem, file=image.name, remedy=error.remedy, code=error.code)
            )
        return False


@lru_cache(maxsize=4)
def _pixels(path: Path, size: tuple[int, int] | None) -> np.ndarray:
    return open_image(path, size)


def place(template: Template, image: Labelled, candidate: Candidate, pixels: np.ndarray, seed: int) -> regions.Marked:
    """What is marked on the image for a candidate with a region.

    Raises:
        regions.Unfit: the region cannot be asked about.
    """
    assert candidate.region is not None
    if candidate.decoy:
        rng = random.Random(f"{seed}/{template.id}/{image.name}/{candidate.region}")
        return regions.decoy(image, candidate.region, template.granularity, pixels, rng)
    shape = (pixels.shape[0], pixels.shape[1])
    return regions.check(image, candidate.region, template.granularity, shape, template.ask == "label")


def paint(planned: Planned, seed: int) -> bytes:
    """The question's image as it goes into the file."""
    pixels, box, mask = _pixels(planned.image.path, planned.image.size), None, None
    if planned.candidate.region is not None:
        marked = place(planned.template, planned.image, planned.candidate, pixels, seed)
        box, mask = marked.box, marked.mask
    return encode(draw(pixels, planned.template.granularity, box, mask, planned.max_side), planned.lossless)


def _samples(planned: Sequence[Planned], folder: Path, seed: int, advance) -> Iterator[Sample]:
    for index, question in enumerate(planned):
        data = paint(question, seed)
        path = folder / f"{hashlib.sha256(data).hexdigest()}.{'png' if question.lossless else 'jpg'}"
        path.write_bytes(data)
        yield _sample(str(index), question, path, seed)
        advance(0)


def _sample(index: str, planned: Planned, path: Path, seed: int) -> Sample:
    template = planned.template
    taxonomy = {key.replace(" ", "_"): value for key, value in template.taxonomy.items()}
    metadata = {
        "index": index,
        "category": template.task,
        "l2_category": template.taxonomy.get("department", ""),
        "split": planned.side,
        **taxonomy,
        "clinical_vqa_task": template.task,
        "perceptual_granularity": template.granularity,
        "dataset": planned.dataset,
        "template": template.id,
        "image_id": _opaque(seed, planned.dataset, "image", planned.image.name),
    }
    if planned.patient is not None:
        metadata["patient_id"] = _opaque(seed, planned.dataset, "patient", planned.patient)
    question = Question(
        index, (Message("user", (Part.of("image", path), Part.of_text(planned.sentence))),), planned.options, "choice"
    )
    expected = Message("assistant", (Part.of_text(gmai.LETTERS[planned.answer]),))
    return Sample(question, expected, {key: value for key, value in metadata.items() if value})


def _opaque(*parts: object) -> str:
    """The same image or patient has the same word, which tells nothing: names of files and patients hold labels."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:12]


def _odd_words(template: Template) -> list[str]:
    """Options that other readers would lose, or that the question itself names."""
    names = [label.name for label in template.space.values()]
    lines = [
        f"{template.id}: readers built on pandas take the option «{name}» for an empty cell; name it otherwise"
        for name in names if name.strip().lower() in _PANDAS_EMPTY
    ]  # fmt: skip
    lines += [f"{template.id}: two labels are called «{name}»" for name, n in Counter(names).items() if n > 1]
    text = " ".join(template.sentences()).lower()
    lines += [
        f"{template.id}: the question names the option «{name}»; change `picture`, `noun` or `wording`"
        for name in names if len(name) > 2 and name.lower() in text
    ]  # fmt: skip
    return lines


def _nothing(template: Template, unfit: dict[str, Counter[str]]) -> str:
    reasons = unfit.get(template.id)
    why = f" ({', '.join(f'{n}× {reason}' for reason, n in reasons.most_common(3))})" if reasons else ""
    return f"{template.id}: no question; it takes images with at least two different answers{why}"


def write_counts(built: Built, out: str | Path) -> None:
    """`OUT.counts.csv`: a row a kind of question and side, with what blind baselines reach over all sides; and
    `OUT.problems.csv`, where files or rows were left out."""
    import polars as pl

    blind_of = built.by_template()
    counts = Counter((planned.template.id, planned.side) for planned in built.planned)
    templates = {planned.template.id: planned for planned in built.planned}
    rows = []
    for (name, side), n in sorted(counts.items()):
        planned, figures = templates[name], blind_of[name]
        rows.append(
            {"dataset": planned.dataset, **planned.template.taxonomy, "clinical vqa task": planned.template.task,
             "perceptual granularity": planned.template.granularity, "template": name, "split": side, "questions": n,
             "options": len(planned.options), "chance": figures.chance, "chance_low": figures.low,
             "chance_high": figures.high, **{k.replace(" ", "_"): v for k, v in figures.accuracy.items()}}
        )  # fmt: skip
    stem = Path(out).with_suffix("")
    with replacing(stem.with_name(stem.name + ".counts.csv")) as temporary:
        pl.DataFrame(rows, infer_schema_length=None).write_csv(temporary)
    problems = stem.with_name(stem.name + ".problems.csv")
    problems.unlink(missing_ok=True)  # of an earlier build
    if built.problems:
        lines = [{"file": p.file, "case": p.case, "problem": p.problem, "remedy": p.remedy} for p in built.problems]
        with replacing(problems) as temporary:
            pl.DataFrame(lines, infer_schema_length=None).write_csv(temporary)
