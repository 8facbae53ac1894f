"""`RunSummary`: how many inputs a run has read, and what it found in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mien.results.result import Result


@dataclass
class RunSummary:
    """Counts of a run.

    Attributes:
        images, frames: images and video frames that were analyzed.
        faces: faces in them.
        unfit: of these, faces that are unfit for analysis.
        failed: images and frames that could not be read.
        dropped: live frames that were dropped to keep up.
    """

    images: int = 0
    frames: int = 0
    faces: int = 0
    unfit: int = 0
    failed: int = 0
    dropped: int = 0

    def add(self, result: Result) -> None:
        """Count one result."""
        if result.status == "error":
            self.failed += 1
            return
        self.dropped += result.dropped
        self.images += result.time_s is None
        self.frames += result.time_s is not None
        self.faces += len(result)
        self.unfit += int((~result.quality.fit).sum())

    def __str__(self) -> str:
        counts = [(self.images, "image"), (self.frames, "frame"), (self.faces, "face")]
        parts = [_many(n, noun) for n, noun in counts if n or noun == "face"]
        if self.unfit:
            parts[-1] += f" ({self.unfit:,} unfit to be judged)"
        parts += [f"{self.failed:,} could not be read"] * bool(self.failed)
        parts += [f"{self.dropped:,} dropped to keep up"] * bool(self.dropped)
        return ", ".join(parts)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
