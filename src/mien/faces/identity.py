"""Identity vectors of faces, by a network of its own: faces of one person have similar ones.

The network is MobileFaceNet (Chen et al. 2018, arXiv 1804.07573), trained with the ArcFace loss
(arXiv 1801.07698). It is loaded only if identity vectors are requested. How often it takes two
people for one, and of whom, is in docs/people.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from mien.errors import ModelError
from mien.faces.crops import crop_faces
from mien.faces.model import FaceValues
from mien.labels import IDENTITY
from mien.models.card import Card, Commercial, CropSpec, card_of
from mien.models.session import Session, file_sha256
from mien.types import Crops, Faces, FloatArray, Image

METADATA_KEY = "mien.identity"


@dataclass(frozen=True)
class IdentityCard(Card):
    """The card of an identity network: everything that its weights do not say.

    The network takes ``(n, S, S, 3)`` float32 RGB, 0 to 255, and has an output ``identity``,
    ``(n, d)``, of unit vectors.

    Attributes:
        name: name of the model.
        input_size: side of the square crops, pixels.
        crop: how faces are cropped.
        licence, commercial, training_data, source: as in `mien.ModelCard`.
        accuracy: measured figures by name.
        protocol: how they were measured, one sentence each.
    """

    what = "the identity model"

    name: str
    input_size: int
    crop: CropSpec = field(default_factory=CropSpec)
    licence: str = "unknown"
    commercial: Commercial = "unclear"
    training_data: str = "unknown"
    source: str = ""
    accuracy: Mapping[str, float] = field(default_factory=dict)
    protocol: tuple[str, ...] = ()


class IdentityModel:
    """Computes identity vectors of faces.

    Args:
        path: the ``.onnx`` file.
        threads: threads per run; None for all processors.
        batch_size: maximum number of faces per run.

    Raises:
        ModelError: the file is missing or broken, or has no such card or output.
    """

    measures: tuple[str, ...] = ()
    requested = (IDENTITY,)

    def __init__(
        self, path: str | Path, *, threads: int | None = None, batch_size: int = 16
    ) -> None:
        self._net = Session(path, threads)
        self._batch_size = batch_size
        text = self._net.metadata.get(METADATA_KEY)
        if text is None:
            raise ModelError(f"{path} has no card of an identity model.")
        with card_of(self._net.path):
            self.card = IdentityCard.from_json(text)
        side = self.card.input_size
        self._net.check((side, side, 3), {})
        self._length = self._net.numbers(IDENTITY)
        self.sha256 = file_sha256(self._net.path)

    def __call__(self, image: Image, faces: Faces) -> FloatArray:
        """``(n, d)`` float32 of length 1, for n faces in an image ``(H, W, 3)``.

        The cosine of two faces is the scalar product of their vectors. The network was trained on
        faces that are aligned by their landmarks; those of faces without are less reliable.
        """
        return self.embed(crop_faces(image, faces, self.card.input_size, self.card.crop))

    def embed(self, crops: Crops) -> FloatArray:
        """The same for crops ``(n, S, S, 3)`` that are made as `card` says."""
        parts = [np.zeros((0, self._length or 0), np.float32)]
        for start in range(0, len(crops), self._batch_size):
            batch = crops[start : start + self._batch_size].astype(np.float32)
            parts += self._net.run([IDENTITY], batch)
        return np.concatenate(parts)

    @property
    def settings(self) -> Mapping[str, str]:
        """What an analysis keeps of it."""
        return {"identity_sha256": self.sha256}

    def fresh(self) -> Self:
        """Itself: every image stands alone."""
        return self

    def values(self, image: Image, faces: Faces) -> FaceValues:
        """The vectors, as further values of the faces."""
        return FaceValues(embeddings={IDENTITY: self(image, faces)})
