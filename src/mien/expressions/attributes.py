"""Apparent age and gender, estimated by a separate network on wider crops.

It is loaded only if these columns are requested. They describe how a face appears to viewers, with
errors that differ between groups of people (docs/person.md), not who the person is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mien.errors import ModelError
from mien.expressions.onnx import check_crops
from mien.faces.model import FaceCard, FaceNetwork, FaceValues
from mien.labels import ATTRIBUTES
from mien.types import Crops, Faces, FloatArray, Image


@dataclass(frozen=True)
class AttributeCard(FaceCard):
    """The card of an attribute model: everything that its weights do not say.

    The network has one output ``(n,)`` per attribute, named like its column
    (`mien.labels.ATTRIBUTES`). Figures are years of mean absolute error (``mae_``), shares of faces
    whose gender is the self-reported one (``gender_``), people (``people_``).

    Attributes:
        attributes: which of `mien.labels.ATTRIBUTES` it estimates.
    """

    what = "an attribute model"
    key = "mien.attributes"

    attributes: tuple[str, ...] = field(default=tuple(ATTRIBUTES), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.attributes or any(name not in ATTRIBUTES for name in self.attributes):
            raise ModelError(
                f"attributes of {self.name!r} are some of {', '.join(ATTRIBUTES)}, got "
                f"{self.attributes}."
            )


class AttributeModel(FaceNetwork[AttributeCard]):
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

    card_type = AttributeCard

    def __init__(
        self,
        path: str | Path,
        attributes: Sequence[str] = tuple(ATTRIBUTES),
        *,
        threads: int | None = None,
        batch_size: int = 4,
    ) -> None:
        super().__init__(path, threads, batch_size)
        for name in attributes:
            if name not in self.card.attributes or ATTRIBUTES[name] not in self._net.output_names:
                raise ModelError(f"{self.card.name} does not estimate {name!r}.")
        self.attributes: tuple[str, ...] = tuple(dict.fromkeys(attributes))

    @property
    def requested(self) -> tuple[str, ...]:
        """The attributes."""
        return self.attributes

    @property
    def settings(self) -> Mapping[str, str]:
        """What an analysis keeps of it."""
        return {"attributes_sha256": self.sha256}

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the columns: ``apparent_age`` in years, ``apparent_female`` a probability."""
        return tuple(ATTRIBUTES[name] for name in self.attributes)

    def values(self, image: Image, faces: Faces) -> FaceValues:
        """The columns of the faces in an image, as further values."""
        return FaceValues(measures=self.estimate(self.crops(image, faces)))

    def estimate(self, crops: Crops) -> dict[str, FloatArray]:
        """The columns, each ``(n,)``, for ``(n, S, S, 3)`` uint8 RGB crops as `card` says.

        Raises:
            UsageError: the crops have another shape or dtype.
        """
        check_crops(crops, self.card.input_size)
        if not len(crops):
            return {name: np.zeros(0, np.float32) for name in self.measures}
        return dict(zip(self.measures, self._outputs(self.measures, crops), strict=True))
