"""What the arguments of a command ask for: an analyzer, results, and where these are written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.media.inputs import Input, Inputs, VideoOptions, is_live

if TYPE_CHECKING:
    from mien.analyzer import EmotionAnalyzer
    from mien.results.result import Result


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


def video_options(paths: Sequence[str], **options: Any) -> VideoOptions:
    """What the options of a command ask of videos; said against streams before any is opened."""
    wanted = VideoOptions(**options)
    if any(is_live(path) for path in paths):
        wanted.check_stream()
    return wanted


def results(
    analyzer: EmotionAnalyzer,
    inputs: Inputs,
    options: VideoOptions,
    *,
    keep: bool,
    adaptive: bool = False,
    skips: Callable[[Input], bool] = lambda item: False,
) -> Iterator[Result]:
    """Results of every input in order; neighbouring images are classified together.

    Args:
        analyzer: what finds and classifies the faces.
        inputs: what to analyze.
        options: which frames of videos.
        keep: keep the frames of videos with their results.
        adaptive: look at fewer frames where nothing changes.
        skips: asked for each input, in order, whether to pass over it.

    Raises:
        UsageError: `options` are not for a stream, or out of range.
    """
    wanted = (item for item in inputs if not skips(item))
    for is_image, group in groupby(wanted, lambda item: item.kind == "image"):
        if is_image:
            yield from analyzer.analyze(frame for item in group for frame in item.frames())
            continue
        for item in group:
            yield from analyzer.stream(item.frames(options), keep=keep, adaptive=adaptive)


def show_left_out(inputs: Inputs) -> None:
    """Say what a run did not look at, and why."""
    if text := inputs.summary():
        print(f"mien: {text}", file=sys.stderr)  # noqa: T201
