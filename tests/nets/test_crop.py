"""Windows of volumes and the way back, against MONAI's resampling, in every orientation."""

from itertools import permutations, product

import numpy as np
import pytest
import torch

from vesalius.errors import VesaliusError
from vesalius.media.volume import Volume
from vesalius.nets.sam3d.crop import Preprocessing, Scan, Window, empty_like, normalise

HOW = Preprocessing(size=32, spacing=2.5, lattice=4)


def oblique(shape=(30, 40, 25), spacing=(1.7, 1.1, 3.0), angle=0.3) -> Volume:
    rng = np.random.default_rng(0)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn * spacing
    affine[:3, 3] = (-50, 20, 300)
    coarse = torch.from_numpy(rng.normal(100, 80, (1, 1, 6, 8, 5)))
    data = torch.nn.functional.interpolate(coarse, shape, mode="trilinear")[0, 0].numpy()
    return Volume(data.astype(np.float32), affine)


def orientations(volume: Volume):
    """All 48 ways in which the same voxels can lie in an array."""
    for order, flips in product(permutations(range(3)), product((1, -1), repeat=3)):
        data, affine = volume.data.transpose(order), volume.affine[:, [*order, 3]].copy()
        for axis, flip in enumerate(flips):
            if flip < 0:
                data = np.flip(data, axis)
                affine[:3, 3] += affine[:3, axis] * (data.shape[axis] - 1)
                affine[:3, axis] *= -1
        yield Volume(data, affine)


def test_a_crop_equals_monais_resampling_onto_the_windows_affine() -> None:
    from monai.data import MetaTensor
    from monai.transforms import SpatialResample

    volume = oblique()
    scan = Scan(volume, HOW)
    window = scan.window(scan.extent / 2)
    image = MetaTensor(torch.from_numpy(volume.data)[None], affine=torch.from_numpy(volume.affine))
    grid = torch.from_numpy(scan.affine_of(window))
    wanted = SpatialResample(mode="bilinear", padding_mode="border")(image, dst_affine=grid, spatial_size=(32,) * 3)
    there = SpatialResample(mode="nearest", padding_mode="zeros")(
        MetaTensor(torch.ones_like(image), affine=torch.from_numpy(volume.affine)),
        dst_affine=grid,
        spatial_size=(32,) * 3,
    )
    inside = there[0].numpy() > 0
    assert inside.mean() > 0.2
    np.testing.assert_allclose(scan.cut(window)[inside], wanted[0].numpy()[inside], atol=1e-3)


def test_logits_return_as_linear_interpolation_of_the_upscaled_crop_gives_them() -> None:
    """Low resolution to the crop as torch does it, then to the volume's grid as scipy does it."""
    from scipy import ndimage

    scan = Scan(oblique((70, 90, 45)), HOW)
    window = scan.window(scan.extent * 0.4)
    low = np.random.default_rng(1).normal(size=(8, 8, 8)).astype(np.float32)
    crop = torch.nn.functional.interpolate(torch.from_numpy(low)[None, None], (32,) * 3, mode="trilinear")[0, 0].numpy()
    back = np.linalg.inv(scan.affine_of(window)) @ scan.affine
    wanted = ndimage.affine_transform(crop, back[:3, :3], back[:3, 3], scan.data.shape, order=1, mode="nearest")
    seen = np.full(scan.data.shape, np.nan, np.float32)
    for where, values in scan.spread(low, window, 4):
        seen[where] = values
    inside = np.isfinite(seen)
    assert 0.1 < inside.mean() < 1
    # Both are piecewise linear, but with other knots: they meet exactly at the crop's voxels, nearly between them.
    assert np.abs(seen - wanted)[inside].mean() < 0.05
    assert np.corrcoef(seen[inside], wanted[inside])[0, 1] > 0.99


def test_the_way_back_is_exact_for_what_is_linear_in_space() -> None:
    volume = oblique()
    scan = Scan(volume, HOW)
    window = scan.window(scan.extent / 2)
    at = (np.arange(8) + 0.5) * 4 - 0.5
    ramp = np.stack(np.meshgrid(at, at, at, indexing="ij"), -1) @ scan.affine_of(window)[:3, :3].T
    ramp = ramp + scan.affine_of(window)[:3, 3]
    for where, values in scan.spread(ramp[..., 1].astype(np.float32), window, 4):
        index = np.stack(np.meshgrid(*[np.arange(s.start, s.stop) for s in where], indexing="ij"), -1)
        mm = index @ scan.affine[:3, :3].T + scan.affine[:3, 3]
        crop = (mm - scan.affine_of(window)[:3, 3]) @ np.linalg.inv(scan.affine_of(window)[:3, :3]).T
        inner = ((crop > 2) & (crop < 29)).all(-1)
        np.testing.assert_allclose(values[inner], mm[..., 1][inner], atol=1e-2)


def test_all_48_orientations_give_the_same_crop_and_masks_in_the_same_place() -> None:
    volume = oblique()
    low = np.random.default_rng(1).normal(size=(8, 8, 8)).astype(np.float32)
    first = None
    point = volume.affine[:3, :3] @ (12, 22, 9) + volume.affine[:3, 3]
    for turned in orientations(volume):
        scan = Scan(turned, HOW)
        window = scan.window(scan.along(point)[0])
        mask, view = empty_like(turned)
        for where, values in scan.spread(low, window, 4):
            view[where] = values > 0
        places = np.argwhere(mask) @ turned.affine[:3, :3].T + turned.affine[:3, 3]
        seen = scan.cut(window), scan.voxels(scan.along(point), window), places[np.lexsort(places.round(3).T)]
        first = first or seen
        for a, b in zip(first, seen, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-3)


def test_a_point_lies_in_the_crop_where_the_crops_affine_says() -> None:
    volume = oblique()
    scan = Scan(volume, HOW)
    window = scan.window(scan.extent / 3)
    point = np.array([[-20.0, 35.0, 330.0]])
    index = np.linalg.inv(scan.affine_of(window)) @ [*point[0], 1]
    np.testing.assert_allclose(scan.voxels(scan.along(point), window)[0], index[:3], atol=1e-6)


def test_a_window_stays_in_the_volume_and_widens_for_a_box_that_does_not_fit() -> None:
    volume = Volume(np.ones((200, 200, 20), np.float32), np.diag([1.0, 1, 2, 1]))
    scan = Scan(volume, HOW)
    assert scan.window(np.array([0.0, 0, 0])).corner[:2] == (0, 0)
    assert scan.window(np.array([199.0, 199, 39])).corner[:2] == (48, 48)
    assert scan.window(np.array([0.0, 0, 0])).corner[2] == -8  # smaller than a window: in its middle
    wide = scan.window(np.array([0.0, 0, 0]), np.array([160.0, 10, 10]))
    assert wide.zoom == pytest.approx(160 / (0.85 * 80))


def test_faces_are_named_where_a_mask_is_cut_and_the_volume_goes_on() -> None:
    scan = Scan(Volume(np.ones((200, 200, 20), np.float32), np.diag([1.0, 1, 2, 1])), HOW)
    mask = np.ones((8, 8, 8), bool)
    assert scan.faces(mask, Window((0, 20, -8))) == ["right", "back", "front"]
    assert scan.faces(np.zeros_like(mask), Window((0, 20, -8))) == []


def test_normalised_crops_have_mean_0_and_deviation_1_over_positive_voxels() -> None:
    crop = np.random.default_rng(0).normal(20, 300, (16, 16, 16)).astype(np.float32)
    above = normalise(crop)[crop > 0]
    assert above.mean() == pytest.approx(0, abs=1e-5) and above.std(ddof=1) == pytest.approx(1, abs=1e-5)
    assert not normalise(np.full((4, 4, 4), -1000.0)).any()


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (np.ones((8, 8, 1), np.float32), "single slice"),
        (np.ones((8, 8), np.float32), "2 dimensions"),
        (np.ones((8, 8, 8, 2), np.float32), "4 dimensions"),
        (
            np.where(np.arange(512).reshape(8, 8, 8) == 73, np.nan, 1),
            r"1 voxels are not numbers, the first at \(1, 1, 1\)",
        ),
        (np.full((8, 8, 8), -1000, np.int16), "no voxel is above zero"),
    ],
)
def test_volumes_that_cannot_be_worked_on_are_one_clear_line(data: np.ndarray, said: str) -> None:
    with pytest.raises(VesaliusError, match=said):
        Scan(Volume(data, np.eye(4)), HOW)


def test_preprocessing_is_saved_as_transformers_saves_it(tmp_path) -> None:
    Preprocessing(size=64, spacing=3.0, clip=(-200, 300), pad=-200).save_pretrained(tmp_path)
    again = Preprocessing.from_pretrained(tmp_path)
    assert (tmp_path / "preprocessor_config.json").is_file()
    assert (again.size, again.spacing, again.clip, again.pad) == (64, 3.0, [-200, 300], -200)
