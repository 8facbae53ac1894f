"""Videos through the analyzer: a result for every frame, or for the sampled ones."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NoReturn

import numpy as np
import pytest

from mien.analyzer import EmotionAnalyzer
from mien.errors import UsageError, VideoError
from mien.expressions.callable import CustomClassifier
from mien.media.base import Timing
from mien.timeline.timeline import Timeline
from mien.types import Crops, Faces, FloatArray, Frame, Image

FPS, FRAMES, TURN, CUT = 25, 120, 43, 77
LABELS = ("calm", "lively")
UP = np.linspace(0, 1, 40)[:, None, None]
HEADS = [  # one bright above and green, the other dark above and blue, with stripes
    np.broadcast_to(np.array([60, 220, 40]) * (1 - 0.8 * UP), (40, 40, 3)).astype(np.uint8),
    (np.array([40, 60, 240]) * UP * (np.arange(40) // 5 % 2)[None, :, None]).astype(np.uint8),
]
ROOMS = [np.random.default_rng(i).integers(0, 255, (12, 16, 3)).astype(np.uint8) for i in (3, 4)]


def painted(number: int) -> Image:
    """Frame `number`: someone who drifts and turns lively at TURN; another, elsewhere, from CUT."""
    room = int(number >= CUT)
    image = np.kron(ROOMS[room], np.ones((10, 10, 1), np.uint8))
    x = 40 + number // 4
    head = HEADS[room].copy()
    head[15:25, :, 0] = 250 if number >= TURN else 0
    image[30:70, x : x + 40] = head
    image[0, 0] = number
    return np.asarray(image, np.uint8)


class Finder:
    """Knows where the head is, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def detect(self, image: Image) -> Faces:
        number = int(image[0, 0, 0])
        self.asked.append(number)
        x = 40 + number // 4
        boxes = np.array([[x, 30, x + 40, 70]], np.float32)
        return Faces(boxes, np.array([0.99], np.float32))


def redness(crops: Crops) -> FloatArray:
    lively = crops[:, 7:9, :, 0].mean(axis=(1, 2)) > 125
    return np.stack([1 - 0.9 * lively - 0.05, 0.9 * lively + 0.05], axis=1).astype(np.float32)


def fail() -> NoReturn:
    raise VideoError("the frame is damaged.")


def film(broken: int = -1) -> Iterator[Frame]:
    for i in range(FRAMES):
        yield Frame("film", fail if i == broken else partial(painted, i), i, i / FPS)


@pytest.fixture
def finder() -> Finder:
    return Finder()


@pytest.fixture
def analyzer(finder: Finder) -> EmotionAnalyzer:
    judge = CustomClassifier(redness, labels=LABELS, input_size=16)
    return EmotionAnalyzer(finder, judge)


def runs(timeline: Timeline) -> list[tuple[int, str, int, int]]:
    """Who showed what, from which frame to which."""
    rows = timeline.segments().to_dict("records")
    return [
        (r["track_id"], r["emotion"], round(r["start_s"] * FPS), round(r["end_s"] * FPS))
        for r in rows
    ]


TOLD = [(1, "calm", 0, TURN), (1, "lively", TURN, CUT), (2, "lively", CUT, FRAMES)]


def test_every_frame_has_a_result_in_order(analyzer: EmotionAnalyzer) -> None:
    results = list(analyzer.stream(film(broken=50)))
    assert [result.index for result in results] == list(range(FRAMES))
    assert [result.index for result in results if result.error] == [50]
    assert results[50].error == "the frame is damaged."
    assert runs(Timeline.from_results(analyzer.stream(film()))) == TOLD


def test_an_interrupted_source_loses_nothing_that_came_before(analyzer: EmotionAnalyzer) -> None:
    def frames() -> Iterator[Frame]:
        for frame in film():
            if frame.index == 11:
                raise KeyboardInterrupt
            yield frame

    seen: list[int] = []

    def watch() -> None:
        seen.extend(result.index for result in analyzer.stream(frames()))

    with pytest.raises(KeyboardInterrupt):
        watch()
    assert seen == list(range(11))


def test_giving_up_in_the_middle_ends_the_thread(analyzer: EmotionAnalyzer) -> None:
    import threading

    before = threading.active_count()
    stream = analyzer.stream(film())
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_adaptive_sampling_gives_the_same_segments_from_few_frames(
    analyzer: EmotionAnalyzer, finder: Finder
) -> None:
    timeline = Timeline.from_results(analyzer.stream(film(), adaptive=True))
    assert runs(timeline) == TOLD
    assert len(finder.asked) == len(set(finder.asked)) < FRAMES / 4
    frames = set(timeline.images["frame"])
    assert {0, TURN - 1, TURN, CUT - 1, CUT, FRAMES - 1} <= frames


def test_adaptive_sampling_keeps_a_row_for_a_sampled_frame_that_failed(
    analyzer: EmotionAnalyzer,
) -> None:
    results = list(analyzer.stream(film(broken=17), adaptive=True))
    assert [(r.index, r.error) for r in results if r.error] == [(17, "the frame is damaged.")]
    assert runs(Timeline.from_results(results)) == TOLD


def test_images_of_adaptive_results_can_be_read_again(analyzer: EmotionAnalyzer) -> None:
    results = list(analyzer.stream(film(), adaptive=True))
    assert len(results) > 5
    assert [int(result.image[0, 0, 0]) for result in results] == [r.index for r in results]


def test_live_frames_are_not_adaptive(analyzer: EmotionAnalyzer) -> None:
    class Camera:
        timing = Timing(live=True)

        def __iter__(self) -> Iterator[Frame]:
            return film()

    with pytest.raises(UsageError, match="live frames cannot wait"):
        list(analyzer.stream(Camera(), adaptive=True))
