"""A `Result` as plain values, for JSON, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import InputError, UsageError
from mien.faces.quality import Quality
from mien.labels import EMOTIONS
from mien.types import Faces, Scores

if TYPE_CHECKING:
    from mien.results.result import Result

_FACE = ("detection_score", "track_id", "emotion", "probability")
_OWN = ("face", "box", "probabilities", "quality", "landmarks", *_FACE)
_MEASURED = ("size_px", "sharpness", "roll_deg", "yaw_deg")


def to_dict(result: Result) -> dict[str, Any]:
    """The result as plain values; NaN becomes None."""
    columns = result.face_columns()
    faces = []
    for row in range(len(result)):
        face: dict[str, Any] = {"face": row, "box": _plain(result.faces.boxes[row])}
        face |= {name: _plain(columns[name][row]) for name in _FACE}
        face["probabilities"] = {
            name: _plain(value)
            for name, value in zip(result.labels, result.scores.values[row], strict=True)
        }
        face |= {name: _plain(v[row]) for name, v in result.scores.measures.items()}
        face["quality"] = {k: _plain(v[row]) for k, v in result.quality.columns().items()}
        if result.faces.landmarks is not None:
            face["landmarks"] = _plain(result.faces.landmarks[row])
        faces.append(face)
    width, height = result.size or (None, None)
    return {
        "source": result.source,
        "frame": result.index,
        "time_s": result.time_s,
        "width": width,
        "height": height,
        "status": result.status,
        "error": result.error,
        "milliseconds": round(result.milliseconds, 1),
        "faces": faces,
    }


def from_dict(data: Mapping[str, Any], labels: Sequence[str] = ()) -> Result:
    """The result that `to_dict` gave, as `Result.from_dict` documents."""
    try:
        return _result(data, tuple(labels))
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
        raise InputError(
            f"this is no result as Result.to_dict writes it: {type(error).__name__}: {error}."
        ) from error


def _result(data: Mapping[str, Any], labels: tuple[str, ...]) -> Result:
    from functools import partial

    from mien.media.images import read_image
    from mien.results.result import Result

    faces, source = data["faces"], str(data["source"])
    labels = tuple(faces[0]["probabilities"]) if faces else labels or EMOTIONS
    common: dict[str, Any] = {
        "index": int(data["frame"]),
        "time_s": data["time_s"],
        "milliseconds": float(data["milliseconds"]),
    }
    if data["status"] != "ok":
        dropped = data["status"] == "dropped"
        return Result.failed(source, str(data["error"]), labels, dropped=dropped, **common)
    tracks = [face["track_id"] for face in faces]
    points = [face.get("landmarks") for face in faces]
    values = _numbers([list(face["probabilities"].values()) for face in faces])
    values = values.reshape(len(faces), len(labels))
    shares = bool(np.allclose(values.sum(axis=1), 1, atol=1e-2))
    measures = {
        name: _numbers([face[name] for face in faces])
        for name in (faces[0] if faces else ())
        if name not in _OWN
    }
    quality = [face["quality"] for face in faces]
    return Result(
        source,
        Faces(
            np.array([face["box"] for face in faces], np.float32).reshape(-1, 4),
            _numbers([face["detection_score"] for face in faces]),
            np.array(points, np.float32) if faces and None not in points else None,
            np.array(tracks, np.int64) if faces and None not in tracks else None,
        ),
        Scores(values, labels, "probability" if shares else "score", measures),
        Quality(
            **{name: _numbers([face[name] for face in quality]) for name in _MEASURED},
            reason=np.array([face["unfit_reason"] or "" for face in quality], np.str_),
        ),
        np.zeros((0, 1, 1, 3), np.uint8),
        size=(int(data["width"]), int(data["height"])),
        _stored_emotions=tuple(str(face["emotion"]) for face in faces),
        _read=partial(read_image, source),
        **common,
    )


def _numbers(values: Sequence[Any]) -> Any:
    """Numbers as float32, None as NaN."""
    return np.array(values, np.float32)


def _plain(value: Any) -> Any:
    """Arrays and numpy numbers as plain Python, six digits, NaN as None."""
    if isinstance(value, np.ndarray):
        return [_plain(v) for v in value]
    if isinstance(value, np.bool_ | bool):
        return bool(value)
    if isinstance(value, np.integer | int):
        return int(value)
    if isinstance(value, np.floating | float):
        return None if math.isnan(value) else round(float(value), 6)
    return None if value is None or type(value).__name__ == "NAType" else value
