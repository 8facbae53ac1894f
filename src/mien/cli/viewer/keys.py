"""Single keys from a terminal, without waiting for a line to end.

The package blessed would do it, too: with three wheels of 1 MB, one compiled, for these lines.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Self

#: What terminals send for keys that are not characters (ECMA-48, and the older VT codes).
_LETTERS = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end"}
_NUMBERS = {"1": "home", "4": "end", "5": "pageup", "6": "pagedown", "7": "home", "8": "end"}
_SEQUENCES = {f"{begin}{letter}": name for begin in "[O" for letter, name in _LETTERS.items()}
_SEQUENCES |= {f"[{number}~": name for number, name in _NUMBERS.items()}
_WINDOWS = {"H": "up", "P": "down", "M": "right", "K": "left", "G": "home", "O": "end"}
_WINDOWS |= {"I": "pageup", "Q": "pagedown"}
_NAMES = {" ": "space", "\r": "enter", "\n": "enter", "\x1b": "escape"}


def names_of(text: str) -> list[str]:
    """The keys in what a terminal sent: ``"q\\x1b[A"`` is ``["q", "up"]``."""
    keys = []
    while text:
        if text[0] == "\x1b" and len(text) > 1 and text[1] in "[O":
            end = next((i for i in range(2, len(text)) if "@" <= text[i] <= "~"), len(text) - 1)
            name = _SEQUENCES.get(text[1 : end + 1])
            keys += [name] if name else []
            text = text[end + 1 :]
        else:
            keys.append(_NAMES.get(text[0], text[0]))
            text = text[1:]
    return keys


class Keys:
    """Reads keys while it is entered, and then restores the terminal, whatever happens."""

    def __enter__(self) -> Self:
        self._before: Any = None
        if sys.platform != "win32":
            import termios
            import tty

            self._fd = sys.stdin.fileno()
            self._before = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd)
        return self

    def __exit__(self, *_: object) -> None:
        if sys.platform != "win32":
            import termios

            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def read(self, seconds: float) -> list[str]:
        """The keys that were pressed, after waiting at most so long for the first."""
        if sys.platform == "win32":
            return _read_windows(seconds)
        import select

        if not select.select([self._fd], [], [], seconds)[0]:
            return []
        sent = os.read(self._fd, 1024)
        if not sent:  # the terminal has gone
            return ["q"]
        return names_of(sent.decode(errors="ignore"))


def _read_windows(seconds: float) -> list[str]:
    import msvcrt

    console: Any = msvcrt
    until = time.monotonic() + seconds
    while not console.kbhit():
        if time.monotonic() >= until:
            return []
        time.sleep(0.01)
    keys = []
    while console.kbhit():
        char = console.getwch()
        if char in ("\x00", "\xe0"):
            keys += [_WINDOWS[c] for c in (console.getwch(),) if c in _WINDOWS]
        else:
            keys += names_of(char)
    return keys
