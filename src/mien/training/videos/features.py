"""Descriptors of videos, each cached in a file as soon as it is computed.

Analyzing videos takes hours; a run that is stopped continues where it was, and one with another
kernel or kind starts at once.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.analyzer import EmotionAnalyzer
from mien.errors import InputError
from mien.files import replacing
from mien.media.video import VideoSource
from mien.results.files import SUFFIXES
from mien.results.result import Result
from mien.timeline.descriptors import KINDS, Kind
from mien.timeline.timeline import Timeline
from mien.training.trained import Origin
from mien.types import FloatArray

Progress = Callable[[Iterable[Result]], Iterator[Result]]
_MODEL, _SHA256 = "classifier", "classifier_sha256"


@dataclass(frozen=True, eq=False)
class VideoFeatures:
    """What is computed of one video.

    Attributes:
        values: its descriptor ``(4 d,)`` by kind; none where too few faces were detected.
        problem: by kind, why there is none; "" where there is one.
        left_out: by kind, frames with a face whose features are missing.
        model, sha256: name and file of the model that computed the features; "" where unknown.
    """

    values: dict[str, FloatArray]
    problem: dict[str, str]
    left_out: dict[str, int]
    model: str
    sha256: str

    def origin(self, kind: Kind) -> Origin:
        """Where the features of its descriptor come from."""
        return Origin(self.model, self.sha256, len(self.values[kind]) // 4)


class FeatureCache:
    """Computes descriptors of videos, or of their tables, and caches those of videos.

    Args:
        cache: folder for the descriptors; made when there is one.
        make: makes the analyzer, on first use; it must compute "features".
        fps: frames analyzed per second, at most; None for all.
        progress: passes the results of a video through, to show progress.

    Attributes:
        frames: which frames were analyzed, for the model's card; "" for all.
    """

    frames: str = ""

    def __init__(
        self,
        cache: Path,
        make: Callable[[], EmotionAnalyzer],
        fps: float | None = None,
        progress: Progress = iter,
    ) -> None:
        self._cache, self._make, self._fps, self._progress = cache, make, fps, progress
        self._analyzer: EmotionAnalyzer | None = None
        if fps is not None:
            self.frames = f"at most {fps:g} frames a second"

    def compute(self, path: Path, kind: Kind) -> VideoFeatures:
        """The descriptors of one video: of a table that of `kind`, of a video every one.

        Raises:
            InputError: it cannot be read.
            UsageError: a table without features.
        """
        if path.suffix.lower() in SUFFIXES:
            return described(_table(path), (kind,))
        if self._analyzer is None:
            self._analyzer = self._make()
        cached = self._place(path, self._analyzer)
        features = _load(cached)
        if features is None:
            source = VideoSource(path, fps=self._fps)
            results = self._progress(self._analyzer.stream(source))
            timeline = Timeline.from_results(results, keep_faces=False)
            _check_frames(path, timeline)
            features = described(timeline)
            cached.parent.mkdir(parents=True, exist_ok=True)
            _save(features, cached)
        return features

    def _place(self, path: Path, analyzer: EmotionAnalyzer) -> Path:
        """The file for a video: another file, model, detector or rate is another place."""
        state = path.stat()
        how = [str(path.resolve()), state.st_size, state.st_mtime_ns, self._fps]
        text = json.dumps([*how, sorted(analyzer.settings.to_metadata().items())])
        return self._cache / f"{path.stem}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.npz"


def described(timeline: Timeline, kinds: Sequence[Kind] = KINDS) -> VideoFeatures:
    """The descriptors of a video that was analyzed with features."""
    values: dict[str, FloatArray] = {}
    problem: dict[str, str] = dict.fromkeys(KINDS, "")
    left_out: dict[str, int] = dict.fromkeys(KINDS, 0)
    for kind in kinds:
        try:
            descriptor = timeline.descriptor(group=kind == "group")
        except InputError as error:
            problem[kind] = str(error)
            continue
        values[kind], left_out[kind] = descriptor.values, descriptor.left_out
    sha256 = timeline.settings.classifier_sha256
    if timeline.embeddings is not None:
        sha256 = timeline.embeddings.model
    name = timeline.settings.classifier or "an unknown model"
    return VideoFeatures(values, problem, left_out, name, sha256)


def _table(path: Path) -> Timeline:
    timeline = Timeline.load(path)
    if len(timeline.sources) != 1:
        raise InputError(f"{path} is a table of {len(timeline.sources)} videos: give one of each.")
    return timeline


def _check_frames(path: Path, timeline: Timeline) -> None:
    failed = timeline.images[timeline.images["status"] == "error"]
    if len(failed) and len(failed) == len(timeline.images):
        raise InputError(f"no frame of {path} can be read: {failed['error'].iloc[0]}")


def _save(features: VideoFeatures, path: Path) -> None:
    """Numbers and texts as arrays; nothing that runs when it is read."""
    arrays: dict[str, Any] = {
        "model": np.array(features.model),
        "sha256": np.array(features.sha256),
    }
    for kind in KINDS:
        arrays[f"problem_{kind}"] = np.array(features.problem[kind])
        arrays[f"left_out_{kind}"] = np.array(features.left_out[kind])
        if kind in features.values:
            arrays[f"values_{kind}"] = features.values[kind]
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def _load(path: Path) -> VideoFeatures | None:
    """What was cached, or None where there is nothing, or nothing whole."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return VideoFeatures(
            {kind: arrays[f"values_{kind}"] for kind in KINDS if f"values_{kind}" in arrays},
            {kind: str(arrays[f"problem_{kind}"]) for kind in KINDS},
            {kind: int(arrays[f"left_out_{kind}"]) for kind in KINDS},
            str(arrays["model"]),
            str(arrays["sha256"]),
        )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
