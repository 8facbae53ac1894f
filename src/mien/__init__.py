"""mien: faces in, a tidy and honest table of apparent facial expressions out.

    import mien
    result = mien.EmotionAnalyzer()("photo.jpg")
    print(result.to_dataframe())

Importing mien loads no third-party package; each name below is fetched on first use.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.analyzer import EmotionAnalyzer
    from mien.errors import InputError, MienError
    from mien.expressions.callable import CustomClassifier
    from mien.faces.detectors.callable import CustomDetector
    from mien.media.camera import CameraSource
    from mien.media.images import read_image, write_image
    from mien.media.video import VideoSource
    from mien.models.card import CropSpec, ModelCard
    from mien.plugins import load_classifier, load_detector
    from mien.results.collection import Results
    from mien.results.result import Result
    from mien.timeline.timeline import Timeline
    from mien.types import Faces, Frame, Scores

__version__: str

# Before the first import of ONNX Runtime by anybody, so that it sends nothing: see
# `mien.models.session.runtime`, which warns where this comes too late.
if "onnxruntime" not in sys.modules and not os.environ.get("ORT_DISABLE_TELEMETRY"):
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_HOME = {
    "CameraSource": "media.camera",
    "Timeline": "timeline.timeline",
    "VideoSource": "media.video",
    "CropSpec": "models.card",
    "CustomClassifier": "expressions.callable",
    "EmotionAnalyzer": "analyzer",
    "Faces": "types",
    "Frame": "types",
    "CustomDetector": "faces.detectors.callable",
    "InputError": "errors",
    "MienError": "errors",
    "ModelCard": "models.card",
    "Result": "results.result",
    "Results": "results.collection",
    "Scores": "types",
    "load_classifier": "plugins",
    "load_detector": "plugins",
    "read_image": "media.images",
    "write_image": "media.images",
}

__all__ = [
    "CameraSource",
    "CropSpec",
    "CustomClassifier",
    "CustomDetector",
    "EmotionAnalyzer",
    "Faces",
    "Frame",
    "InputError",
    "MienError",
    "ModelCard",
    "Result",
    "Results",
    "Scores",
    "Timeline",
    "VideoSource",
    "load_classifier",
    "load_detector",
    "read_image",
    "write_image",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("mien")
    if name not in _HOME:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    value = getattr(import_module(f"mien.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
