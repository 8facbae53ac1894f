"""Results as an analysis gives them, made without a model: the one builder of the tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from helpers.videos import numbered_image
from mien.errors import FrameDroppedError, InputError
from mien.faces.quality import Quality
from mien.labels import EMOTIONS
from mien.results.result import Result
from mien.results.settings import RunSettings
from mien.sinks.tables import TableSink
from mien.types import Faces, FloatArray, Frame, Image, Scores

BOX = (20.0, 12.0, 44.0, 36.0)
People = Mapping[int, Sequence[float]] | Iterable[tuple[int, Sequence[float]]]


def mostly(label: str, share: float = 0.8) -> list[float]:
    """A distribution over `EMOTIONS` with `share` for one label and the rest spread evenly."""
    rest = (1 - share) / (len(EMOTIONS) - 1)
    return [share if name == label else rest for name in EMOTIONS]


def frame_result(
    time_s: float | None,
    people: People = (),
    *,
    labels: tuple[str, ...] = EMOTIONS,
    embeddings: Mapping[str, FloatArray] | None = None,
    boxes: Sequence[Sequence[float]] | None = None,
    unfit: Mapping[int, str] | None = None,
    image: Image | None = None,
    **fields: Any,
) -> Result:
    """The result of one frame.

    Args:
        time_s: seconds of the frame; None for a photo.
        people: track ids and their distributions over `labels`.
        embeddings: vectors of the faces by name, each ``(n, d)``.
        boxes: of the faces; by default all at `BOX`.
        unfit: reasons why a track's face is not usable; the others are.
        image: by default the one that shows the frame's number.
        fields: further fields of the result, such as ``index``, ``source`` or ``settings``.
    """
    pairs = list(people.items() if isinstance(people, Mapping) else people)
    tracks, n = [track for track, _ in pairs], len(pairs)
    shown = numbered_image(fields.get("index", 0) % 256) if image is None else image
    places = np.array([BOX] * n if boxes is None else boxes, np.float32).reshape(-1, 4)
    values = np.array([row for _, row in pairs], np.float32).reshape(-1, len(labels))
    return Result(
        fields.pop("source", "film.mp4"),
        Faces(places, np.full(n, 0.9), track_ids=np.array(tracks, np.int64)),
        Scores(values, labels, embeddings=embeddings or {}),
        quality([(unfit or {}).get(track, "") for track in tracks]),
        fields.pop("crops", np.zeros((n, 8, 8, 3), np.uint8)),
        time_s=time_s,
        size=fields.pop("size", (shown.shape[1], shown.shape[0])),
        _read=partial(np.copy, shown),
        **fields,
    )


def quality(reasons: Sequence[str]) -> Quality:
    """Of faces that are not usable for these reasons; "" for a usable one."""
    size, sharp, none = (np.full(len(reasons), value, np.float32) for value in (50, 0.03, 0))
    return Quality(size, sharp, none, none, reason=np.array(reasons, np.str_))


def failed_frame(time_s: float, *, index: int = 0, dropped: bool = False) -> Result:
    """The result of a frame that could not be decoded, or was dropped."""
    fields = {"index": index, "time_s": time_s, "dropped": dropped}
    return Result.failed("film.mp4", "the frame is damaged.", EMOTIONS, **fields)


class StubAnalyzer:
    """Stands in for `EmotionAnalyzer`: one happy person in every frame."""

    labels = EMOTIONS
    measures: tuple[str, ...] = ()
    settings = RunSettings(detector="acted")

    def stream(self, frames: Iterable[Frame], *, keep: bool = False) -> Iterator[Result]:
        assert keep
        for frame in frames:
            known = {"index": frame.index, "time_s": frame.time_s}
            try:
                image = frame.read()
            except InputError as error:
                late = isinstance(error, FrameDroppedError)
                yield Result.failed(frame.source, str(error), EMOTIONS, dropped=late, **known)
                continue
            people = {1: mostly("happiness")}
            yield frame_result(
                frame.time_s, people, image=image, source=frame.source, index=frame.index
            )


@dataclass(frozen=True)
class Run:
    """What a `TableSink` asks of an analyzer."""

    labels: tuple[str, ...]
    settings: RunSettings = RunSettings()  # noqa: RUF009
    measures: tuple[str, ...] = ()


def save_table(results: Iterable[Result], path: Path) -> Path:
    """Write results as ``mien analyze -o`` does."""
    with TableSink(path, Run(EMOTIONS, RunSettings(detector="acted"))) as sink:
        for result in results:
            sink.write(result)
    return path
