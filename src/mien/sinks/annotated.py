"""Annotated copies of mixed inputs: photos as images in a folder, videos as videos."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.results.result import Result
    from mien.sinks.base import Sink

#: Suffixes of annotated videos.
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")


class AnnotatedSink:
    """Draws each result into an annotated copy of its input.

    Args:
        target: a folder; or, for a single video, the file to write.
        videos: the inputs that are videos.
        photos: whether there are other inputs.

    Attributes:
        wrote: the target.

    Raises:
        UsageError: one file for several inputs, or for a photo; or another kind of video.
    """

    def __init__(self, target: Path, videos: Sequence[str], *, photos: bool) -> None:
        self._one = target.suffix.lower() in VIDEO_SUFFIXES
        if self._one and (photos or len(videos) != 1):
            raise UsageError(
                f"{target.name} is one video, and the inputs are not; give --annotate a folder."
            )
        if videos and not self._one and target.suffix and not target.is_dir():
            raise UsageError(
                f"an annotated video must be a {', '.join(VIDEO_SUFFIXES)} file, "
                f"not {target.name!r}."
            )
        self._target, self._videos = target, set(videos)
        self.wrote = target
        self._stack = ExitStack()
        self._source: str | None = None
        self._sink: Sink | None = None

    def __enter__(self) -> Self:
        from mien.sinks.images import ImageSink

        if not self._one:
            self._images = self._stack.enter_context(ImageSink(self._target))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close(kind, error, trace)
        self._stack.__exit__(kind, error, trace)

    def write(self, result: Result) -> None:
        """Draw one result into the copy of its input."""
        if result.source not in self._videos:
            self._images.write(result)
            return
        if result.source != self._source:
            self._close(None, None, None)
            self._open(result.source)
        if self._sink is not None:
            self._sink.write(result)

    def _open(self, source: str) -> None:
        from mien.media.inputs import is_live
        from mien.sinks.video import VideoSink

        name = Path(source).stem or "video"
        path = self._target if self._one else self._target / f"{name}.annotated.mp4"
        self._source = source
        self._sink = VideoSink(path, audio_from=None if is_live(source) else source)
        self._sink.__enter__()

    def _close(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.__exit__(kind, error, trace)
