"""An engagement model from an ``.onnx`` file that carries its card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from mien import hub
from mien.engagement.card import EngagementCard
from mien.engagement.windows import described
from mien.errors import ModelError, UsageError
from mien.models.feature_model import FeatureModel
from mien.results.embeddings import Embeddings
from mien.types import FloatArray

_BATCH = 32


class EngagementModel(FeatureModel[EngagementCard]):
    """Estimates engagement of windows of frame features, with one or several networks.

    Args:
        model: an ``.onnx`` file as ``mien train-engagement`` writes it, or the name of a fetched
            model (``engagement_single_attention``).
        threads: of one run; None for every processor.

    Raises:
        ModelError: the file is missing or broken, or is no engagement model.
        UsageError: there is no model of that name.
    """

    card_type = EngagementCard

    def __init__(self, model: str | Path, *, threads: int | None = None) -> None:
        is_file = isinstance(model, Path) or model.lower().endswith(".onnx")
        super().__init__(model if is_file else hub.path_of(str(model)), threads)
        self._net.check((self.card.steps, 2 * self.card.size), {})

    @property
    def networks(self) -> int:
        """How many networks estimate each window."""
        blank = np.zeros((0, self.card.steps, self.card.size), np.float32)
        return int(self.predict(blank).shape[1])

    def rescaled(self, window_s: float) -> EngagementModel:
        """The same model for windows of another length, in as many steps.

        Raises:
            UsageError: `window_s` is not above 0.
        """
        if not 0 < window_s < float("inf"):
            raise UsageError(f"a window lasts more than 0 seconds, got {window_s}.")
        other = object.__new__(EngagementModel)
        other._net, other.card = self._net, replace(self.card, window_s=window_s)
        return other

    def check_embeddings(self, embeddings: Embeddings | None) -> None:
        """Make sure that the features of a table are those that this model was trained on.

        Raises:
            UsageError: there are none, or they are another model's.
        """
        if embeddings is None or "features" not in embeddings.names:
            raise UsageError(
                "this table has no features of its faces: analyze the video again with "
                "--embeddings features."
            )
        self.check_features("", embeddings.model, embeddings.vectors["features"].shape[1])

    def predict(self, windows: FloatArray) -> FloatArray:
        """The estimate of each network for windows ``(n, steps, features)``.

        Returns:
            ``(n, m)`` float32, 0 (distracted) to 1 (engaged).

        Raises:
            UsageError: the windows have another shape.
            ModelError: the network computes something else than its card says.
        """
        card = self.card
        if windows.ndim != 3 or windows.shape[1:] != (card.steps, card.size):
            raise UsageError(
                f"windows must have shape (n, {card.steps}, {card.size}), got {windows.shape}."
            )
        if not len(windows):
            return self.predict(np.zeros((1, card.steps, card.size), np.float32))[:0]
        output = [self._net.output_names[0]]
        parts = [
            self._net.run(output, described(windows[first : first + _BATCH]))[0]
            for first in range(0, len(windows), _BATCH)
        ]
        outputs = np.concatenate(parts).astype(np.float32)
        if outputs.ndim == 2:  # a single network
            outputs = outputs[:, None]
        columns = outputs.shape[-1]
        if outputs.ndim != 3 or columns not in (1, 2) or not np.isfinite(outputs).all():
            shape = outputs.shape[1:]
            raise ModelError(f"{self.path} computes {shape} numbers, not one or two columns.")
        values = outputs[..., card.engaged_is if columns == 2 else 0]
        if columns == 1 and not card.engaged_is:
            values = 1 - values
        if values.min() < -1e-3 or values.max() > 1 + 1e-3:
            raise ModelError(f"{self.path} computes values outside 0 to 1.")
        return np.clip(values, 0, 1)
