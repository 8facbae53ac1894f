"""Everything that mien raises on purpose, in one tree.

    MienError
    ├── UsageError            the caller asked for something that cannot be (also a ValueError)
    ├── MissingExtraError     an optional part of mien is not installed (also an ImportError)
    ├── InputError            something the user pointed at cannot be used
    │   ├── InputNotFoundError    there is nothing at that path (also a FileNotFoundError)
    │   ├── ImageError            it is there, but no picture can be read from it
    │   ├── VideoError            a film, camera or stream that gives no frames, or breaks off
    │   └── FrameDroppedError     a live frame that came while the one before was still in work
    ├── ModelError            a model file is broken, or its card does not fit it
    └── PluginError           a detector or classifier of the user's broke its contract

Each message is one sentence that says what is wrong and, where it helps, what to do.
`InputError` is what a batch turns into a row of the ``images`` table; the others stop the run.
"""

from __future__ import annotations


class MienError(Exception):
    """Base of every error that mien raises on purpose."""


class UsageError(MienError, ValueError):
    """A wrong argument or option: change the call."""


class MissingExtraError(MienError, ImportError):
    """An optional dependency is missing: the message names the extra to install."""


class InputError(MienError):
    """An input cannot be used; other inputs of the same run are not affected."""


class InputNotFoundError(InputError, FileNotFoundError):
    """No file or folder at the given path, or a pattern that matches nothing."""


class ImageError(InputError):
    """A file, buffer or array from which no picture can be read."""


class VideoError(InputError):
    """A film, camera or stream from which no frame can be read, or no further one."""


class FrameDroppedError(InputError):
    """A live frame that was left out so that the next ones are not late; not a failure."""


class ModelError(MienError):
    """A model file that cannot be loaded, or a card that contradicts it."""


class PluginError(MienError):
    """A user's detector, classifier, source or sink returned something outside its contract."""
