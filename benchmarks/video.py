"""A 720p video with two faces, decode to table: frames per second, shares of the stages, a peer.

    python benchmarks/video.py [--seconds 20] [--peer-python PEER/bin/python] [--minutes 30]

The video is made here: two faces from the photo in the package, one of them mirrored, drift
over a noisy background; H.264, 25 frames per second. Every frame is analyzed. `--peer-python` is an
interpreter that has ``fer`` 25.10.3 with facenet-pytorch and TensorFlow: its ``Video.analyze``,
with its own MTCNN, gets the first `--peer-seconds` of the same video in the same run. `--minutes`
repeats the video until it is that long and reports mien's memory along the way.

    python -m venv PEER && PEER/bin/pip install "setuptools<82" tensorflow-cpu torch \\
        "opencv-contrib-python-headless<5" "moviepy<2" ffmpeg-python pandas matplotlib tqdm requests
    PEER/bin/pip install --no-deps facenet-pytorch fer==25.10.3
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from mien.types import Frame

PHOTO = Path(__file__).parents[1] / "src" / "mien" / "assets" / "astronaut.jpg"
FPS = 25


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="length of the video")
    parser.add_argument("--peer-python", type=Path, help="an interpreter that has fer")
    parser.add_argument("--peer-seconds", type=int, default=4)
    parser.add_argument("--minutes", type=float, help="length of the video for the memory")
    parser.add_argument("--part", choices=["mien", "fer"], help=argparse.SUPPRESS)
    parser.add_argument("--film", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.part:
        print(json.dumps({"mien": _mien, "fer": _fer}[options.part](options.film)))
        return
    with tempfile.TemporaryDirectory() as folder:
        film, short = Path(folder) / "film.mp4", Path(folder) / "short.mp4"
        make_film(film, options.seconds)
        found = _child(sys.executable, "mien", film)
        _show(found)
        if options.peer_python:
            make_film(short, options.peer_seconds)
            ours = _child(sys.executable, "mien", short)
            peer = _child(str(options.peer_python), "fer", short)
            ratio = ours["fps"] / peer["fps"]
            print(
                f"\nfirst {options.peer_seconds} s: mien {ours['fps']:.1f} frames/s, "
                f"fer 25.10.3 {peer['fps']:.2f} frames/s ({peer['faces']} faces, "
                f"mien {ours['faces']}): {ratio:.1f} times as fast"
            )
        if options.minutes:
            long = Path(folder) / "long.mp4"
            repeat_film(film, long, options.minutes * 60 / options.seconds)
            found = _child(sys.executable, "mien", long)
            text = ", ".join(f"{peak} MB at {at:.0f} %" for at, peak in found["peaks"])
            print(
                f"\n{options.minutes:g} minutes ({found['frames']} frames, "
                f"{found['fps']:.1f} a second): peak memory {text}"
            )


def make_film(path: Path, seconds: int, width: int = 1280, height: int = 720) -> None:
    """Write a video of two faces that drift, `seconds` long."""
    import av

    from mien.media.images import read_image

    photo = read_image(PHOTO)[:260, 90:350]
    face = cv2.resize(photo, (360, 360), interpolation=cv2.INTER_CUBIC)
    faces = (face, np.ascontiguousarray(cv2.resize(photo[:, ::-1], (260, 260))))
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(40, 200, (18, 32, 3)).astype(np.uint8), (width, height))
    with av.open(str(path), "w") as film:
        stream: Any = film.add_stream("libx264", rate=FPS, options={"crf": "23"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(seconds * FPS):
            image = ground.copy()
            angle = 2 * np.pi * number / (8 * FPS)
            for i, one in enumerate(faces):
                side = len(one)
                x = int(width * (0.28 + 0.45 * i) - side / 2 + 90 * np.cos(angle + 2 * i))
                y = int(height / 2 - side / 2 + 60 * np.sin(angle * 2 + i))
                image[y : y + side, x : x + side] = one
            frame = av.VideoFrame.from_ndarray(np.asarray(image, np.uint8), format="rgb24")
            for packet in stream.encode(frame):
                film.mux(packet)
        for packet in stream.encode(None):
            film.mux(packet)


def repeat_film(path: Path, target: Path, times: float) -> None:
    """Write the same packets again and again: a long video without encoding it."""
    import av

    with av.open(str(target), "w") as out:
        stream: Any = None
        shift = 0
        for _ in range(max(1, round(times))):
            with av.open(str(path)) as film:
                source = film.streams.video[0]
                stream = stream or out.add_stream_from_template(source)
                last = shift
                for packet in film.demux(source):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts += shift
                    packet.dts += shift
                    last = max(last, packet.pts + (packet.duration or 0))
                    packet.stream = stream
                    out.mux(packet)
                shift = last


def _child(python: str, part: str, film: Path) -> dict[str, Any]:
    call = [python, __file__, "--part", part, "--film", str(film)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{part} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _show(found: dict[str, Any]) -> None:
    print(
        f"mien: {found['frames']} frames of 1280 x 720, {found['faces']} faces, "
        f"{found['people']} people: {found['fps']:.1f} frames a second, "
        f"peak {found['peaks'][-1][1]} MB\n"
    )
    print("Decoding, finding and judging run beside each other, each in its own thread.\n")
    print("| stage | ms a frame | share of the time |\n|---|--:|--:|")
    total = 1000 / found["fps"]
    for name, spent in found["stages"].items():
        print(f"| {name} | {spent:.1f} | {100 * spent / total:.0f} % |")


class _Clock:
    """Adds up the seconds that calls take, by name."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)

    def __call__(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return call(*args, **options)
            finally:
                self.spent[name] += time.perf_counter() - started

        return timed


def _mien(film: Path) -> dict[str, Any]:
    """Analyze a video into a Parquet table, with the time that each stage takes."""
    from mien.analyzer import EmotionAnalyzer
    from mien.media.video import VideoSource
    from mien.sinks.tables import TableSink
    from mien.tracking.tracker import TrackingDetector

    clock = _Clock()
    people: set[int] = set()
    analyzer = EmotionAnalyzer()
    analyzer(PHOTO)  # opens the networks, as the peer's are when its clock starts
    model: Any = analyzer.classifier
    tracked = TrackingDetector(analyzer.detector)
    analyzer.detector = tracked
    setattr(tracked, "detect", clock("find and follow faces", tracked.detect))  # noqa: B010
    model.classify = clock("judge expressions", model.classify)
    source = VideoSource(film)
    total = source.info.frames or 1
    frames = faces = 0
    peaks = []

    def waited() -> Iterator[Frame]:
        upcoming = iter(source)
        get = clock("wait for decoding", lambda: next(upcoming, None))
        while (frame := get()) is not None:
            yield frame

    started = time.perf_counter()
    with TableSink(film.with_suffix(".parquet"), analyzer) as table:
        write = clock("write the table", table.write)
        for result in analyzer.stream(waited()):
            frames, faces = frames + 1, faces + len(result)
            people.update([] if result.faces.track_ids is None else result.faces.track_ids.tolist())
            write(result)
            if frames in {round(total * share) for share in (0.02, 0.1, 0.5)}:
                peaks.append((100 * frames / total, _peak()))
    seconds = time.perf_counter() - started
    stages = {name: 1000 * spent / frames for name, spent in clock.spent.items()}
    found = {"frames": frames, "faces": faces, "people": len(people), "fps": frames / seconds}
    return found | {"stages": stages, "peaks": [*peaks, (100.0, _peak())]}


def _peak() -> int:
    """Peak memory so far, MB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _fer(film: Path) -> dict[str, Any]:
    """The peer: ``fer`` on every frame, with nothing drawn, saved or shown."""
    import importlib.util

    if not importlib.util.find_spec("torchvision"):
        from detection import _stand_in_for_torchvision

        _stand_in_for_torchvision()
    from fer.classes import Video
    from fer.fer import FER

    # It asks for keys and closes windows also where it shows nothing; headless OpenCV has none.
    headless: Any = cv2
    headless.waitKey, headless.destroyAllWindows = lambda _: -1, lambda: None
    os.chdir(film.parent)
    peer, video = FER(mtcnn=True), Video(str(film))
    started = time.perf_counter()
    rows = video.analyze(
        peer, display=False, save_frames=False, save_video=False, annotate_frames=False,
        zip_images=False,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    faces = sum(sum(key.startswith("box") for key in row) for row in rows)
    return {"frames": len(rows), "faces": faces, "fps": len(rows) / seconds}


if __name__ == "__main__":
    main()
