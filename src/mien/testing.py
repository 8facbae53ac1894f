"""Contracts that anyone's plug can be checked against.

    from mien.testing import check_detector
    check_detector(MyDetector())

Each check raises `PluginError` with one sentence that says what was broken.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import Any

import numpy as np

from mien.errors import MienError, PluginError
from mien.expressions.base import EmotionClassifier
from mien.faces.detectors.base import FaceDetector
from mien.results.result import Result
from mien.types import Crops, Faces, Frame, Image, Scores


def check_detector(
    detector: FaceDetector, face: Image | None = None, *, stateless: bool = True
) -> None:
    """Check a face detector against the contract of `FaceDetector`.

    No crash and right types on pictures of any size, also 1 x 1; no face in an empty picture is a
    normal answer; the input stays as it is; the same picture gives the same answer; it can be
    pickled. With a picture of a face: it is found, and its box is in pixels.

    Args:
        detector: the object.
        face: ``(H, W, 3)`` uint8 RGB with at least one clear face.
        stateless: False for detectors that remember, such as trackers: answers may then differ.
    """
    rng = np.random.default_rng(0)
    for height, width in ((1, 1), (5, 7), (64, 48), (120, 200)):
        picture = rng.integers(0, 255, (height, width, 3)).astype(np.uint8)
        before = picture.copy()
        found = _detect(detector, picture)
        _demand(np.array_equal(picture, before), "detect() must not change the picture")
        if stateless:
            again = _detect(detector, picture)
            same = np.array_equal(found.boxes, again.boxes)
            _demand(same, "detect() must give the same answer for the same picture")
    _detect(detector, np.zeros((80, 80, 3), np.uint8))
    readonly = np.zeros((40, 40, 3), np.uint8)
    readonly.setflags(write=False)
    _detect(detector, readonly)
    _picklable(detector)
    if face is None:
        return
    found = _detect(detector, face)
    _demand(len(found) > 0, "detect() found no face in the picture of a face")
    height, width = face.shape[:2]
    box = found.boxes[0]
    inside = box[2] > 0 and box[3] > 0 and box[0] < width and box[1] < height
    _demand(bool(inside and box[2] - box[0] > 1.5), "boxes must be x1, y1, x2, y2 in pixels")
    _demand(len(found[0]) == 1, "Faces must be sliceable")


def check_classifier(classifier: EmotionClassifier, *, tolerance: float = 1e-3) -> None:
    """Check an expression classifier against the contract of `EmotionClassifier`.

    Labels and size make sense; n faces give n rows in the same order; no faces give no rows; one
    at a time equals all at once; the squares stay as they are; it can be pickled.

    Args:
        classifier: the object.
        tolerance: largest difference allowed between one at a time and all at once.
    """
    labels, size = tuple(classifier.labels), classifier.input_size
    _demand(len(labels) > 0 and len(set(labels)) == len(labels), "labels must be different names")
    _demand(isinstance(size, int) and size > 0, "input_size must be a whole number of pixels")
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 255, (3, size, size, 3)).astype(np.uint8)
    crops[1, ..., 1:] = 0  # a red and a blue square among them
    crops[2, ..., :2] = 0
    before = crops.copy()
    together = _classify(classifier, crops)
    _demand(np.array_equal(crops, before), "classify() must not change the squares")
    single = [_classify(classifier, crops[i : i + 1]).values for i in range(len(crops))]
    gap = float(np.abs(np.concatenate(single) - together.values).max())
    _demand(gap <= tolerance, f"one at a time and all at once differ by {gap:.2g}")
    _classify(classifier, crops[:0])
    _picklable(classifier)


def check_color_order(classifier: EmotionClassifier, other: EmotionClassifier) -> bool:
    """Whether two classifiers treat red and blue alike, told by a red and a blue picture.

    A model that was wrapped with the wrong colour order answers for the red picture what the
    right one answers for the blue.
    """
    size = classifier.input_size
    crops = np.zeros((2, size, size, 3), np.uint8)
    rng = np.random.default_rng(1)
    texture = rng.integers(60, 255, (size, size)).astype(np.uint8)
    crops[0, ..., 0], crops[1, ..., 2] = texture, texture
    mine, yours = classifier.classify(crops).values, other.classify(crops).values
    straight, crossed = np.abs(mine - yours).sum(), np.abs(mine - yours[::-1]).sum()
    return bool(straight <= crossed)


def check_source(source: Iterable[Frame], *, at_most: int = 8) -> None:
    """Check the first frames of a source: names, rising indices, and what `read` returns.

    A frame that raises one of mien's errors passes: that is how a source reports a bad input.
    """
    last: Frame | None = None
    for count, frame in enumerate(source):
        if count >= at_most:
            return
        _demand(isinstance(frame, Frame), f"a source must give mien.Frame, got {type(frame)}")
        _demand(isinstance(frame.source, str) and frame.source != "", "a frame needs a source name")
        if last is not None and last.source == frame.source:
            _demand(frame.index > last.index, "frames of one source must have rising indices")
        try:
            image = frame.read()
        except MienError:
            continue
        _demand(
            isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3
            and image.shape[2] == 3,
            "read() must return (H, W, 3) uint8",
        )  # fmt: skip
        last = frame


def check_sink(sink: Any) -> None:
    """Check that a sink takes a result with an error, one without faces, and one with a face."""
    labels = ("neutral", "happiness")
    blank = np.zeros((40, 40, 3), np.uint8)
    base = Result.failed("broken.jpg", "cannot be read.", labels)
    with sink as entered:
        _demand(callable(getattr(entered, "write", None)), "a sink needs write(result)")
        entered.write(base)
        for count in (0, 1):
            entered.write(_made_up(count, labels, blank))


def _made_up(count: int, labels: tuple[str, ...], image: Image) -> Result:
    from mien.faces.quality import assess

    faces = Faces(np.tile(np.array([4, 4, 30, 30], np.float32), (count, 1)))
    crops = np.zeros((count, 16, 16, 3), np.uint8)
    scores = Scores(np.full((count, len(labels)), 1 / len(labels), np.float32), labels)
    return Result(
        f"photo{count}.jpg",
        faces,
        scores,
        assess(faces, crops),
        crops,
        size=(image.shape[1], image.shape[0]),
        _read=lambda: image.copy(),
    )


def _detect(detector: FaceDetector, image: Image) -> Faces:
    try:
        found = detector.detect(image)
    except Exception as error:
        raise PluginError(f"detect() raised {type(error).__name__}: {error}") from error
    _demand(isinstance(found, Faces), f"detect() must return mien.Faces, got {type(found)}")
    return found


def _classify(classifier: EmotionClassifier, crops: Crops) -> Scores:
    scores = classifier.classify(crops)
    _demand(isinstance(scores, Scores), f"classify() must return mien.Scores, got {type(scores)}")
    _demand(len(scores) == len(crops), f"{len(crops)} squares gave {len(scores)} rows")
    _demand(
        scores.labels == tuple(classifier.labels), "classify() must use the classifier's labels"
    )
    return scores


def _picklable(plug: Any) -> None:
    try:
        pickle.loads(pickle.dumps(plug))
    except Exception as error:
        raise PluginError(f"{type(plug).__name__} cannot be pickled: {error}.") from error


def _demand(holds: bool, sentence: str) -> None:
    if not holds:
        raise PluginError(f"{sentence}.")
