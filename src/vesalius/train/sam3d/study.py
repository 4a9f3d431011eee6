"""The claim of SAM-Med3D-MoE on data at hand: do experts learn a new task, and does the joined model forget nothing?

A study is a YAML: which structures are the new tasks and where they are learned, sizes and steps, and seeds. For each
seed, in
phantom hospitals of its own: a generalist learns all other structures; it is trained on for as many steps as the
experts get (`continued`), fine-tuned on the tasks (`tuned`), given an expert a task, and joined with them by a gate;
then all are clicked through the test cases of seen and unseen hospitals. Every step is a unit of a run: a killed study
goes on. Knows the order and who is compared; what is trained is in the recipes that it writes, what is concluded in
`bench`.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import polars as pl
import yaml
from pydantic import Field, ValidationError

from vesalius.bench.clicks import Protocol
from vesalius.bench.clicks import run as click_through
from vesalius.bench.score import read_table, write_table
from vesalius.errors import VesaliusError
from vesalius.phantom.hospitals import LABELS, Plan, make_case, plan_cases, write_tables
from vesalius.run import Run, Unit, fingerprint, replacing, work
from vesalius.settings import Strict
from vesalius.train.recipe import TASKS, build_recipe
from vesalius.train.sam3d.plateau import write_plateau
from vesalius.train.sam3d.settings import Cropping, Interaction, Sizes
from vesalius.train.trainer import STATE, train

WHOLE = ("generalist", "continued", "tuned", "joined")  # models that are clicked through every structure


class Stage(Strict):
    """How long and how fast one of the trainings is."""

    steps: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    batch_size: int = Field(1, ge=1)


class Study(Strict):
    """See the module.

    Attributes:
        tasks: structures that only experts and fine-tuning learn.
        where: which training cases they learn from.
        seeds: of hospitals and trainings.
        training, validation, test: cases of each hospital; the validation cases are the last of the training ones.
        after, metrics: numbers of clicks after which is scored, and by what.
        margin: of equivalence, in DSC, fixed beforehand.
    """

    tasks: tuple[str, ...] = ("pancreas", "gall_bladder")
    where: str = "site = A"
    seeds: tuple[int, ...] = (0,)
    training: int = Field(8, ge=2)
    validation: int = Field(2, ge=1)
    test: int = Field(10, ge=1)
    sizes: Sizes
    cropping: Cropping
    interaction: Interaction
    warmup: Stage
    general: Stage
    expert: Stage
    gate: Stage
    decoder_rate: float = Field(1.0, gt=0, description="Of the generalist's decoder, relative to its encoder's.")
    targets: int = Field(4, ge=1, description="Structures of a crop on one encoding.")
    curve: int = Field(0, ge=0, description="Steps between judgements of the generalist on the way, for its plateau.")
    after: tuple[int, ...] = (1, 3, 5)
    metrics: tuple[str, ...] = ("dsc", "nsd")
    margin: float = Field(0.02, gt=0)
    augment: tuple[str, ...] = ()
    calibration: int = Field(180, ge=1, description="Crops on which the gate's threshold is found.")
    judged: int = Field(6, ge=1, description="Validation cases on which each training is judged.")

    @property
    def others(self) -> tuple[str, ...]:
        """Structures that the generalist learns."""
        return tuple(name for name in LABELS if name not in self.tasks)


@dataclass(frozen=True)
class Training:
    """A recipe, and the names of the trainings that it begins after."""

    recipe: dict[str, Any]
    after: tuple[str, ...]


def load_study(path: str | Path) -> Study:
    """Reads a study.

    Raises:
        VesaliusError: no such file, no YAML, or a key that is missing, unknown or wrong.
    """
    path = Path(path)
    try:
        study = Study(**(yaml.safe_load(path.read_text("utf-8")) or {}))
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise VesaliusError(f"is no study ({error})", file=path, remedy="see recipes/studies/sam3d_moe.yaml") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise VesaliusError(
            f"key {key}: {first['msg'].lower()}", file=path, remedy="correct it", code="recipe"
        ) from None
    if unknown := [task for task in study.tasks if task not in LABELS]:
        remedy = f"structures are: {', '.join(LABELS)}"
        raise VesaliusError(f"key tasks: no structure is called {unknown[0]}", file=path, remedy=remedy, code="recipe")
    return study


def plans(study: Study, seed: int) -> list[Plan]:
    """The cases of a seed."""
    return plan_cases(seed, study.training, study.test)


def trainings(study: Study, seed: int, cases: Sequence[str], place: str = "") -> dict[str, Training]:
    """Recipes by name, each after those that it needs.

    Args:
        study: see there.
        seed: of the trainings.
        cases: names of all training cases; the first letter is the hospital.
        place: of the hospitals' folders, relative to the recipes, with a slash at its end.
    """
    held = {case for site in {c[0] for c in cases} for case in [c for c in cases if c[0] == site][-study.validation :]}
    seen, kept = [c for c in cases if c not in held], sorted(held)
    images = {"images": f"{place}imagesTr", "labels": f"{place}labelsTr"}
    others = {**images, "structures": study.others, "cases": seen}
    table = {"metadata": f"{place}patients.csv", "select": study.where}
    tasks = {**images, **table, "structures": study.tasks, "cases": seen}
    total = study.expert.steps * len(study.tasks)
    rate = {"decoder_rate": study.decoder_rate}
    experts = {name: f"expert {name}" for name in study.tasks}

    def training(task: str, after: Sequence[str], stage: Stage, steps: int, output: str, data: list[Any], **more: Any):
        common = {
            "task": f"sam3d/{task}", "output": output, "seed": seed, "steps": steps, "batch_size": stage.batch_size,
            "learning_rate": stage.learning_rate, "clip_gradient": 1.0, "schedule": {"kind": "cosine", "warmup": 0.05},
            "interaction": study.interaction.model_dump(), "around": "click", "targets": study.targets, "least": 5,
            "augment": study.augment, "cache": "memory", "loaders": 0, "save_every": 500, "log_every": 50,
            "data": data, "validation": [{**images, "cases": kept}],
            "judging": {"after": study.after, "cases": study.judged},
        }  # fmt: skip
        return Training({**common, **more}, tuple(after))

    def old(name: str, data: dict[str, Any]) -> Training:
        start = {"weights": "generalist"}
        return training("pretrain", ["generalist"], study.expert, total, name, [data], start=start, **rate)

    def expert(name: str) -> Training:
        own = {"foundation": "generalist", "expert": {"name": name, "targets": [name]}}
        data = [{**tasks, "structures": [name]}]
        return training("expert", ["generalist"], study.expert, study.expert.steps, f"experts/{name}", data, **own)

    return {
        "warmup": training(
            "warmup", [], study.warmup, study.warmup.steps, "warmup", [others], targets=len(study.others),
            start={"sizes": study.sizes.model_dump()}, cropping=study.cropping.model_dump(),
        ),
        "generalist": training(
            "pretrain", ["warmup"], study.general, study.general.steps, "generalist", [others],
            evaluate_every=study.curve, start={"weights": "warmup"}, **rate,
        ),
        "continued": old("continued", others),
        "tuned": old("tuned", tasks),
        **{experts[name]: expert(name) for name in study.tasks},
        "joined": training(
            "gate", list(experts.values()), study.gate, study.gate.steps, "joined", [others, tasks],
            foundation="generalist", experts=[f"experts/{name}" for name in study.tasks],
            calibration={"samples": study.calibration},
        ),
    }  # fmt: skip


def training_units(given: Mapping[str, Training], folder: Path, before: str = "", name: str = "") -> list[Unit]:
    """Units of `do` for trainings; each one's stamp has those in it that it comes after.

    Args:
        given: see `trainings`.
        folder: of recipes and outputs.
        before: of keys of units, so that seeds differ.
        name: fingerprint of what the trainings stand on besides.
    """
    stamps: dict[str, str] = {}
    for key, one in given.items():
        stamps[key] = fingerprint(name, one.recipe, [stamps[other] for other in one.after])
    return [
        Unit(f"{before}{key}", stamps[key], ("train", str(folder), one.recipe), tuple(before + o for o in one.after))
        for key, one in given.items()
    ]


def run_study(study: Study, out: Path, workers: int | None = None) -> Path:
    """Does what is not yet done of all seeds; returns the Score table of all.

    Beside it lie `patients.csv` and `forgetting.yaml`, with which `bench report` judges it, and the generalists' way to
    their plateau.

    Raises:
        VesaliusError: a training failed (which, and why).
        Interrupted: stopped; the same call goes on.
    """
    out.mkdir(parents=True, exist_ok=True)
    folders = {seed: out / f"seed{seed}" for seed in study.seeds}
    with Run(out / "study.run") as state:
        _all(state, [_case_unit(folders[s], s, p) for s in study.seeds for p in plans(study, s)], "scanning", workers)
        for seed in study.seeds:
            write_tables(folders[seed], plans(study, seed))
        units = []
        for seed in study.seeds:
            cases = [plan.case for plan in plans(study, seed) if plan.split == "training"]
            units += training_units(trainings(study, seed, cases), folders[seed], f"{seed}/")
        _all(state, units, "training", workers)
    if study.curve:
        write_plateau({seed: folder / "generalist" for seed, folder in folders.items()}, max(study.after), out)
    tables = [_clicked(study, seed, folders[seed], workers) for seed in study.seeds]
    scores = out / "scores.parquet"
    write_table(pl.concat([table for table, _ in tables]), scores)
    with replacing(out / "patients.csv") as part:
        pl.concat([patients for _, patients in tables]).write_csv(part)
    with replacing(out / "forgetting.yaml") as part:
        part.write_text(yaml.safe_dump(question(study), sort_keys=False), "utf-8")
    return scores


def question(study: Study) -> dict[str, Any]:
    """Who is compared with whom over seeds, as `bench report --forgetting` takes it."""
    return {
        "generalist": "generalist",
        "experts": {f"expert {name}": [name] for name in study.tasks},
        "fine_tuned": {"tuned": list(study.tasks)},
        "joined": "joined",
        "continued": "continued",
        "metric": f"dsc@{max(study.after)}",
        "margin": study.margin,
        "seed": "seed",
    }


def _case_unit(folder: Path, seed: int, plan: Plan) -> Unit:
    return Unit(f"{seed}/case/{plan.case}", fingerprint(plan), ("case", str(folder), plan))


def _all(state: Run, units: list[Unit], label: str, workers: int | None) -> None:
    work(state, units, do, crashed=lambda unit, error: str(error), label=label, workers=workers)
    for unit, payload, _, kind in state.payloads(units):
        if kind == "crashed":
            remedy = "run it again; it goes on from here"
            raise VesaliusError(f"{unit.key}: {payload}", file=state.path, remedy=remedy, code="crashed")


def do(kind: Literal["case", "train"], folder: str, given: Any) -> Any:
    """One unit, in a worker: a case is scanned, or a recipe trained."""
    if kind == "case":
        return make_case(folder, given)
    file = Path(folder) / f"{str(given['output']).replace('/', '_')}.yaml"
    with replacing(file) as part:
        part.write_text(yaml.safe_dump(_plain(given), sort_keys=False), "utf-8")
    recipe = build_recipe(_plain(given), file)
    if not (recipe.output / STATE).is_file():  # somebody cleared some of it
        shutil.rmtree(recipe.output, ignore_errors=True)
    return train(recipe, import_module(TASKS[recipe.task]).prepare(recipe), restart=_is_other(recipe))


def _is_other(recipe: Any) -> bool:
    """Whether the output holds a training of another recipe: a study that was changed does it again."""
    file = recipe.output / STATE
    return file.is_file() and json.loads(file.read_text("utf-8"))["stamp"] != recipe.stamp


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _clicked(study: Study, seed: int, folder: Path, workers: int | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Scores and patients of a seed, its cases called by seed and case."""
    scores = click(study, seed, folder, folder, folder / "clicks.parquet", WHOLE, workers=workers)
    case = pl.format("{}-{}", pl.lit(f"s{seed}"), pl.col("case")).alias("case")
    patients = pl.read_csv(folder / "patients.csv").filter(pl.col("split") == "test")
    return scores.with_columns(case), patients.with_columns(case, pl.lit(seed).alias("seed"))


def click(
    study: Study,
    seed: int,
    networks: Path,
    place: Path,
    out: Path,
    whole: Sequence[str],
    cases: Sequence[str] = (),
    workers: int | None = None,
) -> pl.DataFrame:
    """Clicks models and region growing through all structures, each expert through its own; returns the scores.

    Args:
        study: see there.
        seed: of the clicks.
        networks: folder of the trainings' outputs.
        place: folder of the hospitals.
        out: the Score table.
        whole: names of trainings that answer for every structure.
        cases: which; all test cases by default.
        workers: processes; one a core by default.
    """
    models = {name: f"sam3d:{networks / name}" for name in whole} | {"seeds": "seeds:"}
    experts = {f"expert {name}": (name,) for name in study.tasks}
    models |= {expert: f"sam3d:{networks / 'joined'}?expert={name}" for expert, (name,) in experts.items()}
    protocol = Protocol(study.after, metrics=study.metrics, seed=seed)
    click_through(
        place / "imagesTs", place / "labelsTs", models, out, protocol, own=experts, cases=cases,
        benchmark="phantom hospitals", workers=workers,
    )  # fmt: skip
    return read_table(out)
