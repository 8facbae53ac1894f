"""Training of engagement models on labeled clips, a few minutes on a CPU.

Several single-attention networks (Savchenko et al. 2022) are trained at once on the same random
windows. Each leaves out the people of two of six parts, so that for everybody there are two
networks that were not trained on them: their error, beyond their disagreement, is the residual of
the card. Nothing is chosen on the clips that are tested on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn

from mien.engagement import EngagementCard, EngagementModel
from mien.engagement.card import RATE, STEPS
from mien.engagement.windows import described
from mien.errors import InputError, ModelError, UsageError
from mien.evaluation.intervals import refusal
from mien.training.engagement.data import Clips, LabeledClip, by_level, divide, windows_of
from mien.training.engagement.export import Networks, write_networks
from mien.training.engagement.metrics import groups_of, measure
from mien.training.trained import Report, Trained, card_figures
from mien.types import FloatArray

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
        passes: epochs, of one random window for each window's length of every clip.
        least: the fewest optimizer steps; less would leave it half trained.
        batch: windows in a step.
        lr, weight_decay: of AdamW, with a cosine schedule.
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


def train_engagement(
    data: Clips, path: Path, plan: Plan | None = None, report: Report | None = None
) -> Trained[EngagementCard]:
    """Train networks on labeled clips, write them to `path`, and test them on other people.

    Raises:
        InputError: too few people, or clips that are shorter than a window.
        ModelError: the file does not compute what the networks compute.
    """
    plan = plan or Plan()
    usable, left_out = _usable(data, plan)
    train, test = divide(usable, HELD_OUT, plan.seed)
    _check_enough(train, test, left_out)
    folds = _folds(train, plan.seed)
    fitted = _fit(train, folds, plan, report or (lambda _line: None))
    card = EngagementCard(
        path.stem,
        size=usable[0].features.shape[1],
        steps=plan.steps,
        window_s=plan.window_s,
        says="probability" if data.classes else "level",
        residual=_residual(fitted, train, folds, plan),
        model=data.model,
        model_sha256=data.sha256,
        training_data=f"{len(train):,} clips of {groups_of(train):,} people of the user's",
        source="trained by mien; network of Savchenko et al. (doi 10.1109/TAFFC.2022.3188390)",
        protocol=_protocol(train, test, plan, data),
    )
    with TemporaryDirectory() as folder:  # the file is tested, and its card holds the figures
        draft = Path(folder) / "draft.onnx"
        write_networks(fitted.weights(), card, draft)
        model = EngagementModel(draft)
        _check_parity(fitted, model, test[0], plan, path)
        figures = measure(model, train, test)
    counts = {"clips": len(test), "people": groups_of(test)}
    card = replace(card, figures=card_figures(figures, counts))
    write_networks(fitted.weights(), card, path)
    trained = Trained(path, card, figures, left_out=tuple(left_out))
    refused = refusal(counts["people"])
    if refused:
        return replace(trained, notes=(f"{refused} Do not use this model.",))
    if trained["mse_gain"].low > 0:
        return trained
    doubt = "on these people it is not clearly better than predicting the mean: do not use it."
    return replace(trained, notes=(doubt,))


def _usable(data: Clips, plan: Plan) -> tuple[list[LabeledClip], list[str]]:
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


def _check_enough(train: list[LabeledClip], test: list[LabeledClip], left_out: list[str]) -> None:
    groups, others = groups_of(train), groups_of(test)
    if groups + others < LEAST_GROUPS or groups < NETWORKS or not others:
        why = f" Left out: {left_out[0]}" if left_out else ""
        raise InputError(
            f"training needs clips of at least {LEAST_GROUPS} people, {NETWORKS} to train on and "
            f"others to test on; got {groups} and {others}.{why}"
        )
    if len({clip.level for clip in train}) < 2:
        raise InputError("all clips to train on have the same level: nothing can be learned.")


def _folds(clips: Sequence[LabeledClip], seed: int) -> Tensor:
    """``(m, clips)`` bool: which network is trained on which clip; two leave each group out."""
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
    """m networks side by side.

    The spread of a window is the same at all its moments, so it has no part in the attention: it
    would cancel in the softmax.
    """

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
        scaled = (windows - self.mean[half:]) / self.scale[half:]
        shares = (scaled @ self.attention.T).softmax(dim=1)
        moments = shares.transpose(1, 2) @ scaled
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


def _fit(train: list[LabeledClip], folds: Tensor, plan: Plan, report: Report) -> _Networks:
    """The networks, trained on random windows with the mean squared error."""
    rng = np.random.default_rng(plan.seed)
    torch.manual_seed(plan.seed)
    lengths = np.array([clip.span[1] - clip.span[0] for clip in train]) / plan.window_s
    tickets = np.repeat(np.arange(len(train)), np.maximum(lengths.astype(int), 1))
    some = _batch(train, rng.choice(tickets, 256).tolist(), rng, plan)
    networks = _Networks(some.shape[2], plan.hidden, *_scale(some))
    optimizer = torch.optim.AdamW(networks.parameters(), lr=plan.lr, weight_decay=plan.weight_decay)
    count = max(plan.least, plan.passes * len(tickets) // plan.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, count)
    levels = torch.tensor([clip.level for clip in train], dtype=torch.float32)
    order: list[int] = []
    loss_sum = 0.0
    for step in range(1, count + 1):
        if len(order) < plan.batch:
            order += rng.permutation(tickets).tolist()
        places, order = order[: plan.batch], order[plan.batch :]
        windows = torch.from_numpy(_batch(train, places, rng, plan))
        used = folds[:, places].float()
        errors = (networks(windows) - levels[places]).square() * used
        loss = (errors.sum(dim=1) / used.sum(dim=1).clamp(min=1)).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        loss_sum += float(loss.detach()) / NETWORKS
        if step % 20 == 0 or step == count:
            mean = loss_sum / (step % 20 or 20)
            report({"stage": "training", "step": step, "of": count, "loss": mean})
            loss_sum = 0.0
    return networks.eval()


def _batch(
    clips: Sequence[LabeledClip], places: Sequence[int], rng: np.random.Generator, plan: Plan
) -> FloatArray:
    """``(n, steps, d)``: a random window of each named clip, else the first of its grid."""
    windows = []
    for place in places:
        clip = clips[place]
        rows = clip.sample(rng, plan.window_s, plan.steps)
        if rows is None:
            rows = clip.grid(plan.window_s, plan.steps)[0]
        windows.append(clip.features[rows])
    return np.stack(windows).astype(np.float32)


def _scale(windows: FloatArray) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the networks' input; features that hardly vary stay small."""
    values = described(windows).reshape(-1, 2 * windows.shape[2])
    half = windows.shape[2]
    deviation = values.std(axis=0)
    for part in (slice(None, half), slice(half, None)):
        usual = float(np.median(deviation[part]))
        deviation[part] = np.maximum(deviation[part], max(0.05 * usual, 1e-6))
    return torch.from_numpy(values.mean(axis=0)), torch.from_numpy(deviation)


@torch.no_grad()
def _predict(networks: _Networks, clip: LabeledClip, plan: Plan) -> FloatArray:
    """``(m, w)`` levels of a clip's half-overlapping windows."""
    windows = windows_of(clip, clip.grid(plan.window_s, plan.steps))
    parts = torch.split(torch.from_numpy(windows), 32)
    return np.asarray(torch.cat([networks(part) for part in parts], dim=1))


def _residual(networks: _Networks, train: list[LabeledClip], folds: Tensor, plan: Plan) -> float:
    """How far levels of unknown people lie from the networks' mean (root mean square).

    One more person counts, of whom the networks know nothing but the spread of the levels, so that
    few people cannot make it certain, however well they are predicted (Laplace's rule).
    """
    excess: dict[str, list[float]] = {}
    for place, clip in enumerate(train):
        strangers = _predict(networks, clip, plan)[~folds[:, place].numpy()]
        wrong = (strangers.mean(axis=0) - clip.level) ** 2
        more = float((wrong - strangers.var(axis=0, ddof=1)).mean())
        excess.setdefault(clip.group, []).append(more)
    known = sum(float(np.mean(each)) for each in excess.values())
    unknown = float(np.var([clip.level for clip in train]))
    return round(float(np.sqrt((max(known, 0.0) + unknown) / (len(excess) + 1))), 4)


def _check_parity(
    networks: _Networks, model: EngagementModel, clip: LabeledClip, plan: Plan, path: Path
) -> None:
    windows = windows_of(clip, clip.grid(plan.window_s, plan.steps))
    difference = float(np.abs(model.predict(windows).T - _predict(networks, clip, plan)).max())
    if difference > PARITY:
        raise ModelError(f"{path} differs from the trained networks by {difference:.3f}.")


def _protocol(
    train: list[LabeledClip], test: list[LabeledClip], plan: Plan, data: Clips
) -> tuple[str, ...]:
    given = any(clip.split for clip in data.clips)
    split = "the list's split" if given else f"{HELD_OUT:.0%} of the people, spread over the levels"
    lines = [
        f"trained on {len(train):,} clips of {groups_of(train):,} people, tested on "
        f"{len(test):,} clips of {groups_of(test):,} others ({split})",
        f"windows of {plan.window_s:.2f} s in {plan.steps} steps; a clip's value is the mean of "
        "its half-overlapping windows; the last step of training, nothing chosen on these clips",
    ]
    if all(clip.group == clip.name for clip in data.clips):
        lines.append(
            "no column group: each clip counts as another person; if some are not, the figures "
            "are too good"
        )
    return tuple(lines)
