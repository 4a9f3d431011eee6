"""DICOM series, SEG and RTSTRUCT, written by highdicom and pydicom and read back."""

import dicom_phantom as phantom
import numpy as np
import pytest
import SimpleITK as sitk

from vesalius.errors import VesaliusError
from vesalius.formats.masks import find_cases, find_images, read_mask
from vesalius.media import dicom
from vesalius.media.dicom_objects import rasterise
from vesalius.media.grid import grid_difference, same_axes
from vesalius.media.volume import Header, onto_grid, read_header, read_labels, read_volume

RNG = np.random.default_rng(0)


@pytest.fixture
def stored():
    return RNG.integers(0, 2000, phantom.SHAPE).astype(np.int16)


def box(x=(5, 20), y=(8, 25), z=(3, 9)):
    mask = np.zeros(phantom.SHAPE, bool)
    mask[slice(*x), slice(*y), slice(*z)] = True
    return mask


def lps(points, directions=None):
    """Index coordinates (n, 3) to LPS mm."""
    directions = np.eye(3) if directions is None else directions
    return np.asarray(points, float) * phantom.SPACING @ directions.T + phantom.ORIGIN


def box_contours(x, y, z, directions=None):
    """Outlines along the outer edges of a box's voxels."""
    (x0, x1), (y0, y1) = (np.array(r) - 0.5 for r in (x, y))
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    return [lps([(u, v, k) for u, v in corners], directions) for k in range(*z)]


@pytest.mark.parametrize("directions", [None, phantom.OBLIQUE])
def test_series_is_ordered_by_position_and_rescaled(tmp_path, stored, directions):
    phantom.series(tmp_path / "ct", stored, directions)
    volume = read_volume(tmp_path / "ct")
    np.testing.assert_array_equal(volume.data, stored - 1024)
    np.testing.assert_allclose(volume.affine, phantom.affine(directions), atol=1e-9)
    assert volume.spacing == pytest.approx(phantom.SPACING)  # 4 mm apart although each is 1 mm thick
    header = read_header(tmp_path / "ct")
    assert header.shape == phantom.SHAPE and header.dtype == volume.data.dtype
    assert find_images(tmp_path) == {"ct": tmp_path / "ct"}


def test_fractional_rescaling_gives_fractions(tmp_path, stored):
    phantom.series(tmp_path / "ct", stored, slope=0.5)
    np.testing.assert_allclose(read_volume(tmp_path / "ct").data, stored * 0.5 - 1024)


def test_real_series_equals_simpleitk_and_the_masks_geometry(shared_data):
    folder = shared_data / "volumes" / "totalsegmentator_dicom"
    volume = read_volume(folder / "ct_series")
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder / "ct_series")))
    np.testing.assert_array_equal(volume.data, sitk.GetArrayFromImage(image).T)
    labels = onto_grid(read_labels(folder / "model_total.nii.gz"), volume)  # LAS against LPS: turned, not resampled
    assert grid_difference(labels, volume) is None
    assert 60 < volume.data[labels.data == 5].mean() < 130  # liver with contrast


def test_missing_doubled_and_uneven_slices_are_said(tmp_path, stored):
    phantom.series(tmp_path / "ct", stored)
    taken = tmp_path / "ct" / f"{(5 * 7) % 12:03d}.dcm"
    content = taken.read_bytes()
    taken.unlink()
    with pytest.raises(VesaliusError, match=r"1 slice missing between 116\.00 and 124\.00 mm") as error:
        read_volume(tmp_path / "ct")
    assert error.value.code == "geometry"
    taken.write_bytes(content)
    (tmp_path / "ct" / "again.dcm").write_bytes(content)
    with pytest.raises(VesaliusError, match=r"two slices at 120\.00 mm"):
        read_volume(tmp_path / "ct")


def test_several_series_are_named_and_one_can_be_chosen(tmp_path, stored):
    phantom.series(tmp_path / "ct", stored, uid="1.2.3.1111")
    for i, file in enumerate(sorted((tmp_path / "ct").iterdir())):
        file.rename(tmp_path / "ct" / f"first{i}.dcm")
    phantom.series(tmp_path / "ct", stored + 1, uid="1.2.3.2222")
    with pytest.raises(VesaliusError, match=r"2 series: .*1\.2\.3\.1111.*12 slices.*1\.2\.3\.2222") as error:
        read_volume(tmp_path / "ct")
    assert error.value.code == "several_series"
    np.testing.assert_array_equal(dicom.read(tmp_path / "ct", series="1.2.3.2222").data, stored - 1023)


@pytest.mark.parametrize("directions", [None, phantom.OBLIQUE])
def test_segmentation_comes_back_exactly_on_the_images_grid(tmp_path, stored, directions):
    sources = phantom.series(tmp_path / "ct", stored, directions)
    masks = {"liver": box(), "spleen": box((15, 30), (10, 20), (5, 12)), "absent": np.zeros(phantom.SHAPE, bool)}
    phantom.segmentation(tmp_path / "a.dcm", sources, masks)
    mask = read_mask(tmp_path / "a.dcm", grid=read_header(tmp_path / "ct"))
    assert set(masks) == set(mask.targets) and len(mask.layers) == 2  # liver and spleen overlap
    for name, expected in masks.items():
        np.testing.assert_array_equal(mask.binary(name), expected)
    np.testing.assert_allclose(mask.affine, phantom.affine(directions), atol=1e-6)


@pytest.mark.parametrize("kind", ["FRACTIONAL", "LABELMAP"])
def test_other_kinds_of_segmentation(tmp_path, stored, kind):
    sources = phantom.series(tmp_path / "ct", stored)
    masks = {"liver": box(), "spleen": box((22, 30), (10, 20), (5, 12))}
    phantom.segmentation(tmp_path / "a.dcm", sources, masks, kind)
    mask = read_mask(tmp_path / "a.dcm", grid=read_header(tmp_path / "ct"))
    for name, expected in masks.items():
        np.testing.assert_array_equal(mask.binary(name), expected)


def test_a_segmentation_of_probabilities_is_refused(tmp_path, stored):
    sources = phantom.series(tmp_path / "ct", stored)
    phantom.segmentation(tmp_path / "a.dcm", sources, {"liver": box() * 0.7}, "FRACTIONAL")
    with pytest.raises(VesaliusError, match="not a whole number") as error:
        read_mask(tmp_path / "a.dcm")
    assert error.value.code == "fractional"


def test_segmentation_without_an_image_stays_on_its_own_slices(tmp_path, stored):
    sources = phantom.series(tmp_path / "ct", stored)
    phantom.segmentation(tmp_path / "a.dcm", sources, {"liver": box(), "lesion": box(z=(4, 5))})
    mask = read_mask(tmp_path / "a.dcm")
    assert mask.shape == (40, 36, 6)  # slices 3 to 8
    own, full = phantom.affine(), Header(phantom.SHAPE, phantom.affine(), np.dtype("u1"))
    own[:, 3] = phantom.affine() @ [0, 0, 3, 1]
    for name, expected in (("liver", box()), ("lesion", box(z=(4, 5)))):
        data, affine = same_axes(mask.binary(name), mask.affine, full)
        np.testing.assert_array_equal(data, expected[:, :, 3:9])
        np.testing.assert_allclose(affine, own, atol=1e-6)


def test_segmentation_of_one_slice_is_placed(tmp_path, stored):
    sources = phantom.series(tmp_path / "ct", stored)
    phantom.segmentation(tmp_path / "a.dcm", sources, {"lesion": box(z=(4, 5))})
    mask = read_mask(tmp_path / "a.dcm", grid=read_header(tmp_path / "ct"))
    np.testing.assert_array_equal(mask.binary("lesion"), box(z=(4, 5)))


def test_segmentation_on_a_turned_image_is_placed_and_on_a_shifted_one_refused(tmp_path, stored):
    sources = phantom.series(tmp_path / "ct", stored)
    phantom.segmentation(tmp_path / "a.dcm", sources, {"liver": box()})
    flip = np.diag([1.0, -1.0, 1.0, 1.0])
    flip[1, 3] = phantom.SHAPE[1] - 1
    turned = Header(phantom.SHAPE, phantom.affine() @ flip, np.dtype("i2"))
    np.testing.assert_array_equal(read_mask(tmp_path / "a.dcm", grid=turned).binary("liver"), box()[:, ::-1])
    shift = np.eye(4)
    shift[0, 3] = 0.7
    shifted = Header(phantom.SHAPE, shift @ phantom.affine(), np.dtype("i2"))
    with pytest.raises(VesaliusError, match="do not lie on the voxels") as error:
        read_mask(tmp_path / "a.dcm", grid=shifted)
    assert error.value.code == "geometry"


@pytest.mark.parametrize("directions", [None, phantom.OBLIQUE])
def test_contours_of_a_box_give_exactly_its_voxels(tmp_path, stored, directions):
    sources = phantom.series(tmp_path / "ct", stored, directions)
    outer, inner = ((5, 20), (8, 25), (3, 9)), ((10, 14), (12, 20), (3, 9))
    contours = {
        "solid": box_contours(*outer, directions),
        "hollow": box_contours(*outer, directions) + box_contours(*inner, directions),
        "empty": [],
    }
    phantom.structure_set(tmp_path / "rs.dcm", sources, contours)
    mask = read_mask(tmp_path / "rs.dcm", grid=read_volume(tmp_path / "ct"))
    np.testing.assert_array_equal(mask.binary("solid"), box(*outer))
    np.testing.assert_array_equal(mask.binary("hollow"), box(*outer) & ~box(*inner))
    assert mask.binary("empty").sum() == 0


def test_a_keyhole_is_a_hole():
    grid = Header((20, 20, 3), np.eye(4), np.dtype("u1"))
    keyhole = np.array(
        [(2, 2), (17, 2), (17, 17), (2, 17), (2, 9), (6, 9), (6, 13), (13, 13), (13, 6), (6, 6), (6, 9), (2, 9)], float
    )
    points = np.column_stack([keyhole - 0.5, np.ones(len(keyhole))])
    expected = np.zeros((20, 20, 3), bool)
    expected[2:17, 2:17, 1] = True
    expected[6:13, 6:13, 1] = False
    np.testing.assert_array_equal(rasterise([points], grid), expected)


def test_contours_of_a_sphere_agree_with_the_sphere(tmp_path, stored):
    sources = phantom.series(tmp_path / "ct", stored)
    centre, radius = lps([(19.3, 17.8, 5.6)])[0], 18.0
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    contours = []
    for k in range(phantom.SHAPE[2]):
        z = lps([(0, 0, k)])[0][2]
        if abs(z - centre[2]) < radius:
            r = np.sqrt(radius**2 - (z - centre[2]) ** 2)
            circle = centre[:2] + r * np.column_stack([np.cos(angles), np.sin(angles)])
            contours.append(np.column_stack([circle, np.full(90, z)]))
    phantom.structure_set(tmp_path / "rs.dcm", sources, {"sphere": contours})
    got = read_mask(tmp_path / "rs.dcm", grid=read_header(tmp_path / "ct")).binary("sphere")
    points = lps(np.stack(np.indices(phantom.SHAPE), -1).reshape(-1, 3))
    expected = (np.linalg.norm(points - centre, axis=1) <= radius).reshape(phantom.SHAPE)
    assert 2 * (got & expected).sum() / (got.sum() + expected.sum()) > 0.98


def test_rasterising_agrees_with_an_independent_point_in_polygon_test():
    from skimage.measure import points_in_poly

    grid = Header((50, 40, 1), np.eye(4), np.dtype("u1"))
    polygon = np.column_stack([RNG.uniform(3, 46, 25), RNG.uniform(3, 36, 25)])  # crosses itself many times
    got = rasterise([np.column_stack([polygon, np.zeros(25)])], grid)[:, :, 0]
    centres = np.stack(np.indices((50, 40)), -1).reshape(-1, 2)
    np.testing.assert_array_equal(got, points_in_poly(centres, polygon).reshape(50, 40))


def test_contours_need_an_image_and_take_the_series_beside_them(tmp_path, stored):
    sources = phantom.series(tmp_path / "plans" / "Müller 1", stored)
    contours = {"liver": box_contours((5, 20), (8, 25), (3, 9))}
    phantom.structure_set(tmp_path / "rs.dcm", sources, contours)
    with pytest.raises(VesaliusError, match="no image slices") as error:
        read_mask(tmp_path / "rs.dcm")
    assert error.value.code == "grid"
    phantom.structure_set(tmp_path / "plans" / "Müller 1" / "rs.dcm", sources, contours)
    entry = find_cases(tmp_path / "plans")["Müller 1"]
    np.testing.assert_array_equal(read_mask(entry).binary("liver"), box())


def test_contours_outside_the_image_are_refused(tmp_path, stored):
    sources = phantom.series(tmp_path / "ct", stored)
    phantom.structure_set(tmp_path / "rs.dcm", sources, {"liver": box_contours((5, 20), (8, 25), (10, 14))})
    with pytest.raises(VesaliusError, match='contours of "liver" on 2 of 4 slices lie outside') as error:
        read_mask(tmp_path / "rs.dcm", grid=read_header(tmp_path / "ct"))
    assert error.value.code == "geometry"


@pytest.mark.parametrize("content", [b"", b"not DICOM at all" * 20])
def test_broken_dicom_is_unreadable(tmp_path, content):
    (tmp_path / "a.dcm").write_bytes(content)
    with pytest.raises(VesaliusError, match=r"a\.dcm") as error:
        read_mask(find_cases(tmp_path)["a"])
    assert error.value.code == "unreadable"
