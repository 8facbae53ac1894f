"""The options of a request, named like those of ``mien analyze``, and their analyzers."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from mien.analyzer import EmotionAnalyzer
from mien.errors import UsageError
from mien.labels import ATTRIBUTES
from mien.media.inputs import VideoOptions
from mien.plugins import DEFAULT_CLASSIFIER, DEFAULT_DETECTOR

#: A name, never a path: a request must not make the service open files.
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,79}$")]
_KEPT = 8  # analyzers in memory; the networks that they have in common are there once


class AnalysisOptions(BaseModel):
    """Which models judge the faces, and which further columns they give."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)

    detector: Annotated[_Name, Field(description="yunet, mtcnn, haar or a plug-in.")] = (
        DEFAULT_DETECTOR
    )
    model: Annotated[_Name, Field(description="Name of an installed expression model.")] = (
        DEFAULT_CLASSIFIER
    )
    min_score: Annotated[
        float | None, Field(ge=0, le=1, description="Minimum detection confidence.")
    ] = None
    uncertain_below: Annotated[
        float,
        Field(ge=0, le=1, description="A face whose top probability is lower is called uncertain."),
    ] = 0.5
    without: Annotated[
        tuple[_Name, ...], Field(max_length=10, description="Labels to leave out.")
    ] = ()
    affect: Annotated[bool, Field(description="Add valence and arousal.")] = False
    actions: Annotated[
        bool, Field(description="Add facial actions, head pose and gaze from a face mesh.")
    ] = False
    attributes: Annotated[str, Field(max_length=40, description="Add apparent age,gender.")] = ""

    def analyzer(self) -> EmotionAnalyzer:
        """The analyzer that these options ask for.

        Raises:
            UsageError: a name is unknown, or a file instead of a name.
            ModelError: the model has not been fetched.
        """
        for name in (self.detector, self.model):
            if name.lower().endswith(".onnx"):
                raise UsageError(f"{name} is a file: give the name of an installed model.")
        also = [name.strip() for name in self.attributes.split(",") if name.strip()]
        strange = [name for name in also if name not in ATTRIBUTES]
        if strange:
            raise UsageError(f"{strange[0]!r} is not one of {', '.join(ATTRIBUTES)}.")
        return EmotionAnalyzer(
            self.detector,
            self.model,
            min_score=self.min_score,
            uncertain_below=self.uncertain_below,
            without=self.without,
            also=(*also, *["affect"] * self.affect, *["actions"] * self.actions),
        )

    def only_analysis(self) -> AnalysisOptions:
        """The same without what subclasses add, so that equal analyzers are equal keys."""
        return AnalysisOptions(**{n: getattr(self, n) for n in AnalysisOptions.model_fields})


class FrameOptions(AnalysisOptions):
    """Which frames of a video are analyzed, and what is written about them."""

    fps: Annotated[
        float | None, Field(gt=0, le=1000, description="At most this many frames a second.")
    ] = None
    every: Annotated[int, Field(ge=1, le=1_000_000, description="Only every N-th frame.")] = 1
    start: Annotated[float | None, Field(ge=0, le=1e6, description="Start here, seconds.")] = None
    end: Annotated[float | None, Field(gt=0, le=1e6, description="Stop here, seconds.")] = None
    width: Annotated[
        int | None, Field(ge=16, le=65_535, description="Downscale wider frames to this.")
    ] = None
    stream: Annotated[
        int | None, Field(ge=0, le=100, description="Which video stream, from 0.")
    ] = None
    adaptive: Annotated[bool, Field(description="Sample fewer frames in static parts.")] = False
    annotate: Annotated[bool, Field(description="Also make an annotated video.")] = False

    def frames(self) -> VideoOptions:
        """Which frames are read."""
        names: dict[str, Any] = {n: getattr(self, n) for n in VideoOptions.__dataclass_fields__}
        return VideoOptions(**names)


class Analyzers:
    """The analyzers that were asked for last, so that models are not loaded for each request."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loaded: OrderedDict[AnalysisOptions, EmotionAnalyzer] = OrderedDict()

    def get(self, options: AnalysisOptions) -> EmotionAnalyzer:
        """The analyzer of some options, loaded if need be; raises as `AnalysisOptions.analyzer`."""
        options = options.only_analysis()
        with self._lock:
            if options not in self._loaded:
                self._loaded[options] = options.analyzer()
                if len(self._loaded) > _KEPT:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(options)
            return self._loaded[options]
