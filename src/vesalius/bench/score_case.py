"""One case of one model: both masks read, brought together by name and grid, scored; whatever is wrong becomes rows.

Runs in worker processes and returns plain dictionaries. Knows masks and metrics; leaves which cases there are, and what
becomes of the rows, to `score.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from vesalius.bench.metrics import metric
from vesalius.bench.metrics.segmentation import Pair, Settings, compare
from vesalius.errors import VesaliusError
from vesalius.formats.labels import SYNONYMS, LabelMap
from vesalius.formats.masks import Entry, Mask, is_dicom, read_mask
from vesalius.media.counts import present
from vesalius.media.grid import grid_difference, orientation_of
from vesalius.media.volume import Header, Volume, onto_grid, read_header

Place = tuple[int, tuple[int, ...]]  # a layer and the ids in it
Targets = dict[str, Place]
Matches = dict[str, tuple[Place, Place]]  # where a structure is in the reference, and in the prediction


@dataclass(frozen=True)
class Case:
    """What a worker needs to score one case of one model.

    Attributes:
        model, case: names in the Score table.
        prediction, reference: where the masks are; None where there is none.
        image: path of the image, whose grid RTSTRUCT needs.
        reference_labels, prediction_labels: names of ids; None to take what lies beside the masks.
        settings: metrics and what they depend on.
        resample: bring a prediction on another grid onto the reference's.
        lesions: also list every connected component.
        note: a warning that belongs to the case from the start.
        failure: code and words of why an earlier attempt failed; the case is then scored as failed, unread.
    """

    model: str
    case: str
    prediction: Entry | None
    reference: Entry | None
    image: str | None = None
    reference_labels: LabelMap | None = None
    prediction_labels: LabelMap | None = None
    settings: Settings = field(default_factory=Settings)
    resample: bool = False
    lesions: bool = False
    note: str | None = None
    failure: tuple[str, str] | None = None


def score_case(job: Case) -> dict[str, Any]:
    """Rows of one case.

    Returns:
        `rows`: Score rows without benchmark and seconds; `problem`: code and words where the case failed; `warnings`:
        sentences; `shape`, `spacing`, `orientation` of the reference's grid; `lesions`.
    """
    out: dict[str, Any] = {"rows": [], "lesions": [], "warnings": [job.note] if job.note else [], "problem": None}
    try:
        reference = reference_mask(job)
    except VesaliusError as error:
        return out | {"problem": ["unscorable", error.code, _said(error, job)]}
    out |= {
        "shape": list(reference.shape),
        "spacing": [round(s, 6) for s in reference.spacing],
        "orientation": orientation_of(reference.affine),
    }
    failure, prediction = None, None
    try:
        prediction = prediction_mask(job, reference, out["warnings"])
        both = matched_structures(reference, prediction, job, out["warnings"])
    except VesaliusError as error:
        failure, prediction = error, None
        out["problem"] = ["failed", error.code, _said(error, job)]
        both = matched_structures(reference, None, job, [])
    pairs = _pairs(reference, prediction, both, job.settings)
    exchanged = _exchanged(pairs)
    out["warnings"] += exchanged.values()
    for pair in pairs:
        rows = pair.records()
        if failure:
            rows = [_failed(row, pair, failure) for row in rows]
        elif pair.status == "hallucinated":
            rows = [
                row | {"reason": f"{pair.prediction_voxels * pair.voxel_ml:.3g} ml predicted, none there"}
                for row in rows
            ]
        elif pair.target in exchanged:
            rows = [row | {"reason": exchanged[pair.target]} for row in rows]
        elif pair.status == "missed" and not both[pair.target][1][1]:
            rows = [row | {"reason": _nothing_called(pair.target, prediction)} for row in rows]
        out["rows"] += rows
        if job.lesions and pair.status != "both_empty" and not failure:
            out["lesions"] += [{"target": pair.target} | row for row in pair.components.table()]
    return out


def _said(error: VesaliusError, job: Case) -> str:
    """The error without what the row says already."""
    return str(error).replace(f"case {job.case}: ", "")


def _failed(row: Mapping[str, Any], pair: Pair, failure: VesaliusError) -> dict[str, Any]:
    """A row of an empty prediction turned into that of a failed one: the worst value, whatever the policy."""
    known = metric(row["metric"])
    counts_false_positives = known.better == "lower" and known.unit in ("ml", "count")  # none of them is no merit
    value = None if row["status"] == "both_empty" or counts_false_positives else pair.worst(known.name)
    return {**row, "value": value, "status": "failed", "reason": f"{failure.code}: {failure}"}


def reference_mask(job: Case) -> Mask:
    """The reference's structures; kept a while, since a worker often gets the same case of several models."""
    if job.reference is None:
        raise VesaliusError("no reference", case=job.case, remedy="add it, or leave the prediction out", code="missing")
    grid = _header(job.image) if job.image else None
    if grid is None and is_dicom(job.reference.path) and job.prediction and not is_dicom(job.prediction.path):
        grid = _grid_of(_read_quietly(job.prediction))
    if grid is not None:
        return read_mask(job.reference, job.reference_labels, grid)
    return _cached(_Key(job.reference, job.reference_labels))


class _Key:
    """A reference as a key of the cache: a worker often gets the same case of several models after each other."""

    def __init__(self, entry: Entry, labels: LabelMap | None):
        self.entry, self.labels = entry, labels
        paths = list(entry.organs.values()) or [entry.path]
        self.stamp = tuple((str(p), p.stat().st_mtime_ns if p.exists() else 0) for p in paths)

    def __hash__(self) -> int:
        return hash(self.stamp)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.stamp == other.stamp and self.labels == other.labels


@lru_cache(maxsize=2)
def _cached(key: _Key) -> Mask:
    return read_mask(key.entry, key.labels)


@lru_cache(maxsize=2)
def _header(path: str) -> Header:
    return read_header(path)


def _read_quietly(entry: Entry) -> Mask | None:
    try:
        return read_mask(entry)
    except VesaliusError:
        return None  # reported when the prediction itself is read


def _grid_of(mask: Mask | None) -> Header | None:
    return Header(mask.shape, mask.affine, np.dtype(np.uint8)) if mask else None  # type: ignore[arg-type]


def prediction_mask(job: Case, reference: Mask, warnings: list[str]) -> Mask:
    """The prediction, on the reference's grid."""
    if job.failure:
        raise VesaliusError(job.failure[1], code=job.failure[0])
    if job.prediction is None:
        remedy = "counted as an empty prediction"
        raise VesaliusError("no prediction", case=job.case, remedy=remedy, code="missing")
    mask = read_mask(job.prediction, job.prediction_labels, _grid_of(reference))
    difference = grid_difference(mask, reference)
    if difference is None:
        return _without_ignored(mask, reference)
    code = "shape" if difference.startswith("shape") else "geometry"
    try:
        volumes = [onto_grid(Volume(layer, mask.affine, mask.path), reference, job.resample) for layer in mask.layers]
    except VesaliusError as error:
        problem = f"another grid than the reference: {difference}"
        remedy = "export it on the reference's grid, or score with --resample"
        raise VesaliusError(problem, file=error.file, case=job.case, remedy=remedy, code=code) from None
    turned = difference.startswith("orientation") and grid_difference(volumes[0], reference) is None
    warnings.append(
        f"{'turned' if turned and not job.resample else 'brought'} onto the reference's grid ({difference})"
    )
    turned_mask = Mask([v.data for v in volumes], mask.targets, volumes[0].affine, mask.path, mask.ignored, mask.named)
    return _without_ignored(turned_mask, reference)


def _without_ignored(mask: Mask, reference: Mask) -> Mask:
    """The prediction with background where the reference says not to judge (nnU-Net's ignore label)."""
    ids = [i for i in reference.ignored if any((layer == i).any() for layer in reference.layers)]
    if not ids:
        return mask
    judged = ~np.isin(reference.layers[0], ids)
    layers = [np.where(judged, layer, 0).astype(layer.dtype) for layer in mask.layers]
    return Mask(layers, mask.targets, mask.affine, mask.path, mask.ignored, mask.named)


def _pairs(reference: Mask, prediction: Mask | None, both: Matches, settings: Settings) -> list[Pair]:
    """Every target's pair; a failed prediction stands as an empty one."""
    partners = {name: other for name in both if (other := mirrored(name)) and other in both}
    groups: dict[tuple[int, int], dict[str, tuple[tuple[int, ...], tuple[int, ...]]]] = {}
    for name, ((layer_r, ids_r), (layer_p, ids_p)) in both.items():
        groups.setdefault((layer_r, layer_p), {})[name] = (ids_r, ids_p)
    empty = np.zeros(reference.shape, np.uint8, order="F") if prediction is None or not prediction.layers else None
    done: dict[str, Pair] = {}
    for (layer_r, layer_p), targets in groups.items():
        volume = prediction.layers[layer_p] if prediction is not None and empty is None else empty
        assert volume is not None
        pairs = compare(volume, reference.layers[layer_r], reference.spacing, targets, settings, partners)
        done |= {pair.target: pair for pair in pairs}
    return [done[name] for name in both]


def matched_structures(reference: Mask, prediction: Mask | None, job: Case, warnings: list[str]) -> Matches:
    """Which structure is where on both sides, by name, or by id where names lack; none has a place in no prediction."""
    nothing: Place = (0, ())
    if prediction is None:
        return {name: (where, nothing) for name, where in reference.targets.items()}
    _warn_of_undeclared(reference, reference.targets, "reference", warnings)
    if not (prediction.named and reference.named):
        return _match_ids(reference, prediction, job, warnings)
    _warn_of_undeclared(prediction, prediction.targets, "prediction", warnings)
    theirs = {key: where for name, where in prediction.targets.items() for key in _spellings(name)}
    called = job.prediction_labels.names if job.prediction_labels else {}
    matched = {}
    for name, where in reference.targets.items():
        found = next((theirs[key] for key in _spellings(called.get(name, name)) if key in theirs), None)
        if found is None:
            warnings.append(f"{_nothing_called(name, prediction)}; --prediction-labels can say which is it")
        matched[name] = (where, found or nothing)
    if all(where_p == nothing for _, where_p in matched.values()):
        problem = f"no structure has the same name: {_some(prediction.targets)} against {_some(reference.targets)}"
        remedy = 'give --prediction-labels, a YAML file with lines like "kidney_left: Kidney L"'
        raise VesaliusError(problem, file=prediction.path, remedy=remedy, code="labels")
    return matched


def _match_ids(reference: Mask, prediction: Mask, job: Case, warnings: list[str]) -> Matches:
    """Where one side has no names, its ids are taken to mean what they mean on the other."""
    for mask, entry in ((reference, job.reference), (prediction, job.prediction)):
        if entry is not None and (entry.organs or is_dicom(entry.path)):
            problem = "structures with names meet a label volume without"
            remedy = "give the volume's label map with --labels or --prediction-labels"
            raise VesaliusError(problem, file=mask.path, remedy=remedy, code="labels")
    if not reference.named:
        warnings.append("the reference's labels have no names and are taken by their numbers: give --labels")
    if reference.named:
        _warn_of_undeclared(prediction, reference.targets, "prediction", warnings)
        return {name: ((0, ids), (0, ids)) for name, (_, ids) in reference.targets.items()}
    named = {ids: name for name, (_, ids) in prediction.targets.items()}
    by_ids = {ids: named.get(ids, name) for name, (_, ids) in {**prediction.targets, **reference.targets}.items()}
    return {name: ((0, ids), (0, ids)) for ids, name in sorted(by_ids.items())}


def _warn_of_undeclared(mask: Mask, targets: Targets, side: str, warnings: list[str]) -> None:
    if not mask.named and targets is mask.targets:
        return
    for k, layer in enumerate(mask.layers):
        declared = {i for where, ids in targets.values() if where == k for i in ids} | set(mask.ignored)
        _warn(layer, [i for i in present(layer) if i not in declared], side, warnings)


def _warn(layer: np.ndarray, ids: list[int], side: str, warnings: list[str]) -> None:
    for label in ids[:5]:
        warnings.append(
            f"the {side} holds label {label}, which no name declares ({int((layer == label).sum())} voxels)"
        )
    if len(ids) > 5:
        warnings.append(f"the {side} holds {len(ids) - 5} more labels that no name declares")


def _spellings(name: str) -> list[str]:
    """How a name may be written by others: `Left Kidney`, `kidney_left`, `leftkidney`, `Kidney_L` (AAPM TG-263)."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = [_SIDES.get(w, w) for w in re.split(r"[\W_]+", parted.lower()) if w]
    in_order = " ".join(sorted(words))
    return [name, in_order, "".join(words), SYNONYMS.get(in_order, in_order)]


_OTHER_SIDE = {"left": "right", "right": "left", "lt": "rt", "rt": "lt", "l": "r", "r": "l"}
_SIDES = {"l": "left", "lt": "left", "r": "right", "rt": "right"}


def _nothing_called(name: str, prediction: Mask | None) -> str:
    held = ", ".join(list(prediction.targets)[:12]) if prediction else ""
    return f"the prediction has nothing called {name} (it has: {held})"


def mirrored(name: str) -> str | None:
    """The name of the structure on the other side (`kidney_left` of `kidney_right`), or None."""
    swapped, count = re.subn(
        r"(?i)(?<![a-z])(left|right|lt|rt|l|r)(?![a-z])",
        lambda m: _matching_case(_OTHER_SIDE[m[0].lower()], m[0]),
        name.replace("_", "\0"),
    )
    return swapped.replace("\0", "_") if count else None


def _matching_case(word: str, like: str) -> str:
    return word.upper() if like.isupper() else word.capitalize() if like[0].isupper() else word


def _exchanged(pairs: list[Pair]) -> dict[str, str]:
    """Targets whose left-right partners look exchanged: a sentence for each."""
    by_name = {pair.target: pair for pair in pairs}
    found = {}
    for name, pair in by_name.items():
        other = by_name.get(mirrored(name) or "")
        if other is None or not (pair.reference_voxels and other.reference_voxels):
            continue
        sides = ((pair, other), (other, pair))
        straight = sum(2 * a.shared_voxels / (a.reference_voxels + a.prediction_voxels) for a, _ in sides) / 2
        across = sum(2 * a.exchanged_voxels / (a.reference_voxels + b.prediction_voxels) for a, b in sides) / 2
        if across > straight:
            found[name] = (
                f"left and right look exchanged: DSC of {name} and its partner {straight:.2f}, exchanged {across:.2f}"
            )
    return found


def _some(names: Mapping[str, Any]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (", ..." if len(listed) > 3 else "")
