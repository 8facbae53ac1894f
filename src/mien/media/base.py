"""The contract of a source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

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
