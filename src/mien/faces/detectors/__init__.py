"""Face detectors: by name with `make_detector`, or any object with a ``detect`` method."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from mien.errors import UsageError
from mien.faces.detectors.base import FaceDetector

_CLASSES = {
    "yunet": "mien.faces.detectors.yunet:YunetDetector",
    "mtcnn": "mien.faces.detectors.mtcnn:MtcnnDetector",
    "haar": "mien.faces.detectors.haar:HaarDetector",
}
BUILTIN = tuple(_CLASSES)
"""Names accepted by `make_detector`."""

__all__ = ["BUILTIN", "FaceDetector", "make_detector"]


def make_detector(name: str, **options: Any) -> FaceDetector:
    """Create a built-in detector; its module is imported only now.

    Args:
        name: one of `BUILTIN`.
        options: arguments of the detector's class.

    Raises:
        UsageError: there is no such detector, or it has no such option.
        ModelError: its model file is missing or broken.
    """
    if name not in _CLASSES:
        raise UsageError(f"unknown detector {name!r}; available: {', '.join(BUILTIN)}.")
    module, kind = _CLASSES[name].split(":")
    build = getattr(import_module(module), kind)
    try:
        inspect.signature(build).bind(**options)
    except TypeError as error:
        raise UsageError(f"the detector {name!r} cannot be created: {error}.") from error
    detector: FaceDetector = build(**options)
    return detector
