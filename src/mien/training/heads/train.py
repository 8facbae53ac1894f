"""Training a head: a small perceptron on a model's features.

After A. V. Savchenko, "Frame-level prediction of facial expressions, valence, arousal and action
units for mobile devices" (CVPRW 2022, arXiv 2203.13436): features of a frozen
network, 128 rectified units, one output a label; class weights, and 1 - CCC for valence and
arousal. Unlike there, the round, the temperature and the thresholds are chosen on rows that the
figures are not measured on.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import InputError
from mien.evaluation import Figure
from mien.evaluation.intervals import refusal
from mien.evaluation.metrics import best_threshold
from mien.expressions.heads import HeadCard, Task
from mien.training.heads.alignment import Matched
from mien.training.heads.export import Last, Layer, apply, write_head
from mien.training.heads.metrics import Predicted, figures_of, is_distribution
from mien.training.heads.splits import Division, divide
from mien.types import FloatArray

Report = Callable[[dict[str, Any]], None]
#: Rows with a column there, and rows without, that it takes to learn and to measure it.
LEAST_THERE = 5
_HEAVIEST = 20.0  # no row counts more than this many times another
_LEAST_BATCH, _LEAST_STEPS = 16, 50


@dataclass(frozen=True)
class HeadRecipe:
    """How a head is trained.

    Attributes:
        task: what it learns.
        hidden: rectified units in the middle; 0 for a linear head.
        rounds: at most; a round is an epoch, or 50 steps where that is more.
        patience: rounds without a better loss on the choosing rows before it stops.
        batch, lr, weight_decay: of the optimizer, AdamW with a cosine.
        class_weights: 1: all labels count the same, 0: all faces. None: of expressions told as
            words, whichever of the two gives the better macro F1 on the choosing rows; 0 for
            shares of votes; 1 for what is there or not, taken out again afterwards.
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


@dataclass(frozen=True, eq=False)
class Trained:
    """A head and what was measured of it.

    Attributes:
        path: its file.
        card: see `HeadCard`.
        figures: on rows that it did not learn from.
        protocol, told: how, and what was left out; a sentence each.
    """

    path: Path
    card: HeadCard
    figures: tuple[Figure, ...]
    told: tuple[str, ...] = ()


def train_head(rows: Matched, recipe: HeadRecipe, path: Path, report: Report) -> Trained:
    """Train a head on labelled features and write it to `path`.

    Args:
        rows: see `mien.training.heads.alignment.match`.
        recipe: what and how.
        path: the new ``.onnx``.
        report: gets a line a round.

    Raises:
        InputError: too few rows, or no column that can be learned.
    """
    parts = divide(rows, recipe.seed)
    rows, told = _learnable(rows, recipe.task, parts)
    layers, last, how = _chosen(recipe, rows, parts, report)
    chosen = rows.rows(parts.choose)
    thresholds: tuple[float, ...] = ()
    if recipe.task in ("action-units", "multilabel"):
        thresholds = tuple(_thresholds(chosen.values, apply(layers, last, chosen.features)))
    measured = rows.rows(parts.measure)
    values = apply(layers, last, measured.features)
    refused = refusal(len(set(measured.people.tolist())), "people or films")
    found = Predicted(rows.columns, values, measured.values, thresholds, measured.people)
    figures = [] if refused else figures_of(recipe.task, found)
    protocol = (
        f"{_counted(measured)} that it did not learn from, once, at the end",
        f"learned from {_counted(rows.rows(parts.learn))}; {how} chosen on {_counted(chosen)}",
        *parts.protocol,
    )
    card = HeadCard(
        path.stem,
        recipe.task,
        rows.columns,
        rows.model,
        rows.sha256,
        rows.features.shape[1],
        thresholds,
        training_data=f"{_counted(rows)}, labels brought by the user",
        figures={f.name: round(f.value, 5) for f in figures if not math.isnan(f.value)},
        protocol=protocol,
    )
    write_head(path, card, layers, last)
    return Trained(path, card, tuple(figures), (*told, refused) if refused else told)


#: What is chosen besides the round, by task.
_FITTED = {
    "expression": " and temperature",
    "action-units": " and thresholds",
    "multilabel": " and thresholds",
}


def _chosen(
    recipe: HeadRecipe, rows: Matched, parts: Division, report: Report
) -> tuple[list[Layer], Last, str]:
    """The trained layers, and what was chosen, in words."""
    powers: tuple[float | None, ...] = (recipe.class_weights,)
    hard = recipe.task == "expression" and not ((rows.values > 0) & (rows.values < 1)).any()
    if recipe.class_weights is None and hard:
        powers = (0.0, 1.0)
    best, found = -1.0, None
    for power in powers:
        torch.manual_seed(recipe.seed)
        learner = _Learner(replace(recipe, class_weights=power), rows, parts)
        learner.fit(report)
        layers, last = learner.layers()
        words = f"round {learner.best_round}{_FITTED.get(recipe.task, '')}"
        score = 0.0
        if len(powers) > 1:
            some = rows.rows(parts.choose)
            values = apply(layers, last, some.features)
            told = figures_of(recipe.task, Predicted(rows.columns, values, some.values))
            score = next(f.value for f in told if f.name == "macro_f1")
            words = f"class weights {power:g} (of 0 and 1), {words}"
        if score > best:
            best, found = score, (layers, last, words)
    assert found is not None
    return found


def _counted(rows: Matched) -> str:
    people = len(np.unique(rows.people.astype(str)))
    who = "person or film" if people == 1 else "people or films"
    return f"{len(rows):,} faces of {people:,} {who}"


def _thresholds(truth: FloatArray, values: FloatArray) -> list[float]:
    found = []
    for column in range(truth.shape[1]):
        known = ~np.isnan(truth[:, column])
        there = truth[known, column] >= 0.5
        found.append(round(best_threshold(there, values[known, column]), 4))
    return found


def _learnable(rows: Matched, task: Task, parts: Division) -> tuple[Matched, tuple[str, ...]]:
    """The rows with those columns of which there is enough in every part."""
    kept = np.ones(len(rows.columns), np.bool_)
    if task in ("action-units", "multilabel"):
        for part in (parts.learn, parts.choose, parts.measure):
            there = (rows.values[part] >= 0.5).sum(axis=0)
            absent = (rows.values[part] < 0.5).sum(axis=0)
            kept &= (there >= LEAST_THERE) & (absent >= LEAST_THERE)
    elif task != "expression":  # a label that nobody teaches is one that it gets wrong
        for part in (parts.learn, parts.choose, parts.measure):
            kept &= (~np.isnan(rows.values[part])).sum(axis=0) >= LEAST_THERE
    out = [name for name, keep in zip(rows.columns, kept, strict=True) if not keep]
    if int(kept.sum()) < (2 if task == "expression" else 1):
        raise InputError(
            f"nothing can be learned: too few faces with {', '.join(out[:6]) or 'two labels'} "
            "in one of the parts that teach, choose and measure."
        )
    told = f"too few faces with and without {', '.join(out)}: left out." if out else ""
    return rows.only(kept), (told,) if told else ()


class _Learner:
    """A perceptron on its way through a recipe."""

    def __init__(self, recipe: HeadRecipe, rows: Matched, parts: Division) -> None:
        self.recipe = recipe
        values = np.nan_to_num(rows.values, nan=-1.0)
        self.shares = recipe.task == "expression" or (
            recipe.task == "regression" and is_distribution(rows.values)
        )
        if recipe.task == "expression":  # a label that nobody learns from may still occur
            total = values.sum(axis=1, keepdims=True)
            values = values / np.maximum(total, 1e-9)
        known = ~np.isnan(rows.values)
        learned = rows.features[parts.learn]
        self.mean = learned.mean(axis=0, dtype=np.float64)
        self.std = learned.std(axis=0, dtype=np.float64)
        self.std[self.std <= 1e-5 * float(self.std.max(initial=0))] = 1.0  # it never changes
        self.offset = np.zeros(values.shape[1])
        self.scale = np.ones(values.shape[1])
        if recipe.task == "regression" and not self.shares:
            told = np.where(known, rows.values, np.nan)[parts.learn]
            self.offset = np.nanmean(told, axis=0)
            self.scale = np.maximum(np.nanstd(told, axis=0), 1e-6)
            values = np.where(known, (rows.values - self.offset) / self.scale, 0)
        self.data = {
            name: (
                torch.from_numpy(self._standard(rows.features[part])),
                torch.from_numpy(np.ascontiguousarray(values[part], np.float32)),
                torch.from_numpy(np.ascontiguousarray(known[part], np.float32)),
            )
            for name, part in (("learn", parts.learn), ("choose", parts.choose))
        }
        self._weigh()
        d, k = rows.features.shape[1], values.shape[1]
        hidden = [nn.Linear(d, recipe.hidden), nn.ReLU()] if recipe.hidden else []
        self.net = nn.Sequential(*hidden, nn.Linear(recipe.hidden or d, k))
        self.best_round = 0

    def _standard(self, features: FloatArray) -> FloatArray:
        return np.asarray((features - self.mean) / self.std, np.float32)

    def _weigh(self) -> None:
        """Weights of labels, from the rows that teach."""
        _, values, known = self.data["learn"]
        power = self.recipe.class_weights
        if power is None:
            power = 0.0 if self.shares else 1.0
        if self.shares:
            share = values.mean(dim=0).clamp(min=1e-6)
            weights = (share * len(share)) ** -power
            self.weights = weights.clamp(max=_HEAVIEST * float(weights.min()))
        else:
            there = (values * known).sum(dim=0).clamp(min=1)
            ratio = ((known.sum(dim=0) - there).clamp(min=1) / there) ** power
            self.weights = ratio.clamp(1 / _HEAVIEST, _HEAVIEST)

    def fit(self, report: Report) -> None:
        """Train, and keep the weights of the round that is best on the choosing rows."""
        recipe = self.recipe
        features, values, known = self.data["learn"]
        # Concordance needs many rows at once to say anything.
        most = 2 * recipe.batch if recipe.task == "valence-arousal" else recipe.batch
        batch = min(max(_LEAST_BATCH, min(most, len(features) // 8)), len(features))
        steps = max(_LEAST_STEPS, len(features) // batch)
        optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.rounds * steps)
        drawn = _draws(len(features), batch, recipe.seed)
        lowest, best = math.inf, copy.deepcopy(self.net.state_dict())
        for number in range(1, recipe.rounds + 1):
            self.net.train()
            total = 0.0
            for _ in range(steps):
                rows = next(drawn)
                loss = self._loss(self.net(features[rows]), values[rows], known[rows])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                total += float(loss.detach())
            chosen = self._chosen_loss()
            report({"round": number, "loss": total / steps, "choosing_loss": chosen})
            if chosen < lowest - 1e-6:
                lowest, best = chosen, copy.deepcopy(self.net.state_dict())
                self.best_round = number
            elif number - self.best_round >= recipe.patience:
                break
        self.net.load_state_dict(best)
        self.net.eval()

    @torch.no_grad()
    def _chosen_loss(self) -> float:
        self.net.eval()
        features, values, known = self.data["choose"]
        return float(self._loss(self.net(features), values, known))

    def _loss(self, told: Tensor, values: Tensor, known: Tensor) -> Tensor:
        if self.shares:
            weights = values @ self.weights
            losses = -(values * F.log_softmax(told, dim=1)).sum(dim=1)
            return (losses * weights).sum() / weights.sum().clamp(min=1e-9)
        task = self.recipe.task
        if task == "valence-arousal":
            return 1 - concordances(torch.tanh(told), values, known).mean()
        if task == "regression":
            return ((told - values).square() * known).sum() / known.sum().clamp(min=1)
        losses = F.binary_cross_entropy_with_logits(
            told, values.clamp(0, 1), pos_weight=self.weights, reduction="none"
        )
        return (losses * known).sum() / known.sum().clamp(min=1)

    def layers(self) -> tuple[list[Layer], Last]:
        """The layers with everything folded in: standardised features, temperature, weights.

        Weights of what is there or not make the network tell it too often; taking their logarithm
        off the last bias undoes that, so that the outputs are probabilities again.
        """
        linear = [module for module in self.net if isinstance(module, nn.Linear)]
        found = [
            (
                m.weight.detach().numpy().astype(np.float64),
                m.bias.detach().numpy().astype(np.float64),
            )
            for m in linear
        ]
        kernel, bias = found[0]
        found[0] = (kernel / self.std, bias - (kernel / self.std) @ self.mean)
        kernel, bias = found[-1]
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
        found[-1] = (kernel, bias)
        return [(np.asarray(k, np.float32), np.asarray(b, np.float32)) for k, b in found], last

    @torch.no_grad()
    def _temperature(self) -> float:
        """The divisor of the logits that brings them closest to the choosing rows."""
        features, values, _ = self.data["choose"]
        told = self.net(features)
        grid = torch.logspace(-0.5, 0.7, 121).tolist()
        losses = [float(-(values * F.log_softmax(told / t, dim=1)).sum(dim=1).mean()) for t in grid]
        return float(grid[int(np.argmin(losses))])


def _draws(n: int, batch: int, seed: int) -> Iterator[Tensor]:
    """Rows of one batch after the other, in a new order each time all were used."""
    rng = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(n, generator=rng)
        yield from (order[start : start + batch] for start in range(0, n - batch + 1, batch))


def concordances(told: Tensor, values: Tensor, known: Tensor) -> Tensor:
    """``(k,)`` concordance correlation of each column over its known rows (Lin 1989)."""
    count = known.sum(dim=0).clamp(min=1)

    def mean(columns: Tensor) -> Tensor:
        return (columns * known).sum(dim=0) / count

    one, other = mean(told), mean(values)
    shared = mean((told - one) * (values - other))
    spread = mean((told - one).square()) + mean((values - other).square())
    return 2 * shared / (spread + (one - other).square()).clamp(min=1e-8)
