"""Run `mien analyze` on disks of random sizes that become full, then make room and run it again.

    python benchmarks/full_disk.py --sizes 20 --seed 1        (needs to mount a tmpfs: root)

In each of the three formats, with and without an older table, the run ends when the disk is full.
Then there must be the older table, the complete new one, or a partial one whose rows are the first
rows of the complete one; with more room, the same command must end with the complete table.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

SUFFIXES = (".parquet", ".csv", ".jsonl")


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """Mount a disk of `size` bytes in memory, and unmount it at the end."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def enlarge(place: Path) -> None:
    """Give the disk room for everything."""
    subprocess.run(["mount", "-o", "remount,size=256m", str(place)], check=True)


def make_video(path: Path, frames: int) -> Path:
    """Write a video of a moving face, so that no two rows of the table are equal."""
    import av
    import numpy as np

    from mien.media.images import read_image

    asset = Path(__file__).parents[1] / "src" / "mien" / "assets" / "astronaut.jpg"
    face = read_image(asset)[:256, 96:352]
    with av.open(str(path), "w") as video:
        stream = video.add_stream("libx264", rate=10)
        stream.width = stream.height = 256
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            image = np.ascontiguousarray(np.roll(face, round(20 * np.sin(number / 5)), 1))
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            video.mux(stream.encode(frame))
        video.mux(stream.encode(None))
    return path


def analyze(inputs: list[Path], table: Path, *options: str) -> tuple[int, str]:
    """Run the command; its exit code, and what it printed to standard error."""
    code = "from mien.cli import main; main()"
    command = [sys.executable, "-c", code, "analyze", *map(str, inputs), "-o", str(table)]
    done = subprocess.run([*command, *options], capture_output=True, check=False)
    return done.returncode, done.stderr.decode()


def rows(table: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The two tables, without the time that each image took."""
    from mien.results.collection import load_tables

    faces, images, _, _ = load_tables(table)
    return faces, images.drop(columns="milliseconds")


def starts_with(whole: pd.DataFrame, part: pd.DataFrame) -> bool:
    """Whether a table is the beginning of another, up to digits that text formats round."""
    try:
        pd.testing.assert_frame_equal(part, whole.iloc[: len(part)], rtol=1e-12)
    except AssertionError:
        return False
    return True


def fill(
    disk: Path,
    size: int,
    table: str,
    inputs: list[Path],
    complete: tuple[pd.DataFrame, pd.DataFrame],
) -> list[str]:
    """Run on a disk of one size, and again with more room; the faults."""
    wrong = []
    with small_disk(disk, size):
        path = disk / table
        older = size % 2 == 0 and analyze(inputs[:1], path)[0] == 0
        before = {p.name: p.read_bytes() for p in disk.iterdir()} if older else {}
        code, errors = analyze(inputs, path)
        if code not in (0, 2) or "Traceback" in errors:
            wrong.append(f"exit code {code}: {errors}")
        if code == 2 and table not in errors:
            wrong.append(f"the message does not name the file: {errors}")
        if code != 0 and path.exists() and path.read_bytes() != before.get(table):
            wrong.append("an incomplete table has the final name")
        if any((disk / name).read_bytes() != data for name, data in before.items() if code):
            wrong.append("the older table is not what it was")
        partial = disk / f"{table}.partial"
        for file in (path, partial):
            try:
                parts = rows(file) if file.exists() else ()
            except Exception as error:  # noqa: BLE001 - any error is reported below
                if file == path or type(error).__module__ != "mien.errors":
                    wrong.append(f"{file.name} cannot be read: {error!r}")
                continue
            if not all(starts_with(w, p) for w, p in zip(complete, parts, strict=False)):
                wrong.append(f"{file.name} holds other rows")
        enlarge(disk)
        code, errors = analyze(inputs, path)
        if code or not all(a.equals(b) for a, b in zip(rows(path), complete, strict=True)):
            wrong.append(f"after there was room, exit code {code}: {errors}")
        if left := [p.name for p in disk.iterdir() if "partial" in p.name or p.suffix == ".new"]:
            wrong.append(f"left behind: {left}")
    return wrong


def main() -> None:
    """Print the faults of every disk."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sizes", type=int, default=20)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng, wrong, full = random.Random(options.seed), 0, 0
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        asset = Path(__file__).parents[1] / "src" / "mien" / "assets" / "astronaut.jpg"
        inputs = [asset, make_video(home / "video.mp4", options.frames)]
        for suffix in SUFFIXES:
            complete_path = home / f"whole{suffix}"
            assert analyze(inputs, complete_path)[0] == 0
            complete = rows(complete_path)
            needed = sum(p.stat().st_size for p in home.glob("whole*"))
            for _ in range(options.sizes):
                size = 4096 * rng.randint(1, max(2, 3 * needed // 4096)) + rng.randint(0, 1)
                problems = fill(home / "disk", size, f"t{suffix}", inputs, complete)
                wrong += bool(problems)
                full += 1
                print(f"{suffix} {size:8} bytes: {'; '.join(problems) or 'right'}", flush=True)
    print(f"{full} disks, {wrong} ended wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
