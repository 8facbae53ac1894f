"""Shots of people with known identity vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from helpers.results import frame_result, mostly
from mien import Timeline
from mien.labels import IDENTITY
from mien.results.result import Result
from mien.results.settings import RunSettings
from mien.types import FloatArray

SETTINGS = RunSettings(classifier="stand-in", classifier_sha256="abc")


SIDE, D = 32, 16
Names = Mapping[int, str]  # track id -> who it is


def face_of(name: str, turn: float = 0.0) -> FloatArray:
    """The identity vector of a person; `turn` moves it towards a direction of nobody."""
    place = ["anna", "bert", "cleo", "dora", "emil"].index(name)
    vector = np.zeros(D, np.float32)
    vector[place], vector[D - 1 - place] = np.cos(turn), np.sin(turn)
    return vector


def shot_frame(
    index: int, names: Names, source: str, turn: float = 0.0, fit: bool = True, photo: bool = False
) -> Result:
    """A frame in which these tracks show these people."""
    vectors = np.array([face_of(name, turn) for name in names.values()], np.float32)
    result = frame_result(
        None if photo else index / 10,
        {track: mostly("happiness" if track % 2 else "sadness") for track in names},
        embeddings={IDENTITY: vectors.reshape(-1, D)},
        boxes=[[40 * i, 0, 40 * i + 40, 40] for i in range(len(names))],
        unfit={} if fit else dict.fromkeys(names, "blurred"),
        crops=np.zeros((len(names), SIDE, SIDE, 3), np.uint8) + np.uint8(40 * (index % 5)),
        index=index,
        source=source,
        settings=SETTINGS,
    )
    return replace(result, faces=replace(result.faces, track_ids=None)) if photo else result


def video_of_shots(source: str, *shots: Names, turn: float = 0.0) -> Timeline:
    """Shots of a second each, ten frames a second."""
    frames = (
        shot_frame(10 * shot + i, names, source, turn)
        for shot, names in enumerate(shots)
        for i in range(10)
    )
    return Timeline.from_results(frames)
