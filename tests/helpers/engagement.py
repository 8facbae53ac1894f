"""Videos whose people move their features as asked: engagement with a known answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mien.results import tables
from mien.results.embeddings import Embeddings
from mien.results.settings import RunSettings
from mien.timeline.timeline import Timeline
from mien.training.engagement.export import Networks

LABELS = ("neutral", "happiness")
FEATURES = 8
SHA = "ab" * 32

Signal = npt.NDArray[np.float32]


def engagement_timeline(
    people: Mapping[int, Signal],
    *,
    fps: float = 25.0,
    source: str = "film.mp4",
    frames: int | None = None,
    sha: str = SHA,
) -> Timeline:
    """A video of people by track id, each ``(frames, FEATURES)``; NaN where there is no face."""
    count = frames or max((len(signal) for signal in people.values()), default=0)
    rows = [
        (frame, track, signal[frame])
        for frame in range(count)
        for track, signal in people.items()
        if frame < len(signal) and not np.isnan(signal[frame]).any()
    ]
    number = np.array([frame for frame, _, _ in rows], np.int64)
    columns = {name: np.zeros(len(rows)) for name in tables.face_dtypes(LABELS)} | {
        "source": [source] * len(rows),
        "frame": number,
        "time_s": number / fps,
        "face": pd.Series(number).groupby(number).cumcount().to_numpy(),
        "track_id": [track for _, track, _ in rows],
        "emotion": ["neutral"] * len(rows),
        "neutral": np.ones(len(rows)),
        "probability": np.ones(len(rows)),
        "fit": [True] * len(rows),
    }
    faces = pd.DataFrame(columns).astype(tables.face_dtypes(LABELS))
    columns_of_images = {name: [0] * count for name in tables.IMAGE_DTYPES} | {
        "source": [source] * count,
        "frame": range(count),
        "time_s": np.arange(count) / fps,
        "width": [64] * count,
        "height": [48] * count,
        "n_faces": np.bincount(number, minlength=count),
        "status": ["ok"] * count,
        "error": [None] * count,
        "duration_s": [np.nan] * count,
    }
    images = pd.DataFrame(columns_of_images).astype(tables.IMAGE_DTYPES)
    vectors = np.array([row for _, _, row in rows], np.float32).reshape(-1, FEATURES)
    kept = Embeddings(faces[["source", "frame", "face"]], {"features": vectors}, sha)
    settings = RunSettings(classifier="acted", classifier_sha256=sha)
    return Timeline(faces, images, settings, LABELS, embeddings=kept if len(rows) else None)


def moving_features(
    level: float, seconds: float, rng: np.random.Generator, fps: float = 25.0
) -> npt.NDArray[np.float32]:
    """Features of a person: feature 3 sways more with engagement, the others are the identity's."""
    times = np.arange(round(seconds * fps)) / fps
    signal = np.tile(rng.normal(0, 1, FEATURES), (len(times), 1))
    signal += rng.normal(0, 0.15, signal.shape)
    signal[:, 3] += (0.2 + 1.6 * level) * np.sin(2 * np.pi * (times + rng.random()))
    return signal.astype(np.float32)


def blank_networks(features: int) -> Networks:
    """Engagement networks of zeros, for any number of features."""
    zeros: Any = np.zeros((2, 2 * features, 2), np.float32)
    return Networks(
        mean=zeros[0, :, 0],
        scale=zeros[0, :, 0] + 1,
        attention=zeros[..., 0],
        hidden=zeros,
        hidden_bias=zeros[:, 0],
        last=zeros[:, 0],
        last_bias=zeros[:, 0, 0],
    )
