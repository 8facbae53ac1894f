"""Predictions of a classifier for labeled faces, on the labels of the vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from mien.datasets import LabelledFaces
from mien.errors import UsageError
from mien.expressions.base import EmotionClassifier, describe_classifier
from mien.faces.alignment import Aligner
from mien.labels import EMOTIONS, canonical_labels
from mien.types import Crops, FloatArray

Progress = Callable[[Iterable[int], int], Iterable[int]]
_BATCH = 64


def predict(
    classifier: EmotionClassifier,
    images: npt.NDArray[np.uint8],
    progress: Progress | None = None,
) -> FloatArray:
    """``(n, 8)`` probabilities in the order of `EMOTIONS` for ``(n, h, w)`` gray images.

    The image itself is the crop, or is aligned where the model's card says so. A label that the
    model lacks gets 0.
    """
    size, spec = classifier.input_size, describe_classifier(classifier).crop
    aligner = Aligner(spec) if spec.usual else None

    def crops(rows: slice) -> Crops:
        if aligner is None:
            return to_crops(images[rows], size)
        whole = to_crops(images[rows], images.shape[-1])
        return np.stack([aligner.crop(image, size)[0] for image in whole])

    return _predicted(classifier, crops, len(images), progress)


def predict_faces(
    classifier: EmotionClassifier, faces: LabelledFaces, progress: Progress | None = None
) -> FloatArray:
    """The same for faces of any kind, each cut as the model's card says."""
    spec = describe_classifier(classifier).crop
    size = classifier.input_size
    return _predicted(classifier, lambda rows: faces.crops(size, rows, spec), len(faces), progress)


def vocabulary(classifier: EmotionClassifier) -> tuple[str, ...]:
    """The vocabulary's labels that a classifier has.

    Raises:
        UsageError: it has none.
    """
    labels = [label for label in canonical_labels(classifier.labels) if label in EMOTIONS]
    if not labels:
        raise UsageError(
            f"none of the model's labels ({', '.join(classifier.labels)}) is one of "
            f"{', '.join(EMOTIONS)}, so it cannot be measured on such data."
        )
    return tuple(label for label in EMOTIONS if label in labels)


def to_crops(images: npt.NDArray[np.uint8], size: int) -> Crops:
    """Resize ``(n, h, w)`` or ``(n, 3, h, w)`` to ``(n, size, size, 3)`` crops, bilinear."""
    import cv2

    if images.ndim == 3:
        images = np.repeat(images[:, None], 3, axis=1)
    crops = np.empty((len(images), size, size, 3), np.uint8)
    for crop, image in zip(crops, images.transpose(0, 2, 3, 1), strict=True):
        whole = np.ascontiguousarray(image)
        crop[:] = cv2.resize(whole, (size, size), interpolation=cv2.INTER_LINEAR)
    return crops


def _predicted(
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
