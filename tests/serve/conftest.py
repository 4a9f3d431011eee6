"""Desks: an image on disk and the server of its scene."""

import sys
from pathlib import Path

import pytest
from desk import AFFINES, Desk, balls

from vesalius.media.volume import Volume, read_volume, write_volume

sys.path.append(str(Path(__file__).parents[1] / "media"))  # dicom_phantom


@pytest.fixture
def make_desk(tmp_path):
    def make(affine="RAS", suffix=".nii.gz", initial=None, out="out"):
        image = tmp_path / f"ct{suffix}"
        if not image.exists():
            write_volume(image, Volume(balls(), AFFINES[affine]))
        return Desk(image, read_volume(image), tmp_path / out, initial)

    return make
