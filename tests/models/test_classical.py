"""Classical segmenters: they learn, are deterministic, take any grid, and never see the phantom's inside."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from vesalius.errors import VesaliusError
from vesalius.media.volume import Volume
from vesalius.models.classical import MODELS, fit, load
from vesalius.models.classical.forest import Forest
from vesalius.models.classical.register import STEP, Template, _sample, features, grid_points, register, sample
from vesalius.models.classical.segmenter import _body, largest, prepare, tidy
from vesalius.models.classical.walker import Walker, _conjugate_gradients
from vesalius.phantom.abdomen import LABELS, scan
from vesalius.phantom.patient import Patient
from vesalius.phantom.scanner import Scanner

NAMES = {label: name for name, label in LABELS.items()}
SCANNER = Scanner((4.2, 4.2, 6.0), (92, 70, 46), -130.0, kernel=0.0, noise=9.0, kvp=120, orientation="LPS")
PATIENT = Patient("M", 50, 25.0, 1.0, (), "portal", 120, 1.0, 0.0, "water", 0.0, 0)


def dice(a, b, label):
    a, b = a == label, b == label
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.fixture(scope="module")
def training():
    patients = [replace(PATIENT, seed=i, bmi=22.0 + 1.5 * i, sex="MF"[i % 2]) for i in range(5)]
    return [prepare(*scan(patient, SCANNER)) for patient in patients]


@pytest.fixture(scope="module")
def fitted(training, tmp_path_factory):
    """All four, after a round trip through their files."""
    folder = tmp_path_factory.mktemp("models")
    files = {model: folder / f"{model}.npz" for model in MODELS}
    for model in MODELS:
        atlas = files["atlas"] if model in ("walker", "forest") else None
        fit(model, training, NAMES, atlas).save(files[model])
    return load(files)


@pytest.fixture(scope="module")
def unseen():
    return scan(replace(PATIENT, seed=77, bmi=24.0), SCANNER)


@pytest.mark.parametrize(("model", "least"), [("windows", 0.2), ("atlas", 0.8), ("walker", 0.8), ("forest", 0.8)])
def test_each_finds_the_liver_of_a_patient_it_has_not_seen(fitted, unseen, model, least):
    image, labels = unseen
    found = fitted[model].segment(image)
    assert found.data.shape == image.data.shape and np.array_equal(found.affine, image.affine)
    assert found.data.dtype == np.uint8 and set(np.unique(found.data)) <= {0, *NAMES}
    assert found.names == NAMES
    assert dice(found.data, labels.data, LABELS["liver"]) > least
    assert dice(found.data, labels.data, LABELS["liver"]) < 0.99


@pytest.mark.parametrize("model", MODELS)
def test_the_same_scan_gives_the_same_labels(fitted, unseen, model):
    image, _ = unseen
    assert np.array_equal(fitted[model].segment(image).data, fitted[model].segment(image).data)


def test_fitting_twice_learns_the_same(fitted, training):
    assert np.array_equal(fit("windows", training, NAMES).windows, fitted["windows"].windows)
    assert np.array_equal(fit("atlas", training, NAMES).template.image, fitted["atlas"].template.image)
    again = Forest.grow(training, fitted["forest"].atlas)
    assert all(np.array_equal(again.trees[name], array) for name, array in fitted["forest"].trees.items())


@pytest.mark.parametrize("model", MODELS)
def test_axes_of_the_file_do_not_matter(fitted, unseen, model):
    image, _ = unseen
    turned = Volume(np.flip(image.data, (0, 2)).transpose(2, 0, 1), _turned(image))
    straight, there = fitted[model].segment(image).data, fitted[model].segment(turned).data
    assert np.array_equal(np.flip(there.transpose(1, 2, 0), (0, 2)), straight)


def _turned(image):
    affine = image.affine.copy()
    for axis in (0, 2):
        affine[:3, 3] += affine[:3, axis] * (image.shape[axis] - 1)
        affine[:3, axis] *= -1
    return affine[:, [2, 0, 1, 3]]


def test_a_fine_scan_is_labelled_on_its_own_grid(fitted, unseen):
    image, labels = unseen
    fine = Volume(image.data.repeat(4, 0).repeat(4, 1).repeat(4, 2), image.affine @ np.diag([0.25, 0.25, 0.25, 1]))
    fine.affine[:3, 3] -= image.affine[:3, :3] @ np.full(3, 0.375)
    found = fitted["atlas"].segment(fine).data
    assert found.shape == fine.data.shape
    assert dice(found[1::4, 1::4, 1::4], labels.data, LABELS["liver"]) > 0.75


def test_air_alone_is_refused_in_one_line(fitted):
    empty = Volume(np.full((20, 20, 20), -1000, np.int16), np.diag([4.0, 4, 4, 1]))
    with pytest.raises(VesaliusError, match="no body"):
        fitted["atlas"].segment(empty)


def test_a_file_that_is_no_segmenter_is_said(tmp_path):
    (tmp_path / "atlas.npz").write_bytes(b"nothing")
    with pytest.raises(VesaliusError, match="no segmenter"):
        load({"atlas": tmp_path / "atlas.npz"})


def test_loaded_segmenters_share_one_atlas(fitted):
    assert fitted["atlas"] is fitted["walker"].atlas is fitted["forest"].atlas


def test_registration_finds_a_known_map(training):
    image = features(training[0])
    shape = (60, 46, 36)
    true = np.diag([STEP / 4.2 * 1.06, STEP / 4.2 * 0.95, STEP / 6.0, 1.0])
    true[:3, 3] = [-12, -8, -2]
    points = grid_points(shape)
    at = (true[:3, :3] @ points + true[:3, 3:]).astype(np.float32)
    template = Template(sample(image, at, image.min()).reshape(shape), np.ones(shape, np.float32))
    guess = np.diag([STEP / 4.2, STEP / 4.2, STEP / 6.0, 1.0])
    guess[:3, 3] = true[:3, 3] + [3, -2, 2]
    found = register(image, template, guess, (0.0, 20.0))
    corners = np.array([[15, 12, 10, 1], [45, 12, 10, 1], [30, 34, 10, 1], [30, 23, 26, 1]]).T
    off = ((found - true) @ corners)[:3] * np.array([[4.2], [4.2], [6.0]])
    assert np.abs(off).max() < 2.5  # mm


def test_points_of_a_fit_are_sampled_as_scipy_does():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(7, 5, 1 + 8)).astype(np.float32)
    place = np.array([[0.91, 0.13, 0, -1.07], [-0.1, 1.07, 0, 0.3], [0, 0.05, 1.2, -0.53], [0, 0, 0, 1]], np.float32)
    points = grid_points((9, 8, 9))
    at = place[:3, :3] @ points + place[:3, 3:]
    found, inside = _sample(image, place, points)
    assert np.array_equal(inside, ((at >= 0) & (at <= np.array(image.shape)[:, None] - 1)).all(axis=0))
    assert np.allclose(found[inside], sample(image, at)[inside], atol=1e-5) and not found[~inside].any()


@pytest.mark.parametrize("seed", range(4))
def test_holes_of_a_body_are_filled_slice_by_slice(seed):
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(40, 30, 12)), (2, 2, 1))
    hu = np.where(noise > 0.01 * seed, 0.0, -1000.0)
    body = largest(ndimage.binary_opening(hu > -300, np.ones((3, 3, 1), bool), iterations=2))
    expected = np.stack([ndimage.binary_fill_holes(body[:, :, z]) for z in range(12)], axis=2)
    assert np.array_equal(_body(hu), expected) and expected.any()


def test_the_walkers_equations_are_solved():
    from scipy import sparse

    rng = np.random.default_rng(0)
    links = sparse.random(60, 60, 0.1, random_state=1)
    links = links + links.T
    links.setdiag(0)
    matrix = sparse.diags(np.asarray(links.sum(axis=1)).ravel() + 0.3) - links
    right = rng.random((60, 3))
    apart, own = (-links).tocsr(), matrix.diagonal()
    assert not links.diagonal().any()
    found = _conjugate_gradients(apart.indptr, apart.indices, apart.data, own, right, np.zeros((60, 3)), 200)
    assert np.allclose(found, np.linalg.solve(matrix.toarray(), right), atol=1e-4)


def test_the_walker_stops_at_an_edge():
    """Two halves of even intensity, the opinion uncertain between: the border goes where the intensity jumps."""
    hu = np.zeros((12, 8, 4), np.float32)
    hu[7:] = 100
    prior = np.zeros((2, 12, 8, 4))
    prior[0, :3], prior[1, 9:] = 1, 1
    prior[:, 3:9] = 0.5
    unsure = np.zeros(hu.shape, bool)
    unsure[3:9] = True
    walker = Walker(None)
    shares = walker._walk(hu, prior, unsure, np.ones(3))
    assert np.allclose(shares.sum(axis=0), 1, atol=1e-3)
    label = np.zeros(hu.shape, int)
    label[unsure] = shares.argmax(axis=0)
    assert (label[3:7] == 0).all() and (label[7:9] == 1).all()


def test_tidy_keeps_the_largest_piece_of_each():
    labels = np.zeros((10, 4, 4), np.uint8)
    labels[:3], labels[5:6], labels[8:] = 1, 1, 2
    assert (tidy(labels)[:3] == 1).all() and (tidy(labels)[5] == 0).all() and (tidy(labels)[8:] == 2).all()


def test_segmenters_never_import_the_phantom():
    code = (
        "import sys, pkgutil, importlib, vesalius.models as room\n"
        "for m in pkgutil.walk_packages(room.__path__, 'vesalius.models.'): importlib.import_module(m.name)\n"
        "print(sorted(m for m in sys.modules if m.startswith('vesalius.phantom')))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("model", MODELS)
def test_they_run_on_a_real_ct(fitted, shared_data, model):
    from vesalius.media.volume import read_volume

    folder = shared_data / "volumes" / "totalsegmentator_ct"
    if not folder.is_dir():
        pytest.skip("the real CT is not beside this checkout")
    image = read_volume(folder / "image.nii.gz")
    found = fitted[model].segment(image).data
    assert found.shape == image.data.shape
    assert (image.data[found == LABELS["liver"]] > -200).mean() > 0.9
