"""EmotionAnalyzer: the one place where source, detector, crops and classifier meet."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
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
from mien.expressions.affect import AFFECT, DERIVED, missing, places, told, with_affect
from mien.expressions.base import EmotionClassifier
from mien.faces.crops import cut
from mien.faces.detectors.base import FaceDetector
from mien.faces.detectors.box_formats import BoxFormat
from mien.faces.quality import assess
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
    is_network,
    load_classifier,
    load_detector,
)
from mien.results.result import Result
from mien.timeline.timeline import Timeline
from mien.tracking.adaptive import looked_at
from mien.tracking.tracker import Tracked
from mien.types import Crops, Faces, Frame, Image, Scores

#: Pictures whose squares may wait for a full batch, and the bytes of those kept with them.
PATIENCE, KEPT_BYTES = 8, 32_000_000


@dataclass(frozen=True, eq=False)
class _Seen:
    """A picture whose faces are found and cut, and not yet judged."""

    frame: Frame
    faces: Faces
    crops: Crops
    seconds: float
    read: Callable[[], Image] | None = None
    size: tuple[int, int] | None = None
    problem: InputError | None = None


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
        also: what the model shall tell of each face besides: "age", "gender" (see
            `mien.labels.ATTRIBUTES`), "identity", "features" (see `mien.labels.EMBEDDINGS`);
            and "affect": valence and arousal, derived where the model does not measure them.
        box_format: how your own function or list of boxes writes them, such as "xywh", see
            `mien.GivenDetector`; left, top, right, bottom in pixels by default.

    Raises:
        UsageError: an unknown name, a number out of range, or `also` for a ready classifier, but
            for "affect", which needs labels that `mien.expressions.affect` knows.
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
        asked = tuple(name for name in also if name != AFFECT)
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
            places(self.labels)
            self.measures += self._derived
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
        return self._judge([seen])[0]

    def analyze(self, pictures: Any) -> Iterator[Result]:
        """Analyse any number of pictures: paths, folders, patterns, arrays, a generator of those.

        Lazy and in order. Squares are judged in batches across pictures, and only they are kept
        while they wait, so memory does not grow with the number of pictures. Two batches at most
        are looked at ahead, in a thread. An input that cannot be read becomes a result with
        `error`; the others are done.
        """
        yield from self._road(photos(pictures), self.detector, keep=False)

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
        if not isinstance(tracked, Tracked):
            tracked = Tracked(self.detector)
        tracked.reset(_rate(frames))
        live = bool(getattr(frames, "live", False))
        frames = checked(frames)
        if adaptive:
            if live:
                raise UsageError("live frames cannot wait for later ones: leave out adaptive.")
            yield from self._adaptive(frames, tracked, keep=keep)
            return
        yield from self._road(_by_source(frames, tracked), tracked, live=live, keep=keep)

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
        self, frames: Iterable[Frame], tracked: Tracked, *, keep: bool
    ) -> Iterator[Result]:
        """Look and judge coarse to fine, and follow people over what was looked at."""

        def look(frame: Frame, detector: FaceDetector) -> Result:
            return self._judge([self._look(frame, detector, keep=True)])[0]

        for _, film in groupby(frames, lambda frame: frame.source):
            for shown, result in looked_at(film, tracked, look):
                yield result if keep else replace(result, _read=shown.again)

    def _road(
        self, frames: Iterable[Frame], detector: FaceDetector, *, live: bool = False, keep: bool
    ) -> Iterator[Result]:
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
        size = self.classifier.input_size
        try:
            image = frame.read()
        except InputError as error:
            nothing = np.zeros((0, size, size, 3), np.uint8)
            spent = time.perf_counter() - started
            return _Seen(frame, Faces.empty(), nothing, spent, problem=error)
        faces = _guarded(detector.detect, image)
        if not isinstance(faces, Faces):
            raise PluginError(
                f"the detector must return mien.Faces, got {type(faces).__name__}; "
                "pass the function itself to have its boxes converted."
            )
        crops = cut(image, faces, size, self._crop)
        return _Seen(
            frame,
            faces,
            crops,
            time.perf_counter() - started,
            read=partial(np.copy, image) if keep else frame.read,
            size=(image.shape[1], image.shape[0]),
        )

    def _judge(self, waiting: list[_Seen]) -> list[Result]:
        """Classify the squares of several pictures at once and hand each picture its rows."""
        started = time.perf_counter()
        crops = np.concatenate([seen.crops for seen in waiting])
        scores = _guarded(self.classifier.classify, crops)
        if not isinstance(scores, Scores) or len(scores) != len(crops):
            raise PluginError(f"the classifier must return mien.Scores with {len(crops)} rows.")
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
            results.append(self._result(seen, scores[rows], 1000 * seconds))
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
        return {
            "mien_version": metadata.version("mien"),
            "detector": detector if isinstance(detector, str) else type(self.detector).__name__,
            "detector_settings": json.dumps(_public(self.detector)),
            "classifier": card.name if card else type(self.classifier).__name__,
            "classifier_sha256": file_sha256(path) if path else "",
            "without": ",".join(self._without),
            "also": ",".join(getattr(self.classifier, "also", ())),
            "uncertain_below": str(self.uncertain_below),
            **({DERIVED: told(self._derived)} if self._derived else {}),
            **({"heads": json.dumps(heads)} if heads else {}),
        }


def _rate(frames: Iterable[Frame]) -> float | None:
    """Frames a second that a source will give, or None where it does not say."""
    fps = getattr(getattr(frames, "info", None), "fps", None)
    if not fps:
        return None
    wanted = getattr(frames, "fps", None) or math.inf
    return float(min(fps / getattr(frames, "every", 1), wanted))


def _by_source(frames: Iterable[Frame], tracked: Tracked) -> Iterator[Frame]:
    """The frames; people are counted anew where another film begins."""
    last: str | None = None
    for frame in frames:
        if last is not None and frame.source != last:
            tracked.reset()
        last = frame.source
        yield frame


def _guarded(plug: Callable[..., Any], argument: Any) -> Any:
    """Call a plug; whatever it raises that is not mien's own becomes one sentence."""
    try:
        return plug(argument)
    except UsageError as error:  # wrong values made by the plug, not by the caller
        raise PluginError(f"{_owner(plug)} broke its contract: {error}") from error
    except MienError:
        raise
    except Exception as error:
        raise PluginError(f"{_owner(plug)} raised {type(error).__name__}: {error}") from error


def _owner(plug: Any) -> str:
    return type(getattr(plug, "__self__", plug)).__name__


def _public(detector: Any) -> dict[str, Any]:
    """The detector's settings: its public attributes that are plain values."""
    kept = {}
    for name, value in getattr(detector, "__dict__", {}).items():
        if not name.startswith("_") and isinstance(value, int | float | str | tuple | Path | None):
            kept[name] = str(value) if isinstance(value, Path) else value
    return kept
