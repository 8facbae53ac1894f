"""Standard streams that always exist, take every text, and pass on no control characters."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unicodedata import east_asian_width

from mien.escaping import printable_lines

_ERRORS = "mien.stand_in"
#: What stands for the signs of mien's own tables where an encoding lacks them.
_STAND_INS = {"…": "~", "▸": ">", "–": "-", "−": "-", "×": "x", "█": "#", "│": "|", "▀": "#"}


def prepare_streams() -> None:
    """Make the standard streams safe to write any text to.

    One that is closed is opened on the null device. A character that an encoding lacks becomes a
    question mark, two where it is two cells wide, so that tables stay in line. Control characters
    of names become escapes, see `mien.escaping`.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # takes the lowest free descriptor, which is the closed one
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    codecs.register_error(_ERRORS, _stand_in)
    sys.stdout, sys.stderr = _printing(sys.stdout), _printing(sys.stderr)


class PrintableStream(io.TextIOWrapper):
    """A text stream that writes control characters, except line ends, as escapes."""

    def write(self, text: str) -> int:
        """Write the text; returns its length."""
        with _named(self):
            super().write(printable_lines(text))
        return len(text)

    def flush(self) -> None:
        """Pass on what is buffered."""
        with _named(self):
            super().flush()


class StyledStream:
    """The same stream for text that is safe already, with the escape sequences that style it."""

    def __init__(self, stream: PrintableStream) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write the text as it is."""
        with _named(self._stream):
            return io.TextIOWrapper.write(self._stream, text)


@contextmanager
def _named(stream: PrintableStream) -> Iterator[None]:
    """Name standard output in its errors; ignore those of standard error, so that runs go on."""
    try:
        yield
    except OSError as error:
        if stream is sys.stderr:
            return
        error.filename = error.filename or stream.name.strip("<>")
        raise


def _printing(stream: object) -> PrintableStream:
    assert isinstance(stream, io.TextIOWrapper)  # as Python opens them
    stream.flush()
    return PrintableStream(
        stream.buffer,
        encoding=stream.encoding,
        errors=_ERRORS,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    wide = {sign: "??" for sign in signs if east_asian_width(sign) in "WF"}
    return "".join(_STAND_INS.get(sign) or wide.get(sign, "?") for sign in signs), error.end
