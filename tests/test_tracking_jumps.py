"""Videos have the faces that their single frames have: jumps, time-lapse, slideshows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien import EmotionAnalyzer
from mien.media.images import read_image
from mien.media.video import VideoSource
from mien.types import Frame, Image

SLIDES = ("025_03", "119_03", "062_03", "135_03", "030_08", "096_08", "129_08", "064_08", "022_08")


@pytest.fixture(scope="module")
def analyzer() -> EmotionAnalyzer:
    return EmotionAnalyzer()


def video(images: Sequence[Image], fps: float) -> Iterator[Frame]:
    for i, image in enumerate(images):
        yield Frame("video.mp4", partial(np.copy, image), i, i / fps)


def jumping(astronaut: Image, count: int, ground: int | None) -> list[Image]:
    """One head at another place in each frame, before one background or always another."""
    head = cv2.resize(astronaut[20:230, 120:330], (120, 120), interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(3)
    images = []
    for i in range(count):
        coarse = np.random.default_rng(ground if ground is not None else i)
        small = coarse.integers(40, 200, (5, 8, 3)).astype(np.uint8)
        image = np.asarray(cv2.resize(small, (480, 270)), np.uint8)
        x, y = rng.integers(0, (360, 150))
        image[y : y + 120, x : x + 120] = head
        images.append(image)
    return images


def numbers(results: Sequence[object]) -> set[int]:
    return {int(i) for r in results for i in np.asarray(r.faces.track_ids)}  # type: ignore[attr-defined]


@pytest.mark.parametrize("fps", [2.0, 10.0, 25.0])
@pytest.mark.parametrize("ground", [1, None])
def test_a_face_that_jumps_is_in_every_frame(
    analyzer: EmotionAnalyzer, astronaut: Image, fps: float, ground: int | None
) -> None:
    images = jumping(astronaut, 24, ground)
    results = list(analyzer.stream(video(images, fps)))
    assert [len(result) for result in results] == [1] * len(images)
    assert numbers(results) == {1}


@pytest.mark.parametrize("fps", [2.0, 10.0])
def test_people_of_a_slideshow_are_distinguished(
    analyzer: EmotionAnalyzer, shared: Path, fps: float
) -> None:
    slides = []
    for name in SLIDES * 3:
        photo = read_image(shared / "media" / "photos" / f"{name}.jpg")
        slides.append(
            np.asarray(cv2.resize(photo, (320, 320), interpolation=cv2.INTER_AREA), np.uint8)
        )
    results = list(analyzer.stream(video(slides, fps)))
    assert [len(result) for result in results] == [1] * len(slides)
    # Looks alone are not sure to the last: two of these studio photos are much alike as a whole.
    assert abs(len(numbers(results)) - len(SLIDES)) <= 1


@pytest.mark.parametrize(("name", "frames", "people"), [("shake", 60, 1), ("slideshow", 45, 12)])
def test_reported_videos(
    analyzer: EmotionAnalyzer, shared: Path, name: str, frames: int, people: int
) -> None:
    """The slideshow's 15 photos show 12 people: three are there neutral and smiling."""
    path = shared / "cases" / "reports" / "films" / f"{name}.mp4"
    results = list(analyzer.stream(VideoSource(path)))
    assert [len(result) for result in results] == [1] * frames
    assert len(numbers(results)) == people
