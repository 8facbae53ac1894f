"""Annotated copies of mixed inputs: photos as images in a folder, videos as videos."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mien.errors import UsageError
from mien.files import check_output, signed
from mien.media.inputs import Input, Inputs, is_live
from mien.sinks.images import AnnotatedNames, ImageSink, make_folder
from mien.stores import is_stored

if TYPE_CHECKING:
    from mien.results.result import Result
    from mien.sinks.base import Sink

#: Suffixes of annotated videos.
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")


class AnnotatedSink:
    """Draws each result into an annotated copy of its input.

    Args:
        target: a folder; or, for a single video, the file to write.
        paths: the arguments of the command.
        overwrite: replace a file that mien did not write; never an input.

    Attributes:
        wrote: the target.

    Raises:
        UsageError: one file for several inputs, or for an image; another kind of video; or a file
            is there that must not be replaced.
    """

    needs_images = True

    def __init__(self, target: Path, paths: Sequence[str], *, overwrite: bool = False) -> None:
        self._one = target.suffix.lower() in VIDEO_SUFFIXES
        inputs = Inputs(paths)
        if self._one:
            items = list(islice(inputs, 2))
            if len(items) > 1 or any(item.kind == "image" for item in items):
                raise UsageError(
                    f"{target.name} is one video, and the inputs are not; give --annotate a folder."
                )
            check_output(target, inputs=[item.place for item in items], overwrite=overwrite)
        elif target.suffix and not target.is_dir() and any(i.kind != "image" for i in inputs):
            raise UsageError(
                f"an annotated video must be a {', '.join(VIDEO_SUFFIXES)} file, "
                f"not {target.name!r}."
            )
        self._target, self._overwrite = target, overwrite
        self._names = AnnotatedNames(target, paths)
        self.wrote = target
        self._source: str | None = None
        self._sink: Sink | None = None
        self._live = False

    def __enter__(self) -> Self:
        if not self._one:
            self._images = ImageSink(self._target, self._names).__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        sink, self._sink = self._sink, None
        if sink is None:
            return
        if self._live and kind is not None and issubclass(kind, KeyboardInterrupt):
            kind, rest = None, (None, None)  # the way to end what has no end of its own
        sink.__exit__(kind, *rest)

    def is_done(self, item: Input) -> bool:
        """Whether the annotated copy of an input is there already; see `Checkpoint.skips`."""
        return signed(self._path(item.name, ".jpg" if item.kind == "image" else ".mp4"))

    def write(self, result: Result) -> None:
        """Draw one result into the copy of its input."""
        if result.source != self._source and self._sink is not None:
            self.__exit__(None, None, None)
        if result.time_s is None:
            if not self._one:
                self._images.write(result)
        else:
            if self._sink is None:
                self._sink = self._open(result.source)
            self._sink.write(result)
        self._source = result.source

    def _path(self, source: str, suffix: str) -> Path:
        return self._target if self._one else self._names.name(source, suffix)

    def _open(self, source: str) -> Sink:
        from mien.sinks.video import VideoSink

        path = self._path(source, ".mp4")
        if not self._one:
            make_folder(path.parent)
        self._live = is_live(source)
        sound = None if self._live or is_stored(source) else source
        return VideoSink(path, audio_from=sound, overwrite=self._overwrite).__enter__()
