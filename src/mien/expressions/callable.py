"""A classifier from any function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mien.errors import PluginError, UsageError
from mien.expressions.base import ClassifierDescription
from mien.models.card import CropSpec
from mien.types import Crops, ScoreKind, Scores


class CustomClassifier:
    """Wraps a user's function as an expression classifier.

    Args:
        function: takes ``(n, S, S, 3)`` uint8 RGB crops, returns ``(n, k)`` numbers.
        labels: names of the k columns.
        input_size: side of the square crops that the function takes, pixels.
        kind: ``probability`` (rows sum to 1) or ``score`` for other numbers.
        crop: how faces are cropped; the square around the box by default.
    """

    def __init__(
        self,
        function: Callable[[Crops], Any],
        labels: Sequence[str],
        input_size: int = 112,
        *,
        kind: ScoreKind = "probability",
        crop: CropSpec | None = None,
    ) -> None:
        if not callable(function):
            raise UsageError(f"a custom classifier needs a function, got {function!r}.")
        if isinstance(labels, str):
            raise UsageError(f"labels must be a list of names, not one text, got {labels!r}.")
        self._function = function
        self.labels: tuple[str, ...] = tuple(labels)
        self.input_size = input_size
        self.crop: CropSpec = crop or CropSpec()
        self._kind: ScoreKind = kind

    @property
    def description(self) -> ClassifierDescription:
        """The name of the class, and the crop."""
        return ClassifierDescription(type(self).__name__, crop=self.crop)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name}, labels={self.labels})"

    @property
    def _name(self) -> str:
        return getattr(self._function, "__name__", type(self._function).__name__)

    def classify(self, crops: Crops) -> Scores:
        """Call the function and check what it returns.

        Raises:
            PluginError: the result is not n rows of k finite numbers, or of probabilities although
                `kind` says so.
        """
        if not len(crops):
            return Scores(np.zeros((0, len(self.labels)), np.float32), self.labels, self._kind)
        name = self._name
        try:
            values = np.asarray(self._function(crops))
        except Exception as error:
            raise PluginError(f"{name} raised {type(error).__name__}: {error}") from error
        if values.shape != (len(crops), len(self.labels)):
            raise PluginError(
                f"{name} must return ({len(crops)}, {len(self.labels)}) numbers for "
                f"{len(crops)} faces and {len(self.labels)} labels, got {values.shape}."
            )
        try:
            return Scores(values.astype(np.float32), self.labels, self._kind)
        except (UsageError, ValueError, TypeError) as error:
            raise PluginError(f"{name} returned invalid values: {error}") from error
