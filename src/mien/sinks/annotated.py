"""``--annotate``: photos into a folder, films into films."""

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

#: What an annotated film may be called.
FILM_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")


class Annotations:
    """A sink that draws: each film becomes a film, each photo a picture.

    Args:
        target: a folder; or, for a single film, the file to write.
        films: the arguments that are films.
        photos: whether there are other arguments.

    Attributes:
        wrote: the target.

    Raises:
        UsageError: one file for several inputs, or for a photo; or another kind of film.
    """

    def __init__(self, target: Path, films: Sequence[str], *, photos: bool) -> None:
        self._one = target.suffix.lower() in FILM_SUFFIXES
        if self._one and (photos or len(films) != 1):
            raise UsageError(
                f"{target.name} is one film, and the inputs are not; give --annotate a folder."
            )
        if films and not self._one and target.suffix and not target.is_dir():
            raise UsageError(
                f"an annotated film is one of {', '.join(FILM_SUFFIXES)}, not {target.name!r}."
            )
        self._target, self._films = target, set(films)
        self.wrote = target
        self._stack = ExitStack()
        self._source: str | None = None
        self._sink: Sink | None = None

    def __enter__(self) -> Self:
        from mien.sinks.images import PictureSink

        if not self._one:
            self._pictures = self._stack.enter_context(PictureSink(self._target))
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
        """Draw one result where it belongs."""
        if result.source not in self._films:
            self._pictures.write(result)
            return
        if result.source != self._source:
            self._close(None, None, None)
            self._open(result.source)
        if self._sink is not None:
            self._sink.write(result)

    def _open(self, source: str) -> None:
        from mien.media.inputs import is_live
        from mien.sinks.video import FilmSink

        name = Path(source).stem or "film"
        path = self._target if self._one else self._target / f"{name}.annotated.mp4"
        self._source = source
        self._sink = FilmSink(path, audio_from=None if is_live(source) else source)
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
