"""What every adapter has: the only place that knows how a peer is called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

#: The spellings that peers use for the labels of FER+.
SPELLINGS = {
    "angry": "anger",
    "happy": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
    "fearful": "fear",
    "disgusted": "disgust",
}


@dataclass
class Face:
    """A face: box in pixels (left, top, right, bottom), probability by label, a person's number."""

    box: list[float]
    probabilities: dict[str, float] = field(default_factory=dict)
    person: int | None = None


class Peer(Protocol):
    """What the benchmark calls. `package` is the distribution whose version is stored."""

    package: str

    def load(self) -> None:
        """Import the peer and open its networks."""

    def image(self, path: Path) -> list[Face]:
        """Find and classify the faces of an image file."""

    def crop(self, path: Path) -> dict[str, float] | None:
        """Classify a file that is a face and nothing else; None where the peer cannot."""

    def video(self, path: Path) -> Iterator[list[Face]]:
        """The faces of each frame, frame by frame."""


def named(probabilities: dict[str, float]) -> dict[str, float]:
    """Labels in the words of FER+, values that sum to 1."""
    values = {
        SPELLINGS.get(label.lower(), label.lower()): float(p) for label, p in probabilities.items()
    }
    total = sum(values.values())
    return {label: p / total for label, p in values.items()} if total else {}


def read(path: Path) -> Any:
    """An image as OpenCV decodes it (BGR), None where it cannot, as its users get it."""
    import cv2

    return cv2.imread(str(path))


def frames_of(path: Path) -> Iterator[Any]:
    """Frames of a video as OpenCV decodes them (BGR)."""
    import cv2

    film = cv2.VideoCapture(str(path))
    while True:
        more, image = film.read()
        if not more:
            return
        yield image
