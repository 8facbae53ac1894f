"""Apparent age and gender, estimated by a separate network on wider crops.

It is loaded only if these columns are requested. They describe how a face appears to viewers, with
errors that differ between groups of people (docs/person.md), not who the person is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from mien.errors import ModelError
from mien.expressions.onnx import check_crops
from mien.faces.crops import crop_faces
from mien.faces.model import FaceValues
from mien.labels import ATTRIBUTES
from mien.models.card import MAX_SIDE, Card, Commercial, CropSpec, card_of
from mien.models.session import Session, file_sha256
from mien.types import Crops, Faces, FloatArray, Image

METADATA_KEY = "mien.attributes"


@dataclass(frozen=True)
class AttributeCard(Card):
    """The card of an attribute model: everything that its weights do not say.

    The network takes ``(n, S, S, 3)`` float32 RGB, 0 to 255, and has one output ``(n,)`` per
    attribute, named like its column (`mien.labels.ATTRIBUTES`).

    Attributes:
        name: name of the model.
        input_size: side of the square crops, pixels.
        crop: how faces are cropped.
        attributes: which of `mien.labels.ATTRIBUTES` it estimates.
        licence, commercial, training_data, source: as in `mien.ModelCard`.
        accuracy: measured figures by name: years of mean absolute error (``mae_``), shares of
            faces whose gender is the self-reported one (``gender_``), people (``people_``).
        protocol: how they were measured, one sentence each.
    """

    what = "the attribute model"

    name: str
    input_size: int
    crop: CropSpec = field(default_factory=CropSpec)
    attributes: tuple[str, ...] = tuple(ATTRIBUTES)
    licence: str = "unknown"
    commercial: Commercial = "unclear"
    training_data: str = "unknown"
    source: str = ""
    accuracy: Mapping[str, float] = field(default_factory=dict)
    protocol: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        strange = [name for name in self.attributes if name not in ATTRIBUTES]
        if strange or not self.attributes or not 1 <= self.input_size <= MAX_SIDE:
            raise ModelError(
                f"attributes of {self.name!r} are some of {', '.join(ATTRIBUTES)}, and its "
                f"input_size is 1 to {MAX_SIDE}; got {self.attributes} and {self.input_size}."
            )


class AttributeModel:
    """Estimates apparent age and gender of faces.

    Args:
        path: the ``.onnx`` file.
        attributes: which of `mien.labels.ATTRIBUTES` to estimate.
        threads: threads per run; None for all processors.
        batch_size: maximum number of faces per run.

    Raises:
        ModelError: the file is missing or broken, has no such card, or does not estimate one
            of `attributes`.
    """

    def __init__(
        self,
        path: str | Path,
        attributes: Sequence[str] = tuple(ATTRIBUTES),
        *,
        threads: int | None = None,
        batch_size: int = 4,
    ) -> None:
        self._net = Session(path, threads)
        self._batch_size = batch_size
        text = self._net.metadata.get(METADATA_KEY)
        if text is None:
            raise ModelError(f"{path} has no card of an attribute model.")
        with card_of(self.path):
            self.card = AttributeCard.from_json(text)
        self._net.check((self.card.input_size, self.card.input_size, 3), {})
        for name in attributes:
            if name not in self.card.attributes or ATTRIBUTES[name] not in self._net.output_names:
                raise ModelError(f"{self.card.name} does not estimate {name!r}.")
        self.attributes = tuple(dict.fromkeys(attributes))
        self.sha256 = file_sha256(self.path)

    @property
    def path(self) -> Path:
        """The model file."""
        return self._net.path

    @property
    def requested(self) -> tuple[str, ...]:
        """The attributes."""
        return self.attributes

    @property
    def settings(self) -> Mapping[str, str]:
        """What an analysis keeps of it."""
        return {"attributes_sha256": self.sha256}

    def fresh(self) -> Self:
        """Itself: every image stands alone."""
        return self

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the columns: ``apparent_age`` in years, ``apparent_female`` a probability."""
        return tuple(ATTRIBUTES[name] for name in self.attributes)

    def values(self, image: Image, faces: Faces) -> FaceValues:
        """The columns of the faces in an image, as further values."""
        crops = crop_faces(image, faces, self.card.input_size, self.card.crop)
        return FaceValues(measures=self.estimate(crops))

    def estimate(self, crops: Crops) -> dict[str, FloatArray]:
        """The columns, each ``(n,)``, for ``(n, S, S, 3)`` uint8 RGB crops as `card` says.

        Raises:
            UsageError: the crops have another shape or dtype.
        """
        check_crops(crops, self.card.input_size)
        parts: list[list[FloatArray]] = [[np.zeros(0, np.float32)] * len(self.measures)]
        for start in range(0, len(crops), self._batch_size):
            batch = crops[start : start + self._batch_size].astype(np.float32)
            parts.append(self._net.run(list(self.measures), batch))
        columns = (np.concatenate(part).astype(np.float32) for part in zip(*parts, strict=True))
        return dict(zip(self.measures, columns, strict=True))
