"""Let the disk fill up under `mien analyze` at random sizes, then make room and go on.

    python benchmarks/full_disk.py --sizes 20 --seed 1        (needs to mount a tmpfs: root)

In each of the three formats, with and without an older table in the way, the run ends when the
disk is full. What is there then must be the older table, the whole new one, or a partial one whose
rows are those of the whole one up to some input; after there is room again, the same command must
end with the whole table.
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
    """A disk of so many bytes in memory, unmounted at the end."""
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
    """A face that moves, so that no two rows of the table are alike."""
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
    """Whether a table is the beginning of another, but for the last digits that text drops."""
    try:
        pd.testing.assert_frame_equal(part, whole.iloc[: len(part)], rtol=1e-12)
    except AssertionError:
        return False
    return True


def fill(
    disk: Path, size: int, table: str, inputs: list[Path], whole: tuple[pd.DataFrame, pd.DataFrame]
) -> list[str]:
    """One run on a disk of one size, and the next one when there is room; what was wrong."""
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
            wrong.append("a torso has the name of the table")
        if any((disk / name).read_bytes() != data for name, data in before.items() if code):
            wrong.append("the older table is not what it was")
        partial = disk / f"{table}.partial"
        for found in (path, partial):
            try:
                parts = rows(found) if found.exists() else ()
            except Exception as error:  # noqa: BLE001 - told below, whatever it is
                if found == path or type(error).__module__ != "mien.errors":
                    wrong.append(f"{found.name} cannot be read: {error!r}")
                continue
            if not all(starts_with(w, p) for w, p in zip(whole, parts, strict=False)):
                wrong.append(f"{found.name} holds other rows")
        enlarge(disk)
        code, errors = analyze(inputs, path)
        if code or not all(a.equals(b) for a, b in zip(rows(path), whole, strict=True)):
            wrong.append(f"after there was room, exit code {code}: {errors}")
        if left := [p.name for p in disk.iterdir() if "partial" in p.name or p.suffix == ".new"]:
            wrong.append(f"left behind: {left}")
    return wrong


def main() -> None:
    """Print what happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sizes", type=int, default=20)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rng, wrong, full = random.Random(asked.seed), 0, 0
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        asset = Path(__file__).parents[1] / "src" / "mien" / "assets" / "astronaut.jpg"
        inputs = [asset, make_video(home / "video.mp4", asked.frames)]
        for suffix in SUFFIXES:
            whole_path = home / f"whole{suffix}"
            assert analyze(inputs, whole_path)[0] == 0
            whole = rows(whole_path)
            needed = sum(p.stat().st_size for p in home.glob("whole*"))
            for _ in range(asked.sizes):
                size = 4096 * rng.randint(1, max(2, 3 * needed // 4096)) + rng.randint(0, 1)
                problems = fill(home / "disk", size, f"t{suffix}", inputs, whole)
                wrong += bool(problems)
                full += 1
                print(f"{suffix} {size:8} bytes: {'; '.join(problems) or 'right'}", flush=True)
    print(f"{full} disks, {wrong} ended wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
