"""Photos from wherever they are: files, folders, patterns, memory, or any mixture of those."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NoReturn

import numpy as np

from mien.errors import InputError, InputNotFoundError, UsageError
from mien.media.images import IMAGE_SUFFIXES, is_picture, name_of, read_image
from mien.types import Frame


def photos(inputs: Any) -> Iterator[Frame]:
    """Turn whatever the user has into frames, lazily and in order.

    Args:
        inputs: one, or any iterable of (nested ones too; generators are read one item at a time):

            - a path to a picture;
            - a folder: its pictures by `IMAGE_SUFFIXES`, with subfolders, in natural order
              (``2.jpg`` before ``10.jpg``), a folder's own pictures before those of its
              subfolders, without hidden files and linked folders;
            - a pattern such as ``party/**/*.jpg``: files in natural order; a pattern without a
              suffix of its own, such as ``party/*``, finds `IMAGE_SUFFIXES` only. A name with
              brackets that exists is a name, not a pattern;
            - bytes, a binary file object, a PIL image or an array, as `read_image` takes them; a
              ``(n, H, W, 3)`` array is n pictures;
            - a `Frame`, which passes through.

    Yields:
        A frame a picture, with index 0 and no time. What has no name of its own is called by its
        place in the run, counted from 0: ``array 0``, ``bytes 3``. A path, folder or pattern with
        nothing in it is one frame too, whose ``read`` raises `InputNotFoundError` or `InputError`.

    Raises:
        UsageError: an item is of a type that cannot be a picture.
    """
    for place, item in enumerate(_items(inputs)):
        if isinstance(item, Frame):
            yield item
        else:
            name = name_of(item, place)
            yield Frame(name, partial(read_image, item, name=name))


def _items(inputs: Any) -> Iterator[Any]:
    """Flatten the inputs into frames and things that `read_image` takes."""
    if isinstance(inputs, Frame):
        yield inputs
    elif isinstance(inputs, str | os.PathLike):
        yield from _path(os.fspath(inputs))
    elif isinstance(inputs, np.ndarray) and _is_many(inputs):
        for item in inputs:  # pictures of a batch, or names out of a table
            yield from _items(item)
    elif is_picture(inputs):
        yield inputs
    elif isinstance(inputs, Iterable) and not isinstance(inputs, Mapping):
        for item in inputs:
            yield from _items(item)
    else:
        hint = "; cv2.imread returns None for a file that it cannot read" if inputs is None else ""
        raise UsageError(
            f"{type(inputs).__name__} is not a picture: give paths, folders, patterns, bytes,"
            f" binary files, PIL images, NumPy arrays, or an iterable of those{hint}."
        )


def _is_many(array: np.ndarray[Any, Any]) -> bool:
    return array.ndim == 4 or (array.ndim == 1 and array.dtype.kind in "OUT")


def _path(path: str) -> Iterator[str | Frame]:
    if os.path.isdir(path):
        yield from _or_failure(_folder(path), path, InputError(f"{path} holds no pictures."))
    elif os.path.exists(path) or glob.escape(path) == path:
        yield path  # a path that leads nowhere fails when it is read
    else:
        problem = InputNotFoundError(f"No picture matches {path!r}, and no file has that name.")
        yield from _or_failure(_pattern(path), path, problem)


def _or_failure(
    found: Iterator[str | Frame], name: str, problem: InputError
) -> Iterator[str | Frame]:
    first = next(found, None)
    yield _failure(name, problem) if first is None else first
    yield from found


def _folder(folder: str) -> Iterator[str | Frame]:
    closed: list[OSError] = []
    for here, below, names in os.walk(folder, onerror=closed.append):
        below[:] = sorted((name for name in below if not name.startswith(".")), key=_natural)
        for name in sorted(names, key=_natural):
            if not name.startswith(".") and _is_named_as_picture(name):
                yield os.path.join(here, name)
    for error in closed:  # pictures that may be in there must not go missing without a word
        problem = f"{error.filename} cannot be opened: {error.strerror}."
        yield _failure(str(error.filename), InputError(problem))


def _pattern(pattern: str) -> Iterator[str]:
    suffix = os.path.splitext(pattern)[1]
    any_suffix = suffix and glob.escape(suffix) == suffix
    for path in sorted(glob.iglob(pattern, recursive=True), key=_natural):
        if (any_suffix or _is_named_as_picture(path)) and not os.path.isdir(path):
            yield path


def _is_named_as_picture(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES


def _natural(name: str) -> tuple[list[str | int], str]:
    """Sort key that puts 2.jpg before 10.jpg; the name itself settles what is then equal."""
    parts = re.split(r"(\d+)", name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def _failure(name: str, problem: InputError) -> Frame:
    return Frame(name, partial(_raise, problem))


def _raise(problem: InputError) -> NoReturn:
    raise problem
