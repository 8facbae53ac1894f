"""Adaptive sampling against every frame, on a video of ten minutes.

    python benchmarks/adaptive.py [--minutes 10] [--film FILM] [--keep FILM]

The video (640 x 360, 25 frames per second) is made here from the moving images in ../shared: a
woman who cries and laughs (real time), two GIFs of people who move their heads (to and fro), eight
people who turn from neutral to a smile, seen by a camera that drifts, and a call of all four at
once. That is a minute and a half, encoded once and repeated. Without ../shared, heads from
the photo that ships with mien move about, with one expression each. `--film` takes one of yours.

Both ways run one after the other in this process, networks loaded before, decoding included. What
is compared is what a user gets: ``smooth(1).segments()``. A person of the one run is the person
of the other whose face is at the same place; agreement is the share of all person time for which
both tell the same expression. A boundary is a moment at which what is told of a person changes
from one expression to another; it is found again where the other run tells the same change within
two seconds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from crowd import FPS, ROOT, SIZE, Role, Scene, heads, play
from video import repeat_film

from mien.faces.geometry import iou
from mien.media.video import VideoSource
from mien.types import Image

if TYPE_CHECKING:
    import pandas as pd

    from mien.timeline.timeline import Timeline

VIDEOS = ROOT.parent / "shared" / "media" / "videos"
_NEAR_S = 2.0  # so far a boundary may have moved and still be the same
_TICK_S = 0.04


@dataclass
class Run:
    """One way through the film."""

    timeline: Timeline
    looked: int
    seconds: float
    cpu: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--film", type=Path, help="a film of yours")
    parser.add_argument("--keep", type=Path, help="keep the film that is made here")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        film = options.film
        if film is None:
            cycle = Path(folder) / "cycle.mp4"
            film = options.keep or Path(folder) / "film.mp4"
            count = write(cycle, real_scenes() if VIDEOS.is_dir() else made_scenes())
            repeat_film(cycle, film, options.minutes * 60 * FPS / count)
        compare(film)


def compare(film: Path) -> None:
    """Analyse a film both ways, and say how far they differ."""
    from mien.analyzer import EmotionAnalyzer

    analyzer = EmotionAnalyzer()
    looked = 0
    inner = analyzer.classifier.classify

    def counted(crops: Any) -> Any:
        nonlocal looked
        looked += 1
        return inner(crops)

    analyzer(ROOT / "src" / "mien" / "assets" / "astronaut.jpg")  # opens the networks
    runs = []
    for adaptive in (False, True):
        analyzer.classifier.classify = counted if adaptive else inner  # type: ignore[method-assign]
        started, worked = time.perf_counter(), time.process_time()
        timeline = analyzer.video(film, adaptive=adaptive)
        spent, cpu = time.perf_counter() - started, time.process_time() - worked
        runs.append(Run(timeline, looked if adaptive else len(timeline.images), spent, cpu))
    every, few = runs
    total = len(every.timeline.images)
    print(f"{film.name}: {total} frames, {every.timeline.duration_s / 60:.1f} minutes\n")
    print("| | frames looked at | seconds | CPU seconds | people | segments |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, run in (("every frame", every), ("adaptive", few)):
        people, told = len(run.timeline.track_ids), len(run.timeline.smooth(1).segments())
        print(f"| {name} | {run.looked} | {run.seconds:.1f} | {run.cpu:.1f} | {people} | {told} |")
    print(
        f"\n{every.seconds / few.seconds:.2f} times as fast ({every.cpu / few.cpu:.2f} times by "
        f"CPU time), {100 * few.looked / total:.1f} % of the frames looked at."
    )
    agreement(every.timeline, few.timeline)


def agreement(every: Timeline, few: Timeline) -> None:
    """How far two analyses of a film tell the same of the same people."""
    one, other = every.smooth(1).segments(), few.smooth(1).segments()
    paired = pairs(every, few)
    step, end = _TICK_S, float(max(one["end_s"].max(), other["end_s"].max()))
    ticks = np.arange(0, end, step) + step / 2
    told, too = _told(one, ticks), _told(other, ticks)
    same = both = alone = 0
    for who, labels in told.items():
        partner = paired.get(who, {})
        mine = np.array([partner.get(int(t), 0) for t in ticks])  # by the second
        theirs = np.full(len(ticks), "", object)
        for person in set(mine.tolist()) & set(too):
            theirs[mine == person] = too[person][mine == person]
        seen = labels != ""
        both += int((seen & (theirs != "")).sum())
        same += int((seen & (theirs == labels)).sum())
        alone += int((seen & (theirs == "")).sum())
    everyone = same + (both - same) + alone
    more = sum(int((labels != "").sum()) for labels in too.values()) - both
    print(
        f"\nOf {everyone * step:.0f} s of person time (every frame), the same is told for "
        f"{100 * same / everyone:.2f} %, another expression for "
        f"{100 * (both - same) / everyone:.2f} %, and nobody is there for "
        f"{100 * alone / everyone:.2f} %; adaptive alone sees somebody for {more * step:.1f} s."
    )
    _boundaries(one, other)


def pairs(every: Timeline, few: Timeline) -> dict[int, dict[int, int]]:
    """Person -> second -> the person of the other run who is at the same place then."""
    found: dict[int, dict[int, int]] = {}
    corner = ["x1", "y1", "x2", "y2"]
    near: dict[int, dict[int, int]] = {}
    others = dict(list(few.faces.groupby("frame")))
    for key, rows in every.faces.groupby("frame"):
        frame = int(str(key))
        if key not in others:
            continue
        there = others[key]
        overlap = iou(rows[corner].to_numpy(np.float32), there[corner].to_numpy(np.float32))
        for row, best in enumerate(overlap.argmax(axis=1)):
            if overlap[row, best] >= 0.4:
                who, whom = int(rows["track_id"].iloc[row]), int(there["track_id"].iloc[best])
                near.setdefault(who, {})[frame] = whom
    for who, by_frame in near.items():
        known = np.array(sorted(by_frame))
        found[who] = {}
        for second in range(max(0, int(known[0]) // FPS - 1), int(known[-1]) // FPS + 2):
            nearest = known[np.abs(known - (second + 0.5) * FPS).argmin()]
            found[who][second] = by_frame[int(nearest)]
    return found


def _told(segments: pd.DataFrame, ticks: np.ndarray[Any, Any]) -> dict[int, np.ndarray[Any, Any]]:
    """Person -> the expression told at each moment, or an empty text."""
    found: dict[int, np.ndarray[Any, Any]] = {}
    for row in segments.to_dict("records"):
        labels = found.setdefault(int(row["track_id"]), np.full(len(ticks), "", object))
        labels[(ticks >= row["start_s"]) & (ticks < row["end_s"])] = row["emotion"]
    return found


def changes(segments: pd.DataFrame) -> list[tuple[str, str, float]]:
    """What is told before, after, and when, wherever it changes; of all people."""
    rows = segments.sort_values(["track_id", "start_s"])
    found = []
    for _, own in rows.groupby("track_id"):
        told = own[["emotion", "start_s", "end_s"]].itertuples(index=False)
        before = None
        for label, start, end in told:
            if before is not None and start - before[1] < 0.05:
                found.append((before[0], label, float(start)))
            before = (label, end)
    return found


def _boundaries(one: pd.DataFrame, other: pd.DataFrame) -> None:
    mine, theirs = changes(one), changes(other)
    shifts = []
    for before, after, at in mine:
        near = [abs(at - t) for b, a, t in theirs if (b, a) == (before, after)]
        if near and min(near) <= _NEAR_S:
            shifts.append(min(near))
    found = np.array(shifts) if shifts else np.zeros(1)
    print(
        f"\nOf {len(mine)} boundaries, {len(shifts)} are found again ({len(theirs)} in adaptive); "
        f"median shift {np.median(found):.2f} s, 95 % within {np.quantile(found, 0.95):.2f} s, "
        f"largest {found.max():.2f} s."
    )


def write(path: Path, pictures: Iterator[Image]) -> int:
    """Encode pictures at 25 frames a second; how many there were."""
    import av

    count = 0
    with av.open(str(path), "w") as film:
        stream: Any = film.add_stream("libx264", rate=FPS, options={"crf": "23", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            for packet in stream.encode(frame):
                film.mux(packet)
            count += 1
        for packet in stream.encode(None):
            film.mux(packet)
    return count


def real_scenes() -> Iterator[Image]:
    """A minute and a half from the moving pictures in ../shared, a shot after the other."""
    woman = _frames("WolfgangLanger_Pexels.mp4")
    man = _to_and_fro(_frames("head-pose-face-detection-male.gif"))
    couple = _to_and_fro(_frames("head-pose-face-detection-female-and-male.gif"))
    smiles = list(_smiles())
    seconds = len(woman) / FPS
    yield from (_fitted(picture) for picture in woman)
    yield from (_fitted(picture) for picture in _held(man, 10))
    yield from (_fitted(picture) for picture in _held(couple, 10))
    yield from (_fitted(picture) for picture in smiles[: 24 * FPS])
    tiles = (woman, _held(man, seconds), _held(couple, seconds), smiles)
    for four in zip(*tiles, strict=False):
        small = [_fitted(picture, (SIZE[0] // 2, SIZE[1] // 2)) for picture in four]
        yield np.vstack([np.hstack(small[:2]), np.hstack(small[2:])])


def made_scenes() -> Iterator[Image]:
    """Heads from one photo that move about, for where ../shared is not."""

    def path(x: float, pace: float) -> Callable[[float], tuple[float, float, float]]:
        return lambda t: (x + 20 * np.sin(pace * t), 190 + 8 * np.sin(1.3 * pace * t), 110)

    cast = [pictures[0] for pictures in heads().values()]
    for shot in range(3):
        roles = [
            Role(head, path(150 + 170 * i, 0.5 + 0.2 * i))
            for i, head in enumerate(cast[: shot + 1])
        ]
        yield from (picture for picture, _ in play([Scene(roles, 20, seed=shot)]))


def _frames(name: str) -> list[Image]:
    """A film's frames as they stand at 25 a second."""
    frames = [(frame.time_s or 0.0, frame.read()) for frame in VideoSource(VIDEOS / name)]
    times = np.array([time_s for time_s, _ in frames])
    ticks = np.arange(0, times[-1] + 1e-6, 1 / FPS)
    return [frames[i][1] for i in np.searchsorted(times, ticks + 1e-6) - 1]


def _to_and_fro(frames: list[Image]) -> list[Image]:
    return [*frames, *frames[-2:0:-1]]


def _held(frames: list[Image], seconds: float) -> list[Image]:
    """The frames again and again, for so long."""
    return list(islice(chain.from_iterable(iter(lambda: frames, None)), round(seconds * FPS)))


def _smiles(hold_s: float = 1.6, turn_s: float = 0.4) -> Iterator[Image]:
    """The eight people of london_timeline, half a minute: neutral, and a smile.

    The film has stills. Here each fades into the other in 0.4 s, and the camera drifts.
    """
    stills = [VideoSource(VIDEOS / "london_timeline.mp4", start=1.5 * i + 0.7) for i in range(16)]
    looks = [next(iter(still)).read() for still in stills]
    number = 0
    for calm, glad in zip(looks[::2], looks[1::2], strict=True):
        turn = np.linspace(0, 1, round(turn_s * FPS))
        hold = np.ones(round(hold_s * FPS))
        for share in (*(0 * hold), *turn, *hold):
            number += 1
            t = number / FPS
            scale = 1 + 0.03 * np.sin(0.7 * t)
            shift = 6 * np.sin(0.9 * t), 4 * np.sin(1.3 * t)
            matrix = cv2.getRotationMatrix2D((240, 240), 2 * np.sin(0.5 * t), scale)
            matrix[:, 2] += shift
            mixed = cv2.addWeighted(calm, 1 - share, glad, share, 0)
            moved = cv2.warpAffine(mixed, matrix, (480, 480), borderMode=cv2.BORDER_REPLICATE)
            yield np.asarray(moved, np.uint8)


def _fitted(picture: Image, size: tuple[int, int] = SIZE) -> Image:
    """The picture inside black bars."""
    width, height = size
    scale = min(width / picture.shape[1], height / picture.shape[0])
    inner = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    small = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA)
    out = np.zeros((height, width, 3), np.uint8)
    y, x = (height - inner[1]) // 2, (width - inner[0]) // 2
    out[y : y + inner[1], x : x + inner[0]] = small
    return out


if __name__ == "__main__":
    main()
