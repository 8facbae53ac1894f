"""A terminal and a window as users have them: the command in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.results import frame_result, mostly, save_table
from helpers.videos import write_video

FRAMES, FPS = 12, 10


@pytest.fixture
def table(tmp_path: Path) -> Path:
    film = write_video(tmp_path / "film.mp4", frames=FRAMES, fps=FPS)
    rows = (
        frame_result(i / FPS, {1: mostly("happiness")}, index=i, source=str(film))
        for i in range(FRAMES)
    )
    return save_table(rows, tmp_path / "film.parquet")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_table_is_scrolled_through_in_a_terminal(table: Path) -> None:
    import pty

    main, end = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment |= {"TERM": "xterm-256color", "LINES": "40", "COLUMNS": "110"}
    call = [sys.executable, "-c", "import mien.cli; mien.cli.main()", "view", str(table)]
    process = subprocess.Popen(call, stdin=end, stdout=end, stderr=end, env=environment)
    os.close(end)
    try:
        _read_until(main, "(1 of 12)")
        os.write(main, b"\x1b[C")
        seen = _read_until(main, "(2 of 12)")
        assert "happiness" in seen
        os.write(main, b"q")
        _read_until(main, "\x1b[?25h")  # the cursor is given back
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(main)


def _read_until(terminal: int, words: str, seconds: float = 60) -> str:
    """What the terminal was sent up to `words`."""
    os.set_blocking(terminal, False)
    seen, end = b"", time.monotonic() + seconds
    while words not in seen.decode(errors="replace"):
        assert time.monotonic() < end, f"no {words!r} came, but {seen[-2000:]!r}"
        try:
            seen += os.read(terminal, 1 << 16)
        except BlockingIOError:
            time.sleep(0.02)
        except OSError as error:  # Linux says so when the other end has closed
            raise AssertionError(f"it ended before {words!r}: {seen[-2000:]!r}") from error
    return seen.decode(errors="replace")


_WINDOW = """
import sys
from pathlib import Path
from mien.cli.commands.view import load
from mien.cli.viewer.window import show_in_window
from mien.errors import InputError

viewer, shown = load(Path(sys.argv[1])), []
def note(screen):
    shown.append(screen.index)
    viewer.press("right" if len(shown) < 3 else "q")
def fail():
    raise InputError("nothing to see.")
viewer.shown = note
if sys.argv[2] == "fail":
    viewer.screen = fail
try:
    print(show_in_window(viewer), shown)
except InputError as error:
    print(f"raised: {error}")
"""


@pytest.mark.skipif(not shutil.which("xvfb-run"), reason="no virtual screen (xvfb-run)")
@pytest.mark.parametrize(
    ("how", "output"), [("show", "True [0, 1, 2]"), ("fail", "raised: nothing to see.")]
)
def test_a_window_shows_frames_and_hands_on_errors(table: Path, how: str, output: str) -> None:
    pytest.importorskip("tkinter", reason="this Python has no Tk")
    call = ["xvfb-run", "-a", sys.executable, "-c", _WINDOW, str(table), how]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == output, done.stderr
