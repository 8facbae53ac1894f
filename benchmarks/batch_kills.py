"""Kill `mien batch` at random moments, continue it each time, and compare the merged tables.

    python benchmarks/batch_kills.py [--kills 30] [--seed 1] [--photos 3000]

The whole process group gets SIGKILL. Afterwards seven tasks do the same inputs with `--shard`, in
any order, two of them twice at the same time. All three tables must be equal, row for row, to that
of an undisturbed run (all columns but the milliseconds).
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import mien
from mien.media.images import read_image, write_image

PHOTO = Path(mien.__file__).parent / "assets" / "astronaut.jpg"


def command(folder: Path, out: str, *more: str) -> list[str]:
    """A call of `mien batch`."""
    return [
        sys.executable,
        "-m",
        "mien",
        "batch",
        str(folder / "in"),
        "-o",
        str(folder / out),
        *more,
    ]


def tables(folder: Path, out: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The merged tables of a batch."""
    target = folder / f"{out}.parquet"
    merge = [sys.executable, "-m", "mien", "batch", "merge", str(folder / out), "-o", str(target)]
    subprocess.run(merge, check=True, capture_output=True)
    images = pd.read_parquet(folder / f"{out}.images.parquet").drop(columns=["milliseconds"])
    return pd.read_parquet(target), images


def main() -> None:
    """Run all three, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--photos", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "in").mkdir()
        image = read_image(PHOTO)
        small = np.ascontiguousarray(image[:320:2, 100:420:2])
        for number in range(options.photos):
            write_image(folder / "in" / f"{number}.jpg", np.roll(small, number % 17, axis=1))
        started = time.monotonic()
        subprocess.run(command(folder, "whole"), check=True, capture_output=True)
        seconds = time.monotonic() - started
        want = tables(folder, "whole")
        print(f"undisturbed: {len(want[1]):,} images in {seconds:.0f} s")
        kills = runs = 0
        while True:
            runs += 1
            process = subprocess.Popen(
                command(folder, "killed"), start_new_session=True, stderr=subprocess.DEVNULL
            )
            # Enough time for a shard now and then, so that it comes to an end.
            wait = chance.uniform(0, 0.5 * seconds) if kills < options.kills else 1e6
            try:
                process.wait(wait)
                break
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
        done = len(list((folder / "killed" / "done").iterdir()))
        print(f"killed: {kills} kills in {runs} runs, {done} shards")
        parts = [f"{number}/7" for number in range(1, 8)]
        chance.shuffle(parts)
        for part in parts:
            twice = 2 if part in parts[:2] else 1
            calls = [
                subprocess.Popen(
                    command(folder, "shared", "--shard", part, "--workers", "1"),
                    stderr=subprocess.DEVNULL,
                )
                for _ in range(twice)
            ]
            assert [call.wait() for call in calls] == [0] * twice
        print(f"shared: tasks {', '.join(parts)}, the first two of them twice at once")
        for out in ("killed", "shared"):
            for have, wanted in zip(tables(folder, out), want, strict=True):
                pd.testing.assert_frame_equal(have, wanted)
        print("equal, row for row")


if __name__ == "__main__":
    main()
