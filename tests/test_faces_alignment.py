"""Images that are crops of a face already are aligned as the card of a model says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.datasets import load_faces
from mien.errors import ModelError
from mien.evaluation.predictions import predict
from mien.expressions.onnx import OnnxClassifier
from mien.faces.alignment import Aligner
from mien.faces.detectors.yunet import YunetDetector
from mien.media.images import read_image, write_image
from mien.models.card import CropSpec
from mien.plugins import model_path
from mien.types import Image

PHOTO = Path(__file__).parents[1] / "src" / "mien" / "assets" / "astronaut.jpg"
TEMPLATE = ((0.34, 0.46), (0.66, 0.46), (0.5, 0.64), (0.37, 0.82), (0.63, 0.82))
USUAL = ((0.32, 0.38), (0.68, 0.38), (0.5, 0.6), (0.35, 0.78), (0.65, 0.78))
SPEC = CropSpec(template=TEMPLATE, usual=USUAL)


@pytest.fixture(scope="module")
def face() -> Image:
    """A crop of 64 pixels of the astronaut's face, not quite upright."""
    image = read_image(PHOTO)
    left, top, right, bottom = YunetDetector().detect(image).boxes[0]
    center = (float(left + right) / 2, float(top + bottom) / 2)
    turned = cv2.warpAffine(image, cv2.getRotationMatrix2D(center, 14, 1.0), image.shape[1::-1])
    half = int(0.6 * (bottom - top))
    x, y = (round(value) for value in center)
    crop = turned[y - half : y + half, x - half : x + half]
    return np.asarray(cv2.resize(crop, (64, 64), interpolation=cv2.INTER_AREA), np.uint8)


def test_a_face_is_brought_onto_the_template(face: Image) -> None:
    crop, detected = Aligner(SPEC).crop(face, 112)
    assert detected
    framed = cv2.copyMakeBorder(crop, 40, 40, 40, 40, cv2.BORDER_REPLICATE)
    landmarks = YunetDetector().detect(np.asarray(framed, np.uint8)).landmarks
    assert landmarks is not None
    assert np.abs((landmarks[0] - 40) / 112 - TEMPLATE).max() < 0.06


def test_where_no_face_is_detected_it_is_where_faces_usually_are() -> None:
    marked = np.zeros((80, 100, 3), np.uint8)
    for x, y in USUAL:
        cv2.circle(marked, (round(100 * x), round(80 * y)), 3, (255, 255, 255), -1)
    crop, detected = Aligner(SPEC).crop(marked, 112)
    assert not detected
    for x, y in TEMPLATE:
        around = crop[round(112 * y) - 6 : round(112 * y) + 6, round(112 * x) - 6 :][:, :12]
        assert around.max() > 100


def test_an_evaluation_aligns_as_the_card_says(face: Image, tmp_path: Path) -> None:
    (tmp_path / "data" / "happy").mkdir(parents=True)
    write_image(tmp_path / "data" / "happy" / "a.png", face)
    faces = load_faces(tmp_path / "data")
    plain = faces.crops(112, spec=CropSpec(template=TEMPLATE))[0]
    aligned = faces.crops(112, spec=SPEC)[0]
    assert np.array_equal(aligned, Aligner(SPEC).crop(face, 112)[0])
    assert not np.array_equal(aligned, plain)
    gray = np.asarray(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), np.uint8)
    path = model_path("mien-mobilenet")
    model = OnnxClassifier(path, replace(OnnxClassifier(path).card, crop=SPEC))
    values = predict(model, gray[None])
    crop = Aligner(SPEC).crop(np.repeat(gray[..., None], 3, axis=2), 112)[0]
    expected = model.classify(crop[None]).values[0]
    assert sorted(values[0]) == pytest.approx(sorted(expected), abs=1e-6)


def test_usual_landmarks_need_a_template() -> None:
    with pytest.raises(ModelError, match="needs a template"):
        CropSpec(usual=USUAL)
