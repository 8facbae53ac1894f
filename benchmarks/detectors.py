"""What each detector detects, and how fast: crops, rotations, covers, profiles, crowds.

    python benchmarks/detectors.py [--detectors yunet mtcnn haar] [--only crowd]

The images are made here from the photos and videos of ../shared/media. A face is detected where the
center of a box lies in the true one and its width is between half and twice as large; every other
box is false, and so is a second one for the same face. Milliseconds per image are those of the
processor, all threads together, so that other work on the machine matters little.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mien.faces.detectors import make_detector
from mien.faces.geometry import roll_deg
from mien.media.images import read_image
from mien.media.video import VideoSource
from mien.types import Faces, Image

MEDIA = Path(__file__).parents[2] / "shared" / "media"
Floats = npt.NDArray[np.float64]
Sample = tuple[Image, Floats]  # an image, and the true boxes (n, 4)
PIXELS = {12: (4000, 3000), 48: (8000, 6000)}
CROWDS = ((1, 400, 400), (1, 40, 40), (12, 60, 400), (100, 20, 200), (400, 10, 60))


@dataclass(frozen=True)
class Photo:
    """A photo of one face.

    Attributes:
        image: ``(H, W, 3)`` uint8.
        box: ``(4,)`` the face.
        points: ``(5, 2)`` its landmarks.
    """

    image: Image
    box: Floats
    points: Floats


@dataclass
class Count:
    """What was counted over the images of one kind."""

    images: int = 0
    true: int = 0
    detected: int = 0
    false: int = 0
    upright: int = 0
    seconds: float = 0.0

    def add(self, faces: Faces, boxes: Floats, roll: float | None) -> None:
        """Compare the faces of one image with the true boxes."""
        self.images += 1
        self.true += len(boxes)
        open_rows = set(range(len(boxes)))
        for face in faces:
            row = _match(face.boxes[0].astype(np.float64), boxes, open_rows)
            if row is None:
                self.false += 1
                continue
            open_rows.discard(row)
            self.detected += 1
            if roll is not None and face.landmarks is not None:
                away = abs((float(roll_deg(face.landmarks)[0]) - roll + 180) % 360 - 180)
                self.upright += away < 30


def _match(box: Floats, boxes: Floats, rows: set[int]) -> int | None:
    center, width = (box[:2] + box[2:]) / 2, box[2] - box[0]
    for row in rows:
        true = boxes[row]
        inside = (true[:2] < center).all() and (center < true[2:]).all()
        if inside and 0.5 < width / (true[2] - true[0]) < 2:
            return row
    return None


def photos() -> list[Photo]:
    """The photos of one face each; where it is, two detectors agree on."""
    with (MEDIA / "photos.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["file"].startswith("photos/")]
    judges = [make_detector("yunet"), make_detector("mtcnn", any_angle=False)]
    kept = []
    for row in rows:
        if row["faces"] != "1":
            continue
        image = read_image(MEDIA / row["file"])
        pair = [judge.detect(image)[:1] for judge in judges]
        if all(len(faces) for faces in pair):
            box = np.mean([faces.boxes[0] for faces in pair], axis=0)
            points = np.mean([np.asarray(faces.landmarks)[0] for faces in pair], axis=0)
            kept.append(Photo(image, box.astype(np.float64), points.astype(np.float64)))
    return kept


def scaled(photo: Photo, scale: float) -> Photo:
    """The photo at another size."""
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    image = cv2.resize(photo.image, None, fx=scale, fy=scale, interpolation=method)
    return Photo(np.asarray(image, np.uint8), photo.box * scale, photo.points * scale)


def cropped(photo: Photo, left: float, top: float, right: float, bottom: float) -> Sample:
    """A part of the photo, in sides of the face from its box; negative cuts the face."""
    width, height = photo.box[2:] - photo.box[:2]
    grow = np.array([-left * width, -top * height, right * width, bottom * height])
    x1, y1, x2, y2 = (photo.box + grow).round().astype(int)
    x1, y1 = max(0, x1), max(0, y1)
    part = np.ascontiguousarray(photo.image[y1:y2, x1:x2])
    return part, (photo.box - (x1, y1, x1, y1))[None]


def rotated(photo: Photo, angle: int) -> Sample:
    """The whole photo rotated clockwise, on black."""
    height, width = photo.image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -angle, 1)
    cos, sin = np.abs(matrix[0, :2])
    size = int(height * sin + width * cos), int(height * cos + width * sin)
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    image = np.asarray(cv2.warpAffine(photo.image, matrix, size), np.uint8)
    middle = matrix @ (*(photo.box[:2] + photo.box[2:]) / 2, 1)
    half = np.sqrt(np.prod(photo.box[2:] - photo.box[:2])) / 2
    return image, np.concatenate([middle - half, middle + half])[None]


def covered(photo: Photo, kind: str) -> Sample:
    """The photo with a mask over mouth and nose, dark glasses, or a hand's breadth of gray."""
    image, (left, right, nose, *mouth) = photo.image.copy(), photo.points
    width = photo.box[2] - photo.box[0]
    x1, _, x2, y2 = photo.box
    if kind == "mask":
        outline = [
            (x1, nose[1] - 0.1 * width),
            (nose[0], nose[1] - 0.15 * width),
            (x2, nose[1] - 0.1 * width),
            (x2 - 0.1 * width, mouth[1][1] + 0.1 * width),
            (nose[0], y2 + 0.05 * width),
            (x1 + 0.1 * width, mouth[0][1] + 0.1 * width),
        ]
        cv2.fillPoly(image, [np.array(outline, np.int32)], (150, 185, 210))
    elif kind == "glasses":
        for eye in (left, right):
            axes = (int(0.2 * width), int(0.15 * width))
            cv2.ellipse(image, tuple(int(v) for v in eye), axes, 0, 0, 360, (15, 15, 20), -1)
        ends = [tuple(int(v) for v in eye) for eye in (left, right)]
        cv2.line(image, ends[0], ends[1], (15, 15, 20), max(1, int(0.04 * width)))
    else:
        middle = int((x1 + x2) / 2)
        image[:, middle:] = (120, 110, 100)
    return image, photo.box[None]


def crowd(people: list[Photo], count: int, megapixels: int, low: int, high: int) -> Sample:
    """Heads of `low` to `high` pixels, side by side on a blurred ground."""
    width, height = PIXELS[megapixels]
    rng = np.random.default_rng(count + megapixels)
    ground = cv2.resize(rng.integers(40, 200, (30, 40, 3)).astype(np.uint8), (width, height),
                        interpolation=cv2.INTER_CUBIC)  # fmt: skip
    image, taken, boxes = (
        np.asarray(ground, np.uint8),
        np.zeros((height // 8, width // 8), bool),
        [],
    )
    sides = np.exp(rng.uniform(np.log(low), np.log(high), count))
    for number, side in enumerate(sorted(sides, reverse=True)):
        small = scaled(people[number % len(people)], side / _width(people[number % len(people)]))
        x1, y1, x2, y2 = small.box
        head = np.array([x1 - 0.5 * side, y1 - 0.5 * side, x2 + 0.5 * side, y2 + 0.3 * side])
        a, b, c, d = head.round().astype(int)
        a, b, c, d = (
            max(0, a),
            max(0, b),
            min(c, small.image.shape[1]),
            min(d, small.image.shape[0]),
        )
        for _ in range(400):
            x, y = int(rng.integers(0, width - (c - a))), int(rng.integers(0, height - (d - b)))
            room = taken[y // 8 : (y + d - b) // 8 + 1, x // 8 : (x + c - a) // 8 + 1]
            if not room.any():
                break
        else:
            continue
        room[:] = True
        image[y : y + d - b, x : x + c - a] = small.image[b:d, a:c]
        boxes.append(small.box + np.tile((x - a, y - b), 2))
    return image, np.array(boxes)


def _width(photo: Photo) -> float:
    return float(photo.box[2] - photo.box[0])


Kind = tuple[str, Callable[[], Iterable[Sample]], int | None]


def kinds(people: list[Photo]) -> Iterator[Kind]:
    """Name, images and, where it matters, the roll of the faces."""
    medium = [scaled(photo, 240 / _width(photo)) for photo in people]

    def each(
        name: str, make: Callable[..., Sample], *options: Any, roll: int | None = None
    ) -> Kind:
        return name, lambda: (make(photo, *options) for photo in medium), roll

    yield "photos as they are", lambda: ((p.image, p.box[None]) for p in people), None
    for width in (10, 14, 20, 40, 80):
        yield each(f"photos with a face {width} px wide", resized, width)
    for share in (10, 0, -10):
        yield each(f"close crop: the box {share:+} %", cropped, *[share / 100] * 4)
    for share in (25, 40, 50):
        cut = -share / 100
        yield each(f"cut off left {share} %", cropped, cut, 1, 1, 1)
        yield each(f"cut off above {share} %", cropped, 1, cut, 1, 1)
        yield each(f"cut off below {share} %", cropped, 1, 1, 1, cut)
    for angle in (30, 45, 60, 90, 135, 180, 270):
        yield each(f"rotated {angle}", rotated, angle, roll=angle)
    for kind in ("mask", "glasses", "half"):
        yield each(f"covered: {kind}", covered, kind)
    yield "video: head that turns to both sides", turning, None
    for megapixels in PIXELS:
        for count, low, high in CROWDS:
            size = f"{low} to {high}" if high > low else str(low)
            name = f"{megapixels} megapixels, {count} of {size} px"
            yield name, partial(crowds, people, count, megapixels, low, high), None
    yield "no face", nobody, None


def turning() -> Iterator[Sample]:
    """A woman who turns from profile to profile; the box is where she is."""
    for frame in VideoSource(MEDIA / "videos" / "head-pose-face-detection-female.gif"):
        yield frame.read(), np.array([[175.0, 45, 280, 155]])


def crowds(people: list[Photo], *options: int) -> Iterator[Sample]:
    """One crowd, made only when it is needed."""
    yield crowd(people, *options)


def resized(photo: Photo, width: int) -> Sample:
    """The photo with a face of this width."""
    small = scaled(photo, width / _width(photo))
    return small.image, small.box[None]


def nobody() -> Iterator[Sample]:
    """Photos without a face, at three sizes and upside down."""
    none = np.zeros((0, 4))
    with (MEDIA / "photos.csv").open(newline="") as lines:
        names = [row["file"] for row in csv.DictReader(lines) if row["faces"] == "0"]
    for name in (name for name in names if name.startswith("photos/")):
        image = read_image(MEDIA / name)
        for scale in (0.5, 1, 2.5):
            small = np.asarray(cv2.resize(image, None, fx=scale, fy=scale), np.uint8)
            yield small, none
            yield np.ascontiguousarray(small[::-1]), none


def measure(detector: Any, samples: Iterable[Sample], roll: int | None) -> Count:
    """Run a detector over images."""
    count = Count()
    for image, boxes in samples:
        started = time.process_time()
        faces = detector.detect(image)
        count.seconds += time.process_time() - started
        count.add(faces, boxes, None if roll is None else float(roll))
    return count


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--detectors", nargs="+", default=["yunet", "mtcnn", "haar"])
    parser.add_argument("--only", help="kinds whose name contains this")
    options = parser.parse_args()
    people = photos()
    detectors = {name: make_detector(name) for name in options.detectors}
    print(f"{len(people)} photos of one face\n")
    print("| | faces | " + " | ".join(f"{name}: detected, false, ms" for name in detectors) + " |")
    print("|---|--:|" + "---|" * len(detectors))
    for name, samples, roll in kinds(people):
        if options.only and options.only not in name:
            continue
        counts = [measure(detector, samples(), roll) for detector in detectors.values()]
        cells = []
        for count in counts:
            turned = "" if roll is None else f" ({count.upright} upright)"
            spent = 1000 * count.seconds / max(1, count.images)
            cells.append(f"{count.detected}{turned}, {count.false}, {spent:.0f}")
        print(f"| {name} | {counts[0].true} | " + " | ".join(cells) + " |", flush=True)
    if not options.only:
        videos(detectors)


def videos(detectors: dict[str, Any]) -> None:
    """Print how many faces are detected in the frames of the GIFs, frame by frame."""
    print("\n| video | faces | " + " | ".join(detectors) + " |")
    print("|---|--:|" + "--:|" * len(detectors))
    with (MEDIA / "videos.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["file"].endswith(".gif")]
    for row in rows:
        images = [frame.read() for frame in VideoSource(MEDIA / row["file"])]
        counts = [sum(len(d.detect(image)) for image in images) for d in detectors.values()]
        name, faces = Path(row["file"]).stem, len(images) * int(row["faces"])
        print(f"| {name} | {faces} | " + " | ".join(map(str, counts)) + " |", flush=True)


if __name__ == "__main__":
    main()
