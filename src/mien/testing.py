"""Checks that a detector, classifier, source or sink of your own keeps its contract.

    from mien.testing import check_detector
    check_detector(MyDetector())

Each check takes what the analyzer takes, and raises `PluginError` with one sentence that says what
was violated.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mien.errors import MienError, PluginError
from mien.expressions.base import ClassifierDescription, EmotionClassifier
from mien.faces.detectors.base import DetectorDescription, FaceDetector, FollowingDetector
from mien.media.base import Timing
from mien.plugins import DetectorLike, load_classifier, load_detector, plain_settings
from mien.results.result import Result
from mien.sinks.base import DrawingSink
from mien.types import Crops, Faces, Frame, Image, Scores

T = TypeVar("T")


def check_detector(
    detector: DetectorLike, face: Image | None = None, *, stateless: bool = True
) -> None:
    """Check a face detector against the contract of `FaceDetector`.

    It does not crash and returns the right types on images of any size, also 1 x 1; no face in an
    empty image is a normal answer; the input stays unchanged; the same image gives the same
    answer; an object can be pickled, and a `description` is a `DetectorDescription`. With an
    image of a face: it is found, and its box is in pixels; a `FollowingDetector` finds it again.

    Args:
        detector: an object, a function, boxes or a name, as `mien.load_detector` takes them.
        face: ``(H, W, 3)`` uint8 RGB with at least one clear face.
        stateless: False for detectors that remember, such as trackers: answers may then differ.

    Raises:
        PluginError: the contract is violated.
    """
    plug = load_detector(detector)
    rng = np.random.default_rng(0)
    for height, width in ((1, 1), (5, 7), (64, 48), (120, 200)):
        image = rng.integers(0, 255, (height, width, 3)).astype(np.uint8)
        before = image.copy()
        faces = _detect(plug, image)
        _demand(np.array_equal(image, before), "detect() must not change the image")
        if stateless:
            same = np.array_equal(faces.boxes, _detect(plug, image).boxes)
            _demand(same, "detect() must give the same answer for the same image")
    _detect(plug, np.zeros((80, 80, 3), np.uint8))
    readonly = np.zeros((40, 40, 3), np.uint8)
    readonly.setflags(write=False)
    _detect(plug, readonly)
    if plug is detector:  # functions such as lambdas need not be
        _picklable(plug)
    described = _described(plug, DetectorDescription)
    if described is not None:
        _demand(0 <= described.min_score <= 1, "min_score must be between 0 and 1")
        _demand(0 <= described.certain <= 1, "certain must be between 0 and 1")
        plain_settings(described.settings)
    if face is None:
        return
    faces = _detect(plug, face)
    _demand(len(faces) > 0, "detect() found no face in the image of a face")
    height, width = face.shape[:2]
    box = faces.boxes[0]
    inside = box[2] > 0 and box[3] > 0 and box[0] < width and box[1] < height
    _demand(bool(inside and box[2] - box[0] > 1.5), "boxes must be x1, y1, x2, y2 in pixels")
    _demand(len(faces[0]) == 1, "Faces must be sliceable")
    if isinstance(plug, FollowingDetector):
        again = plug.follow(face, faces, 0.0)
        _demand(isinstance(again, Faces), "follow() must return mien.Faces")
        _demand(len(again) >= len(faces), "follow() must find the faces that it is given")


def check_classifier(
    classifier: str | Path | EmotionClassifier, *, tolerance: float = 1e-3
) -> None:
    """Check an expression classifier against the contract of `EmotionClassifier`.

    Labels and size are valid; n faces give n rows in the same order; no faces give no rows; one
    at a time equals all at once; the crops stay unchanged; it can be pickled, and a
    `description` is a `ClassifierDescription` whose measures `classify` returns.

    Args:
        classifier: an object, name or file, as `mien.load_classifier` takes them.
        tolerance: largest difference allowed between one at a time and all at once.

    Raises:
        PluginError: the contract is violated.
    """
    plug = load_classifier(classifier)
    labels, size = tuple(plug.labels), plug.input_size
    _demand(not isinstance(plug.labels, str), "labels must be several names, not one text")
    _demand(len(labels) > 0 and len(set(labels)) == len(labels), "labels must be different names")
    _demand(isinstance(size, int) and size > 0, "input_size must be a whole number of pixels")
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 255, (3, size, size, 3)).astype(np.uint8)
    crops[1, ..., 1:] = 0  # a red and a blue crop among them
    crops[2, ..., :2] = 0
    before = crops.copy()
    together = _classify(plug, crops)
    _demand(np.array_equal(crops, before), "classify() must not change the crops")
    single = [_classify(plug, crops[i : i + 1]).values for i in range(len(crops))]
    gap = float(np.abs(np.concatenate(single) - together.values).max())
    _demand(gap <= tolerance, f"one at a time and all at once differ by {gap:.2g}")
    _classify(plug, crops[:0])
    _picklable(plug)
    described = _described(plug, ClassifierDescription)
    if described is not None:
        missing = [name for name in described.measures if name not in together.measures]
        _demand(not missing, f"classify() does not return the measures {', '.join(missing)}")


def check_color_order(classifier: EmotionClassifier, other: EmotionClassifier) -> bool:
    """Whether two classifiers treat red and blue alike, by their answers to a red and a blue crop.

    A model that is wrapped with the wrong color order answers for the red crop what the right one
    answers for the blue.
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

    A frame that raises one of mien's errors passes: that is how a source reports a bad input. A
    member `timing` must be a `mien.Timing`.

    Raises:
        PluginError: the contract is violated.
    """
    _described(source, Timing, "timing")
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
    """Check that a sink takes a result with an error, one without faces, and one with a face.

    Raises:
        PluginError: the contract is violated.
    """
    if isinstance(sink, DrawingSink):
        _demand(isinstance(sink.needs_images, bool), "needs_images must be True or False")
    labels = ("neutral", "happiness")
    blank = np.zeros((40, 40, 3), np.uint8)
    base = Result.failed("broken.jpg", "cannot be read.", labels)
    with sink as entered:
        _demand(callable(getattr(entered, "write", None)), "a sink needs write(result)")
        entered.write(base)
        for count in (0, 1):
            entered.write(_example(count, labels, blank))


def _example(count: int, labels: tuple[str, ...], image: Image) -> Result:
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
        _read=partial(np.copy, image),
    )


def _detect(detector: FaceDetector, image: Image) -> Faces:
    try:
        faces = detector.detect(image)
    except Exception as error:
        raise PluginError(f"detect() raised {type(error).__name__}: {error}") from error
    _demand(isinstance(faces, Faces), f"detect() must return mien.Faces, got {type(faces)}")
    return faces


def _classify(classifier: EmotionClassifier, crops: Crops) -> Scores:
    scores = classifier.classify(crops)
    _demand(isinstance(scores, Scores), f"classify() must return mien.Scores, got {type(scores)}")
    _demand(len(scores) == len(crops), f"{len(crops)} crops gave {len(scores)} rows")
    _demand(
        scores.labels == tuple(classifier.labels), "classify() must use the classifier's labels"
    )
    return scores


def _described(plug: Any, kind: type[T], name: str = "description") -> T | None:
    """The optional member of a plug, which must be of its kind where it is there."""
    value = getattr(plug, name, None)
    wanted = f"the optional member {name} must be mien.{kind.__name__}, got {type(value).__name__}"
    _demand(value is None or isinstance(value, kind), wanted)
    return value


def _picklable(plug: Any) -> None:
    try:
        pickle.loads(pickle.dumps(plug))
    except Exception as error:
        raise PluginError(f"{type(plug).__name__} cannot be pickled: {error}.") from error


def _demand(holds: bool, sentence: str) -> None:
    if not holds:
        raise PluginError(f"{sentence}.")
