"""A classifier from a ``.onnx`` file and its card."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.errors import ModelError, UsageError
from mien.expressions.base import Activations, ClassifierDescription
from mien.expressions.saliency import class_activation
from mien.labels import ATTRIBUTES, EMBEDDINGS, IDENTITY
from mien.media.brightness import brightened
from mien.models.card import METADATA_KEY, CropSpec, ModelCard, card_of, read_fields
from mien.models.session import Session
from mien.types import Crops, FloatArray, IntArray, Scores


class OnnxClassifier:
    """Runs an expression network on ONNX Runtime.

    Args:
        path: the ``.onnx`` file.
        card: a `ModelCard`, or a mapping with some of its fields, which override those in the file
            (``labels`` at least if the file has no card). Without it, ``NAME.json`` is read beside
            a ``NAME.onnx`` that has no card.
        threads: threads per run; None for all processors.
        batch_size: maximum number of faces per run.
        also: ("features",) to compute the features, too.

    Raises:
        ModelError: the file is missing or broken, has no card and none was given, the card does
            not fit the network, or the model lacks an output named in `also`.
        UsageError: `also` has an unknown name.
    """

    def __init__(
        self,
        path: str | Path,
        card: ModelCard | Mapping[str, Any] | None = None,
        *,
        threads: int | None = None,
        batch_size: int = 32,
        also: Sequence[str] = (),
    ) -> None:
        if batch_size < 1:
            raise UsageError(f"batch_size must be at least 1, got {batch_size}.")
        side = card.input_size if isinstance(card, ModelCard) else (card or {}).get("input_size")
        self._net = Session(path, threads, side if isinstance(side, int) else None)
        self._batch_size = batch_size
        self.card: ModelCard = _find_card(self._net, card)
        self._check_network()
        self.also: tuple[str, ...] = tuple(also)
        self._extra = _outputs(self.card, self.also)
        # A network with a fixed batch is fed exactly that many.
        batch = self._net.input_shape[0]
        self._fixed_batch = batch if isinstance(batch, int) else None

    def _check_network(self) -> None:
        """Make sure that the network has the outputs and shapes that the card says."""
        card, size = self.card, self.card.input_size
        channels = 1 if card.color == "gray" else 3
        item = (channels, size, size) if card.layout == "nchw" else (size, size, channels)
        self._net.check(item, {})
        self._check_scores(self._net.numbers(card.scores))
        for name in (card.embedding, card.feature_map, card.head):
            if name:
                self._net.numbers(name)  # says so where there is no such output

    def _check_scores(self, given: int | None) -> None:
        measures = len(self.card.measures)
        if given not in (None, len(self.labels) + measures):
            raise ModelError(
                f"{self.path} returns {given} scores per face, but its card has {len(self.labels)} "
                f"labels{f' and {measures} measures' if measures else ''}."
            )

    @property
    def path(self) -> Path:
        """The model file."""
        return self._net.path

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the columns, in the model's order."""
        return self.card.labels

    @property
    def measures(self) -> tuple[str, ...]:
        """Additional numeric columns: some of `mien.labels.MEASURES`."""
        return self.card.measures

    @property
    def input_size(self) -> int:
        """Side of the crops, pixels."""
        return self.card.input_size

    @property
    def crop(self) -> CropSpec:
        """How faces are cropped."""
        return self.card.crop

    @property
    def description(self) -> ClassifierDescription:
        """Of the model, from its card."""
        card = self.card
        return ClassifierDescription(card.name, self.path, card.crop, card.measures, self.also)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.card.name!r}, {len(self.labels)} labels)"

    def class_activation_maps(
        self, crops: Crops, targets: FloatArray | IntArray
    ) -> FloatArray | None:
        """Class activation maps ``(n, h, w)``; None where the card names no feature map or head."""
        head = self.head_weights if self.card.feature_map else None
        if head is None:
            return None
        inside = self.activations(crops)
        assert inside.feature_map is not None
        return class_activation(inside.feature_map, head, targets)

    def with_outputs(self, *names: str) -> OnnxClassifier:
        """The same model, which also gives `names`, see `also`.

        Raises:
            ModelError: the model does not have one of them.
        """
        other = copy.copy(self)
        other.also = tuple(dict.fromkeys((*self.also, *names)))
        other._extra = _outputs(self.card, other.also)
        return other

    @property
    def head_weights(self) -> FloatArray | None:
        """``(k, c)`` weights of the last layer, for saliency maps; None if the card has none."""
        if not self.card.head:
            return None
        size = self.input_size
        blank = self.prepare(np.zeros((self._fixed_batch or 1, size, size, 3), np.uint8))
        return np.asarray(self._net.run([self.card.head], blank)[0], np.float32)

    def classify(self, crops: Crops) -> Scores:
        """Classify ``(n, S, S, 3)`` uint8 RGB crops; dark ones are brightened first.

        Returns:
            n rows of probabilities; a softmax of ``logits / temperature`` unless the card says
            that the network returns probabilities.

        Raises:
            UsageError: the crops have another shape or dtype.
        """
        values, *others = self._run(crops, [self.card.scores, *self._extra.values()])
        k = len(self.labels)
        measures = {name: values[:, k + i] for i, name in enumerate(self.card.measures)}
        embeddings = dict(zip(self._extra, others, strict=True))
        shares = self.probabilities(values[:, :k])
        try:
            return Scores(shares, self.labels, measures=measures, embeddings=embeddings)
        except UsageError as error:
            raise ModelError(f"{self.path} does not return probabilities: {error}") from error

    def activations(self, crops: Crops) -> Activations:
        """Logits, embedding and last feature map of ``(n, S, S, 3)`` crops."""
        names = [self.card.scores, self.card.embedding, self.card.feature_map]
        values = iter(self._run(crops, [name for name in names if name]))
        logits, embedding, feature_map = (next(values) if name else None for name in names)
        assert logits is not None
        return Activations(logits[:, : len(self.labels)], embedding, feature_map)

    def probabilities(self, values: FloatArray) -> FloatArray:
        """Turn the network's raw scores ``(n, k)`` into probabilities, as the card says."""
        if self.card.activation == "softmax":
            values = values / self.card.temperature
            values = np.exp(values - values.max(axis=1, keepdims=True, initial=-np.inf))
            return np.asarray(values / values.sum(axis=1, keepdims=True), np.float32)
        return values

    def _run(self, crops: Crops, outputs: list[str]) -> list[FloatArray]:
        check_crops(crops, self.input_size)
        if not len(crops):  # a blank crop gives the shapes
            blank = np.zeros((1, self.input_size, self.input_size, 3), np.uint8)
            return [value[:0] for value in self._run(blank, outputs)]
        step = self._fixed_batch or self._batch_size
        parts: list[list[FloatArray]] = []
        for start in range(0, len(crops), step):
            batch = crops[start : start + step]
            short = (self._fixed_batch or len(batch)) - len(batch)
            if short:
                batch = np.concatenate([batch, np.repeat(batch[-1:], short, axis=0)])
            lit = np.stack([brightened(crop) for crop in batch])
            values = self._net.run(outputs, self.prepare(lit))
            rows = len(batch) - short
            parts.append([np.asarray(v, np.float32)[:rows] for v in values])
        joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
        joined[0] = joined[0].reshape(len(crops), -1)
        if outputs[0] == self.card.scores:
            self._check_scores(joined[0].shape[1])
        return joined

    def prepare(self, crops: Crops) -> FloatArray:
        """The input of the network: color order, mean and standard deviation, axis order."""
        card = self.card
        if card.color == "gray":  # ITU-R BT.601 brightness
            values = crops.astype(np.float32) @ np.array([[0.299], [0.587], [0.114]], np.float32)
        else:
            values = (crops if card.color == "rgb" else crops[..., ::-1]).astype(np.float32)
        values -= np.array(card.mean, np.float32)
        values /= np.array(card.std, np.float32)
        if card.layout == "nchw":
            values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        return values


def _outputs(card: ModelCard, also: Sequence[str]) -> dict[str, str]:
    """The network's output for each name in `also`."""
    for name in also:
        if name in ATTRIBUTES or name == IDENTITY:
            raise UsageError(
                f"{name!r} comes from a separate network, not from {card.name}: use "
                f"EmotionAnalyzer(also=({name!r},))."
            )
        if name not in EMBEDDINGS:
            every = ", ".join((*ATTRIBUTES, *EMBEDDINGS))
            raise UsageError(f"unknown output {name!r}; use some of {every}.")
        if not card.embedding:
            raise ModelError(f"{card.name} has no output {name!r}.")
    return dict.fromkeys(also, card.embedding)


def check_crops(crops: Crops, size: int) -> None:
    """Raise `UsageError` if an array is not a batch of square crops of side `size`."""
    shape = getattr(crops, "shape", None)
    if (
        not isinstance(crops, np.ndarray)
        or crops.dtype != np.uint8
        or crops.ndim != 4
        or crops.shape[1:] != (size, size, 3)
    ):
        raise UsageError(
            f"crops must be uint8 of shape (n, {size}, {size}, 3), "
            f"got {getattr(crops, 'dtype', type(crops).__name__)} {shape}."
        )


def _find_card(net: Session, given: ModelCard | Mapping[str, Any] | None) -> ModelCard:
    """The given card, completed by that in the file or beside it, and by the network itself."""
    text = net.metadata.get(METADATA_KEY)
    fields: dict[str, Any] = {}
    beside = net.path.with_suffix(".json")
    if text is None and given is None and beside.is_file():
        given = read_fields(beside)
    card = None
    if text:
        with card_of(net.path):
            card = ModelCard.from_json(text)
    if isinstance(given, ModelCard):
        card = given
    elif given is not None:
        fields = dict(given)
    if card is not None:
        with card_of(net.path):
            card = replace(card, **fields)
    else:
        if "labels" not in fields:
            raise ModelError(
                f"{net.path} carries no card; give its labels, for example "
                "card={'labels': ('neutral', 'happiness'), 'input_size': 112}, "
                f"or write them as JSON into {beside.name} beside it."
            )
        fields.setdefault("name", net.path.stem)
        fields.setdefault("input_size", _side(net))
        with card_of(net.path):
            card = ModelCard(**fields)
    return card if card.scores else replace(card, scores=net.output_names[0])


def _side(net: Session) -> int:
    sides: Sequence[int] = [n for n in net.input_shape[1:] if isinstance(n, int) and n > 4]
    if len(set(sides)) != 1:
        raise ModelError(f"{net.path} has no fixed input size: give input_size in the card.")
    return sides[0]
