"""The contract of an expression classifier, and what it may offer beyond probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mien.models.card import CropSpec
from mien.types import Crops, FloatArray, IntArray, Scores


@runtime_checkable
class EmotionClassifier(Protocol):
    """The plug for expression models: three members, nothing to inherit.

    Attributes:
        labels: names of the k columns that `classify` returns.
        input_size: side of its square input crops, pixels.
    """

    @property
    def labels(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def input_size(self) -> int: ...  # noqa: D102

    def classify(self, crops: Crops) -> Scores:
        """Classify ``(n, S, S, 3)`` uint8 RGB crops; returns n rows, also for n = 0."""
        ...


@dataclass(frozen=True)
class ClassifierDescription:
    """What a classifier says of itself beyond its labels.

    Attributes:
        name: of the model, stored with every result.
        path: its file, whose SHA-256 is stored with every result; None where there is none.
        crop: how faces are cropped for it.
        measures: the further columns that `classify` returns in `Scores.measures`.
        also: the embeddings that it was asked for.
        heads: summaries of the heads on its features, see `mien.expressions.heads.Head.summary`.
    """

    name: str
    path: Path | None = None
    crop: CropSpec = field(default_factory=CropSpec)
    measures: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    heads: tuple[Mapping[str, Any], ...] = ()


@runtime_checkable
class DescribedClassifier(EmotionClassifier, Protocol):
    """An expression classifier that also describes itself; optional."""

    @property
    def description(self) -> ClassifierDescription:
        """Its model, its crop and what else it returns."""
        ...


def describe_classifier(classifier: EmotionClassifier) -> ClassifierDescription:
    """The description of a `DescribedClassifier`; its type's name and defaults for any other."""
    if isinstance(classifier, DescribedClassifier) and isinstance(
        classifier.description, ClassifierDescription
    ):
        return classifier.description
    return ClassifierDescription(type(classifier).__name__)


@runtime_checkable
class MappedClassifier(EmotionClassifier, Protocol):
    """An expression classifier that can show which regions a label depends on; optional."""

    def class_activation_maps(
        self, crops: Crops, targets: FloatArray | IntArray
    ) -> FloatArray | None:
        """Maps ``(n, h, w)``, see `mien.expressions.saliency.class_activation`; None if unable."""
        ...


@dataclass(frozen=True, eq=False)
class Activations:
    """Intermediate outputs of a network, for saliency maps, clustering and heads.

    Attributes:
        logits: ``(n, k)``, before the temperature.
        embedding: ``(n, d)``, or None.
        feature_map: ``(n, c, h, w)``, or None.
    """

    logits: FloatArray
    embedding: FloatArray | None = None
    feature_map: FloatArray | None = None
