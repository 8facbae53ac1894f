"""ModelCard: what a model needs to be used rightly, written into the model file itself.

Label order, color order and crop are the classic ways to lose points in silence; here they
travel with the weights, in the ONNX file's metadata under the key ``mien.card`` as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

from mien.errors import ModelError
from mien.labels import MEASURES, UNCERTAIN
from mien.models.fields import conform

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

METADATA_KEY = "mien.card"
#: The same for engagement models, see `mien.engagement.EngagementCard`.
ENGAGEMENT_KEY = "mien.engagement"
#: Sides of a network's square input, pixels, that are possible.
MAX_SIDE = 1024
_MAX_CARD = 1 << 20  # characters of its JSON
_MAX_LABELS = 1000
_MAX_MARGIN = 10.0

Color = Literal["rgb", "bgr", "gray"]
Layout = Literal["nchw", "nhwc"]
Activation = Literal["softmax", "none"]
Commercial = Literal["yes", "no", "unclear"]


class Card:
    """What every card can: be written as JSON, and read. Dataclasses, whose fields are the keys."""

    #: What it is the card of, for messages.
    what: ClassVar[str] = "the model"
    #: Fields that older files call otherwise: former name to name.
    renamed: ClassVar[Mapping[str, str]] = {}

    def to_json(self) -> str:
        """The card as one JSON object."""
        return json.dumps(asdict(cast("DataclassInstance", self)))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a card; keys of later versions are ignored.

        Raises:
            ModelError: not JSON, or a field is missing or does not make sense.
        """
        table = parse_card(text, f"the card of {cls.what}")
        names = {f.name for f in fields(cast("type[DataclassInstance]", cls))}
        table = {cls.renamed.get(key, key): value for key, value in table.items()}
        try:
            return cls(**{key: value for key, value in table.items() if key in names})
        except TypeError as error:  # a field is missing
            raise ModelError(f"the card of {cls.what} cannot be read: {error}.") from error

    def __post_init__(self) -> None:
        try:
            checked = conform(vars(self), type(self))
        except (ValueError, RecursionError) as error:
            name = getattr(self, "name", "")
            owner = f" {name!a}" if isinstance(name, str) and name and len(name) < 60 else ""
            raise ModelError(f"the card of {self.what}{owner} is wrong: {error}.") from error
        for name, value in checked.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class CropSpec(Card):
    """How a face becomes a square.

    Attributes:
        margin: added on each side of a square around the box, as a share of its side.
        template: five landmarks as shares of the square's side, in the order of
            `mien.Faces.landmarks`; faces are rotated and scaled onto them. Empty: no alignment.
        usual: where these landmarks usually are in the images of data sets that are crops of a face
            already, as shares of their sides; these are aligned, too, from there or from the
            landmarks that are detected. Empty: such images are crops as they are.
    """

    margin: float = 0.0
    template: tuple[tuple[float, float], ...] = ()
    usual: tuple[tuple[float, float], ...] = ()

    what = "a crop"

    def __post_init__(self) -> None:
        super().__post_init__()
        for points in (self.template, self.usual):
            if len(points) not in (0, 5):
                raise ModelError(f"a crop template has 5 points or none, got {len(points)}.")
        if self.usual and not self.template:
            raise ModelError("a crop with usual landmarks needs a template.")
        if not -0.5 < self.margin <= _MAX_MARGIN:
            raise ModelError(
                f"the margin of a crop lies between -0.5 and {_MAX_MARGIN}, got {self.margin}."
            )
        for points in (self.template, self.usual):
            if any(not abs(value) <= _MAX_MARGIN for point in points for value in point):
                raise ModelError(
                    f"the points of a crop template are shares of the square's side, got {points}."
                )
            if points and len(set(points)) < 3:
                raise ModelError("the points of a crop template lie on one another.")


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
        head: name of an output that repeats the last layer's weights ``(k, c)``; "" for none.
        licence: of the weights.
        commercial: whether commercial use is clear: yes, no or unclear.
        training_data: what it was trained on, in words.
        source: where it comes from.
        accuracy: measured figures, protocol -> value (shares, not percent).
        base_rates: share of each label in the training data; empty: unknown.
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
    feature_map: str = ""
    head: str = ""
    licence: str = "unknown"
    commercial: Commercial = "unclear"
    training_data: str = "unknown"
    source: str = ""
    accuracy: Mapping[str, float] = field(default_factory=dict)
    base_rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        channels = 1 if self.color == "gray" else 3
        for name in ("mean", "std"):
            value = getattr(self, name)
            values = (value,) if isinstance(value, int | float) else value
            single = isinstance(values, list | tuple) and len(values) == 1
            object.__setattr__(self, name, tuple(values) * channels if single else values)
        super().__post_init__()
        for name in ("mean", "std"):
            count = len(getattr(self, name))
            if count != channels:
                raise ModelError(
                    f"{name} of {self.name!r} needs {channels} numbers for {self.color}, "
                    f"got {count}."
                )
        for measure in self.measures:
            if measure not in MEASURES:
                words = ", ".join(MEASURES)
                raise ModelError(f"a measure of {self.name!r} is one of {words}, got {measure!r}.")
        check_labels(self.labels, f"{self.name!r}")
        if not 1 <= self.input_size <= MAX_SIDE:
            raise ModelError(
                f"input_size of {self.name!r} is 1 to {MAX_SIDE} pixels, got {self.input_size}."
            )
        if self.temperature <= 0 or min(self.std) <= 0:
            raise ModelError(f"temperature and std of {self.name!r} must be above 0.")


@contextmanager
def card_of(path: Path) -> Iterator[None]:
    """What is wrong with a card names the model's file.

    Raises:
        ModelError: a field does not exist, or does not make sense.
    """
    try:
        yield
    except TypeError as error:
        raise ModelError(f"the card of {path} has a wrong field: {error}.") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def check_labels(labels: Sequence[str], owner: str) -> None:
    """Make sure that labels can be columns of a table and words on a screen.

    Raises:
        ModelError: there is none or too many, one is empty, there twice or cannot be printed.
    """
    if not 0 < len(set(labels)) == len(labels) <= _MAX_LABELS:
        shown = ", ".join(label[:40] for label in labels[:10]) or "none"
        raise ModelError(
            f"{owner} needs different labels, 1 to {_MAX_LABELS}, got {len(labels)}: {shown!r}."
        )
    if UNCERTAIN in labels:
        raise ModelError(f"{owner} has a label {UNCERTAIN!r}: that is the answer where none wins.")
    odd = [label for label in labels if not label.strip() or not label.isprintable()]
    if odd:
        raise ModelError(f"{owner} has a label that cannot be shown: {odd[0]!a}.")


def parse_card(text: str, what: str) -> dict[str, Any]:
    """The fields of a card's JSON.

    Raises:
        ModelError: it is no JSON object, or far too long; `what` says whose it is.
    """
    if len(text) > _MAX_CARD:
        raise ModelError(f"{what} has {len(text):,} characters, more than {_MAX_CARD:,}.")
    try:
        table = json.loads(text)
    except RecursionError as error:
        raise ModelError(f"{what} cannot be read: it is nested too deeply.") from error
    except ValueError as error:
        raise ModelError(f"{what} cannot be read: {error}.") from error
    if not isinstance(table, dict):
        raise ModelError(f"{what} is not a JSON object.")
    return table


def read_fields(path: Path) -> dict[str, Any]:
    """Fields of a card from a JSON file, for models that carry none.

    Raises:
        ModelError: it cannot be read, or is no JSON object.
    """
    what = f"the model's card {path}"
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_MAX_CARD + 1)
    except (OSError, ValueError) as error:
        raise ModelError(f"{what} cannot be read: {error}.") from error
    return parse_card(text, what)
