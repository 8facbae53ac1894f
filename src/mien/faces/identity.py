"""Identity vectors of faces, by a network of its own: faces of one person have similar ones.

The network is MobileFaceNet (Chen et al. 2018, arXiv 1804.07573), trained with the ArcFace loss
(arXiv 1801.07698). It is loaded only if identity vectors are requested. How often it takes two
people for one, and of whom, is in docs/people.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.faces.model import FaceCard, FaceNetwork, FaceValues
from mien.labels import IDENTITY
from mien.types import Crops, Faces, FloatArray, Image


@dataclass(frozen=True)
class IdentityCard(FaceCard):
    """The card of an identity network: everything that its weights do not say.

    The network has an output ``identity``, ``(n, d)``, of unit vectors.
    """

    what = "an identity model"
    key = "mien.identity"


class IdentityModel(FaceNetwork[IdentityCard]):
    """Computes identity vectors of faces.

    Args:
        path: the ``.onnx`` file.
        threads: threads per run; None for all processors.
        batch_size: maximum number of faces per run.

    Raises:
        ModelError: the file is missing or broken, or has no such card or output.
    """

    card_type = IdentityCard
    measures: tuple[str, ...] = ()
    requested: tuple[str, ...] = (IDENTITY,)

    def __init__(
        self, path: str | Path, *, threads: int | None = None, batch_size: int = 16
    ) -> None:
        super().__init__(path, threads, batch_size)
        self._length = self._net.numbers(IDENTITY)

    def __call__(self, image: Image, faces: Faces) -> FloatArray:
        """``(n, d)`` float32 of length 1, for n faces in an image ``(H, W, 3)``.

        The cosine of two faces is the scalar product of their vectors. The network was trained on
        faces that are aligned by their landmarks; those of faces without are less reliable.
        """
        return self.embed(self.crops(image, faces))

    def embed(self, crops: Crops) -> FloatArray:
        """The same for crops ``(n, S, S, 3)`` that are made as `card` says."""
        if not len(crops):
            return np.zeros((0, self._length or 0), np.float32)
        return self._outputs([IDENTITY], crops)[0]

    @property
    def settings(self) -> Mapping[str, str]:
        """What an analysis keeps of it."""
        return {"identity_sha256": self.sha256}

    def values(self, image: Image, faces: Faces) -> FaceValues:
        """The vectors, as further values of the faces."""
        return FaceValues(embeddings={IDENTITY: self(image, faces)})
