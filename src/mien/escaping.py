"""Escaping of untrusted text, such as file names, for terminals, JSON and CSV.

A file name may hold anything: terminal escape sequences, line breaks, spreadsheet formulas.
"""

from __future__ import annotations

import re

#: Control characters (C0, DEL, C1), line and paragraph separators, bidirectional controls (Unicode
#: TR 36, section 3), and the lone surrogates that stand for the bytes of a name that is not UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
#: What spreadsheets take for the beginning of a formula, see
#: https://owasp.org/www-community/attacks/CSV_Injection.
_FORMULA = re.compile(r"[=+\-@\t\r]")
_ESCAPED = re.compile(r"'['=+\-@\t\r]")


def printable(text: str) -> str:
    r"""The text on one line, as a terminal may show it: control characters as ``\x1b``.

    Other characters, and the backslash itself, stay as they are.
    """
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)


def printable_lines(text: str) -> str:
    """`printable` for a text of several lines."""
    return "\n".join(map(printable, text.split("\n")))


def json_text(text: str) -> str:
    r"""Equivalent JSON without unprintable characters: ``\u009b`` for the character."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def csv_cell(text: str) -> str:
    """The text with an apostrophe before it where a spreadsheet would take it for a formula.

    So ``=1+1.jpg`` becomes ``'=1+1.jpg``; `csv_text` is the inverse. A text that begins like an
    escaped one gets an apostrophe, too.
    """
    return f"'{text}" if _FORMULA.match(text) or _ESCAPED.match(text) else text


def csv_text(cell: str) -> str:
    """The text of a cell that `csv_cell` made."""
    return cell[1:] if _ESCAPED.match(cell) else cell
