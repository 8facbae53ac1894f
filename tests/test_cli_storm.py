"""A small storm of damaged inputs; `benchmarks/storm.py` is the whole one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

STORM = Path(__file__).parents[1] / "benchmarks" / "storm.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the storm forks")
def test_no_damaged_input_ends_in_a_traceback_signal_or_hang(tmp_path: Path) -> None:
    counts = ["--images", "20", "--videos", "8", "--models", "16", "--tables", "20"]
    done = subprocess.run(
        [sys.executable, str(STORM), *counts, "--seed", "15", "--keep", str(tmp_path / "kept")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| tables | 20 |" in done.stdout
