"""Processes that die take no batch with them: the input that ends them is left out and named."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.batches import merged, photos, run
from helpers.command import run_mien

from mien.batch import BatchFolder, BatchOptions, Workers, begin
from mien.errors import MienError
from mien.media.images import write_image

DEADLY = '''
import os
import time
from mien import load_detector

class Deadly:
    """Detects faces, and dies at red images."""

    def __init__(self):
        self._usual = load_detector("yunet")
        if os.environ.get("DEADLY") == "start":
            os._exit(3)
        if os.environ.get("DEADLY") == "sleep":
            time.sleep(60)

    def detect(self, image):
        if image[..., 0].mean() > 200 and image[..., 1].mean() < 50:
            os.kill(os.getpid(), 11)
        return self._usual.detect(image)
'''


def do_one(folder: BatchFolder, options: BatchOptions) -> None:
    with Workers(folder, options, 1) as running:
        list(running.run([0]))


@pytest.fixture
def deadly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BatchOptions:
    """A plug-in that dies at red images, as a decoder may."""
    package = tmp_path / "plugin"
    (package / "deadly-1.dist-info").mkdir(parents=True)
    (package / "deadly.py").write_text(DEADLY)
    (package / "deadly-1.dist-info" / "METADATA").write_text("Name: deadly\nVersion: 1\n")
    (package / "deadly-1.dist-info" / "entry_points.txt").write_text(
        "[mien.detectors]\ndeadly = deadly:Deadly\n"
    )
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.setenv("PYTHONPATH", f"{package}:{Path(__file__).parents[1] / 'src'}")
    return BatchOptions(detector="deadly")


def test_a_poisonous_input_is_left_out(deadly: BatchOptions, photo: Path, tmp_path: Path) -> None:
    folder = photos(tmp_path / "in", photo, 4)
    write_image(folder / "1b.png", np.full((60, 60, 3), (255, 0, 0), np.uint8))
    write_image(folder / "2b.png", np.full((60, 60, 3), (255, 0, 0), np.uint8))
    status = run(tmp_path / "out", folder, options=deadly, workers=2)
    assert (status.total("images"), status.total("faces"), status.total("failed")) == (4, 4, 2)
    for name, sentence in status.errors():
        assert name.endswith("b.png")
        assert sentence == f"{name} was left out: twice, the process was ended by SIGSEGV at it."
    _, images = merged(tmp_path / "out", tmp_path / "t.parquet")
    assert [Path(source).name for source in images["source"]] == [
        *("0.jpg", "1.jpg", "1b.png", "2.jpg", "2b.png", "3.jpg")
    ]
    assert images["status"].tolist() == ["ok", "ok", "error", "ok", "error", "ok"]


def test_a_plug_that_never_starts_ends_the_batch(
    deadly: BatchOptions, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = BatchFolder(tmp_path / "out")
    plan, _ = begin(folder, [str(photo)], deadly)
    monkeypatch.setenv("DEADLY", "start")
    with pytest.raises(MienError, match="ended with code 3 before it read an input"):
        do_one(folder, plan.options)


def test_a_stuck_process_is_ended(
    deadly: BatchOptions, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.batch import workers

    folder = BatchFolder(tmp_path / "out")
    plan, _ = begin(folder, [str(photo)], deadly)
    monkeypatch.setattr(workers, "_STALLED_S", 0.05)
    monkeypatch.setenv("DEADLY", "sleep")
    with pytest.raises(MienError, match="did nothing for 0 minutes before it read an input"):
        do_one(folder, plan.options)


def test_a_script_needs_no_guard(photo: Path, tmp_path: Path) -> None:
    script = (
        "from mien.batch import *\n"
        f"folder = BatchFolder({str(tmp_path / 'out')!r})\n"
        f"plan, _ = begin(folder, [{str(photo)!r}], BatchOptions())\n"
        "with Workers(folder, plan.options, 1) as running:\n"
        "    print([event.record.faces for event in running.run([0]) if event.record])\n"
    )
    (tmp_path / "script.py").write_text(script)
    for call, text in (([str(tmp_path / "script.py")], ""), (["-"], script)):
        ran = subprocess.run(
            [sys.executable, *call], input=text, capture_output=True, text=True, check=False
        )
        assert ran.stdout.strip() == "[1]", ran.stderr
        shutil.rmtree(tmp_path / "out")


def test_a_command_with_a_broken_model_is_one_sentence(photo: Path, tmp_path: Path) -> None:
    ran = run_mien("batch", photo, "-o", tmp_path / "out", "--model", "nobody")
    assert ran.returncode == 2
    assert b"nobody" in ran.stderr
    assert not (tmp_path / "out").exists()
