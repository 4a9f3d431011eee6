"""A small volume, a scene on it and a client of its server, for the tests of this folder."""

from pathlib import Path

import numpy as np
from starlette.testclient import TestClient

from vesalius.media.volume import Volume
from vesalius.models.promptable import open_promptable
from vesalius.serve.app import make_app
from vesalius.serve.scene import Scene

TOKEN = "secret"
# Two bright balls that touch, in voxels of the volume below.
LEFT, RIGHT = (14, 20, 12), (34, 20, 12)


def balls(shape=(48, 40, 24)) -> np.ndarray:
    x, y, z = np.indices(shape)
    far = np.minimum(*(np.sqrt((x - cx) ** 2 + (y - 20) ** 2 + (1.5 * (z - 12)) ** 2) for cx in (14, 34)))
    return np.where(far < 9.5, 100, -50).astype(np.int16) + np.random.default_rng(0).integers(-9, 9, shape, np.int16)


def oblique() -> np.ndarray:
    """2 x 2 x 3 mm, turned about two axes."""
    a, b = 0.3, -0.2
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = about_z @ about_x @ np.diag([2, 2, 3]), (-40, -30, 10)
    return affine


AFFINES = {
    "RAS": np.array([[2, 0, 0, -40], [0, 2, 0, -30], [0, 0, 3, 10], [0, 0, 0, 1.0]]),
    "LPS": np.array([[-2, 0, 0, 40], [0, -2, 0, 30], [0, 0, 3, 10], [0, 0, 0, 1.0]]),
    "oblique": oblique(),
    "anisotropic": np.array([[0, 0, 5, -40], [0.8, 0, 0, -30], [0, -0.9, 0, 10], [0, 0, 0, 1.0]]),
}


class Desk:
    """An image on disk, its scene, and a client that carries the token."""

    def __init__(self, image: Path, volume: Volume, out: Path, initial: Volume | None = None, model=None):
        self.image, self.out, self.volume = image, out, volume
        self.scene = Scene(volume, model or open_promptable("seeds:"), out, initial)
        self.client = TestClient(
            make_app(self.scene, out, TOKEN), base_url="http://127.0.0.1:8000", headers={"X-Token": TOKEN}
        )

    def mm(self, voxel) -> list[float]:
        return (self.volume.affine[:3, :3] @ voxel + self.volume.affine[:3, 3]).tolist()

    def act(self, **entry) -> dict:
        answer = self.client.post("/api/act", json=entry)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, **entry) -> str:
        answer = self.client.post("/api/act", json=entry)
        assert answer.status_code == 422
        return answer.json()["error"]

    def click(self, object_, voxel, positive=True) -> dict:
        return self.act(do="prompt", object=object_, at=self.mm(voxel), positive=positive)
