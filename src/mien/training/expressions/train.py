"""A whole training: data, fit, temperature, export, parity, int8."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from mien.datasets import duplicates, load_faces
from mien.errors import MienError, ModelError, UsageError
from mien.evaluation import divergence, to_crops
from mien.expressions.onnx import OnnxClassifier
from mien.hub import path_of
from mien.models.card import CropSpec, ModelCard
from mien.plugins import find_model
from mien.training.expressions.augment import to_input
from mien.training.expressions.distill import grow
from mien.training.expressions.export import EMBEDDED, HEAD, MAP, SCORES, export
from mien.training.expressions.loop import Report, fit, predict
from mien.training.expressions.pretrained import load_exported, load_faceres, restore_batchnorm
from mien.training.expressions.quantize import compare, quantize
from mien.training.expressions.recipe import Recipe, load_branch, load_recipe
from mien.training.expressions.targets import Lesson, lesson
from mien.training.networks import MobileNetV1, Network, make_network

#: Largest difference of a logit between PyTorch and the exported file; float16 weights cost some.
PARITY = 0.15
#: How far the channels of a grey picture may lie apart, as JPEG leaves them.
GREY = 16
_FACERES_WORDS = "face network pre-trained on VGGFace2 identities (a research set); "
_PICTURE_WORDS = "FER2013 pictures, whose image rights are unresolved; "


def run(
    recipe_path: Path,
    data: Path,
    output: Path,
    backbone: Path | None,
    sample: int | None,
    report: Report,
    labels: Mapping[str, str] | str | None = None,
) -> Path:
    """Train what `recipe_path` describes and write ``output/NAME/NAME.onnx``.

    Beside it lie ``NAME-int8.onnx`` and ``figures.json``, which compares the two.

    Args:
        recipe_path: the TOML file.
        data: labelled faces with the splits train and validation, in any layout of
            `mien.datasets.load_faces`.
        output: a folder of the recipe's name is made in it, for checkpoints, log and models.
        backbone: folder with the starting weights; None: those of `mien models pull faceres`.
        sample: use only that many faces and one epoch a stage, to see whether all works.
        report: gets progress, see `mien.training.expressions.loop.fit`.
        labels: what the data's labels mean, see `mien.datasets.load_faces`.
    """
    grown = load_branch(recipe_path)
    if grown is not None:
        return grow(grown, data, output / f"{grown.name}-branch", backbone, sample, report)
    recipe = load_recipe(recipe_path)
    if recipe.start == "faceres" and backbone is None:
        backbone = path_of("faceres").parent  # says what to run before minutes of reading
    train, validation = read_lessons(recipe, data, report, labels)
    if sample is not None:
        recipe, train, validation = recipe.trial(), train.first(sample), validation.first(sample)
    out = output / (recipe.name if sample is None else f"{recipe.name}-sample{sample}")
    model = starting_network(recipe, train, backbone)
    model = fit(recipe, model, train, validation, out, report)
    return finish(recipe, model, validation, out, report)


def read_lessons(
    recipe: Recipe,
    data: Path,
    report: Report,
    labels: Mapping[str, str] | str | None = None,
) -> tuple[Lesson, Lesson]:
    """What to learn and what to be measured by; tells of pictures that lie in both."""
    faces = [load_faces(data, split, labels=labels) for split in ("train", "validation")]
    with suppress(MienError):  # not all data has one, and only twins are looked for
        faces.append(load_faces(data, "test", labels=labels))
    for split, some in zip(("train", "validation", "test"), faces, strict=False):
        for line in some.describe():
            report({"told": f"{split}: {line}"})
    for line in duplicates(*faces).summary():
        report({"told": line})
    # Small pictures stay small until augmentation resamples them once, and grey ones grey.
    seen = [
        some.picture(row)
        for some in faces[:2]
        for row in np.linspace(0, len(some) - 1, num=min(64, len(some)), dtype=int)
    ]
    side = min(recipe.size, max(max(picture.shape[:2]) for picture in seen))
    color = any(np.ptp(picture, axis=2).max() > GREY for picture in seen)
    train, validation = (lesson(recipe, read.arrays(side, color=color)) for read in faces[:2])
    return train, validation


def starting_network(recipe: Recipe, train: Lesson, backbone: Path | None) -> Network:
    """The recipe's network with the weights it starts from."""
    torch.manual_seed(recipe.seed)
    model = make_network(
        recipe.network, len(recipe.labels), dropout=recipe.dropout, attention=recipe.attention
    )
    if recipe.start == "faceres":
        if not isinstance(model, MobileNetV1):
            raise UsageError(f'"faceres" are weights of mobilenet; give {recipe.name} start = "".')
        load_faceres(model, backbone or path_of("faceres").parent)
    elif recipe.start:
        load_exported(model, find_model(recipe.start), recipe.labels)
    if recipe.start:
        some = torch.from_numpy(train.pictures[:: len(train) // 512 + 1])
        restore_batchnorm(model, to_input(some, recipe.stage_at(0).size))
    return model


def finish(recipe: Recipe, model: Network, validation: Lesson, out: Path, report: Report) -> Path:
    """Temperature, export, parity and int8 copy of a trained network."""
    path = out / f"{recipe.name}.onnx"
    logits = predict(model, validation.pictures, recipe.size)
    card = default_card(recipe, model, fit_temperature(logits, validation.targets))
    export(model, card, path)
    difference = parity(model, path, validation.pictures[:64])
    if difference > PARITY:
        raise ModelError(f"{path} differs from the trained network by {difference:.3f}.")
    plain, small = out / "float32.onnx", out / f"{recipe.name}-int8.onnx"
    export(model, card, plain, half=False)
    quantize(plain, card, validation, small)
    plain.unlink()
    figures = compare(path, small, validation)
    figures["parameters"] = sum(p.numel() for p in model.parameters())
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    report(figures)
    return path


def default_card(recipe: Recipe, model: Network, temperature: float) -> ModelCard:
    """The card of a network of ours, before it is measured."""
    words = _PICTURE_WORDS
    words += "FER2013's labels" if recipe.targets == "fer2013" else "FER+ votes (MIT)"
    source = "trained by mien"
    if recipe.start == "faceres":
        words = _FACERES_WORDS + words
        source += " from @vladmandic/human 3.3.6 faceres (MIT), A. V. Savchenko"
    elif recipe.start:
        words = f"{OnnxClassifier(find_model(recipe.start)).card.training_data}; then {words}"
        source += f" from {recipe.start}"
    return ModelCard(
        name=recipe.name,
        labels=recipe.labels,
        input_size=recipe.size,
        color=model.color,
        mean=model.MEAN,
        std=(model.STD,),
        temperature=temperature,
        crop=CropSpec(margin=recipe.crop_margin, template=recipe.crop_template),
        scores=SCORES,
        embedding=EMBEDDED,
        feature_map=MAP,
        head=HEAD,
        licence="MIT",
        commercial="unclear",
        training_data=words,
        source=source,
    )


def fit_temperature(logits: npt.NDArray[np.float32], votes: npt.NDArray[np.float32]) -> float:
    """The divisor of the logits that brings the probabilities closest to the votes (KL)."""

    def distance(temperature: float) -> float:
        values = logits / temperature
        values = np.exp(values - values.max(axis=1, keepdims=True))
        return divergence(values / values.sum(axis=1, keepdims=True), votes)

    grid = np.geomspace(0.5, 2.0, 281)
    return round(float(min(grid, key=distance)), 4)


def parity(model: Network, path: Path, pictures: npt.NDArray[np.uint8]) -> float:
    """Largest difference of a logit between `model` and the file, over ``(n, h, w)`` pictures."""
    classifier = OnnxClassifier(path)
    crops = to_crops(pictures, classifier.input_size)
    with torch.no_grad():
        batch = torch.from_numpy(crops).permute(0, 3, 1, 2)
        expected = model.eval()(to_input(batch, classifier.input_size))[0].numpy()
    return float(np.abs(classifier.activations(crops).logits - expected).max())
