"""Peers whose networks are downloaded at first use: the first step of their documentation.

Where the networks can be had, `load` succeeds and the benchmark says that the adapter has to be
completed; it never reports figures that nobody measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from peers.adapters.contract import Face


class LoadingOnly:
    """A peer of which only installation, import and loading are measured."""

    package = ""

    def load(self) -> None:
        """Open the networks."""
        raise NotImplementedError

    def image(self, path: Path) -> list[Face]:
        """Find and classify the faces of a file."""
        raise NotImplementedError("this adapter only loads its peer")

    def crop(self, path: Path) -> dict[str, float] | None:
        """Classify a file that is one face."""
        raise NotImplementedError("this adapter only loads its peer")

    def video(self, path: Path) -> Iterator[list[Face]]:
        """The faces of each frame."""
        raise NotImplementedError("this adapter only loads its peer")
