"""The command in a process of its own."""

from __future__ import annotations

import subprocess
import sys


def run_mien(*arguments: object, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run the real command in a process of its own."""
    command = [sys.executable, "-c", "from mien.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, input=stdin, timeout=300, check=False)
