"""`BatchOptions`: what is done with every input of a batch, as text that any machine can follow."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mien.errors import UsageError
from mien.media.inputs import VideoOptions, frames_setting
from mien.plugins import DEFAULT_CLASSIFIER, DEFAULT_DETECTOR

if TYPE_CHECKING:
    from mien.analyzer import EmotionAnalyzer


@dataclass(frozen=True)
class BatchOptions:
    """How the inputs of a batch are analyzed; the names are those of `mien analyze`.

    Attributes:
        detector, model: names, or files that lie at the same place on every machine.
        min_score, without: as of `mien.EmotionAnalyzer`.
        also: further columns: affect, actions, age, gender.
        heads: files of ``mien train-head``.
        fps, every, width: which frames of videos, and how large, see `VideoOptions`.
        max_pixels: of the largest image; None for the usual limit.
    """

    detector: str = DEFAULT_DETECTOR
    model: str = DEFAULT_CLASSIFIER
    min_score: float | None = None
    without: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    fps: float | None = None
    every: int = 1
    width: int | None = None
    max_pixels: int | None = None

    @classmethod
    def from_table(cls, table: dict[str, Any]) -> BatchOptions:
        """The options that `to_table` wrote.

        Raises:
            UsageError: they are of another version.
        """
        try:
            values: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in table.items()
            }
            return cls(**values)
        except TypeError as error:
            raise UsageError("the batch was begun by another version of mien.") from error

    def to_table(self) -> dict[str, Any]:
        """The options as JSON has them."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def analyzer(self, threads: int | None = None) -> EmotionAnalyzer:
        """The analyzer that they ask for, with so many threads, in a process with their limit.

        Raises:
            UsageError, ModelError: as of `mien.EmotionAnalyzer`.
        """
        from mien.analyzer import EmotionAnalyzer
        from mien.media.limits import allow

        if self.max_pixels is not None:
            allow(self.max_pixels)
        return EmotionAnalyzer(
            self.detector,
            self.model,
            min_score=self.min_score,
            without=self.without,
            also=self.also,
            heads=self.heads,
            threads=threads,
        )

    def frames(self, start: float | None = None, end: float | None = None) -> VideoOptions:
        """Which frames of a video, or of a stretch of one, are analyzed."""
        return VideoOptions(self.fps, self.every, start, end, self.width)

    @property
    def frames_setting(self) -> str:
        """The same in words, for the settings of the tables."""
        return frames_setting(self.frames(), adaptive=False)
