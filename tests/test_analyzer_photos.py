"""The analyzer on real photos, against what viewers see in them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import mien
from mien import EmotionAnalyzer, load_detector
from mien.errors import ImageError
from mien.testing import check_detector
from mien.types import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from photos import check

# Truncated and fake files, two videos, and an image whose face is 5 pixels wide.
UNREADABLE = (
    "astronaut_truncated.jpg",
    "astronaut_truncated_baseline.jpg",
    "not_an_image.jpg",
    "london_096_smile.gif",
    "london_096_smile_anim.webp",
)
TOO_SMALL = ("astronaut_32px.png",)


@pytest.fixture(scope="module")
def analyzer() -> EmotionAnalyzer:
    return EmotionAnalyzer()


def test_counts_and_labels_on_photos(shared: Path, analyzer: EmotionAnalyzer) -> None:
    tally = check(shared / "media", analyzer)
    assert tally.counted >= 30
    assert tally.wrong_counts == []
    assert tally.sure >= 20
    assert tally.right >= 0.95, tally.wrong_labels


def test_every_format_shows_its_face(shared: Path, analyzer: EmotionAnalyzer) -> None:
    paths = sorted((shared / "media" / "formats").iterdir())
    assert len(paths) >= 30
    for path in paths:
        if path.suffix == ".json" or path.name in TOO_SMALL:
            continue
        if path.name in UNREADABLE:
            with pytest.raises(ImageError, match=path.name):
                analyzer(path)
            continue
        truth = path.with_suffix(".json")
        expected = len(json.loads(truth.read_text())) if truth.is_file() else 1
        result = analyzer(mien.read_image(path))  # of an animation, the first frame
        assert len(result) == expected, path.name
        size = int(path.stem.removeprefix("astronaut_").removesuffix("px") or 0) if (
            path.stem.endswith("px")
        ) else 512  # fmt: skip
        if path.name.startswith(("astronaut", "exif")) and size >= 128:
            assert result.emotions == ("happiness",), path.name


def test_upright_whatever_the_orientation(shared: Path, analyzer: EmotionAnalyzer) -> None:
    folder = shared / "media" / "formats"
    boxes = [analyzer(folder / f"exif_orient_{i}.jpg").faces.boxes[0] for i in range(1, 9)]
    assert np.ptp(np.stack(boxes), axis=0).max() < 12  # pixels, of about 615 x 455


def test_yunet_passes_the_public_check(astronaut: Image) -> None:
    check_detector(load_detector("yunet"), astronaut)
