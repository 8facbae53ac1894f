"""Images per second of the service and of deepface's own API, in turns on one machine.

    python benchmarks/service_deepface.py PYTHON [--images 200] [--clients 8] [--rounds 3]

PYTHON is an interpreter with `deepface[api]` and gunicorn; its server runs as in deepface's own
Dockerfile, with OpenCV's detector, its fastest. Its expression network gets random weights, so that
nothing is downloaded: they take the same time, and only time is compared.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import cv2

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.service import RunningService
from service import resized

WEIGHTS = """
from deepface.commons import weight_utils
weight_utils.download_weights_if_necessary = lambda **_: ""
weight_utils.load_model_weights = lambda model, weight_file: model
from deepface.models.demography.tf.Emotion import load_model
import h5py, sys
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group
with h5py.File(sys.argv[1], "w") as file:
    save_weights_to_hdf5_group(file, load_model())
"""


def rate(address: str, path: str, body: bytes, count: int, clients: int) -> tuple[float, float]:
    """Images per second, and the 95th percentile of milliseconds."""
    host = urlsplit(address).netloc

    def ask(number: int) -> list[float]:
        times = []
        for _ in range(number):
            started = time.perf_counter()
            connection = http.client.HTTPConnection(host, timeout=120)
            headers = {"Content-Type": "application/json" if body[:1] == b"{" else "image/jpeg"}
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
            assert answer.status == 200, data[:300]
            connection.close()
            times.append(time.perf_counter() - started)
        return times

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        times = [s for part in pool.map(ask, [count // clients] * clients) for s in part]
    return len(times) / (time.perf_counter() - started), 1000 * statistics.quantiles(times, n=20)[
        -1
    ]


@contextmanager
def deepface(python: str, folder: Path) -> Iterator[str]:
    """Its server, with weights; gives the address."""
    weights = folder / ".deepface" / "weights"
    weights.mkdir(parents=True)
    for name in ("haarcascade_frontalface_default.xml", "haarcascade_eye.xml"):
        shutil.copy(Path(cv2.__file__).parent / "data" / name, weights)
    environment = {**os.environ, "DEEPFACE_HOME": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("PYTHONPATH", None)
    made = str(weights / "facial_expression_model_weights.h5")
    subprocess.run([python, "-c", WEIGHTS, made], env=environment, check=True, capture_output=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python, "-m", "gunicorn", "--workers=1", "--timeout=3600", f"-b127.0.0.1:{port}"]
    process = subprocess.Popen(
        [*command, "deepface.api.src.app:create_app()"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def main() -> None:
    """Measure both in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    image = resized(640, 640)
    picture = f"data:image/jpeg;base64,{base64.b64encode(image).decode()}"
    asked = {"img": picture, "actions": ["emotion"], "detector_backend": "opencv"}
    body = json.dumps(asked).encode()
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningService(Path(folder, "data"), "--no-worker") as service,
        deepface(chosen.python, Path(folder)) as other,
    ):
        calls = (
            ("mien", service.address, "/v1/images", image),
            ("deepface", other, "/analyze", body),
        )
        for _, address, path, data in calls:
            rate(address, path, data, 16, chosen.clients)
        for _ in range(chosen.rounds):
            for name, address, path, data in calls:
                found, p95 = rate(address, path, data, chosen.images, chosen.clients)
                print(f"{name}: {found:.1f} images/s, p95 {p95:.0f} ms", flush=True)


if __name__ == "__main__":
    main()
