"""The detectors beside MTCNN, and what all of them share."""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from mien.errors import ModelError, PluginError, UsageError
from mien.faces.detectors import BUILTIN, FaceDetector, make_detector
from mien.faces.detectors.base import check_image, tidy
from mien.faces.detectors.box_formats import FORMATS
from mien.faces.detectors.callable import CustomDetector
from mien.faces.detectors.haar import HaarDetector
from mien.faces.detectors.weights import weights
from mien.faces.detectors.yunet import YunetDetector
from mien.faces.detectors.yunet_network import YunetNetwork
from mien.media.images import read_image
from mien.plugins import load_detector
from mien.types import Faces

SHARED = Path(__file__).parents[2] / "shared"
ASTRONAUT = SHARED / "media" / "photos" / "astronaut.png"
YUNET = SHARED / "models" / "face_detection_yunet_2023mar.onnx"
PHOTO = Path(__file__).parents[1] / "src" / "mien" / "assets" / "astronaut.jpg"
BLANK = np.zeros((60, 80, 3), np.uint8)

needs_photo = pytest.mark.skipif(
    not ASTRONAUT.is_file(), reason="the test photos (shared/media) are not beside this checkout"
)
needs_yunet = pytest.mark.skipif(
    not YUNET.is_file(), reason="the YuNet model (shared/models) is not beside this checkout"
)


@pytest.fixture(scope="module")
def astronaut() -> Any:
    with Image.open(ASTRONAUT) as picture:
        return np.array(picture.convert("RGB"))


def blue_spot(image: Any) -> Any:
    """A user's detector, at module level so that it can be pickled: where is it blue?"""
    y, x = np.nonzero(image[:, :, 2] > 200)
    return [(x.min(), y.min(), x.max() + 1, y.max() + 1, 0.5)] if len(x) else []


# What all share


def test_tidy_drops_and_sorts_by_area_and_lets_nan_pass() -> None:
    boxes = [[0, 0, 10, 10], [5, 5, 35, 35], [50, 0, 60, 10], [0, 0, 40, 4], [1, 1, 21, 21]]
    faces = Faces(np.array(boxes, np.float32), np.array([0.9, np.nan, 0.9, 0.9, 0.4], np.float32))
    kept = tidy(faces, min_score=0.5, min_face=5)
    assert kept.boxes.tolist() == [boxes[1], boxes[0], boxes[2]]
    assert len(tidy(faces)) == 5
    assert len(tidy(Faces.empty(), 0.5, 5)) == 0


@pytest.mark.parametrize(
    "image", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3)), np.zeros((5, 5, 4), np.uint8)]
)
def test_images_of_another_kind_are_refused(image: Any) -> None:
    with pytest.raises(UsageError, match="a detector needs"):
        check_image(image)


def test_make_detector_knows_names_and_options() -> None:
    assert BUILTIN == ("yunet", "mtcnn", "haar")
    haar = make_detector("haar", min_neighbors=3)
    assert isinstance(haar, HaarDetector)
    assert isinstance(haar, FaceDetector)
    assert haar.min_neighbors == 3
    with pytest.raises(UsageError, match="available: yunet, mtcnn, haar"):
        make_detector("dlib")
    with pytest.raises(UsageError, match=r"'haar' cannot be created: .*'colour'"):
        make_detector("haar", colour=1)


# Haar


@needs_photo
def test_haar_finds_the_astronaut_without_confidence(astronaut: Any) -> None:
    before = astronaut.copy()
    detector = HaarDetector(min_score=0.99)
    faces = detector.detect(astronaut)
    assert (astronaut == before).all()
    assert len(faces) == 1
    assert np.isnan(np.asarray(faces.scores)).all()
    x, y = faces.boxes.reshape(2, 2).mean(axis=0)
    assert 200 < x < 250
    assert 90 < y < 150
    again = pickle.loads(pickle.dumps(detector)).detect(astronaut)
    assert (again.boxes == faces.boxes).all()
    assert len(HaarDetector(min_face=200).detect(astronaut)) == 0


@pytest.mark.parametrize("side", [1, 5, 60])
def test_haar_finds_nothing_in_nothing(side: int) -> None:
    assert len(HaarDetector().detect(np.zeros((side, side, 3), np.uint8))) == 0


def test_haar_says_when_opencv_has_no_cascades(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(ModelError, match="has no Haar cascades"):
        HaarDetector().detect(BLANK)


# YuNet


@needs_photo
def test_yunet_finds_the_astronaut_and_orders_landmarks(astronaut: Any) -> None:
    before = astronaut.copy()
    detector = YunetDetector()
    faces = detector.detect(astronaut)
    assert (astronaut == before).all()
    assert len(faces) == 1
    assert faces.landmarks is not None
    points = faces.landmarks[0]
    eyes, nose, mouth = points[:2], points[2], points[3:]
    assert eyes[0, 0] < nose[0] < eyes[1, 0]
    assert mouth[0, 0] < mouth[1, 0]
    assert eyes[:, 1].max() < nose[1] < mouth[:, 1].min()
    np.testing.assert_allclose(eyes, [[202, 101], [246, 102]], atol=6)
    again = pickle.loads(pickle.dumps(detector)).detect(astronaut)
    assert (again.boxes == faces.boxes).all()
    assert len(YunetDetector(min_face=200).detect(astronaut)) == 0
    assert len(YunetDetector(min_score=0.99).detect(astronaut)) == 0


@needs_photo
@needs_yunet
@pytest.mark.parametrize("size", [(512, 512), (509, 333)])
def test_yunet_equals_opencv_on_the_published_file(astronaut: Any, size: tuple[int, int]) -> None:
    image = np.asarray(cv2.resize(astronaut, size, interpolation=cv2.INTER_AREA), np.uint8)
    found = YunetNetwork(weights("yunet")).search(image, 1.0, 0.6)
    opencv = cv2.FaceDetectorYN.create(str(YUNET), "", size, 0.6)
    row = np.asarray(opencv.detect(np.ascontiguousarray(image[..., ::-1]))[1])[0]
    row[2:4] += row[:2]
    np.testing.assert_allclose(found.points[0].ravel(), row[:14], atol=1e-3)
    np.testing.assert_allclose(found.scores, row[14:], atol=1e-5)


def crowd(astronaut: Any, shape: tuple[int, int], width: int, places: Any) -> Any:
    """Heads whose faces are `width` pixels wide, on gray."""
    side = round(210 * width / 90)
    head = cv2.resize(astronaut[20:230, 120:330], (side, side), interpolation=cv2.INTER_AREA)
    image = np.full((*shape, 3), 120, np.uint8)
    for x, y in places:
        image[y : y + side, x : x + side] = head
    return image


@needs_photo
@pytest.mark.parametrize("width", [20, 60, 400])
def test_small_and_large_faces_are_found_in_a_large_image(astronaut: Any, width: int) -> None:
    """Whole, also at the seams of the tiles, and each once."""
    room = np.linspace(0, 2000 - 210 * width // 90 - 1, 3).astype(int)
    places = [(int(x), int(y)) for x in room for y in room]
    faces = YunetDetector(threads=1).detect(crowd(astronaut, (2000, 2000), width, places))
    assert len(faces) == 9
    sizes = faces.boxes[:, 2] - faces.boxes[:, 0]
    assert (np.abs(sizes / width - 1) < 0.3).all()


@needs_photo
def test_min_face_is_in_pixels_of_the_image(astronaut: Any) -> None:
    image = crowd(astronaut, (2400, 2400), 14, [(300, 300)])
    assert len(YunetDetector(threads=1).detect(image)) == 0  # the default: a 100th of the side
    (face,) = YunetDetector(min_face=10, threads=1).detect(image)
    assert 10 < float(face.boxes[0, 2] - face.boxes[0, 0]) < 20
    with pytest.raises(UsageError, match="min_face must be at least 4 pixels"):
        YunetDetector(min_face=3)


@needs_photo
def test_a_large_image_with_one_large_face_is_searched_at_one_scale(
    astronaut: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scales: list[float] = []
    search = YunetNetwork.search

    def counted(self: Any, image: Any, scale: float, min_score: float) -> Any:
        scales.append(scale)
        return search(self, image, scale, min_score)

    monkeypatch.setattr(YunetNetwork, "search", counted)
    selfie = cv2.resize(astronaut, (2400, 2400), interpolation=cv2.INTER_LINEAR)
    assert len(YunetDetector(threads=1).detect(selfie)) == 1
    assert scales == [pytest.approx(14 / 24)]


@pytest.mark.parametrize("side", [1, 10, 32, 60])
def test_yunet_finds_nothing_in_nothing(side: int) -> None:
    assert len(YunetDetector(threads=1).detect(np.full((side, side, 3), 100, np.uint8))) == 0


def test_the_conversion_of_yunet_is_repeatable(tmp_path: Path) -> None:
    if not YUNET.is_file():
        pytest.skip("the YuNet model (shared/models) is not beside this checkout")
    script = Path(__file__).parents[1] / "scripts" / "convert_yunet.py"
    spec = importlib.util.spec_from_file_location("convert_yunet", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.convert(YUNET, tmp_path / "yunet.onnx")
    assert made.read_bytes() == weights("yunet").read_bytes()


# The user's own


def test_a_function_is_a_detector() -> None:
    image = BLANK.copy()
    image[10:30, 20:50, 2] = 255
    detector = CustomDetector(blue_spot)
    assert isinstance(detector, FaceDetector)
    faces = detector.detect(image)
    assert faces.boxes.tolist() == [[20, 10, 50, 30]]
    assert np.asarray(faces.scores).tolist() == [0.5]
    assert len(detector.detect(BLANK)) == 0
    assert len(CustomDetector(blue_spot, min_score=0.6).detect(image)) == 0
    assert len(CustomDetector(blue_spot, min_face=21).detect(image)) == 0
    assert len(pickle.loads(pickle.dumps(detector)).detect(image)) == 1


@pytest.mark.parametrize(
    ("answer", "box_format"),
    [
        ([(1, 2, 4, 6)], "xyxy"),
        ([[1, 2, 3, 4]], "xywh"),
        (np.array([[1, 2, 3, 4]], np.uint8), "xywh"),
        ((np.array([1, 2, 3, 4, np.nan]),), "xywh"),
        (Faces(np.array([[1, 2, 4, 6]], np.float32)), "xywh"),
    ],
)
def test_boxes_in_any_form(answer: Any, box_format: Any) -> None:
    for source in (answer, lambda image: answer):
        faces = CustomDetector(source, box_format, min_score=0.9).detect(BLANK)
        assert faces.boxes.tolist() == [[1, 2, 4, 6]]
        assert np.isnan(np.asarray(faces.scores)).all()


@pytest.mark.parametrize("answer", [[], (), np.zeros((0, 4)), np.zeros((0, 5)), Faces.empty()])
def test_no_faces_in_any_form(answer: Any) -> None:
    assert len(CustomDetector(answer).detect(BLANK)) == 0


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "four or five numbers"),
        (7, "four or five numbers"),
        ("boxes", "four or five numbers"),
        ([1, 2, 3, 4], "shape"),
        ([[1, 2, 3]], "shape"),
        ([[1, 2, 3, 4], [1, 2]], "four or five numbers"),
        ([{"box": 1}], "four or five numbers"),
        ([[5, 2, 3, 4]], "a box is not xyxy: .* pass box_format"),
        ([[1, 2, np.nan, 4]], "not finite"),
        ([[1, 2, 3, 4, 97]], "between 0 and 1"),
    ],
)
def test_out_of_contract_is_one_sentence(answer: Any, message: str) -> None:
    detector = CustomDetector(lambda image: answer)
    with pytest.raises(PluginError, match=message):
        detector.detect(BLANK)


def test_a_failing_function_is_named() -> None:
    with pytest.raises(PluginError, match="raised ZeroDivisionError"):
        CustomDetector(lambda image: 1 / 0).detect(BLANK)
    with pytest.raises(PluginError, match="a box is not xywh"):
        CustomDetector([[1, 1, -2, 3]], "xywh")
    with pytest.raises(UsageError, match="box_format"):
        CustomDetector([], "yolo")  # type: ignore[arg-type]


def _as(box_format: str, box: Any, image: Any) -> Any:
    """A box ``x1, y1, x2, y2`` in another format."""
    x1, y1, x2, y2 = box
    layouts = {
        "xyxy": (x1, y1, x2, y2),
        "xywh": (x1, y1, x2 - x1, y2 - y1),
        "cxcywh": ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1),
        "trbl": (y1, x2, y2, x1),
    }
    shares = np.tile([image.shape[1], image.shape[0]], 2) if box_format.endswith("n") else 1
    return [tuple(np.array(layouts[box_format.removesuffix("n")]) / shares)]


FACE = (170.0, 60.0, 275.0, 200.0)  # of the photo that ships with mien


@pytest.mark.parametrize("box_format", FORMATS)
def test_every_box_format_is_read(box_format: Any) -> None:
    photo = read_image(PHOTO)
    answer = _as(box_format, FACE, photo)
    faces = load_detector(lambda image: answer, box_format=box_format).detect(photo)
    np.testing.assert_allclose(faces.boxes, [FACE], atol=1e-3)


@pytest.mark.parametrize("meant", ["xyxy", "xywh"])
@pytest.mark.parametrize("box_format", FORMATS)
def test_boxes_in_another_format_are_noticed(meant: Any, box_format: Any) -> None:
    if box_format == meant:
        pytest.skip("that is the format")
    photo = read_image(PHOTO)
    answer = _as(box_format, FACE, photo)
    detector = load_detector(lambda image: answer, box_format=meant)
    with pytest.raises(PluginError, match=r"box_format"):
        detector.detect(photo)


@needs_photo
def test_haar_after_a_tall_and_a_wide_image(astronaut: Any) -> None:
    detector = HaarDetector()
    before = len(detector.detect(astronaut))
    for shape in ((65_500, 100, 3), (128, 32_773, 3), (1, 1, 3)):  # together they want 24 GB
        assert len(detector.detect(np.zeros(shape, np.uint8))) == 0
    assert len(detector.detect(astronaut)) == before > 0


@needs_photo
def test_haar_shrinks_what_is_too_large_to_search(
    astronaut: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = HaarDetector().detect(astronaut).boxes[0]
    monkeypatch.setattr("mien.faces.detectors.haar._MOST", astronaut[..., 0].size // 2)
    assert np.abs(HaarDetector().detect(astronaut).boxes[0] - box).max() < 20


@needs_photo
def test_an_image_that_opencv_cannot_search(
    astronaut: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def detectMultiScale(self, *_: Any, **__: Any) -> Any:  # noqa: N802 - OpenCV's name
            raise cv2.error("OpenCV(4.14.0) alloc.cpp:73: error: (-4) Failed to allocate")

    detector = HaarDetector()
    with monkeypatch.context() as patch:
        patch.setattr("mien.faces.detectors.haar._load", Failing)
        with pytest.raises(PluginError, match=r"cannot search an image of \d+ x \d+ pixels"):
            detector.detect(astronaut)
    assert len(detector.detect(astronaut)) > 0
