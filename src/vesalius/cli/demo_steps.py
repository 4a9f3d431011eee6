"""What the demo does, step by step: hospitals, segmenters, predictions, scores, report.

Everything goes through the same code as a user's own data. Each step is a run (`vesalius.run`) over units whose stamps
name what they depend on, so that a killed demo goes on, a second one takes seconds, and another seed or changed code
does again what it must. Leaves what is said on the way to `demo.py`.
"""

import json
import shutil
from collections.abc import Iterator
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
TITLE = "Which segmenter holds up in hospitals it has never seen?"


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
        """Folder of the report."""
        return self.out / "report"

    def make_hospitals(self) -> int:
        """Scans the cases that are not there yet; returns how many were made now."""
        code = _code_of("phantom")
        units = [Unit(f"case/{p.case}", fingerprint(code, p), (str(self.out), p)) for p in self.plans]
        with self._state() as state:
            new = self._map(state, units, make_case, "scanning")
            if new or not (self.out / "patients.csv").exists():
                write_tables(self.out, self.plans)
        return new

    def fit_models(self) -> int:
        """Fits what is not fitted yet on the training cases; those that need the atlas come after it."""
        with self._state() as state:
            return sum(
                self._map(state, [self._fit_unit(model) for model in models], fit_model, "fitting")
                for models in (("windows", "atlas"), ("walker", "forest"))
            )

    def predict(self) -> int:
        """Segments the test cases with every model."""
        folders = [str(self.out / name) for name in ("models", "predictions")]
        stamps = [self._fit_unit(model).stamp for model in MODELS]
        units = [
            Unit(f"predict/{p.case}", fingerprint(stamps, p), (str(self.out), *folders, p)) for p in self._of("test")
        ]
        for model in MODELS:
            (self.predictions / model).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.out / "dataset.json", self.predictions / model / "dataset.json")
        with self._state() as state:
            return self._map(state, units, segment_case, "segmenting")

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

    def write_report(self) -> bool:
        """Judges and writes the page as `vesalius bench report` does; False where it stands already."""
        import polars as pl

        from vesalius.bench.report import Settings, analyse, write
        from vesalius.bench.report.worst import Pictures

        rows = pl.read_parquet(self.scores).write_csv()  # not the file's hash: it holds the time it was written
        stamp = fingerprint(_code_of("bench", "pages"), rows, file_hash(self.out / "patients.csv"))
        with self._state() as state:
            if state.fact("report") == stamp and (self.report / "report.html").exists():
                return False
        settings = Settings(metadata=self.out / "patients.csv", in_distribution=IN_DISTRIBUTION, groups=GROUPS)
        pictures = Pictures(self.out / "labelsTs", self.predictions, self.out / "imagesTs")
        write(analyse([self.scores], settings), self.report, TITLE, pictures)
        with self._state() as state:
            state.set_fact("report", stamp)
        return True

    def verdict(self) -> dict[str, Any]:
        """What the report says, from its `report.json`."""
        return json.loads((self.report / "report.json").read_text("utf-8"))

    def _state(self) -> Run:
        return Run(self.out / "demo.run")

    def _of(self, split: str) -> list[Plan]:
        return [p for p in self.plans if p.split == split]

    def _fit_unit(self, model: str) -> Unit:
        training = self._of("training")
        stamp = fingerprint(_code_of("models", "phantom"), model, training)
        cases = [TrainingCase(*paths(self.out, p)) for p in training]
        return Unit(f"fit/{model}", stamp, (model, cases, str(self.out / "models")))

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
            for model in MODELS
            if f"fit/{model}" in keys and not (file := _model_file(self.out / "models", model)).exists()
        )


def fit_model(model: str, cases: list[TrainingCase], folder: str) -> str:
    """Fits one model and saves it; those that build on the atlas find it beside their own place."""
    names = {label: name for name, label in LABELS.items()}
    atlas = _model_file(folder, "atlas")
    fitted = fit(model, load_training(cases), names, atlas if model in ("walker", "forest") else None)
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
