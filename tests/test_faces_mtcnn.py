"""MTCNN gives what the package it comes from gives, and is steady on odd images."""

from __future__ import annotations

import importlib.util
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from mien.errors import ModelError, UsageError
from mien.faces import geometry
from mien.faces.detectors import nms
from mien.faces.detectors.mtcnn import MtcnnDetector
from mien.faces.detectors.pyramid import Pyramid
from mien.faces.detectors.weights import MODELS
from mien.models.session import Session

ROOT = Path(__file__).parents[1]
MEDIA = ROOT.parent / "shared" / "media"
GOLDEN = json.loads((Path(__file__).parent / "golden" / "mtcnn.json").read_text())

needs_media = pytest.mark.skipif(
    not MEDIA.is_dir(), reason="the test photos (shared/media) are not beside this checkout"
)


def read(name: str) -> Any:
    with Image.open(MEDIA / name) as picture:
        return np.array(ImageOps.exif_transpose(picture).convert("RGB"))


@pytest.fixture(scope="module")
def like_package() -> MtcnnDetector:
    settings = GOLDEN["settings"]
    return MtcnnDetector(
        min_score=settings["threshold_onet"],
        min_face=settings["min_face_size"],
        thresholds=(settings["threshold_pnet"], settings["threshold_rnet"]),
        scale_factor=settings["scale_factor"],
    )


@needs_media
@pytest.mark.parametrize("want", GOLDEN["pictures"], ids=lambda want: want["name"])
def test_agrees_with_the_package(like_package: MtcnnDetector, want: dict[str, Any]) -> None:
    image = read(want["name"])
    assert list(image.shape[1::-1]) == want["size"]
    faces = like_package.detect(image)
    assert len(faces) == len(want["boxes"])
    if not len(faces):
        return
    overlap = geometry.iou(np.array(want["boxes"], np.float32), faces.boxes)
    match = overlap.argmax(axis=1)
    assert sorted(match) == list(range(len(faces)))
    assert overlap.max(axis=1).min() >= 0.95
    assert faces.scores is not None
    assert faces.landmarks is not None
    np.testing.assert_allclose(faces.scores[match], want["scores"], atol=0.02)
    side = np.ptp(np.array(want["boxes"])[:, [0, 2]], axis=1).max()
    np.testing.assert_allclose(faces.landmarks[match], want["landmarks"], atol=0.05 * side)


@needs_media
def test_nearly_all_faces_are_the_package_s_to_the_pixel(like_package: MtcnnDetector) -> None:
    """Only a tie between two proposals may choose another, nearly equal box."""
    close = []
    for want in GOLDEN["pictures"][-10:]:
        faces = like_package.detect(read(want["name"]))
        boxes = np.array(want["boxes"], np.float32).reshape(-1, 4)
        if len(boxes):
            close += (geometry.iou(boxes, faces.boxes).max(axis=1) > 0.999).tolist()
    assert len(close) >= 50
    assert np.mean(close) >= 0.97


@pytest.mark.parametrize("name", GOLDEN["networks"])
def test_each_network_agrees_with_tensorflow(name: str) -> None:
    want = GOLDEN["networks"][name]
    noise = np.random.default_rng(0).integers(0, 256, want["shape"]).astype(np.float32)
    session = Session(MODELS / f"mtcnn_{name}.onnx", threads=1)
    outputs = session.run(list(session.output_names), noise)
    outputs[0] = 1 / (1 + np.exp(-outputs[0]))
    assert len(outputs) == len(want["outputs"])
    for have, value in zip(outputs, want["outputs"], strict=True):
        axes = (0, 2, 3, 1) if have.ndim == 4 else (0, 1)
        atol = 5e-5 if name == "onet" else 2e-5  # its dense layer is stored as float16
        np.testing.assert_allclose(have.transpose(axes), value, atol=atol)


@needs_media
def test_default_counts_are_right_where_faces_are_none_or_one() -> None:
    detector = MtcnnDetector()
    truth = {"astronaut.png": 1, "camera.png": 1, "chelsea.png": 0, "fox-715588_640.jpg": 0}
    for name, n in (truth | {"lisa3.jpg": 1, "s9.jpg": 1, "coffee.png": 0}).items():
        assert len(detector.detect(read(f"photos/{name}"))) == n, name
    assert len(detector.detect(read("formats/astronaut_128px.png"))) == 1


@needs_media
def test_pickles_and_leaves_the_image_alone(like_package: MtcnnDetector) -> None:
    image = read("formats/astronaut_256px.png")
    before = image.copy()
    faces = like_package.detect(image)
    assert (image == before).all()
    again = pickle.loads(pickle.dumps(like_package)).detect(image)
    np.testing.assert_array_equal(faces.boxes, again.boxes)
    turned = like_package.detect(np.ascontiguousarray(image.transpose(1, 0, 2)).transpose(1, 0, 2))
    np.testing.assert_allclose(faces.boxes, turned.boxes, atol=0.01)  # any memory layout


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (1, 300), (12, 12), (13, 40)])
def test_tiny_and_empty_images_hold_no_face(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert len(MtcnnDetector(min_score=0.99, threads=1).detect(image)) == 0


def test_refuses_what_cannot_be() -> None:
    with pytest.raises(UsageError, match="at least 12"):
        MtcnnDetector(min_face=11)
    with pytest.raises(UsageError, match="scale_factor"):
        MtcnnDetector(scale_factor=1.0)


def test_missing_networks_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.faces.detectors.weights.MODELS", tmp_path)
    with pytest.raises(ModelError, match=r"mtcnn_pnet\.onnx is missing in this installation"):
        MtcnnDetector()


def test_suppression_equals_the_plain_rule() -> None:
    rng = np.random.default_rng(2)
    corner = rng.uniform(0, 400, (700, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 80, (700, 2))], axis=1)
    scores = rng.permutation(700) / 700
    for limit, nested in [(0.5, False), (0.3, False), (0.7, True)]:
        area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
        high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=2)
        whole = np.minimum(area[:, None], area) if nested else area[:, None] + area - shared
        beaten = (shared / whole > limit) & (scores[None, :] > scores[:, None])
        want = np.flatnonzero(~beaten.any(axis=1))
        have = nms.suppress(boxes, scores, limit, nested=nested)
        assert sorted(have) == want.tolist()
        assert (np.diff(scores[have]) < 0).all()
        assert 0 < len(have) < 700


def test_patches_are_exact_on_a_ramp_and_gray_outside() -> None:
    y, x = np.mgrid[:50, :100]
    image = np.stack([2 * x, 3 * y, x + y], axis=2).astype(np.uint8)
    cut = nms.patches(image, np.array([[10.0, 5, 60, 45], [-50, 0, 50, 50]]), 24)
    places = np.linspace(10, 60, 24) * 99 / 100
    np.testing.assert_allclose(cut[0, 0, :, 0], 2 * places, rtol=1e-5)
    np.testing.assert_allclose(cut[0, :, 3, 1], 3 * np.linspace(5, 45, 24) * 49 / 50, rtol=1e-5)
    assert (cut[1, :, :12] == 127.5).all()
    assert (cut[1, :, 12:, 0] != 127.5).any()


@pytest.mark.parametrize("size", [(40, 30), (23, 17), (7, 13)])
def test_pyramid_averages_areas(size: tuple[int, int]) -> None:
    image = np.random.default_rng(3).integers(0, 256, (67, 91, 3), dtype=np.uint8)

    def weights(full: int, small: int) -> Any:
        """Share of each old pixel in each new one."""
        edges = np.linspace(0, full, small + 1)
        old = np.arange(full)
        low = np.maximum(edges[:-1, None], old)
        return np.maximum(np.minimum(edges[1:, None], old + 1) - low, 0) * small / full

    want = np.einsum("hy,wx,yxc->hwc", weights(67, size[1]), weights(91, size[0]), image)
    np.testing.assert_allclose(Pyramid(image).at(*size), want, atol=1e-3)


def test_the_networks_are_what_the_script_makes(tmp_path: Path) -> None:
    for package in ("mtcnn", "joblib", "lz4"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package}, which only the script needs, is not installed")
    spec = importlib.util.spec_from_file_location("mtcnn", ROOT / "scripts" / "convert_mtcnn.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for path in script.make(tmp_path):
        assert path.read_bytes() == (MODELS / path.name).read_bytes()
