"""Feature models: small networks on the features that an expression model computes of a face.

Heads, video models and engagement models are trained on the features of one model file, and fit no
other. Their cards name that file, and they refuse the features of another.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from mien.errors import MienError, ModelError, UsageError
from mien.models.card import Card, card_of
from mien.models.session import Session, file_sha256

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FeatureCard(Card):
    """What the cards of all feature models say.

    Attributes:
        name: what the model is called.
        size: d, the number of features of a face.
        model, model_sha256: name and SHA-256 of the expression model file that computes the
            features; the hash is "" where it is unknown, then only their number is checked.
        training_data: what it was trained on, in words.
        licence: of the weights and of the labels behind them.
        figures: measured on data that it was not trained on, by name (shares, not percent).
        protocol: how they were measured, a sentence each.
    """

    #: Under which key of the file's metadata the card lies.
    key: ClassVar[str]
    #: The command that writes such files.
    made_by: ClassVar[str]

    name: str
    size: int = field(kw_only=True)
    model: str = field(default="", kw_only=True)
    model_sha256: str = field(default="", kw_only=True)
    training_data: str = field(default="unknown", kw_only=True)
    licence: str = field(default="unknown", kw_only=True)
    figures: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    protocol: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size < 1:
            raise ModelError(f"size of {self.name!r} must be 1 or more, got {self.size}.")

    @property
    def metadata(self) -> dict[str, str]:
        """What a file of this card keeps in its metadata."""
        return {self.key: self.to_json()}

    def misfit(self, model: str, sha256: str, size: int | None = None) -> str:
        """Why features do not fit, in a sentence; "" where they do, or where nothing is known.

        Args:
            model, sha256: name and hash of the model file that computes them; "" where unknown.
            size: how many features a face has; None where unknown.
        """
        other = bool(sha256 and self.model_sha256 and sha256 != self.model_sha256)
        if not other and size in (None, self.size):
            return ""
        known = f" ({self.model_sha256[:8]})" if self.model_sha256 else ""
        given = f"{model or 'another model'} ({sha256[:8]})" if other else f"{size} features"
        return (
            f"{self.name} was trained on {self.size} features of {self.model or 'a model'}{known}, "
            f"not on {given}: analyze with that model, or train again."
        )


CardT = TypeVar("CardT", bound=FeatureCard)


class FeatureModel(Generic[CardT]):
    """A feature model, opened from its file.

    Args:
        path: an ``.onnx`` file with a card of the class's `card_type`.
        threads: of one run; None for every processor.

    Raises:
        ModelError: the file is missing or broken, or is another kind of model.
    """

    card_type: type[CardT]
    #: What is raised where features are another model's.
    mismatch: ClassVar[type[MienError]] = UsageError

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        self._net = Session(path, threads)
        kind = self.card_type
        text = self._net.metadata.get(kind.key)
        if text is None:
            raise ModelError(f"{path} is not {kind.what}: make one with {kind.made_by}.")
        with card_of(self.path):
            self.card = kind.from_json(text)

    @property
    def path(self) -> Path:
        """The model's file."""
        return self._net.path

    @property
    def sha256(self) -> str:
        """Hash of the model's file."""
        return file_sha256(self.path)

    def check_features(self, model: str, sha256: str, size: int | None = None) -> None:
        """Make sure that features are those that this model was trained on.

        Arguments as of `FeatureCard.misfit`; an unknown hash is let through, with a warning in the
        log.

        Raises:
            UsageError: they are another model's (`ModelError` for heads).
        """
        problem = self.card.misfit(model, sha256, size)
        if problem:
            raise self.mismatch(problem)
        if not (sha256 and self.card.model_sha256):
            _log.warning("whether the features fit %s is not known.", self.path.name)
