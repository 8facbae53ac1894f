"""Detection at sampled frames: what is detected, what is refined, and nobody is missed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from helpers.detectors import Place, ScriptedDetector, ScriptedRefiner, painted_frame

from mien.analyzer import EmotionAnalyzer
from mien.expressions.callable import CustomClassifier
from mien.faces.detectors.base import DetectorDescription
from mien.timeline.timeline import Timeline
from mien.tracking.adaptive_detector import AdaptiveDetector
from mien.tracking.sampling import STRIDE
from mien.types import Boxes, Crops, Faces, FloatArray, Frame, Image

FPS = 25
ANNA, BERT = ("anna", 50.0, 60.0), ("bert", 120.0, 70.0)


def look(
    glances: AdaptiveDetector, film: Sequence[Sequence[Place]], place: int, shot: int = 0
) -> Faces:
    return glances.at(place, shot).detect(painted_frame(place, film[place], shot))


def test_a_person_who_stays_is_only_refined() -> None:
    film = [[ANNA]] * 200
    finder = ScriptedRefiner(film)
    glances = AdaptiveDetector(finder, FPS)
    for place in range(0, 200, STRIDE):
        assert len(look(glances, film, place)) == 1
    assert finder.detected == [0, 64, 128, 192]  # the first, and one every two seconds
    assert finder.refined == 12


def test_a_person_who_comes_in_is_found_at_the_next_sample() -> None:
    film = [[ANNA]] * 20 + [[ANNA, BERT]] * 30
    finder = ScriptedRefiner(film)
    glances = AdaptiveDetector(finder, FPS)
    counts = [len(look(glances, film, place)) for place in (0, 16, 32)]
    assert counts == [1, 1, 2]
    assert finder.detected == [0, 32]


def test_between_two_samples_nothing_is_detected_where_both_faces_are_found() -> None:
    film = [[("anna", 40.0 + 1.5 * place, 60.0)] for place in range(40)]
    finder = ScriptedRefiner(film)
    glances = AdaptiveDetector(finder, FPS)
    for place in (0, 16, 8, 4):
        assert len(look(glances, film, place)) == 1
    assert finder.detected == [0, 16]  # nearly a side away: lost, so searched


def test_a_person_who_jumps_away_is_detected_again() -> None:
    film = [[ANNA]] * 10 + [[BERT]] * 10
    finder = ScriptedRefiner(film)
    glances = AdaptiveDetector(finder, FPS)
    look(glances, film, 0)
    assert look(glances, film, 16).boxes[0, 0] == pytest.approx(105)
    assert finder.detected == [0, 16]


def test_another_shot_is_searched_once() -> None:
    film = [[ANNA]] * 40
    finder = ScriptedRefiner(film)
    glances = AdaptiveDetector(finder, FPS)
    for place, shot in ((0, 0), (16, 1), (8, 0), (12, 1), (17, 1)):
        assert len(look(glances, film, place, shot)) == 1
    assert finder.detected == [0, 16]
    assert len(glances._results) <= 2 * STRIDE


def test_a_confident_face_stays_with_less_confidence_and_a_doubtful_one_does_not() -> None:
    class Doubting(ScriptedRefiner):
        description = DetectorDescription(min_score=0.9)

        def refine(self, image: Image, boxes: Boxes, min_score: float | None = None) -> Faces:
            faces = super().refine(image, boxes)
            return Faces(faces.boxes, np.full(len(faces), 0.7, np.float32))

    film = [[ANNA]] * 40
    for first, kept in ((0.99, 1), (0.93, 0)):
        finder = Doubting(film, lambda number, first=first: first)  # type: ignore[misc]
        glances = AdaptiveDetector(finder, FPS)
        look(glances, film, 0)
        finder.video = [[]] * 40  # so that a search would find nobody
        truth = ScriptedDetector(film).truth
        finder.truth = truth  # type: ignore[method-assign]
        finder.detect = lambda image, min_face=0: Faces.empty()  # type: ignore[method-assign]
        assert len(look(glances, film, 16)) == kept


def test_a_detector_that_cannot_refine_searches_each_time() -> None:
    finder = ScriptedDetector([[ANNA]] * 40)
    assert AdaptiveDetector(finder, FPS).at(3, 0) is finder


def test_someone_else_at_the_same_place_is_another_person() -> None:
    """The picture as a whole hardly changes, so that it is no cut; the face does."""
    film = [[ANNA]] * 45 + [[("carl", ANNA[1], ANNA[2])]] * 45
    reds = [painted_frame(i, film[i])[45:75, 35:65, 0].mean() for i in (0, 89)]

    def reddish(crops: Crops) -> FloatArray:
        first = np.abs(crops[..., 0].mean(axis=(1, 2)) - reds[0])
        share = first < np.abs(crops[..., 0].mean(axis=(1, 2)) - reds[1])
        return np.where(share[:, None], [0.9, 0.1], [0.1, 0.9]).astype(np.float32)

    classifier = CustomClassifier(reddish, labels=("a", "b"), input_size=16)
    analyzer = EmotionAnalyzer(ScriptedRefiner(film), classifier)
    frames = [
        Frame("film", lambda i=i: painted_frame(i, film[i]), i, i / FPS)  # type: ignore[misc]
        for i in range(len(film))
    ]
    timeline = Timeline.from_results(analyzer.stream(frames, adaptive=True))
    spans = timeline.faces.groupby("track_id")["frame"].agg(["min", "max"])
    assert spans.to_numpy().tolist() == [[0, 44], [45, 89]]
    assert len(timeline.images) < 30
