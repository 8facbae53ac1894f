"""The training loop: soft labels, AdamW, cosine, moving average, checkpoints, resume."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.datasets import VotedFaces
from mien.errors import UsageError
from mien.labels import EMOTIONS
from mien.training.augment import augment, to_input
from mien.training.backbone import MobileNetV1, load_faceres, restore_batchnorm
from mien.training.recipe import Recipe

Report = Callable[[dict[str, Any]], None]


def fit(
    recipe: Recipe,
    train: VotedFaces,
    validation: VotedFaces,
    backbone: Path,
    out: Path,
    report: Report,
) -> MobileNetV1:
    """Train until the recipe's last epoch and return the averaged network.

    Writes ``out/checkpoint.pt`` after every epoch and starts from it when it is there, and one
    line an epoch to ``out/log.jsonl``. `report` gets those lines, and one every 20 steps.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    pictures = torch.from_numpy(train.pictures)
    targets = torch.from_numpy(train.distribution)
    # A face on which few of the ten named an emotion says less.
    weights = torch.from_numpy(train.votes.sum(axis=1) / 10)

    model = MobileNetV1(len(EMOTIONS), recipe.dropout)
    load_faceres(model, backbone)
    restore_batchnorm(
        model, to_input(pictures[:: len(pictures) // 512 + 1], recipe.stage_at(0).size)
    )
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(_groups(model, recipe.weight_decay), lr=recipe.lr)
    steps_per_epoch = len(train) // recipe.batch
    if not steps_per_epoch:
        raise UsageError(f"a batch of {recipe.batch} needs more than {len(train)} faces.")
    first, taught = 0, torch.zeros_like(targets)
    checkpoint = out / "checkpoint.pt"
    made_with = _fingerprint(recipe, train)
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        if state.get("made_with") != made_with:
            raise UsageError(
                f"{checkpoint} comes from another recipe or other data; "
                "give another output folder or remove it."
            )
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        first, taught = state["epoch"], state.get("taught", taught)

    def loss_of(batch: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        return soft_cross_entropy(model(batch)[0], target, weight)

    compiled = recipe.compile and shutil.which("c++") is not None
    step_loss = torch.compile(loss_of) if compiled else loss_of

    for epoch in range(first, recipe.epochs):
        stage = recipe.stage_at(epoch)
        size, changes = stage.size, recipe.augmentation.scaled(stage.strength)
        if stage.teacher and recipe.begins_stage(epoch):
            taught = _opinion(average, train.pictures, stage.size)
        aims = torch.lerp(targets, taught, stage.teacher)
        cycle = [steps_per_epoch * edge for edge in recipe.cycle_at(epoch)]
        # Order and changes depend on seed and epoch alone, so that a resumed run is the same run.
        rng = torch.Generator().manual_seed(recipe.seed * 1000 + epoch)
        torch.manual_seed(recipe.seed * 1000 + epoch)  # dropout draws from the global one
        order = torch.randperm(len(train), generator=rng)
        model.train()
        started, losses = time.monotonic(), 0.0
        for step in range(steps_per_epoch):
            done = epoch * steps_per_epoch + step
            for group in optimizer.param_groups:
                part = (done - cycle[0]) / (cycle[1] - cycle[0])
                group["lr"] = recipe.lr * _schedule(part, recipe.warmup)
            rows = order[step * recipe.batch : (step + 1) * recipe.batch]
            batch = augment(pictures[rows], size, changes, rng)
            batch = batch.contiguous(memory_format=torch.channels_last)
            loss = step_loss(batch, aims[rows], weights[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            _average(average, model, min(recipe.ema, (1 + done) / (10 + done)))
            losses += loss.item()
            if step % 20 == 19:
                rate = (step + 1) * recipe.batch / (time.monotonic() - started)
                report({"epoch": epoch, "step": step + 1, "of": steps_per_epoch, "per_s": rate})
        line = {"epoch": epoch + 1, "size": size, "loss": losses / steps_per_epoch}
        line |= measure(predict(average, validation.pictures, recipe.size), validation)
        line["seconds"] = round(time.monotonic() - started)
        state = {"epoch": epoch + 1, "made_with": made_with, "taught": taught}
        _save(checkpoint, state, model=model, average=average, optimizer=optimizer)
        with (out / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        report(line)
    average.eval()
    return average


def soft_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of ``-sum(target * log softmax)``; all arguments have n rows."""
    losses = -(targets * F.log_softmax(logits, dim=1)).sum(dim=1)
    return (losses * weights).sum() / weights.sum()


@torch.no_grad()
def predict(model: nn.Module, pictures: npt.NDArray[np.uint8], size: int) -> npt.NDArray[Any]:
    """Logits ``(n, k)`` of ``(n, h, w)`` or ``(n, 3, h, w)`` uint8 pictures, without any change."""
    model.eval()
    parts = torch.split(torch.from_numpy(pictures), 128)
    return torch.cat([model(to_input(part, size))[0] for part in parts]).numpy()


def _opinion(model: nn.Module, pictures: npt.NDArray[np.uint8], size: int) -> Tensor:
    """Probabilities ``(n, k)``, the mean of each picture's and its mirror image's."""
    both = (pictures, np.ascontiguousarray(pictures[..., ::-1]))
    views = [torch.from_numpy(predict(model, seen, size)).softmax(dim=1) for seen in both]
    return torch.stack(views).mean(dim=0)


def measure(logits: npt.NDArray[Any], faces: VotedFaces) -> dict[str, float]:
    """Accuracy on faces with a majority, and the mean KL divergence from the votes (in nats)."""
    log_p = logits - logits.max(axis=1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    share = faces.distribution
    kl = (share * (np.log(np.maximum(share, 1e-12)) - log_p)).sum(axis=1)
    clear = faces.majority
    right = logits.argmax(axis=1)[clear >= 0] == clear[clear >= 0]
    return {"val_accuracy": float(right.mean()), "val_kl": float(kl.mean())}


def _fingerprint(recipe: Recipe, faces: VotedFaces) -> str:
    """Tells whether a checkpoint belongs to this recipe and these faces."""
    told = replace(recipe, crop_margin=0.0, crop_template=(), compile=False)
    rows = "".join(faces.names.tolist())
    return hashlib.sha256(f"{told}{rows}".encode()).hexdigest()


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def _schedule(done: float, warmup: float) -> float:
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


@torch.no_grad()
def _average(average: nn.Module, model: nn.Module, decay: float) -> None:
    for kept, new in zip(average.parameters(), model.parameters(), strict=True):
        kept.lerp_(new, 1 - decay)
    for statistic, fresh in zip(average.buffers(), model.buffers(), strict=True):
        if statistic.is_floating_point():
            statistic.lerp_(fresh, 1 - decay)


def _save(path: Path, state: dict[str, Any], **parts: nn.Module | torch.optim.Optimizer) -> None:
    partial = path.with_suffix(".tmp")
    state |= {name: part.state_dict() for name, part in parts.items()}
    torch.save(state, partial)
    partial.replace(path)
