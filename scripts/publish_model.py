"""Measure a trained model, write the figures into its card, and install it in the package.

    python scripts/publish_model.py runs/mien-mobilenet-branch/mien-mobilenet.onnx --data FOLDER

Beside the model lies the ``figures.json`` of its branch. Writes ``src/mien/weights/NAME.onnx``
and ``docs/models/NAME.md``.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.evaluation import Estimate, evaluate_ferplus
from mien.expressions.onnx import OnnxClassifier
from mien.training.expressions.export import write_card

ROOT = Path(__file__).resolve().parents[1]

WORDS = """\
# Model card: {name}

*MobileNet-v1, {parameters}, {size} px squares, {megabytes:.1f} MB. It says which of
{count} expressions viewers would see in a face: {labels}.*

## What the numbers mean

The model learned from the votes of ten people a face. A probability is an estimate of the share
of viewers who would choose that word: 0.6 happiness says that about six of ten people would call
this face happy. It describes a picture. It does not say what the person feels.

## Measured

Of the file in the package, by `mien evaluate {name} FOLDER`; one crop, no flip, one model.
Training saw `train.parquet` only; recipe, temperature ({temperature}) and crop were chosen on
`validation.parquet`, the last epoch is the one that ships. Test data chose nothing.

| figure | value | faces | protocol |
|---|--:|--:|---|
{rows}

The list's best published figure for a network of this size is 90.74 % (DDAMFN, whose epoch was
chosen on the test list); this file does not reach it.

Classes with few test faces (disgust, contempt) have wide error bars: 16 faces give a 95 %
interval of up to 25 points to each side. In practice the model hardly ever names either.
`ece_majority` is large by design: the list holds only faces on which viewers agreed, and the model
is trained on all faces.

## What it tells besides, when asked

`mien analyze --embeddings identity`, or `EmotionAnalyzer(also=("identity",))`: a vector of
{dimensions} numbers that is cosine-similar for images of one person. It comes from a branch
on the same network, in the same pass; the expressions are bit for bit those of the file without
it. The branch learned from the starting network below, on the images of `train.parquet` without
their labels
(`recipes/{name}-person.toml`; the shipped one learned 256 directions, of which the first
{dimensions} were kept, so that the file has less than 8 MB), so it can be no better than that
network. How near it comes to it, on pictures that it did not learn from:

| figure | validation | test |
|---|--:|--:|
{branch}

`identity_cosine`: mean cosine between its vector and that network's (without the mean over faces,
in the {dimensions} directions in which faces differ most), before its directions are evened out,
which keeps strangers in like pictures apart. `similarity_correlation`: over all pairs of 1,000
faces. The branch learned age and gender, too, but on 102 people its ages erred as much as the mean
age of the set (5.76 and 5.61 years), and it called half of the portraits of black women male: these
outputs are not used any more, [faceres](faceres.md) gives the columns.
Verification of people: [people](../people.md). What it is not for: [person](../person.md).

## Where it comes from

- Starting weights: `faceres` from the npm package `@vladmandic/human` 3.3.6 (MIT), a network that
  A. V. Savchenko pre-trained on VGGFace2 identities, with age and gender heads
  (arXiv 2103.17107). VGGFace2 is a research set.
- Pictures: FER2013 (Kaggle, 2013). The rights to these pictures are **unresolved**.
- Votes: FER+ (Barsoum et al. 2016, MIT).
- Recipe: `recipes/{name}.toml`; `mien train recipes/{name}.toml --data FOLDER`. The shipped
  file was made with it, except that the learning rate of the first cycle was laid out for twelve
  epochs and shortened to ten after the sixth, and that the third cycle's teacher saw pictures and
  mirror images at one size; a fresh run should differ a little.

Licence of the weights: {licence}. Whether commercial use is clear: **{commercial}**, because of
the pictures.

## What it should not be used for

- To infer what someone feels, intends or is; to decide about a person.
- At work and in schools in the European Union: inferring emotions there is forbidden outside
  medical and safety uses (AI Act, Art. 5(1)(f)). In other settings there people must be told
  (Art. 50(3)).
- On faces that `fit` calls unfit: smaller than 24 px, blurred, or turned far to the side.
- Contempt and disgust were rare in training; do not build on them.

How right the model is for people of different ages, sexes and skin tones has not been measured:
FER+ does not say who is in its pictures.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args(arguments)
    classifier = OnnxClassifier(options.model)
    figures = evaluate_ferplus(classifier, options.data)
    name = classifier.card.name
    card = replace(classifier.card, accuracy={f.name: round(f.value, 5) for f in figures})
    target = ROOT / "src" / "mien" / "weights" / f"{name}.onnx"
    if options.model.resolve() != target:
        shutil.copyfile(options.model, target)
    write_card(target, card)
    page = ROOT / "docs" / "models" / f"{name}.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    branch = json.loads((options.model.parent / "figures.json").read_text())
    page.write_text(_page(OnnxClassifier(target), figures, branch), encoding="utf-8")
    print(f"{target}\n{page}")


def _page(classifier: OnnxClassifier, figures: list[Estimate], branch: dict[str, float]) -> str:
    card = classifier.card
    names = [name.removeprefix("test_") for name in branch if name.startswith("test_")]
    pairs = [(name, branch[f"validation_{name}"], branch[f"test_{name}"]) for name in names]
    told = OnnxClassifier(classifier.path, also=("identity",)).classify(
        np.zeros((1, card.input_size, card.input_size, 3), np.uint8)
    )
    return WORDS.format(
        name=card.name,
        parameters="3.2 million parameters (and 1.5 million of a branch)",
        size=card.input_size,
        megabytes=classifier.path.stat().st_size / 1e6,
        count=len(card.labels),
        labels=", ".join(card.labels),
        temperature=card.temperature,
        rows="\n".join(_row(figure) for figure in figures),
        branch="\n".join(f"| {name} | {v:.3f} | {t:.3f} |" for name, v, t in pairs),
        dimensions=told.embeddings["identity"].shape[1],
        licence=card.licence,
        commercial=card.commercial,
    )


def _row(figure: Estimate) -> str:
    distance = figure.name.startswith(("kl_", "ece_"))
    value = f"{figure.value:.4f}" if distance else f"{100 * figure.value:.2f} %"
    return f"| {figure.name} | {value} | {figure.count:,} | {figure.protocol} |"


if __name__ == "__main__":
    main()
