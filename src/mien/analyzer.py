"""`EmotionAnalyzer`: finds faces in images and videos and predicts their apparent expressions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from importlib import metadata
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import UsageError, VideoError
from mien.expressions.affect import AFFECT, coordinates_of, missing, provenance_note
from mien.expressions.base import EmotionClassifier, describe_classifier
from mien.expressions.base_rates import load_prior
from mien.expressions.heads import Head, HeadedClassifier
from mien.faces.detectors.base import FaceDetector, describe_detector
from mien.faces.detectors.box_formats import BoxFormat
from mien.labels import ACTIONS
from mien.media.base import TimedSource, checked, timing_of
from mien.media.inputs import ALL_FRAMES, Input, VideoOptions
from mien.media.photos import check_inputs, opened, photos
from mien.media.video import VideoSource
from mien.models.session import file_sha256
from mien.pipeline import Pipeline, by_source
from mien.plugins import (
    DEFAULT_CLASSIFIER,
    DEFAULT_DETECTOR,
    FACE_OUTPUTS,
    DetectorLike,
    is_network,
    load_classifier,
    load_detector,
    load_face_models,
    plain_settings,
)
from mien.results.failures import unless_all_fail
from mien.results.result import Result
from mien.results.settings import RunSettings
from mien.results.summary import RunSummary
from mien.sinks.base import DrawingSink, Sink
from mien.timeline.timeline import Timeline
from mien.tracking.tracker import TrackingDetector
from mien.types import Frame

if TYPE_CHECKING:
    from mien.media.images import ImageSource


class EmotionAnalyzer:
    """Finds every face and predicts the expression that viewers would perceive.

    Args:
        detector: name, instance, function or boxes, see `mien.load_detector`.
        classifier: name, ``.onnx`` file or instance, see `mien.load_classifier`.
        min_score: minimum detection confidence, 0 to 1; by default the detector's own. Faces
            without a confidence always pass.
        uncertain_below: a face whose top probability is lower is called ``uncertain``. 0.5 means:
            no label would win a majority of viewers.
        without: label or labels to exclude; the probabilities are renormalized. "contempt" gives
            the seven-class view.
        batch_size: faces classified at once, across images.
        threads: threads that a network may use; None for every processor.
        also: additional outputs per face: "age", "gender" (as viewers would estimate them, see
            `mien.expressions.attributes`: not for decisions on individuals), "identity",
            "features" (see `mien.labels.EMBEDDINGS`), "affect" (valence and arousal, derived where
            the model does not predict them), "actions" (facial actions, head pose and gaze, see
            `mien.expressions.actions`), and "landmarks": 478 points, beside a table.
        heads: files of ``mien train-head``, or opened heads, on the features of the classifier;
            those that learned from facial actions request "actions", too.
        prior: base rates of your own material, to which the probabilities are re-weighted:
            "balanced", "fer+", or a file of shares, see `mien.expressions.base_rates`.
        box_format: format of the boxes of your own function or list, such as "xywh", see
            `mien.CustomDetector`; left, top, right, bottom in pixels by default.

    Attributes:
        detector, classifier: the plugs, loaded.
        labels: of the probabilities.
        measures: further columns per face.
        settings: stored with every result.

    One analyzer can be used by several threads at once, and pickled.

    Raises:
        UsageError: an unknown name, a number out of range, `also` or `heads` for a ready
            classifier (what that itself would have to give), or "affect" for labels without a known
            valence and arousal.
        ModelError: a model file is missing or damaged, or does not give what `also` names.
    """

    def __init__(
        self,
        detector: DetectorLike = DEFAULT_DETECTOR,
        classifier: str | Path | EmotionClassifier = DEFAULT_CLASSIFIER,
        *,
        min_score: float | None = None,
        uncertain_below: float = 0.5,
        without: str | Sequence[str] = (),
        batch_size: int = 16,
        threads: int | None = None,
        also: str | Sequence[str] = (),
        heads: str | Path | Sequence[str | Path | Head] = (),
        prior: str | Path | None = None,
        box_format: BoxFormat | None = None,
    ) -> None:
        for name, share in (("uncertain_below", uncertain_below), ("min_score", min_score)):
            if share is not None and not 0 <= share <= 1:
                raise UsageError(f"{name} must be between 0 and 1, got {share}.")
        for name, count in (("batch_size", batch_size), ("threads", threads)):
            if count is not None and count < 1:
                raise UsageError(f"{name} must be at least 1, got {count}.")
        also = _names(also)
        self.without: tuple[str, ...] = _names(without)
        own: dict[str, Any] = {"min_score": min_score, "box_format": box_format}
        if isinstance(detector, str) and detector == DEFAULT_DETECTOR:
            own["threads"] = threads
        own = {name: value for name, value in own.items() if value is not None}
        self.detector: FaceDetector = load_detector(detector, **own)
        heads = (heads,) if isinstance(heads, str | Path) else tuple(heads)
        embeddings = tuple(name for name in also if name not in (AFFECT, *FACE_OUTPUTS))
        options: dict[str, Any] = {"threads": threads, "batch_size": batch_size, "also": embeddings}
        if embeddings and not is_network(classifier):
            raise UsageError(f"a ready classifier does not give {', '.join(embeddings)}.")
        self.classifier: EmotionClassifier = load_classifier(
            classifier, heads=heads, **(options if is_network(classifier) else {})
        )
        headed = self.classifier if isinstance(self.classifier, HeadedClassifier) else None
        if headed is not None and headed.needs_mesh and ACTIONS not in also:
            also = (*also, ACTIONS)
        for name in self.without:
            if name not in self.classifier.labels:
                raise UsageError(
                    f"the model has no label {name!r} to exclude; it has "
                    f"{', '.join(self.classifier.labels)}."
                )
        labels = self.classifier.labels
        self.labels: tuple[str, ...] = tuple(name for name in labels if name not in self.without)
        self.uncertain_below: float = uncertain_below
        self.min_score: float | None = min_score
        self.batch_size: int = batch_size
        self.threads: int | None = threads
        chosen = None if prior is None else load_prior(prior, self.classifier)
        # They run beside detector and classifier, and would only take threads from these.
        models = load_face_models(also, threads=threads or 1)
        described = describe_classifier(self.classifier)
        derived = missing(described.measures) if AFFECT in also else ()
        if derived:
            coordinates_of(self.labels)
        given = [name for model in models for name in model.measures]
        every = (*described.measures, *derived, *given)
        self.measures: tuple[str, ...] = tuple(dict.fromkeys(every))  # a head's replaces another
        self.settings: RunSettings = RunSettings(
            mien_version=metadata.version("mien"),
            detector=detector if isinstance(detector, str) else type(self.detector).__name__,
            detector_settings=plain_settings(describe_detector(self.detector).settings),
            classifier=described.name,
            classifier_sha256=file_sha256(described.path) if described.path else "",
            without=self.without,
            also=(*described.also, *(name for model in models for name in model.requested)),
            uncertain_below=uncertain_below,
            prior="" if chosen is None else chosen.text,
            derived=provenance_note(derived),
            heads=described.heads,
            **{name: value for model in models for name, value in model.settings.items()},
        )
        self._pipeline = Pipeline(
            self.classifier,
            described.crop,
            self.without,
            bool(derived),
            models,
            batch_size,
            self.settings,
            headed if headed is not None and models else None,
            chosen,
        )

    def __repr__(self) -> str:
        settings = self.settings
        parts = [f"detector={settings.detector!r}", f"classifier={settings.classifier!r}"]
        parts += [f"{name}={getattr(settings, name)!r}" for name in ("without", "also")
                  if getattr(settings, name)]  # fmt: skip
        parts += [f"heads={[head['name'] for head in settings.heads]}"] * bool(settings.heads)
        return f"EmotionAnalyzer({', '.join(parts)})"

    def __call__(self, image: ImageSource) -> Result:
        """Analyze one image: a path, bytes, file object, PIL image or array.

        Args:
            image: as `mien.read_image` takes it. Arrays are RGB; OpenCV's are BGR: pass
                ``array[..., ::-1]``.

        Returns:
            the result, which keeps the image.

        Raises:
            InputError: the image cannot be read.
            UsageError: this is not one image but several, or none; use `analyze`.
        """
        check_inputs(image)
        frames = photos(image)
        first, second = next(frames, None), next(frames, None)
        if first is None or second is not None:
            count = "no image" if first is None else "more than one image"
            raise UsageError(f"this is {count}; use analyze(...) for any number of images.")
        return self._pipeline.result(first, self.detector)

    def analyze(self, images: Any) -> Iterator[Result]:
        """Analyze any number of images: paths, folders, patterns, arrays, a generator of those.

        Lazy and in order. Crops are classified in batches across images, and only they are kept
        while they wait, so memory does not grow with the number of images. At most two batches
        are processed ahead, in a thread. An input that cannot be read, such as a video, becomes a
        result with `error`; the others are analyzed.

        Raises:
            UsageError: at once, where `images` is of a type that cannot be images.
        """
        check_inputs(images)
        return unless_all_fail(self._pipeline.results(photos(images), self.detector, keep=False))

    def stream(
        self,
        frames: Iterable[Frame],
        *,
        keep: bool = False,
        adaptive: bool = False,
        live: bool | None = None,
        fps: float | None = None,
    ) -> Iterator[Result]:
        """Analyze a video or camera frame by frame and track the people in it.

        Every frame gets a result, in order: also one without a face, one that could not be
        decoded, and a live one that was dropped. Faces carry ``track_ids``, which begin anew
        with every source. Memory does not grow with the length. Streams of one analyzer may be
        read in turn: each has its own tracker.

        Args:
            frames: a `VideoSource`, a `CameraSource`, or any iterable of frames.
            keep: keep each frame's image with its result, as drawing needs it.
            adaptive: analyze fewer frames where nothing changes, see `mien.tracking.sampling`; the
                others have no result.
            live: give each result at once, without waiting for a batch; by default as the source
                says, see `mien.media.base.TimedSource`.
            fps: frames per second; by default as the source says, or 25.

        Raises:
            UsageError: at once: these are no frames, or `adaptive` for live frames, which cannot
                wait for later ones.
        """
        timing = timing_of(frames)
        live = timing.live if live is None else live
        detector = self.detector
        tracked = detector if isinstance(detector, TrackingDetector) else TrackingDetector(detector)
        tracked = tracked.fresh(timing.fps if fps is None else fps)
        frames = checked(frames)
        if adaptive and live:
            raise UsageError("live frames cannot wait for later ones: leave out adaptive.")
        if adaptive:
            return unless_all_fail(self._pipeline.adaptive(frames, tracked, keep=keep))
        followed = by_source(frames, tracked)
        return unless_all_fail(self._pipeline.results(followed, tracked, live=live, keep=keep))

    def video(
        self,
        video: str | os.PathLike[str] | Iterable[Frame],
        *,
        fps: float | None = None,
        every: int = 1,
        start: float | None = None,
        end: float | None = None,
        width: int | None = None,
        stream: int | None = None,
        adaptive: bool = False,
    ) -> Timeline:
        """Analyze a video from beginning to end.

        Args:
            video: a path, or any iterable of frames that ends.
            fps: analyze at most so many frames per second; None for all.
            every: analyze every n-th frame.
            start, end: seconds of the video.
            width: downscale wider frames to this width, pixels.
            stream: which of the file's video streams, from 0; None for the file's default.
            adaptive: analyze fewer frames where nothing changes.

        Returns:
            all rows with time and person; of the images only the crops at their peaks.

        Raises:
            InputError: there is no video at that path, or no frame can be read from it.
            UsageError: an option is out of range, or this is neither a path nor frames.
        """
        if not isinstance(video, str | os.PathLike):
            return Timeline.from_results(self.stream(video, adaptive=adaptive))
        source = VideoSource(
            video, fps=fps, every=every, start=start, end=end, width=width, stream=stream
        )
        timeline = Timeline.from_results(self.stream(source, adaptive=adaptive))
        if not timeline.images["status"].eq("ok").any():
            raise VideoError(str(timeline.images["error"].iloc[0]))
        return timeline

    def results(
        self,
        inputs: Any,
        *,
        options: VideoOptions = ALL_FRAMES,
        adaptive: bool = False,
        keep: bool = False,
    ) -> Iterator[Result]:
        """Analyze anything: images as `analyze` does, videos and cameras as `stream` does.

        Lazy and in order; what cannot be read becomes a result with `error`. Neighboring images
        are classified together.

        Args:
            inputs: paths, folders with images and videos, patterns, addresses of streams, arrays,
                `mien.media.inputs.Inputs`, sources, frames, or any iterable of those.
            options: which frames of videos to analyze.
            adaptive: analyze fewer frames of videos where nothing changes.
            keep: keep the frames of videos with their results, as drawing needs them.

        Raises:
            UsageError: `inputs` is of a type that cannot be inputs (at once), or `options` do not
                suit one of them.
        """
        check_inputs(inputs)
        return self._results(inputs, options, adaptive=adaptive, keep=keep)

    def run(
        self,
        inputs: Any,
        sinks: Sink | Sequence[Sink] = (),
        *,
        options: VideoOptions = ALL_FRAMES,
        adaptive: bool = False,
    ) -> RunSummary:
        """Analyze anything and write every result to each of the sinks, without holding results.

            analyzer.run("holiday/", mien.TableSink("faces.parquet", analyzer))

        Args:
            inputs, options, adaptive: as for `results`.
            sinks: such as `mien.TableSink`, `mien.VideoSink` and `mien.JsonlSink`, or your own;
                they are opened in this order, and closed in reverse, also after an error.

        Returns:
            how many images, frames and faces there were, and what could not be read.

        Raises:
            UsageError: as for `results`; or a sink cannot write where it is told to.
        """
        sinks = [sinks] if isinstance(sinks, Sink) else list(sinks)
        for sink in sinks:
            if not isinstance(sink, Sink):
                raise UsageError(
                    f"a sink is a context manager with write(result), not {type(sink).__name__}."
                )
        keep = any(isinstance(sink, DrawingSink) and sink.needs_images for sink in sinks)
        results = self.results(inputs, options=options, adaptive=adaptive, keep=keep)
        summary = RunSummary()
        with ExitStack() as stack:
            opened_sinks = [stack.enter_context(sink) for sink in sinks]
            for result in results:
                for sink in opened_sinks:
                    sink.write(result)
                summary.add(result)
        return summary

    def _results(
        self, inputs: Any, options: VideoOptions, *, adaptive: bool, keep: bool
    ) -> Iterator[Result]:
        for kind, group in groupby(opened(inputs), key=_kind):
            if kind == "frames":
                frames = (item for item in group if isinstance(item, Frame))
                yield from self.stream(frames, keep=keep, adaptive=adaptive)
                continue
            sources = (
                item.frames(options) if isinstance(item, Input)
                else [item] if isinstance(item, Frame) else item
                for item in group
            )  # fmt: skip
            if kind == "image":
                yield from self.analyze(chain.from_iterable(sources))
            else:
                for source in sources:
                    yield from self.stream(source, keep=keep, adaptive=adaptive)


def _kind(item: Frame | Input | TimedSource) -> str:
    """What to do with an input: ``image``, ``frames`` of videos one by one, or a whole source."""
    if isinstance(item, Frame):
        return "image" if item.time_s is None else "frames"
    return "image" if isinstance(item, Input) and item.kind == "image" else "source"


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
