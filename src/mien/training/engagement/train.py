"""Training of engagement models on labelled clips, a few minutes on a processor.

Several single-attention networks (Savchenko et al. 2022) learn at once from the same random
windows. Each leaves out the people of two of six parts, so that for everybody there are two
networks that have never seen them: what these get wrong, beyond what they disagree on, is the
residual of the card. Nothing is chosen on the clips that measure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mien.engagement import EngagementCard, EngagementModel
from mien.engagement.card import RATE, STEPS
from mien.engagement.windows import described
from mien.errors import InputError, ModelError, UsageError
from mien.training.engagement.data import Clips, LabelledClip, by_level, divided, windows_of
from mien.training.engagement.export import Networks, write_networks
from mien.training.engagement.metrics import groups_of, measure
from mien.types import FloatArray

Report = Callable[[dict[str, Any]], None]

NETWORKS = 6  # also the number of parts of the people, of which each network leaves out two
LEAST_GROUPS = 8
HELD_OUT = 0.3
PARITY = 0.01


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
        window_s: length of a window, seconds; 128 frames at 30 a second by default.
        steps: moments of a window.
        hidden: width of the hidden layer.
        passes: how often every clip is gone through, a random window for each of its length.
        least: steps of the optimizer at the least; fewer would leave it half learned.
        batch: windows a step.
        lr, weight_decay: of AdamW, with a cosine.
        seed: the same seed and clips give the same model.
    """

    window_s: float = STEPS / RATE
    steps: int = STEPS
    hidden: int = 512
    passes: int = 20
    least: int = 400
    batch: int = 48
    lr: float = 1e-3
    weight_decay: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.window_s < float("inf"):
            raise UsageError(f"a window lasts more than 0 seconds, got {self.window_s}.")


@dataclass(frozen=True)
class Trained:
    """A new model and what it is worth.

    Attributes:
        path: the ``.onnx``.
        figures: measured on people that it did not learn from; see `measure`.
        protocol: how, a sentence each.
        left_out: clips that could not be used, and why.
    """

    path: Path
    figures: dict[str, float]
    protocol: tuple[str, ...]
    left_out: tuple[str, ...] = field(default=())


def train_engagement(
    data: Clips, path: Path, plan: Plan | None = None, report: Report | None = None
) -> Trained:
    """Train networks on labelled clips, write them to `path`, and measure them on other people.

    Args:
        data: see `mien.training.engagement.data.read_clips`.
        path: where the model goes.
        plan: how to train.
        report: gets progress: ``{"step": 20, "of": 400, "loss": 0.05}``.

    Raises:
        InputError: too few people, or clips that are shorter than a window.
        ModelError: the file does not say what the networks say.
    """
    plan = plan or Plan()
    usable, left_out = _usable(data, plan)
    learned, held_out = divided(usable, HELD_OUT, plan.seed)
    _need(learned, held_out, left_out)
    folds = _folds(learned, plan.seed)
    fitted = _fit(learned, folds, plan, report or (lambda _line: None))
    card = EngagementCard(
        path.stem,
        features=usable[0].features.shape[1],
        steps=plan.steps,
        window_s=plan.window_s,
        says="probability" if data.classes else "level",
        residual=_residual(fitted, learned, folds, plan),
        features_model=data.model,
        features_sha256=data.sha256,
        training_data=f"{len(learned):,} clips of {groups_of(learned):,} people of the user's",
        source="trained by mien; network of Savchenko et al. (doi 10.1109/TAFFC.2022.3188390)",
    )
    draft = path.with_name(f"{path.stem}.partial.onnx")
    write_networks(fitted.weights(), card, draft)
    judge = EngagementModel(draft)
    _compare(fitted, judge, held_out[0], plan)
    figures = measure(judge, learned, held_out)
    write_networks(fitted.weights(), _measured(card, figures), path)
    draft.unlink()
    return Trained(path, figures, _protocol(learned, held_out, plan, data), tuple(left_out))


def _usable(data: Clips, plan: Plan) -> tuple[list[LabelledClip], list[str]]:
    """Clips with at least one window, and why the others have none."""
    kept, left_out = [], list(data.problems)
    for clip in data.clips:
        length = clip.span[1] - clip.span[0]
        if clip.grid(plan.window_s, plan.steps):
            kept.append(clip)
        elif length + plan.window_s / plan.steps / 2 < plan.window_s:
            left_out.append(
                f"{clip.name}: lasts {length:.1f} s, shorter than a window of {plan.window_s:.1f} s"
            )
        else:
            left_out.append(f"{clip.name}: no window shows the person for more than half of it")
    return kept, left_out


def _need(learned: list[LabelledClip], held_out: list[LabelledClip], left_out: list[str]) -> None:
    groups, others = groups_of(learned), groups_of(held_out)
    if groups + others < LEAST_GROUPS or groups < NETWORKS or not others:
        why = f" Left out: {left_out[0]}" if left_out else ""
        raise InputError(
            f"training needs clips of at least {LEAST_GROUPS} people, {NETWORKS} to learn from and "
            f"others to measure on; got {groups} and {others}.{why}"
        )
    if len({clip.level for clip in learned}) < 2:
        raise InputError("all clips to learn from have the same level: nothing can be learned.")


def _folds(clips: Sequence[LabelledClip], seed: int) -> Tensor:
    """``(m, clips)`` bool: which network learns from which clip; two leave each group out."""
    rng = np.random.default_rng(seed)
    groups = by_level(clips, seed)
    part = {
        group: fold
        for first in range(0, len(groups), NETWORKS)
        for group, fold in zip(
            groups[first : first + NETWORKS], rng.permutation(NETWORKS), strict=False
        )
    }
    own = np.array([part[clip.group] for clip in clips])
    network = np.arange(NETWORKS)[:, None]
    return torch.from_numpy((own != network) & (own != (network + 1) % NETWORKS))


class _Networks(nn.Module):
    """m networks side by side. The spread of a window is the same at all its moments, so it has
    no part in the attention: it would fall out of the softmax."""

    def __init__(self, features: int, hidden: int, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        size = 2 * features
        self.mean, self.scale = mean, scale
        self.attention = nn.Parameter(torch.zeros(NETWORKS, features))
        self.hidden = nn.Parameter(torch.randn(NETWORKS, size, hidden) * size**-0.5)
        self.hidden_bias = nn.Parameter(torch.zeros(NETWORKS, 1, hidden))
        self.last = nn.Parameter(torch.randn(NETWORKS, hidden, 1) * hidden**-0.5)
        self.last_bias = nn.Parameter(torch.zeros(NETWORKS, 1, 1))
        self.dropout = nn.Dropout(0.5)

    def forward(self, windows: Tensor) -> Tensor:
        """``(m, n)`` levels of ``(n, steps, features)``."""
        spread = windows.std(dim=1, correction=0)
        half = windows.shape[2]
        seen = (windows - self.mean[half:]) / self.scale[half:]
        shares = (seen @ self.attention.T).softmax(dim=1)
        moments = shares.transpose(1, 2) @ seen
        spread = ((spread - self.mean[:half]) / self.scale[:half]).expand(NETWORKS, -1, -1)
        both = torch.cat([spread, moments.transpose(0, 1)], dim=2)
        inner = self.dropout((both @ self.hidden + self.hidden_bias).relu())
        levels: Tensor = (inner @ self.last + self.last_bias).sigmoid().squeeze(-1)
        return levels

    def weights(self) -> Networks:
        """As arrays."""
        arrays = {
            name: value.detach().numpy().astype(np.float32)
            for name, value in self.named_parameters()
        }
        attention = arrays["attention"]
        return Networks(
            mean=self.mean.numpy(),
            scale=self.scale.numpy(),
            attention=np.concatenate([np.zeros_like(attention), attention], axis=1),
            hidden=arrays["hidden"],
            hidden_bias=arrays["hidden_bias"][:, 0],
            last=arrays["last"][..., 0],
            last_bias=arrays["last_bias"][:, 0, 0],
        )


def _fit(learned: list[LabelledClip], folds: Tensor, plan: Plan, report: Report) -> _Networks:
    """The networks, trained on random windows with the mean squared error."""
    rng = np.random.default_rng(plan.seed)
    torch.manual_seed(plan.seed)
    lengths = np.array([clip.span[1] - clip.span[0] for clip in learned]) / plan.window_s
    tickets = np.repeat(np.arange(len(learned)), np.maximum(lengths.astype(int), 1))
    some = _batch(learned, rng.choice(tickets, 256).tolist(), rng, plan)
    networks = _Networks(some.shape[2], plan.hidden, *_scale(some))
    optimizer = torch.optim.AdamW(networks.parameters(), lr=plan.lr, weight_decay=plan.weight_decay)
    count = max(plan.least, plan.passes * len(tickets) // plan.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, count)
    levels = torch.tensor([clip.level for clip in learned], dtype=torch.float32)
    order: list[int] = []
    loss_sum, begun = 0.0, time.monotonic()
    for step in range(1, count + 1):
        if len(order) < plan.batch:
            order += rng.permutation(tickets).tolist()
        places, order = order[: plan.batch], order[plan.batch :]
        windows = torch.from_numpy(_batch(learned, places, rng, plan))
        taught = folds[:, places].float()
        errors = (networks(windows) - levels[places]).square() * taught
        loss = (errors.sum(dim=1) / taught.sum(dim=1).clamp(min=1)).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        loss_sum += float(loss.detach()) / NETWORKS
        if step % 20 == 0 or step == count:
            left = (time.monotonic() - begun) / step * (count - step)
            report(
                {"step": step, "of": count, "loss": loss_sum / (step % 20 or 20), "left_s": left}
            )
            loss_sum = 0.0
    return networks.eval()


def _batch(
    clips: Sequence[LabelledClip], places: Sequence[int], rng: np.random.Generator, plan: Plan
) -> FloatArray:
    """``(n, steps, d)``: a random window of each clip named, one of its grid where luck fails."""
    windows = []
    for place in places:
        clip = clips[place]
        rows = clip.drawn(rng, plan.window_s, plan.steps)
        if rows is None:
            rows = clip.grid(plan.window_s, plan.steps)[0]
        windows.append(clip.features[rows])
    return np.stack(windows).astype(np.float32)


def _scale(windows: FloatArray) -> tuple[Tensor, Tensor]:
    """Mean and deviation of what the networks see; features that hardly vary stay small."""
    values = described(windows).reshape(-1, 2 * windows.shape[2])
    half = windows.shape[2]
    deviation = values.std(axis=0)
    for part in (slice(None, half), slice(half, None)):
        usual = float(np.median(deviation[part]))
        deviation[part] = np.maximum(deviation[part], max(0.05 * usual, 1e-6))
    return torch.from_numpy(values.mean(axis=0)), torch.from_numpy(deviation)


@torch.no_grad()
def _told(networks: _Networks, clip: LabelledClip, plan: Plan) -> FloatArray:
    """``(m, w)`` levels of a clip's half-overlapping windows."""
    windows = windows_of(clip, clip.grid(plan.window_s, plan.steps))
    parts = torch.split(torch.from_numpy(windows), 32)
    return np.asarray(torch.cat([networks(part) for part in parts], dim=1))


def _residual(networks: _Networks, learned: list[LabelledClip], folds: Tensor, plan: Plan) -> float:
    """How far unknown people's levels lie from what the networks agree on (root mean square).

    One more person counts besides, of whom the networks know nothing but the spread of the levels:
    so few people cannot make it certain, however well they are predicted (Laplace's rule).
    """
    excess: dict[str, list[float]] = {}
    for place, clip in enumerate(learned):
        strangers = _told(networks, clip, plan)[~folds[:, place].numpy()]
        wrong = (strangers.mean(axis=0) - clip.level) ** 2
        more = float((wrong - strangers.var(axis=0, ddof=1)).mean())
        excess.setdefault(clip.group, []).append(more)
    known = sum(float(np.mean(each)) for each in excess.values())
    unknown = float(np.var([clip.level for clip in learned]))
    return round(float(np.sqrt((max(known, 0.0) + unknown) / (len(excess) + 1))), 4)


def _compare(networks: _Networks, judge: EngagementModel, clip: LabelledClip, plan: Plan) -> None:
    windows = windows_of(clip, clip.grid(plan.window_s, plan.steps))
    difference = float(np.abs(judge.judge(windows).T - _told(networks, clip, plan)).max())
    if difference > PARITY:
        raise ModelError(f"{judge.path} differs from the trained networks by {difference:.3f}.")


def _measured(card: EngagementCard, figures: dict[str, float]) -> EngagementCard:
    known = {name: round(value, 4) for name, value in figures.items() if not np.isnan(value)}
    return replace(card, accuracy=known)


def _protocol(
    learned: list[LabelledClip], held_out: list[LabelledClip], plan: Plan, data: Clips
) -> tuple[str, ...]:
    given = any(clip.split for clip in data.clips)
    split = (
        "the split of the table"
        if given
        else f"{HELD_OUT:.0%} of the people, spread over the levels"
    )
    alone = all(clip.group == clip.name for clip in data.clips)
    lines = [
        f"learned from {len(learned):,} clips of {groups_of(learned):,} people, measured on "
        f"{len(held_out):,} clips of {groups_of(held_out):,} others ({split})",
        f"windows of {plan.window_s:.2f} s in {plan.steps} steps; a clip's value is the mean of "
        "its half-overlapping windows; the last step of training, nothing chosen on these clips",
    ]
    if alone:
        lines.append(
            "no column group: each clip counts as another person; if some are not, the figures "
            "are too good"
        )
    return tuple(lines)
