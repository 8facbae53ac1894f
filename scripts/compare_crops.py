"""Compare aligned and plain crops for the default model. The source of docs/crops.md.

    python scripts/compare_crops.py --data FERPLUS [--media ../shared/media] [--detector mtcnn]

On FER+ validation images in which the detector finds the face, and on labeled color photos. The
images of FER+ are enlarged threefold with a repeated edge, to give the detector room.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from mien import CropSpec, read_image
from mien.datasets import load_ferplus
from mien.evaluation import divergence
from mien.expressions.onnx import OnnxClassifier
from mien.faces.crops import crop_faces
from mien.faces.detectors import BUILTIN, FaceDetector, make_detector
from mien.plugins import model_path
from mien.types import Crops, Faces, Image

SIDE, EDGE = 144, 48


def specs(own: CropSpec) -> dict[str, CropSpec]:
    """The crops to compare, by name."""
    plain = CropSpec()
    return {
        "aligned, margin 0 (default)": own,
        "aligned, margin 10 %": replace(own, margin=0.1),
        "aligned, margin -5 %": replace(own, margin=-0.05),
        "square, margin 0": plain,
        "square, margin 10 %": replace(plain, margin=0.1),
        "square, margin -5 %": replace(plain, margin=-0.05),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--media", type=Path)
    parser.add_argument("--detector", choices=BUILTIN, default="yunet")
    options = parser.parse_args(arguments)
    classifier = OnnxClassifier(model_path("mien-mobilenet"))
    size = classifier.input_size
    faces = load_ferplus(options.data, "validation")
    images = [_enlarged(image) for image in faces.images]
    detector = make_detector(options.detector, min_face=EDGE)
    found = [detector.detect(image)[:1] for image in images]
    rows = np.flatnonzero([len(f) == 1 for f in found])
    clear = faces.majority[rows] >= 0
    photos = _photos(options.media, make_detector(options.detector)) if options.media else []
    print(f"a face detected in {len(rows)} of {len(found)} images, {clear.sum()} with a majority\n")
    print("| crop | validation accuracy | KL to the votes | photos right | mean probability |")
    print("|---|--:|--:|--:|--:|")
    for name, spec in specs(classifier.crop).items():
        crops: Crops = np.concatenate([crop_faces(images[r], found[r], size, spec) for r in rows])
        scores = classifier.classify(crops).values
        truth = faces.majority[rows]
        right = (scores.argmax(axis=1) == truth)[clear].mean()
        distance = divergence(scores, faces.distribution[rows])
        line = f"| {name} | {100 * right:.2f} % | {distance:.4f} |"
        if photos:
            shares, good = [], 0
            for image, face, label in photos:
                values = classifier.classify(crop_faces(image, face, size, spec)).values[0]
                shares.append(values[classifier.labels.index(label)])
                good += classifier.labels[values.argmax()] == label
            line += f" {good} of {len(photos)} | {np.mean(shares):.3f} |"
        print(line, flush=True)


def _enlarged(image: Image) -> Image:
    large = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    room = cv2.copyMakeBorder(large, EDGE, EDGE, EDGE, EDGE, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(room, cv2.COLOR_GRAY2RGB), np.uint8)


def _photos(media: Path, detector: FaceDetector) -> list[tuple[Image, Faces, str]]:
    with (media / "photos.csv").open(newline="") as lines:
        rows = [r for r in csv.DictReader(lines) if r["label_sure"] == "yes" and r["faces"] == "1"]
    kept = []
    for row in rows:
        if row["label"] and row["file"].startswith("photos/"):
            image = read_image(media / row["file"])
            found = detector.detect(image)[:1]
            if len(found):
                kept.append((image, found, row["label"]))
    return kept


if __name__ == "__main__":
    main()
