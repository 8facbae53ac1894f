"""One person's head: the model's own last layer, moved a little by a handful of labelled frames.

What a face looks like at rest differs between people, and a model trained on many takes some
resting faces for sadness or anger. A few frames of that person tell. The head starts as the
model's last layer and is pulled back to it, as by a Gaussian prior around it (the "regularised
adaptation" of Li and Bilmes 2006, and L2-SP of Li et al. 2018, arXiv 1802.01483): the more frames
speak against the model, the further it moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from mien.errors import InputError, ModelError, UsageError
from mien.evaluation import Figure
from mien.evaluation.intervals import FEW, share, student_t
from mien.expressions.heads import HeadCard
from mien.expressions.onnx import OnnxClassifier
from mien.models.session import file_sha256
from mien.training.heads.alignment import Matched
from mien.training.heads.export import Layer, apply, write_head
from mien.training.heads.train import Trained
from mien.types import FloatArray, IntArray

#: How far a person is expected to be from the model: standard deviations, in logits, of what the
#: weights and the biases change at a usual face. Chosen on FER+ validation, see docs/heads.md.
WEIGHTS, BIASES = 0.5, 0.3
LEAST = 4
MOMENT_S = 2.0
CLEARLY = 0.90  # of Student's t lies in the middle: one chance in twenty above it
_FOLDS = 20


@dataclass(frozen=True, eq=False)
class LastLayer:
    """The last layer of a model, its temperature folded in: softmax(w f + b) is what it tells.

    Attributes:
        weights: ``(k, d)``.
        biases: ``(k,)``.
    """

    weights: FloatArray
    biases: FloatArray

    @classmethod
    def of(cls, model: OnnxClassifier) -> LastLayer:
        """Read it from a model's file.

        Raises:
            ModelError: the file does not show it, or it is not a linear layer on the features.
        """
        weights = model.head_weights
        size = model.input_size
        some = np.random.default_rng(0).integers(0, 255, (2, size, size, 3)).astype(np.uint8)
        inside = model.activations(some)
        wrong = f"{model.card.name} does not show its last layer, so that it cannot be adapted."
        if weights is None or inside.embedding is None or model.card.activation != "softmax":
            raise ModelError(wrong)
        if weights.shape != (len(model.labels), inside.embedding.shape[1]):
            raise ModelError(wrong)
        biases = inside.logits - inside.embedding @ weights.T
        if np.abs(biases[0] - biases[1]).max() > 1e-2:
            raise ModelError(wrong)
        divisor = model.card.temperature
        return cls(weights / divisor, np.asarray(biases.mean(axis=0) / divisor, np.float32))

    @property
    def layer(self) -> Layer:
        """As `mien.training.heads.export` takes it."""
        return self.weights, self.biases


def adapt(model: OnnxClassifier, rows: Matched, path: Path) -> Trained:
    """Adapt the model's last layer to a person's labelled frames and write it as a head.

    Frames of the same two seconds of a film are one moment. Every moment is judged by a layer
    that did not learn from it; only where that fits better than the model, by more than chance
    makes in one of twenty cases (Student's t), is the head moved. Else it is the model's last layer
    as it was, and that is said: a few frames may help, and shall do no harm.

    Args:
        model: the model whose features the rows are; its labels stay.
        rows: labelled faces of one person at 4 moments or more, with labels of the model.
        path: the new ``.onnx``.

    Raises:
        InputError: too few moments.
        ModelError: the features are of another model, or its last layer is not to be seen.
        UsageError: a label that the model does not have.
    """
    sha256 = file_sha256(model.path)
    if rows.sha256 not in ("", sha256):
        raise ModelError(
            f"these are features of another model, or another version of it, than "
            f"{model.card.name}: analyse the films again."
        )
    strange = [label for label in rows.columns if label not in model.labels]
    if strange:
        known = ", ".join(model.labels)
        raise UsageError(f"{model.card.name} has no label {strange[0]!r}; it has {known}.")
    moments = _moments(rows)
    count = int(moments.max(initial=-1)) + 1
    if count < LEAST:
        raise InputError(
            f"labelled faces at {LEAST} moments or more are needed, there are {count}; those "
            f"within {MOMENT_S:g} s of a film are one."
        )
    truth = np.zeros((len(rows), len(model.labels)), np.float32)
    truth[:, [model.labels.index(label) for label in rows.columns]] = rows.values
    start = LastLayer.of(model)
    weights = 1 / np.bincount(moments)[moments]
    figures, helps = _measured(start, rows, truth, weights, moments)
    layer = moved(start, rows.features, truth, weights) if helps else start.layer
    protocol = (
        f"{len(rows)} faces at {count} moments, each moment judged by a layer that did not "
        f"learn from it; a moment is {MOMENT_S:g} s of a film, or a picture, and counts once",
    )
    card = HeadCard(
        path.stem,
        "expression",
        model.labels,
        model.card.name,
        sha256,
        rows.features.shape[1],
        training_data=f"{model.card.name}'s last layer; {len(rows)} faces at {count} moments, "
        "labels brought by the user",
        licence=model.card.licence,
        figures={f.name: round(f.value, 5) for f in figures},
        protocol=protocol,
    )
    write_head(path, card, [layer], "softmax")
    told = [_HELPS if helps else _HELPS_NOT]
    if not figures:
        told.append(f"{count} moments are too few for figures ({FEW} at least), so none are given.")
    return Trained(path, card, tuple(figures), tuple(told))


_HELPS = "on moments that it had not seen, the head fits these labels better than the model."
_HELPS_NOT = (
    "these labels do not speak clearly against the model, so the head tells what the model tells: "
    "label moments that it gets wrong."
)


def moved(
    start: LastLayer,
    features: FloatArray,
    truth: FloatArray,
    weights: npt.NDArray[np.float64],
    freedom: tuple[float, float] = (WEIGHTS, BIASES),
) -> Layer:
    """The last layer that explains the frames best without being far from `start`.

    Minimises ``sum w_i CE_i + s |dW|^2 / (2 a^2) + |db|^2 / (2 b^2)`` where s is the mean square
    length of the features, so that a and b are the expected changes of a logit.

    Args:
        start: the model's own.
        features: ``(n, d)``.
        truth: ``(n, k)``, rows sum to 1.
        weights: ``(n,)`` how much each frame counts.
        freedom: a and b.
    """
    x, y = torch.from_numpy(features), torch.from_numpy(truth)
    w = torch.from_numpy(weights.astype(np.float32))
    base = x @ torch.from_numpy(start.weights.T.copy()) + torch.from_numpy(start.biases)
    scale = float(x.square().sum(dim=1).mean())
    kernel = torch.zeros(start.weights.shape, requires_grad=True)
    bias = torch.zeros(start.biases.shape, requires_grad=True)
    optimizer = torch.optim.LBFGS([kernel, bias], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        told = F.log_softmax(base + x @ kernel.T + bias, dim=1)
        away = kernel.square().sum() * scale / freedom[0] ** 2
        away = away + bias.square().sum() / freedom[1] ** 2
        value = -(w[:, None] * y * told).sum() + away / 2
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    found = kernel.detach().numpy(), bias.detach().numpy()
    return start.weights + found[0], start.biases + found[1]


def _moments(rows: Matched) -> IntArray:
    """``(n,)``: frames of the same two seconds of a film share a number, each picture has one."""
    films = np.unique(rows.films.astype(str), return_inverse=True)[1]
    pieces = np.nan_to_num(rows.times, nan=-1) // MOMENT_S
    pictures = np.isnan(rows.times)
    pieces[pictures] = -2.0 - np.flatnonzero(pictures)
    return np.unique(np.stack([films, pieces]), axis=1, return_inverse=True)[1].ravel()


def _measured(
    start: LastLayer,
    rows: Matched,
    truth: FloatArray,
    weights: npt.NDArray[np.float64],
    moments: IntArray,
) -> tuple[list[Figure], bool]:
    """Right answers and cross-entropy before and after, and whether the second clearly fell.

    Fewer than 10 moments have no figures.
    """
    count = int(moments.max()) + 1
    folds = moments if count <= _FOLDS else moments % _FOLDS
    before = apply([start.layer], "softmax", rows.features)
    after = np.empty_like(before)
    for fold in np.unique(folds):
        out = folds == fold
        layer = moved(start, rows.features[~out], truth[~out], weights[~out])
        after[out] = apply([layer], "softmax", rows.features[out])
    answers, found, losses = truth.argmax(axis=1), [], []
    for name, values in (("before", before), ("after", after)):
        right = values.argmax(axis=1) == answers
        losses.append(-(truth * np.log(np.maximum(values, 1e-9))).sum(axis=1))
        part = share(np.bincount(moments, weights * right))
        words = "moments whose label is the top one"
        found.append(Figure(f"accuracy_{name}", part.value, count, words, part.low, part.high))
        mean = float(np.average(losses[-1], weights=weights))
        found.append(Figure(f"loss_{name}", mean, count, "cross-entropy, nats"))
    gains = np.bincount(moments, weights * (losses[0] - losses[1]))
    error = float(gains.std(ddof=1)) / np.sqrt(count)
    clearly = bool(gains.mean() > student_t(count - 1, CLEARLY) * error)
    return found if count >= FEW else [], clearly
