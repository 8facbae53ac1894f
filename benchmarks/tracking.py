"""Tracking accuracy on videos with ground truth.

    python benchmarks/tracking.py [--detector haar] [--films bar crossing]

The videos are made here (`crowd.py`). Counted as in CLEAR MOT (Bernardin and Stiefelhagen 2008):
a face is found where a box overlaps the true one by half; one of which less than half is to be
seen need not be found, and is no mistake where it is. Identity switches (IDSW) are changes of a
person's number, fragments (Frag) the interruptions of a person who is in sight, MOTA is one minus
all mistakes for each true face, IDF1 (Ristani and others 2016) the share of faces with the right
number when each person is given the one number that suits best over the whole video.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from crowd import FPS, SIZE, Head, Path2D, Role, Scene, Truth, heads, play

from mien.faces.detectors import make_detector
from mien.faces.geometry import iou
from mien.tracking.association import assign
from mien.tracking.tracker import TrackingDetector
from mien.types import Faces

W, H = SIZE
Film = Callable[[list[list[Head]]], list[Scene]]


@dataclass
class Count:
    """Mistakes, and what they are shares of."""

    true: int = 0
    found: int = 0
    missed: int = 0
    false: int = 0
    switches: int = 0
    fragments: int = 0
    numbers: set[int] = field(default_factory=set)
    people: set[str] = field(default_factory=set)
    pairs: Counter[tuple[str, int]] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)
    delays: list[int] = field(default_factory=list)
    last: dict[str, int] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    seconds: float = 0.0
    frames: int = 0

    def add(self, frame: int, truth: Truth, faces: Faces) -> None:
        """Count one frame."""
        overlap = iou(truth.boxes, faces.boxes)
        overlap[(overlap < 0.5) | (truth.visible <= 0.5)[:, None]] = 0
        numbers = np.asarray(faces.track_ids)
        for row, name in enumerate(truth.names):  # as in CLEAR MOT, who was right stays right
            overlap[row, numbers == self.last.get(name)] *= 2
        pairs = dict(assign(overlap.astype(np.float64)))
        taken = set(pairs.values())
        for row, name in enumerate(truth.names):
            if truth.visible[row] <= 0.5:
                continue
            self.first.setdefault(name, frame)
            self._one(frame, name, int(numbers[pairs[row]]) if row in pairs else None)
        hidden = truth.boxes[truth.visible <= 0.5]
        for column in range(len(faces)):
            if column not in taken:
                self.numbers.add(int(numbers[column]))
                if iou(faces.boxes[[column]], hidden).max(initial=0) < 0.3:
                    self.false += 1
                    self.found += 1

    def _one(self, frame: int, name: str, number: int | None) -> None:
        self.true += 1
        self.people.add(name)
        if number is None:
            self.missed += 1
            if name in self.last:
                self.lost.add(name)
            return
        if name not in self.last:
            self.delays.append(frame - self.first.get(name, frame))
        elif self.last[name] != number:
            self.switches += 1
        self.fragments += name in self.lost
        self.lost.discard(name)
        self.last[name] = number
        self.numbers.add(number)
        self.found += 1
        self.pairs[name, number] += 1

    def row(self, title: str) -> str:
        """A row of the table."""
        people, numbers = sorted(self.people), sorted(self.numbers)
        gains = np.array([[self.pairs[p, n] for n in numbers] for p in people], np.float64)
        gains = gains.reshape(len(people), len(numbers))
        right = sum(gains[pair] for pair in assign(gains))
        wrong = self.missed + self.false + self.switches
        return (
            f"| {title} | {self.frames} | {len(people)} | {len(numbers)} | {self.switches} "
            f"| {self.fragments} | {100 * (1 - wrong / max(1, self.true)):.1f} "
            f"| {200 * right / max(1, self.true + self.found):.1f} | {max(self.delays, default=0)} "
            f"| {1000 * self.seconds / max(1, self.frames):.1f} |"
        )


def still(x: float, y: float = H / 2, tall: float = 90) -> Path2D:
    """A head that only breathes."""
    return lambda t: (x + 2 * math.sin(3 * t), y + 2 * math.sin(2.2 * t), tall)


def walk(x: float, to: float, seconds: float, y: float = H / 2, tall: float = 90) -> Path2D:
    """A head that goes from one place to another and stays there."""
    return lambda t: (x + (to - x) * min(1.0, t / seconds), y + 3 * math.sin(8 * t), tall)


def enter(cast: list[list[Head]]) -> list[Scene]:
    """Three come in one after the other, and stay."""
    paths = [walk(-80 - 200 * i, 520 - 180 * i, 3, tall=90 - 10 * i) for i in range(3)]
    return [Scene([Role(cast[i][0], path) for i, path in enumerate(paths)], 5)]


def leave(cast: list[list[Head]]) -> list[Scene]:
    """One stays; another goes, and comes back from the same side after two seconds."""

    def there_and_back(t: float) -> tuple[float, float, float]:
        away = max(0.0, 320 * (t - 1)) if t < 3.5 else max(0.0, 800 - 320 * (t - 3.5))
        return 420 + away, H / 2, 90.0

    return [Scene([Role(cast[0][0], still(180)), Role(cast[1][0], there_and_back)], 7)]


def replace(cast: list[list[Head]]) -> list[Scene]:
    """One leaves, and someone else comes in from there."""
    out: Path2D = lambda t: (420 + max(0.0, 320 * (t - 1)), H / 2, 90)  # noqa: E731
    come: Path2D = lambda t: (max(420.0, 800 - 320 * (t - 3)), H / 2, 90)  # noqa: E731
    return [Scene([Role(cast[0][0], out), Role(cast[1][0], come)], 6)]


def cross(cast: list[list[Head]]) -> list[Scene]:
    """Two walk past each other, one hides the other; and back again."""

    def path(start: float, way: float) -> Path2D:
        return lambda t: (W / 2 + start * math.cos(way * t), H / 2, 90 + 8 * start / 200)

    roles = [Role(cast[0][0], path(-200, 1.2)), Role(cast[1][0], path(200, 1.2))]
    return [Scene(roles, 6)]


def bounce(cast: list[list[Head]]) -> list[Scene]:
    """Two walk up to each other until one is half hidden, stop, and turn back."""

    def path(way: float) -> Path2D:
        return lambda t: (W / 2 + way * (30 + abs(150 * (1 - t / 2))), H / 2, 90)

    return [Scene([Role(cast[0][0], path(-1)), Role(cast[1][0], path(1))], 4)]


def bar(cast: list[list[Head]]) -> list[Scene]:
    """One walks behind a pillar and out again, one stops behind it for a second."""

    def stop(t: float) -> tuple[float, float, float]:
        x = 60 + 130 * t if t < 2 else 320 if t < 3 else 320 + 130 * (t - 3)
        return x, 250, 80.0

    roles = [Role(cast[0][0], walk(600, 40, 4, y=100, tall=80)), Role(cast[1][0], stop)]
    return [Scene([*roles, Role(None, lambda t: (320, 0, 110))], 5.5)]


def cuts(cast: list[list[Head]]) -> list[Scene]:
    """Shot and countershot, four times: two people at the same place."""
    return [Scene([Role(cast[i % 2][0], still(W / 2, tall=140))], 1.5, i % 2) for i in range(4)]


def jump(cast: list[list[Head]]) -> list[Scene]:
    """Everyone neutral, then smiling a moment later; then the next, in the same room."""
    both = [head for person in cast if len(person) > 1 for head in person[:2]] or cast[0]
    return [Scene([Role(head, still(W / 2, tall=140))], 1) for head in both]


def pan(cast: list[list[Head]]) -> list[Scene]:
    """The camera sweeps over three who stand still, and back."""
    roles = [Role(cast[i][0], still(150 + 300 * i)) for i in range(3)]
    return [Scene(roles, 6, shift=lambda t: 300 - 300 * math.cos(1.05 * t))]


def dance(cast: list[list[Head]]) -> list[Scene]:
    """One leaps about, to the camera and away."""

    def path(t: float) -> tuple[float, float, float]:
        return (
            W / 2 + 200 * math.sin(4 * t),
            H / 2 + 50 * math.sin(9 * t),
            100 + 40 * math.sin(3 * t),
        )

    return [Scene([Role(cast[0][0], path), Role(cast[1][0], still(90, 80, 60))], 5)]


def flashes(cast: list[list[Head]]) -> list[Scene]:
    """Somebody photographs two people."""
    roles = [Role(cast[0][0], still(200)), Role(cast[1][0], still(440))]
    return [Scene(roles, 4, light=lambda t: 1.7 if round(t * FPS) % 20 == 10 else 1.0)]


def party(cast: list[list[Head]]) -> list[Scene]:
    """Six wander about, each in a circle of its own, behind and before each other."""

    def path(i: int) -> Path2D:
        return lambda t: (
            W / 2 + 240 * math.sin((0.5 + 0.09 * i) * t + 1.05 * i),
            H / 2 + 70 * math.sin((0.7 - 0.07 * i) * t + 2 * i),
            50 + 8 * i,
        )

    return [Scene([Role(person[0], path(i)) for i, person in enumerate(cast[:6])], 10)]


def twelve(cast: list[list[Head]]) -> list[Scene]:
    """Twelve cross: three rows of two from each side, the nearer ones larger, and back again."""

    def path(i: int) -> Path2D:
        row, way, second = i % 3, 1 if i // 3 % 2 else -1, i // 6
        return lambda t: (
            W / 2 + way * (230 - 90 * second) * math.cos(0.7 * t + 0.15 * i),
            90 + 85 * row + 12 * math.sin(2 * t + i),
            44 + 14 * row + 3 * second,
        )

    return [Scene([Role(person[0], path(i)) for i, person in enumerate(cast[:12])], 9)]


FILMS: dict[str, Film] = {
    "enter": enter,
    "leave and return": leave,
    "leave, another enters": replace,
    "cross": cross,
    "meet and part": bounce,
    "behind a pillar": bar,
    "shot, countershot": cuts,
    "jump cuts": jump,
    "camera pans": pan,
    "dance": dance,
    "flashes": flashes,
    "party": party,
    "twelve cross": twelve,
}


def run(film: Sequence[Scene], detector: str) -> Count:
    """Track one film."""
    options = {} if detector == "haar" else {"threads": 1}
    tracked, count = TrackingDetector(make_detector(detector, **options), fps=FPS), Count()
    for frame, (image, truth) in enumerate(play(film)):
        started = time.process_time()
        faces = tracked.detect(image)
        count.seconds += time.process_time() - started
        count.frames += 1
        count.add(frame, truth, faces)
    return count


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--detector", default="yunet", choices=("yunet", "mtcnn", "haar"))
    parser.add_argument("--films", nargs="*", choices=FILMS, default=list(FILMS))
    parser.add_argument("--casts", type=int, default=1, help="each film with so many casts")
    options = parser.parse_args()
    cast = list(heads().values())
    print(f"{len(cast)} people, {W} x {H}, {FPS} frames/s, detector {options.detector}\n")
    print("| film | frames | people | ids | IDSW | Frag | MOTA | IDF1 | found after | ms CPU |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for title in options.films:
        for turn in range(options.casts):
            turned = cast[2 * turn % len(cast) :] + cast[: 2 * turn % len(cast)]
            print(run(FILMS[title](turned), options.detector).row(title), flush=True)


if __name__ == "__main__":
    main()
