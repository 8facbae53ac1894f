"""The ``mien`` command. Data goes to standard output, progress and errors to standard error.

Exit codes: 0 all inputs were read; 2 wrong use; 3 some inputs could not be read; 4 a model or
plug-in failed; 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import sys

import typer

from mien.cli import analyze, demo, evaluate, models, train
from mien.errors import InputError, MienError, UsageError

OK, WRONG_USE, SOME_FAILED, BROKEN, STOPPED = 0, 2, 3, 4, 130

app = typer.Typer(
    name="mien",
    help="Faces in, a tidy and honest table of apparent facial expressions out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("analyze")(analyze.analyze)
app.command("demo")(demo.demo)
app.command("models")(models.models)
app.command("evaluate")(evaluate.evaluate)
app.command("train")(train.train)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        from mien import __version__

        print(__version__)  # noqa: T201
        raise typer.Exit


def main() -> None:
    """Run the command; every error of mien's becomes one sentence and an exit code."""
    try:
        app()
    except UsageError as error:
        _say(error, WRONG_USE)
    except InputError as error:
        _say(error, SOME_FAILED)
    except MienError as error:
        _say(error, BROKEN)
    except KeyboardInterrupt:
        print("mien: stopped; what was done is kept.", file=sys.stderr)  # noqa: T201
        sys.exit(STOPPED)
    except BrokenPipeError:  # the reader of our output has gone, as in `mien ... | head`
        sys.stderr.close()
        sys.exit(OK)


def _say(error: Exception, code: int) -> None:
    print(f"mien: {error}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
