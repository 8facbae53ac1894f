"""Cold start and memory of the command, and a thousand large photos in a row.

    python benchmarks/command.py [--photos 1000]

Prints wall time and peak memory (``ru_maxrss``) of ``mien analyze photo.jpg`` and of ``import
mien``, best of five, then memory while analyzing many 12-megapixel photos (one made-up photo with
faces, read again and again), and the installed size of every dependency.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np

from mien.media.images import read_image, write_image

PHOTO = Path(__file__).parents[1] / "src" / "mien" / "assets" / "astronaut.jpg"
PEAK = "import resource as r; print(r.getrusage(r.RUSAGE_SELF).ru_maxrss // 1024)"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=1000)
    options = parser.parse_args(arguments)
    nothing, _ = _timed("pass")
    seconds, _ = _timed("import mien")
    print(f"- python alone: {nothing:.3f} s; with `import mien`: {seconds:.3f} s")
    call = f"import sys; sys.argv = ['mien', 'analyze', {str(PHOTO)!r}]"
    call = f"{call}; from mien.cli.commands import app"
    seconds, peak = _timed(f"{call}; app(standalone_mode=False)")
    print(f"- `mien analyze photo.jpg`: {seconds:.2f} s, peak {peak} MB")
    _many(options.photos)
    _sizes()


def _timed(code: str) -> tuple[float, int]:
    """Best wall time in seconds of five runs, and the last one's peak memory in MB."""
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", f"{code}\n{PEAK}"], capture_output=True, text=True, check=True
        )
        best = min(best, time.perf_counter() - started)
    return best, int(done.stdout.split()[-1])


def _many(count: int) -> None:
    large = cv2.resize(read_image(PHOTO), (4000, 3000), interpolation=cv2.INTER_CUBIC)
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "large.jpg"
        write_image(photo, np.asarray(large, np.uint8))
        code = f"""
import resource, time, mien
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
started = time.perf_counter()
analyzer = mien.EmotionAnalyzer()
for i, result in enumerate(analyzer.analyze({str(photo)!r} for _ in range({count})), 1):
    if i in (20, {count} // 2, {count}):
        spent = time.perf_counter() - started
        print(f"  - after {{i}}: peak {{peak()}} MB, {{i / spent:.1f}} photos a second")
"""
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
    print(f"- {count} photos of 12 megapixels:\n{done.stdout.rstrip()}")


def _sizes() -> None:
    sizes: dict[str, int] = {}
    for name in _needed("mien"):
        files = metadata.files(name) or []
        places = [Path(str(f.locate())) for f in files]
        sizes[name] = sum(p.stat().st_size for p in places if p.is_file())
    total = sum(sizes.values())
    listed = ", ".join(
        f"{name} {size / 1e6:.0f}" for name, size in sorted(sizes.items(), key=lambda i: -i[1])
    )
    print(f"- installed size of mien and all it needs: {total / 1e6:.0f} MB ({listed})")


def _needed(name: str, seen: set[str] | None = None) -> set[str]:
    """The package and everything that it requires without extras."""
    from packaging.requirements import Requirement

    seen = set() if seen is None else seen
    if name in seen:
        return seen
    try:
        requirements = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return seen
    seen.add(name)
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            _needed(requirement.name, seen)
    return seen


if __name__ == "__main__":
    main()
