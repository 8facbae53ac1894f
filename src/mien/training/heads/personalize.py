"""Personalization: the model's own last layer, adapted to one person by a few labeled frames.

Resting faces differ between people, and a model trained on many predicts sadness or anger for some
of them. A few labeled frames of that person correct it. The head starts as the model's last layer
and is regularized towards it, as by a Gaussian prior around it (the "regularized adaptation" of Li
and Bilmes 2006, and L2-SP of Li et al. 2018, arXiv 1802.01483): the more frames contradict the
model, the further it moves.
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
from mien.evaluation.intervals import FEW, Estimate, share, student_t
from mien.expressions.heads import HeadCard
from mien.expressions.onnx import OnnxClassifier
from mien.models.session import file_sha256
from mien.training.heads.alignment import LabeledFeatures
from mien.training.heads.export import Layer, apply, write_head
from mien.training.trained import Trained, card_figures
from mien.types import FloatArray, IntArray

#: How far a person is expected to be from the model: standard deviations, in logits, of the
#: change by the weights and by the biases at a usual face. Chosen on FER+ validation, see
#: docs/heads.md.
WEIGHTS, BIASES = 0.5, 0.3
LEAST = 4
MOMENT_S = 2.0
CLEARLY = 0.90  # the middle of Student's t: one chance in twenty above it
_FOLDS = 20


@dataclass(frozen=True, eq=False)
class LastLayer:
    """The last layer of a model, its temperature folded in: it predicts softmax(w f + b).

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
            ModelError: the file does not have it, or it is not a linear layer on the features.
        """
        weights = model.head_weights
        size = model.input_size
        some = np.random.default_rng(0).integers(0, 255, (2, size, size, 3)).astype(np.uint8)
        inside = model.activations(some)
        wrong = f"{model.card.name} does not export its last layer, so it cannot be adapted."
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
        """For `mien.training.heads.export`."""
        return self.weights, self.biases


def adapt(model: OnnxClassifier, rows: LabeledFeatures, path: Path) -> Trained[HeadCard]:
    """Adapt the model's last layer to a person's labeled frames and write it as a head.

    Frames of the same two seconds of a video are one moment. Every moment is predicted by a layer
    that was not fitted to it; only where that is better than the model, significantly (Student's t,
    one-sided, 5 %), is the head changed. Otherwise it is the model's last layer unchanged, and a
    note says so: a few frames may help, and must do no harm.

    Args:
        model: the model whose features the rows are; its labels stay.
        rows: labeled faces of one person at 4 moments or more, with labels of the model.
        path: the new ``.onnx``.

    Raises:
        InputError: too few moments.
        ModelError: the features are another model's, or its last layer is not exported.
        UsageError: a label that the model does not have.
    """
    sha256 = file_sha256(model.path)
    if rows.sha256 not in ("", sha256):
        raise ModelError(
            f"these are features of another model, or another version of it, than "
            f"{model.card.name}: analyze the videos again."
        )
    unknown = [label for label in rows.columns if label not in model.labels]
    if unknown:
        labels = ", ".join(model.labels)
        raise UsageError(f"{model.card.name} has no label {unknown[0]!r}; it has {labels}.")
    moments = _moments(rows)
    count = int(moments.max(initial=-1)) + 1
    if count < LEAST:
        raise InputError(
            f"labeled faces at {LEAST} or more moments are needed, there are {count}; those "
            f"within {MOMENT_S:g} s of a video are one."
        )
    truth = np.zeros((len(rows), len(model.labels)), np.float32)
    truth[:, [model.labels.index(label) for label in rows.columns]] = rows.values
    start = LastLayer.of(model)
    weights = 1 / np.bincount(moments)[moments]
    figures, better = _measure(start, rows, truth, weights, moments)
    layer = fit_layer(start, rows.features, truth, weights) if better else start.layer
    protocol = (
        f"{len(rows)} faces at {count} moments, each predicted by a layer that was not fitted to "
        f"it; a moment is {MOMENT_S:g} s of a video, or an image, and counts once",
    )
    card = HeadCard(
        path.stem,
        "expression",
        model.labels,
        size=rows.features.shape[1],
        model=model.card.name,
        model_sha256=sha256,
        training_data=f"{model.card.name}'s last layer; {len(rows)} faces at {count} moments, "
        "labels brought by the user",
        licence=model.card.licence,
        figures=card_figures(figures),
        protocol=protocol,
    )
    write_head(path, card, [layer], "softmax")
    notes = [_BETTER if better else _NO_BETTER]
    if not figures:
        notes.append(
            f"{count} moments are too few for figures ({FEW} at least), so none are given."
        )
    return Trained(path, card, figures, tuple(notes))


_BETTER = "on held-out moments, the head fits these labels better than the model."
_NO_BETTER = (
    "these labels do not contradict the model significantly, so the head is the model's last layer "
    "unchanged: label moments that it gets wrong."
)


def fit_layer(
    start: LastLayer,
    features: FloatArray,
    truth: FloatArray,
    weights: npt.NDArray[np.float64],
    freedom: tuple[float, float] = (WEIGHTS, BIASES),
) -> Layer:
    """The last layer that fits the frames best while staying near `start`.

    Minimizes ``sum w_i CE_i + s |dW|^2 / (2 a^2) + |db|^2 / (2 b^2)`` where s is the mean square
    length of the features, so that a and b are the expected changes of a logit.

    Args:
        start: the model's own.
        features: ``(n, d)``.
        truth: ``(n, k)``, rows sum to 1.
        weights: ``(n,)`` of the frames.
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
        log_p = F.log_softmax(base + x @ kernel.T + bias, dim=1)
        penalty = kernel.square().sum() * scale / freedom[0] ** 2
        penalty = penalty + bias.square().sum() / freedom[1] ** 2
        value = -(w[:, None] * y * log_p).sum() + penalty / 2
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return start.weights + kernel.detach().numpy(), start.biases + bias.detach().numpy()


def _moments(rows: LabeledFeatures) -> IntArray:
    """``(n,)``: frames of the same two seconds of a video share a number, each image has one."""
    videos = np.unique(rows.videos.astype(str), return_inverse=True)[1]
    pieces = np.nan_to_num(rows.times, nan=-1) // MOMENT_S
    images = np.isnan(rows.times)
    pieces[images] = -2.0 - np.flatnonzero(images)
    return np.unique(np.stack([videos, pieces]), axis=1, return_inverse=True)[1].ravel()


def _measure(
    start: LastLayer,
    rows: LabeledFeatures,
    truth: FloatArray,
    weights: npt.NDArray[np.float64],
    moments: IntArray,
) -> tuple[tuple[Estimate, ...], bool]:
    """Accuracy and cross-entropy before and after, and whether the latter fell significantly.

    Fewer than 10 moments have no figures.
    """
    count = int(moments.max()) + 1
    folds = moments if count <= _FOLDS else moments % _FOLDS
    before = apply([start.layer], "softmax", rows.features)
    after = np.empty_like(before)
    for fold in np.unique(folds):
        out = folds == fold
        layer = fit_layer(start, rows.features[~out], truth[~out], weights[~out])
        after[out] = apply([layer], "softmax", rows.features[out])
    labels, figures, losses = truth.argmax(axis=1), [], []
    for name, values in (("before", before), ("after", after)):
        right = values.argmax(axis=1) == labels
        losses.append(-(truth * np.log(np.maximum(values, 1e-9))).sum(axis=1))
        accuracy = share(np.bincount(moments, weights * right))
        figures.append(accuracy.named(f"accuracy_{name}", "moments whose label is the top one"))
        loss = Estimate(float(np.average(losses[-1], weights=weights)), count=count)
        figures.append(loss.named(f"loss_{name}", "cross-entropy, nats", is_share=False))
    gains = np.bincount(moments, weights * (losses[0] - losses[1]))
    error = float(gains.std(ddof=1)) / np.sqrt(count)
    significant = bool(gains.mean() > student_t(count - 1, CLEARLY) * error)
    return tuple(figures) if count >= FEW else (), significant
