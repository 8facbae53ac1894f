"""EngagementCard: what an engagement model needs to be used rightly, inside its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mien.errors import ModelError
from mien.models.card import Card, Commercial

#: Frames of a window in the literature (Savchenko et al. 2022), and the rate at which they count.
STEPS, RATE = 128, 30.0
_MOST = 100_000
_LONGEST_S = 86_400.0


@dataclass(frozen=True)
class EngagementCard(Card):
    """Everything about an engagement model that its weights do not say.

    The network's input is ``(n, steps, 2 features)``: the standard deviation of each feature over
    the window, repeated, beside the features of each moment. Its output is ``(n, m, c)`` or
    ``(n, c)``: what m networks say, in c columns that sum to 1, or one.

    Attributes:
        name: what the model is called.
        features: how many numbers describe a face.
        steps: moments of a window.
        window_s: how long a window lasts, seconds.
        engaged_is: the column that means engaged; of a single column: 1 where high means engaged,
            0 where high means distracted, as in the notebooks of the literature.
        says: ``probability`` that people would say "engaged", or the ``level`` they would give,
            0 to 1, by what it learned from.
        residual: how far levels of unknown people lie from what the networks agree on, one
            standard deviation, measured on people that they did not learn from; None: not
            measured.
        features_model: name of the expression model that the features must come from.
        features_sha256: hash of its file; "" where it is not known, then only their number counts.
        licence, commercial, training_data, source: as in `mien.ModelCard`.
        accuracy: measured figures by name.
    """

    what = "the engagement model"

    name: str
    features: int
    steps: int = STEPS
    window_s: float = STEPS / RATE
    engaged_is: int = 1
    says: Literal["probability", "level"] = "probability"
    residual: float | None = None
    features_model: str = ""
    features_sha256: str = ""
    licence: str = "unknown"
    commercial: Commercial = "unclear"
    training_data: str = "unknown"
    source: str = ""
    accuracy: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.features, self.steps) < 1 or not self.window_s > 0:
            raise ModelError(f"features, steps and window_s of {self.name!r} must be above 0.")
        if max(self.features, self.steps) > _MOST or self.window_s > _LONGEST_S:
            raise ModelError(
                f"features and steps of {self.name!r} are at most {_MOST:,}, window_s at most "
                f"{_LONGEST_S:.0f} seconds."
            )
        if self.engaged_is not in (0, 1):
            raise ModelError(f"engaged_is of {self.name!r} is 0 or 1, got {self.engaged_is!r}.")
        if self.residual is not None and not 0 <= self.residual <= 1:
            raise ModelError(f"residual of {self.name!r} is 0 to 1, got {self.residual}.")
