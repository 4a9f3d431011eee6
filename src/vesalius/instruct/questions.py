"""What a labelled set can be asked: its templates, and the candidates of each.

Knows which questions follow from which labels, and that a question needs one right answer among its options. Leaves
sentences to `templates`, drawing blocks to `balance`, and pictures to `build`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import polars as pl

from vesalius.errors import VesaliusError
from vesalius.instruct.balance import Candidate, Choose
from vesalius.instruct.config import Asked, Granularity, Label, SetConfig
from vesalius.instruct.distractors import number_panel, sibling_panel, yes_no_panel
from vesalius.instruct.labelled import Labelled
from vesalius.instruct.templates import NOUNS, Template, plural
from vesalius.select import where

Images = Sequence[tuple[int, Labelled]]  # with their numbers in the set
Asking = tuple[Template, list[Candidate]]


def what_to_ask(config: SetConfig, images: Sequence[Labelled]) -> list[Asking]:
    """Every template of a set with its candidates.

    Where a taxonomy column differs between images, each of its values has templates of its own: questions of a block
    share their text, and the modality stands in it.

    Raises:
        VesaliusError: a column holds a label outside its closed space.
    """
    groups: dict[tuple[tuple[str, str], ...], list[tuple[int, Labelled]]] = defaultdict(list)
    for number, image in enumerate(images):
        groups[tuple(_taxonomy(config, image).items())].append((number, image))
    asked = [*config.questions] or default_questions(config, images)
    for question in asked:
        if question.column and question.ask == "label":
            _check_column(question, images, config.name)
    found: list[Asking] = []
    for taxonomy, members in sorted(groups.items()):
        for question in asked:
            some = _meeting(question, members, config.name)
            for granularity in question.granularity:
                found += _templates(config, question, granularity, dict(taxonomy), some)
    return _told_apart(found)


def default_questions(config: SetConfig, images: Sequence[Labelled]) -> list[Asked]:
    """What the labels allow, where the YAML does not say.

    The image's label, where it has one; the label of each region, or, where all regions have the same, whether a
    marked region shows it; counts and presence, where every object is marked.
    """
    space = config.space
    of_regions = {region.label for image in images for region in image.regions if region.label in space}
    masked = any(region.mask for image in images for region in image.regions)
    granularity: list[Granularity] = ["box", "mask", "contour"] if masked else ["box"]
    own = [image.labels & space.keys() for image in images]
    single = all(len(labels) <= 1 for labels in own)
    counted = any(image.counted for image in images)
    asked = []
    if len({label for labels in own for label in labels}) > 1 and (single or not (of_regions and counted)):
        asked.append(Asked(ask="label"))
    if of_regions:
        asked.append(Asked(ask="label" if len(of_regions) > 1 else "presence", granularity=granularity))
    if counted:
        asked.append(Asked(ask="count"))
    if not single:
        asked.append(Asked(ask="presence"))
    return asked


def chooser(template: Template) -> Choose:
    """How the options of a template's blocks are chosen."""
    if template.ask == "label":
        return partial(sibling_panel, template.space)
    return number_panel if template.ask == "count" else yes_no_panel


def _taxonomy(config: SetConfig, image: Labelled) -> dict[str, str]:
    return {
        key: value if isinstance(value, str) else (image.row.get(value.column) or "unknown")
        for key, value in config.taxonomy.items()
    }


def _meeting(question: Asked, members: Images, name: str) -> Images:
    """Images that the question's condition lets through."""
    if not question.where:
        return members
    rows = [{"image number": number, **image.row} for number, image in members]
    if len(rows[0]) == 1:
        remedy = "name a `table` and `columns.image`"
        raise VesaliusError("a question has `where`, but the set no table", case=name, remedy=remedy, code="config")
    kept = set(where(pl.DataFrame(rows, infer_schema_length=None), question.where)["image number"])
    return [(number, image) for number, image in members if number in kept]


def _check_column(question: Asked, images: Sequence[Labelled], name: str) -> None:
    cells = Counter(cell for image in images if (cell := image.row.get(question.column)))
    outside = {cell: n for cell, n in cells.items() if cell not in question.labels}
    if outside:
        words = ", ".join(f"«{cell}» ({n}×)" for cell, n in sorted(outside.items())[:8])
        problem = f"column «{question.column}» holds {words}, not in its label space"
        remedy = f"add it to the question's `labels`, or write «{min(outside)}: null» there to leave it out"
        raise VesaliusError(problem, case=name, remedy=remedy, code="label")


def _templates(
    config: SetConfig, question: Asked, granularity: str, taxonomy: Mapping[str, str], members: Images
) -> list[Asking]:
    space = {k: v for k, v in (question.labels or config.labels).items() if v is not None}
    task = question.task or ("counting" if question.ask == "count" else taxonomy.get("clinical vqa task", ""))
    what = question.column or (question.noun if question.ask == "label" and question.noun else question.ask)
    base = Template(
        id="",
        ask=question.ask,
        granularity=granularity,
        task=task,
        picture=config.picture or f"{taxonomy['modality']} image",
        noun=question.noun or NOUNS.get(task.lower(), "label"),
        wording=tuple(question.wording),
        options=2 if question.ask == "presence" else question.options,
        taxonomy=taxonomy,
    )
    if question.ask == "label":
        template = replace(base, id=f"{config.name}/{what}/{granularity}", space=space)
        return [(template, _label_candidates(question, template, members))]
    if question.ask == "count" and question.column:
        template = replace(base, id=f"{config.name}/count of {question.noun}/image", names=question.noun)
        return [(template, _count_candidates(question, None, members))]
    found = []
    # Unless it is said which: those that there is something to ask about.
    marked = {region.label for _, image in members for region in image.regions}
    seen = marked if granularity != "image" or question.ask == "count" else {x for _, i in members for x in i.labels}
    for key in question.of or [key for key in space if key in seen]:
        if key not in space:
            remedy = f"write one of {', '.join(space)}"
            raise VesaliusError(f"`of` names «{key}», no label", case=config.name, remedy=remedy, code="label")
        label: Label = space[key]
        name = f"{config.name}/{question.ask} of {label.name}/{granularity}"
        template = replace(base, id=name, name=label.name, names=plural(label))
        if question.ask == "count":
            found.append((template, _count_candidates(question, key, members)))
        else:
            found.append((template, _presence_candidates(key, granularity, members)))
    return found


def _label_candidates(question: Asked, template: Template, members: Images) -> list[Candidate]:
    space, found = template.space, []
    for number, image in members:
        if template.granularity != "image":
            for i, region in enumerate(image.regions):
                if region.label in space and (template.granularity == "box" or region.mask):
                    found.append(Candidate(number, frozenset({region.label}), i))
            continue
        labels = {image.row.get(question.column) or ""} if question.column else image.labels
        truths = frozenset(label for label in labels if label in space)
        if truths and not image.unsure:
            found.append(Candidate(number, truths))
    return found


def _count_candidates(question: Asked, key: str | None, members: Images) -> list[Candidate]:
    found = []
    for number, image in members:
        if key is None:
            cell = re.fullmatch(r"(\d+)(\.0*)?", image.row.get(question.column) or "")
            count = int(cell[1]) if cell else None
        elif image.counted and key not in image.unsure:
            count = sum(region.label == key for region in image.regions)
        else:
            count = None
        if count is not None and count <= question.most:
            found.append(Candidate(number, frozenset({str(count)})))
    return found


def _presence_candidates(key: str, granularity: str, members: Images) -> list[Candidate]:
    found = []
    for number, image in members:
        if granularity == "image":
            if key in image.labels:
                found.append(Candidate(number, frozenset({"Yes"})))
            elif key not in image.unsure:
                found.append(Candidate(number, frozenset({"No"})))
            continue
        for i, region in enumerate(image.regions):
            if region.label == key and (granularity == "box" or region.mask):
                found.append(Candidate(number, frozenset({"Yes"}), i))
                found.append(Candidate(number, frozenset({"No"}), i, decoy=True))
    return found


def _told_apart(asking: list[Asking]) -> list[Asking]:
    """Templates with an id each: a taxonomy's value, or a number, behind those that are alike."""
    seen = Counter(template.id for template, _ in asking)
    told: list[Asking] = []
    used: Counter[str] = Counter()
    for template, candidates in asking:
        name = template.id
        if seen[name] > 1:
            name = f"{name} ({template.taxonomy['modality']})"
        used[name] += 1
        if used[name] > 1:
            name = f"{name} {used[name]}"
        told.append((replace(template, id=name), candidates))
    return told
