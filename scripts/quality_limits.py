"""Accuracy on small and blurred faces. The source of the limits in docs/quality.md.

    python scripts/quality_limits.py --data FOLDER [--rows 1200]

Validation images of FER+ are downscaled or blurred, then classified; accuracy is agreement with
the majority of viewers. No test data is used.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from mien.datasets import load_ferplus
from mien.evaluation import predict, to_crops
from mien.faces.quality import sharpness
from mien.plugins import load_classifier
from mien.types import Image


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one Markdown table for sizes and one for blur."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1200)
    options = parser.parse_args(arguments)
    faces = load_ferplus(options.data, "validation")
    clear = np.flatnonzero(faces.majority >= 0)[: options.rows]
    truth, images = faces.majority[clear], faces.images[clear]
    classifier = load_classifier("mien-mobilenet", threads=1)

    def row(name: str, changed: list[Image]) -> None:
        scores = predict(classifier, np.stack(changed))
        right = (scores.argmax(axis=1) == truth).mean()
        sure = (scores.max(axis=1) >= 0.5).mean()
        sharp = np.median([sharpness(crop) for crop in to_crops(np.stack(changed), 112)])
        print(f"| {name} | {100 * right:.1f} % | {100 * sure:.1f} % | {sharp:.4f} |", flush=True)

    print(f"{len(clear)} faces\n\n| change | right | not uncertain | median sharpness |")
    print("|---|--:|--:|--:|")
    for size in (48, 32, 24, 20, 16, 12, 8):
        row(f"{size} px", [_through(image, size) for image in images])
    for sigma in (0.5, 1.0, 1.5, 2.0, 3.0, 4.0):
        blurred = [cv2.GaussianBlur(image, (0, 0), sigma) for image in images]
        row(f"blur, sigma {sigma / 48:.3f} of the side", [np.asarray(b, np.uint8) for b in blurred])


def _through(image: Image, size: int) -> Image:
    small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (48, 48), interpolation=cv2.INTER_LINEAR), np.uint8)


if __name__ == "__main__":
    main()
