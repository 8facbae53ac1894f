"""The written purpose without which nothing is said of one person."""

from __future__ import annotations

import re

from mien.errors import UsageError

_WORD = re.compile(r"[^\W\d_]+")
_WORDS, _LETTERS = 3, 12


def stated(purpose: object) -> str:
    """The purpose as one line of text, if it is a written one.

    What it says cannot be judged here, only that somebody wrote a sentence: at least three
    different words and twelve letters, or eight different letters of a script other than Latin.

    Raises:
        UsageError: it is none.
    """
    text = " ".join(purpose.split()) if isinstance(purpose, str) else ""
    words = _WORD.findall(text.lower())
    letters = "".join(words)
    latin = len(set(words)) >= _WORDS and len(letters) >= _LETTERS and len(set(letters)) >= 6
    if not latin and (text.isascii() or len(set(letters)) < 8):
        raise UsageError(
            "the engagement of one person is only told for a written purpose: say in a sentence "
            "who needs it and what for; it is kept with every value."
        )
    return text
