"""The training loop: soft labels, AdamW, cosine, moving average, checkpoints, resume."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import shutil
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mien.errors import UsageError
from mien.training.expressions.augment import augment, to_input
from mien.training.expressions.losses import (
    attention_consistency,
    mix,
    sam_gradients,
    soft_cross_entropy,
)
from mien.training.expressions.recipe import Recipe, Stage
from mien.training.expressions.targets import TrainingSet, for_training
from mien.training.networks import Network
from mien.training.trained import Report

#: Settings that a checkpoint does not depend on.
_INDEPENDENT = ("crop_margin", "crop_template", "compile", "bfloat16")


def fit(
    recipe: Recipe,
    model: Network,
    train: TrainingSet,
    validation: TrainingSet,
    out: Path,
    report: Report,
) -> Network:
    """Train `model` until the recipe's last epoch and return the averaged network.

    Writes ``out/checkpoint.pt`` after every epoch and starts from it when it is there, and one
    line after each epoch to ``out/log.jsonl``. `report` gets those lines, and one every 20 steps.

    Raises:
        UsageError: the checkpoint comes from another training, or there are too few faces.
    """
    out.mkdir(parents=True, exist_ok=True)
    training = _Training(recipe, model, for_training(recipe, train))
    checkpoint = out / "checkpoint.pt"
    first = training.resume(checkpoint) if checkpoint.is_file() else 0
    for epoch in range(first, recipe.epochs):
        started = time.monotonic()
        loss = training.epoch(epoch, report)
        line = {"epoch": epoch + 1, "size": recipe.stage_at(epoch).size, "loss": loss}
        line |= measure(predict(training.average, validation.images, recipe.size), validation)
        line["seconds"] = round(time.monotonic() - started)
        training.save(checkpoint, epoch + 1)
        with (out / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        report(line)
    return training.average.eval().cpu()


def device() -> torch.device:
    """The GPU where PyTorch finds one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _narrow(place: torch.device) -> bool:
    """Whether bfloat16 is fast there."""
    if place.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported())


class _Training:
    """A network in training, with its moving average and its optimizer."""

    def __init__(self, recipe: Recipe, model: Network, train: TrainingSet) -> None:
        self.recipe, self.train = recipe, train
        self.steps = len(train) // recipe.batch
        if not self.steps:
            raise UsageError(f"a batch of {recipe.batch} needs more than {len(train)} faces.")
        self.images = torch.from_numpy(train.images)
        self.targets = torch.from_numpy(train.targets)
        self.weights = torch.from_numpy(train.weights)
        self.taught = torch.zeros_like(self.targets)
        self.teacher = None if train.taught is None else torch.from_numpy(train.taught)
        self.model, self.device = model, device()
        self.model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(_groups(model, recipe.weight_decay), lr=recipe.lr)
        self.before = copy.deepcopy(self.average.state_dict())  # as the stage began
        self.made_with = _fingerprint(recipe, train)
        self.narrow = recipe.bfloat16 and _narrow(self.device)
        compiled = recipe.compile and shutil.which("c++") is not None
        self.loss = torch.compile(self._loss, dynamic=False) if compiled else self._loss

    def resume(self, checkpoint: Path) -> int:
        """Restore everything from a checkpoint; returns the next epoch."""
        state = torch.load(checkpoint, weights_only=True, map_location="cpu")
        if state.get("made_with") != self.made_with:
            raise UsageError(
                f"{checkpoint} comes from another recipe or other data; "
                "give another output folder or remove it."
            )
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.taught = state.get("taught", self.taught)
        self.before = state.get("before", self.before)
        return int(state["epoch"])

    def save(self, checkpoint: Path, done: int) -> None:
        """Write a checkpoint after `done` epochs, whole or not at all."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": done,
            "made_with": self.made_with,
            "taught": self.taught,
            "before": self.before,
        }
        partial = checkpoint.with_suffix(".tmp")
        torch.save(state, partial)
        partial.replace(checkpoint)

    def epoch(self, epoch: int, report: Report) -> float:
        """One epoch; returns the mean loss."""
        recipe, stage = self.recipe, self.recipe.stage_at(epoch)
        if recipe.begins_stage(epoch):
            self.before = copy.deepcopy(self.average.state_dict())
            if stage.teacher:
                self.taught = self._opinion(epoch, stage.size)
        aims = torch.lerp(self.targets, self.taught, stage.teacher)
        changes = recipe.augmentation.scaled(stage.strength)
        # Order and augmentation depend on seed and epoch alone, so that a resumed run is the same.
        rng = torch.Generator().manual_seed(recipe.seed * 1000 + epoch)
        torch.manual_seed(recipe.seed * 1000 + epoch)  # dropout draws from the global one
        order = torch.randperm(len(self.train), generator=rng)
        self._prepare(stage)
        started, losses = time.monotonic(), 0.0
        for step in range(self.steps):
            rows = order[step * recipe.batch : (step + 1) * recipe.batch]
            batch, aim = augment(self.images[rows], stage.size, changes, rng), aims[rows]
            if recipe.mixup:
                batch, aim = mix(batch, aim, recipe.mixup, rng)
            losses += self._step(batch, aim, self.weights[rows], epoch * self.steps + step)
            if step % 20 == 19:
                rate = (step + 1) * recipe.batch / (time.monotonic() - started)
                report({"epoch": epoch, "step": step + 1, "of": self.steps, "per_s": rate})
        if stage.blend and recipe.begins_stage(epoch + 1):
            self._blend(stage.blend)
        return losses / self.steps

    def _opinion(self, epoch: int, size: int) -> Tensor:
        """What teaches a stage: the averaged network, the recipe's teacher, or half of each."""
        if self.teacher is not None and not self.recipe.cycle_at(epoch)[0]:
            return self.teacher
        with self._quickly():
            own = _opinion(self.average, self.train.images, size)
        return own if self.teacher is None else (own + self.teacher) / 2

    def _quickly(self) -> torch.autocast:
        """A context that computes in bfloat16 where that was asked for and is fast."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.narrow)

    @torch.no_grad()
    def _blend(self, share: float) -> None:
        """Mix the averaged network with itself as the stage began."""
        for name, values in self.average.state_dict().items():
            if values.is_floating_point():
                values.lerp_(self.before[name].to(values.device), share)

    def _prepare(self, stage: Stage) -> None:
        """Set which parameters are trained in this stage."""
        self.model.train()
        if self.recipe.fixed_norm or stage.head_only:
            for module in self.model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        self.model.features.requires_grad_(not stage.head_only)

    def _step(self, batch: Tensor, aims: Tensor, weights: Tensor, done: int) -> float:
        """One step of the optimizer; returns the loss."""
        recipe = self.recipe
        begin, end = (self.steps * edge for edge in recipe.cycle_at(done // self.steps))
        peak = recipe.lr * recipe.stage_at(done // self.steps).rate
        rate = peak * _schedule((done - begin) / (end - begin), recipe.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = batch.to(self.device, memory_format=torch.channels_last)
        aims, weights = aims.to(self.device), weights.to(self.device)
        self.optimizer.zero_grad(set_to_none=True)
        trainable = [p for p in self.model.parameters() if p.requires_grad]
        loss = sam_gradients(trainable, lambda: self.loss(batch, aims, weights), recipe.sam)
        self.optimizer.step()
        _average(self.average, self.model, min(recipe.ema, (1 + done) / (10 + done)))
        return float(loss.detach())

    def _loss(self, batch: Tensor, aims: Tensor, weights: Tensor) -> Tensor:
        with self._quickly():
            logits, _, maps = self.model(batch)
            mirrored = self.model(batch.flip(-1))[2] if self.recipe.eac else None
        loss = soft_cross_entropy(logits.float(), aims, weights)
        if mirrored is None:
            return loss
        return loss + self.recipe.eac * attention_consistency(
            maps.float(), mirrored.float(), self.model.head.weight
        )


@torch.no_grad()
def predict(model: nn.Module, images: npt.NDArray[np.uint8], size: int) -> npt.NDArray[Any]:
    """Logits ``(n, k)`` of ``(n, h, w)`` or ``(n, 3, h, w)`` uint8 images, without augmentation."""
    model.eval()
    place = next(model.parameters()).device
    parts = torch.split(torch.from_numpy(images), 128)
    logits = [model(to_input(part.to(place), size))[0].float().cpu() for part in parts]
    return torch.cat(logits).numpy()


def _opinion(model: nn.Module, images: npt.NDArray[np.uint8], size: int) -> Tensor:
    """Probabilities ``(n, k)``: the mean over each image, its mirror image and a finer size."""
    both = (images, np.ascontiguousarray(images[..., ::-1]))
    views = [(view, pixels) for view in both for pixels in (size, size + 8)]
    return torch.stack(
        [torch.from_numpy(predict(model, view, pixels)).softmax(dim=1) for view, pixels in views]
    ).mean(dim=0)


def measure(logits: npt.NDArray[Any], data: TrainingSet) -> dict[str, float]:
    """Accuracy where there is one label, and mean KL divergence from the targets (nats)."""
    log_p = logits - logits.max(axis=1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    kl = (data.targets * (np.log(np.maximum(data.targets, 1e-12)) - log_p)).sum(axis=1)
    clear = data.answers >= 0
    right = logits.argmax(axis=1)[clear] == data.answers[clear]
    accuracy = float(right.mean()) if clear.any() else math.nan
    return {"val_accuracy": accuracy, "val_kl": float(kl.mean())}


def _fingerprint(recipe: Recipe, train: TrainingSet) -> str:
    """A hash by which a checkpoint belongs to this recipe and these faces.

    Settings at their default are left out, so that a new option does not invalidate checkpoints.
    """
    plain = Recipe(recipe.name)
    settings = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    changed = {
        name: value
        for name, value in settings.items()
        if name not in _INDEPENDENT and value != getattr(plain, name)
    }
    rows = "".join(train.names.tolist())
    return hashlib.sha256(f"{changed}{rows}".encode()).hexdigest()


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
