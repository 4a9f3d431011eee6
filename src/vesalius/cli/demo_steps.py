"""What the demo does, step by step: hospitals, learning and segmenting, scores, clicks, reports.

Everything goes through the same code as a user's own data. Each step is a run (`vesalius.run`) over units whose stamps
name what they depend on, so that a killed demo goes on, a second one takes seconds, and another seed or changed code
does again what it must. Leaves what is said on the way to `demo.py`.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from vesalius import __version__
from vesalius.errors import VesaliusError
from vesalius.models.classical import MODELS, TrainingCase, fit, load
from vesalius.models.classical.segmenter import load_training, prepare, restore
from vesalius.phantom.hospitals import LABELS, Plan, make_case, paths, plan_cases, write_tables
from vesalius.run import Run, Unit, file_hash, fingerprint, work

IN_DISTRIBUTION = "site in (A, B, C)"
GROUPS = "site,phase,sex,age:20"
METRICS = ("dsc", "nsd")
ON_ATLAS = ("walker", "forest")
TITLE = "Which segmenter holds up in hospitals it has never seen?"
CLICKS_TITLE = "Does a network that is clicked learn new structures without forgetting?"


@dataclass
class Demo:
    """One demo in one folder.

    Attributes:
        out: the folder.
        seed: of the phantom hospitals.
        workers: processes; one a core by default.
        plans: the cases.
    """

    out: Path
    seed: int = 0
    workers: int | None = None
    plans: list[Plan] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plans = self.plans or plan_cases(self.seed)
        if self.out.exists() and not self.out.is_dir():
            raise VesaliusError("is a file", file=self.out, remedy="name a folder with --out")
        mark = self.out / "demo.run"
        if self.out.is_dir() and any(self.out.iterdir()) and not mark.exists():
            raise VesaliusError(
                "holds something else than a demo", file=self.out, remedy="name an empty or new folder with --out"
            )
        if mark.exists() and any(self._lacking()):  # somebody cleared some of it: begin again
            mark.unlink()

    @property
    def predictions(self) -> Path:
        """A folder a model."""
        return self.out / "predictions"

    @property
    def scores(self) -> Path:
        """The Score table."""
        return self.out / "scores.parquet"

    @property
    def report(self) -> Path:
        """Folder of the segmenters' report."""
        return self.out / "report"

    @property
    def clicks_report(self) -> Path:
        """Folder of the report on clicks."""
        return self.out / "report_clicks"

    def make_hospitals(self) -> int:
        """Scans the patients to learn from, if they are not there yet; returns how many were scanned now."""
        with self._state() as state:
            new = self._map(state, self._scans("training"), learn, "scanning")
            if new or not (self.out / "patients.csv").exists():
                write_tables(self.out, self.plans)
        return new

    def learn_and_segment(self) -> int:
        """Trains what is not trained yet, networks and segmenters side by side; scans the others, and segments them.

        In one map: networks are trained one after another, and all else finds room beside them.
        """
        from vesalius.cli import demo_network

        fits = {model: self._fit_unit(model) for model in MODELS}
        code = fingerprint(_code_of("nets", "train", "phantom"), self._of("training"))
        networks = demo_network.units(self.plans, self.seed, self.out / "networks", code)
        folders = [str(self.out / name) for name in ("models", "predictions")]
        stamps, fitted = [unit.stamp for unit in fits.values()], [unit.key for unit in fits.values()]
        segmentations = [
            Unit(
                f"predict/{p.case}",
                fingerprint(stamps, p),
                ("segment", str(self.out), *folders, p),
                (*fitted, f"case/{p.case}"),
            )
            for p in self._of("test")
        ]
        for model in MODELS:
            (self.predictions / model).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.out / "dataset.json", self.predictions / model / "dataset.json")
        (self.out / "networks").mkdir(exist_ok=True)
        with self._state() as state:
            units = [*networks, *fits.values(), *self._scans("test"), *segmentations]
            return self._map(state, units, learn, "learning, segmenting")

    def click(self) -> Path:
        """Clicks networks and region growing through some test cases; returns the Score table."""
        from vesalius.cli import demo_network

        return demo_network.click_through(self.out, self.plans, self.seed, self.scores, self.workers)

    def score(self) -> Any:
        """Scores the predictions as `vesalius bench score` does."""
        from vesalius.bench import score
        from vesalius.bench.metrics.segmentation import Settings
        from vesalius.bench.score_case import Case

        references = self.out / "labelsTs"
        pairings = score.plan(self.predictions, references, models=True)
        template = Case("", "", None, None, None, settings=Settings(METRICS))
        cases = score.jobs(pairings, template, references)
        return score.run(pairings, cases, self.scores, benchmark="phantom hospitals", workers=self.workers)

    def write_reports(self) -> int:
        """Judges and writes both pages as `vesalius bench report` does; returns how many were written now."""
        from vesalius.bench.report import Settings
        from vesalius.bench.report.worst import Pictures

        common: dict[str, Any] = {"metadata": self.out / "patients.csv", "in_distribution": IN_DISTRIBUTION}
        pictures = Pictures(self.out / "labelsTs", self.predictions, self.out / "imagesTs")
        asked = Settings(**common, forgetting=self.out / "forgetting.yaml")
        segmenters = self._page(self.report, TITLE, self.scores, Settings(**common, groups=GROUPS), pictures)
        clicks = self._page(self.clicks_report, CLICKS_TITLE, self.out / "clicks.parquet", asked, None)
        with self._state() as state:
            for page in (segmenters, clicks):
                if not (Path(page.arguments[0]) / "report.html").exists():
                    state.forget(page)
            return self._map(state, [segmenters, clicks], write_page, "writing")

    def _page(self, folder: Path, title: str, scores: Path, settings: Any, pictures: Any) -> Unit:
        import polars as pl

        rows = pl.read_parquet(scores).write_csv()  # not the file's hash: it holds the time it was written
        stamp = fingerprint(_code_of("bench", "pages"), rows, file_hash(self.out / "patients.csv"))
        return Unit(f"page/{folder.name}", stamp, (str(folder), title, str(scores), settings, pictures))

    @staticmethod
    def said(report: Path) -> dict[str, Any]:
        """What a report says, from its `report.json`."""
        return json.loads((report / "report.json").read_text("utf-8"))

    def _state(self) -> Run:
        return Run(self.out / "demo.run")

    def _of(self, split: str) -> list[Plan]:
        return [p for p in self.plans if p.split == split]

    def _scans(self, split: str) -> list[Unit]:
        code = _code_of("phantom")
        return [Unit(f"case/{p.case}", fingerprint(code, p), ("scan", str(self.out), p)) for p in self._of(split)]

    def _fit_unit(self, model: str) -> Unit:
        training = self._of("training")
        stamp = fingerprint(_code_of("models", "phantom"), model, training)
        cases = [TrainingCase(*paths(self.out, p)) for p in training]
        after = ("fit/atlas",) if model in ON_ATLAS else ()
        return Unit(f"fit/{model}", stamp, ("fit", model, cases, str(self.out / "models")), after)

    def _map(self, state: Run, units: list[Unit], function: Any, label: str) -> int:
        done = work(state, units, function, crashed=_crashed, label=label, workers=self.workers)
        for unit, payload, _, kind in state.payloads(units):
            if kind == "crashed":
                remedy = "run the demo again; it goes on from here"
                raise VesaliusError(f"{unit.key}: {payload}", file=self.out, remedy=remedy, code="crashed")
        return done

    def _lacking(self) -> Iterator[Path]:
        """Files of done units that are gone."""
        import sqlite3

        try:
            with sqlite3.connect(self.out / "demo.run") as connection:
                keys = {key for (key,) in connection.execute("SELECT key FROM units WHERE state = 'done'")}
        except sqlite3.DatabaseError:
            return
        for plan in self.plans:
            files = list(paths(self.out, plan)) if f"case/{plan.case}" in keys else []
            if f"predict/{plan.case}" in keys:
                files += [self.predictions / model / f"{plan.case}.nii.gz" for model in MODELS]
            yield from (file for file in files if not file.exists())
        yield from (
            file
            for key in keys
            if key.startswith("train/")
            and not (file := self.out / "networks" / _output(key.removeprefix("train/")) / "training.json").exists()
        )
        yield from (
            file
            for model in MODELS
            if f"fit/{model}" in keys and not (file := _model_file(self.out / "models", model)).exists()
        )


def learn(kind: str, *arguments: Any) -> Any:
    """One unit, in a worker: a patient is scanned, a network trained, a segmenter fitted, or a case segmented."""
    if kind == "train":
        from vesalius.train.sam3d import study

        return study.do("train", *arguments)
    do: dict[str, Callable[..., Any]] = {"scan": make_case, "fit": fit_model, "segment": segment_case}
    return do[kind](*arguments)


def _output(training: str) -> str:
    """Folder of a network by the name of its training."""
    return training.replace("expert ", "experts/")


def fit_model(model: str, cases: list[TrainingCase], folder: str) -> str:
    """Fits one model and saves it; those that build on the atlas find it beside their own place."""
    names = {label: name for name, label in LABELS.items()}
    atlas = _model_file(folder, "atlas")
    fitted = fit(model, load_training(cases), names, atlas if model in ON_ATLAS else None)
    fitted.save(_model_file(folder, model))
    return model


def segment_case(out: str, models: str, predictions: str, plan: Plan) -> dict[str, float]:
    """Segments one case with every model; returns the seconds each took."""
    import time

    from vesalius.media.volume import read_volume, write_volume

    volume = read_volume(paths(out, plan)[0])
    scan, seconds = prepare(volume), {}
    for name, model in _loaded(models).items():
        begin = time.perf_counter()
        labels = restore(model.label(scan), scan, volume, model.names)
        seconds[name] = round(time.perf_counter() - begin, 3)
        write_volume(Path(predictions) / name / f"{plan.case}.nii.gz", labels)
    return seconds


def write_page(folder: str, title: str, scores: str, settings: Any, pictures: Any) -> str:
    """Judges a table of scores and writes its page; returns the page's name."""
    from vesalius.bench.report import analyse, write

    write(analyse([scores], settings), folder, title, pictures)
    return Path(folder).name


@lru_cache(maxsize=1)
def _loaded(folder: str) -> dict[str, Any]:
    """The fitted models, once a worker; they share one atlas, so that a scan is registered once."""
    return load({name: _model_file(folder, name) for name in MODELS})


def _model_file(folder: str | Path, model: str) -> Path:
    return Path(folder) / f"{model}.npz"


def _crashed(unit: Unit, error: VesaliusError) -> str:
    return str(error)


@lru_cache
def _code_of(*rooms: str) -> str:
    """Fingerprint of the version and of the source files that decide a result."""
    root = Path(__file__).parent.parent
    return fingerprint(__version__, [file_hash(f) for room in rooms for f in sorted((root / room).rglob("*.py"))])
