"""Distillation of a branch on a finished model: teacher, loop, export, parity, figures."""

from __future__ import annotations

import hashlib
import json
import math
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from mien.datasets import load_faces
from mien.errors import ModelError, UsageError
from mien.evaluation import to_crops
from mien.expressions.onnx import OnnxClassifier
from mien.files import replacing
from mien.hub import path_of
from mien.labels import IDENTITY
from mien.plugins import find_model
from mien.training.expressions.attach import attach_branch
from mien.training.expressions.augment import augment, to_input
from mien.training.expressions.branch import Branch, FaceNetwork, TeacherOutputs, teacher_outputs
from mien.training.expressions.pretrained import load_exported
from mien.training.expressions.recipe import BranchRecipe
from mien.training.networks import MobileNetV1
from mien.training.trained import Report

#: Largest difference between PyTorch and the file, of a coordinate of the identity.
PARITY = 0.02
#: Training images by which the vectors are whitened.
WHITENED = 8192
_SPLITS = ("train", "validation", "test")


def distill(
    recipe: BranchRecipe,
    data: Path,
    out: Path,
    backbone: Path | None,
    sample: int | None,
    report: Report,
) -> Path:
    """Train what `recipe` describes and write ``out/NAME.onnx`` and ``out/figures.json``.

    The teacher computes its outputs once for every image, in parts; they, and a checkpoint after
    every epoch, are kept in `out`, so that a stopped run continues.

    Args:
        recipe: see `mien.training.expressions.recipe.load_branch`.
        data: faces with the splits train, validation and test; their labels are not used.
        out: folder for everything.
        backbone: folder of the face network; None: that of `mien models pull faceres`.
        sample: use only that many faces of each split and one epoch.
        report: gets progress, see `mien.training.expressions.loop.fit`.

    Raises:
        ModelError: the trunk is no MobileNet of mien's, or the file differs from the network.
    """
    if sample is not None:
        recipe, out = replace(recipe, epochs=1), out.with_name(f"{out.name}-sample{sample}")
    out.mkdir(parents=True, exist_ok=True)
    source = find_model(recipe.trunk)
    trunk = _Trunk(source, recipe.after)
    teacher = FaceNetwork(backbone or path_of("faceres").parent)
    data_of: dict[str, tuple[npt.NDArray[np.uint8], TeacherOutputs]] = {}
    for split in _SPLITS:
        images = load_faces(data, split).arrays(48).images[:sample]
        data_of[split] = (
            images,
            _cached_outputs(teacher, images, out / f"teacher-{split}.pt", report),
        )
    aims = {
        split: _centered(outputs, data_of["train"][1]) for split, (_, outputs) in data_of.items()
    }
    basis = _directions(aims["train"], recipe.identity)
    targets = {
        split: replace(data_of[split][1], identity=F.normalize(aims[split] @ basis, dim=1))
        for split in _SPLITS
    }
    branch = _fit(recipe, trunk, data_of["train"][0], targets["train"], out, report)
    even = _whitening(branch, trunk, data_of["train"][0], recipe.whiten)
    with torch.no_grad():
        branch.identity.weight.copy_(even @ branch.identity.weight)
        branch.identity.bias.copy_(even @ branch.identity.bias)
    card = replace(
        OnnxClassifier(source).card,
        name=recipe.name,
        identity=IDENTITY,
    )
    path = out / f"{recipe.name}.onnx"
    some = data_of["validation"][0][:64]
    place = recipe.after, trunk.side
    attach_branch(source, branch, place, card, path, lambda file: _check(branch, trunk, file, some))
    figures: dict[str, float] = {}
    for split in ("validation", "test"):
        close = _agreement_of(path, data_of[split][0], targets[split], even)
        figures |= {f"{split}_{name}": value for name, value in close.items()}
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    report(figures)
    return path


class _Trunk:
    """The finished network, as far as the branch needs it, frozen."""

    def __init__(self, source: Path, after: int) -> None:
        card = OnnxClassifier(source).card
        self.network = MobileNetV1(len(card.labels))
        load_exported(self.network, source, card.labels)
        self.network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.after, self.size = after, card.input_size
        if not 0 <= after < len(self.network.features):
            last = len(self.network.features) - 1
            raise UsageError(f"a branch leaves after layer 0 to {last}, got {after}.")
        maps, self.embedding = self(torch.zeros(1, 3, self.size, self.size))
        self.channels, self.side = maps.shape[1], maps.shape[2]

    def __call__(self, batch: Tensor) -> tuple[Tensor, Any]:
        """The map after the layer, and the embedding, of ``(n, 3, S, S)`` RGB 0..255."""
        maps = None
        with torch.no_grad():
            x = self.network.prepare(batch).contiguous(memory_format=torch.channels_last)
            for place, layer in enumerate(self.network.features):
                x = layer(x)
                maps = x if place == self.after else maps
        assert maps is not None
        return maps, x.float().mean(dim=(2, 3))


def _cached_outputs(
    teacher: FaceNetwork, images: npt.NDArray[np.uint8], cache: Path, report: Report
) -> TeacherOutputs:
    """The teacher's outputs, from the file `cache` as far as they are there.

    Raises:
        UsageError: the file has outputs for other images.
    """
    about = hashlib.sha256(images.tobytes()).hexdigest()
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    if cache.is_file():
        state = torch.load(cache, weights_only=True)
        if state["about"] != about:
            raise UsageError(f"{cache} is about other images; remove it or choose another folder.")
        parts = state["answers"]
    step, started, before = 1024, time.monotonic(), len(parts)
    for first in range(len(parts) * step, len(images), step):
        part = teacher_outputs(teacher, images[first : first + step])
        parts.append((part.identity, part.ages, part.male))
        with replacing(cache) as temporary:
            torch.save({"about": about, "answers": parts}, temporary)
        done = len(parts) - before
        rate = done * step / (time.monotonic() - started)
        report({"epoch": -1, "step": first + step, "of": len(images), "per_s": rate})
    joined = [torch.cat(column)[: len(images)] for column in zip(*parts, strict=True)]
    return TeacherOutputs(*joined)


def _centered(outputs: TeacherOutputs, train: TeacherOutputs) -> Tensor:
    """The identity minus its mean over all faces, which hides how they differ."""
    return outputs.identity - train.identity.mean(dim=0)


def _directions(centered: Tensor, count: int) -> Tensor:
    """``(1024, count)``: the directions in which faces differ most."""
    vectors: Tensor = torch.linalg.eigh(centered.T @ centered).eigenvectors
    return vectors.flip(1)[:, : min(count, *centered.shape)]


def _agreement_of(
    path: Path, images: npt.NDArray[np.uint8], target: TeacherOutputs, even: Tensor
) -> dict[str, float]:
    """Agreement of the file with the face network, its identity as it was before `even`."""
    plain = F.normalize(torch.tensor(_identities(path, images)) @ torch.linalg.inv(even), dim=1)
    return agreement(plain.numpy(), target)


def _whitening(
    branch: Branch, trunk: _Trunk, images: npt.NDArray[np.uint8], least: float
) -> Tensor:
    """``(d, d)``: whitens the vectors of faces.

    Where the branch is uncertain, its vectors depend on pose, light or smile, so that strangers in
    similar images come near each other, in the few directions with a large variance. After
    whitening (Jegou and Chum 2012, "Negative evidences and co-occurences in image retrieval: the
    benefit of PCA and whitening", ECCV), those count no more than others. `least` times the mean
    variance is added to each, so that noise is not amplified.
    """
    rows = np.linspace(0, len(images) - 1, min(len(images), WHITENED)).astype(int)
    parts = torch.split(torch.from_numpy(images[rows]), 128)
    with torch.no_grad():
        vectors = torch.cat([branch(*trunk(to_input(p, trunk.size))).identity for p in parts])
    spread, directions = torch.linalg.eigh(vectors.T @ vectors / len(vectors))
    scales = (spread.clamp(min=0) + least * spread.mean()).rsqrt()
    even: Tensor = directions @ torch.diag(scales) @ directions.T
    return even


def _fit(
    recipe: BranchRecipe,
    trunk: _Trunk,
    images: npt.NDArray[np.uint8],
    target: TeacherOutputs,
    out: Path,
    report: Report,
) -> Branch:
    """Train the branch; continues from ``out/checkpoint.pt``."""
    torch.manual_seed(recipe.seed)
    inputs = trunk.channels, trunk.embedding.shape[1]
    branch = Branch(*inputs, recipe.width, recipe.blocks, target.identity.shape[1])
    optimizer = torch.optim.AdamW(branch.parameters(), recipe.lr, weight_decay=recipe.weight_decay)
    checkpoint, settings, first = out / "checkpoint.pt", json.dumps(asdict(recipe)), 0
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        if state["settings"] != settings:
            raise UsageError(f"{checkpoint} comes from another recipe; remove it.")
        branch.load_state_dict(state["branch"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"]
    for epoch in range(first, recipe.epochs):
        loss = _epoch(recipe, epoch, (trunk, branch, optimizer), images, target, report)
        state = {"branch": branch.state_dict(), "optimizer": optimizer.state_dict()}
        with replacing(checkpoint) as temporary:
            torch.save(state | {"epoch": epoch + 1, "settings": settings}, temporary)
        line = {"epoch": epoch + 1, "loss": loss}
        with (out / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        report(line)
    return branch.eval()


def _epoch(
    recipe: BranchRecipe,
    epoch: int,
    parts: tuple[_Trunk, Branch, torch.optim.Optimizer],
    images: npt.NDArray[np.uint8],
    target: TeacherOutputs,
    report: Report,
) -> float:
    """One epoch; returns the mean loss."""
    trunk, branch, optimizer = parts
    branch.train()
    rng = torch.Generator().manual_seed(recipe.seed * 1000 + epoch)
    torch.manual_seed(recipe.seed * 1000 + epoch)  # dropout draws from the global one
    order = torch.randperm(len(images), generator=rng)
    fast = torch.cpu._is_avx512_bf16_supported()
    steps, losses, started = max(len(images) // recipe.batch, 1), 0.0, time.monotonic()
    for step in range(steps):
        rows = order[step * recipe.batch : (step + 1) * recipe.batch]
        done = (epoch * steps + step) / (recipe.epochs * steps)
        for group in optimizer.param_groups:
            warm = min(1.0, (done + 1e-3) / 0.05)
            group["lr"] = recipe.lr * warm * 0.5 * (1 + math.cos(math.pi * done))
        batch = torch.from_numpy(images[rows.numpy()])
        batch = augment(batch, trunk.size, recipe.augmentation, rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            outputs: TeacherOutputs = branch(*trunk(batch))
        loss = distance(recipe, outputs, target, rows)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses += float(loss.detach())
        if step % 20 == 19:
            rate = (step + 1) * recipe.batch / (time.monotonic() - started)
            report({"epoch": epoch, "step": step + 1, "of": steps, "per_s": rate})
    return losses / steps


def distance(
    recipe: BranchRecipe, outputs: TeacherOutputs, target: TeacherOutputs, rows: Tensor
) -> Tensor:
    """What training minimises: ``1 - cosine`` of the identity, KL of the ages, BCE of gender."""
    identity = 1 - (outputs.identity * target.identity[rows]).sum(dim=1).mean()
    ages = F.kl_div(
        outputs.ages.log_softmax(dim=1), target.ages[rows].softmax(dim=1), reduction="batchmean"
    )
    male = F.binary_cross_entropy_with_logits(outputs.male, target.male[rows].sigmoid())
    return identity + recipe.ages * ages + recipe.male * male


def _identities(path: Path, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Identity vectors of the images, by the file."""
    model = OnnxClassifier(path, also=(IDENTITY,))
    return model.classify(to_crops(images, model.input_size)).embeddings[IDENTITY]


def agreement(ours: npt.NDArray[np.float32], target: TeacherOutputs) -> dict[str, float]:
    """How near the identity vectors are to the face network's.

    ``identity_cosine`` is the mean cosine between its embedding (without the mean over faces, in
    the directions that are kept) and ours, before whitening, ``similarity_correlation`` the
    correlation of the similarities of all pairs of the first thousand faces.
    """
    theirs = target.identity.numpy()
    pairs = np.triu_indices(min(len(ours), 1000), 1)
    near = np.stack([(vectors[:1000] @ vectors[:1000].T)[pairs] for vectors in (ours, theirs)])
    return {
        "identity_cosine": float((ours * theirs).sum(axis=1).mean()),
        "similarity_correlation": float(np.corrcoef(near)[0, 1]),
    }


def _check(branch: Branch, trunk: _Trunk, path: Path, images: npt.NDArray[np.uint8]) -> None:
    """Compare the file with the network in PyTorch."""
    file = _identities(path, images)
    crops = torch.from_numpy(to_crops(images, trunk.size)).permute(0, 3, 1, 2)
    with torch.no_grad():
        torch_ = branch(*trunk(to_input(crops, trunk.size)))
    error = np.abs(file - torch_.identity.numpy()).max()
    if error > PARITY:
        raise ModelError(f"the exported file differs from the trained branch by {error:.3f}.")
