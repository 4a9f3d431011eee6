"""Surfaces and distances against independent sources: surface-distance's table and functions, scipy, brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.distance import cdist
from surface_distance import lookup_tables

from vesalius.bench.metrics import envelope, surfaces

SPACINGS = [(1.0, 1.0, 1.0), (0.7, 1.3, 2.9), (5.0, 0.7, 0.7), (0.36, 0.36, 0.7)]


@pytest.mark.parametrize("spacing", SPACINGS)
def test_areas_of_all_codes_equal_surface_distances_table(spacing):
    theirs = lookup_tables.create_table_neighbour_code_to_surface_area(spacing)
    np.testing.assert_allclose(surfaces.area_table(spacing), theirs, atol=1e-14)


def _points_by_brute_force(mask):
    """Corners whose eight voxels are neither all in nor all out, from a plain padded window."""
    padded = np.pad(mask, 1).astype(int)
    total = sum(
        padded[i : padded.shape[0] - 1 + i, j : padded.shape[1] - 1 + j, k : padded.shape[2] - 1 + k]
        for i in (0, 1)
        for j in (0, 1)
        for k in (0, 1)
    )
    return np.argwhere((total > 0) & (total < 8))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 17), (7, 1, 8), (5, 6, 1), (9, 10, 31)])
def test_all_labels_in_one_pass_give_each_labels_own_surface(shape, dtype):
    labels = np.random.default_rng(3).integers(0, 4, shape).astype(dtype)
    found = surfaces.extract(labels, 3)
    for k in (1, 2, 3):
        np.testing.assert_array_equal(found.points[found.of(k)], _points_by_brute_force(labels == k))


def test_boundary_voxels_are_mask_without_its_erosion():
    labels = (ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(12, 14, 16)), 2) > 0).astype(np.uint8)
    found = surfaces.extract(labels, 1, voxel=True)
    np.testing.assert_array_equal(found.points, np.argwhere((labels > 0) & ~ndimage.binary_erosion(labels > 0)))


def test_a_surface_that_outgrows_the_buffer_is_whole():
    labels = np.zeros((64, 64, 64), np.uint8)
    labels[::2, ::2, ::2] = 1
    found = surfaces.extract(labels, 1)
    np.testing.assert_array_equal(found.points, _points_by_brute_force(labels > 0))


@settings(max_examples=200)
@given(
    seed=st.integers(0, 10**6),
    width=st.sampled_from([1, 3, 64, 65, 200]),
    n=st.integers(1, 40),
    m=st.integers(1, 40),
    spacing=st.sampled_from(SPACINGS),
    apart=st.integers(0, 80),
)
def test_distances_are_those_of_brute_force(seed, width, n, m, spacing, apart):
    rng = np.random.default_rng(seed)
    query = rng.integers(0, (12, 12, width), (n, 3)).astype(np.int32)
    target = rng.integers(0, (12, 12, width), (m, 3)).astype(np.int32) + np.int32([0, apart, apart // 2])
    target = target[np.lexsort(target.T[::-1])]
    expected = cdist(query * np.array(spacing), target * np.array(spacing)).min(axis=1)
    np.testing.assert_allclose(surfaces.distances(query, target, spacing, False), expected, atol=1e-9)
    np.testing.assert_allclose(envelope.distances(query, target, np.array(spacing), False), expected, atol=1e-9)


def test_distances_are_bit_for_bit_those_of_scipys_transform():
    rng = np.random.default_rng(0)
    mask = ndimage.gaussian_filter(rng.normal(size=(20, 24, 30)), 2) > 0.02
    query, target = np.argwhere(~mask).astype(np.int32), np.argwhere(mask).astype(np.int32)
    for spacing in SPACINGS:
        theirs = ndimage.distance_transform_edt(~mask, sampling=spacing)[~mask]
        assert np.array_equal(surfaces.distances(query, target, spacing, False), theirs)
        # The same volume in Fortran order, as NIfTI gives it: axes reversed, sums still in the caller's order.
        swapped = target[:, ::-1][np.lexsort(target.T)]
        ours = surfaces.distances(
            np.ascontiguousarray(query[:, ::-1]), np.ascontiguousarray(swapped), spacing[::-1], True
        )
        assert np.array_equal(ours, theirs)


def _far_apart():
    """Shapes whose surfaces lie far apart: a ball in a shell, half boxes, blobs and points at either end of each axis.

    And where many points tie: a checkerboard against its hull, a full volume against a ball.
    """
    grid = np.indices((44, 40, 48)) - np.array([22, 20, 24]).reshape(3, 1, 1, 1)
    radius = np.sqrt((grid**2).sum(axis=0))
    full = np.ones(radius.shape, bool)
    ball, shell = radius < 6, (radius > 17) & (radius < 19)
    yield ball, shell
    yield shell, ball
    box = np.abs(grid).max(axis=0) < 18
    for axis in range(3):
        yield box, box & (grid[axis] < 0)
        yield np.roll(radius < 5, -13, axis), np.roll(radius < 5, 13, axis)
        end = np.zeros_like(full)
        np.moveaxis(end, axis, 0)[0, 3, 7] = True
        yield full, end
    yield grid.sum(axis=0) % 2 == 0, full
    yield full, ball


# Transform only (but for the first point), as it comes, search only.
@pytest.mark.parametrize("rows_a_step", [0, surfaces._ROWS_A_STEP, np.inf])
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("reverse", [False, True])
def test_far_surfaces_are_bit_for_bit_those_of_scipys_transform(rows_a_step, spacing, reverse, monkeypatch):
    monkeypatch.setattr(surfaces, "_ROWS_A_STEP", rows_a_step)
    for a, b in _far_apart():
        query, target = (np.argwhere(m & ~ndimage.binary_erosion(m)).astype(np.int32) for m in (a, b))
        away = np.ones(a.shape, bool)
        away[tuple(target.T)] = False
        if reverse:
            theirs = ndimage.distance_transform_edt(away.T, sampling=spacing[::-1]).T[tuple(query.T)]
        else:
            theirs = ndimage.distance_transform_edt(away, sampling=spacing)[tuple(query.T)]
        assert np.array_equal(surfaces.distances(query, target, spacing, reverse), theirs)


def test_transform_alone_is_bit_for_bit_scipys_inside_noise():
    mask = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=(40, 44, 70)), 3) > 0.03
    query, target = np.argwhere(~mask).astype(np.int32), np.argwhere(mask).astype(np.int32)
    for spacing in SPACINGS:
        theirs = ndimage.distance_transform_edt(~mask, sampling=spacing)[~mask]
        assert np.array_equal(envelope.distances(query, target, np.array(spacing), False), theirs)


def test_far_surfaces_leave_the_search(monkeypatch):
    calls = []
    transform = envelope.distances
    monkeypatch.setattr(envelope, "distances", lambda *a: calls.append(len(a[0])) or transform(*a))
    ball = (((np.indices((40, 40, 40)) - 20) ** 2).sum(axis=0) < 300).astype(np.uint8)
    points = surfaces.extract(ball, 1).points
    for reverse in (False, True):
        surfaces.distances(points, points + np.int32([0, 0, 1]), (1.0, 1.0, 1.0), reverse)
        assert not calls
        surfaces.distances(points, points + np.int32([0, 0, 300]), (1.0, 1.0, 1.0), reverse)
        assert calls.pop() > len(points) / 2
