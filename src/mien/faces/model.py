"""`FaceModel`: a further network that describes faces, beside the expression model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np

from mien.errors import ModelError
from mien.faces.crops import crop_faces
from mien.faces.mesh import Mesh
from mien.models.card import MAX_SIDE, Card, Commercial, CropSpec, card_of
from mien.models.session import Session, file_sha256
from mien.types import Crops, Faces, FloatArray, Image, Scores


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


@dataclass(frozen=True)
class FaceCard(Card):
    """What the cards of all networks with a card and square crops of their own say.

    The network takes ``(n, S, S, 3)`` float32 RGB, 0 to 255.

    Attributes:
        name: name of the model.
        input_size: S, the side of the square crops, pixels.
        crop: how faces are cropped.
        licence, commercial, training_data, source: as in `mien.ModelCard`.
        accuracy: measured figures by name.
        protocol: how they were measured, one sentence each.
    """

    #: Under which key of the file's metadata the card lies.
    key: ClassVar[str]

    name: str
    input_size: int
    crop: CropSpec = field(default_factory=CropSpec)
    licence: str = field(default="unknown", kw_only=True)
    commercial: Commercial = field(default="unclear", kw_only=True)
    training_data: str = field(default="unknown", kw_only=True)
    source: str = field(default="", kw_only=True)
    accuracy: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    protocol: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.input_size <= MAX_SIDE:
            raise ModelError(
                f"input_size of {self.name!r} is 1 to {MAX_SIDE}, got {self.input_size}."
            )


CardT = TypeVar("CardT", bound=FaceCard)


class FaceNetwork(Generic[CardT]):
    """A network with a card and square crops of its own, opened from its file.

    Args:
        path: an ``.onnx`` file with a card of the class's `card_type`.
        threads: threads per run; None for all processors.
        batch_size: maximum number of faces per run.

    Raises:
        ModelError: the file is missing or broken, or is another kind of model.
    """

    card_type: type[CardT]

    def __init__(self, path: str | Path, threads: int | None, batch_size: int) -> None:
        self._net = Session(path, threads)
        self._batch_size = batch_size
        kind = self.card_type
        text = self._net.metadata.get(kind.key)
        if text is None:
            raise ModelError(f"{path} has no card of {kind.what}.")
        with card_of(self.path):
            self.card = kind.from_json(text)
        self._net.check((self.card.input_size, self.card.input_size, 3), {})
        self.sha256: str = file_sha256(self.path)

    @property
    def path(self) -> Path:
        """The model file."""
        return self._net.path

    def fresh(self) -> Self:
        """Itself: every image stands alone."""
        return self

    def crops(self, image: Image, faces: Faces) -> Crops:
        """``(n, S, S, 3)`` uint8: the faces in an image ``(H, W, 3)``, cropped as `card` says."""
        return crop_faces(image, faces, self.card.input_size, self.card.crop)

    def _outputs(self, names: Sequence[str], crops: Crops) -> list[FloatArray]:
        """These outputs of n crops, one batch after the other, each ``(n, ...)``; n is not 0."""
        parts = [
            self._net.run(list(names), crops[start : start + self._batch_size].astype(np.float32))
            for start in range(0, len(crops), self._batch_size)
        ]
        return [np.concatenate(part).astype(np.float32) for part in zip(*parts, strict=True)]
