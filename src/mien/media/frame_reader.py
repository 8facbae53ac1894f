"""Random access to the frames of a saved analysis, from the original videos and images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from mien.errors import InputError, InputNotFoundError
from mien.media.addresses import is_web
from mien.media.images import read_image
from mien.media.remote import content, stored_video
from mien.media.video import VideoSource
from mien.stores import is_stored
from mien.types import Frame, Image

_BYTES = 128_000_000  # size of the cache that makes stepping back quick
_BACK_S = 0.8  # reading starts this much earlier when stepping back
_AHEAD_S = 2.0  # up to this distance, reading on is quicker than seeking
_SAME_S = 1e-3


class FrameReader:
    """Reads the image of a frame by its time; neighboring frames are quick in both directions.

    Args:
        folder: where to look for sources that do not exist under their own path: that of the table.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cache: OrderedDict[tuple[str, float | None], Image] = OrderedDict()
        self._copies: dict[str, VideoSource] = {}  # of the last video that is in a store
        self._path: str | None = None
        self._frames: Iterator[Frame] = iter(())
        self._reached = 0.0
        self._last_s = 0.0

    def __call__(self, source: str, time_s: float | None, size: tuple[int, int] | None) -> Image:
        """The image, ``(H, W, 3)`` uint8 RGB.

        Args:
            source: path of a video or image.
            time_s: seconds; None for an image.
            size: width and height to which the image is resized: those in which the boxes are.

        Raises:
            InputError: it cannot be read any more.
        """
        key = source, time_s
        if key in self._cache:
            self._cache.move_to_end(key)
        else:
            if time_s is None:
                elsewhere = is_web(source) or is_stored(source)
                image = content(source, source) if elsewhere else self._find(source)
                self._store(key, _sized(read_image(image, name=source), size))
            else:
                self._seek(source, self._find(source), time_s, size)
        self._last_s = time_s or 0.0
        return self._cache[key]

    def _find(self, source: str) -> str:
        if is_web(source):
            return source
        if is_stored(source):
            if source not in self._copies:
                self._copies = {source: stored_video(source)}
            return self._copies[source].path
        for path in (Path(source), self._folder / source, self._folder / Path(source).name):
            if path.is_file():
                return str(path)
        raise InputNotFoundError(f"{source} is not there any more, so its images are missing.")

    def _seek(self, source: str, path: str, time_s: float, size: tuple[int, int] | None) -> None:
        ahead = self._path == path and self._reached < time_s <= self._reached + _AHEAD_S
        if not ahead:
            back = self._path == path and time_s < self._last_s
            start = max(0.0, time_s - (_BACK_S if back else _SAME_S))
            width = None if size is None else size[0]
            self._frames = iter(VideoSource(path, start=start, width=width))
            self._path = path
        for frame in self._frames:
            self._reached = frame.time_s or 0.0
            same = abs(self._reached - time_s) < _SAME_S
            try:
                self._store((source, time_s if same else self._reached), _sized(frame.read(), size))
            except InputError:
                if same:
                    raise
            if self._reached > time_s - _SAME_S:
                break
        if (source, time_s) not in self._cache:
            self._path = None
            raise InputError(f"{source} has no frame at {time_s:.3f} s any more.")

    def _store(self, key: tuple[str, float | None], image: Image) -> None:
        self._cache[key] = image
        held = sum(image.nbytes for image in self._cache.values())
        while held > _BYTES and len(self._cache) > 1:
            held -= self._cache.popitem(last=False)[1].nbytes


def _sized(image: Image, size: tuple[int, int] | None) -> Image:
    if size is None or image.shape[:2] == (size[1], size[0]):
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
