"""`EngagementCard`: the card inside the file of an engagement model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from mien.errors import ModelError
from mien.models.card import ENGAGEMENT_KEY, Commercial
from mien.models.feature_model import FeatureCard

#: Frames of a window in the literature (Savchenko et al. 2022), and their rate.
STEPS, RATE = 128, 30.0
_MOST = 100_000
_LONGEST_S = 86_400.0


@dataclass(frozen=True)
class EngagementCard(FeatureCard):
    """The card of an engagement model.

    The network's input is ``(n, steps, 2 size)``: the standard deviation of each feature over the
    window, repeated, beside the features of each moment. Its output is ``(n, m, c)`` or ``(n, c)``:
    the estimates of m networks, in c columns that sum to 1, or one.

    Attributes:
        steps: moments of a window.
        window_s: length of a window, seconds.
        engaged_is: the column that means engaged; of a single column: 1 where high means engaged,
            0 where high means distracted, as in the notebooks of the literature.
        says: ``probability`` that viewers would say "engaged", or the ``level`` they would give,
            0 to 1, depending on the training labels.
        residual: how far levels of unknown people lie from the networks' mean, one standard
            deviation, measured on people that the networks were not trained on; None: unmeasured.
        commercial: whether commercial use is clear: yes, no or unclear.
        source: where it comes from.
        name, size, model, model_sha256, training_data, licence, figures, protocol: see
            `FeatureCard`.
    """

    key = ENGAGEMENT_KEY
    what = "an engagement model"
    made_by = "mien train-engagement"
    renamed: ClassVar[Mapping[str, str]] = {
        "features": "size",
        "features_model": "model",
        "features_sha256": "model_sha256",
        "accuracy": "figures",
    }

    steps: int = STEPS
    window_s: float = STEPS / RATE
    engaged_is: int = 1
    says: Literal["probability", "level"] = "probability"
    residual: float | None = None
    commercial: Commercial = "unclear"
    source: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1 or not self.window_s > 0:
            raise ModelError(f"steps and window_s of {self.name!r} must be above 0.")
        if max(self.size, self.steps) > _MOST or self.window_s > _LONGEST_S:
            raise ModelError(
                f"size and steps of {self.name!r} are at most {_MOST:,}, window_s at most "
                f"{_LONGEST_S:.0f} seconds."
            )
        if self.engaged_is not in (0, 1):
            raise ModelError(f"engaged_is of {self.name!r} is 0 or 1, got {self.engaged_is!r}.")
        if self.residual is not None and not 0 <= self.residual <= 1:
            raise ModelError(f"residual of {self.name!r} is 0 to 1, got {self.residual}.")
