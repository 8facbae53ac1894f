"""Small models of whole videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from helpers.features import SHA
from mien.timeline.classifier import VideoCard
from mien.training.videos.export import export_svm
from mien.training.videos.svm import KernelMatrix


def video_model(
    path: Path, kind: str, rng: np.random.Generator, sha: str = SHA, d: int = 2
) -> Path:
    """A model that separates steady videos (0) from those that vary over time or faces (1)."""
    steady = rng.uniform(1, 2, (40, 4 * d))
    steady[:, d : 2 * d if kind == "person" else 4 * d] = 0
    moved = steady.copy()
    moved[:, d : 2 * d] = rng.uniform(1, 2, (40, d))
    videos = KernelMatrix(np.concatenate([steady, moved]), np.repeat([0, 1], 40), 2, "linear")
    card = VideoCard(
        path.stem,
        kind,  # type: ignore[arg-type]
        ("even", "torn"),
        temperature=0.2,
        size=d,
        model="stand-in",
        model_sha256=sha,
    )
    export_svm(videos.fit(np.arange(80), 100.0), card, path)
    return path
