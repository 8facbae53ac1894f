"""From frames to results: read, detect, crop, classify; in batches and ahead, in a thread."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby

import numpy as np

from mien.errors import FrameDroppedError, InputError, MienError, PluginError
from mien.expressions.affect import with_affect
from mien.expressions.base import EmotionClassifier
from mien.expressions.base_rates import Prior
from mien.expressions.heads import HeadedClassifier
from mien.faces.crops import crop_faces
from mien.faces.detectors.base import FaceDetector
from mien.faces.mesh import Mesh
from mien.faces.model import FaceModel, FaceValues
from mien.faces.pose import head_angles
from mien.faces.quality import assess
from mien.media.prefetch import prefetched
from mien.media.worker import awaited
from mien.models.card import CropSpec
from mien.plugins import guarded
from mien.results.result import Result
from mien.results.settings import RunSettings
from mien.tracking.adaptive import adaptive_results
from mien.tracking.tracker import TrackingDetector
from mien.types import Crops, Faces, FloatArray, Frame, Image, Scores

#: Images whose crops may wait for a full batch, and the bytes of those kept with them.
PATIENCE, KEPT_BYTES = 8, 32_000_000


@dataclass(frozen=True, eq=False)
class _Detection:
    """An image whose faces are detected and cropped, but not classified yet."""

    frame: Frame
    faces: Faces = field(default_factory=Faces.empty)
    crops: Crops = field(default_factory=lambda: np.zeros((0, 1, 1, 3), np.uint8))
    seconds: float = 0.0
    read: Callable[[], Image] | None = None
    size: tuple[int, int] | None = None
    problem: MienError | None = None
    values: Callable[[], tuple[tuple[FaceValues, ...], float]] = lambda: ((), 0.0)


@dataclass(frozen=True, eq=False)
class Pipeline:
    """The steps of an `mien.EmotionAnalyzer` after the source, with any detector.

    Attributes:
        classifier: gives the probabilities of each crop.
        crop: how faces are cropped for it.
        without: labels to exclude.
        derive_affect: whether to derive valence and arousal.
        models: further networks, as far as their values are requested.
        batch_size: crops classified at once, across images.
        settings: stored with every result.
        heads: the classifier, where its heads need facial actions, or other networks have columns
            of the same names.
        prior: re-weights the probabilities; None leaves them.
    """

    classifier: EmotionClassifier
    crop: CropSpec
    without: tuple[str, ...]
    derive_affect: bool
    models: tuple[FaceModel, ...]
    batch_size: int
    settings: RunSettings
    heads: HeadedClassifier | None = None
    prior: Prior | None = None

    def result(self, frame: Frame, detector: FaceDetector) -> Result:
        """The result of one frame, which keeps its image.

        Raises:
            InputError: it cannot be read.
            PluginError: the detector or classifier failed.
        """
        detection = self._detect(frame, detector, self.models, keep=True)
        if detection.problem is not None:
            raise detection.problem
        result = self._classify([detection])[0]
        if result.error is not None:  # the classifier's
            raise PluginError(result.error)
        return result

    def results(
        self, frames: Iterable[Frame], detector: FaceDetector, *, live: bool = False, keep: bool
    ) -> Generator[Result]:
        """A result for each frame, in order; the crops of several frames are classified at once.

        The next frames are read and searched, in a thread, while those before are classified and
        used. Live frames are processed one by one, since a late result is worth less.
        """
        batches = self._batches(frames, detector, 1 if live else PATIENCE, keep=keep)
        if live:
            for batch in batches:
                if batch is not None:
                    yield from self._classify(batch[0])
            return
        with closing(prefetched(batches, "mien-detect", most=1)) as ready:
            for waiting in ready:
                yield from self._classify(waiting)

    def adaptive(
        self, frames: Iterable[Frame], tracked: TrackingDetector, *, keep: bool
    ) -> Generator[Result]:
        """Results of some frames, chosen coarse to fine; people are tracked across those."""

        def evaluate(frame: Frame, detector: FaceDetector) -> Result:
            return self._classify([self._detect(frame, detector, self.models, keep=True)])[0]

        for _, video in groupby(frames, lambda frame: frame.source):
            for shown, result in adaptive_results(video, tracked, evaluate):
                yield result if keep else replace(result, _read=shown.again)

    def _batches(
        self, frames: Iterable[Frame], detector: FaceDetector, patience: int, *, keep: bool
    ) -> Generator[tuple[list[_Detection], int] | None]:
        """Detections, some at a time, with the bytes that they hold.

        None comes between them, so that a thread which runs this can be stopped there.
        """
        upcoming = awaited(frames)
        source, models = None, self.models
        problem: BaseException | None = None
        # Further networks judge a frame in a thread of their own while the next one is searched.
        pool = ThreadPoolExecutor(1, "mien-values") if models else None
        pending: Callable[[], object] = tuple
        while problem is None:
            waiting: list[_Detection] = []
            crops = held = 0
            while crops < self.batch_size and len(waiting) < patience and held < KEPT_BYTES:
                try:
                    frame = next(upcoming)
                    if frame.source != source:
                        source = frame.source
                        models = tuple(model.fresh() for model in self.models)
                    detection = self._detect(frame, detector, models, keep=keep, pool=pool)
                    pending()  # so that no more than two images are in memory
                    pending = detection.values
                except BaseException as error:  # noqa: BLE001 - raised after the rest was yielded
                    problem = error
                    break
                waiting.append(detection)
                crops += len(detection.crops)
                yield None
                pixels = math.prod(detection.size) if keep and detection.size else 0
                held += detection.crops.nbytes + 3 * pixels
            if waiting:
                yield waiting, held
        if pool is not None:
            pool.shutdown(wait=False)
        if not isinstance(problem, StopIteration):
            raise problem

    def _detect(
        self,
        frame: Frame,
        detector: FaceDetector,
        models: Sequence[FaceModel],
        *,
        keep: bool,
        pool: ThreadPoolExecutor | None = None,
    ) -> _Detection:
        """Read an image, find its faces and crop them."""
        started = time.perf_counter()
        try:
            image = frame.read()
        except InputError as error:
            return self._failed(_Detection(frame, seconds=time.perf_counter() - started), error)
        detection = _Detection(
            frame,
            read=partial(np.copy, image) if keep else frame.read,
            size=(image.shape[1], image.shape[0]),
        )
        try:
            faces = guarded(detector.detect, image, Faces)
        except PluginError as error:
            return self._failed(detection, error)
        crops = crop_faces(image, faces, self.classifier.input_size, self.crop)
        values = detection.values
        if models:  # else the task would keep the image
            task = partial(_values, models, image, faces)
            values = pool.submit(task).result if pool is not None else task
        seconds = time.perf_counter() - started
        return replace(detection, faces=faces, crops=crops, seconds=seconds, values=values)

    def _failed(self, detection: _Detection, problem: MienError) -> _Detection:
        """The same input without faces, for the row that says what went wrong."""
        if not isinstance(problem, InputError):
            problem = PluginError(f"{detection.frame.source}: {problem}")
        size = self.classifier.input_size
        blank, nobody = np.zeros((size, size, 3), np.uint8), Faces.empty()
        nothing = np.zeros((0, *blank.shape), np.uint8)
        values = partial(_values, self.models, blank, nobody)
        return replace(detection, faces=nobody, crops=nothing, problem=problem, values=values)

    def _classify(self, waiting: list[_Detection]) -> list[Result]:
        """Classify the crops of several images at once and give each image its rows."""
        started = time.perf_counter()
        crops = np.concatenate([detection.crops for detection in waiting])
        try:
            scores = guarded(self.classifier.classify, crops, Scores, len(crops))
        except PluginError as error:
            if len(waiting) > 1:  # find the input that it fails at
                return [self._classify([detection])[0] for detection in waiting]
            first = waiting[0] if waiting[0].problem else self._failed(waiting[0], error)
            labels = [name for name in self.classifier.labels if name not in self.without]
            values, _ = first.values()
            return [self._result(first, Scores.empty(labels), values, 1000 * first.seconds)]
        if self.heads is None:
            scores = self._finished(scores)
        share = (time.perf_counter() - started) / max(1, len(crops))
        results, start = [], 0
        for detection in waiting:
            rows = slice(start, start + len(detection.crops))
            start = rows.stop
            values, spent = detection.values()
            seconds = detection.seconds + spent + share * len(detection.crops)
            own = scores[rows]
            for one in values:
                own = one.added(own)
            if self.heads is not None:
                own = self._finished(self.heads.completed(scores[rows], own, _turns(values)))
            results.append(self._result(detection, own, values, 1000 * seconds))
        return results

    def _finished(self, scores: Scores) -> Scores:
        """`scores` without the excluded labels, re-weighted, with affect if it is to be derived."""
        for name in self.without:
            scores = scores.without(name)
        if self.prior is not None:
            scores = self.prior.apply(scores)
        return with_affect(scores) if self.derive_affect else scores

    def _result(
        self,
        detection: _Detection,
        scores: Scores,
        values: Sequence[FaceValues],
        milliseconds: float,
    ) -> Result:
        frame, problem = detection.frame, detection.problem
        mesh = _mesh(values)
        return Result(
            frame.source,
            detection.faces,
            scores,
            assess(detection.faces, detection.crops, mesh),
            detection.crops,
            mesh=mesh,
            index=frame.index,
            time_s=frame.time_s,
            duration_s=frame.duration_s,
            size=detection.size,
            error=None if problem is None else str(problem),
            dropped=isinstance(problem, FrameDroppedError),
            milliseconds=milliseconds,
            uncertain_below=self.settings.uncertain_below,
            settings=self.settings,
            _read=detection.read,
            _classifier=self.classifier,
        )


def _mesh(values: Sequence[FaceValues]) -> Mesh | None:
    """The mesh that one of the further networks found."""
    return next((one.mesh for one in values if one.mesh is not None), None)


def _turns(values: Sequence[FaceValues]) -> dict[str, FloatArray]:
    """Yaw and roll of the heads by their mesh, as the columns of quality are called."""
    mesh = _mesh(values)
    if mesh is None:
        return {}
    _, yaw, roll = head_angles(mesh.rotations)
    return {"yaw_deg": yaw, "roll_deg": roll}


def _values(
    models: Sequence[FaceModel], image: Image, faces: Faces
) -> tuple[tuple[FaceValues, ...], float]:
    """What further networks say of the faces in an image, and the seconds that it took."""
    started = time.perf_counter()
    values = tuple(model.values(image, faces) for model in models)
    return values, time.perf_counter() - started


def by_source(frames: Iterable[Frame], tracked: TrackingDetector) -> Iterator[Frame]:
    """The frames; track ids begin anew with every source."""
    last: str | None = None
    for frame in frames:
        if last is not None and frame.source != last:
            tracked.reset()
        last = frame.source
        yield frame
