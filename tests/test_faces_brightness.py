"""Faces in dim light are detected, with the predictions they have in good light."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien import EmotionAnalyzer
from mien.faces.detectors.mtcnn import MtcnnDetector
from mien.faces.detectors.yunet import YunetDetector
from mien.media.brightness import brightened, is_dark
from mien.types import Image


def dimmed(image: Image, light: float) -> Image:
    """With this share of the light, rounded as a camera does."""
    return (image * light).astype(np.uint8)


def test_only_dark_images_are_brightened(astronaut: Image) -> None:
    assert brightened(astronaut) is astronaut
    dark = dimmed(astronaut, 0.1)
    before = dark.copy()
    assert is_dark(dark)
    assert not is_dark(brightened(dark))
    assert (dark == before).all()
    black = np.zeros((7, 5, 3), np.uint8)
    assert (brightened(black) == black).all()
    one_lamp = dark.copy()
    one_lamp[:4, :4] = 255
    assert is_dark(one_lamp)


@pytest.mark.parametrize("light", [0.15, 0.1, 0.05])
def test_a_face_in_dim_light_is_detected_and_predicted(astronaut: Image, light: float) -> None:
    dark = dimmed(astronaut, light)
    for detector in (MtcnnDetector(), YunetDetector()):
        assert len(detector.detect(dark)) == 1
    (result,) = EmotionAnalyzer().analyze([dark])
    assert result.emotions == ("happiness",)
    assert len(YunetDetector().follow(dark, result.faces, 0.5)) == 1


@pytest.mark.parametrize("name", ["dim_030_08", "dim_096_08"])
def test_a_tenth_of_the_light_on_light_and_dark_skin(shared: Path, name: str) -> None:
    result = EmotionAnalyzer()(shared / "cases" / "reports" / "people" / f"{name}.jpg")
    assert result.emotions == ("happiness",)


def photographed(image: Image, light: float, electrons: int, rng: np.random.Generator) -> Image:
    """With so little light and a sensor's noise: `electrons` are those of a white pixel."""
    linear = (image / 255 * light) ** 2.2 * electrons
    counted = rng.poisson(linear) + rng.normal(0, 3, image.shape)
    return np.rint(255 * np.clip(counted / electrons, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def test_a_face_lost_in_noise_is_unfit(astronaut: Image, rng: np.random.Generator) -> None:
    analyzer = EmotionAnalyzer()
    lit, dim = (
        analyzer(photographed(astronaut, light, electrons, rng))
        for light, electrons in ((1, 3_000), (0.1, 3_000))
    )
    assert lit.quality.reason.tolist() == [""]
    assert dim.quality.reason.tolist() == ["noisy"]


def test_a_dark_face_without_noise_is_fit(astronaut: Image) -> None:
    (result,) = EmotionAnalyzer().analyze([dimmed(astronaut, 0.2)])
    assert result.quality.reason.tolist() == [""]
