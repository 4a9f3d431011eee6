"""Fixtures that every room's tests share."""

from pathlib import Path

import pytest

REPO = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; tests that need it skip where it is absent."""
    folder = REPO.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real data is not beside this checkout (../shared/data)")
    return folder
