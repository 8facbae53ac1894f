"""Face detectors: by name with `make_detector`, or any object with a ``detect`` method."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from mien.errors import UsageError
from mien.faces.detectors.base import FaceDetector

_CLASSES = {
    "mtcnn": "mien.faces.detectors.mtcnn:MtcnnDetector",
    "haar": "mien.faces.detectors.haar:HaarDetector",
    "yunet": "mien.faces.detectors.yunet:YunetDetector",
}
BUILTIN = tuple(_CLASSES)
"""The names that `make_detector` knows."""

__all__ = ["BUILTIN", "FaceDetector", "make_detector"]


def make_detector(name: str, **options: Any) -> FaceDetector:
    """Make one of mien's own detectors; its module is imported only now.

    Args:
        name: one of `BUILTIN`.
        options: what the detector's class takes.

    Raises:
        UsageError: there is no such detector, or it has no such option.
        ModelError: its model file is missing or broken.
    """
    if name not in _CLASSES:
        raise UsageError(f"there is no detector {name!r}; there are {', '.join(BUILTIN)}.")
    module, kind = _CLASSES[name].split(":")
    build = getattr(import_module(module), kind)
    try:
        inspect.signature(build).bind(**options)
    except TypeError as error:
        raise UsageError(f"the detector {name!r} cannot be made: {error}.") from error
    detector: FaceDetector = build(**options)
    return detector
