"""Batches: speed a core, overhead of manifest and shards, memory, and cost of large numbers.

    python benchmarks/batch.py [--photos 4000] [--videos 20] [--listing 1000000] [--ray]

Every figure is a ratio of runs on the same machine, one after the other: `mien batch` with one
worker and with one per processor against `EmotionAnalyzer.run` on one thread in one process;
the cost of a photo of a large batch against that of a small one; and the listing of very many
paths, which are empty files that share one content by hard links.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import mien
from mien.media.images import read_image, write_image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from helpers.videos import write_video

PHOTO = Path(mien.__file__).parent / "assets" / "astronaut.jpg"
_LINKS = 60_000  # hard links of one file; file systems allow some 65,000


def timed(code: str, *arguments: object) -> tuple[float, float, float]:
    """Wall and processor seconds, and peak memory in MiB, of a process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    wrapped = (
        f"{code}\nimport resource as r, sys\nprint(max(r.getrusage(w).ru_maxrss for w in (0, -1)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", wrapped, *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    seconds = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, spent, int(ran.stdout.split()[-1]) / 1024


_ALONE = """
import sys, os
import cv2; cv2.setNumThreads(1)
if hasattr(os, "sched_setaffinity"): os.sched_setaffinity(0, {0})
from mien import EmotionAnalyzer, TableSink
analyzer = EmotionAnalyzer(threads=1)
analyzer.run(sys.argv[1], TableSink(sys.argv[2], analyzer))
"""
_BATCH = """
import sys
from mien.cli.commands import app
try: app(["batch", *sys.argv[1:]], standalone_mode=False)
except SystemExit: pass
"""
_LIST = """
import sys
from pathlib import Path
from mien.batch.listing import Listing
from mien.batch.manifest import write_manifest
print(write_manifest(Path(sys.argv[2]), Listing([sys.argv[1]])))
"""
_MANY = """
import sys
from pathlib import Path
from mien.batch.manifest import Item, write_manifest, Manifest
names = (f"/data/study/{n // 1000:05}/{n}.jpg" for n in range(int(sys.argv[2])))
items = (Item(name, name, "image") for name in names)
count, shards, _ = write_manifest(Path(sys.argv[1]), items)
assert len(Manifest(Path(sys.argv[1])).items(shards - 1)) <= 500
"""


_STEADY = """
import sys, time
from mien.batch import BatchFolder, BatchOptions, Workers, begin
from mien.batch.rays import on_ray
folder = BatchFolder(sys.argv[2])
plan, _ = begin(folder, [sys.argv[1]], BatchOptions())
ends = []
if sys.argv[3] == "ray":
    import ray
    from ray.cluster_utils import Cluster
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    events = on_ray(folder, plan.options, range(plan.shards))
else:
    events = Workers(folder, plan.options, 2).run(range(plan.shards))
for event in events:
    if event.record is not None:
        ends.append((time.monotonic(), event.record.images + event.record.frames))
# From the first shards of both processes to the last but one: without start and end.
inner = ends[2:-1]
rate = sum(n for _, n in inner) / (inner[-1][0] - ends[1][0])
open(sys.argv[2] + ".rate", "w").write(str(rate))
"""


def steady(place: Path, out: Path, engine: str) -> float:
    """Images a second of two processes once they run, here or on a Ray cluster of two nodes."""
    timed(_STEADY, place, out, engine)
    return float(out.with_suffix(".rate").read_text())


def main() -> None:
    """Run everything and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=4000)
    parser.add_argument("--videos", type=int, default=20)
    parser.add_argument("--listing", type=int, default=1_000_000)
    parser.add_argument("--manifest", type=int, default=10_000_000)
    parser.add_argument("--ray", action="store_true")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        few, many = folder / "few", folder / "many"
        image = read_image(PHOTO)
        small = np.ascontiguousarray(image[:320, 60:460])
        for place, photos, videos in (
            (few, options.photos // 10, max(1, options.videos // 10)),
            (many, options.photos, options.videos),
        ):
            place.mkdir()
            for number in range(photos):
                write_image(place / f"{number}.jpg", np.roll(small, number % 13, axis=1))
            for number in range(videos):
                write_video(place / f"{number}.mp4", [small[:, : 8 * (400 // 8)]] * 50)
        alone = timed(_ALONE, many, folder / "alone.parquet")
        one = timed(_BATCH, many, "-o", folder / "one", "--workers", 1)
        each = timed(_BATCH, many, "-o", folder / "each")
        less = timed(_BATCH, few, "-o", folder / "less", "--workers", 1)
        again = timed(_BATCH, many, "-o", folder / "one", "--workers", 1)
        inputs = options.photos + options.videos
        print(f"{options.photos:,} photos, {options.videos} videos of 50 frames, {cores} cores")
        for name, (wall, spent, peak) in (
            ("one process on one core", alone),
            ("one worker", one),
            (f"{cores} workers", each),
            ("a tenth, one worker", less),
            ("nothing left to do", again),
        ):
            print(
                f"{name}: {wall:.1f} s, {spent:.1f} s of processor, peak {peak:.0f} MiB a process"
            )
        print(f"processor time of {cores} workers against one process: {alone[1] / each[1]:.2f}")
        print(f"wall time a core against one process on one core: {alone[0] / each[0] / cores:.2f}")
        share = (one[1] - less[1]) / (inputs - inputs // 10) / (less[1] / (inputs // 10))
        print(f"cost of a further input against one of the first tenth: {share:.2f}")
        print(f"listing, manifest and status: {again[0] / one[0]:.3f} of the run")
        if options.ray:
            here, on_ray = (steady(many, folder / name, name) for name in ("here", "ray"))
            print(f"Ray, two nodes of one core: {on_ray:.0f} images/s, {on_ray / here:.2f} of here")
        if options.listing:
            place = folder / "million"
            for number in range(options.listing):
                if number % _LINKS == 0:
                    (place / f"{number // _LINKS:03}").mkdir(parents=True)
                    first = place / f"{number // _LINKS:03}" / "0.jpg"
                    first.touch()
                else:
                    os.link(first, first.with_name(f"{number % _LINKS}.jpg"))
            wall, _, peak = timed(_LIST, place, folder / "manifest.parquet")
            print(f"listing {options.listing:,} files: {wall:.1f} s, peak {peak:.0f} MiB")
        if options.manifest:
            wall, _, peak = timed(_MANY, folder / "ten.parquet", options.manifest)
            size = (folder / "ten.parquet").stat().st_size / 1e6
            text = f"{wall:.1f} s, peak {peak:.0f} MiB, {size:.0f} MB"
            print(f"a manifest of {options.manifest:,}: {text}")


if __name__ == "__main__":
    main()
