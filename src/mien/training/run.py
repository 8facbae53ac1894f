"""A whole training: data, fit, temperature, export, parity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from mien.cards import CropSpec, ModelCard
from mien.classifiers.onnx import OnnxClassifier
from mien.datasets import VotedFaces, load_ferplus
from mien.errors import ModelError
from mien.evaluation import divergence, to_crops
from mien.hub import FACERES, fetch
from mien.labels import EMOTIONS
from mien.training.augment import to_input
from mien.training.backbone import MEAN, MobileNetV1
from mien.training.export import EMBEDDED, HEAD, MAP, SCORES, export
from mien.training.fit import Report, fit, predict
from mien.training.recipe import Recipe, load_recipe

#: Largest difference of a logit between PyTorch and the exported file; float16 weights cost some.
PARITY = 0.15


def run(
    recipe_path: Path,
    data: Path,
    output: Path,
    backbone: Path | None,
    sample: int | None,
    report: Report,
) -> Path:
    """Train what `recipe_path` describes and write ``output/NAME/NAME.onnx``.

    Args:
        recipe_path: the TOML file.
        data: folder with the FER+ splits.
        output: a folder of the recipe's name is made in it, for checkpoints, log and model.
        backbone: folder with the starting weights; None fetches them (see `mien.hub`).
        sample: use only that many faces.
        report: gets progress, see `mien.training.fit.fit`.
    """
    recipe = load_recipe(recipe_path)
    train, validation = load_ferplus(data, "train"), load_ferplus(data, "validation")
    if sample is not None:
        train, validation = _first(train, sample), _first(validation, sample)
    out = output / (recipe.name if sample is None else f"{recipe.name}-sample{sample}")
    model = fit(recipe, train, validation, backbone or fetch(FACERES), out, report)
    path = out / f"{recipe.name}.onnx"
    logits = predict(model, validation.pictures, recipe.size)
    card = default_card(recipe, fit_temperature(logits, validation.distribution))
    export(model, card, path)
    difference = parity(model, path, validation.pictures[:64])
    if difference > PARITY:
        raise ModelError(f"{path} differs from the trained network by {difference:.3f}.")
    return path


def default_card(recipe: Recipe, temperature: float) -> ModelCard:
    """The card of a network of ours, before it is measured."""
    return ModelCard(
        name=recipe.name,
        labels=EMOTIONS,
        input_size=recipe.size,
        color="rgb",
        mean=MEAN,
        std=(1.0, 1.0, 1.0),
        temperature=temperature,
        crop=CropSpec(margin=recipe.crop_margin, template=recipe.crop_template),
        scores=SCORES,
        embedding=EMBEDDED,
        feature_map=MAP,
        head=HEAD,
        licence="MIT",
        commercial="unclear",
        training_data=(
            "face network pre-trained on VGGFace2 identities (a research set); FER2013 pictures, "
            "whose image rights are unresolved; FER+ votes (MIT)"
        ),
        source="trained by mien from @vladmandic/human 3.3.6 faceres (MIT), A. V. Savchenko",
    )


def fit_temperature(logits: npt.NDArray[np.float32], votes: npt.NDArray[np.float32]) -> float:
    """The divisor of the logits that brings the probabilities closest to the votes (KL)."""

    def distance(temperature: float) -> float:
        values = logits / temperature
        values = np.exp(values - values.max(axis=1, keepdims=True))
        return divergence(values / values.sum(axis=1, keepdims=True), votes)

    grid = np.geomspace(0.5, 2.0, 281)
    return round(float(min(grid, key=distance)), 4)


def parity(model: MobileNetV1, path: Path, pictures: npt.NDArray[np.uint8]) -> float:
    """Largest difference of a logit between `model` and the file, over ``(n, h, w)`` pictures."""
    classifier = OnnxClassifier(path)
    crops = to_crops(pictures, classifier.input_size)
    with torch.no_grad():
        batch = torch.from_numpy(crops).permute(0, 3, 1, 2)
        expected = model.eval()(to_input(batch, classifier.input_size))[0].numpy()
    return float(np.abs(classifier.activations(crops).logits - expected).max())


def _first(faces: VotedFaces, count: int) -> VotedFaces:
    names = ("names", "pictures", "votes", "fer2013", "groups")
    return replace(faces, **{name: getattr(faces, name)[:count] for name in names})
