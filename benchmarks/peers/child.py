"""One phase of one peer in a fresh process of the peer's environment; prints JSON.

    PEER/bin/python child.py ADAPTER PHASE WORK

``WORK`` is the folder that `media.prepare` fills. Nothing but the standard library is imported
here, for the peer's environment has what the peer needs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import json
import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# At the end, for a peer's environment may have packages called like files of benchmarks/.
sys.path[:] = [*(p for p in sys.path if Path(p or ".").resolve() != HERE), str(HERE.parent)]
#: Seconds after which a loop over crops or frames ends; what was done by then is reported.
LIMIT = 15.0
#: Frames after which a peer that gave nobody a number is taken to have none.
NAMELESS = 50


def adapter(name: str) -> Any:
    """The adapter of a peer, from a file that may have the peer's own name."""
    place = HERE / "adapters" / f"{name.replace('-', '_')}.py"
    spec = importlib.util.spec_from_file_location(f"adapter_{place.stem}", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Adapter()


def photo(peer: Any, work: Path) -> dict[str, Any]:
    """From nothing to the answer of one photo."""
    started = time.perf_counter()
    peer.load()
    loaded = time.perf_counter() - started
    return {"load_s": loaded, "faces": len(peer.image(work / "cold.png"))}


def photos(peer: Any, work: Path) -> dict[str, Any]:
    """All photos, one after the other, after one to warm up."""
    paths = json.loads((work / "photos.json").read_text())
    peer.load()
    peer.image(Path(paths[0]))
    found, errors, started = {}, {}, time.perf_counter()
    for path in paths:
        try:
            faces = peer.image(Path(path))
        except Exception as error:  # noqa: BLE001 - a photo that a peer cannot read is a miss
            faces, errors[Path(path).name] = [], f"{type(error).__name__}: {error}"
        found[Path(path).name] = [dataclasses.asdict(face) for face in faces]
    return {"seconds": time.perf_counter() - started, "photos": found, "errors": errors}


def crops(peer: Any, work: Path) -> dict[str, Any]:
    """Images that are one face each."""
    peer.load()
    found, started = {}, time.perf_counter()
    for path in sorted((work / "crops").iterdir()):
        found[path.name] = peer.crop(path)
        if time.perf_counter() - started > LIMIT:
            break
    return {"seconds": time.perf_counter() - started, "crops": found}


def video(peer: Any, work: Path) -> dict[str, Any]:
    """The 720p video, and memory along the way."""
    peer.load()
    memory: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.25):
            memory.append(_resident(peer))

    threading.Thread(target=watch, daemon=True).start()
    frames = faces = 0
    started = time.perf_counter()
    for found in peer.video(work / "film.mp4"):
        frames, faces = frames + 1, faces + len(found)
        if time.perf_counter() - started > 2 * LIMIT:
            break
    seconds = time.perf_counter() - started
    over.set()
    return {"seconds": seconds, "frames": frames, "faces": faces, "memory_mb": memory}


def people(peer: Any, work: Path) -> dict[str, Any]:
    """The numbers of the people in the London video, frame by frame."""
    peer.load()
    rows, started = [], time.perf_counter()
    for found in peer.video(work / "london.mp4"):
        rows.append([face.person for face in found])
        nobody = len(rows) == NAMELESS and not any(p is not None for row in rows for p in row)
        if nobody or time.perf_counter() - started > 2 * LIMIT:
            break
    return {"frames": rows}


def broken(peer: Any, work: Path) -> dict[str, Any]:
    """What a damaged file, a text and a folder bring."""
    peer.load()
    found = {}
    for name in ("truncated.jpg", "text.jpg", "empty"):
        try:
            found[name] = f"{len(peer.image(work / name))} faces, no error"
        except Exception as error:  # noqa: BLE001 - every kind of error is a result here
            text = " ".join(str(error).split()).replace(str(work) + "/", "")
            found[name] = f"{type(error).__name__}: {text}"
    return {"answers": found}


def _resident(peer: Any) -> float:
    pids = [os.getpid()] + ([peer.process.pid] if hasattr(peer, "process") else [])
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * resource.getpagesize() / 1e6


def _peak(peer: Any) -> float:
    pids = [os.getpid()] + ([peer.process.pid] if hasattr(peer, "process") else [])
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


def main() -> None:
    """Run the phase; an error is the last line of JSON, too."""
    name, phase, work = sys.argv[1:]
    answer: dict[str, Any]
    peer = adapter(name)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            answer = globals()[phase](peer, Path(work))
        answer["peak_mb"] = _peak(peer)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a peer that cannot run is a result
        answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    if hasattr(peer, "process"):
        peer.process.kill()
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
