"""Ctrl-C, and the signals that mean the same: SIGTERM of a scheduler, SIGHUP of a terminal."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeAlias

#: The exit code of a command that was interrupted.
STOPPED = 130
#: Within these seconds, further signals of a scheduler or a closing terminal say nothing new.
_ONE_S = 5.0

#: For each `uninterrupted` block that is running, whether a signal waits for its end.
_put_off: list[bool] = []

_Handler: TypeAlias = Callable[[int, FrameType | None], None]


def quit_on_signals() -> None:
    """Let a signal end the process at once: there is nothing yet that must be finished."""
    _handle(lambda _number, _frame: os._exit(STOPPED))


def interrupt_on_signals() -> None:
    """Let a signal raise `KeyboardInterrupt`, so that what is done is kept."""
    first: list[float] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        again = bool(first) and time.monotonic() - first[0] < _ONE_S
        if again and number != signal.SIGINT:
            return
        first.append(time.monotonic())
        if _put_off and not _put_off[-1]:  # a second Ctrl-C does not wait
            _put_off[-1] = True
            return
        raise KeyboardInterrupt

    _handle(interrupt)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Put off a signal until the block is done: a result is written to all files or to none."""
    _put_off.append(False)
    interrupted = False
    try:
        yield
    finally:
        interrupted = _put_off.pop()
    if interrupted:
        raise KeyboardInterrupt


def ignore_signals() -> None:
    """Let no signal disturb the end of the process."""
    _handle(signal.SIG_IGN)


def _handle(handler: _Handler | signal.Handlers) -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        # One that is ignored stays so: nohup and shells in the background want it.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
