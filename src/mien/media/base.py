"""The contract of a source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

from mien.errors import UsageError
from mien.types import Frame


@runtime_checkable
class Source(Protocol):
    """Anything that yields `Frame`; a generator will do.

    Frames come one at a time and are read when their turn comes, so a source may be endless.
    What cannot be read is still a frame, whose ``read`` raises `mien.errors.InputError`: the run
    goes on, and the table gets a row that says why.
    """

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames in order."""
        ...


def checked(frames: Iterable[Any]) -> Iterator[Frame]:
    """The frames, as long as they are some.

    Raises:
        UsageError: it is no iterable, or an item of it is not a `Frame`.
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
