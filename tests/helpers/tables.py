"""Columns of tables of faces and images, made without an analysis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mien.labels import EMOTIONS
from mien.results import tables
from mien.types import Faces, Scores


def face_part(
    n: int, source: str = "a.jpg", tracks: bool = False, **changes: Any
) -> dict[str, Any]:
    rng = np.random.default_rng(n)
    corner = rng.uniform(0, 100, (n, 2))
    faces = Faces(
        np.concatenate([corner, corner + 50], axis=1).astype(np.float32),
        rng.uniform(size=n).astype(np.float32),
        track_ids=np.arange(n) + 7 if tracks else None,
    )
    scores = Scores(rng.dirichlet(np.ones(8), n).astype(np.float32), EMOTIONS)
    quality = {
        "size_px": np.full(n, 50, np.float32),
        "sharpness": np.full(n, 0.03, np.float32),
        "roll_deg": np.full(n, np.nan, np.float32),
        "yaw_deg": np.full(n, -3.5, np.float32),
        "fit": np.ones(n, bool),
        "unfit_reason": [None] * n,
    }
    given: dict[str, Any] = {"source": source, "frame": 0, "time_s": None, "quality": quality}
    given |= changes
    emotions = [EMOTIONS[i] for i in scores.top]
    tops = scores.values.max(axis=1, initial=0)
    return tables.face_columns(
        faces=faces, scores=scores, emotions=emotions, probabilities=tops, **given
    )


def faces_table() -> pd.DataFrame:
    parts = [
        face_part(2),
        face_part(0, "empty.jpg"),
        face_part(3, "film.mp4", tracks=True, frame=4, time_s=0.16),
    ]
    return tables.to_dataframe(parts, EMOTIONS)


def images_part(source: str = "a.jpg", error: str | None = None) -> dict[str, Any]:
    size = None if error else 640
    return {
        "source": [source], "frame": [0], "time_s": [None], "width": [size], "height": [size],
        "n_faces": [0], "status": ["error" if error else "ok"], "error": [error],
        "milliseconds": [12.5],
    }  # fmt: skip
