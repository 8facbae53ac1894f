"""deepface: `DeepFace.analyze` with its defaults; faces it is not sure of are left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peers.adapters.contract import Face, frames_of, named


class Adapter:
    """The contract of `peers.adapters.contract.Peer`."""

    package = "deepface"

    def load(self) -> None:
        """Open the networks."""
        from deepface import DeepFace

        self.peer = DeepFace
        self.peer.build_model("Emotion", task="facial_attribute")

    def image(self, path: Path) -> list[Face]:
        """Find and classify the faces of a file."""
        return self._faces(str(path))

    def crop(self, path: Path) -> dict[str, float] | None:
        """Classify a file that is one face."""
        found = self.peer.analyze(str(path), actions=["emotion"], detector_backend="skip")
        return named(found[0]["emotion"])

    def video(self, path: Path) -> Iterator[list[Face]]:
        """The faces of each frame."""
        for image in frames_of(path):
            yield self._faces(image)

    def _faces(self, image: Any) -> list[Face]:
        faces = []
        for found in self.peer.analyze(image, actions=["emotion"], enforce_detection=False):
            if found["face_confidence"] > 0:
                place = found["region"]
                x, y = float(place["x"]), float(place["y"])
                box = [x, y, x + place["w"], y + place["h"]]
                faces.append(Face(box, named(found["emotion"])))
        return faces
