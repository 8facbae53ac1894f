"""mien: finds faces in images and videos and predicts their apparent expressions.

    import mien
    result = mien.EmotionAnalyzer()("photo.jpg")
    print(result)

Importing mien loads no third-party package; each name below is imported on first use.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.analyzer import EmotionAnalyzer
    from mien.errors import (
        FrameDroppedError,
        ImageError,
        InputError,
        InputNotFoundError,
        MienError,
        MissingExtraError,
        ModelError,
        PluginError,
        UsageError,
        VideoError,
    )
    from mien.expressions.base import ClassifierDescription
    from mien.expressions.callable import CustomClassifier
    from mien.expressions.heads import Head
    from mien.faces.detectors.base import DetectorDescription
    from mien.faces.detectors.callable import CustomDetector
    from mien.faces.mesh import Mesh
    from mien.faces.quality import Quality
    from mien.media.base import Timing
    from mien.media.camera import CameraSource
    from mien.media.images import read_image, write_image
    from mien.media.inputs import Inputs, VideoOptions
    from mien.media.video import VideoSource
    from mien.models.card import CropSpec, ModelCard
    from mien.plugins import load_classifier, load_detector, load_mesh
    from mien.results.collection import Results
    from mien.results.embeddings import load_landmarks
    from mien.results.result import Result
    from mien.results.settings import RunSettings
    from mien.results.summary import RunSummary
    from mien.sinks.annotated import AnnotatedSink
    from mien.sinks.jsonl import JsonlSink
    from mien.sinks.tables import TableSink
    from mien.sinks.video import VideoSink
    from mien.timeline.timeline import Timeline, load
    from mien.tracking.tracker import TrackingDetector
    from mien.types import Faces, Frame, Scores

__version__: str

# Before the first import of ONNX Runtime by anybody, so that it sends nothing: see
# `mien.models.session.runtime`, which warns where this comes too late.
if "onnxruntime" not in sys.modules and not os.environ.get("ORT_DISABLE_TELEMETRY"):
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_MODULES = {
    "AnnotatedSink": "sinks.annotated",
    "CameraSource": "media.camera",
    "ClassifierDescription": "expressions.base",
    "CropSpec": "models.card",
    "CustomClassifier": "expressions.callable",
    "DetectorDescription": "faces.detectors.base",
    "EmotionAnalyzer": "analyzer",
    "Faces": "types",
    "Frame": "types",
    "FrameDroppedError": "errors",
    "CustomDetector": "faces.detectors.callable",
    "Head": "expressions.heads",
    "ImageError": "errors",
    "InputError": "errors",
    "InputNotFoundError": "errors",
    "Inputs": "media.inputs",
    "JsonlSink": "sinks.jsonl",
    "Mesh": "faces.mesh",
    "MienError": "errors",
    "MissingExtraError": "errors",
    "ModelCard": "models.card",
    "ModelError": "errors",
    "PluginError": "errors",
    "Quality": "faces.quality",
    "Result": "results.result",
    "Results": "results.collection",
    "RunSettings": "results.settings",
    "RunSummary": "results.summary",
    "Scores": "types",
    "TableSink": "sinks.tables",
    "Timeline": "timeline.timeline",
    "Timing": "media.base",
    "TrackingDetector": "tracking.tracker",
    "UsageError": "errors",
    "VideoError": "errors",
    "VideoOptions": "media.inputs",
    "VideoSink": "sinks.video",
    "VideoSource": "media.video",
    "load": "timeline.timeline",
    "load_classifier": "plugins",
    "load_detector": "plugins",
    "load_landmarks": "results.embeddings",
    "load_mesh": "plugins",
    "read_image": "media.images",
    "write_image": "media.images",
}

__all__ = [
    "AnnotatedSink",
    "CameraSource",
    "ClassifierDescription",
    "CropSpec",
    "CustomClassifier",
    "CustomDetector",
    "DetectorDescription",
    "EmotionAnalyzer",
    "Faces",
    "Frame",
    "FrameDroppedError",
    "Head",
    "ImageError",
    "InputError",
    "InputNotFoundError",
    "Inputs",
    "JsonlSink",
    "Mesh",
    "MienError",
    "MissingExtraError",
    "ModelCard",
    "ModelError",
    "PluginError",
    "Quality",
    "Result",
    "Results",
    "RunSettings",
    "RunSummary",
    "Scores",
    "TableSink",
    "Timeline",
    "Timing",
    "TrackingDetector",
    "UsageError",
    "VideoError",
    "VideoOptions",
    "VideoSink",
    "VideoSource",
    "load",
    "load_classifier",
    "load_detector",
    "load_landmarks",
    "load_mesh",
    "read_image",
    "write_image",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("mien")
    if name not in _MODULES:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    value = getattr(import_module(f"mien.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
