"""Images as frames: from files, folders, patterns, memory, or any mixture of those."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from mien.errors import ImageError, UsageError
from mien.media.base import TimedSource
from mien.media.images import is_image, name_of, read_image
from mien.media.inputs import Input, Inputs, failure
from mien.types import Frame

_SINGLE = (str, os.PathLike, Frame, Input)


def photos(inputs: Any) -> Iterator[Frame]:
    """Turn whatever the user has into frames of images, lazily and in order.

    Yields:
        A frame per image, with index 0 and no time. A path, folder or pattern that leads to no
        image is one frame too, whose ``read`` raises `InputNotFoundError` or `InputError`; so is
        a video, animated images among them, which has its own methods.

    Raises:
        UsageError: an item is of a type that cannot be an image.
    """
    for item in opened(inputs):
        if isinstance(item, Frame):
            yield item
        else:
            yield from _frames(item) if isinstance(item, Input) else item


def opened(inputs: Any) -> Iterator[Frame | Input | TimedSource]:
    """Flatten whatever the user has into frames, named inputs and sources, lazily and in order.

    Args:
        inputs: one of these, or an iterable of them (nested, too; generators are read lazily):

            - a path, folder or pattern, see `mien.media.inputs.Inputs`;
            - bytes, a binary file object, a PIL image or an array, as `read_image` takes them; a
              ``(n, H, W, 3)`` array is n images. What has no name of its own is called by its
              place in the run, counted from 0: ``array 0``, ``bytes 3``;
            - a `Frame`, an `Input` or a `TimedSource`, which pass through.

    Raises:
        UsageError: an item is of a type that cannot be an input.
    """
    for place, item in enumerate(_items(inputs)):
        if isinstance(item, Frame | Input | TimedSource):
            yield item
        else:
            name = name_of(item, place)
            yield Frame(name, partial(read_image, item, name=name))


def check_inputs(inputs: Any) -> None:
    """Refuse at once what can be no input, before anything is read.

    Raises:
        UsageError: it, or an item of a list or tuple, is of a type that cannot be an input.
    """
    if isinstance(inputs, list | tuple):
        for item in inputs:
            check_inputs(item)
    elif not (isinstance(inputs, _SINGLE) or is_image(inputs)) and (
        not isinstance(inputs, Iterable) or isinstance(inputs, Mapping)
    ):
        hint = "; cv2.imread returns None for a file that it cannot read" if inputs is None else ""
        raise UsageError(
            f"{type(inputs).__name__} is not an image: give paths, folders, patterns, bytes,"
            f" binary files, PIL images, NumPy arrays, or an iterable of those{hint}."
        )


def _items(inputs: Any) -> Iterator[Any]:
    """Flatten the inputs into frames, inputs by path, sources, and images in memory."""
    if isinstance(inputs, Frame | Input | TimedSource):
        yield inputs
    elif isinstance(inputs, str | os.PathLike):
        yield from Inputs([inputs])
    elif isinstance(inputs, np.ndarray) and _is_many(inputs):
        for item in inputs:  # images of a batch, or names out of a table
            yield from _items(item)
    elif is_image(inputs):
        yield inputs
    else:
        check_inputs(inputs)
        for item in inputs:
            yield from _items(item)


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
