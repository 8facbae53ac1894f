"""Recipes: TOML files with all settings that a published model was trained with."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.errors import InputNotFoundError, UsageError
from mien.labels import EMOTIONS
from mien.models.fields import conform
from mien.training.expressions.augment import Augmentation


@dataclass(frozen=True)
class Stage:
    """Some epochs at one input size; later stages see finer images.

    Attributes:
        epochs: how many.
        size: input size, pixels.
        restart: start a new cycle of warm-up and cosine here (SGDR, arXiv 1608.03983).
        strength: factor of the augmentation's ranges.
        teacher: share of each target that comes from the averaged network as it stood when the
            stage began, not from the votes (born-again networks, arXiv 1805.04770): ten votes are
            a noisy count, and the network averages over similar faces.
        blend: share of the averaged network as it stood when the stage began that is mixed into
            it at the stage's end (weights of one basin, arXiv 2203.05482).
        rate: factor of the recipe's learning rate.
        head_only: train the last layer alone, for which few faces suffice.
    """

    epochs: int
    size: int
    restart: bool = False
    strength: float = 1.0
    teacher: float = 0.0
    blend: float = 0.0
    rate: float = 1.0
    head_only: bool = False


@dataclass(frozen=True)
class Recipe:
    """Training settings; field names are the keys of the TOML file.

    Attributes:
        name: the model's name.
        network: "mobilenet", "mobilefacenet", "inception" or "rca", see `mien.training.networks`.
        attention: "cbam" puts such a block at the end of each stage of the network.
        start: "faceres" or "mobilefacenet" for the weights of these face networks, the name of a
            model of mien's, or "" for random ones.
        labels: the network's outputs.
        targets: "votes" are soft labels; "majority" is the label of more than half of the votes;
            "fer2013" is FER2013's single label.
        size: input size of the exported model, pixels.
        stages: epochs and input size, coarse to fine.
        batch: images in a step.
        lr: peak learning rate of AdamW, after a linear warm-up and before a cosine decay to 0.
        weight_decay: of AdamW, on convolution and head weights only.
        warmup: share of a cycle's steps that warm up.
        dropout: on the embedding, before the head.
        ema: decay of the moving average of the weights that is evaluated and exported.
        compile: whether to compile the step; left out on machines without a C++ compiler.
        bfloat16: whether to compute in bfloat16 where the processor is fast at it; weights and loss
            stay in float32.
        seed: of weights, order and augmentation.
        fixed_norm: leave BatchNorm's statistics as they are, as fine-tuning on few faces does.
        label_smoothing: share of each target that is spread over all labels.
        class_weights: exponent of a class's rarity in the weight of its faces; 1 makes all classes
            count the same, 0 each face.
        mixup: alpha of the blend of pairs, see `mien.training.expressions.losses.mix`; 0 is none.
        eac: weight of attention consistency in the loss, 5 in its paper; 0 is none. Half as fast.
        sam: radius of sharpness-aware minimization, 0.05 is usual; 0 is none. Half as fast.
        crop_margin, crop_template: how faces are cut in use, see `mien.models.card.CropSpec`.
        data_template: where the landmarks of the data's faces usually are, as `crop_template`. With
            it each face is aligned to `crop_template` before training, by its own landmarks where
            they are detected; without it the images are used as they are.
        teachers: names or files of models whose mean opinion is the teacher of the first stages,
            and half of it afterwards; without any the network teaches itself alone.
        augmentation: see `mien.training.expressions.augment.Augmentation`.
    """

    name: str
    network: str = "mobilenet"
    attention: str = ""
    start: str = "faceres"
    labels: tuple[str, ...] = EMOTIONS
    targets: str = "votes"
    size: int = 112
    stages: tuple[Stage, ...] = (Stage(12, 112),)
    batch: int = 64
    lr: float = 6e-4
    weight_decay: float = 0.05
    warmup: float = 0.05
    dropout: float = 0.2
    ema: float = 0.998
    compile: bool = False
    bfloat16: bool = False
    seed: int = 0
    fixed_norm: bool = False
    label_smoothing: float = 0.0
    class_weights: float = 0.0
    mixup: float = 0.0
    eac: float = 0.0
    sam: float = 0.0
    crop_margin: float = 0.0
    crop_template: tuple[tuple[float, float], ...] = ()
    data_template: tuple[tuple[float, float], ...] = ()
    teachers: tuple[str, ...] = ()
    augmentation: Augmentation = field(default_factory=Augmentation)

    @property
    def epochs(self) -> int:
        """Epochs of all stages."""
        return sum(stage.epochs for stage in self.stages)

    def trial(self) -> Recipe:
        """One epoch for each stage, as a trial."""
        stages = tuple(replace(stage, epochs=1) for stage in self.stages)
        return replace(self, stages=stages, compile=False)

    def stage_at(self, epoch: int) -> Stage:
        """The stage of epoch `epoch`, counted from 0."""
        for stage in self.stages:
            if epoch < stage.epochs:
                return stage
            epoch -= stage.epochs
        return self.stages[-1]

    def begins_stage(self, epoch: int) -> bool:
        """Whether `epoch` is the first of its stage."""
        return epoch in np.cumsum([0, *(stage.epochs for stage in self.stages)])

    def cycle_at(self, epoch: int) -> tuple[int, int]:
        """First epoch, and the one after the last, of the cosine cycle that holds `epoch`."""
        first = end = 0
        for stage in self.stages:
            if stage.restart:
                if epoch < end:
                    break
                first = end
            end += stage.epochs
        return first, end


def load_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        InputNotFoundError: no such file.
        UsageError: not TOML, or a key that no recipe has.
    """
    table = _read(path)
    if "stages" in table:
        if not isinstance(table["stages"], list) or not table["stages"]:
            raise UsageError(f"{path}: stages is a list of tables, at least one.")
        table["stages"] = tuple(_build(Stage, stage, path) for stage in table["stages"])
    recipe: Recipe = _build(Recipe, table, path)
    return recipe


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputNotFoundError(f"there is no recipe {path}.")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a TOML file: {error}.") from error
    table.setdefault("name", path.stem)
    if "augmentation" in table:
        table["augmentation"] = _build(Augmentation, table["augmentation"], path)
    return table


def _build(kind: Any, table: Any, path: Path) -> Any:
    if not isinstance(table, dict):
        raise UsageError(f"{path}: {kind.__name__.lower()} is a table, got {table!r}.")
    known = {f.name for f in fields(kind)}
    unknown = sorted(set(table) - known)
    if unknown:
        raise UsageError(
            f"{path}: unknown key {unknown[0]!r}; a {kind.__name__.lower()} has "
            f"{', '.join(sorted(known))}."
        )
    try:
        table = conform(table, kind)
    except ValueError as error:
        raise UsageError(f"{path}: {error}.") from error
    for key in set(table) & {"epochs", "size", "batch"}:
        if table[key] < 1:
            raise UsageError(f"{path}: {key} is at least 1, got {table[key]}.")
    if "name" in table and Path(table["name"]).name != table["name"]:
        raise UsageError(f"{path}: name is a plain file name, got {table['name']!r}.")
    try:
        return kind(**table)
    except TypeError as error:
        raise UsageError(f"{path}: {error}.") from error
