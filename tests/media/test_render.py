"""Pictures: which way up, which proportions, and that errors can be seen."""

import io

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from vesalius.errors import VesaliusError
from vesalius.media.render import LEGEND, SIZE, acquisition_plane, comparison, default_window, slice_plane
from vesalius.media.volume import Volume, read_labels, read_volume

SPACING = np.array([1.0, 2.0, 5.0])  # along left-right, anterior-posterior, head-foot


def corner(axes, at):
    """A volume stored along `axes` with a bright block in the corner `at` ("RAS": right, anterior, superior)."""
    data = np.zeros((60, 50, 20), np.float32)  # RAS: index grows to right, anterior, superior
    data[
        tuple(
            slice(-n // 4, None) if letter in "RAS" else slice(None, n // 4)
            for letter, n in zip(at, data.shape, strict=True)
        )
    ] = 1
    affine = np.diag([*SPACING, 1.0])
    image = nib.Nifti1Image(data, affine)
    turn = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(axes))
    turned = image.as_reoriented(turn)
    return Volume(np.asanyarray(turned.dataobj), turned.affine)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "LAS", "SRP", "AIL"])
@pytest.mark.parametrize(
    ("plane", "at", "quadrant"),  # (bottom half, right half) of the picture
    [
        ("axial", "RAS", (False, False)),  # the patient's right is on the left, anterior is up
        ("axial", "LAS", (False, True)),
        ("axial", "RPS", (True, False)),
        ("coronal", "RAS", (False, False)),  # the patient's right is on the left, the head is up
        ("coronal", "LAI", (True, True)),
        ("sagittal", "RAS", (False, False)),  # the face is on the left, the head is up
        ("sagittal", "RPI", (True, True)),
    ],
)
def test_orientation_is_radiological_however_the_file_is_stored(axes, plane, at, quadrant):
    volume = corner(axes, at)
    letters = {"axial": "IS", "coronal": "PA", "sagittal": "LR"}[plane]
    axis = next(i for i, letter in enumerate(volume.orientation) if letter in letters)
    towards = {"axial": at[2], "coronal": at[1], "sagittal": at[0]}[plane]
    index = volume.shape[axis] - 2 if volume.orientation[axis] == towards else 1  # within the block
    picture = slice_plane(volume, plane, index, window=(0.5, 1))
    rows, columns = np.nonzero(picture > 128)
    assert rows.size
    assert (rows.mean() > picture.shape[0] / 2, columns.mean() > picture.shape[1] / 2) == quadrant
    far = slice_plane(volume, plane, volume.shape[axis] - 1 - index, window=(0.5, 1))
    assert not (far > 128).any()


@pytest.mark.parametrize(("plane", "ratio"), [("axial", 100 / 60), ("coronal", 100 / 60), ("sagittal", 100 / 100)])
def test_proportions_are_those_of_the_body(plane, ratio):
    height, width = slice_plane(corner("RAS", "RAS"), plane).shape
    assert height / width == pytest.approx(ratio, rel=0.02) and max(height, width) >= 320


def test_windows():
    ct = np.linspace(-1000, 1500, 1000).reshape(10, 10, 10)
    assert default_window(ct) == (40, 400)
    level, width = default_window(np.linspace(0, 1000, 1000).reshape(10, 10, 10))
    assert (level - width / 2, level + width / 2) == pytest.approx((10, 995), abs=2)
    assert default_window(np.full((3, 3, 3), 7.0))[1] > 0 and default_window(np.full((3, 3, 3), np.nan))[1] > 0


def decoded(panels):
    assert list(panels) == ["image", "reference", "prediction", "error"]
    pictures = {}
    for name, content in panels.items():
        image = Image.open(io.BytesIO(content))
        assert image.format == "PNG" and image.size == (SIZE, SIZE) and not image.info.get("Comment")
        pictures[name] = np.asarray(image.convert("RGB")).astype(int)
    return pictures


def share(picture, colour):
    """Share of pixels near a colour of the legend."""
    rgb = [int(LEGEND[colour][i : i + 2], 16) for i in (1, 3, 5)]
    return (np.abs(picture - rgb).max(axis=2) < 40).mean()


def labels(x=(40, 80), value=1):
    data = np.zeros((128, 128, 20), np.uint8)
    data[slice(*x), 40:80, 5:15] = value
    return Volume(data, np.diag([-1.0, -1, 3, 1]))


def test_missed_and_extra_are_seen_on_their_sides():
    panels = decoded(comparison(None, labels(), labels((50, 95))))
    error = panels["error"]
    left, right = error[:, : SIZE // 2], error[:, SIZE // 2 :]  # x grows to the patient's left: right in the picture
    assert share(left, "missed") > 0.02 > share(right, "missed")
    assert share(right, "extra") > 0.02 > share(left, "extra")
    same = decoded(comparison(None, labels(), labels()))["error"]
    assert share(same, "missed") < 0.001 and share(same, "extra") < 0.001


def test_patterns_differ_where_colours_cannot_be_seen():
    missed = decoded(comparison(None, labels(), None))["error"].mean(axis=2)
    extra = decoded(comparison(None, Volume(labels().data * 0, labels().affine), labels()))["error"].mean(axis=2)
    inner = slice(SIZE // 2 - 40, SIZE // 2 + 40)
    for picture in (missed, extra):
        assert picture[inner, inner].std() > 5  # a pattern, not a flat fill
    assert np.corrcoef(missed[inner, inner].ravel(), extra[inner, inner].ravel())[0, 1] < 0.5


def test_a_failed_prediction_and_another_label_are_shown():
    panels = decoded(comparison(None, labels(), None))
    assert share(panels["error"], "missed") > 0.03
    np.testing.assert_array_equal(panels["prediction"], panels["image"])
    assert share(decoded(comparison(None, labels(value=1), labels(value=2)))["error"], "confused") > 0.03


def test_nothing_at_all_still_gives_pictures():
    empty = Volume(np.zeros((30, 20, 1), bool), np.eye(4))
    decoded(comparison(None, empty, empty))
    one = np.zeros((30, 20, 1), bool)
    one[0, 0, 0] = True
    assert share(decoded(comparison(None, Volume(one, np.eye(4)), None))["error"], "missed") > 0


def test_axes_may_be_turned_but_other_grids_are_refused():
    reference = labels()
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = 127
    turned = Volume(reference.data[::-1], reference.affine @ flip)
    assert comparison(None, reference, turned) == comparison(None, reference, reference)
    with pytest.raises(VesaliusError, match="another grid"):
        comparison(None, reference, Volume(reference.data[:-1], reference.affine))


def test_acquisition_plane_is_across_the_largest_spacing():
    assert acquisition_plane(Volume(np.zeros((2, 2, 2)), np.diag([1, 1, 5, 1.0]))) == "axial"
    assert acquisition_plane(Volume(np.zeros((2, 2, 2)), np.diag([3, 1, 1, 1.0]))) == "sagittal"
    assert acquisition_plane(Volume(np.zeros((2, 2, 2)), np.diag([1, 3, 1, 1.0]))) == "coronal"
    assert acquisition_plane(Volume(np.zeros((2, 2, 2)), np.diag([1.2, 1, 1, 1.0]))) == "axial"


def test_a_real_case(shared_data):
    folder = shared_data / "volumes" / "totalsegmentator_ct_sm"
    names = ("image", "model_total_1.5mm", "model_total_fast_3mm")
    image, reference, prediction = (
        (read_volume if name == "image" else read_labels)(folder / f"{name}.nii.gz") for name in names
    )
    panels = comparison(image, reference, prediction)
    decoded(panels)
    assert sum(map(len, panels.values())) < 500_000
