"""Depth in masks: equal to scipy's."""

import numpy as np
import pytest
from scipy import ndimage

from vesalius.media.distance import depth


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98, 0.999])
@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.7, 0.7, 5.0), (3.0, 0.4, 1.1)])
def test_depth_is_scipys_distance_transform(share: float, spacing: tuple[float, ...]) -> None:
    mask = np.random.default_rng(0).random((31, 22, 17)) < share
    expected = ndimage.distance_transform_edt(mask, sampling=spacing)
    assert depth(mask, spacing) == pytest.approx(expected, abs=1e-9)
    turned = np.asfortranarray(mask)[::-1, :, ::2]
    expected = ndimage.distance_transform_edt(turned, sampling=spacing)
    assert depth(turned, spacing) == pytest.approx(expected, abs=1e-9)


def test_outside_is_zero_and_a_mask_without_outside_is_infinitely_deep() -> None:
    assert not depth(np.zeros((3, 4, 5), bool), (1, 1, 1)).any()
    assert np.isinf(depth(np.ones((3, 4, 5), bool), (1, 1, 1))).all()
