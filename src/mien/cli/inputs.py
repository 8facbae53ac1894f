"""What the options of a command ask for: an analyzer, and which frames of videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.media.inputs import VideoOptions, is_live

if TYPE_CHECKING:
    from mien.analyzer import EmotionAnalyzer


def load_analyzer(
    detector: str,
    model: str,
    *,
    min_score: float | None = None,
    without: Sequence[str] = (),
    extras: Sequence[str] = (),
    heads: Sequence[Path] = (),
    prior: str | None = None,
) -> EmotionAnalyzer:
    """The analyzer that the options of a command ask for; `extras` are its ``also``.

    The names of built-in detectors count in any case.
    """
    from mien.analyzer import EmotionAnalyzer
    from mien.cli.console import note, verbosity
    from mien.faces.detectors import BUILTIN

    if detector.lower() in BUILTIN:
        detector = detector.lower()
    analyzer = EmotionAnalyzer(
        detector,
        model,
        min_score=min_score,
        without=without,
        also=tuple(extras),
        heads=heads,
        prior=prior,
    )
    if verbosity.verbose:
        for name, value in analyzer.settings.to_metadata().items():
            note(f"{name}: {value}")
    return analyzer


def video_options(paths: Sequence[str], **options: Any) -> VideoOptions:
    """Which frames of videos to analyze.

    Raises:
        UsageError: the options are not for the streams among the inputs.
    """
    chosen = VideoOptions(**options)
    if any(is_live(path) for path in paths):
        chosen.check_stream()
    return chosen
