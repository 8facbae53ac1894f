"""How the command ends: every failure is one sentence and a documented exit code.

==== ==========================================================
   0 all inputs were read
   2 wrong use: an unknown name, a wrong option, nowhere to write
   3 some inputs, or a data set, could not be read
   4 a model or plug-in failed, or an extra is not installed
 130 stopped with Ctrl-C
==== ==========================================================
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from mien.errors import InputError, MienError, MissingExtraError, UsageError

OK, WRONG_USE, SOME_FAILED, BROKEN, STOPPED = 0, 2, 3, 4, 130


#: What an extra brings, in words, and the packages that are missing without it.
_EXTRAS = {
    "train": ("PyTorch and onnx", ("torch", "onnx")),
    "video": ("scikit-learn and onnx", ("sklearn", "onnx")),
}


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around the imports of a command that needs an extra: without it, say how to install it."""
    words, packages = _EXTRAS[name]
    try:
        yield
    except ImportError as error:
        if (error.name or "").split(".")[0] not in packages:
            raise
        raise MissingExtraError(
            f"this command needs {words}; install them with: pip install 'mien[{name}]'."
        ) from error


def told(command: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command so that what it raises becomes one sentence and an exit code."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except UsageError as error:
            raise _say(str(error), WRONG_USE) from error
        except InputError as error:
            raise _say(str(error), SOME_FAILED) from error
        except MienError as error:
            raise _say(str(error), BROKEN) from error
        except KeyboardInterrupt as error:
            raise _say("stopped; what was written is kept.", STOPPED) from error
        except BrokenPipeError as error:  # whoever read our output has gone, as in `| head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(OK) from error
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            raise _say(f"{place}{error.strerror or error}.", WRONG_USE) from error

    return run


def _say(sentence: str, code: int) -> typer.Exit:
    print(f"mien: {sentence}", file=sys.stderr)  # noqa: T201
    return typer.Exit(code)
