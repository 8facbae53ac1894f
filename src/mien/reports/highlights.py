"""Highlights of a video: the longest runs of one expression, each written as a short clip."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.errors import InputError, UsageError
from mien.labels import UNCERTAIN
from mien.media.images import write_image
from mien.media.video import VideoSource
from mien.results.collection import restored
from mien.sinks.gif import GifSink
from mien.sinks.video import VideoSink
from mien.types import Faces, Frame, Image

if TYPE_CHECKING:
    from mien.results.result import Result
    from mien.timeline.timeline import Timeline

_AROUND_S = 0.5  # shown before and after a run, so that its start and end are visible
_APART_S = 2.0  # between analyzed frames further apart than this, boxes are not interpolated


@dataclass(frozen=True)
class Clip:
    """A run of one expression in one person's face.

    Attributes:
        source: the video.
        track_id: the person.
        emotion: the apparent expression.
        start_s, end_s: the run, seconds of the video.
        strength: mean probability of the expression over the run.
        peak_s: time of its highest probability, seconds.
        file: the video or GIF that shows it, or None; a video's ``poster`` lies beside it.
        shown_s: start and end of the part that the file shows, seconds, or None without a file.
    """

    source: str
    track_id: int
    emotion: str
    start_s: float
    end_s: float
    strength: float
    peak_s: float
    file: Path | None = None
    shown_s: tuple[float, float] | None = None

    @property
    def duration_s(self) -> float:
        """Length of the run, seconds."""
        return self.end_s - self.start_s

    @property
    def poster(self) -> Path | None:
        """An image of the peak, for players that wait to be started; a GIF has none."""
        if self.file is None or self.file.suffix.lower() == ".gif":
            return None
        return self.file.with_suffix(".jpg")


def highlights(
    timeline: Timeline,
    max_clips: int = 6,
    ignored: Collection[str] = ("neutral", UNCERTAIN),
    min_duration_s: float = 0.5,
) -> list[Clip]:
    """The longest runs of one expression, longest first.

    The longest are taken, as in Savchenko, Savchenko and Makarov 2022 (IEEE Transactions on
    Affective Computing, "Classifying Emotions and Engagement in Online Learning"). The longest
    run of each expression of each person comes before any second one.

    Args:
        timeline: of one video or several; smooth it first, or runs fall into pieces.
        max_clips: maximum number of highlights.
        ignored: expressions without highlights.
        min_duration_s: ignore shorter runs.

    Raises:
        UsageError: `max_clips` is below 1, or the table has no times or people.
    """
    if max_clips < 1:
        raise UsageError(f"the number of clips must be at least 1, got {max_clips}.")
    runs = timeline.segments()
    runs = runs[~runs["emotion"].isin(list(ignored)) & (runs["duration_s"] >= min_duration_s)]
    runs = runs.sort_values(["duration_s", "strength"], ascending=False, kind="stable")
    repeats = runs.groupby(["source", "track_id", "emotion"]).cumcount()
    runs = runs.assign(repeats=repeats).sort_values("repeats", kind="stable").head(max_clips)
    runs = runs.sort_values(["duration_s", "strength"], ascending=False, kind="stable")
    names = ("source", "track_id", "emotion", "start_s", "end_s", "strength", "peak_s")
    return [Clip(**{name: row[name] for name in names}) for row in runs.to_dict("records")]


def write_clip(
    timeline: Timeline,
    clip: Clip,
    path: str | Path,
    *,
    max_duration_s: float = 10.0,
    overwrite: bool = False,
) -> Clip:
    """Write a clip as a short video with boxes, names and sound, and its poster beside it.

    A run longer than `max_duration_s` is shown around its peak. The video is read again from its
    original place. Between analyzed frames, as of an adaptive run, boxes are interpolated.

    Args:
        timeline: the clip's timeline.
        clip: as from `highlights`.
        path: ``.mp4``, ``.m4v``, ``.mov`` or ``.mkv``, or ``.gif`` for a small one without sound
            and poster; one that mien wrote is replaced.
        max_duration_s: maximum length, seconds.
        overwrite: replace any other file, too.

    Returns:
        the clip with its ``file`` and ``shown_s``.

    Raises:
        InputError: the video no longer exists, or is another one.
        UsageError: the file cannot be written.
    """
    start, end = clip.start_s - _AROUND_S, clip.end_s + _AROUND_S
    if end - start > max_duration_s:
        start = min(max(start, clip.peak_s - max_duration_s / 2), end - max_duration_s)
        end = start + max_duration_s
    start = max(0.0, start)
    video = timeline.source(clip.source)
    times = video.images["time_s"]
    near = video.images[times.between(start - _APART_S, end + _APART_S)]
    images = near[near["status"] == "ok"]
    faces = video.faces[video.faces["frame"].isin(images["frame"])]
    results = {r.index: r for r in restored(faces, images, video.labels, video.settings)}
    if not any(start <= (result.time_s or 0.0) <= end for result in results.values()):
        raise InputError(f"{clip.source} has no frame from {start:.1f} to {end:.1f} s.")
    width = max(result.size[0] for result in results.values() if result.size is not None)
    written = replace(clip, file=Path(path), shown_s=(start, end))
    gif = Path(path).suffix.lower() == ".gif"
    nearest = min(results, key=lambda i: abs((results[i].time_s or 0.0) - clip.peak_s))
    frames = VideoSource(clip.source, start=start, end=end, width=width)
    writer: GifSink | VideoSink = (
        GifSink(path, overwrite=overwrite)
        if gif
        else VideoSink(path, audio_from=clip.source, margin=False, overwrite=overwrite)
    )
    with writer as sink:
        for result, image in _frames(frames, results):
            sink.write(result)
            if result.index == nearest and written.poster is not None:
                write_image(written.poster, image, overwrite=overwrite)
    return written


def _frames(frames: VideoSource, results: Mapping[int, Result]) -> Iterator[tuple[Result, Image]]:
    """The readable frames with a result, analyzed or interpolated, each with its image."""
    analyzed = sorted(results)
    for frame in frames:
        result = results.get(frame.index)
        if result is None:
            result = _interpolated(frame, analyzed, results)
        if result is None:
            continue
        try:
            image = frame.read()
        except InputError:
            if frame.index in results:
                raise
            continue
        yield replace(result, _read=partial(np.asarray, image)), image


def _interpolated(
    frame: Frame, analyzed: list[int], results: Mapping[int, Result]
) -> Result | None:
    """The result of a frame that was skipped: that of the frame before, with moved boxes."""
    place = bisect(analyzed, frame.index)
    if not 0 < place < len(analyzed) or frame.time_s is None:
        return None
    before, after = results[analyzed[place - 1]], results[analyzed[place]]
    start, end = before.time_s or 0.0, after.time_s or 0.0
    if not start < frame.time_s < end <= start + _APART_S:
        return None
    boxes = before.faces.boxes.astype(np.float64)
    one, other = before.faces.track_ids, after.faces.track_ids
    if one is not None and other is not None:
        share = (frame.time_s - start) / (end - start)
        rows = {int(who): row for row, who in enumerate(other)}
        for row, who in enumerate(one.tolist()):
            if who in rows:
                boxes[row] += share * (after.faces.boxes[rows[who]] - boxes[row])
    faces = Faces(boxes.astype(np.float32), before.faces.scores, track_ids=one)
    return replace(before, faces=faces, index=frame.index, time_s=frame.time_s)
