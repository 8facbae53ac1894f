"""The contract of an expression classifier, and its optional inner activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from mien.types import Crops, FloatArray, Scores


@runtime_checkable
class EmotionClassifier(Protocol):
    """The plug for expression models: three members, nothing to inherit.

    Attributes:
        labels: names of the k columns that `classify` returns.
        input_size: side of the square crops it takes, pixels.
    """

    @property
    def labels(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def input_size(self) -> int: ...  # noqa: D102

    def classify(self, crops: Crops) -> Scores:
        """Classify ``(n, S, S, 3)`` uint8 RGB crops; returns n rows, also for n = 0."""
        ...


@dataclass(frozen=True, eq=False)
class Activations:
    """Inner activations of a network, for saliency maps, clustering and heads.

    Attributes:
        logits: ``(n, k)``, before the temperature.
        embedding: ``(n, d)``, or None.
        feature_map: ``(n, c, h, w)``, or None.
    """

    logits: FloatArray
    embedding: FloatArray | None = None
    feature_map: FloatArray | None = None
