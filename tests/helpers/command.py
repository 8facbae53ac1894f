"""The command: in this process, which is quick, and in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from typer.testing import CliRunner, Result

from mien.cli.commands import app


def mien(*arguments: object) -> Result:
    """Run a command in this process; it may end with any exit code, but not break."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert "Traceback" not in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def run_mien(*arguments: object, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run the real command in a process of its own."""
    command = [sys.executable, "-c", "from mien.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, input=stdin, timeout=300, check=False)
