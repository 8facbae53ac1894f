"""The contract of a source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from mien.errors import UsageError
from mien.types import Frame


@runtime_checkable
class Source(Protocol):
    """Anything that yields `Frame`, a generator included.

    Frames are taken one at a time and read lazily, so a source may be endless. An unreadable frame
    is yielded, too; its ``read`` raises `mien.errors.InputError`, which becomes a row of the table.
    """

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames in order."""
        ...


@dataclass(frozen=True)
class Timing:
    """How the frames of a source arrive.

    Attributes:
        live: whether they arrive in real time, so that each result is wanted at once instead of
            being batched with later frames.
        fps: frames per second that the source will give; None where that is unknown.
    """

    live: bool = False
    fps: float | None = None


@runtime_checkable
class TimedSource(Source, Protocol):
    """A source that also says how its frames arrive; optional."""

    @property
    def timing(self) -> Timing:
        """Whether it is live, and its frame rate."""
        ...


def timing_of(frames: Iterable[Any]) -> Timing:
    """The timing of a `TimedSource`; not live, of unknown rate, for everything else."""
    if isinstance(frames, TimedSource) and isinstance(frames.timing, Timing):
        return frames.timing
    return Timing()


def checked(frames: Iterable[Any]) -> Iterator[Frame]:
    """The frames, each checked to be a `Frame`.

    Raises:
        UsageError: it is not an iterable, or an item of it is not a `Frame`.
    """
    if not isinstance(frames, Iterable):
        raise UsageError(
            f"a video is a path or an iterable of mien.Frame, not {type(frames).__name__}; of a"
            " camera, give mien.CameraSource(number) to analyzer.stream."
        )
    return map(_frame, frames)


def _frame(item: Any) -> Frame:
    if isinstance(item, Frame):
        return item
    raise UsageError(
        f"a video's frames are mien.Frame, not {type(item).__name__}: give a path, or each of"
        " several paths by itself; images go to analyzer.analyze."
    )
