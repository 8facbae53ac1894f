"""`FaceModel`: a further network that describes faces, beside the expression model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from mien.faces.mesh import Mesh
from mien.types import Faces, FloatArray, Image, Scores


@dataclass(frozen=True, eq=False)
class FaceValues:
    """What such a network says of n faces.

    Attributes:
        measures: numbers by column name, each ``(n,)``.
        embeddings: vectors by name, see `mien.labels.EMBEDDINGS`, each ``(n, d)``.
        mesh: the points of the faces.
    """

    measures: Mapping[str, FloatArray] = field(default_factory=dict)
    embeddings: Mapping[str, FloatArray] = field(default_factory=dict)
    mesh: Mesh | None = None

    def added(self, scores: Scores) -> Scores:
        """`scores` of the same faces with these measures and embeddings."""
        return replace(
            scores,
            measures={**scores.measures, **self.measures},
            embeddings={**scores.embeddings, **self.embeddings},
        )


class FaceModel(Protocol):
    """A network with crops of its own; loaded only if its values are requested."""

    @property
    def requested(self) -> tuple[str, ...]:
        """Which of the outputs that an analyzer may be asked for it was loaded for."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """What `mien.results.settings.RunSettings` keeps of it, by name: SHA-256 of its file."""
        ...

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the columns that it adds."""
        ...

    def values(self, image: Image, faces: Faces) -> FaceValues:
        """The values of n faces in an image ``(H, W, 3)``; also of none."""
        ...

    def fresh(self) -> FaceModel:
        """The same for one input: for a video, a model that may remember the frame before."""
        ...
