"""ModelCard: what a model needs to be used rightly, written into the model file itself.

Label order, colour order and crop are the classic ways to lose points in silence; here they
travel with the weights, in the ONNX file's metadata under the key ``mien.card`` as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

from mien.errors import ModelError
from mien.labels import MEASURES

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

METADATA_KEY = "mien.card"
#: The same for engagement models, which see windows of features: `mien.engagement.EngagementCard`.
ENGAGEMENT_KEY = "mien.engagement"

Color = Literal["rgb", "bgr", "gray"]
Layout = Literal["nchw", "nhwc"]
Activation = Literal["softmax", "none"]
Commercial = Literal["yes", "no", "unclear"]


class Card:
    """What every card can: be written as JSON, and read. Dataclasses, whose fields are the keys."""

    #: What it is the card of, for messages.
    what: ClassVar[str] = "the model"

    def to_json(self) -> str:
        """The card as one JSON object."""
        return json.dumps(asdict(cast("DataclassInstance", self)))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a card; keys of later versions are ignored.

        Raises:
            ModelError: not JSON, or a field is missing or does not make sense.
        """
        known = {f.name for f in fields(cast("type[DataclassInstance]", cls))}
        try:
            table: dict[str, Any] = json.loads(text)
            return cls(**{key: value for key, value in table.items() if key in known})
        except (ValueError, TypeError, AttributeError) as error:
            raise ModelError(f"the card of {cls.what} cannot be read: {error}.") from error


@dataclass(frozen=True)
class CropSpec:
    """How a face becomes a square.

    Attributes:
        margin: added on each side of a square around the box, as a share of its side.
        template: five landmarks as shares of the square's side, in the order of
            `mien.Faces.landmarks`; faces are rotated and scaled onto them. Empty: no alignment.
    """

    margin: float = 0.0
    template: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        points = tuple((float(x), float(y)) for x, y in self.template)
        if len(points) not in (0, 5):
            raise ModelError(f"a crop template has 5 points or none, got {len(points)}.")
        object.__setattr__(self, "template", points)


@dataclass(frozen=True)
class ModelCard(Card):
    """Everything about an expression model that its weights do not say.

    Attributes:
        name: what the model is called.
        labels: names of the outputs, in the model's own order.
        input_size: side of the square input, pixels.
        color: channel order of the input; ``gray`` feeds brightness in one channel.
        mean, std: ``(value - mean) / std`` on values 0..255, one number a channel of `color`, or
            a single one for all.
        layout: order of the input's axes.
        activation: what turns the score output into probabilities.
        temperature: the logits are divided by it first; fitted on validation data.
        crop: how a face becomes a square.
        measures: what the last columns of the score output are, after the labels': some of
            `mien.labels.MEASURES`.
        scores, embedding, feature_map: names of the outputs; "" for none.
        identity: name of an output ``(n, d)`` that tells people apart, rows of length 1; "" for
            none.
        head: name of an output that repeats the last layer's weights ``(k, c)``; "" for none.
        licence: of the weights.
        commercial: whether commercial use is clear: yes, no or unclear.
        training_data: what it was trained on, in words.
        source: where it comes from.
        accuracy: measured figures, protocol -> value (shares, not percent).
    """

    name: str
    labels: tuple[str, ...]
    input_size: int
    color: Color = "rgb"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (255.0,)
    layout: Layout = "nchw"
    activation: Activation = "softmax"
    temperature: float = 1.0
    crop: CropSpec = field(default_factory=CropSpec)
    measures: tuple[str, ...] = ()
    scores: str = ""
    embedding: str = ""
    identity: str = ""
    feature_map: str = ""
    head: str = ""
    licence: str = "unknown"
    commercial: Commercial = "unclear"
    training_data: str = "unknown"
    source: str = ""
    accuracy: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "measures", tuple(self.measures))
        channels = 1 if self.color == "gray" else 3
        for name in ("mean", "std"):
            value = getattr(self, name)
            values = (float(value),) if isinstance(value, int | float) else tuple(value)
            if len(values) == 1:
                values = values * channels
            if len(values) != channels:
                raise ModelError(
                    f"{name} of {self.name!r} needs {channels} numbers for {self.color}, "
                    f"got {len(values)}."
                )
            object.__setattr__(self, name, values)
        _one_of(self.name, "color", self.color, ("rgb", "bgr", "gray"))
        _one_of(self.name, "layout", self.layout, ("nchw", "nhwc"))
        _one_of(self.name, "activation", self.activation, ("softmax", "none"))
        for measure in self.measures:
            _one_of(self.name, "a measure", measure, MEASURES)
        _one_of(self.name, "commercial", self.commercial, ("yes", "no", "unclear"))
        if len(set(self.labels)) != len(self.labels) or not self.labels:
            raise ModelError(f"{self.name!r} needs different labels, got {self.labels}.")
        if self.input_size < 1 or self.temperature <= 0 or min(self.std) <= 0:
            raise ModelError(f"input_size, temperature and std of {self.name!r} must be above 0.")
        if isinstance(self.crop, Mapping):
            object.__setattr__(self, "crop", CropSpec(**self.crop))


def read_fields(path: Path) -> dict[str, Any]:
    """Fields of a card from a JSON file, for models that carry none.

    Raises:
        ModelError: it cannot be read, or is no JSON object.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"the model's card {path} cannot be read: {error}.") from error
    if not isinstance(table, dict):
        raise ModelError(f"the model's card {path} is not a JSON object.")
    return table


def _one_of(model: str, name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ModelError(f"{name} of {model!r} is one of {', '.join(known)}, got {value!r}.")
