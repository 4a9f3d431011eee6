"""When two grids are one, what is said if they are not, and labels moved between them."""

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vesalius.errors import VesaliusError
from vesalius.media.grid import grid_difference
from vesalius.media.volume import Volume, onto_grid

SHAPE = (30, 20, 10)
AFFINE = np.array([[-0.7, 0, 0, 90.5], [0, 0.7, 0, -120], [0, 0, 5, 33.25], [0, 0, 0, 1.0]])
RNG = np.random.default_rng(2)
LABELS = RNG.integers(0, 5, SHAPE).astype(np.uint8)


def on(affine, shape=SHAPE):
    return Volume(np.zeros(shape, np.uint8), np.asarray(affine, float), None)


def moved(x=0.0, y=0.0, z=0.0):
    affine = AFFINE.copy()
    affine[:3, 3] += x, y, z
    return affine


def test_noise_of_headers_is_no_difference():
    noise = AFFINE + RNG.normal(size=(4, 4)) * [[1e-8], [1e-8], [1e-8], [0]]
    assert grid_difference(on(AFFINE), on(noise)) is None
    assert grid_difference(on(AFFINE), on(AFFINE.astype(np.float32))) is None
    assert grid_difference(on(AFFINE), on(moved(0.06))) is None  # under a tenth of a voxel


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (on(moved(3)), "shifted by (-3, 0, 0) mm"),
        (on(moved(0.08)), "shifted by (-0.08, 0, 0) mm"),
        (on(AFFINE, (30, 20, 9)), "shape (30, 20, 10) against (30, 20, 9)"),
        (on(AFFINE @ np.diag([1, 1, 0.6, 1])), "spacing (0.7, 0.7, 5) mm against (0.7, 0.7, 3) mm"),
        (on(AFFINE @ np.diag([-1, 1, 1, 1])), "orientation LAS against RAS"),
        (on(np.diag([-1, -1, 1, 1]) @ AFFINE), "orientation LAS against RPS"),
    ],
)
def test_differences_are_said_in_plain_words(other, words):
    assert grid_difference(on(AFFINE), other) == words


def test_noise_decides_nothing_halfway_between_two_axes():
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("z", 45, degrees=True).as_matrix()
    half = np.diag([1, 1, 3, 1.0]) @ turn
    for noise in (1e-8, -1e-8):
        assert grid_difference(on(half), on(half + noise * np.array([[1, -1, 0, 0]] + 3 * [[0, 0, 0, 0]]))) is None


def test_a_turned_grid_is_another_grid():
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("z", 5, degrees=True).as_matrix()
    assert "turned" in grid_difference(on(AFFINE), on(turn @ AFFINE))


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SPL", "AIR"])
def test_turned_axes_come_back_without_loss(axes):
    reference = Volume(LABELS, AFFINE)
    image = nib.Nifti1Image(LABELS, AFFINE).as_reoriented(
        nib.orientations.ornt_transform(nib.io_orientation(AFFINE), nib.orientations.axcodes2ornt(axes))
    )
    turned = Volume(np.asanyarray(image.dataobj), image.affine)
    back = onto_grid(turned, reference)
    np.testing.assert_array_equal(back.data, LABELS)
    assert grid_difference(back, reference) is None


def test_resampling_happens_only_when_asked():
    shifted = Volume(LABELS, moved(0.7))  # one voxel along x, which points left
    with pytest.raises(VesaliusError, match=r"shifted by \(0\.7, 0, 0\) mm") as error:
        onto_grid(shifted, on(AFFINE))
    assert error.value.code == "geometry"
    moved_back = onto_grid(shifted, on(AFFINE), resample=True)
    expected = np.zeros_like(LABELS)
    expected[:-1] = LABELS[1:]
    # Index i of the reference lies at 90.5 - 0.7 i, that of the shifted volume at 91.2 - 0.7 i.
    np.testing.assert_array_equal(moved_back.data, expected)
    assert moved_back.data.dtype == LABELS.dtype and moved_back.shape == SHAPE


def test_resampling_agrees_with_simpleitk():
    import SimpleITK as sitk

    fine = np.diag([0.9, 1.1, 2.3, 1.0])
    fine[:3, 3] = [69.5, -121, 35]
    got = onto_grid(Volume(LABELS, AFFINE), on(fine, (22, 14, 18)), resample=True).data
    source, target = sitk.GetImageFromArray(LABELS.T), sitk.Image(22, 14, 18, sitk.sitkUInt8)
    for image, affine in ((source, AFFINE), (target, fine)):
        lps = np.diag([-1, -1, 1, 1]) @ affine
        spacing = np.sqrt((lps[:3, :3] ** 2).sum(0))
        image.SetSpacing(spacing.tolist())
        image.SetOrigin(lps[:3, 3].tolist())
        image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    expected = sitk.GetArrayFromImage(sitk.Resample(source, target, sitk.Transform(), sitk.sitkNearestNeighbor)).T
    assert expected.any() and (got == expected).mean() > 0.999
