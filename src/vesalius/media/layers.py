"""Named structures packed into label volumes: one volume where none overlap, another for each that would be lost.

Knows nothing of files. Used wherever structures come one by one: a file an organ, DICOM-SEG, RTSTRUCT.
"""

import numpy as np


class Layers:
    """Collects structures and keeps every voxel of each.

    Args:
        shape: voxels along (x, y, z).
        count: how many structures will come at most; decides the width of the labels.

    Attributes:
        volumes: label volumes of `shape` (Fortran order), at least one.
        targets: name -> (index into `volumes`, ids there).
    """

    def __init__(self, shape: tuple[int, ...], count: int):
        self.shape = tuple(shape)
        self.dtype = np.min_scalar_type(max(count, 1))
        self.volumes = [np.zeros(self.shape, self.dtype, order="F")]
        self.targets: dict[str, tuple[int, tuple[int, ...]]] = {}

    def add(self, name: str, mask: np.ndarray) -> None:
        """Adds a structure: an array of `shape`, nonzero inside. An empty one is a target without voxels."""
        voxels = np.flatnonzero(mask.reshape(-1, order="F"))
        label = len(self.targets) + 1
        flats = [volume.reshape(-1, order="F") for volume in self.volumes]  # views
        layer = next((i for i, flat in enumerate(flats) if not flat[voxels].any()), len(flats))
        if layer == len(self.volumes):
            self.volumes.append(np.zeros(self.shape, self.dtype, order="F"))
            flats.append(self.volumes[layer].reshape(-1, order="F"))
        flats[layer][voxels] = label
        self.targets[name] = (layer, (label,))
