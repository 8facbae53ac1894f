"""An engagement model from an ``.onnx`` file that carries its card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from mien import hub
from mien.engagement.card import EngagementCard
from mien.engagement.windows import described
from mien.errors import ModelError, UsageError
from mien.models.card import ENGAGEMENT_KEY, card_of
from mien.models.session import Session, file_sha256
from mien.results.embeddings import Embeddings
from mien.types import FloatArray

_BATCH = 32


class EngagementModel:
    """Judges windows of frame features with one or several networks on ONNX Runtime.

    Args:
        model: an ``.onnx`` file as `mien train-engagement` writes it, or the name of a fetched one
            (``engagement_single_attention``).
        threads: threads of one run; None for every processor.

    Raises:
        ModelError: the file is missing or broken, or is no engagement model.
        UsageError: there is no model of that name.
    """

    def __init__(self, model: str | Path, *, threads: int | None = None) -> None:
        named = not str(model).lower().endswith(".onnx")
        self._net = Session(hub.path_of(str(model)) if named else model, threads)
        text = self._net.metadata.get(ENGAGEMENT_KEY)
        if text is None:
            raise ModelError(
                f"{self.path} is no engagement model, it carries no card of one; "
                "make one with: mien train-engagement."
            )
        with card_of(self.path):
            self.card = EngagementCard.from_json(text)
        self._net.check((self.card.steps, 2 * self.card.features), {})

    @property
    def path(self) -> Path:
        """The model's file."""
        return self._net.path

    @property
    def sha256(self) -> str:
        """Hash of the model's file."""
        return file_sha256(self.path)

    @property
    def networks(self) -> int:
        """How many networks judge each window."""
        blank = np.zeros((0, self.card.steps, self.card.features), np.float32)
        return int(self.judge(blank).shape[1])

    def rescaled(self, window_s: float) -> EngagementModel:
        """The same for windows of another length, in as many steps.

        Raises:
            UsageError: `window_s` is not above 0.
        """
        if not 0 < window_s < float("inf"):
            raise UsageError(f"a window lasts more than 0 seconds, got {window_s}.")
        other = object.__new__(EngagementModel)
        other._net, other.card = self._net, replace(self.card, window_s=window_s)
        return other

    def need(self, embeddings: Embeddings | None) -> None:
        """Say clearly when the features of a table are not those that the model knows.

        Raises:
            UsageError: there are none, or they come from another model.
        """
        if embeddings is None or "features" not in embeddings.names:
            raise UsageError(
                "this table keeps no features of its faces: analyse the film again with "
                "--embeddings features."
            )
        self.check(embeddings.model, embeddings.vectors["features"].shape[1])

    def check(self, sha256: str, size: int | None = None) -> None:
        """Say clearly when an expression model is not the one whose features this one knows.

        Args:
            sha256: hash of the expression model's file; "" where it is not known.
            size: how many features it gives a face, where that is known.

        Raises:
            UsageError: it is another.
        """
        card = self.card
        other = bool(sha256 and card.features_sha256 and sha256 != card.features_sha256)
        if not other and size in (None, card.features):
            return
        wanted = f"{card.features} features a face"
        if card.features_model:
            wanted += f" of the model {card.features_model}"
        if card.features_sha256:
            wanted += f" (SHA-256 {card.features_sha256[:12]}...)"
        given = f"{size or 'those'}" + (f" of another model ({sha256[:12]}...)" if other else "")
        raise UsageError(
            f"{card.name} needs {wanted}, not {given}: analyse the film with that model, or train "
            "an engagement model for this one."
        )

    def judge(self, windows: FloatArray) -> FloatArray:
        """What each network says of windows ``(n, steps, features)``.

        Returns:
            ``(n, m)`` float32, 0 (distracted) to 1 (engaged).

        Raises:
            UsageError: the windows have another shape.
            ModelError: the network gives something else than its card says.
        """
        card = self.card
        if windows.ndim != 3 or windows.shape[1:] != (card.steps, card.features):
            raise UsageError(
                f"windows must have shape (n, {card.steps}, {card.features}), got {windows.shape}."
            )
        if not len(windows):
            return self.judge(np.zeros((1, card.steps, card.features), np.float32))[:0]
        outputs = [self._net.output_names[0]]
        parts = [
            self._net.run(outputs, described(windows[first : first + _BATCH]))[0]
            for first in range(0, len(windows), _BATCH)
        ]
        told = np.concatenate(parts).astype(np.float32)
        if told.ndim == 2:  # a single network
            told = told[:, None]
        if told.ndim != 3 or told.shape[2] not in (1, 2) or not np.isfinite(told).all():
            raise ModelError(f"{self.path} gives {told.shape[1:]} numbers, not one or two columns.")
        if told.shape[2] == 2:
            values = told[..., card.engaged_is]
        else:
            values = told[..., 0] if card.engaged_is else 1 - told[..., 0]
        if values.min() < -1e-3 or values.max() > 1 + 1e-3:
            raise ModelError(f"{self.path} gives values outside 0 to 1.")
        return np.clip(values, 0, 1)
