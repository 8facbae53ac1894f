"""What a classifier says of many labelled faces, on the vocabulary's labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from mien.datasets import LabelledFaces
from mien.errors import UsageError
from mien.expressions.base import EmotionClassifier, describe_classifier
from mien.labels import EMOTIONS, canonical_labels
from mien.types import Crops, FloatArray

Progress = Callable[[Iterable[int], int], Iterable[int]]
_BATCH = 64


def judge(
    classifier: EmotionClassifier,
    pictures: npt.NDArray[np.uint8],
    progress: Progress | None = None,
) -> FloatArray:
    """``(n, 8)`` probabilities in the order of `EMOTIONS` for ``(n, h, w)`` grey pictures.

    The picture itself is the square. A label that the model lacks gets 0.
    """
    size = classifier.input_size
    return _judged(classifier, lambda rows: to_crops(pictures[rows], size), len(pictures), progress)


def judge_faces(
    classifier: EmotionClassifier, faces: LabelledFaces, progress: Progress | None = None
) -> FloatArray:
    """The same for faces of any kind, each cut as the model's card wants it."""
    spec = describe_classifier(classifier).crop
    size = classifier.input_size
    return _judged(classifier, lambda rows: faces.crops(size, rows, spec), len(faces), progress)


def vocabulary(classifier: EmotionClassifier) -> tuple[str, ...]:
    """The vocabulary's labels that a classifier knows.

    Raises:
        UsageError: it knows none.
    """
    known = [label for label in canonical_labels(classifier.labels) if label in EMOTIONS]
    if not known:
        raise UsageError(
            f"none of the model's labels ({', '.join(classifier.labels)}) is one of "
            f"{', '.join(EMOTIONS)}, so it cannot be measured on such data."
        )
    return tuple(label for label in EMOTIONS if label in known)


def to_crops(pictures: npt.NDArray[np.uint8], size: int) -> Crops:
    """Resize ``(n, h, w)`` or ``(n, 3, h, w)`` to ``(n, size, size, 3)`` squares, bilinear."""
    import cv2

    if pictures.ndim == 3:
        pictures = np.repeat(pictures[:, None], 3, axis=1)
    crops = np.empty((len(pictures), size, size, 3), np.uint8)
    for crop, picture in zip(crops, pictures.transpose(0, 2, 3, 1), strict=True):
        whole = np.ascontiguousarray(picture)
        crop[:] = cv2.resize(whole, (size, size), interpolation=cv2.INTER_LINEAR)
    return crops


def _judged(
    classifier: EmotionClassifier,
    crops: Callable[[slice], Crops],
    count: int,
    progress: Progress | None,
) -> FloatArray:
    labels = canonical_labels(classifier.labels)
    columns = [EMOTIONS.index(label) if label in EMOTIONS else -1 for label in labels]
    out = np.zeros((count, len(EMOTIONS)), np.float32)
    batches: Iterable[int] = range(0, count, _BATCH)
    for start in progress(batches, len(range(0, count, _BATCH))) if progress else batches:
        rows = slice(start, start + _BATCH)
        values = classifier.classify(crops(rows)).values
        for column, emotion in enumerate(columns):
            if emotion >= 0:
                out[rows, emotion] = values[:, column]
    return out
