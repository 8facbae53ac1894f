"""The ``mien`` command. Data goes to standard output, progress and errors to standard error.

Exit codes: see `mien.cli.exit_codes`.
"""

from __future__ import annotations

import sys

from mien.cli.signals import ignore_signals, interrupt_on_signals, quit_on_signals


def main() -> None:
    """Run the command; signals are handled before anything large is imported."""
    quit_on_signals()
    from mien.cli.streams import prepare_streams

    prepare_streams()
    from mien.cli.commands import app
    from mien.cli.exit_codes import run

    interrupt_on_signals()
    code = run(app)
    ignore_signals()
    sys.exit(code)
