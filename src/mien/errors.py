"""All errors that mien raises on purpose, in one tree.

    MienError
    ├── UsageError            a wrong argument or option (also a ValueError)
    ├── MissingExtraError     an optional part of mien is not installed (also an ImportError)
    ├── InputError            an input cannot be used
    │   ├── InputNotFoundError    no such file or folder (also a FileNotFoundError)
    │   ├── ImageError            it exists, but no image can be read from it
    │   ├── VideoError            a video, camera or stream that gives no frames, or breaks off
    │   └── FrameDroppedError     a live frame that arrived while another was being analyzed
    ├── ModelError            a model file is missing or damaged, or does not match its card
    └── PluginError           a detector, classifier, source or sink violated its contract

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
    """A file, buffer or array from which no image can be read."""


class VideoError(InputError):
    """A video, camera or stream from which no frame, or no further frame, can be read."""


class FrameDroppedError(InputError):
    """A live frame that was dropped so that later ones are on time; not a failure."""


class ModelError(MienError):
    """A model file that cannot be loaded, or does not match its card."""


class PluginError(MienError):
    """A detector, classifier, source or sink failed, or returned something outside its contract."""
