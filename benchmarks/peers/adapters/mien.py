"""mien itself, called as its documentation does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peers.adapters.contract import Face, read


class Adapter:
    """The contract of `peers.adapters.contract.Peer`."""

    package = "mien"

    def load(self) -> None:
        """Open the networks."""
        from mien import EmotionAnalyzer

        self.analyzer = EmotionAnalyzer()

    def image(self, path: Path) -> list[Face]:
        """Find and classify the faces of a file."""
        return _faces(self.analyzer(path))

    def crop(self, path: Path) -> dict[str, float] | None:
        """Classify a file that is one face."""
        import cv2
        import numpy as np

        model: Any = self.analyzer.classifier
        image = cv2.cvtColor(read(path), cv2.COLOR_BGR2RGB)
        side = model.input_size
        crop = cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR)
        scores = model.classify(np.asarray(crop)[None])
        return dict(zip(scores.labels, scores.values[0].tolist(), strict=True))

    def video(self, path: Path) -> Iterator[list[Face]]:
        """The faces of each frame."""
        from mien.media.video import VideoSource
        from mien.tracking.tracker import TrackingDetector

        self.analyzer.detector = TrackingDetector(self.analyzer.detector)
        for result in self.analyzer.stream(VideoSource(path)):
            yield _faces(result)


def _faces(result: Any) -> list[Face]:
    if result.error:
        raise ValueError(str(result.error))
    ids = result.faces.track_ids
    return [
        Face(
            box.tolist(),
            dict(zip(result.scores.labels, values.tolist(), strict=True)),
            None if ids is None else int(ids[i]),
        )
        for i, (box, values) in enumerate(
            zip(result.faces.boxes, result.scores.values, strict=True)
        )
    ]
