"""How the command ends: every failure is one sentence and a documented exit code.

==== ==========================================================
   0 all inputs were read
   2 wrong use: an unknown name, a wrong option, nowhere to write
   3 some inputs, or a data set, could not be read
   4 a model or plug-in failed, or an extra is not installed
 130 stopped with Ctrl-C, SIGTERM or SIGHUP
==== ==========================================================
"""

from __future__ import annotations

import functools
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import typer

from mien.cli.signals import STOPPED
from mien.errors import InputError, MienError, MissingExtraError, UsageError
from mien.escaping import printable, printable_lines

OK, WRONG_USE, SOME_FAILED, BROKEN = 0, 2, 3, 4


#: Set this variable to see the traceback of what should not have happened.
_DEBUG = "MIEN_DEBUG"
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
            _discard_output()
            raise typer.Exit(OK) from error
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            raise _say(f"{place}{error.strerror or error}.", WRONG_USE) from error
        except MemoryError as error:
            raise _say("not enough memory; free some, or give smaller inputs.", BROKEN) from error
        except Exception as error:
            if _was_interrupted(error):
                raise _say("stopped; what was written is kept.", STOPPED) from error
            if isinstance(error, typer.Exit | typer.Abort) or hasattr(error, "exit_code"):
                raise  # an end that is meant, or wrong use that typer explains
            if os.environ.get(_DEBUG):
                raise
            raise _say(
                f"this is a bug of mien: {type(error).__name__}: {error}; please report it with "
                f"what is shown when the variable {_DEBUG}=1 is set.",
                BROKEN,
            ) from error

    return run


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error, as when it falls into the import of a native library."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def run(app: typer.Typer) -> int:
    """Run the command line; returns the exit code when all that was printed has been passed on."""
    try:
        code = app(standalone_mode=False) or OK
        sys.stdout.flush()
        return int(code)
    except KeyboardInterrupt:
        return STOPPED
    except typer.Abort:
        return STOPPED
    except BrokenPipeError:
        _discard_output()
        return OK
    except OSError as error:
        _discard_output()
        _say(f"{error.filename}: {error.strerror or error}.", WRONG_USE)
        return WRONG_USE
    except Exception as error:
        if not hasattr(error, "show"):
            raise
        usage = io.StringIO()  # typer's own words about wrong use, which repeat the arguments
        error.show(file=usage)
        print(printable_lines(usage.getvalue()), end="", file=sys.stderr)  # noqa: T201
        return WRONG_USE


def _say(sentence: str, code: int) -> typer.Exit:
    with suppress(OSError):  # the terminal may be gone
        print(f"mien: {printable(sentence)}", file=sys.stderr)  # noqa: T201
    return typer.Exit(code)


def _discard_output() -> None:
    """Let what standard output still holds go nowhere, since nobody takes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
