"""Kill `mien analyze` at random moments and let the same command go on, until it ends.

    python benchmarks/kills.py --kills 100 --seed 1

Every round takes a random format and random options over the same photos and a video, sends
SIGKILL, SIGTERM or SIGINT at a random moment, runs the same command again, perhaps kills that
too, and compares what is there at the end with what an undisturbed run wrote: the tables row for
row (all columns but the milliseconds), the kept faces, the embeddings, and the annotated copies.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
SUFFIXES = (".parquet", ".csv", ".jsonl")
OPTIONS: tuple[tuple[str, ...], ...] = (
    (),
    ("--keep-faces",),
    ("--keep-faces", "--embeddings", "identity"),
    ("--annotate", "drawn"),
)
# Ctrl-C reaches Python only where it was not told to ignore it, as jobs in the background are.
_CODE = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from mien.cli import main; "
    "signal.signal(signal.SIGINT, signal.default_int_handler); main()"
)


@dataclass
class Counts:
    """What happened in all rounds together."""

    rounds: int = 0
    kills: int = 0
    during: int = 0  # the run was still going on when the signal came
    taken_over: int = 0  # inputs that were not analyzed again
    tracebacks: int = 0
    wrong: int = 0


def make_inputs(folder: Path, photos: int, frames: int, seed: int) -> list[str]:
    """Photos (one of them broken) in a folder, a video, and a photo behind them.

    Returns:
        the arguments, relative to `folder`.
    """
    import av

    from mien.media.images import read_image, write_image

    rng = np.random.default_rng(seed)
    asset = Path(__file__).parents[1] / "src" / "mien" / "assets" / "astronaut.jpg"
    face = read_image(asset)[:256, 96:352]
    (folder / "photos").mkdir(parents=True)
    for number in range(photos):
        noisy = face + rng.normal(0, 8, face.shape)
        shifted = np.roll(noisy, rng.integers(-20, 20, 2).tolist(), (0, 1))
        write_image(folder / f"photos/{number}.jpg", shifted.clip(0, 255).astype(np.uint8))
    (folder / f"photos/{photos // 2}.jpg").write_bytes(b"no image")
    write_image(folder / "last.jpg", face)
    with av.open(str(folder / "video.mp4"), "w") as video:
        stream: Any = video.add_stream("libx264", rate=10)
        stream.width = stream.height = 256
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            shift = round(20 * np.sin(number / 5))
            image = np.ascontiguousarray(np.roll(face, shift, 1))
            video.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        video.mux(stream.encode(None))
    return ["photos", "video.mp4", "last.jpg"]


def run(folder: Path, command: Sequence[str], wait_s: float | None, number: int) -> tuple[int, str]:
    """Run mien in a folder; after so many seconds it gets a signal.

    Returns:
        the exit code, and what it printed to standard error.
    """
    program = [sys.executable, "-c", _CODE, *command]
    with subprocess.Popen(program, cwd=folder, stdout=subprocess.DEVNULL, stderr=-1) as process:
        if wait_s is not None:
            try:
                process.wait(wait_s)
            except subprocess.TimeoutExpired:
                process.send_signal(number)
        errors = process.communicate(timeout=300)[1].decode()
    return process.returncode, errors


def outputs(folder: Path, table: str) -> dict[str, Any]:
    """Everything that a run wrote, comparable: tables without times taken, files by name."""
    from mien.results.collection import load_tables
    from mien.results.embeddings import read_embeddings
    from mien.results.peaks import read_peak_rows

    faces, images, labels, settings = load_tables(folder / table)
    vectors = read_embeddings(folder / table)
    found: dict[str, Any] = {
        "faces": faces,
        "images": images.drop(columns="milliseconds"),
        "labels": labels,
        "settings": settings,
        "peaks": read_peak_rows(folder / table),
        "keys": None if vectors is None else vectors.keys,
        "vectors": None if vectors is None else pd.DataFrame(vectors.vectors["identity"]),
    }
    for path in sorted((folder / "drawn").rglob("*")):
        found[str(path.relative_to(folder))] = path.read_bytes() if path.is_file() else b""
    return found


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Names of the outputs that differ."""
    wrong = [name for name in {*found, *wanted} if (name in found) != (name in wanted)]
    for name in {*found} & {*wanted}:
        one, other = found[name], wanted[name]
        if isinstance(one, pd.DataFrame) and isinstance(other, pd.DataFrame):
            same = one.equals(other)
        else:
            same = type(one) is type(other) and one == other
        wrong += [] if same else [name]
    return sorted(wrong)


def leftovers(folder: Path) -> list[str]:
    """Files that a finished run must not leave."""
    return [p.name for p in folder.rglob("*") if ".partial" in p.name or p.name.endswith(".new")]


def kill_and_go_on(
    home: Path, inputs: Sequence[str], wanted: dict[str, Any], counts: Counts, rng: random.Random
) -> list[str]:
    """One round in a folder of its own; what differs at the end."""
    suffix, options = rng.choice(SUFFIXES), rng.choice(OPTIONS)
    key = suffix + " ".join(options)
    if key not in wanted:
        with tempfile.TemporaryDirectory(dir=home) as name:
            folder = link(home, Path(name))
            begun = time.monotonic()
            code, errors = run(folder, ["analyze", *inputs, "-o", f"t{suffix}", *options], None, 0)
            assert code == 3, errors  # one photo is broken
            wanted[key] = outputs(folder, f"t{suffix}"), time.monotonic() - begun
    goal, seconds = wanted[key]
    command = ["analyze", *inputs, "-o", f"t{suffix}", *options]
    told: list[str] = []
    with tempfile.TemporaryDirectory(dir=home) as name:
        folder = link(home, Path(name))
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            number = rng.choice(SIGNALS)
            code, errors = run(folder, command, rng.uniform(0.1, 1.05) * seconds, number)
            counts.kills += 1
            counts.during += code != 3
            told.append(f"{number.name} {code}")
            if "Traceback" in errors:
                counts.tracebacks += 1
                print(errors, flush=True)
        code, errors = run(folder, command, None, 0)
        counts.taken_over += sum(
            int(line.split()[1]) for line in errors.splitlines() if "finished before" in line
        )
        if code != 3:
            return [*told, f"exit code {code}: {errors}"]
        wrong = [*differences(outputs(folder, f"t{suffix}"), goal), *leftovers(folder)]
        return [key, *told, *wrong] if wrong else []


def link(home: Path, folder: Path) -> Path:
    """A folder where the inputs are found under their own names."""
    for name in ("photos", "video.mp4", "last.jpg"):
        (folder / name).symlink_to(home / name)
    return folder


def rounds(home: Path, kills: int, photos: int, frames: int, seed: int) -> Counts:
    """Rounds until so many signals were sent."""
    inputs = make_inputs(home, photos, frames, seed)
    counts, wanted = Counts(), dict[str, Any]()
    rng = random.Random(seed)
    while counts.kills < kills:
        wrong = kill_and_go_on(home, inputs, wanted, counts, rng)
        counts.rounds += 1
        counts.wrong += bool(wrong)
        print(f"{counts.kills} signals:", *(wrong or ["right"]), flush=True)
    return counts


def main() -> None:
    """Print what happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        counts = rounds(Path(name), asked.kills, asked.photos, asked.frames, asked.seed)
    print(
        f"{counts.kills} signals in {counts.rounds} rounds, {counts.during} while the run went on; "
        f"{counts.taken_over} inputs were not analyzed again; {counts.tracebacks} tracebacks; "
        f"{counts.wrong} rounds ended wrong"
    )
    sys.exit(bool(counts.wrong or counts.tracebacks))


if __name__ == "__main__":
    main()
