"""The example of docs/add_a_reader.md, taken from the page and run."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from vesalius.errors import VesaliusError
from vesalius.formats.masks import find_cases, read_mask
from vesalius.media import volume

PAGE = Path(__file__).parents[2] / "docs" / "add_a_reader.md"


@pytest.fixture
def npz_reader(tmp_path, monkeypatch):
    code = re.search(r"```python\n(\"\"\"NumPy archives.*?)```", PAGE.read_text(encoding="utf-8"), re.S).group(1)
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "npz_of_the_page.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.setitem(volume.READERS, ".npz", "npz_of_the_page")
    yield
    sys.modules.pop("npz_of_the_page", None)


def test_the_page_adds_a_reader(tmp_path, npz_reader):
    labels = np.random.default_rng(0).integers(0, 3, (4, 5, 6)).astype(np.uint8)  # z, y, x
    folder = tmp_path / "predictions"
    folder.mkdir()
    np.savez(folder / "patient 1.npz", labels=labels, spacing=[0.7, 0.8, 5.0], origin=[10.0, 20.0, -30.0])
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing((0.7, 0.8, 5.0))
    image.SetOrigin((10, 20, -30))
    sitk.WriteImage(image, str(folder / "patient 2.nii.gz"))
    cases = find_cases(folder)
    ours, same = read_mask(cases["patient 1"]), read_mask(cases["patient 2"])
    np.testing.assert_allclose(ours.affine, same.affine, atol=1e-5)
    np.testing.assert_array_equal(ours.layers[0], same.layers[0])
    assert ours.targets == same.targets


@pytest.mark.parametrize("content", [b"", b"hello"])
def test_its_broken_files_are_a_clear_error(tmp_path, npz_reader, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(VesaliusError, match=r"a\.npz"):
        volume.read_volume(tmp_path / "a.npz")
