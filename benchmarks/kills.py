"""Interrupt `mien analyze` at random times, and run the same command again until it ends.

    python benchmarks/kills.py --kills 100 --seed 1

Every round analyzes the same photos and a video, in a random format and with random options, sends
SIGKILL, SIGTERM or SIGINT at a random time, and runs the same command again, perhaps interrupted
too. Its outputs at the end are compared with those of an uninterrupted run: the tables row for row
(all columns but the milliseconds), the stored faces, the embeddings, and the annotated copies.
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
# Processes in the background ignore Ctrl-C unless they ask for it.
_CODE = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from mien.cli import main; "
    "signal.signal(signal.SIGINT, signal.default_int_handler); main()"
)


@dataclass
class Counts:
    """Totals over all rounds."""

    rounds: int = 0
    kills: int = 0
    during: int = 0  # the run had not ended when the signal was sent
    reused: int = 0  # inputs that were not analyzed again
    tracebacks: int = 0
    wrong: int = 0


def make_inputs(folder: Path, photos: int, frames: int, seed: int) -> list[str]:
    """Write a folder of photos (one of them damaged), a video, and another photo.

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
    """Run mien in a folder, and send it a signal after `wait_s` seconds.

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
    """All outputs of a run: tables without the time that each image took, files by name."""
    from mien.results.collection import load_tables
    from mien.results.embeddings import read_embeddings
    from mien.results.peaks import read_peak_rows

    faces, images, labels, settings = load_tables(folder / table)
    vectors = read_embeddings(folder / table)
    written: dict[str, Any] = {
        "faces": faces,
        "images": images.drop(columns="milliseconds"),
        "labels": labels,
        "settings": settings,
        "peaks": read_peak_rows(folder / table),
        "keys": None if vectors is None else vectors.keys,
        "vectors": None if vectors is None else pd.DataFrame(vectors.vectors["identity"]),
    }
    for path in sorted((folder / "drawn").rglob("*")):
        written[str(path.relative_to(folder))] = path.read_bytes() if path.is_file() else b""
    return written


def differences(written: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Names of the outputs that differ."""
    wrong = [*({*written} ^ {*expected})]
    for name in {*written} & {*expected}:
        one, other = written[name], expected[name]
        if isinstance(one, pd.DataFrame) and isinstance(other, pd.DataFrame):
            same = one.equals(other)
        else:
            same = type(one) is type(other) and one == other
        wrong += [] if same else [name]
    return sorted(wrong)


def leftovers(folder: Path) -> list[str]:
    """Temporary files that are still there after a finished run."""
    return [p.name for p in folder.rglob("*") if ".partial" in p.name or p.name.endswith(".new")]


def interrupted_round(
    home: Path, inputs: Sequence[str], expected: dict[str, Any], counts: Counts, rng: random.Random
) -> list[str]:
    """Run one round in its own folder; the outputs that differ at the end."""
    suffix, options = rng.choice(SUFFIXES), rng.choice(OPTIONS)
    key = suffix + " ".join(options)
    if key not in expected:
        with tempfile.TemporaryDirectory(dir=home) as name:
            folder = link(home, Path(name))
            begun = time.monotonic()
            code, errors = run(folder, ["analyze", *inputs, "-o", f"t{suffix}", *options], None, 0)
            assert code == 3, errors  # one photo is damaged
            expected[key] = outputs(folder, f"t{suffix}"), time.monotonic() - begun
    reference, seconds = expected[key]
    command = ["analyze", *inputs, "-o", f"t{suffix}", *options]
    events: list[str] = []
    with tempfile.TemporaryDirectory(dir=home) as name:
        folder = link(home, Path(name))
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            number = rng.choice(SIGNALS)
            code, errors = run(folder, command, rng.uniform(0.1, 1.05) * seconds, number)
            counts.kills += 1
            counts.during += code != 3
            events.append(f"{number.name} {code}")
            if "Traceback" in errors:
                counts.tracebacks += 1
                print(errors, flush=True)
        code, errors = run(folder, command, None, 0)
        counts.reused += sum(
            int(line.split()[1]) for line in errors.splitlines() if "finished before" in line
        )
        if code != 3:
            return [*events, f"exit code {code}: {errors}"]
        wrong = [*differences(outputs(folder, f"t{suffix}"), reference), *leftovers(folder)]
        return [key, *events, *wrong] if wrong else []


def link(home: Path, folder: Path) -> Path:
    """Link the inputs into a folder under their own names."""
    for name in ("photos", "video.mp4", "last.jpg"):
        (folder / name).symlink_to(home / name)
    return folder


def rounds(home: Path, kills: int, photos: int, frames: int, seed: int) -> Counts:
    """Run rounds until `kills` signals have been sent."""
    inputs = make_inputs(home, photos, frames, seed)
    counts, expected = Counts(), dict[str, Any]()
    rng = random.Random(seed)
    while counts.kills < kills:
        wrong = interrupted_round(home, inputs, expected, counts, rng)
        counts.rounds += 1
        counts.wrong += bool(wrong)
        print(f"{counts.kills} signals:", *(wrong or ["right"]), flush=True)
    return counts


def main() -> None:
    """Print the totals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        counts = rounds(Path(name), options.kills, options.photos, options.frames, options.seed)
    print(
        f"{counts.kills} signals in {counts.rounds} rounds, {counts.during} during the run; "
        f"{counts.reused} inputs were not analyzed again; {counts.tracebacks} tracebacks; "
        f"{counts.wrong} rounds ended wrong"
    )
    sys.exit(bool(counts.wrong or counts.tracebacks))


if __name__ == "__main__":
    main()
