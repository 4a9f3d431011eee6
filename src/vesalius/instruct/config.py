"""The small YAML beside a labelled set: where its labels stand, what they are called, and what to ask.

Knows the keys, their defaults and GMAI-MMBench's vocabulary; a wrong key or value is one line that says which. Leaves
reading the set to `readers` and `detection`, and the wording of questions to `templates`.
"""

import re
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from vesalius.errors import VesaliusError

# arXiv 2408.03361. The paper counts organ recognition as four tasks.
TASKS = (
    "attribute recognition", "blood vessels recognition", "bone", "cell recognition", "counting", "disease diagnosis",
    "image quality grading", "microorganism recognition", "muscle", "nervous tissue", "organ recognition - abdomen",
    "organ recognition - head and neck", "organ recognition - pelvic", "organ recognition - thorax", "severity grading",
    "surgeon action recognition", "surgical instrument recognition", "surgical workflow recognition",
)  # fmt: skip
DEPARTMENTS = (
    "cardiovascular surgery", "dermatology", "endocrinology", "gastroenterology and hepatology", "general surgery",
    "hematology", "infectious diseases", "laboratory medicine and pathology", "nephrology and hypertension",
    "neurosurgery", "obstetrics and gynecology", "oncology", "ophthalmology", "orthopedic surgery",
    "otolaryngology and head-and-neck surgery", "pulmonary medicine", "sports medicine", "urology",
)  # fmt: skip
GRANULARITIES = ("image", "box", "mask", "contour")
TO_FILL = "???"  # stands in a YAML that `--init` printed where only the user knows
PLACES = {"target", "picture", "noun", "name", "names"}  # what a wording may hold in braces

Granularity = Literal["image", "box", "mask", "contour"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """A value that differs from image to image: the table's column that holds it."""

    column: str


class Label(_Strict):
    """How a label of the set is called in questions, and where it stands in the tree of labels.

    Attributes:
        name: shown as an option ("basal cell carcinoma").
        group: the path of its parents ("epithelial/malignant"); labels of one group are siblings, and stand against
            each other first.
        plural: for counts; by default made from the name.
    """

    name: str
    group: str = ""
    plural: str = ""


def _label(value: Any) -> Any:
    return {"name": str(value)} if isinstance(value, str | int | float) and not isinstance(value, bool) else value


def _keys(value: Any) -> Any:
    """A list of labels that are called as they are. YAML reads the keys 1 and yes as what they look like; the set's
    own files have text."""
    if isinstance(value, list):
        value = {label: str(label) for label in value}
    if not isinstance(value, dict):
        return value
    words = {True: "yes", False: "no"}
    return {words[k] if isinstance(k, bool) else str(k): v for k, v in value.items()}


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


# A label without a value (`artefact: null`) is known and left out.
Labels = Annotated[dict[str, Annotated[Label | None, BeforeValidator(_label)]], BeforeValidator(_keys)]
Words = Annotated[list[str], BeforeValidator(_one_or_many)]


class Columns(_Strict):
    """The table's columns, as it spells them.

    Attributes:
        image: the image's file, relative to the set or its `images`.
        label: of the image; or of the row's box, where a row is a box.
        separator: between several labels in one cell ("|").
        one_hot: a column a label, 1 where the image has it and 0 where not; anything else is not known.
        mask: the file of a mask.
        box: four columns, or one with four numbers.
        region_label: the label of box or mask, where it is not that of the image.
    """

    image: str = ""
    label: str = ""
    separator: str = ""
    one_hot: Words = []
    mask: str = ""
    box: Words = []
    region_label: str = ""


class Patient(_Strict):
    """Who an image belongs to: a column of the table, or a regular expression whose first group names them.

    The expression is looked for in the file's name, and then in its path within the set.
    """

    column: str = ""
    pattern: str = ""

    @model_validator(mode="after")
    def _one_of_them(self) -> "Patient":
        if bool(self.column) == bool(self.pattern):
            raise ValueError("give either `column` or `pattern`")
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"`pattern` is no regular expression ({error})") from None
        return self


class Asked(_Strict):
    """One kind of question.

    Attributes:
        ask: `label` (which one is it?), `count` (how many?), `presence` (is it there?).
        granularity: what the question is about; a region is drawn on the image.
        column: a column of the table that holds the label or the count, instead of the set's own labels.
        labels: the closed label space of that column.
        of: which labels are counted or looked for; all by default.
        task: GMAI-MMBench's clinical task; by default the set's, and "counting" of counts.
        noun: what is asked for ("diagnosis", "kind of cell").
        wording: sentences instead of ours, with {target}, {picture}, {noun}, {name}, {names}.
        options: how many, where there are so many.
        most: the greatest number that is asked for.
        where: a condition on the table's columns; it is asked of images that meet it.
    """

    ask: Literal["label", "count", "presence"] = "label"
    granularity: Annotated[list[Granularity], BeforeValidator(_one_or_many)] = ["image"]
    column: str = ""
    labels: Labels = {}
    of: Words = []
    task: str = ""
    noun: str = ""
    wording: Words = []
    options: int = Field(default=4, ge=2, le=26)
    most: int = Field(default=30, ge=1)
    where: str = ""

    @field_validator("wording")
    @classmethod
    def _known_places(cls, wording: list[str]) -> list[str]:
        for sentence in wording:
            unknown = {name for _, name, _, _ in Formatter().parse(sentence) if name is not None} - PLACES
            if unknown:
                known = ", ".join(f"{{{name}}}" for name in sorted(PLACES))
                raise ValueError(f"{{{unknown.pop()}}} is unknown; write {known}")
        return wording

    @model_validator(mode="after")
    def _whole(self) -> "Asked":
        if self.column and self.ask == "label" and not self.labels:
            raise ValueError(f"give the label space of the column «{self.column}» under `labels`")
        if self.column and self.ask == "presence":
            raise ValueError("`presence` is asked of the set's own labels; ask `label` of a column")
        if self.column and self.granularity != ["image"]:
            raise ValueError("a column is of the whole image; write `granularity: image`")
        if self.ask == "count" and self.granularity != ["image"]:
            raise ValueError("counts are of the whole image; write `granularity: image`")
        if self.ask == "count" and self.column and not self.noun:
            raise ValueError(f"say what «{self.column}» counts, in the plural, under `noun`")
        return self


class SetConfig(_Strict):
    """A labelled set; see `docs/bench_build.md` for every key.

    Attributes:
        name: stands in the file's column `dataset`.
        root: the set's folder, relative to `--root` or to the YAML's own folder.
        layout: where the labels stand.
        images, annotations, masks: folders (or COCO's JSON) within it.
        mask_suffix: what a mask's name has after its image's ("_mask"), where both lie together.
        objects: what one mask holds: one region (`whole`), a region a connected part (`components`), or a region an
            id (`values`).
        table, columns: a CSV, whatever the layout.
        where: a condition on the table's columns; images that do not meet it are left out.
        patient: None puts the whole set on one side.
        picture: how an image is called in a question ("chest X-ray").
        taxonomy: modality, department, clinical vqa task and whatever else; a word, or {column: …}.
        labels: the closed label space.
        questions: what to ask; by default what the labels allow.
        split: shares of the patients by side.
        max_side: longer images are made smaller, in pixels.
    """

    name: str = Field(pattern=r"^[\w][\w .-]*$")
    root: str = "."
    layout: Literal["folders", "csv", "voc", "coco", "masks"]
    images: str = ""
    annotations: str = ""
    masks: str = ""
    mask_suffix: str = ""
    objects: Literal["whole", "components", "values"] = "whole"
    table: str = ""
    columns: Columns = Columns()
    where: str = ""
    patient: Annotated[
        Patient | None, BeforeValidator(lambda value: {"column": value} if isinstance(value, str) else value)
    ] = None
    picture: str = ""
    taxonomy: dict[str, str | Column]
    labels: Labels = {}
    questions: list[Asked] = []
    split: dict[str, float] = {"val": 0.2, "test": 0.8}
    max_side: int = Field(default=1024, ge=64)

    @field_validator("taxonomy")
    @classmethod
    def _has_modality(cls, taxonomy: dict[str, Any]) -> dict[str, Any]:
        known = {key.replace("_", " ").strip().lower(): value for key, value in taxonomy.items()}
        if "modality" not in known:
            raise ValueError("say at least `modality`: it stands in every question")
        open_ = [key for key, value in known.items() if value == TO_FILL]
        if open_:
            raise ValueError(f"fill in {' and '.join(f'`{key}`' for key in open_)} (or remove the line)")
        return known

    @field_validator("split")
    @classmethod
    def _shares(cls, split: dict[str, float]) -> dict[str, float]:
        if not split or min(split.values()) < 0 or sum(split.values()) <= 0:
            raise ValueError("give a positive share for each side, such as {val: 0.2, test: 0.8}")
        return split

    @model_validator(mode="after")
    def _whole(self) -> "SetConfig":
        needed = {
            "csv": [("table", self.table), ("columns.image", self.columns.image)],
            "coco": [("annotations", self.annotations)],
            "masks": [("masks or mask_suffix", self.masks or self.mask_suffix)],
        }
        missing = [name for name, value in needed.get(self.layout, []) if not value]
        if missing:
            raise ValueError(f"the layout {self.layout} needs `{'`, `'.join(missing)}`")
        if self.table and not self.columns.image:
            raise ValueError("say which column of the table names the image under `columns.image`")
        if not self.labels and not self.questions:
            raise ValueError("give the closed label space under `labels`")
        if self.columns.box and len(self.columns.box) not in (1, 4):
            raise ValueError("`columns.box` takes four columns, or one that holds four numbers")
        return self

    @property
    def space(self) -> dict[str, Label]:
        """The labels that are asked for."""
        return {key: label for key, label in self.labels.items() if label is not None}

    def unusual_words(self) -> list[str]:
        """Words that GMAI-MMBench has not, as warnings: a selection by its names would miss them."""
        known = {"clinical vqa task": TASKS, "department": DEPARTMENTS}
        given = [(key, value) for key, value in self.taxonomy.items() if isinstance(value, str)]
        given += [("clinical vqa task", asked.task) for asked in self.questions if asked.task]
        wrong = dict.fromkeys((k, v) for k, v in given if k in known and v.lower() not in known[k])
        return [f"{self.name}: GMAI-MMBench has no {key} «{value}» ({', '.join(known[key])})" for key, value in wrong]


def read_config(path: str | Path) -> SetConfig:
    """The YAML of a set.

    Raises:
        VesaliusError: it cannot be read, or a key is unknown, missing or wrong (the first two of them are named).
    """
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise VesaliusError(f"cannot be read ({error.strerror})", file=path, code="unreadable") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        words = " ".join(str(error).split())
        raise VesaliusError(
            f"is no YAML ({words})", file=path, remedy="quote what has a colon", code="config"
        ) from None
    if not isinstance(data, dict):
        remedy = "write one with: vesalius bench build --init FOLDER"
        raise VesaliusError("is no mapping of keys", file=path, remedy=remedy, code="config")
    try:
        return SetConfig(**{str(k): v for k, v in data.items()})
    except ValidationError as error:
        raise VesaliusError("; ".join(_problems(error)), file=path, remedy="see docs/bench_build.md",
                            code="config") from None  # fmt: skip


def _problems(error: ValidationError) -> list[str]:
    """The first two, as a person says them."""
    lines = []
    for item in error.errors()[:2]:
        where = ".".join(str(step) for step in item["loc"] if not str(step).startswith(("function", "constrained")))
        words = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            words = "there is no such key"
        lines.append(f"{where}: {words}" if where else words)
    return lines
