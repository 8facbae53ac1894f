"""The strongest moments of a film: its longest runs of one expression, as short films."""

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

_AROUND_S = 0.5  # shown before and after a run, so that one sees it begin and end
_APART_S = 2.0  # between looks that lie further apart nothing is known


@dataclass(frozen=True)
class Clip:
    """A run of one expression in one person's face.

    Attributes:
        source: the film.
        track_id: the person.
        emotion: the apparent expression.
        start_s, end_s: the run, seconds of the film.
        strength: mean probability of the expression over the run.
        peak_s: when it was highest, seconds.
        file: the short film or GIF that shows it, or None; a film's ``poster`` lies beside it.
    """

    source: str
    track_id: int
    emotion: str
    start_s: float
    end_s: float
    strength: float
    peak_s: float
    file: Path | None = None

    @property
    def duration_s(self) -> float:
        """Length of the run, seconds."""
        return self.end_s - self.start_s

    @property
    def poster(self) -> Path | None:
        """A picture of the peak, for players that wait to be started; a GIF has none."""
        if self.file is None or self.file.suffix.lower() == ".gif":
            return None
        return self.file.with_suffix(".jpg")


def strongest(
    timeline: Timeline,
    most: int = 6,
    leave_out: Collection[str] = ("neutral", UNCERTAIN),
    least_s: float = 0.5,
) -> list[Clip]:
    """The longest runs of one expression, longest first.

    The longest are taken, as in Savchenko, Savchenko and Makarov 2022 (IEEE Transactions on
    Affective Computing, "Classifying Emotions and Engagement in Online Learning"). Each
    expression of each person has its longest run told before any has a second.

    Args:
        timeline: of one film or several; smooth it first, or short runs will fall apart.
        most: how many to tell.
        leave_out: expressions that are not told.
        least_s: shorter runs, of people who are seen for a blink, are not told; seconds.

    Raises:
        UsageError: `most` is below 1, or the table has no times or people.
    """
    if most < 1:
        raise UsageError(f"there is at least 1 clip to tell, got {most}.")
    runs = timeline.segments()
    runs = runs[~runs["emotion"].isin(list(leave_out)) & (runs["duration_s"] >= least_s)]
    runs = runs.sort_values(["duration_s", "strength"], ascending=False, kind="stable")
    again = runs.groupby(["source", "track_id", "emotion"]).cumcount()
    runs = runs.assign(again=again).sort_values("again", kind="stable").head(most)
    runs = runs.sort_values(["duration_s", "strength"], ascending=False, kind="stable")
    names = ("source", "track_id", "emotion", "start_s", "end_s", "strength", "peak_s")
    return [Clip(**{name: row[name] for name in names}) for row in runs.to_dict("records")]


def cut(
    timeline: Timeline,
    clip: Clip,
    path: str | Path,
    *,
    longest_s: float = 10.0,
    overwrite: bool = False,
) -> Clip:
    """Write a clip as a short film, with boxes, names and sound, and a picture beside it.

    A run longer than `longest_s` is shown around its peak. The film is read again from where it
    was when it was analysed. Between frames that were looked at, as in an adaptive run, boxes are
    drawn on their way from one to the next.

    Args:
        timeline: that the clip is of.
        clip: as from `strongest`.
        path: ``.mp4``, ``.m4v``, ``.mov`` or ``.mkv``, or ``.gif`` for a small one without sound
            and poster; one that mien wrote is replaced.
        longest_s: seconds that are shown at most.
        overwrite: replace any other file, too.

    Returns:
        the clip with its ``file``.

    Raises:
        InputError: the film is not there any more, or is another one.
        UsageError: the file cannot be written.
    """
    start, end = clip.start_s - _AROUND_S, clip.end_s + _AROUND_S
    if end - start > longest_s:
        start = min(max(start, clip.peak_s - longest_s / 2), end - longest_s)
        end = start + longest_s
    start = max(0.0, start)
    film = timeline.source(clip.source)
    times = film.images["time_s"]
    near = film.images[times.between(start - _APART_S, end + _APART_S)]
    images = near[near["status"] == "ok"]
    faces = film.faces[film.faces["frame"].isin(images["frame"])]
    known = {r.index: r for r in restored(faces, images, film.labels, film.settings)}
    if not any(start <= (result.time_s or 0.0) <= end for result in known.values()):
        raise InputError(f"{clip.source} has no frame from {start:.1f} to {end:.1f} s.")
    width = max(result.size[0] for result in known.values() if result.size is not None)
    made = replace(clip, file=Path(path))
    gif = Path(path).suffix.lower() == ".gif"
    nearest = min(known, key=lambda i: abs((known[i].time_s or 0.0) - clip.peak_s))
    frames = VideoSource(clip.source, start=start, end=end, width=width)
    film_sink: GifSink | VideoSink = (
        GifSink(path, overwrite=overwrite)
        if gif
        else VideoSink(path, audio_from=clip.source, margin=False, overwrite=overwrite)
    )
    with film_sink as sink:
        for result, picture in _shown(frames, known):
            sink.write(result)
            if result.index == nearest and made.poster is not None:
                write_image(made.poster, picture, overwrite=overwrite)
    return made


def _shown(frames: VideoSource, known: Mapping[int, Result]) -> Iterator[tuple[Result, Image]]:
    """The frames that can be read and of which something is known, each with its picture."""
    looked = sorted(known)
    for frame in frames:
        result = known.get(frame.index)
        if result is None:
            result = _between(frame, looked, known)
        if result is None:
            continue
        try:
            picture = frame.read()
        except InputError:
            if frame.index in known:
                raise
            continue
        yield replace(result, _read=partial(np.asarray, picture)), picture


def _between(frame: Frame, looked: list[int], known: Mapping[int, Result]) -> Result | None:
    """What is known of a frame that was passed over: the look before, its boxes on their way."""
    place = bisect(looked, frame.index)
    if not 0 < place < len(looked) or frame.time_s is None:
        return None
    before, after = known[looked[place - 1]], known[looked[place]]
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
