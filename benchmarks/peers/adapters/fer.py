"""fer: its default Haar detector; a video by a loop over frames, like its `Video.analyze`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peers.adapters.contract import Face, frames_of, named, read


class Adapter:
    """The contract of `peers.adapters.contract.Peer`."""

    package = "fer"

    def load(self) -> None:
        """Open the networks."""
        from fer.fer import FER

        self.peer = FER()

    def image(self, path: Path) -> list[Face]:
        """Find and classify the faces of a file."""
        image = read(path)
        return self._faces(image)

    def crop(self, path: Path) -> dict[str, float] | None:
        """Classify a file that is one face."""
        image = read(path)
        height, width = image.shape[:2]
        found = self.peer.detect_emotions(image, face_rectangles=[(0, 0, width, height)])
        return named(found[0]["emotions"]) if found else None

    def video(self, path: Path) -> Iterator[list[Face]]:
        """The faces of each frame."""
        for image in frames_of(path):
            yield self._faces(image)

    def _faces(self, image: Any) -> list[Face]:
        faces = []
        for found in self.peer.detect_emotions(image):
            x, y, width, height = (float(v) for v in found["box"])
            faces.append(Face([x, y, x + width, y + height], named(found["emotions"])))
        return faces
