"""Scores of a segmentation: one case, all targets, any of the metrics in `METRICS`.

`score` is the door: arrays in, records out, no files. Knows what a metric is on two masks, and what it is where one or
both are empty; leaves surfaces to `surfaces.py`, distances to `directed.py`,
counts to `overlap.py`, components to `instances.py`, skeletons and
bands to `shape.py`. A metric is a function of a `Pair` named in `COMPUTERS`; docs/add_a_metric.md adds one.

Empty masks. Three states are kept apart in `status`, under a named policy (`empty`):

    state         reference  prediction   "present" (default)   "strict"   "nan"
    both_empty    absent     absent       no value              best       no value
    hallucinated  absent     present      no value, counted     worst      no value
    missed        present    absent       worst                 worst      no value

The worst distance is the image's diagonal in mm. Volumes stay what they are: the volume difference of a missed
structure is minus its volume and that of a hallucinated one the volume predicted (the false-positive volume).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vesalius.bench.metrics import DEFAULT_METRICS, METRICS, instances, metric, overlap, shape, surfaces
from vesalius.bench.metrics.directed import Directed, percentile, pooled, within
from vesalius.errors import VesaliusError
from vesalius.media.counts import present

Labels = Mapping[str, int | Sequence[int]] | Mapping[int, str] | Iterable[int]

EMPTY_POLICIES: dict[str, dict[str, str | None]] = {
    "present": {"both_empty": None, "hallucinated": None, "missed": "worst"},
    "strict": {"both_empty": "best", "hallucinated": "worst", "missed": "worst"},
    "nan": {"both_empty": None, "hallucinated": None, "missed": None},
}


@dataclass(frozen=True)
class Settings:
    """What a number depends on besides the masks; stands in every output.

    Attributes:
        metrics: names in `METRICS`.
        tolerance: of NSD, in mm; one number, or one a target with `default` for the others.
        empty: policy for empty masks, a key of `EMPTY_POLICIES`.
        boundary_width: of boundary IoU's bands, in mm.
        connectivity: of components, 6, 18 or 26 (in 2D 4 for 6, else 8).
        instance_iou: least IoU of a matched pair of components.
        size_bins: edges in ml; instance recall is given for each bin of reference volume too.
    """

    metrics: tuple[str, ...] = DEFAULT_METRICS
    tolerance: float | Mapping[str, float] = 2.0
    empty: str = "present"
    boundary_width: float = 2.0
    connectivity: int = 26
    instance_iou: float = 0.5
    size_bins: tuple[float, ...] = ()

    def __post_init__(self):
        unknown = [m for m in self.metrics if m not in COMPUTERS]
        if unknown:
            remedy = f"known are: {', '.join(COMPUTERS)}"
            raise VesaliusError(f"no metric is called {', '.join(unknown)}", remedy=remedy, code="metric")
        if self.empty not in EMPTY_POLICIES:
            raise VesaliusError(f"no policy is called {self.empty}", remedy=f"choose {' or '.join(EMPTY_POLICIES)}")
        if self.connectivity not in (6, 18, 26):
            raise VesaliusError(f"connectivity {self.connectivity} does not exist", remedy="choose 6, 18 or 26")
        tolerances = self.tolerance.values() if isinstance(self.tolerance, Mapping) else [self.tolerance]
        if not all(
            isinstance(t, int | float | np.number) and 0 <= t < np.inf for t in [*tolerances, self.boundary_width]
        ):
            raise VesaliusError("a tolerance or width is negative or not a number", remedy="give millimetres")
        if not 0 < self.instance_iou <= 1:
            raise VesaliusError(f"an IoU of {self.instance_iou} matches nothing", remedy="give one above 0, at most 1")
        if list(self.size_bins) != sorted(set(self.size_bins)) or any(not edge > 0 for edge in self.size_bins):
            raise VesaliusError(f"size bins {self.size_bins} do not ascend from above 0", remedy="give edges in ml")

    def tolerance_of(self, target: str) -> float:
        """The target's NSD tolerance in mm."""
        if not isinstance(self.tolerance, Mapping):
            return float(self.tolerance)
        by_name = {str(name): mm for name, mm in self.tolerance.items()}
        for key in (target, "default"):
            if key in by_name:
                return float(by_name[key])
        raise VesaliusError(f"no tolerance is given for {target}", remedy="add it, or one called default")


def score(
    prediction: np.ndarray,
    reference: np.ndarray,
    spacing: Sequence[float],
    labels: Labels | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    tolerance: float | Mapping[str, float] = 2.0,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Scores one case.

    Args:
        prediction, reference: label volumes (3D) or images (2D; taken as one slice 1 mm thick) on the same grid, any
            integer or boolean type; floats only if they hold whole numbers.
        spacing: mm along each axis of the arrays.
        labels: `{name: id}`, `{name: [ids]}` (a union), `{id: name}`, or ids; by default every label that occurs.
        metrics: names in `vesalius.bench.metrics.METRICS`.
        tolerance: of NSD in mm, or one a target.
        **settings: the other attributes of `Settings`.

    Returns:
        A record for each metric and target: `{"metric", "target", "value", "status"}`; `value` is None where there is
        none, `status` is "ok", "both_empty", "missed" or "hallucinated".

    Raises:
        VesaliusError: shapes differ, spacing is unusable, values are no labels, a metric or policy is unknown.

    >>> import numpy as np
    >>> a, b = np.zeros((8, 8, 8), int), np.zeros((8, 8, 8), int)
    >>> a[2:6, 2:6, 2:6] = 1
    >>> b[2:6, 2:6, 3:7] = 1
    >>> score(b, a, (1, 1, 1), {"cube": 1}, ["dsc"])
    [{'metric': 'dsc', 'target': 'cube', 'value': 0.75, 'status': 'ok'}]
    """
    options = Settings((metrics,) if isinstance(metrics, str) else tuple(metrics), tolerance, **settings)
    prediction, reference = overlap.integers(prediction, "prediction"), overlap.integers(reference, "reference")
    targets = {name: (ids, ids) for name, ids in _targets(labels, prediction, reference).items()}
    pairs = compare(prediction, reference, spacing, targets, options)
    return [record for pair in pairs for record in pair.records()]


def compare(
    prediction: np.ndarray,
    reference: np.ndarray,
    spacing: Sequence[float],
    targets: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]],
    settings: Settings,
    partners: Mapping[str, str] | None = None,
) -> list["Pair"]:
    """The targets' pairs, counted in one pass (one more where unions of labels overlap).

    Args:
        prediction, reference: unsigned label volumes or images on one grid.
        spacing: mm along each axis.
        targets: name → (ids in the reference, ids in the prediction).
        settings: what the pairs compute.
        partners: left ↔ right, for `Pair.exchanged`.
    """
    if prediction.shape != reference.shape:
        problem = f"the prediction has shape {prediction.shape}, the reference {reference.shape}"
        raise VesaliusError(problem, remedy="score masks on one grid", code="shape")
    if reference.ndim not in (2, 3) or np.shape(spacing) != (reference.ndim,):
        problem = f"shape {reference.shape} with the spacing {spacing}"
        raise VesaliusError(problem, remedy="give 3D volumes or 2D images and one spacing an axis", code="shape")
    if not all(1e-9 <= s <= 1e9 for s in spacing):
        raise VesaliusError(f"spacing {tuple(spacing)} is no distance", remedy="give millimetres", code="geometry")
    done: dict[str, Pair] = {}
    for names in _disjoint(targets):
        r, p, steps, reverse = _oriented(
            overlap.renumber(reference, [targets[n][0] for n in names]),
            overlap.renumber(prediction, [targets[n][1] for n in names]),
            tuple(float(s) for s in spacing),
        )
        index = {name: k + 1 for k, name in enumerate(names)}
        partner = np.array([0, *(index.get((partners or {}).get(n, n), index[n]) for n in names)])
        box = overlap.foreground(r, p)
        masks = _Masks(r, p, box, steps, reverse, reference.ndim == 2, len(names))
        counts = overlap.count(r, p, box, len(names), partner)
        if masks.flat:  # the slice stands twice
            counts = tuple(c // 2 for c in counts)
        for name, k in index.items():
            done[name] = Pair(name, k, masks, settings, *(int(c[k]) for c in counts))
    return [done[name] for name in targets]


def _targets(labels: Labels | None, *arrays: np.ndarray) -> dict[str, tuple[int, ...]]:
    if labels is None:
        labels = sorted({label for array in arrays for label in present(array)})
    if not isinstance(labels, Mapping):
        labels = {str(label): label for label in (labels if isinstance(labels, Iterable) else [labels])}
    names: dict[str, tuple[int, ...]] = {}
    for key, value in labels.items():
        name, ids = (value, key) if isinstance(value, str) and not isinstance(key, str) else (str(key), value)
        whole = ids if isinstance(ids, Iterable) and not isinstance(ids, str) else (ids,)
        if not all(isinstance(i, int | np.integer) and i >= 0 for i in whole):
            remedy = "give {name: id}, {name: [ids]}, {id: name} or ids, whole numbers from 0"
            raise VesaliusError(f"{ids!r} is no label", remedy=remedy, code="labels")
        names[name] = (*names.get(name, ()), *(int(i) for i in whole))
    return names


def _disjoint(targets: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]) -> list[list[str]]:
    """Targets in as few groups as a greedy pass finds, so that within a group no voxel has two targets."""
    groups: list[tuple[list[str], set[int], set[int]]] = []
    for name, (in_reference, in_prediction) in targets.items():
        free = (g for g in groups if g[1].isdisjoint(in_reference) and g[2].isdisjoint(in_prediction))
        group = next(free, None)
        if group is None:
            group = ([], set(), set())
            groups.append(group)
        group[0].append(name)
        group[1].update(in_reference)
        group[2].update(in_prediction)
    return [names for names, _, _ in groups]


def _oriented(reference: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...]):
    """Both arrays C-contiguous and 3D, without a copy where their memory allows; spacing to match."""
    reverse = reference.ndim == 3 and reference.flags.f_contiguous and not reference.flags.c_contiguous
    arrays = [a.T if reverse else a for a in (reference, prediction)]
    if reference.ndim == 2:
        arrays, spacing = [np.stack([a, a]) for a in arrays], (1.0, *spacing)
    dtype = np.result_type(*arrays)
    arrays = [np.ascontiguousarray(a, dtype=dtype) for a in arrays]
    z, y, x = spacing[::-1] if reverse else spacing
    return *arrays, (z, y, x), reverse


@dataclass(frozen=True)
class _Masks:
    """Both index volumes of a case and, once asked for, their surfaces."""

    reference: np.ndarray
    prediction: np.ndarray
    box: surfaces.Box
    spacing: tuple[float, float, float]
    reverse: bool
    flat: bool
    count: int

    @cached_property
    def corners(self) -> tuple[surfaces.Surfaces, surfaces.Surfaces]:
        return self._extract(voxel=False)

    @cached_property
    def voxels(self) -> tuple[surfaces.Surfaces, surfaces.Surfaces]:
        return self._extract(voxel=True)

    def _extract(self, voxel: bool):
        pair = (self.reference, self.prediction)
        return tuple(surfaces.extract(a, self.count, box=self.box, flat=self.flat, voxel=voxel) for a in pair)

    @cached_property
    def areas(self) -> np.ndarray:
        return surfaces.area_table(self.spacing)

    @cached_property
    def diagonal(self) -> float:
        """Of the image, in mm: what a missed structure's distance is set to."""
        extent = np.multiply(self.reference.shape, self.spacing)
        return float(np.linalg.norm(extent[1:] if self.flat else extent))


@dataclass(frozen=True)
class Pair:
    """One target of one case: reference and prediction side by side, everything costly computed once.

    Attributes:
        target: its name.
        label: its index in `masks`.
        reference_voxels, prediction_voxels, shared_voxels: counts.
        exchanged_voxels: what the reference shares with the prediction of the target's left-right partner.
    """

    target: str
    label: int
    masks: _Masks
    settings: Settings
    reference_voxels: int
    prediction_voxels: int
    shared_voxels: int
    exchanged_voxels: int

    @property
    def status(self) -> str:
        """ "ok", "missed", "hallucinated" or "both_empty"."""
        if self.reference_voxels:
            return "ok" if self.prediction_voxels else "missed"
        return "hallucinated" if self.prediction_voxels else "both_empty"

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in ml."""
        return float(np.prod(self.masks.spacing)) / 1000

    @property
    def tolerance(self) -> float:
        """The target's NSD tolerance in mm."""
        return self.settings.tolerance_of(self.target)

    @cached_property
    def surface(self) -> tuple[Directed, Directed]:
        """Corner-grid distances weighted by area: reference → prediction, prediction → reference."""
        return self._directed(self.masks.corners, self.masks.areas)

    @cached_property
    def boundary(self) -> tuple[Directed, Directed]:
        """Boundary-voxel distances, each with weight one: reference → prediction, prediction → reference."""
        return self._directed(self.masks.voxels, np.ones(256))

    def _directed(self, both: tuple[surfaces.Surfaces, surfaces.Surfaces], areas: np.ndarray):
        (points_r, weights_r), (points_p, weights_p) = (
            (s.points[s.of(self.label)], areas[s.codes[s.of(self.label)]]) for s in both
        )
        grid = self.masks.spacing, self.masks.reverse
        there = surfaces.distances(points_r, points_p, *grid)
        back = surfaces.distances(points_p, points_r, *grid)
        return Directed(there, weights_r), Directed(back, weights_p)

    @cached_property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Boolean reference and prediction, cropped to both with a margin of one voxel (zero at the image's border)."""
        reference = self.masks.reference == self.label
        prediction = self.masks.prediction == self.label
        if self.masks.flat:
            reference, prediction = reference[0], prediction[0]
        box = shape.bounding_box(reference | prediction)
        return np.pad(reference[box], 1), np.pad(prediction[box], 1)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Mm along the axes of `arrays`."""
        return self.masks.spacing[1:] if self.masks.flat else self.masks.spacing

    @cached_property
    def components(self) -> instances.Instances:
        """Connected components of both and how they match."""
        options = self.settings.connectivity, self.settings.instance_iou
        return instances.match(*self.arrays, self.voxel_ml, *options)

    def records(self) -> list[dict[str, Any]]:
        """A record for each metric of the settings (more where recall is asked by size)."""
        out = [self._record(name, self.value(name)) for name in self.settings.metrics]
        if "instance_recall" in self.settings.metrics and self.settings.size_bins:
            recalls = self.components.recall_by_size(self.settings.size_bins) if self.reference_voxels else {}
            out += [self._record(f"instance_recall:{name}", value) for name, value in recalls.items()]
        return out

    def _record(self, name: str, value: float | None) -> dict[str, Any]:
        return {"metric": name, "target": self.target, "value": value, "status": self.status}

    def value(self, name: str) -> float | None:
        """The metric's value, under the policy for empty masks where one is empty."""
        known = metric(name)
        if self.status == "ok" or (known.unit in ("ml", "count") and self.status != "both_empty"):
            return COMPUTERS[name](self)
        rule = EMPTY_POLICIES[self.settings.empty][self.status]
        if rule is None:
            return None
        return known.best if rule == "best" else self.worst(name)

    def worst(self, name: str) -> float:
        """What a missed structure gets: the metric's worst value, or the image's diagonal in mm."""
        known = metric(name)
        if known.worst is not None:
            return known.worst
        return self.masks.diagonal if known.unit == "mm" else COMPUTERS[name](self)


def _volume_difference(p: Pair) -> float:
    return (p.prediction_voxels - p.reference_voxels) * p.voxel_ml


COMPUTERS: dict[str, Callable[[Pair], float]] = {
    "dsc": lambda p: 2 * p.shared_voxels / (p.reference_voxels + p.prediction_voxels),
    "iou": lambda p: p.shared_voxels / (p.reference_voxels + p.prediction_voxels - p.shared_voxels),
    "nsd": lambda p: within(p.surface, p.tolerance),
    "hd": lambda p: max(float(d.distances.max()) for d in p.surface),
    "hd95": lambda p: max(percentile(d, 95) for d in p.surface),
    "hd95_pooled": lambda p: percentile(pooled(p.surface), 95),
    "hd95_to_prediction": lambda p: percentile(p.surface[0], 95),
    "hd95_to_reference": lambda p: percentile(p.surface[1], 95),
    "assd": lambda p: pooled(p.surface).mean(),
    "masd": lambda p: (p.surface[0].mean() + p.surface[1].mean()) / 2,
    "asd_to_prediction": lambda p: p.surface[0].mean(),
    "asd_to_reference": lambda p: p.surface[1].mean(),
    "nsd_voxel": lambda p: within(p.boundary, p.tolerance),
    "hd_voxel": lambda p: max(float(d.distances.max()) for d in p.boundary),
    "hd95_voxel": lambda p: max(float(np.percentile(d.distances, 95)) for d in p.boundary),
    "hd95_voxel_pooled": lambda p: float(np.percentile(pooled(p.boundary).distances, 95)),
    "assd_voxel": lambda p: pooled(p.boundary).mean(),
    "masd_voxel": lambda p: (p.boundary[0].mean() + p.boundary[1].mean()) / 2,
    "volume_difference": _volume_difference,
    "relative_volume_difference": lambda p: p.prediction_voxels / p.reference_voxels - 1,
    "boundary_iou": lambda p: shape.boundary_iou(*p.arrays, p.spacing, p.settings.boundary_width),
    "cldice": lambda p: shape.cldice(*p.arrays),
    "instance_f1": lambda p: p.components.f1,
    "instance_recall": lambda p: p.components.recall,
    "instance_precision": lambda p: p.components.precision,
    "panoptic_quality": lambda p: p.components.panoptic_quality,
    "false_positive_volume": lambda p: p.components.false_positive_volume,
    "false_positive_count": lambda p: float(p.components.false_positive_count),
}

assert set(COMPUTERS) == set(METRICS), "every metric has a definition and a function"
