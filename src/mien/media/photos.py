"""Images as frames: from files, folders, patterns, memory, or any mixture of those."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from mien.errors import ImageError, UsageError
from mien.media.images import is_image, name_of, read_image
from mien.media.inputs import Input, Inputs, failure
from mien.types import Frame


def photos(inputs: Any) -> Iterator[Frame]:
    """Turn images of any kind into frames, lazily and in order.

    Args:
        inputs: one of these, or an iterable of them (nested, too; generators are read lazily):

            - a path, folder or pattern, see `mien.media.inputs.Inputs`;
            - bytes, a binary file object, a PIL image or an array, as `read_image` takes them; a
              ``(n, H, W, 3)`` array is n images;
            - a `Frame`, which passes through.

    Yields:
        One frame per image, with index 0 and no time. An image without a name is named by its
        position in the run, counted from 0: ``array 0``, ``bytes 3``. A path, folder or pattern
        without images is one frame whose ``read`` raises `InputNotFoundError` or `InputError`;
        so is a video or animated image, which `EmotionAnalyzer.video` reads.

    Raises:
        UsageError: an item is of a type that cannot be an image.
    """
    for place, item in enumerate(_items(inputs)):
        if isinstance(item, Frame):
            yield item
        elif isinstance(item, Input):
            yield from _frames(item)
        else:
            name = name_of(item, place)
            yield Frame(name, partial(read_image, item, name=name))


def _items(inputs: Any) -> Iterator[Any]:
    """Flatten the inputs into frames, `Input` for paths, and whatever else `read_image` takes."""
    if isinstance(inputs, Frame):
        yield inputs
    elif isinstance(inputs, str | os.PathLike):
        yield from Inputs([inputs])
    elif isinstance(inputs, np.ndarray) and _is_many(inputs):
        for item in inputs:  # images of a batch, or names out of a table
            yield from _items(item)
    elif is_image(inputs):
        yield inputs
    elif isinstance(inputs, Iterable) and not isinstance(inputs, Mapping):
        for item in inputs:
            yield from _items(item)
    else:
        hint = "; cv2.imread returns None for a file that it cannot read" if inputs is None else ""
        raise UsageError(
            f"{type(inputs).__name__} is not an image: give paths, folders, patterns, bytes,"
            f" binary files, PIL images, NumPy arrays, or an iterable of those{hint}."
        )


def _frames(item: Input) -> Iterable[Frame]:
    if item.kind == "image" or item.problem is not None:
        return item.frames()
    if item.kind == "video":
        what, call = "a video", "analyzer.video"
    else:
        what, call = "a stream", "analyzer.video(mien.CameraSource"
    problem = f"{item.name} is {what}, not an image: use {call}({item.name!r})"
    return [failure(item.name, ImageError(problem + (")." if call.count("(") else ".")))]


def _is_many(array: np.ndarray[Any, Any]) -> bool:
    return array.ndim == 4 or (array.ndim == 1 and array.dtype.kind in "OUT")
