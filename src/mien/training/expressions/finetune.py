"""Fine-tuning of a model that mien exported on a few hundred faces of the user's."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien.datasets import LabelledFaces, duplicates, split_faces
from mien.errors import InputError, UsageError
from mien.evaluation import Comparison, Progress, compare
from mien.expressions.onnx import OnnxClassifier
from mien.training.expressions.augment import Augmentation
from mien.training.expressions.export import export
from mien.training.expressions.loop import fit, predict
from mien.training.expressions.pretrained import open_exported
from mien.training.expressions.recipe import Recipe, Stage
from mien.training.expressions.targets import training_set
from mien.training.expressions.train import check_parity, fit_temperature
from mien.training.trained import Report

#: Few faces, so: first the last layer alone, then everything, slowly, with fixed BatchNorm, and of
#: all epochs the one with the best validation loss. Counted in optimizer steps, because an epoch
#: of a few hundred faces is next to nothing.
HEAD_STEPS, ALL_STEPS = 80, 240
BATCH = 32
LEAST = 40
HELD_OUT = 0.3
#: Share of the training faces that are held out to choose the epoch.
VALIDATION = 0.2
#: Validation faces from which on the temperature is fitted to them, too.
ENOUGH = 50


@dataclass(frozen=True)
class Finetuned:
    """A fine-tuned model and what it gained.

    Attributes:
        path: the new ``.onnx``.
        train, test: how many faces it was trained on, and how many it was tested on.
        gain: the model before against the one after, on the test faces.
    """

    path: Path
    train: int
    test: int
    gain: Comparison


def finetune(
    model: Path, faces: LabelledFaces, path: Path, report: Report, progress: Progress | None = None
) -> Finetuned:
    """Fine-tune `model` on faces with labels and write the result to `path`.

    Where the faces have splits, "train" is trained on and "test" (or "validation") tested on;
    otherwise three in ten of each label are held out, and nothing is chosen on these. A fifth of
    the training faces chooses the epoch, and so whether only the last layer changes or all layers.

    Args:
        model: an ``.onnx`` that mien exported.
        faces: at least 40, with two labels or more.
        path: where the new model goes.
        report: gets progress, see `mien.training.expressions.loop.fit`.
        progress: wraps the evaluation, see `mien.evaluation.evaluate`.

    Raises:
        InputError: too few faces or labels.
        ModelError: `model` was not exported by mien.
        UsageError: a label that the model does not have.
    """
    own = OnnxClassifier(model)
    unknown = [label for label in faces.labels if label not in own.labels]
    if unknown:
        raise UsageError(
            f"{own.card.name} has no label {unknown[0]!r}; it has {', '.join(own.labels)}."
        )
    learning, test = _divide(faces)
    for line in duplicates(learning, test).summary():
        report({"note": line})
    divided = split_faces(learning, validation=VALIDATION, test=0)
    train, validation = divided.split("train"), divided.split("validation")
    recipe = Recipe(
        path.stem,
        start="",
        labels=own.labels,
        size=own.input_size,
        stages=_stages(own.input_size, max(len(train) // BATCH, 1)),
        batch=min(BATCH, len(train)),
        lr=1e-3,
        ema=0.98,
        fixed_norm=True,
        label_smoothing=0.1,
        augmentation=Augmentation(erase=0.3),
    )
    train_data, validation_data, test_data = (
        training_set(recipe, part.arrays(own.input_size, color=True))
        for part in (train, validation, test)
    )
    torch.manual_seed(recipe.seed)
    network, card = open_exported(model, own.labels, recipe.dropout)
    work = path.with_suffix(".training")
    shutil.rmtree(work, ignore_errors=True)
    best = _Best(work, report)
    network = fit(recipe, network, train_data, validation_data, work, best)
    network.load_state_dict(best.state())
    shutil.rmtree(work)
    depth = "the last layer" if recipe.stage_at(best.epoch - 1).head_only else "all layers"
    report(
        {
            "note": f"{depth}, epoch {best.epoch} of {recipe.epochs}: KL divergence "
            f"{best.divergence:.3f} on {len(validation_data)} validation faces"
        }
    )
    words = f"{card.training_data}; fine-tuned on {len(learning):,} faces of the user's"
    card = replace(card, name=path.stem, training_data=words, accuracy={})
    if len(validation_data) >= ENOUGH:
        logits = predict(network, validation_data.images, recipe.size)
        card = replace(card, temperature=fit_temperature(logits, validation_data.targets))
    export(network, card, path, check=lambda file: check_parity(network, file, test_data.images))
    gain = compare(own, OnnxClassifier(path), test, progress=progress)
    return Finetuned(path, len(learning), len(test), gain)


class _Best:
    """Passes progress on, and keeps the weights of the epoch with the best validation loss."""

    def __init__(self, work: Path, report: Report) -> None:
        self._work, self._report = work, report
        self.divergence, self.epoch = math.inf, 0

    def __call__(self, line: dict[str, Any]) -> None:
        if "loss" in line and line["val_kl"] < self.divergence:
            self.divergence, self.epoch = line["val_kl"], line["epoch"]
            shutil.copyfile(self._work / "checkpoint.pt", self._work / "best.pt")
        self._report(line)

    def state(self) -> dict[str, torch.Tensor]:
        """The weights of that epoch, averaged."""
        best = torch.load(self._work / "best.pt", weights_only=True, map_location="cpu")
        state: dict[str, torch.Tensor] = best["average"]
        return state


def _stages(size: int, steps: int) -> tuple[Stage, Stage]:
    """The two stages, for epochs of this many steps."""
    head, everything = (max(4, -(-count // steps)) for count in (HEAD_STEPS, ALL_STEPS))
    return (
        Stage(head, size, strength=0.5, head_only=True),
        Stage(everything, size, restart=True, strength=0.7, rate=0.3),
    )


def _divide(faces: LabelledFaces) -> tuple[LabelledFaces, LabelledFaces]:
    """Faces to train on, and faces to test on."""
    names = set(faces.splits.tolist())
    if "train" not in names or not names & {"test", "validation"}:
        faces = split_faces(faces, validation=0, test=HELD_OUT)
        names = {"train", "test"}
    train = faces.split("train")
    test = faces.split("test" if "test" in names else "validation")
    clear = np.unique(train.majority[train.majority >= 0])
    if len(faces) < LEAST or len(clear) < 2:
        raise InputError(
            f"fine-tuning needs at least {LEAST} faces with two labels or more, got {len(faces)} "
            f"with {len(clear)}."
        )
    return train, test
