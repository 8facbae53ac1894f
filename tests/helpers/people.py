"""Shots of people whose identity vectors are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from helpers.results import frame_result, mostly
from mien import Timeline
from mien.labels import EMOTIONS, IDENTITY
from mien.results.result import Result
from mien.types import FloatArray, Scores

SETTINGS = {"uncertain_below": "0.5", "classifier": "stand-in", "classifier_sha256": "abc"}


SIDE, D = 32, 16
Seen = Mapping[int, str]  # track -> who it is


def face_of(name: str, turn: float = 0.0) -> FloatArray:
    """A vector of somebody; `turn` moves it towards a direction of nobody."""
    place = ["anna", "bert", "cleo", "dora", "emil"].index(name)
    vector = np.zeros(D, np.float32)
    vector[place], vector[D - 1 - place] = np.cos(turn), np.sin(turn)
    return vector


def shot_frame(
    index: int, seen: Seen, source: str, turn: float = 0.0, fit: bool = True, photo: bool = False
) -> Result:
    """A frame in which these tracks show these people."""
    moods = {track: mostly("happiness" if track % 2 else "sadness") for track in seen}
    boxes = [[40 * i, 0, 40 * i + 40, 40] for i in range(len(seen))]
    result = frame_result(index / 10, moods, index=index, source=source, boxes=boxes)
    vectors = np.array([face_of(who, turn) for who in seen.values()], np.float32)
    scores = Scores(result.scores.values, EMOTIONS, embeddings={IDENTITY: vectors.reshape(-1, D)})
    told = {
        "scores": scores,
        "settings": SETTINGS,
        "quality": replace(result.quality, reason=np.full(len(seen), "" if fit else "blurred")),
        "crops": np.zeros((len(seen), SIDE, SIDE, 3), np.uint8) + np.uint8(40 * (index % 5)),
    }
    if photo:
        told |= {"time_s": None, "faces": replace(result.faces, track_ids=None)}
    return Result(**{**vars(result), **told})


def video_of_shots(source: str, *shots: Seen, turn: float = 0.0) -> Timeline:
    """Shots of a second each, ten frames a second."""
    frames = (
        shot_frame(10 * shot + i, seen, source, turn)
        for shot, seen in enumerate(shots)
        for i in range(10)
    )
    return Timeline.from_results(frames)
