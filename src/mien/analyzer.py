"""EmotionAnalyzer: the one place where source, detector, crops and classifier meet."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from mien.errors import (
    FrameDroppedError,
    InputError,
    MienError,
    PluginError,
    UsageError,
    VideoError,
)
from mien.expressions.affect import (
    AFFECT,
    DERIVED,
    coordinates_of,
    missing,
    provenance_note,
    with_affect,
)
from mien.expressions.base import EmotionClassifier
from mien.faces.crops import crop_faces
from mien.faces.detectors.base import FaceDetector
from mien.faces.detectors.box_formats import BoxFormat
from mien.faces.quality import assess
from mien.labels import ATTRIBUTES
from mien.media.base import checked
from mien.media.photos import photos
from mien.media.prefetch import prefetched
from mien.media.video import VideoSource
from mien.media.worker import awaited
from mien.models.card import CropSpec
from mien.models.session import file_sha256
from mien.plugins import (
    DEFAULT_CLASSIFIER,
    DEFAULT_DETECTOR,
    DetectorLike,
    guarded,
    is_network,
    load_attributes,
    load_classifier,
    load_detector,
)
from mien.results.failures import unless_all_fail
from mien.results.result import Result
from mien.timeline.timeline import Timeline
from mien.tracking.adaptive import adaptive_results
from mien.tracking.tracker import TrackingDetector
from mien.types import Crops, Faces, FloatArray, Frame, Image, Scores

#: Pictures whose squares may wait for a full batch, and the bytes of those kept with them.
PATIENCE, KEPT_BYTES = 8, 32_000_000


@dataclass(frozen=True, eq=False)
class _Seen:
    """A picture whose faces are found and cut, and not yet judged."""

    frame: Frame
    faces: Faces = field(default_factory=Faces.empty)
    crops: Crops = field(default_factory=lambda: np.zeros((0, 1, 1, 3), np.uint8))
    seconds: float = 0.0
    read: Callable[[], Image] | None = None
    size: tuple[int, int] | None = None
    problem: MienError | None = None
    attributes: Mapping[str, FloatArray] = field(default_factory=dict)


class EmotionAnalyzer:
    """Finds every face in a picture and says which expression viewers would see.

    Args:
        detector: name, instance, function or boxes, see `mien.load_detector`.
        classifier: name, ``.onnx`` file or instance, see `mien.load_classifier`.
        min_score: faces found with less confidence are dropped; the detector's own by default.
            Detectors without confidence keep all their faces.
        uncertain_below: a face whose top probability is lower is called ``uncertain``. 0.5 means:
            no label would win a majority of viewers.
        without: labels to leave out, as if before the softmax; ``("contempt",)`` gives the
            seven-class view.
        batch_size: faces judged at once, across pictures.
        threads: threads a network may use; None for every processor.
        also: what to give of each face besides: "age", "gender" (see `mien.expressions.attributes`:
            how they look to viewers, not to be used on individuals), "identity", "features" (see
            `mien.labels.EMBEDDINGS`); and "affect": valence and arousal, derived where the model
            does not measure them.
        box_format: how your own function or list of boxes writes them, such as "xywh", see
            `mien.CustomDetector`; left, top, right, bottom in pixels by default.

    Raises:
        UsageError: an unknown name, a number out of range, or `also` for a ready classifier, but
            for "age", "gender" and "affect"; or the latter's labels are unknown.
        ModelError: a model file is missing or broken, or does not tell what `also` names.
    """

    def __init__(
        self,
        detector: DetectorLike = DEFAULT_DETECTOR,
        classifier: str | Path | EmotionClassifier = DEFAULT_CLASSIFIER,
        *,
        min_score: float | None = None,
        uncertain_below: float = 0.5,
        without: Sequence[str] = (),
        batch_size: int = 16,
        threads: int | None = None,
        also: Sequence[str] = (),
        box_format: BoxFormat | None = None,
    ) -> None:
        if not 0 <= uncertain_below <= 1:
            raise UsageError(f"uncertain_below lies between 0 and 1, got {uncertain_below}.")
        if min_score is not None and not 0 <= min_score <= 1:
            raise UsageError(f"min_score lies between 0 and 1, got {min_score}.")
        if batch_size < 1:
            raise UsageError(f"batch_size must be at least 1, got {batch_size}.")
        given = {"min_score": min_score, "box_format": box_format}
        wanted: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if isinstance(detector, str) and detector == DEFAULT_DETECTOR and threads is not None:
            wanted["threads"] = threads
        self.detector = load_detector(detector, **wanted)
        attributes = tuple(name for name in also if name in ATTRIBUTES)
        asked = tuple(name for name in also if name not in (AFFECT, *ATTRIBUTES))
        options: dict[str, Any] = {"threads": threads, "batch_size": batch_size, "also": asked}
        if asked and not is_network(classifier):
            raise UsageError(f"this classifier cannot be asked for {', '.join(asked)} of a face.")
        self.classifier = load_classifier(classifier, **(options if is_network(classifier) else {}))
        self.labels = tuple(name for name in self.classifier.labels if name not in without)
        self.measures: tuple[str, ...] = tuple(getattr(self.classifier, "measures", ()))
        for name in without:
            if name not in self.classifier.labels:
                raise UsageError(
                    f"the model has no label {name!r} to leave out; it has "
                    f"{', '.join(self.classifier.labels)}."
                )
        self._derived = missing(self.measures) if AFFECT in also else ()
        if self._derived:
            coordinates_of(self.labels)
            self.measures += self._derived
        self._attributes = load_attributes(attributes, threads=threads)
        self.measures += self._attributes.measures if self._attributes else ()
        self.uncertain_below = uncertain_below
        self.batch_size = batch_size
        self._without = tuple(without)
        self._crop: CropSpec = getattr(self.classifier, "crop", CropSpec())
        self.settings = self._settings(detector)

    def __call__(self, picture: Any) -> Result:
        """Analyse one picture: a path, bytes, file object, PIL image or array.

        Raises:
            InputError: the picture cannot be read.
            UsageError: that is not one picture but several, or none; use `analyze`.
        """
        frames = photos(picture)
        first, second = next(frames, None), next(frames, None)
        if first is None or second is not None:
            count = "no picture" if first is None else "more than one picture"
            raise UsageError(f"that is {count}; use analyze(...) for any number of pictures.")
        seen = self._look(first, self.detector, keep=True)
        if seen.problem is not None:
            raise seen.problem
        result = self._judge([seen])[0]
        if result.error is not None:  # the classifier's
            raise PluginError(result.error)
        return result

    def analyze(self, pictures: Any) -> Iterator[Result]:
        """Analyse any number of pictures: paths, folders, patterns, arrays, a generator of those.

        Lazy and in order. Squares are judged in batches across pictures, and only they are kept
        while they wait, so memory does not grow with the number of pictures. Two batches at most
        are looked at ahead, in a thread. An input that cannot be read, a video among them (for
        which there is `video`), becomes a result with
        `error`; the others are done.
        """
        yield from unless_all_fail(self._road(photos(pictures), self.detector, keep=False))

    def stream(
        self, frames: Iterable[Frame], *, keep: bool = False, adaptive: bool = False
    ) -> Iterator[Result]:
        """Analyse moving pictures, frame by frame, and follow the people in them.

        Every frame gives a result, in order: also one without a face, one that could not be
        decoded, and a live one that was left out. Faces carry ``track_ids``, which begin anew
        with every source. Memory does not grow with the length.

        Args:
            frames: a `VideoSource`, a `CameraSource`, or any iterable of frames. Where it has a
                true attribute ``live``, each result comes at once, without waiting for a batch.
            keep: keep each frame's picture with its result, as drawing it needs.
            adaptive: look at fewer frames where nothing changes, see `mien.tracking.sampling`; the
            others
                have no result.

        Raises:
            UsageError: `adaptive` for live frames, which cannot wait for later ones.
        """
        tracked = self.detector
        if not isinstance(tracked, TrackingDetector):
            tracked = TrackingDetector(self.detector)
        tracked.reset(_rate(frames))
        live = bool(getattr(frames, "live", False))
        frames = checked(frames)
        if adaptive:
            if live:
                raise UsageError("live frames cannot wait for later ones: leave out adaptive.")
            yield from unless_all_fail(self._adaptive(frames, tracked, keep=keep))
            return
        road = self._road(_by_source(frames, tracked), tracked, live=live, keep=keep)
        yield from unless_all_fail(road)

    def video(
        self,
        film: str | os.PathLike[str] | Iterable[Frame],
        *,
        fps: float | None = None,
        every: int = 1,
        start: float | None = None,
        end: float | None = None,
        width: int | None = None,
        stream: int | None = None,
        adaptive: bool = False,
    ) -> Timeline:
        """Analyse a film from beginning to end.

        Args:
            film: a path, or any iterable of frames that ends.
            fps: look at so many frames a second at most; None for all.
            every: look at every n-th frame.
            start, end: seconds of the film.
            width: make wider frames this narrow first, pixels.
            stream: which of the file's video streams, from 0; None for the file's default.
            adaptive: look at fewer frames where nothing changes.

        Returns:
            all rows with time and person; of the pictures only the faces at their peaks.

        Raises:
            InputError: there is no film at that path, or no frame can be read from it.
        """
        if not isinstance(film, str | os.PathLike):
            return Timeline.from_results(self.stream(film, adaptive=adaptive))
        source = VideoSource(
            film, fps=fps, every=every, start=start, end=end, width=width, stream=stream
        )
        timeline = Timeline.from_results(self.stream(source, adaptive=adaptive))
        if not timeline.images["status"].eq("ok").any():
            raise VideoError(str(timeline.images["error"].iloc[0]))
        return timeline

    def _adaptive(
        self, frames: Iterable[Frame], tracked: TrackingDetector, *, keep: bool
    ) -> Generator[Result]:
        """Look and judge coarse to fine, and follow people over what was looked at."""

        def look(frame: Frame, detector: FaceDetector) -> Result:
            return self._judge([self._look(frame, detector, keep=True)])[0]

        for _, film in groupby(frames, lambda frame: frame.source):
            for shown, result in adaptive_results(film, tracked, look):
                yield result if keep else replace(result, _read=shown.again)

    def _road(
        self, frames: Iterable[Frame], detector: FaceDetector, *, live: bool = False, keep: bool
    ) -> Generator[Result]:
        """Look at each frame, and judge the squares of several at once.

        The next frames are looked at, in a thread, while those before are judged and used; live
        ones one by one instead, since a result that comes later is worth less.
        """
        batches = self._batches(frames, detector, 1 if live else PATIENCE, keep=keep)
        if live:
            for looked in batches:
                if looked is not None:
                    yield from self._judge(looked[0])
            return
        with closing(prefetched(batches, "mien-look", most=1)) as ready:
            for batch in ready:
                yield from self._judge(batch)

    def _batches(
        self, frames: Iterable[Frame], detector: FaceDetector, patience: int, *, keep: bool
    ) -> Generator[tuple[list[_Seen], int] | None]:
        """Frames that are looked at, some at a time, with the bytes that they hold.

        None comes between them, so that a thread which runs this can be stopped there.
        """
        upcoming = awaited(frames)
        problem: BaseException | None = None
        while problem is None:
            waiting: list[_Seen] = []
            squares = held = 0
            while squares < self.batch_size and len(waiting) < patience and held < KEPT_BYTES:
                try:
                    seen = self._look(next(upcoming), detector, keep=keep)
                except BaseException as error:  # noqa: BLE001 - raised when the rest is handed out
                    problem = error
                    break
                waiting.append(seen)
                squares += len(seen.crops)
                yield None
                held += seen.crops.nbytes + (3 * math.prod(seen.size) if keep and seen.size else 0)
            if waiting:
                yield waiting, held
        if not isinstance(problem, StopIteration):
            raise problem

    def _look(self, frame: Frame, detector: FaceDetector, *, keep: bool) -> _Seen:
        """Read a picture, find its faces, cut them out."""
        started = time.perf_counter()
        try:
            image = frame.read()
        except InputError as error:
            return self._failed(_Seen(frame, seconds=time.perf_counter() - started), error)
        seen = _Seen(
            frame,
            read=partial(np.copy, image) if keep else frame.read,
            size=(image.shape[1], image.shape[0]),
        )
        try:
            faces = guarded(detector.detect, image, Faces)
        except PluginError as error:
            return self._failed(seen, error)
        crops = crop_faces(image, faces, self.classifier.input_size, self._crop)
        attributes = self._estimated(image, faces)
        seconds = time.perf_counter() - started
        return replace(seen, faces=faces, crops=crops, seconds=seconds, attributes=attributes)

    def _failed(self, seen: _Seen, problem: MienError) -> _Seen:
        """The same input without faces, for the row that says what went wrong."""
        if not isinstance(problem, InputError):
            problem = PluginError(f"{seen.frame.source}: {problem}")
        size = self.classifier.input_size
        nothing = np.zeros((0, size, size, 3), np.uint8)
        return replace(seen, faces=Faces.empty(), crops=nothing, problem=problem)

    def _estimated(self, image: Image, faces: Faces) -> Mapping[str, FloatArray]:
        """Apparent age and gender, where they were asked for, on crops of their own."""
        model = self._attributes
        return (
            model.estimate(crop_faces(image, faces, model.input_size, model.crop)) if model else {}
        )

    def _judge(self, waiting: list[_Seen]) -> list[Result]:
        """Classify the squares of several pictures at once and hand each picture its rows."""
        started = time.perf_counter()
        crops = np.concatenate([seen.crops for seen in waiting])
        try:
            scores = guarded(self.classifier.classify, crops, Scores, len(crops))
        except PluginError as error:
            if len(waiting) > 1:  # find the input that it fails at
                return [self._judge([seen])[0] for seen in waiting]
            seen = waiting[0] if waiting[0].problem else self._failed(waiting[0], error)
            return [self._result(seen, Scores.empty(self.labels), 1000 * seen.seconds)]
        for name in self._without:
            scores = scores.without(name)
        if self._derived:
            scores = with_affect(scores)
        share = (time.perf_counter() - started) / max(1, len(crops))
        results, first = [], 0
        for seen in waiting:
            rows = slice(first, first + len(seen.crops))
            first = rows.stop
            seconds = seen.seconds + share * len(seen.crops)
            own = scores[rows]
            if self._attributes:
                own = self._attributes.added(own, seen.attributes)
            results.append(self._result(seen, own, 1000 * seconds))
        return results

    def _result(self, seen: _Seen, scores: Scores, milliseconds: float) -> Result:
        frame, problem = seen.frame, seen.problem
        return Result(
            frame.source,
            seen.faces,
            scores,
            assess(seen.faces, seen.crops),
            seen.crops,
            index=frame.index,
            time_s=frame.time_s,
            duration_s=frame.duration_s,
            size=seen.size,
            error=None if problem is None else str(problem),
            dropped=isinstance(problem, FrameDroppedError),
            milliseconds=milliseconds,
            uncertain_below=self.uncertain_below,
            settings=self.settings,
            _read=seen.read,
            _classifier=self.classifier,
        )

    def _settings(self, detector: Any) -> Mapping[str, str]:
        card = getattr(self.classifier, "card", None)
        path = getattr(self.classifier, "path", None)
        heads = [head.summary for head in getattr(self.classifier, "heads", ())]
        attributes = self._attributes.attributes if self._attributes else ()
        return {
            "mien_version": metadata.version("mien"),
            "detector": detector if isinstance(detector, str) else type(self.detector).__name__,
            "detector_settings": json.dumps(_public(self.detector)),
            "classifier": card.name if card else type(self.classifier).__name__,
            "classifier_sha256": file_sha256(path) if path else "",
            "without": ",".join(self._without),
            "also": ",".join((*getattr(self.classifier, "also", ()), *attributes)),
            "uncertain_below": str(self.uncertain_below),
            **({DERIVED: provenance_note(self._derived)} if self._derived else {}),
            **({"attributes_sha256": self._attributes.sha256} if self._attributes else {}),
            **({"heads": json.dumps(heads)} if heads else {}),
        }


def _rate(frames: Iterable[Frame]) -> float | None:
    """Frames a second that a source will give, or None where it does not say."""
    fps = getattr(getattr(frames, "info", None), "fps", None)
    if not fps:
        return None
    wanted = getattr(frames, "fps", None) or math.inf
    return float(min(fps / getattr(frames, "every", 1), wanted))


def _by_source(frames: Iterable[Frame], tracked: TrackingDetector) -> Iterator[Frame]:
    """The frames; people are counted anew where another film begins."""
    last: str | None = None
    for frame in frames:
        if last is not None and frame.source != last:
            tracked.reset()
        last = frame.source
        yield frame


def _public(detector: Any) -> dict[str, Any]:
    """The detector's settings: its public attributes that are plain values."""
    kept = {}
    for name, value in getattr(detector, "__dict__", {}).items():
        if not name.startswith("_") and isinstance(value, int | float | str | tuple | Path | None):
            kept[name] = str(value) if isinstance(value, Path) else value
    return kept
