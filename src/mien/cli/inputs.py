"""What the arguments of a command are, films or photos, and their results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mien.errors import InputError, UsageError
from mien.media.inputs import is_live, is_moving
from mien.types import Frame

if TYPE_CHECKING:
    from mien.analyzer import EmotionAnalyzer
    from mien.results.result import Result


@dataclass(frozen=True)
class Clip:
    """Which frames of a film are wanted; see `mien.media.video.VideoSource`."""

    fps: float | None = None
    every: int = 1
    start: float | None = None
    end: float | None = None
    width: int | None = None
    adaptive: bool = False

    @property
    def settings(self) -> dict[str, str]:
        """What differs from every frame of the whole video, for the settings of a table."""
        changed = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }
        words = (f"{name} {value}" for name, value in changed.items())
        return {"frames": ", ".join(words)} if changed else {}


def load_analyzer(
    detector: str,
    model: str,
    min_score: float | None,
    without: tuple[str, ...],
    also: tuple[str, ...] = (),
    heads: Sequence[Path] = (),
) -> EmotionAnalyzer:
    """The analyzer that the options of a command ask for."""
    from mien.analyzer import EmotionAnalyzer
    from mien.expressions.affect import AFFECT
    from mien.expressions.base import EmotionClassifier
    from mien.plugins import load_classifier, load_detector

    judge: str | EmotionClassifier = model
    if heads:
        asked = tuple(name for name in also if name != AFFECT)
        judge = load_classifier(model, heads=heads, also=asked, batch_size=16)
        also = tuple(name for name in also if name not in asked)
    if detector.lower().endswith(".onnx"):
        options = {} if min_score is None else {"min_score": min_score}
        yunet = load_detector("yunet", model_path=detector, **options)
        return EmotionAnalyzer(yunet, judge, without=without, also=also)
    return EmotionAnalyzer(detector, judge, min_score=min_score, without=without, also=also)


def results(
    analyzer: EmotionAnalyzer,
    paths: Iterable[str],
    clip: Clip,
    *,
    keep: bool,
    skips: Callable[[str], bool] = lambda source: False,
) -> Iterator[Result]:
    """Results of every argument in order; neighbouring photos are judged together.

    Args:
        analyzer: what finds and judges the faces.
        paths: the arguments.
        clip: which frames of videos.
        keep: keep the frames of videos with their results.
        skips: asked for each input, in order, whether to pass over it.
    """
    from mien.media.photos import photos

    for moving, group in groupby(paths, is_moving):
        if not moving:
            frames = photos(_listed(group))
            yield from analyzer.analyze(frame for frame in frames if not skips(frame.source))
            continue
        for path in group:
            if not skips(path):
                yield from analyzer.stream(_frames(path, clip), keep=keep, adaptive=clip.adaptive)


def _frames(path: str, clip: Clip) -> Iterable[Frame]:
    """The frames of one film; one that cannot be opened is a frame that says why."""
    try:
        return _open(path, clip)
    except InputError as error:
        problem = error  # the name of the except clause is gone when the frame is read
        name = path
        if "://" in path:
            from mien.media.capture import locate

            name = locate(path).name  # without the password of a URL

        def fail() -> NoReturn:
            raise problem

        return [Frame(name, fail)]


def _open(path: str, clip: Clip) -> Iterable[Frame]:
    if is_live(path):
        from mien.media.camera import CameraSource

        if (clip.fps, clip.every, clip.start) != (None, 1, None):
            raise UsageError("a camera or stream has no --fps, --every or --start.")
        return CameraSource(path, width=clip.width, max_seconds=clip.end)
    from mien.media.video import VideoSource

    return VideoSource(
        path, fps=clip.fps, every=clip.every, start=clip.start, end=clip.end, width=clip.width
    )


def _listed(paths: Iterable[str]) -> Iterator[Any]:
    """The arguments; "-" is a picture on standard input."""
    for path in paths:
        yield sys.stdin.buffer.read() if path == "-" else path
