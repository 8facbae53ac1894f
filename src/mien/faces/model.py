"""`FaceModel`: a further network that describes faces, beside the expression model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from mien.types import Faces, FloatArray, Image, Scores


@dataclass(frozen=True, eq=False)
class FaceValues:
    """What such a network says of n faces.

    Attributes:
        measures: numbers by column name, each ``(n,)``.
        embeddings: vectors by name, see `mien.labels.EMBEDDINGS`, each ``(n, d)``.
    """

    measures: Mapping[str, FloatArray] = field(default_factory=dict)
    embeddings: Mapping[str, FloatArray] = field(default_factory=dict)

    def added(self, scores: Scores) -> Scores:
        """`scores` of the same faces with these values."""
        return replace(
            scores,
            measures={**scores.measures, **self.measures},
            embeddings={**scores.embeddings, **self.embeddings},
        )


class FaceModel(Protocol):
    """A network with crops of its own; loaded only if its values are requested."""

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the columns that it adds."""
        ...

    def values(self, image: Image, faces: Faces) -> FaceValues:
        """The values of n faces in an image ``(H, W, 3)``; also of none."""
        ...
