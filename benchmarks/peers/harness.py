"""Measure mien and its peers, one after the other, and write the page of the comparison.

    python benchmarks/comparison.py [PEER ...] [--environments FOLDER] [--install] [--phases ...]

Each peer has an environment of its own under `--environments`; `--install` makes it from the pins
in ``pins/``. Raw figures go to ``results/PEER.json``, those of the run before to
``results/earlier``, and ``docs/comparison.md`` is made from both.
The photos, videos and faces come from `--shared`, see CONTRIBUTING.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peers import media, metrics, page
from peers.entries import PEERS
from peers.page import RESULTS

HERE = Path(__file__).parent
PHASES = ("photo", "photos", "crops", "video", "people", "broken")


def main(arguments: Sequence[str] | None = None) -> None:
    """Install, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peers", nargs="*", help=f"of {', '.join(PEERS)}; all by default")
    parser.add_argument("--environments", type=Path, default=Path("build/peers"))
    parser.add_argument(
        "--shared", type=Path, default=Path(os.environ.get("MIEN_SHARED", "../shared"))
    )
    parser.add_argument("--install", action="store_true", help="make the environments first")
    parser.add_argument("--prepare", action="store_true", help="make the media again")
    options = parser.parse_args(arguments)
    if unknown := set(options.peers) - set(PEERS):
        parser.error(f"no peer {', '.join(sorted(unknown))}: choose of {', '.join(PEERS)}")
    home, shared = options.environments.resolve(), options.shared.resolve()
    work = home / "media"
    if options.prepare or not (work / "film.mp4").exists():
        media.prepare(work, shared)
    for name in options.peers or PEERS:
        if options.install:
            install(name, home / name)
        measured = measure(name, home / name, work, shared)
        RESULTS.mkdir(exist_ok=True)
        text = as_text(measured)
        for private in (str(home), str(shared), str(Path.home())):
            text = text.replace(private, "…")
        if (file := RESULTS / f"{name}.json").exists():
            (RESULTS / "earlier").mkdir(exist_ok=True)
            file.replace(RESULTS / "earlier" / f"{name}.json")
        file.write_text(text + "\n")
        print(name, json.dumps(measured["figures"])[:300], flush=True)
    page.write()


def as_text(measured: dict[str, Any]) -> str:
    """JSON with one line per phase of the raw results, floats to four digits after the point."""
    short = json.loads(json.dumps(measured), parse_float=lambda digits: round(float(digits), 4))
    raw = short.pop("raw")
    lines = [f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in short.items()]
    phases = [f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in raw.items()]
    inner = ",\n".join(phases)
    return "{\n" + ",\n".join(lines) + f',\n"raw": {{\n{inner}\n}}\n}}'


def install(name: str, place: Path) -> None:
    """Make the environment of a peer from its pins, each package as listed: nothing is resolved."""
    if name == "human":
        place.mkdir(parents=True, exist_ok=True)
        (place / "package.json").write_text((HERE / "pins" / "human.json").read_text())
        subprocess.run(["npm", "install", "--ignore-scripts"], cwd=place, check=True)
        return
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    pins = ["--no-deps", "-r", str(HERE / "pins" / f"{name}.txt")]
    subprocess.run([place / "bin/pip", "install", "-q", *pins], check=True)
    if name == "mien":
        subprocess.run(
            [place / "bin/pip", "install", "-q", "--no-deps", HERE.parents[1]], check=True
        )


def measure(name: str, place: Path, work: Path, shared: Path) -> dict[str, Any]:
    """Every phase in a fresh process; a peer that cannot load has only the first."""
    python = python_of(name, place)
    env = {**os.environ, "PEER_MODELS": str(shared / "models"), "PEER_HOME": str(place)}
    env |= {"TF_CPP_MIN_LOG_LEVEL": "3", "HF_HUB_OFFLINE": "1"}
    raw: dict[str, Any] = {}
    for phase in PHASES:
        call = [str(python), str(HERE / "child.py"), name, phase, str(work)]
        started = time.perf_counter()
        done = subprocess.run(
            call, capture_output=True, text=True, check=False, env=env, timeout=300
        )
        wall = time.perf_counter() - started
        lines = done.stdout.splitlines()
        answer = json.loads(lines[-1]) if lines else {"error": done.stderr.strip()[-300:]}
        raw[phase] = {"wall_s": wall, **answer}
        if phase == "photo" and "error" in answer:
            break
    samples = raw.get("video", {}).get("memory_mb", [])
    figures = figures_of(raw, shared)
    if samples:  # a curve of a hundred points is enough to keep
        raw["video"]["memory_mb"] = [round(x) for x in samples[:: max(1, len(samples) // 100)]]
    return {
        "peer": name,
        "version": version(name, place),
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "install_mb": size(place, name),
        "import": importing(name, place),
        "figures": figures,
        "raw": raw,
    }


def figures_of(raw: dict[str, Any], shared: Path) -> dict[str, Any]:
    """The numbers of the page."""
    figures: dict[str, Any] = {
        "peak_mb": max((r.get("peak_mb", 0) for r in raw.values()), default=0)
    }
    if "error" in raw["photo"]:
        return {"error": raw["photo"]["error"]}
    figures["cold_s"] = raw["photo"]["wall_s"]
    if "photos" in (done := raw["photos"]):
        figures["photos_per_s"] = len(done["photos"]) / done["seconds"]
        figures["photos"] = metrics.photo_figures(done["photos"], media.photo_rows(shared))
    if "crops" in (done := raw["crops"]):
        figures["crops"] = metrics.crop_figures(done["crops"], media.votes(shared))
    if "frames" in (done := raw["video"]):
        figures["frames_per_s"] = done["frames"] / done["seconds"]
        figures["video_faces"] = [done["faces"], 2 * done["frames"]]
        figures["memory"] = metrics.memory_figures(done["memory_mb"])
    if "frames" in (done := raw["people"]):
        figures["people"] = metrics.people_figures(done["frames"])
    figures["broken"] = raw["broken"].get("answers", {})
    return figures


def python_of(name: str, place: Path) -> Path:
    """The interpreter of a peer; that of human needs OpenCV alone, to decode videos."""
    return (place.parent / "opencv-zoo" if name == "human" else place) / "bin/python"


def version(name: str, place: Path) -> str:
    """The version that is installed."""
    package = PEERS[name].package
    if name == "human":
        file = place / "node_modules" / package / "package.json"
        return str(json.loads(file.read_text())["version"])
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    done = subprocess.run(
        [python_of(name, place), "-c", code], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def size(place: Path, name: str) -> float:
    """Bytes below site-packages (node_modules) without pip and setuptools, as MB."""
    root = (
        place / "node_modules" if name == "human" else next(place.glob("lib/python*/site-packages"))
    )
    skipped = ("pip", "setuptools", "pkg_resources")
    files = (
        f
        for top in root.iterdir()
        if not top.name.startswith(skipped)
        for f in [top, *top.rglob("*")]
    )
    return sum(f.stat().st_size for f in files if f.is_file() and not f.is_symlink()) / 1e6


def importing(name: str, place: Path) -> dict[str, Any]:
    """Seconds of `import PEER` in a fresh process, the second of two; or the error."""
    if not (code := PEERS[name].imports):
        return {}
    timed = f"import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"
    for _ in range(2):
        done = subprocess.run(
            [python_of(name, place), "-c", timed], capture_output=True, text=True, check=False
        )
    if done.returncode:
        return {"code": code, "error": done.stderr.strip().splitlines()[-1]}
    return {"code": code, "seconds": float(done.stdout.splitlines()[-1])}


def machine() -> dict[str, Any]:
    """Processor, cores and memory, nothing that names the machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((li.split(": ")[1] for li in lines if li.startswith("model name")), "")
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gib": round(total / 2**30),
        "load": round(os.getloadavg()[0], 1),
        "python": sys.version.split()[0],
    }
