"""Speed and memory of the service against the library, in one run on one machine.

    python benchmarks/service.py [--images 400] [--clients 8] [--video FILE]

Images of 640 pixels with one face by several clients at once, a video job, and a live stream. The
clients share the machine's cores with the service.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
from websockets.sync.client import connect

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.service import RunningService
from helpers.videos import write_video

import mien
from mien.media.images import encode, read_image
from mien.types import Frame

PHOTO = Path(mien.__file__).parent / "assets" / "astronaut.jpg"


def resized(width: int, height: int) -> bytes:
    """The astronaut as a JPEG of a size."""
    return encode(np.asarray(cv2.resize(read_image(PHOTO), (width, height)), np.uint8), "JPEG")


def library(data: bytes, count: int) -> float:
    """Images per second of `analyzer.analyze`."""
    analyzer = mien.EmotionAnalyzer()
    read = partial(read_image, data)
    list(analyzer.analyze(Frame("a", read) for _ in range(20)))
    started = time.perf_counter()
    list(analyzer.analyze(Frame("a", read) for _ in range(count)))
    return count / (time.perf_counter() - started)


def images(service: RunningService, data: bytes, count: int, clients: int) -> list[float]:
    """Seconds of each request, by several clients at once."""
    host = urlsplit(service.address).netloc

    def ask(number: int) -> list[float]:
        connection, times = http.client.HTTPConnection(host), []
        for _ in range(number):
            started = time.perf_counter()
            connection.request("POST", "/v1/images", data)
            assert connection.getresponse().read().startswith(b'{"results"')
            times.append(time.perf_counter() - started)
        connection.close()
        return times

    with ThreadPoolExecutor(clients) as pool:
        return [s for times in pool.map(ask, [count // clients] * clients) for s in times]


def memory_mb(service: RunningService) -> float:
    """Resident memory of the server, without its worker."""
    text = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def live(service: RunningService, data: bytes, count: int) -> list[float]:
    """Seconds from each frame to its result; each is sent when the last was answered."""
    times = []
    with connect(service.address.replace("http", "ws", 1) + "/v1/stream") as stream:
        for _ in range(count):
            started = time.perf_counter()
            stream.send(data)
            assert json.loads(stream.recv(30))["status"] == "ok"
            times.append(time.perf_counter() - started)
    return times[5:]


def video(service: RunningService, path: Path, image: bytes, rounds: int = 3) -> None:
    """Print the seconds of ``mien analyze`` and of a job, in turns, while images are answered."""
    command = [sys.executable, "-m", "mien", "analyze", str(path), "-q", "--keep-faces", "-o"]
    service.finished(service.submit(path, end=0.2)["id"])  # the worker's models are loaded
    commands, jobs, answers = list[float](), list[float](), list[float]()
    for number in range(rounds):
        started = time.perf_counter()
        subprocess.run([*command, str(path.with_name(f"{number}.parquet"))], check=True)
        commands.append(time.perf_counter() - started)
        job_id = service.submit(path)["id"]
        while service.client.get(f"/v1/jobs/{job_id}").json()["ended_s"] is None:
            answers += images(service, image, 1, 1)
            time.sleep(0.5)  # about two images a second
        job = service.finished(job_id, 600)
        jobs.append(job["ended_s"] - job["started_s"])
    print(f"video of {job['frames']} frames: command {statistics.median(commands):.2f} s, ", end="")
    print(f"job {statistics.median(jobs):.2f} s, {len(answers)} images meanwhile in ", end="")
    print(f"{1000 * statistics.median(answers):.0f} ms (median)")


def main() -> None:
    """Measure, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--video", type=Path)
    chosen = parser.parse_args()
    data = resized(640, 640)
    alone = library(data, min(chosen.images, 400))
    print(f"library: {alone:.1f} images/s")
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with RunningService(Path(folder)) as service:
            print(f"start to ready: {time.perf_counter() - started:.2f} s")
            images(service, data, 40, chosen.clients)
            before, started = memory_mb(service), time.perf_counter()
            times = images(service, data, chosen.images, chosen.clients)
            rate = len(times) / (time.perf_counter() - started)
            p95 = 1000 * statistics.quantiles(times, n=20)[-1]
            print(f"service: {rate:.1f} images/s, {100 * rate / alone:.0f} % of the library")
            print(f"p50 {1000 * statistics.median(times):.0f} ms, p95 {p95:.0f} ms")
            print(f"memory: {before:.0f} MB, then {memory_mb(service):.0f} MB")
            times = live(service, resized(640, 480), 105)
            print(f"stream: {len(times) / sum(times):.1f} frames/s, ", end="")
            print(f"median {1000 * statistics.median(times):.0f} ms")
            path = chosen.video or write_video(
                Path(folder) / "clip.mp4", [read_image(PHOTO)] * 600, fps=25
            )
            video(service, path, data)


if __name__ == "__main__":
    main()
