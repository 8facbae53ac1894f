"""The pages that people follow word for word: their blocks are executed, their outputs compared.

A page runs in a copy of ``examples/``, its blocks in order. Comments before a block steer it:
``<!-- not run: REASON -->`` leaves it out, ``<!-- status: N -->`` is the exit code of some of its
commands (all others: 0), and ``<!-- output -->`` precedes lines that the block before must have
printed.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
FOLLOWED = [ROOT / "README.md", *(ROOT / "docs" / f"{n}.md" for n in ("index", "formats", "faq"))]
FOLLOWED += sorted((ROOT / "docs" / "tutorials").glob("*.md"))
#: Blocks that no test can run: cameras, networks, R, hours. A new one is added here on purpose.
NOT_RUN = 12
BLOCK = re.compile(r"(?:^<!-- ([^>]*) -->\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block with the comment before it."""

    note: str
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in BLOCK.findall(page.read_text("utf-8"))]


def run_shell(text: str, folder: Path, status: int) -> str:
    """Run commands as a shell does, with the `mien` of this environment."""
    shims = folder.parent / "bin"
    shims.mkdir(exist_ok=True)
    shim = shims / "mien"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mien "$@"\n')
    shim.chmod(0o755)
    env = {**os.environ, "PATH": f"{shims}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "100"}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), env.get("PYTHONPATH", "")])
    printed, ended = "", set()
    for line in text.replace("\\\n", " ").splitlines():
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        printed += done.stdout + done.stderr
        ended.add(done.returncode)
        assert done.returncode in (0, status), f"{line}: {printed}"
    assert status in ended, printed
    return printed


def run_python(text: str, names: dict[str, Any]) -> str:
    """Run code in the names of the page's earlier blocks; what it printed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(text, "block", "exec"), names)
    return out.getvalue()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the blocks are for a POSIX shell")
@pytest.mark.parametrize("page", FOLLOWED, ids=lambda path: path.stem)
def test_blocks_run_and_print_what_the_page_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "examples"
    shutil.copytree(ROOT / "examples", folder)
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    printed = ""
    for block in blocks(page):
        kind, _, detail = block.note.partition(": ")
        if kind == "not run":
            continue
        if kind == "output":
            said = [" ".join(line.split()) for line in block.text.splitlines()]
            lines = " ".join(printed.split())
            assert [line for line in said if line not in lines] == [], printed
        elif block.language == "sh":
            printed = run_shell(block.text, folder, int(detail) if kind == "status" else 0)
        elif block.language == "python":
            printed = run_python(block.text, names)


def test_the_blocks_that_do_not_run_say_why_and_are_counted() -> None:
    notes = [b.note for page in FOLLOWED for b in blocks(page) if b.note.startswith("not run")]
    assert all(len(note) > len("not run: ") + 5 for note in notes)
    assert len(notes) == NOT_RUN
    unmarked = [
        (page.name, block.language)
        for page in FOLLOWED
        for block in blocks(page)
        if block.language not in ("sh", "python", "text", "toml") and not block.note
    ]
    assert unmarked == []
