"""Runs in the peers' environment: one peer scores all labels of given pairs and prints values and seconds as JSON.

Called by segmentation_metrics.py as `segmentation_peers.py PEER TOLERANCE REPEATS [--path CHECKOUT] PREDICTION
REFERENCE ...`.
Every peer gets the masks in memory, one boolean pair a label, as its documentation shows.
"""

import contextlib
import json
import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")


def surface_distance(prediction, reference, spacing, tolerance):
    import surface_distance as sd

    d = sd.compute_surface_distances(reference, prediction, spacing)
    return {
        "dsc": sd.compute_dice_coefficient(reference, prediction),
        "nsd": sd.compute_surface_dice_at_tolerance(d, tolerance),
        "hd95": sd.compute_robust_hausdorff(d, 95),
    }


def monai(prediction, reference, spacing, tolerance):
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice

    p, r = (torch.from_numpy(m[None, None].astype(np.uint8)) for m in (prediction, reference))
    shared = {"include_background": True, "spacing": list(spacing)}
    nsd = compute_surface_dice(p, r, [tolerance], use_subvoxels=True, **shared)
    return {
        "dsc": float(compute_dice(p, r)),
        "nsd": float(nsd),
        "nsd_voxel": float(compute_surface_dice(p, r, [tolerance], **shared)),
        "hd95_voxel": float(compute_hausdorff_distance(p, r, percentile=95, **shared)),
    }


def panoptica(prediction, reference, spacing, tolerance):
    from panoptica import metrics as m

    p, r = prediction.astype(np.uint8), reference.astype(np.uint8)
    return {
        "dsc": float(m._compute_dice_coefficient(r, p)),
        "nsd_voxel": float(m._compute_normalized_surface_dice(r, p, voxelspacing=spacing, threshold=tolerance)),
        "hd95_voxel_pooled": float(m._compute_hausdorff_distance95(r, p, voxelspacing=spacing)),
    }


def metrics_reloaded(prediction, reference, spacing, tolerance):
    from MetricsReloaded.metrics.pairwise_measures import BinaryPairwiseMeasures

    options = {"nsd": tolerance, "hd_perc": 95}
    pair = BinaryPairwiseMeasures(prediction.astype(int), reference.astype(int), pixdim=spacing, dict_args=options)
    return {
        "dsc": float(pair.dsc()),
        "nsd_voxel": float(pair.normalised_surface_distance()),
        "hd95_voxel": float(pair.measured_hausdorff_distance_perc()),
    }


PEERS = {f.__name__: f for f in (surface_distance, monai, panoptica, metrics_reloaded)}


def main():
    name, tolerance, repeats, *rest = sys.argv[1:]
    if rest[0] == "--path":
        sys.path.insert(0, rest[1])
        rest = rest[2:]
    import nibabel
    import scipy.ndimage

    with contextlib.suppress(ImportError):
        import torch

        torch.set_num_threads(1)
    for old in ("filters", "morphology"):  # names that surface-distance 0.1 still calls and newer scipy may drop
        if not hasattr(scipy.ndimage, old):
            setattr(scipy.ndimage, old, scipy.ndimage)
    np.bool = bool  # and one of MetricsReloaded's
    out = []
    for prediction_path, reference_path in zip(rest[::2], rest[1::2], strict=True):
        images = [nibabel.load(path) for path in (prediction_path, reference_path)]
        prediction, reference = (np.asarray(image.dataobj) for image in images)
        spacing = tuple(float(s) for s in images[1].header.get_zooms()[:3])
        labels = [int(v) for v in np.unique(reference) if v and (prediction == v).any()]
        seconds = []
        for _ in range(int(repeats)):
            start = time.perf_counter()
            values = {k: PEERS[name](prediction == k, reference == k, spacing, float(tolerance)) for k in labels}
            seconds.append(time.perf_counter() - start)
        out.append({"seconds": min(seconds), "values": values})
    print(json.dumps(out))


if __name__ == "__main__":
    main()
