"""Painted people, and detectors that know where they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from mien.faces.detectors.base import tidy
from mien.faces.geometry import iou
from mien.types import Faces, Image

SIZE = (160, 120)  # width, height


SIDE = 30  # of a face, pixels
HEAD = 44  # with its hair

Place = tuple[str, float, float]


def painted_head(name: str) -> Image:
    """A head: a pattern of colors that is the same for the same name."""
    rng = np.random.default_rng(sum(map(ord, name)))
    return rng.integers(0, 255, (6, 6, 3)).astype(np.uint8)


def painted_frame(number: int, people: Sequence[Place], ground: int = 0) -> Image:
    """People by name and center on a smooth background; the first pixel holds the frame number."""
    rng = np.random.default_rng(1000 + ground)
    coarse = rng.integers(60, 190, (4, 5, 3)).astype(np.uint8)
    image = np.array(cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC), np.uint8)
    for name, x, y in people:
        shift = np.array([[1, 0, x - HEAD / 2], [0, 1, y - HEAD / 2]])
        head = cv2.resize(painted_head(name), (HEAD, HEAD), interpolation=cv2.INTER_CUBIC)
        layer = cv2.warpAffine(head, shift, SIZE)
        down, right = np.mgrid[: SIZE[1], : SIZE[0]]
        mask = np.hypot(right - x, down - y) < HEAD / 2
        image[mask] = layer[mask]
    image[0, 0] = number // 256, number % 256, 0
    return image


class ScriptedDetector:
    """A detector that knows the video: it reads a frame's number and returns its boxes.

    Args:
        video: the visible people of each frame, front ones last.
        scores: the confidence by frame number; None for a detector without.
    """

    def __init__(
        self,
        video: Sequence[Sequence[Place]],
        scores: Callable[[int], float] | None = lambda number: 0.99,
    ) -> None:
        self.video = video
        self.scores = scores
        self.detected: list[int] = []

    def truth(self, image: Image) -> tuple[int, Faces]:
        number = int(image[0, 0, 0]) * 256 + int(image[0, 0, 1])
        boxes = np.array([box_of(x, y) for _, x, y in self.video[number]], np.float32)
        boxes = boxes.reshape(-1, 4)
        hidden = np.triu(iou(boxes, boxes), 1).max(axis=1, initial=0) > 0.4
        scores = None if self.scores is None else np.full(len(boxes), self.scores(number))
        return number, Faces(boxes, scores)[~hidden]

    def detect(self, image: Image) -> Faces:
        number, faces = self.truth(image)
        self.detected.append(number)
        return tidy(faces)


class ScriptedFollower(ScriptedDetector):
    """The same, with a method that sees only the faces near those of the frame before."""

    followed = 0

    def follow(self, image: Image, faces: Faces, min_score: float) -> Faces:
        self.followed += 1
        here = self.truth(image)[1]
        return tidy(here[iou(here.boxes, faces.boxes).max(axis=1, initial=0) > 0.3])


def box_of(x: float, y: float) -> list[float]:
    return [x - SIDE / 2, y - SIDE / 2, x + SIDE / 2, y + SIDE / 2]
