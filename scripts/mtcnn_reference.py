"""Write tests/golden/mtcnn.json: results of the PyPI package ``mtcnn`` 1.0.0 on the test photos.

Run it in a separate environment, because it needs TensorFlow:

    python -m venv tf && tf/bin/pip install tensorflow-cpu mtcnn==1.0.0 Pillow
    tf/bin/python scripts/mtcnn_reference.py

Boxes and landmarks are written as the package finds them, in fractions of pixels and neither
rounded nor cut at the image's edge. Beside the photos it keeps the three networks' answers to
fixed noise, so that the ONNX networks can be checked one by one.
"""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

ROOT = Path(__file__).parents[1]
MEDIA = ROOT.parent / "shared" / "media"
SETTINGS = {
    "min_face_size": 20,
    "scale_factor": 0.709,
    "threshold_pnet": 0.6,
    "threshold_rnet": 0.7,
    "threshold_onet": 0.8,
}
FORMATS = [
    "london_grid_9.jpg",
    "london_grid_36.jpg",
    "astronaut_gray.jpg",
    "astronaut_1bit.png",
    "astronaut_256px.png",
    "astronaut_128px.png",
    "astronaut_64px.png",
]
NOISE = {"pnet": (1, 17, 14, 3), "rnet": (2, 24, 24, 3), "onet": (2, 48, 48, 3)}


def names() -> list[str]:
    """The images, as paths below the media folder."""
    photos = sorted(path.name for path in (MEDIA / "photos").iterdir())
    return [f"photos/{name}" for name in photos] + [f"formats/{name}" for name in FORMATS]


def read(name: str) -> Any:
    """One image as the tests read it: upright RGB."""
    with Image.open(MEDIA / name) as picture:
        return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))


def rounded(values: Any, digits: int) -> Any:
    """Numbers short enough to read in a diff."""
    return np.round(np.asarray(values, np.float64), digits).tolist()


def describe(detector: Any, name: str) -> dict[str, Any]:
    """The package's detections in one image."""
    image = read(name)
    rows = detector.detect_faces(
        image, fit_to_image=False, box_format="xyxy", output_type="numpy", **SETTINGS
    )
    return {
        "name": name,
        "size": [image.shape[1], image.shape[0]],
        "boxes": rounded(rows[:, 1:5], 3),
        "scores": rounded(rows[:, 5], 5),
        "landmarks": rounded(rows[:, 6:16].reshape(-1, 2, 5).transpose(0, 2, 1), 3),
    }


def networks(detector: Any) -> dict[str, Any]:
    """Each network's outputs for noise from a fixed seed: score, offsets and landmarks."""
    answers = {}
    for stage, (name, shape) in zip(detector.stages, NOISE.items(), strict=True):
        noise = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)
        *others, classes = stage.model((noise - 127.5) / 128)
        outputs = [classes.numpy()[..., 1:], *(other.numpy() for other in others)]
        answers[name] = {"shape": shape, "outputs": [rounded(o, 6) for o in outputs]}
    return answers


def main() -> None:
    """Run the package on every image, and write the file."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from mtcnn import MTCNN

    detector = MTCNN()
    packages = ("mtcnn", "tensorflow-cpu", "keras", "numpy", "Pillow")
    pictures = [json.dumps(describe(detector, name)) for name in names()]
    head = {
        "packages": {name: version(name) for name in packages},
        "settings": SETTINGS,
        "networks": networks(detector),
    }
    lines = json.dumps(head)[:-1] + ', "pictures": [\n' + ",\n".join(pictures) + "\n]}\n"
    path = ROOT / "tests" / "golden" / "mtcnn.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(lines)
    print(f"{len(pictures)} pictures -> {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
