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
    from mien.analyzer import EmotionAnalyzer as EmotionAnalyzer
    from mien.errors import FrameDroppedError as FrameDroppedError
    from mien.errors import ImageError as ImageError
    from mien.errors import InputError as InputError
    from mien.errors import InputNotFoundError as InputNotFoundError
    from mien.errors import MienError as MienError
    from mien.errors import MissingExtraError as MissingExtraError
    from mien.errors import ModelError as ModelError
    from mien.errors import PluginError as PluginError
    from mien.errors import UsageError as UsageError
    from mien.errors import VideoError as VideoError
    from mien.expressions.base import ClassifierDescription as ClassifierDescription
    from mien.expressions.callable import CustomClassifier as CustomClassifier
    from mien.expressions.heads import Head as Head
    from mien.faces.detectors.base import DetectorDescription as DetectorDescription
    from mien.faces.detectors.callable import CustomDetector as CustomDetector
    from mien.faces.mesh import Mesh as Mesh
    from mien.faces.quality import Quality as Quality
    from mien.media.base import Timing as Timing
    from mien.media.camera import CameraSource as CameraSource
    from mien.media.images import read_image as read_image
    from mien.media.images import write_image as write_image
    from mien.media.inputs import Inputs as Inputs
    from mien.media.inputs import VideoOptions as VideoOptions
    from mien.media.video import VideoSource as VideoSource
    from mien.models.card import CropSpec as CropSpec
    from mien.models.card import ModelCard as ModelCard
    from mien.plugins import load_classifier as load_classifier
    from mien.plugins import load_detector as load_detector
    from mien.plugins import load_mesh as load_mesh
    from mien.results.collection import Results as Results
    from mien.results.embeddings import load_landmarks as load_landmarks
    from mien.results.result import Result as Result
    from mien.results.settings import RunSettings as RunSettings
    from mien.results.summary import RunSummary as RunSummary
    from mien.sinks.annotated import AnnotatedSink as AnnotatedSink
    from mien.sinks.jsonl import JsonlSink as JsonlSink
    from mien.sinks.tables import TableSink as TableSink
    from mien.sinks.video import VideoSink as VideoSink
    from mien.timeline.timeline import Timeline as Timeline
    from mien.timeline.timeline import load as load
    from mien.tracking.tracker import TrackingDetector as TrackingDetector
    from mien.types import Faces as Faces
    from mien.types import Frame as Frame
    from mien.types import Scores as Scores

__version__: str

# Before the first import of ONNX Runtime by anybody, so that it sends nothing: see
# `mien.models.session.runtime`, which warns where this comes too late.
if "onnxruntime" not in sys.modules and not os.environ.get("ORT_DISABLE_TELEMETRY"):
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"

#: The names of the package, by the module that has them.
_NAMES = {
    "analyzer": "EmotionAnalyzer",
    "errors": "FrameDroppedError ImageError InputError InputNotFoundError MienError "
    "MissingExtraError ModelError PluginError UsageError VideoError",
    "expressions.base": "ClassifierDescription",
    "expressions.callable": "CustomClassifier",
    "expressions.heads": "Head",
    "faces.detectors.base": "DetectorDescription",
    "faces.detectors.callable": "CustomDetector",
    "faces.mesh": "Mesh",
    "faces.quality": "Quality",
    "media.base": "Timing",
    "media.camera": "CameraSource",
    "media.images": "read_image write_image",
    "media.inputs": "Inputs VideoOptions",
    "media.video": "VideoSource",
    "models.card": "CropSpec ModelCard",
    "plugins": "load_classifier load_detector load_mesh",
    "results.collection": "Results",
    "results.embeddings": "load_landmarks",
    "results.result": "Result",
    "results.settings": "RunSettings",
    "results.summary": "RunSummary",
    "sinks.annotated": "AnnotatedSink",
    "sinks.jsonl": "JsonlSink",
    "sinks.tables": "TableSink",
    "sinks.video": "VideoSink",
    "timeline.timeline": "Timeline load",
    "tracking.tracker": "TrackingDetector",
    "types": "Faces Frame Scores",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}
__all__ = sorted(_MODULES)  # type checkers go by the imports above


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
