"""Scores against surface-distance, closed forms and brute force; every edge case named in the docs."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import skeletonize

from vesalius.bench.metrics import METRICS, metric
from vesalius.bench.metrics.directed import weighted_percentile
from vesalius.bench.metrics.segmentation import COMPUTERS, Settings, score
from vesalius.errors import VesaliusError


def blob(seed, shape=(30, 34, 28), level=0.02, sigma=3):
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma) > level


def values(prediction, reference, spacing, metrics, **settings):
    records = score(prediction, reference, spacing, {"x": 1}, metrics, **settings)
    return {r["metric"]: r["value"] for r in records}


def statuses(prediction, reference, metrics=("dsc",), **settings):
    return {
        r["metric"]: (r["value"], r["status"])
        for r in score(prediction, reference, (1, 1, 1), [1], metrics, **settings)
    }


OURS = ("nsd", "hd", "hd95", "hd95_to_prediction", "hd95_to_reference", "asd_to_prediction", "asd_to_reference", "dsc")


def reference_implementation(prediction, reference, spacing, tolerance):
    import surface_distance as sd

    d = sd.compute_surface_distances(reference, prediction, spacing)
    one_way = sd.compute_average_surface_distance(d)

    def directed(percent, distances, areas):  # one direction, given twice: the library takes the larger of two
        sides = {f"distances_{s}": distances for s in ("gt_to_pred", "pred_to_gt")}
        return sd.compute_robust_hausdorff(sides | {f"surfel_areas_{s}": areas for s in ("gt", "pred")}, percent)

    return {
        "nsd": sd.compute_surface_dice_at_tolerance(d, tolerance),
        "hd": sd.compute_robust_hausdorff(d, 100),
        "hd95": sd.compute_robust_hausdorff(d, 95),
        "hd95_to_prediction": directed(95, d["distances_gt_to_pred"], d["surfel_areas_gt"]),
        "hd95_to_reference": directed(95, d["distances_pred_to_gt"], d["surfel_areas_pred"]),
        "asd_to_prediction": one_way[0],
        "asd_to_reference": one_way[1],
        "dsc": sd.compute_dice_coefficient(reference, prediction),
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.7, 5.0), (5.0, 0.7, 0.7), (0.78, 1.3, 2.5)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_surface_distance_to_1e_9(spacing, order, seed):
    reference, prediction = blob(seed), blob(seed) ^ (blob(seed + 50, level=0.09))
    theirs = reference_implementation(prediction, reference, spacing, tolerance=spacing[0])
    arrays = np.asarray(prediction, order=order), np.asarray(reference, order=order)
    ours = values(*arrays, spacing, OURS, tolerance=spacing[0])
    assert ours == pytest.approx(theirs, abs=1e-9, rel=0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_images_equal_surface_distances_contours_to_1e_9():
    reference, prediction = blob(1)[:, :, 14], blob(2)[:, :, 14]
    theirs = reference_implementation(prediction, reference, (0.7, 1.9), tolerance=1.9)
    assert values(prediction, reference, (0.7, 1.9), OURS, tolerance=1.9) == pytest.approx(theirs, abs=1e-9, rel=0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("side", [0, -1])
def test_a_structure_cut_by_any_face_of_the_image_equals_surface_distance(axis, side):
    reference = np.zeros((9, 11, 10), bool)
    reference[2:7, 3:8, 2:8] = True
    reference = np.roll(reference, {0: -2, -1: 2}[side] - (axis == 1 and side == 0), axis)
    prediction = ndimage.binary_dilation(reference)
    theirs = reference_implementation(prediction, reference, (0.7, 0.9, 3.0), tolerance=0.9)
    assert values(prediction, reference, (0.7, 0.9, 3.0), OURS, tolerance=0.9) == pytest.approx(theirs, abs=1e-9)


def test_a_structure_that_fills_the_image_has_the_images_border_as_surface():
    full = np.ones((4, 5, 6), np.uint8)
    # the box's area, its edges and corners cut off as marching cubes cuts them
    assert values(full, full, (1, 1, 1), ["dsc", "nsd", "hd95", "assd"]) == {"dsc": 1, "nsd": 1, "hd95": 0, "assd": 0}
    one_side = full.copy()
    one_side[0] = 0
    assert values(one_side, full, (3, 1, 1), ["hd"]) == {"hd": 3.0}


def test_one_voxel_moved_by_one_voxel():
    a, b = np.zeros((5, 5, 5), np.uint8), np.zeros((5, 5, 5), np.uint8)
    a[2, 2, 2], b[2, 2, 3] = 1, 1
    got = values(b, a, (1, 1, 4), ["dsc", "iou", "hd", "hd_voxel", "assd", "masd", "volume_difference"], tolerance=1)
    # Each cube has eight corners; four coincide and four lie one voxel (4 mm) off.
    expected = {"dsc": 0, "iou": 0, "hd": 4, "hd_voxel": 4, "assd": 2, "masd": 2, "volume_difference": 0}
    assert got == pytest.approx(expected)


def test_one_slice_is_scored_as_a_volume():
    a, b = np.zeros((6, 6, 1), np.uint8), np.zeros((6, 6, 1), np.uint8)
    a[1:4, 1:4], b[1:4, 1:5] = 1, 1
    assert values(b, a, (1, 1, 5), ["dsc", "hd"]) == pytest.approx({"dsc": 18 / 21, "hd": 1})


def test_voxel_variants_are_those_of_plain_boundary_distances():
    reference, prediction, spacing = blob(4), blob(5), (0.7, 1.1, 3.0)
    border = [m & ~ndimage.binary_erosion(m) for m in (reference, prediction)]
    to_prediction = ndimage.distance_transform_edt(~border[1], sampling=spacing)[border[0]]
    to_reference = ndimage.distance_transform_edt(~border[0], sampling=spacing)[border[1]]
    pooled = np.concatenate([to_prediction, to_reference])
    expected = {
        "hd_voxel": pooled.max(),
        "hd95_voxel": max(np.percentile(to_prediction, 95), np.percentile(to_reference, 95)),
        "hd95_voxel_pooled": np.percentile(pooled, 95),
        "assd_voxel": pooled.mean(),
        "masd_voxel": (to_prediction.mean() + to_reference.mean()) / 2,
        "nsd_voxel": (pooled <= 2).mean(),
    }
    assert values(prediction, reference, spacing, list(expected)) == pytest.approx(expected, abs=1e-9)


def test_pooled_and_mean_of_means_are_named_apart():
    reference, prediction = blob(4), blob(4) & blob(5)
    got = values(prediction, reference, (1, 1, 1), ["assd", "masd", "hd95", "hd95_pooled"])
    assert got["assd"] != got["masd"] and got["hd95"] >= got["hd95_pooled"]


@pytest.mark.parametrize("n", [1, 2, 20, 1000])
@pytest.mark.parametrize("q", [0, 5, 50, 95, 100])
def test_the_weighted_percentile_is_that_of_a_full_sort(n, q):
    rng = np.random.default_rng(n)
    for lattice in (3, 10**6):  # many ties, none
        d, w = rng.integers(0, lattice, n).astype(float), rng.choice([0.25, 0.5, 1.0], n)
        order = np.lexsort((w, d))
        place = np.searchsorted(np.cumsum(w[order]) / w.sum(), q / 100)
        assert weighted_percentile(d, w, q) == d[order][min(place, n - 1)]


A = np.zeros((10, 10, 10), np.uint8)
A[2:5, 2:5, 2:5] = 1
NONE = np.zeros_like(A)
DIAGONAL = float(np.sqrt(300))


@pytest.mark.parametrize(
    ("policy", "both_empty", "hallucinated", "missed"),
    [("present", None, None, 0.0), ("strict", 1.0, 0.0, 0.0), ("nan", None, None, None)],
)
def test_empty_masks_follow_the_named_policy_and_their_states_are_kept_apart(policy, both_empty, hallucinated, missed):
    assert statuses(NONE, NONE, empty=policy) == {"dsc": (both_empty, "both_empty")}
    assert statuses(A, NONE, empty=policy) == {"dsc": (hallucinated, "hallucinated")}
    assert statuses(NONE, A, empty=policy) == {"dsc": (missed, "missed")}


def test_a_missed_structure_gets_the_diagonal_and_its_own_volume():
    got = statuses(NONE, A, ("hd95", "assd", "nsd", "volume_difference", "false_positive_volume"))
    assert {k: v for k, (v, _) in got.items()} == pytest.approx(
        {"hd95": DIAGONAL, "assd": DIAGONAL, "nsd": 0, "volume_difference": -0.027, "false_positive_volume": 0}
    )


def test_a_hallucination_is_counted_in_ml_and_parts():
    two = A.copy()
    two[8, 8, 8] = 1
    got = statuses(two, NONE, ("dsc", "false_positive_volume", "false_positive_count", "volume_difference"))
    assert got == {
        "dsc": (None, "hallucinated"),
        "false_positive_volume": (pytest.approx(0.028), "hallucinated"),
        "false_positive_count": (2, "hallucinated"),
        "volume_difference": (pytest.approx(0.028), "hallucinated"),
    }


@pytest.mark.parametrize("name", list(COMPUTERS))
@pytest.mark.parametrize("policy", ["present", "strict", "nan"])
def test_every_metric_has_a_value_or_none_in_every_state(name, policy):
    for prediction in (NONE, A, np.roll(A, 1, 0)):
        for reference in (NONE, A):
            value, _ = statuses(prediction, reference, (name,), empty=policy)[name]
            assert value is None or np.isfinite(value)
    perfect, status = statuses(A, A, (name,))[name]
    assert (perfect, status) == (METRICS[name].best, "ok")


@pytest.mark.parametrize("label", [255, 256, 65_535, 65_536, 3_000_000, 2**31])
def test_labels_of_any_width_are_scored_alike(label):
    big = A.astype(np.uint32) * np.uint32(label)
    moved = np.roll(big, 1, 0)
    got = score(moved, big, (1, 1, 1), {"x": label}, ["dsc", "hd95"])
    assert [r["value"] for r in got] == [pytest.approx(2 / 3), 1.0]
    assert score(moved, big, (1, 1, 1), None, ["dsc"])[0]["target"] == str(label)


def test_uint8_sums_do_not_overflow():
    full = np.ones((70, 70, 70), np.uint8)
    assert values(full, full, (1, 1, 1), ["dsc"]) == {"dsc": 1.0}


def test_many_labels_at_once_equal_each_label_alone():
    rng = np.random.default_rng(0)
    coarse = rng.permutation(343).reshape(7, 7, 7)
    reference = np.kron(coarse, np.ones((4, 4, 4), int))
    prediction = np.where(rng.random(reference.shape) < 0.9, reference, np.roll(reference, 2, 1))
    together = score(prediction, reference, (1, 2, 3), metrics=["dsc", "nsd", "hd95"])
    assert len(together) > 900
    for record in together[::97]:
        label = int(record["target"])
        alone = score(prediction == label, reference == label, (1, 2, 3), {str(label): 1}, [record["metric"]])
        assert alone == [record]


def test_unions_of_labels_may_overlap():
    reference = np.zeros((8, 8, 8), int)
    reference[1:4], reference[4:6], reference[6] = 1, 2, 3
    prediction = np.where(reference == 3, 2, reference)
    got = score(prediction, reference, (1, 1, 1), {"whole": [1, 2, 3], "core": [2, 3], "one": 1}, ["dsc"])
    assert [(r["target"], r["value"]) for r in got] == [("whole", 1.0), ("core", 1.0), ("one", 1.0)]


def test_boundary_iou_is_that_of_brute_force_bands():
    reference, prediction, spacing, width = blob(7), blob(8), (1.0, 1.0, 2.5), 2.0

    def band(mask):
        outside = np.argwhere(~np.pad(mask, 1)) - 1
        from scipy.spatial import cKDTree

        near, _ = cKDTree(outside * spacing).query(np.argwhere(mask) * spacing)
        out = mask & ~ndimage.binary_erosion(mask)
        out[tuple(np.argwhere(mask)[near <= width].T)] = True
        return out

    bands = band(reference), band(prediction)
    expected = (bands[0] & bands[1]).sum() / (bands[0] | bands[1]).sum()
    assert values(prediction, reference, spacing, ["boundary_iou"], boundary_width=width)["boundary_iou"] == expected


def test_cldice_is_the_published_formula():
    reference, prediction = blob(9), blob(9) & ~blob(10, level=0.1)
    skeleton_r, skeleton_p = skeletonize(reference) > 0, skeletonize(prediction) > 0
    precision, recall = reference[skeleton_p].mean(), prediction[skeleton_r].mean()
    expected = 2 * precision * recall / (precision + recall)
    assert values(prediction, reference, (1, 1, 1), ["cldice"])["cldice"] == pytest.approx(expected, abs=0.02)
    tube = np.zeros((20, 9, 9), bool)
    tube[2:18, 3:6, 3:6] = True
    assert values(tube, tube, (1, 1, 1), ["cldice"])["cldice"] == 1.0


def lesions():
    reference, prediction = np.zeros((30, 30, 30), np.uint8), np.zeros((30, 30, 30), np.uint8)
    reference[2:6, 2:6, 2:6] = prediction[2:6, 2:6, 3:7] = 1  # IoU 48/80 = 0.6
    reference[10:14, 10:14, 10:14] = prediction[10:14, 10:14, 13:17] = 1  # IoU 16/112: touches, does not match
    reference[20:22, 20:22, 20:22] = 1  # missed
    prediction[25:28, 25:28, 25:28] = 1  # false positive of 27 mm³
    return prediction, reference


def test_lesions_are_matched_one_to_one_and_counted():
    names = [n for n in METRICS if n.startswith(("instance", "panoptic", "false"))]
    assert values(*lesions(), (1, 1, 1), names) == pytest.approx(
        {
            "instance_f1": 1 / 3,
            "instance_recall": 1 / 3,
            "instance_precision": 1 / 3,
            "panoptic_quality": 0.6 / 3,
            "false_positive_volume": 0.027,
            "false_positive_count": 1,
        }
    )
    assert values(*lesions(), (1, 1, 1), ["instance_f1"], instance_iou=0.1)["instance_f1"] == pytest.approx(2 / 3)


def test_recall_is_given_by_bins_of_size():
    prediction, reference = lesions()
    got = score(prediction, reference, (1, 1, 1), [1], ["instance_recall"], size_bins=(0.01, 0.1, 5))
    assert {r["metric"]: r["value"] for r in got} == {
        "instance_recall": pytest.approx(1 / 3),
        "instance_recall:0-0.01ml": 0.0,
        "instance_recall:0.01-0.1ml": 0.5,
        "instance_recall:0.1-5ml": None,
        "instance_recall:>=5ml": None,
    }
    assert metric("instance_recall:0-0.01ml").better == "higher"


def test_connectivity_decides_what_one_lesion_is():
    reference = np.zeros((6, 6, 6), np.uint8)
    reference[1:3, 1:3, 1:3] = reference[3:5, 3:5, 3:5] = 1
    kept = reference.copy()
    kept[3:] = 0
    assert values(kept, reference, (1, 1, 1), ["instance_recall"], connectivity=6)["instance_recall"] == 0.5
    assert values(kept, reference, (1, 1, 1), ["instance_recall"], connectivity=26)["instance_recall"] == 0.0


@pytest.mark.parametrize("connectivity", [6, 26])
def test_an_image_matches_itself_component_by_component(connectivity):
    rng = np.random.default_rng(0)
    for _ in range(300):
        image = (rng.random((10, 8)) < 0.35).astype(np.uint8)
        got = score(image, image, (1, 1), [1], ["instance_f1", "panoptic_quality"], connectivity=connectivity)
        assert [r["value"] for r in got] == [1.0, 1.0]


def test_noise_of_thousands_of_components_is_matched_in_little_memory():
    noise = np.zeros((90, 90, 90), bool)
    noise[::3, ::3, ::3] = True  # 27,000 components: every pair of them would be 5.8 GB
    assert values(noise, noise, (1, 1, 1), ["instance_f1"])["instance_f1"] == 1.0


@pytest.mark.parametrize("shape", [(2, 2, 2), (2, 2, 5), (4, 4, 4), (1, 1, 1)])
def test_cldice_of_compact_parts_without_a_skeleton_is_that_of_their_voxels(shape):
    box = np.zeros((9, 9, 9), np.uint8)
    box[tuple(slice(2, 2 + n) for n in shape)] = 1
    assert values(box, box, (1, 1, 1), ["cldice"]) == {"cldice": 1.0}


def test_arrays_of_the_other_byte_order_are_scored():
    assert score(A.astype(">i2"), A.astype(">f4"), (1, 1, 1), {1: "x"}, "dsc")[0]["value"] == 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": [-1]},
        {"labels": ["x"]},
        {"labels": {"a": "b"}},
        {"spacing": 1.0},
        {"spacing": (1, 1, 1e-200)},
        {"tolerance": None},
        {"tolerance": {1: -2.0}},
        {"boundary_width": float("nan")},
        {"instance_iou": 0},
        {"size_bins": (5, 1)},
    ],
)
def test_arguments_that_make_no_sense_are_refused_in_words(wrong):
    with pytest.raises(VesaliusError):
        score(A, A, **({"spacing": (1, 1, 1)} | wrong))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda p: p[:-1], "shape"),
        (lambda p: p * 0.9999, "fractional"),
        (lambda p: np.where(p, np.nan, 0), "nan"),
        (lambda p: -p.astype(int), "negative"),
        (lambda p: p.astype(complex), "type"),
    ],
)
def test_a_prediction_that_is_no_label_map_is_refused(change, code):
    with pytest.raises(VesaliusError) as caught:
        score(change(A), A, (1, 1, 1))
    assert caught.value.code == code


@pytest.mark.parametrize("spacing", [(1, 1), (1, 1, 0), (1, 1, float("nan"))])
def test_spacing_is_never_assumed(spacing):
    with pytest.raises(VesaliusError):
        score(A, A, spacing)


def test_wrong_settings_say_what_exists():
    with pytest.raises(VesaliusError, match=r"no metric is called dice — known are: dsc, iou"):
        score(A, A, (1, 1, 1), metrics=["dice"])
    with pytest.raises(VesaliusError, match="no tolerance is given for 1"):
        score(A, A, (1, 1, 1), metrics=["nsd"], tolerance={"liver": 2})
    with pytest.raises(VesaliusError, match="choose present or strict or nan"):
        Settings(empty="zero")


def test_whole_valued_floats_and_booleans_are_labels():
    assert score(A.astype(np.float32), A.astype(bool), (1, 1, 1), [1], ["dsc"])[0]["value"] == 1.0


def test_tolerance_is_given_for_each_target():
    two = A + 2 * np.roll(A, 5, 0)
    got = score(np.roll(two, 1, 2), two, (1, 1, 1), {"a": 1, "b": 2}, ["nsd"], {"a": 1.0, "default": 0.5})
    assert got[0]["value"] == 1.0 and got[1]["value"] < 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_real_masks_equal_surface_distance(shared_data):
    import nibabel

    folder = shared_data / "volumes" / "panoptica_spine"
    images = [nibabel.load(folder / f"semantic_{side}.nii.gz") for side in ("pred", "ref")]
    prediction, reference = (np.asarray(i.dataobj) for i in images)
    spacing = tuple(float(s) for s in images[1].header.get_zooms()[:3])
    for label in np.unique(reference)[1:4]:
        theirs = reference_implementation(prediction == label, reference == label, spacing, tolerance=2)
        ours = {r["metric"]: r["value"] for r in score(prediction, reference, spacing, {"x": int(label)}, OURS)}
        assert ours == pytest.approx(theirs, abs=1e-9, rel=1e-12)
