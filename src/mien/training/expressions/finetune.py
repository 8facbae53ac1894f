"""Fine-tuning: a model of ours, adapted to a few hundred faces of the user's own."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien.datasets import LabelledFaces, duplicates, split_faces
from mien.errors import InputError, ModelError, UsageError
from mien.evaluation import Comparison, Progress, compare
from mien.expressions.onnx import OnnxClassifier
from mien.training.expressions.augment import Augmentation
from mien.training.expressions.export import export
from mien.training.expressions.loop import Report, fit, predict
from mien.training.expressions.pretrained import open_exported
from mien.training.expressions.recipe import Recipe, Stage
from mien.training.expressions.targets import lesson
from mien.training.expressions.train import PARITY, fit_temperature, parity

#: Few faces, so: first the last layer alone, then everything, slowly, with BatchNorm held, and of
#: all epochs the one that comes closest to the labels of faces apart. Steps of the optimizer,
#: because an epoch of a few hundred faces is next to nothing.
HEAD_STEPS, ALL_STEPS = 80, 240
BATCH = 32
LEAST = 40
HELD_OUT = 0.3
#: Share of the faces that teach that chooses how long, and so how much, the network learns.
CHOOSING = 0.2
#: Faces apart from which on they also say how sure the new model may be; fewer would not know.
ENOUGH = 50


@dataclass(frozen=True)
class Tuned:
    """A fine-tuned model and what it gained.

    Attributes:
        path: the new ``.onnx``.
        learned, held_out: how many faces it learned from, and how many it was measured on.
        gain: the model before against the one after, on faces that it did not learn from.
    """

    path: Path
    learned: int
    held_out: int
    gain: Comparison


def tune(
    model: Path, faces: LabelledFaces, path: Path, report: Report, progress: Progress | None = None
) -> Tuned:
    """Fine-tune `model` on faces with labels and write the result to `path`.

    Where the faces have splits, "train" teaches and "test" (or "validation") measures; otherwise
    three in ten of each label are held out, and nothing is chosen on these. Of the faces that
    teach, a fifth chooses the epoch, and so whether only the last layer learns or all layers.

    Args:
        model: an ``.onnx`` that mien exported.
        faces: at least 40, with two labels or more.
        path: where the new model goes.
        report: gets progress, see `mien.training.expressions.loop.fit`.
        progress: wraps the measuring, see `mien.evaluation.evaluate`.

    Raises:
        InputError: too few faces or labels.
        ModelError: `model` is no network of ours.
        UsageError: a label that the model does not have.
    """
    own = OnnxClassifier(model)
    strange = [label for label in faces.labels if label not in own.labels]
    if strange:
        raise UsageError(
            f"{own.card.name} has no label {strange[0]!r}; it has {', '.join(own.labels)}."
        )
    learned, held_out = _divided(faces)
    for line in duplicates(learned, held_out).summary():
        report({"told": line})
    teaching, choosing = _apart(learned)
    recipe = Recipe(
        path.stem,
        start="",
        labels=own.labels,
        size=own.input_size,
        stages=_stages(own.input_size, max(len(teaching) // BATCH, 1)),
        batch=min(BATCH, len(teaching)),
        lr=1e-3,
        ema=0.98,
        fixed_norm=True,
        label_smoothing=0.1,
        augmentation=Augmentation(erase=0.3),
    )
    told, chosen, measured = (
        lesson(recipe, part.arrays(own.input_size, color=True))
        for part in (teaching, choosing, held_out)
    )
    torch.manual_seed(recipe.seed)
    network, card = open_exported(model, own.labels, recipe.dropout)
    work = path.with_suffix(".training")
    shutil.rmtree(work, ignore_errors=True)
    best = _Best(work, report)
    network = fit(recipe, network, told, chosen, work, best)
    network.load_state_dict(best.state())
    shutil.rmtree(work)
    depth = "the last layer" if recipe.stage_at(best.epoch - 1).head_only else "all layers"
    report(
        {
            "told": f"{depth}, epoch {best.epoch} of {recipe.epochs}: {best.distance:.3f} "
            f"from the labels of {len(chosen)} faces apart"
        }
    )
    words = f"{card.training_data}; fine-tuned on {len(learned):,} faces of the user's"
    # A branch of the old network would not fit the new one.
    card = replace(card, name=path.stem, training_data=words, accuracy={})
    card = replace(card, identity="")
    if len(chosen) >= ENOUGH:
        logits = predict(network, chosen.pictures, recipe.size)
        card = replace(card, temperature=fit_temperature(logits, chosen.targets))
    partial = path.with_name(f"{path.stem}.partial.onnx")
    export(network, card, partial)
    difference = parity(network, partial, measured.pictures[:64])
    if difference > PARITY:
        raise ModelError(f"{path} differs from the trained network by {difference:.3f}.")
    partial.replace(path)
    gain = compare(own, OnnxClassifier(path), held_out, progress=progress)
    return Tuned(path, len(learned), len(held_out), gain)


class _Best:
    """Passes progress on, and keeps the epoch that came closest to the faces apart."""

    def __init__(self, work: Path, report: Report) -> None:
        self._work, self._report = work, report
        self.distance, self.epoch = math.inf, 0

    def __call__(self, line: dict[str, Any]) -> None:
        if "loss" in line and line["val_kl"] < self.distance:
            self.distance, self.epoch = line["val_kl"], line["epoch"]
            shutil.copyfile(self._work / "checkpoint.pt", self._work / "best.pt")
        self._report(line)

    def state(self) -> dict[str, torch.Tensor]:
        """The weights of that epoch, averaged."""
        kept = torch.load(self._work / "best.pt", weights_only=True, map_location="cpu")
        state: dict[str, torch.Tensor] = kept["average"]
        return state


def _stages(size: int, steps: int) -> tuple[Stage, Stage]:
    """The two stages, for epochs of so many steps."""
    head, everything = (max(4, -(-wanted // steps)) for wanted in (HEAD_STEPS, ALL_STEPS))
    return (
        Stage(head, size, strength=0.5, head_only=True),
        Stage(everything, size, restart=True, strength=0.7, rate=0.3),
    )


def _apart(learned: LabelledFaces) -> tuple[LabelledFaces, LabelledFaces]:
    """Faces that teach, and faces that choose."""
    divided = split_faces(learned, validation=CHOOSING, test=0)
    return divided.split("train"), divided.split("validation")


def _divided(faces: LabelledFaces) -> tuple[LabelledFaces, LabelledFaces]:
    """What teaches, and what measures."""
    names = set(faces.splits.tolist())
    if "train" not in names or not names & {"test", "validation"}:
        faces = split_faces(faces, validation=0, test=HELD_OUT)
        names = {"train", "test"}
    learned = faces.split("train")
    held_out = faces.split("test" if "test" in names else "validation")
    clear = np.unique(learned.majority[learned.majority >= 0])
    if len(faces) < LEAST or len(clear) < 2:
        raise InputError(
            f"fine-tuning needs at least {LEAST} faces with two labels or more, got {len(faces)} "
            f"with {len(clear)}."
        )
    return learned, held_out
