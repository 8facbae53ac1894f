"""Videos with ground truth: heads that enter, leave, cross, hide, and cuts between them.

Heads are cut out of photos: of the one in the package, in several colors, and, where the
folder ../shared lies beside the checkout, of its photos of different people. A video is a list of
scenes, a scene a list of roles; what a frame shows follows from the formulas alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mien.faces.detectors.mtcnn import MtcnnDetector
from mien.faces.detectors.yunet import YunetDetector
from mien.media.images import read_image
from mien.types import Image

ROOT = Path(__file__).parents[1]
PHOTOS = ROOT.parent / "shared" / "media" / "photos"
ASTRONAUT = ROOT / "src" / "mien" / "assets" / "astronaut.jpg"
FPS = 25
SIZE = (640, 360)  # width, height of a film

Path2D = Callable[[float], tuple[float, float, float]]
"""Of seconds makes x and y of a face's centre, pixels, and its height, pixels."""


@dataclass(frozen=True)
class Head:
    """A face with its hair on a see-through ground.

    Attributes:
        name: who it is; two heads of one name are one person.
        picture: ``(S, S, 3)`` uint8.
        mask: ``(S, S)`` float32, 1 where the head is.
        box: ``(4,)`` its face in `picture`.
    """

    name: str
    picture: Image
    mask: npt.NDArray[np.float32]
    box: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Role:
    """A head and where it goes; None for the head is a gray bar as high as the picture."""

    head: Head | None
    path: Path2D


@dataclass(frozen=True)
class Scene:
    """Roles from the back to the front, for some seconds.

    Attributes:
        seed: of the background; another seed is another place.
        shift: of seconds makes the pixels by which the camera has panned.
        light: of seconds makes a factor of brightness.
    """

    roles: Sequence[Role]
    seconds: float
    seed: int = 0
    shift: Callable[[float], float] = lambda t: 0.0
    light: Callable[[float], float] = lambda t: 1.0


@dataclass(frozen=True)
class Truth:
    """What one frame shows.

    Attributes:
        names: whose faces, those that are at least in part inside the image.
        boxes: ``(n, 4)``.
        visible: ``(n,)`` the share of each face that is inside and that nothing hides.
    """

    names: list[str]
    boxes: npt.NDArray[np.float32]
    visible: npt.NDArray[np.float32]


def play(scenes: Sequence[Scene]) -> Iterator[tuple[Image, Truth]]:
    """The frames of a film, each with its truth."""
    rng = np.random.default_rng(0)
    for scene in scenes:
        ground = _ground(scene.seed)
        for step in range(round(scene.seconds * FPS)):
            picture, truth = _frame(scene, step / FPS, ground)
            noise = rng.normal(0, 2, picture.shape)
            yield np.clip(picture + noise, 0, 255).astype(np.uint8), truth


def _frame(
    scene: Scene, t: float, ground: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], Truth]:
    width = SIZE[0]
    pan = scene.shift(t)
    start = round(pan) % (ground.shape[1] - width)
    picture = ground[:, start : start + width].copy()
    names: list[str] = []
    boxes: list[npt.NDArray[np.float64]] = []
    masks: list[npt.NDArray[np.float32]] = []
    for role in scene.roles:
        x, y, tall = role.path(t)
        x -= pan
        if role.head is None:
            low, high = int(np.clip(x - tall / 2, 0, width)), int(np.clip(x + tall / 2, 0, width))
            picture[:, low:high] = 90
            for mask in masks:
                mask[:, low:high] = 0
            continue
        mask, box = _paint(picture, role.head, x, y, tall)
        for other in masks:
            other[mask > 0.5] = 0
        names.append(role.head.name)
        boxes.append(box)
        masks.append(_inside(box))
    picture *= scene.light(t)
    whole = [max(1.0, float((b[2] - b[0]) * (b[3] - b[1]))) for b in boxes]
    visible = np.array([float(m.sum()) / w for m, w in zip(masks, whole, strict=True)], np.float32)
    faces = np.array(boxes, np.float32).reshape(-1, 4)
    rows = np.flatnonzero((faces[:, 0] < width) & (faces[:, 2] > 0))
    return picture, Truth([names[i] for i in rows], faces[rows], visible[rows])


def _paint(
    picture: npt.NDArray[np.float32], head: Head, x: float, y: float, tall: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Put a head into the picture, in place; its mask in the picture, and its face's box."""
    width, height = SIZE
    scale = tall / (head.box[3] - head.box[1])
    centre = (head.box[:2] + head.box[2:]) / 2
    matrix = np.array([[scale, 0, x - scale * centre[0]], [0, scale, y - scale * centre[1]]])
    flags = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
    layer = cv2.warpAffine(head.picture, matrix, (width, height), flags=flags)
    mask = cv2.warpAffine(head.mask, matrix, (width, height))
    picture += mask[..., None] * (layer.astype(np.float32) - picture)
    box = scale * head.box + np.tile(matrix[:, 2], 2)
    return np.asarray(mask, np.float32), box


def _inside(box: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    mask = np.zeros(SIZE[::-1], np.float32)
    x1, y1, x2, y2 = np.maximum(box, 0).round().astype(int)
    mask[y1:y2, x1:x2] = 1
    return mask


def _ground(seed: int) -> npt.NDArray[np.float32]:
    """A blurred room, wider than the picture, so that the camera can pan."""
    rng = np.random.default_rng(seed)
    width, height = 4 * SIZE[0], SIZE[1]
    coarse = rng.uniform(40, 200, (height // 30, width // 30, 3)).astype(np.float32)
    soft = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(soft, 0, 255), np.float32)


def heads() -> dict[str, list[Head]]:
    """Everyone there is, by name, with one or more pictures each; boxes are between two judges."""
    detectors = YunetDetector(threads=1), MtcnnDetector(min_face=40, threads=1)
    cast: dict[str, list[Head]] = {}
    for name, picture in _pictures():
        small = _shrunk(picture)
        boxes = [detector.detect(small).boxes[0] for detector in detectors]
        box = np.asarray(np.mean(boxes, axis=0), np.float64)
        cast.setdefault(name, []).append(_cut_out(name, small, box))
    return cast


def _pictures() -> Iterator[tuple[str, Image]]:
    astronaut = read_image(ASTRONAUT)
    if PHOTOS.is_dir():
        yield "astronaut", astronaut
        for path in sorted(PHOTOS.glob("[01]??_0?.jpg")):
            yield path.stem[:3], read_image(path)
        return
    for name, hue, gain in (("red", 0, 1.0), ("green", 60, 0.8), ("blue", 120, 0.6)):
        colors = cv2.cvtColor(astronaut, cv2.COLOR_RGB2HSV).astype(np.float32)
        colors *= (1, 1, gain)
        colors[..., 0] = (colors[..., 0] + hue) % 180
        other: Any = cv2.cvtColor(colors.astype(np.uint8), cv2.COLOR_HSV2RGB)
        yield name, other if hue != 60 else np.ascontiguousarray(other[:, ::-1])


def _shrunk(picture: Image) -> Image:
    scale = 480 / max(picture.shape[:2])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _cut_out(name: str, picture: Image, box: npt.NDArray[np.float64]) -> Head:
    """The face with its hair, within a soft oval."""
    size = box[2:] - box[:2]
    centre = (box[:2] + box[2:]) / 2 - (0, 0.1 * size[1])
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    away = np.hypot((x - centre[0]) / (0.85 * size[0]), (y - centre[1]) / (0.9 * size[1]))
    mask = np.clip((1.0 - away) * 12, 0, 1).astype(np.float32)
    return Head(name, picture, mask, box)
