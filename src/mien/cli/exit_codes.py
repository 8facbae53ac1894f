"""How a command ends: every failure is one sentence and a documented exit code.

==== ==========================================================
   0 all inputs were read
   2 usage error: an unknown name, a wrong option, nowhere to write
   3 some inputs, or a data set, could not be read
   4 a model or plug-in failed, or an extra is not installed
 130 stopped with Ctrl-C, SIGTERM or SIGHUP
==== ==========================================================
"""

from __future__ import annotations

import functools
import inspect
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from inspect import Parameter
from typing import Any

import typer

from mien.cli.console import Meter, verbosity, warn
from mien.cli.options import Quiet, Verbose
from mien.cli.signals import STOPPED
from mien.errors import InputError, MienError, MissingExtraError, UsageError
from mien.escaping import printable_lines

OK, WRONG_USE, SOME_FAILED, BROKEN = 0, 2, 3, 4


#: What an extra brings, in words, and the packages that are missing without it.
_EXTRAS = {
    "train": ("PyTorch and onnx", {"torch": "torch", "onnx": "onnx"}),
    "video": ("scikit-learn and onnx", {"sklearn": "scikit-learn", "onnx": "onnx"}),
    "ray": ("Ray", {"ray": "ray"}),
    "serve": (
        "FastAPI, uvicorn and huey",
        {
            "fastapi": "fastapi",
            "uvicorn": "uvicorn",
            "websockets": "websockets",
            "huey": "huey",
            "redis": "redis",
            "multipart": "python-multipart",
            "python_multipart": "python-multipart",
            "prometheus_client": "prometheus-client",
            "standardwebhooks": "standardwebhooks",
            "pydantic": "fastapi",
            "starlette": "fastapi",
        },
    ),
}
_CPU_ONLY = "https://download.pytorch.org/whl/cpu"  # hundreds of megabytes instead of gigabytes
#: Options that people look for, and what there is instead.
_INSTEAD = dict.fromkeys(
    ("--device", "--gpu", "--cuda"),
    "It needs no option: CUDA is used where onnxruntime-gpu is installed, otherwise the CPU.",
)


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around the imports of a command that needs an extra: say how to install what is missing."""
    words, packages = _EXTRAS[name]
    try:
        yield
    except ImportError as error:
        if (error.name or "").split(".")[0] not in packages:
            raise
        cpu_only = f" (without a GPU, add --extra-index-url {_CPU_ONLY})"
        missing = " ".join(dict.fromkeys(packages.values()))
        raise MissingExtraError(
            f"this command needs {words}; run: pip install {missing}, or in a "
            f"clone of mien: pip install -e '.[{name}]'{cpu_only if 'torch' in packages else ''}."
        ) from error


def with_exit_code(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose errors become one sentence and an exit code, with ``-q`` and ``-v``."""

    @functools.wraps(command)
    def run(*args: Any, quiet: bool = False, verbose: bool = False, **options: Any) -> None:
        verbosity.quiet, verbosity.verbose = quiet, verbose
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
        except BrokenPipeError as error:  # the reader of the output has gone, as in `| head`
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
                raise  # an intended end, or a usage error that Typer explains
            if verbose:
                raise
            raise _say(
                f"this is a bug of mien: {type(error).__name__}: {error}; please report it with "
                "what --verbose shows.",
                BROKEN,
            ) from error
        finally:
            Meter.hide()

    given = inspect.signature(command, eval_str=True)
    further = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in (("quiet", Quiet), ("verbose", Verbose))
    ]
    wrapper: Any = run
    wrapper.__signature__ = given.replace(parameters=[*given.parameters.values(), *further])
    return run


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error, as when it falls into the import of a native library."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def run(app: typer.Typer) -> int:
    """Run the command line; returns the exit code once all output has been passed on."""
    try:
        code = app(standalone_mode=False) or OK
        sys.stdout.flush()
        return int(code)
    except (KeyboardInterrupt, typer.Abort):
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
        option: Any = error
        if hint := _INSTEAD.get(getattr(error, "option_name", "")):
            option.possibilities = []
            option.message = f"{option.message.rstrip('.')}. {hint}"
        usage = io.StringIO()  # Typer's text, which repeats the arguments
        error.show(file=usage)
        sys.stderr.write(printable_lines(usage.getvalue()))
        return WRONG_USE


def _say(sentence: str, code: int) -> typer.Exit:
    with suppress(OSError):  # the terminal may be gone
        warn(sentence)
    return typer.Exit(code)


def _discard_output() -> None:
    """Send what standard output still holds to nowhere, since nobody reads it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
