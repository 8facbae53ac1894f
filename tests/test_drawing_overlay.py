"""Annotations of moving people: steady labels, captions, margin, bars."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from helpers.results import BOX, frame_result, mostly

from mien.drawing.captions import Annotator, FaceBox
from mien.drawing.overlay import Overlay
from mien.labels import color_of
from mien.sinks.stabilizer import Stabilizer, people_of
from mien.types import Image

HAPPY = mostly("happiness")


def test_labels_and_figures_do_not_flicker() -> None:
    steadied, raw = Stabilizer(frame_result(0.0).labels), set()
    shown = []
    for i in range(100):  # 4 s, in which two labels change the lead in every frame
        leader = mostly("happiness" if i % 2 else "surprise", 0.56)
        result = frame_result(i / 25, {3: leader}, index=i)
        raw.add(result.emotions)
        (person,) = steadied.people(result)
        shown.append((person.emotion, person.percent))
    assert len(raw) == 2
    assert len({emotion for emotion, _ in shown[5:]}) == 1
    changes = sum(a != b for a, b in pairwise(shown))
    assert changes <= 4 / 0.25
    assert person.name == "person 3"


def test_a_change_shows_soon_and_another_video_starts_again() -> None:
    steadied = Stabilizer(frame_result(0.0).labels)
    for i in range(25):
        steadied.people(frame_result(i / 25, {1: HAPPY}, index=i))
    shown = [
        steadied.people(frame_result(1 + i / 25, {1: mostly("sadness", 0.9)}))[0].emotion
        for i in range(25)
    ]
    assert "sadness" in shown[:13]
    (fresh,) = steadied.people(frame_result(2.0, {1: HAPPY}, source="other.mp4"))
    assert fresh.emotion == "happiness"


def test_results_without_people_or_probabilities_pass() -> None:
    result = frame_result(None, {4: mostly("fear", 0.3)})
    (person,) = Stabilizer(result.labels).people(result)
    assert (person.emotion, person.percent) == ("uncertain", 30)
    assert person.wordings == ("person 4: uncertain", "uncertain")
    assert people_of(frame_result(0.0)) == []


def test_captions_stay_on_their_side_of_a_trembling_box() -> None:
    """Just enough room above the box in every other frame: the caption must not jump."""
    outlines, rows = Annotator((200, 200)), set()
    color = (230, 159, 0)
    for i in range(12):
        top = 24.0 + 2 * (i % 2)
        canvas = np.zeros((200, 200, 3), np.uint8)
        box = np.array([60, top, 140, 140], np.float32)
        outlines.draw(canvas, [FaceBox(1, box, ("happiness 80 %",), color)])
        filled = (canvas == color).all(axis=2).sum(axis=1)
        tag = np.flatnonzero(filled > 50)
        rows.add("above" if tag.min() < top - 5 else "below")
    assert len(rows) == 1


def test_captions_avoid_faces_and_each_other() -> None:
    outlines, canvas = Annotator((640, 360)), np.zeros((360, 640, 3), np.uint8)
    red, blue = (200, 0, 0), (0, 0, 200)
    boxes = [np.array(b, np.float32) for b in ([200, 120, 280, 220], [290, 120, 370, 220])]
    wordings = ("person 1: happiness 100 %", "happiness 100 %")
    outlines.draw(
        canvas,
        [
            FaceBox(i, b, wordings, c)
            for i, (b, c) in enumerate(zip(boxes, (red, blue), strict=True))
        ],
    )
    for box in boxes:  # inside each box nothing was drawn
        x1, y1, x2, y2 = box.astype(int)
        assert not canvas[y1:y2, x1:x2].any()
    for color in (red, blue):
        assert (canvas == color).all(axis=2).sum() > 800


def test_people_keep_their_place_in_the_margin() -> None:
    red, blue = (250, 0, 0), (0, 0, 250)
    small, large = (10, 10, 50, 50), (100, 10, 300, 210)
    image = np.full((480, 640, 3), 90, np.uint8)
    image[10:50, 10:50], image[10:210, 100:300] = red, blue
    scene = Overlay(frame_result(0.0).labels, (640, 480))
    one = people_of(frame_result(0.0, {1: HAPPY}, boxes=[small], image=image))
    two = people_of(frame_result(0.1, {2: HAPPY, 1: HAPPY}, boxes=[large, small], image=image))

    def owners(drawn: Image) -> list[str]:
        margin = drawn[:, 640:]
        firsts = {
            name: np.flatnonzero((margin == color).all(axis=2).any(axis=1))
            for name, color in (("red", red), ("blue", blue))
        }
        return sorted((n for n in firsts if len(firsts[n])), key=lambda n: firsts[n][0])

    assert owners(scene.draw(image, one, time_s=0.0)) == ["red"]
    assert owners(scene.draw(image, two, time_s=0.1)) == ["red", "blue"]
    assert owners(scene.draw(image, two[:1], time_s=0.5)) == ["blue"]
    assert owners(scene.draw(image, two, time_s=0.9)) == ["red", "blue"]
    assert owners(scene.draw(image, two, time_s=1.0, selected=2)) == ["blue"]


def test_the_bars_say_what_the_values_say() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    result = frame_result(0.0, {1: mostly("anger", 0.75)}, image=image)
    scene = Overlay(result.labels, (640, 480))
    margin = scene.draw(image, people_of(result), time_s=0.0)[:, 640:]

    def width(label: str) -> int:
        return int((margin == color_of(label)).all(axis=2).sum(axis=1).max())

    track = int((margin == (229, 231, 235)).all(axis=2).sum(axis=1).max())
    full = width("neutral") + track
    assert width("anger") / full == pytest.approx(0.75, abs=0.03)
    assert width("fear") / full == pytest.approx(0.25 / 7, abs=0.03)


def test_the_given_image_stays_as_it_is() -> None:
    result = frame_result(0.0, {1: HAPPY}, boxes=[BOX])
    image = result.image
    before = image.copy()
    Overlay(result.labels, (64, 48)).draw(image, people_of(result))
    assert (image == before).all()
