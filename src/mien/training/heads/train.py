"""Training a head: a small perceptron on a model's features.

After A. V. Savchenko, "Frame-level prediction of facial expressions, valence, arousal and action
units for mobile devices" (CVPRW 2022, arXiv 2203.13436): features of a frozen
network, 128 rectified units, one output for each label; class weights, and 1 - CCC for valence
and arousal. Unlike there, the round, the temperature and the thresholds are chosen on validation
rows, and the figures are measured on test rows.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import InputError
from mien.evaluation.intervals import refusal
from mien.evaluation.metrics import best_threshold
from mien.expressions.heads import HeadCard, Task, input_columns
from mien.training.heads.alignment import LabeledFeatures
from mien.training.heads.export import Last, Layer, apply, write_head
from mien.training.heads.metrics import Predictions, figures_of, is_distribution
from mien.training.heads.splits import Division, divide
from mien.training.trained import Report, Trained, card_figures
from mien.types import FloatArray

#: The fewest rows with a column present, and with it absent, in each part.
LEAST_PRESENT = 5
_HEAVIEST = 20.0  # the largest ratio between the weights of two rows
_LEAST_BATCH, _LEAST_STEPS = 16, 50


@dataclass(frozen=True)
class HeadRecipe:
    """How a head is trained.

    Attributes:
        task: of the head.
        hidden: size of the hidden layer; 0 for a linear head.
        rounds: at most; a round is an epoch, or 50 steps where that is more.
        patience: rounds without a better validation loss before training stops.
        batch, lr, weight_decay: of the optimizer, AdamW with a cosine schedule.
        class_weights: class balancing, 1 full, 0 none. None: for hard labels of expressions
            whichever of the two has the better macro F1 on the validation rows; 0 for shares of
            votes; 1 for what is present or absent, undone again afterwards.
        seed: of weights, order and division.
    """

    task: Task
    hidden: int = 128
    rounds: int = 30
    patience: int = 6
    batch: int = 256
    lr: float = 1e-3
    weight_decay: float = 1e-2
    class_weights: float | None = None
    seed: int = 0


def train_head(
    rows: LabeledFeatures, recipe: HeadRecipe, path: Path, report: Report
) -> Trained[HeadCard]:
    """Train a head on labeled features and write it to `path`.

    The rows are as `mien.training.heads.alignment.match` gives them; `report` gets a line after
    each round.

    Raises:
        InputError: too few rows, or no column that can be learned.
    """
    parts = divide(rows, recipe.seed)
    rows, notes = _learnable(rows, recipe.task, parts)
    layers, last, how = _best_layers(recipe, rows, parts, report)
    validation, test = rows.rows(parts.validation), rows.rows(parts.test)
    thresholds: tuple[float, ...] = ()
    if recipe.task in ("action-units", "multilabel"):
        outputs = apply(layers, last, validation.features)
        thresholds = tuple(_thresholds(validation.values, outputs))
    values = apply(layers, last, test.features)
    refused = refusal(len(set(test.people.tolist())), "people or videos")
    found = Predictions(rows.columns, values, test.values, thresholds, test.people)
    figures = () if refused else tuple(figures_of(recipe.task, found))
    card = HeadCard(
        path.stem,
        recipe.task,
        rows.columns,
        thresholds,
        rows.inputs,
        _filling(rows.rows(parts.train)),
        size=rows.features.shape[1],
        model=rows.model,
        model_sha256=rows.sha256,
        training_data=f"{_counted(rows)}, labels brought by the user",
        figures=card_figures(figures),
        protocol=(
            f"tested once on {_counted(test)}",
            f"trained on {_counted(rows.rows(parts.train))}; {how} chosen on "
            f"{_counted(validation)}",
            *parts.protocol,
        ),
    )
    write_head(path, card, layers, last)
    return Trained(path, card, figures, (*notes, refused) if refused else notes)


def _filling(rows: LabeledFeatures) -> tuple[float, ...]:
    """Means of the inputs that are columns of a table, see `HeadCard.filling`."""
    count = len(input_columns(rows.inputs))
    means = rows.features[:, rows.features.shape[1] - count :].mean(axis=0, dtype=np.float64)
    return tuple(float(f"{mean:.6g}") for mean in means)


#: What is chosen besides the round, by task.
_FITTED = {
    "expression": " and temperature",
    "action-units": " and thresholds",
    "multilabel": " and thresholds",
}


def _best_layers(
    recipe: HeadRecipe, rows: LabeledFeatures, parts: Division, report: Report
) -> tuple[list[Layer], Last, str]:
    """The trained layers, and what was chosen, in words."""
    powers: tuple[float | None, ...] = (recipe.class_weights,)
    hard = recipe.task == "expression" and not ((rows.values > 0) & (rows.values < 1)).any()
    if recipe.class_weights is None and hard:
        powers = (0.0, 1.0)
    best, choice = -1.0, None
    for power in powers:
        torch.manual_seed(recipe.seed)
        learner = _Learner(replace(recipe, class_weights=power), rows, parts)
        learner.fit(report)
        layers, last = learner.layers()
        words = f"round {learner.best_round}{_FITTED.get(recipe.task, '')}"
        score = 0.0
        if len(powers) > 1:
            some = rows.rows(parts.validation)
            values = apply(layers, last, some.features)
            figures = figures_of(recipe.task, Predictions(rows.columns, values, some.values))
            score = next(f.value for f in figures if f.name == "macro_f1")
            words = f"class weights {power:g} (of 0 and 1), {words}"
        if score > best:
            best, choice = score, (layers, last, words)
    assert choice is not None
    return choice


def _counted(rows: LabeledFeatures) -> str:
    people = len(np.unique(rows.people.astype(str)))
    who = "person or video" if people == 1 else "people or videos"
    return f"{len(rows):,} faces of {people:,} {who}"


def _thresholds(truth: FloatArray, values: FloatArray) -> list[float]:
    thresholds = []
    for column in range(truth.shape[1]):
        known = ~np.isnan(truth[:, column])
        present = truth[known, column] >= 0.5
        thresholds.append(round(best_threshold(present, values[known, column]), 4))
    return thresholds


def _learnable(
    rows: LabeledFeatures, task: Task, parts: Division
) -> tuple[LabeledFeatures, tuple[str, ...]]:
    """The rows with those columns of which there is enough in every part."""
    kept = np.ones(len(rows.columns), np.bool_)
    if task in ("action-units", "multilabel"):
        for part in (parts.train, parts.validation, parts.test):
            present = (rows.values[part] >= 0.5).sum(axis=0)
            absent = (rows.values[part] < 0.5).sum(axis=0)
            kept &= (present >= LEAST_PRESENT) & (absent >= LEAST_PRESENT)
    elif task != "expression":  # an expression without training rows is an error each time
        for part in (parts.train, parts.validation, parts.test):
            kept &= (~np.isnan(rows.values[part])).sum(axis=0) >= LEAST_PRESENT
    out = [name for name, keep in zip(rows.columns, kept, strict=True) if not keep]
    if int(kept.sum()) < (2 if task == "expression" else 1):
        raise InputError(
            f"nothing can be learned: too few faces with {', '.join(out[:6]) or 'two labels'} "
            "in the training, validation or test rows."
        )
    notes = (f"too few faces with and without {', '.join(out)}: left out.",) if out else ()
    return rows.only(kept), notes


class _Learner:
    """A perceptron in training."""

    def __init__(self, recipe: HeadRecipe, rows: LabeledFeatures, parts: Division) -> None:
        self.recipe = recipe
        values = np.nan_to_num(rows.values, nan=-1.0)
        self.shares = recipe.task == "expression" or (
            recipe.task == "regression" and is_distribution(rows.values)
        )
        if recipe.task == "expression":  # a label without training rows may still occur
            total = values.sum(axis=1, keepdims=True)
            values = values / np.maximum(total, 1e-9)
        known = ~np.isnan(rows.values)
        train = rows.features[parts.train]
        self.mean = train.mean(axis=0, dtype=np.float64)
        self.std = train.std(axis=0, dtype=np.float64)
        self.std[self.std <= 1e-5 * float(self.std.max(initial=0))] = 1.0  # constant features
        self.offset = np.zeros(values.shape[1])
        self.scale = np.ones(values.shape[1])
        if recipe.task == "regression" and not self.shares:
            labels = np.where(known, rows.values, np.nan)[parts.train]
            self.offset = np.nanmean(labels, axis=0)
            self.scale = np.maximum(np.nanstd(labels, axis=0), 1e-6)
            values = np.where(known, (rows.values - self.offset) / self.scale, 0)
        self.data = {
            name: (
                torch.from_numpy(self._standard(rows.features[part])),
                torch.from_numpy(np.ascontiguousarray(values[part], np.float32)),
                torch.from_numpy(np.ascontiguousarray(known[part], np.float32)),
            )
            for name, part in (("train", parts.train), ("validation", parts.validation))
        }
        self._weigh()
        d, k = rows.features.shape[1], values.shape[1]
        hidden = [nn.Linear(d, recipe.hidden), nn.ReLU()] if recipe.hidden else []
        self.net = nn.Sequential(*hidden, nn.Linear(recipe.hidden or d, k))
        self.best_round = 0

    def _standard(self, features: FloatArray) -> FloatArray:
        return np.asarray((features - self.mean) / self.std, np.float32)

    def _weigh(self) -> None:
        """Weights of labels, from the training rows."""
        _, values, known = self.data["train"]
        power = self.recipe.class_weights
        if power is None:
            power = 0.0 if self.shares else 1.0
        if self.shares:
            share = values.mean(dim=0).clamp(min=1e-6)
            weights = (share * len(share)) ** -power
            self.weights = weights.clamp(max=_HEAVIEST * float(weights.min()))
        else:
            present = (values * known).sum(dim=0).clamp(min=1)
            ratio = ((known.sum(dim=0) - present).clamp(min=1) / present) ** power
            self.weights = ratio.clamp(1 / _HEAVIEST, _HEAVIEST)

    def fit(self, report: Report) -> None:
        """Train, and keep the weights of the round with the best validation loss."""
        recipe = self.recipe
        features, values, known = self.data["train"]
        # Concordance means little in small batches.
        most = 2 * recipe.batch if recipe.task == "valence-arousal" else recipe.batch
        batch = min(max(_LEAST_BATCH, min(most, len(features) // 8)), len(features))
        steps = max(_LEAST_STEPS, len(features) // batch)
        optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.rounds * steps)
        batches = _batches(len(features), batch, recipe.seed)
        lowest, best = math.inf, copy.deepcopy(self.net.state_dict())
        for number in range(1, recipe.rounds + 1):
            self.net.train()
            total = 0.0
            for _ in range(steps):
                rows = next(batches)
                loss = self._loss(self.net(features[rows]), values[rows], known[rows])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                total += float(loss.detach())
            loss_there = self._validation_loss()
            report({"round": number, "loss": total / steps, "validation_loss": loss_there})
            if loss_there < lowest - 1e-6:
                lowest, best = loss_there, copy.deepcopy(self.net.state_dict())
                self.best_round = number
            elif number - self.best_round >= recipe.patience:
                break
        self.net.load_state_dict(best)
        self.net.eval()

    @torch.no_grad()
    def _validation_loss(self) -> float:
        self.net.eval()
        features, values, known = self.data["validation"]
        return float(self._loss(self.net(features), values, known))

    def _loss(self, outputs: Tensor, values: Tensor, known: Tensor) -> Tensor:
        if self.shares:
            weights = values @ self.weights
            losses = -(values * F.log_softmax(outputs, dim=1)).sum(dim=1)
            return (losses * weights).sum() / weights.sum().clamp(min=1e-9)
        task = self.recipe.task
        if task == "valence-arousal":
            return 1 - concordances(torch.tanh(outputs), values, known).mean()
        if task == "regression":
            return ((outputs - values).square() * known).sum() / known.sum().clamp(min=1)
        losses = F.binary_cross_entropy_with_logits(
            outputs, values.clamp(0, 1), pos_weight=self.weights, reduction="none"
        )
        return (losses * known).sum() / known.sum().clamp(min=1)

    def layers(self) -> tuple[list[Layer], Last]:
        """The layers with everything folded in: standardized features, temperature, weights.

        Weights of what is present or absent make it predicted too often; subtracting their
        logarithm from the last bias undoes that, so that the outputs are probabilities again.
        """
        linear = [module for module in self.net if isinstance(module, nn.Linear)]
        layers = [
            (
                m.weight.detach().numpy().astype(np.float64),
                m.bias.detach().numpy().astype(np.float64),
            )
            for m in linear
        ]
        kernel, bias = layers[0]
        layers[0] = (kernel / self.std, bias - (kernel / self.std) @ self.mean)
        kernel, bias = layers[-1]
        last: Last = "none"
        if self.shares:
            divisor = self._temperature()
            kernel, bias, last = kernel / divisor, bias / divisor, "softmax"
        elif self.recipe.task == "valence-arousal":
            last = "tanh"
        elif self.recipe.task == "regression":
            kernel, bias = kernel * self.scale[:, None], bias * self.scale + self.offset
        else:
            bias, last = bias - self.weights.log().numpy(), "sigmoid"
        layers[-1] = (kernel, bias)
        return [(np.asarray(k, np.float32), np.asarray(b, np.float32)) for k, b in layers], last

    @torch.no_grad()
    def _temperature(self) -> float:
        """The divisor of the logits with the lowest validation loss."""
        features, values, _ = self.data["validation"]
        logits = self.net(features)
        grid = torch.logspace(-0.5, 0.7, 121).tolist()
        losses = [
            float(-(values * F.log_softmax(logits / t, dim=1)).sum(dim=1).mean()) for t in grid
        ]
        return float(grid[int(np.argmin(losses))])


def _batches(n: int, batch: int, seed: int) -> Iterator[Tensor]:
    """Rows of one batch after the other, in a new order in each epoch."""
    rng = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(n, generator=rng)
        yield from (order[start : start + batch] for start in range(0, n - batch + 1, batch))


def concordances(predicted: Tensor, values: Tensor, known: Tensor) -> Tensor:
    """``(k,)`` concordance correlation of each column over its known rows (Lin 1989)."""
    count = known.sum(dim=0).clamp(min=1)

    def mean(columns: Tensor) -> Tensor:
        return (columns * known).sum(dim=0) / count

    one, other = mean(predicted), mean(values)
    shared = mean((predicted - one) * (values - other))
    spread = mean((predicted - one).square()) + mean((values - other).square())
    return 2 * shared / (spread + (one - other).square()).clamp(min=1e-8)
