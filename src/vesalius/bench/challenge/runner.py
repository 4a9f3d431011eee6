"""Programs asked the hidden cases of a challenge, durably; masks scored; tables written.

    OUT/run.sqlite              what each model answered to each case, or how it failed
    OUT/predictions/MODEL/      its masks, by case
    OUT/cases.csv               model, case, status, exit_code, seconds, memory_mb, reason
    OUT/scores.parquet          the Score table; answers to questions are reported with `bench report OUT`

A case is asked once: a failure is a result, and stays one when the same command goes on. It is asked again where the
program, its limits, the image or the question changed. Leaves limits to the models, metrics of masks to `bench/score`,
and what answers in words are worth to `bench/questions`.
"""

import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from vesalius.bench import score as scoring
from vesalius.bench.challenge.cases import HiddenCase, find_hidden_cases, structures_of
from vesalius.bench.challenge.schema import Challenge, read_challenge
from vesalius.bench.questions.runs import judge_runs
from vesalius.bench.questions.store import Store
from vesalius.bench.questions.tables import score_table
from vesalius.bench.score_case import Case
from vesalius.errors import VesaliusError
from vesalius.formats.labels import LabelMap
from vesalius.formats.masks import Entry
from vesalius.formats.pairs import Pairing
from vesalius.models import Model, open_model, parse_url
from vesalius.records import Answer, Sample, to_chat
from vesalius.run import (
    Interrupted,
    Run,
    Unit,
    file_hash,
    file_stamp,
    fingerprint,
    progress,
    provenance,
    sigterm_as_interrupt,
)  # fmt: skip

CASES_SCHEMA = pl.Schema(
    {
        "model": pl.String,
        "case": pl.String,
        "status": pl.String,
        "exit_code": pl.Int64,
        "seconds": pl.Float64,
        "memory_mb": pl.Float64,
        "reason": pl.String,
    }
)
_PATIENCE = 900  # seconds for scoring a mask: a program may have written one that unpacks without end


@dataclass
class ChallengeSummary:
    """What became of a challenge.

    Attributes:
        name, kind: the challenge's.
        out: folder of the tables.
        cases: how many there are.
        asked_now: calls for a case that were made now; the others stood in the run.
        statuses: model → how many answers of each status.
        not_run: model → why it could not be run at all; it has no rows in the Score table.
        scores: of the masks; None for questions.
        table: the Score table.
    """

    name: str
    kind: str
    out: str
    cases: int
    asked_now: int
    statuses: dict[str, dict[str, int]]
    not_run: dict[str, str] = field(default_factory=dict)
    scores: scoring.Summary | None = None
    table: str | None = None

    @property
    def failed(self) -> int:
        """Cases of all models without an answer."""
        return sum(n for counts in self.statuses.values() for status, n in counts.items() if status != "answered")

    def last_line(self) -> str:
        """How many, in one line."""
        total = sum(n for counts in self.statuses.values() for n in counts.values())
        kinds = Counter(status for counts in self.statuses.values() for status in Counter(counts).elements())
        line = f"answered {kinds.pop('answered', 0)} of {total}"
        if kinds:
            line += f" ({', '.join(f'{n} {status}' for status, n in sorted(kinds.items()))}, each with its reason)"
        return line + (f"; not run: {', '.join(self.not_run)}" if self.not_run else "")


def run_challenge(
    file: str | Path,
    models: Sequence[str | Model],
    out: str | Path,
    *,
    workers: int | None = None,
) -> ChallengeSummary:
    """Asks every model every case that is not answered yet, scores, and writes the tables.

    Args:
        file: `challenge.yaml`.
        models: URLs (`command:team_a/`, `b=container:team-b`), which get the challenge's limits, or open models.
        out: folder of the run; the same folder goes on.
        workers: processes that score masks; one a core by default.

    Raises:
        VesaliusError: the challenge's file is wrong, a limit cannot be enforced, a program could reach what is hidden,
            no model can be run at all.
        Interrupted: stopped; the same call goes on.
    """
    challenge, out = read_challenge(file), Path(out)
    cases = find_hidden_cases(challenge, out / "media")
    opened = [_opened(model, challenge) if isinstance(model, str) else model for model in models]
    try:
        media = {Path(part.path).resolve().parent for case in cases for part in case.question.media if part.path}
        able, not_run = _ready(opened, (*challenge.hidden, *media, out.resolve()))
        with Run(out / "run.sqlite") as run:
            units = {model.name: _units(model, cases) for model in able}
            run.set_fact("asked", {name: [[unit.key, unit.stamp] for unit in some] for name, some in units.items()})
            asked_now = _ask_all(run, able, cases, units, out)
            answers = {name: [_payload(run, unit) for unit in some] for name, some in units.items()}
        summary = ChallengeSummary(
            challenge.name, challenge.kind, str(out), len(cases), asked_now,
            {name: dict(Counter(p["status"] for p in some)) for name, some in answers.items()}, not_run,
        )  # fmt: skip
        _write_cases(cases, answers, not_run, out)
        if challenge.kind == "masks":
            summary.scores = _score_masks(challenge, cases, answers, out, workers)
            summary.table = summary.scores.table
        else:
            summary.table = _score_answers(challenge, cases, able, out)
        return summary
    finally:
        for model in opened:
            model.close()


def read_answers(file: str | Path, out: str | Path) -> list[tuple[str, Sample, Answer]]:
    """The answers to a challenge of questions that stand in a run: (model, sample, answer), ids as the file has them.

    Raises:
        VesaliusError: the run did not come to its end, or the challenge's file has changed since.
    """
    challenge, out = read_challenge(file), Path(out)
    cases = find_hidden_cases(challenge, out / "media")
    with Run(out / "run.sqlite") as run:
        asked = run.fact("asked") or {}
        units = {name: [Unit(key, stamp, ()) for key, stamp in some] for name, some in asked.items()}
        found = {name: [payload for _, payload, _, _ in run.payloads(some)] for name, some in units.items()}
    names = [case.name for case in cases]
    for name, some in units.items():
        if len(found[name]) < len(cases) or [unit.key.removeprefix(f"{name}/") for unit in some] != names:
            raise VesaliusError("holds no answers to all cases", file=out, remedy="run the challenge", code="challenge")
    return list(_with_samples(cases, found))


def _opened(url: str, challenge: Challenge) -> Model:
    limits = challenge.limits.model_dump()
    own = sorted(parse_url(url).options.keys() & limits.keys())
    if own:
        problem = f"sets {', '.join(own)}, which the challenge sets for all"
        raise VesaliusError(problem, file=url, remedy=f"leave it out, or change {challenge.file.name}", code="model")
    return open_model(url, **limits)


def _ready(models: list[Model], hidden: Sequence[Path]) -> tuple[list[Model], dict[str, str]]:
    """The models that can be asked, and why others cannot; everything that speaks against a run is said here."""
    names = Counter(_folder_of(model.name) for model in models)
    if twice := [name for name, n in names.items() if n > 1]:
        problem = f"two models are called {twice[0]}"
        raise VesaliusError(problem, remedy="name them: a=command:… b=command:…", code="usage")
    able, not_run, errors = [], {}, []
    for model in models:
        _check_reach(model, hidden)
        try:
            model.check()
            able.append(model)
        except VesaliusError as error:
            if error.code != "no_engine":
                raise
            not_run[model.name] = str(error)
            errors.append(error)
    if not able:
        raise errors[0] if errors else VesaliusError("no models", remedy="name one with --model", code="usage")
    return able, not_run


def _check_reach(model: Model, hidden: Sequence[Path]) -> None:
    """No program may be given a folder that holds labels, or lies among them."""
    for given in getattr(model, "exposes", ()):
        for path in hidden:
            if path.is_relative_to(given) or (given.is_relative_to(path) and path.is_dir()):
                problem = f"the program would see {path}, which is hidden from it"
                raise VesaliusError(problem, file=given, remedy="keep the two in folders apart", code="hidden")


def _units(model: Model, cases: list[HiddenCase]) -> list[Unit]:
    """A stamp holds the program, its limits, the question, and sizes and times of the media."""
    identity, units = model.identity(), []
    for case in cases:
        question = case.question
        media = [file_stamp(part.path) for part in question.media if part.path]
        stamp = fingerprint(identity, question.type, list(question.options), to_chat(question.messages), media)
        units.append(Unit(f"{model.name}/{case.name}", stamp, ()))
    return units


def _payload(run: Run, unit: Unit) -> dict[str, Any]:
    return next(iter(run.payloads([unit])))[1]


def _ask_all(
    run: Run, models: list[Model], cases: list[HiddenCase], units: dict[str, list[Unit]], out: Path
) -> int:  # fmt: skip
    left = {model.name: _left(run, units[model.name], out) for model in models}
    total, failed, done = sum(map(len, left.values())), 0, 0
    with sigterm_as_interrupt(), progress("asking", total) as advance:
        try:
            for model in models:
                by_case = getattr(model, "sent_in", False)  # such predictions know cases by name
                by_id = {
                    case.name if by_case else case.question.id: (case, unit)
                    for case, unit in zip(cases, units[model.name], strict=True)
                    if unit.key in left[model.name]
                }
                for answer in model.answer([replace(case.question, id=id) for id, (case, _) in by_id.items()]):
                    case, unit = by_id.pop(answer.id)
                    _record(run, unit, model, case, answer, out)
                    done, failed = done + 1, failed + (answer.status != "answered")
                    advance(failed)
                if by_id:
                    raise VesaliusError(f"gave no answer to {len(by_id)} cases", file=model.name, code="model")
        except KeyboardInterrupt:
            problem = f"stopped; {done} of {total} cases are asked and kept"
            raise Interrupted(problem, file=run.path, remedy="the same command goes on from here") from None
    return done


def _left(run: Run, units: list[Unit], out: Path) -> set[str]:
    """Keys of what is to be asked: not done with this stamp, or done and its mask has been removed."""
    left = {unit.key for unit in run.left(units)}
    for unit, payload, _, _ in run.payloads(unit for unit in units if unit.key not in left):
        if payload.get("prediction") and not (out / payload["prediction"]).is_file():
            left.add(unit.key)
    return left


def _record(run: Run, unit: Unit, model: Model, case: HiddenCase, answer: Answer, out: Path) -> None:
    """Puts the mask where it belongs, then says that the case is done: in this order, whenever we are killed."""
    outcome = getattr(model, "outcomes", {}).get(answer.id)
    payload = answer.to_json() | {"exit_code": outcome.exit_code if outcome else None, "prediction": None}
    folder = out / "predictions" / _folder_of(model.name)
    for suffix in (".nii.gz", ".nii"):  # of an earlier program by that name
        (folder / f"{case.name}{suffix}").unlink(missing_ok=True)
    if case.question.type == "mask" and answer.status == "answered":
        mask = next((part for part in answer.message.parts if part.type == "mask"), None) if answer.message else None
        if mask is None or mask.path is None:
            payload |= {"status": "failed", "reason": "answered without a mask"}
        else:
            source = Path(mask.path)
            target = folder / f"{case.name}{'.nii.gz' if source.name.endswith('.gz') else source.suffix}"
            folder.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}")
            shutil.copyfile(source, temporary)
            temporary.replace(target)
            if source.parent == getattr(model, "keep", None):
                source.unlink()
            payload |= {"prediction": str(target.relative_to(out)), "labels": dict(mask.labels or {}), "message": None}
    run.record(unit, payload | {"time": time.time()}, answer.seconds or 0.0)


def _folder_of(name: str) -> str:
    """A model's name as a folder's: a URL holds slashes."""
    return re.sub(r"[^\w.=@+-]+", "_", name).strip("._") or "model"


def _write_cases(cases: list[HiddenCase], answers: dict[str, list[dict]], not_run: dict[str, str], out: Path) -> None:
    kept = ("status", "exit_code", "seconds", "memory_mb", "reason")
    rows = [
        {"model": name, "case": case.name} | {key: payload.get(key) for key in kept}
        for name, some in answers.items()
        for case, payload in zip(cases, some, strict=True)
    ]
    rows += [
        {"model": name, "case": case.name, "status": "not_run", "reason": reason}
        for name, reason in not_run.items()
        for case in cases
    ]
    scoring.write_table(pl.DataFrame(rows, schema=CASES_SCHEMA).sort("model", "case"), out / "cases.csv")


def _score_masks(
    challenge: Challenge, cases: list[HiddenCase], answers: dict[str, list[dict]], out: Path, workers: int | None
) -> scoring.Summary:
    template = Case(
        "", "", None, None,
        reference_labels=structures_of(challenge), settings=challenge.settings, resample=challenge.resample,
    )  # fmt: skip
    by_model = {name: list(zip(cases, some, strict=True)) for name, some in answers.items()}
    pairings, failures, labels = {}, {}, {}
    for name, some in by_model.items():
        matched, alone = {}, {}
        for case, payload in some:
            assert case.reference is not None
            if payload.get("prediction"):
                entry = Entry(case.name, out / payload["prediction"])
                matched[case.name] = (entry, case.reference)
                labels[name, case.name] = _label_map(payload["labels"])
            else:
                alone[case.name] = case.reference
                failures[name, case.name] = (payload["status"], payload.get("reason") or "no mask")
        pairings[name] = Pairing(matched, {}, alone)
    jobs = [
        replace(
            job,
            failure=failures.get((job.model, job.case)),
            prediction_labels=labels.get((job.model, job.case)),
        )
        for job in scoring.jobs(pairings, template, challenge.labels, challenge.images)
    ]
    # that a failed case has no mask is said by its reason, not as a reference that nobody met
    table = out / "scores.parquet"
    told = {name: Pairing(p.matched, {}, {}) for name, p in pairings.items()}
    summary = scoring.run(told, jobs, table, benchmark=challenge.name, workers=workers, timeout=_PATIENCE)
    seconds = [(name, case.name, p.get("seconds")) for name, some in by_model.items() for case, p in some]
    took = pl.DataFrame(
        seconds,
        schema={"model": pl.String, "case": pl.String, "seconds": pl.Float64}, orient="row",
    )  # fmt: skip
    scores = scoring.read_table(table)
    timed = scores.drop("seconds").join(took, on=["model", "case"], how="left", maintain_order="left")
    facts = json.loads(pl.read_parquet_metadata(table)["vesalius"]) | {"challenge": challenge.model_dump(mode="json")}
    scoring.write_table(timed.select(scores.columns), table, facts)
    return summary


def _score_answers(challenge: Challenge, cases: list[HiddenCase], models: list[Model], out: Path) -> str:
    """Makes the run one of questions, too, so that everything that reports those reports this."""
    assert challenge.questions is not None
    entry: dict[str, Any] = {
        "path": str(challenge.questions), "sha256": file_hash(challenge.questions), "layout": "challenge", "tree": [],
        "cluster": None, "n": len(cases),
    }  # fmt: skip
    said: dict[str, Any] = {}
    keys = []
    for model in models:
        identity = model.identity()
        settings = {"limits": challenge.limits.model_dump(), "reveal": list(challenge.reveal)}
        said[model.name] = {"url": model.name, "identity": identity, "settings": settings,
                            "depends": fingerprint(identity), "provenance": provenance()}  # fmt: skip
        keys += [(model.name, case.sample, f"{model.name}/{case.name}") for case in cases if case.sample]
    with Store(out) as store:
        store.adopt(challenge.name, entry, keys, said)
    table = out / "scores.parquet"
    scoring.write_table(score_table(judge_runs([out])), table, {"challenge": challenge.name})
    return str(table)


def _label_map(given: dict[str, str]) -> LabelMap | None:
    """What a program calls its ids; None where it says nothing and ids are the challenge's."""
    targets: dict[str, tuple[int, ...]] = {}
    for number, name in given.items():
        if int(number):
            targets[name] = (*targets.get(name, ()), int(number))
    return LabelMap(targets) if targets else None


def _with_samples(cases: list[HiddenCase], answers: dict[str, list[dict]]) -> Iterator[tuple[str, Sample, Answer]]:
    for name, some in answers.items():
        for case, payload in zip(cases, some, strict=True):
            if case.sample is not None:
                yield name, case.sample, replace(Answer.from_json(payload), id=case.name)
