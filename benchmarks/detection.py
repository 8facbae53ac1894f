"""Speed of MTCNN, compared with packages that run the same networks.

    python benchmarks/detection.py --tensorflow-python tf/bin/python \
        --facenet-python facenet/bin/python

Each library runs in its own process, under the Python that has it, over the photos of
shared/media/photos, with the same limits. A round is one such process for each library, so that
whatever else the machine does meets all of them; the table shows the median round. Decoding and
the first image, a warm-up, are not timed. The interpreters need numpy and Pillow besides:

    pip install tensorflow-cpu mtcnn==1.0.0 Pillow
    pip install torch Pillow requests tqdm numpy && pip install --no-deps facenet-pytorch

facenet-pytorch wants torchvision, of which it uses one function here; where there is none, a
stand-in takes its place, and the table says so.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

PHOTOS = Path(__file__).parents[2] / "shared" / "media" / "photos"
MIN_FACE, SHRINK, LIMITS = 20, 0.709, (0.6, 0.7, 0.8)
Find = Callable[[Any], Any]


def mien(threads: int) -> tuple[Find, str]:
    """This project's detector."""
    from mien.faces.detectors.mtcnn import MtcnnDetector

    detector = MtcnnDetector(LIMITS[2], MIN_FACE, LIMITS[:2], SHRINK, threads)
    return lambda image: detector.detect(image).boxes, "mien (ONNX Runtime)"


def tensorflow(threads: int) -> tuple[Find, str]:
    """The PyPI package mtcnn."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    from mtcnn import MTCNN

    detector = MTCNN()
    keys = ("threshold_pnet", "threshold_rnet", "threshold_onet")
    options = dict(zip(keys, LIMITS, strict=True), min_face_size=MIN_FACE, scale_factor=SHRINK)

    def find(image: Any) -> Any:
        shape = {"fit_to_image": False, "box_format": "xyxy", "output_type": "numpy"}
        return detector.detect_faces(image, **shape, **options)[:, 1:5]

    return find, f"mtcnn 1.0.0 (TensorFlow {tf.__version__})"


def facenet(threads: int) -> tuple[Find, str]:
    """The PyPI package facenet-pytorch."""
    import torch

    note = "" if importlib.util.find_spec("torchvision") else ", stand-in for torchvision"
    if note:
        _stand_in_for_torchvision()
    torch.set_num_threads(threads)
    from facenet_pytorch import MTCNN

    detector = MTCNN(
        keep_all=True, min_face_size=MIN_FACE, thresholds=list(LIMITS), factor=SHRINK, device="cpu"
    )

    def find(image: Any) -> Any:
        boxes = detector.detect(image)[0]
        return np.zeros((0, 4)) if boxes is None else boxes

    return find, f"facenet-pytorch (torch {torch.__version__}{note})"


def _stand_in_for_torchvision() -> None:
    """Greedy suppression under the name that facenet-pytorch imports."""
    import torch

    def batched_nms(boxes: Any, scores: Any, groups: Any, limit: float) -> Any:
        b = boxes.numpy() + groups.numpy()[:, None] * (boxes.numpy().max(initial=0) + 1)
        area, left, kept = (b[:, 2:] - b[:, :2]).prod(1), np.argsort(-scores.numpy()), []
        while len(left):
            first, left = left[0], left[1:]
            kept.append(first)
            low, high = np.maximum(b[first, :2], b[left, :2]), np.minimum(b[first, 2:], b[left, 2:])
            shared = np.maximum(high - low, 0).prod(1)
            left = left[shared <= limit * (area[first] + area[left] - shared)]
        return torch.tensor(np.array(kept, int))

    names = ("torchvision", "torchvision.transforms", "torchvision.ops", "torchvision.ops.boxes")
    modules: list[Any] = [types.ModuleType(name) for name in names]
    modules[1].functional = types.ModuleType("torchvision.transforms.functional")
    modules[3].batched_nms = batched_nms
    sys.modules.update(zip(names, modules, strict=True))


WORKERS: dict[str, Callable[[int], tuple[Find, str]]] = {
    "mien": mien,
    "tensorflow": tensorflow,
    "facenet": facenet,
}


def work(name: str, threads: int) -> None:
    """Run in the library's own process: time every photo, print one line of JSON."""
    images = []
    for path in sorted(PHOTOS.iterdir()):
        with Image.open(path) as picture:
            images.append(np.array(ImageOps.exif_transpose(picture).convert("RGB")))
    find, title = WORKERS[name](threads)
    find(images[0])
    seconds, boxes = [], []
    for image in images:
        start = time.perf_counter()
        found = find(image)
        seconds.append(time.perf_counter() - start)
        boxes.append(np.asarray(found, float).tolist())
    print(json.dumps({"title": title, "seconds": seconds, "boxes": boxes}))


def ask(python: str, name: str, threads: int) -> Any:
    """One worker's answer, from its own process."""
    command = [python, __file__, "--worker", name, "--threads", str(threads)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def agreement(ours: list[Any], theirs: list[Any]) -> str:
    """How many faces they find, and how many of these we have too, at an overlap of 0.95."""
    from mien.faces.geometry import iou

    same = 0
    for mine, other in zip(ours, theirs, strict=True):
        if mine and other:
            overlap = iou(np.array(other, np.float32), np.array(mine, np.float32))
            same += int((overlap.max(axis=1) >= 0.95).sum())
    return f"{sum(map(len, theirs))} | {same}"


def main() -> None:
    """Compare the libraries whose interpreters are named, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tensorflow-python", help="a Python with mtcnn 1.0.0 and TensorFlow")
    parser.add_argument("--facenet-python", help="a Python with facenet-pytorch")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return work(options.worker, options.threads)
    pythons = {
        "mien": sys.executable,
        "tensorflow": options.tensorflow_python,
        "facenet": options.facenet_python,
    }
    names = [name for name, python in pythons.items() if python]
    rounds: dict[str, list[Any]] = {name: [] for name in names}
    for _ in range(options.rounds):
        for name in names:
            rounds[name].append(ask(pythons[name], name, options.threads))
    base = statistics.median(sum(answer["seconds"]) for answer in rounds["mien"])
    count = len(rounds["mien"][0]["seconds"])
    print(
        f"{count} photos, {options.threads} threads, {len(os.sched_getaffinity(0))} cores "
        f"({platform.machine()}), median of {options.rounds} rounds, load average before the "
        f"end {os.getloadavg()[0]:.1f}\n"
    )
    print("| | seconds | ms a photo | times mien's | faces | the same box (IoU 0.95) |")
    print("|---|--:|--:|--:|--:|--:|")
    for name in names:
        total = statistics.median(sum(answer["seconds"]) for answer in rounds[name])
        faces = agreement(rounds["mien"][0]["boxes"], rounds[name][0]["boxes"])
        row = f"| {rounds[name][0]['title']} | {total:.2f} | {1000 * total / count:.0f} "
        print(row + f"| {total / base:.2f} | {faces} |")
    return None


if __name__ == "__main__":
    main()
