"""Classifiers: cards, colors, batches, and functions of the user."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.networks import channel_network

from mien import CropSpec, CustomClassifier, ModelCard, Scores, load_classifier
from mien.errors import ModelError, PluginError, UsageError
from mien.expressions.onnx import OnnxClassifier
from mien.testing import check_classifier, check_color_order
from mien.types import Crops

RGB = {"labels": ("red", "green", "blue"), "mean": 0.0, "std": 1.0}


def colored(*places: int) -> Crops:
    crops = np.zeros((len(places), 8, 8, 3), np.uint8)
    for crop, place in zip(crops, places, strict=True):
        crop[..., place] = 200
    return crops


def test_the_card_in_the_file_is_enough(tmp_path: Path) -> None:
    card = ModelCard("tiny", ("red", "green", "blue"), 8, std=(1.0, 1.0, 1.0), scores="scores")
    model = OnnxClassifier(channel_network(tmp_path / "a.onnx", card=card.to_json()))
    assert model.labels == ("red", "green", "blue")
    assert model.classify(colored(2, 0, 1)).top.tolist() == [2, 0, 1]
    check_classifier(model)


def test_color_order_is_what_the_card_says(tmp_path: Path) -> None:
    path = channel_network(tmp_path / "a.onnx")
    right, wrong = OnnxClassifier(path, RGB), OnnxClassifier(path, {**RGB, "color": "bgr"})
    assert right.classify(colored(0)).top[0] == 0
    assert wrong.classify(colored(0)).top[0] == 2
    assert check_color_order(right, OnnxClassifier(path, RGB))
    assert not check_color_order(right, wrong)


def test_mean_std_and_temperature(tmp_path: Path) -> None:
    path = channel_network(tmp_path / "a.onnx")
    card = {"labels": ("r", "g", "b"), "mean": (100, 0, 0), "std": (2, 1, 1), "temperature": 0.5}
    scores = OnnxClassifier(path, card).classify(colored(0)).values[0]
    logits = np.array([0.02 * (200 - 100) / 2, 0, 0]) / 0.5
    assert scores == pytest.approx(np.exp(logits) / np.exp(logits).sum(), abs=1e-5)


def test_a_fixed_batch_is_filled_up(tmp_path: Path) -> None:
    fixed = OnnxClassifier(channel_network(tmp_path / "a.onnx", batch=4), RGB)
    free = OnnxClassifier(channel_network(tmp_path / "b.onnx"), RGB, batch_size=2)
    crops = colored(0, 1, 2, 2, 1, 0)
    assert fixed.classify(crops).values == pytest.approx(free.classify(crops).values)
    assert len(fixed.classify(crops[:0])) == 0
    check_classifier(fixed)


def test_gray_models_get_one_channel(tmp_path: Path) -> None:
    path = channel_network(tmp_path / "a.onnx", channels=1)
    card = {"labels": ("light",), "color": "gray", "std": 4.0, "activation": "none"}
    model = OnnxClassifier(path, card)
    light = np.full((1, 8, 8, 3), 200, np.uint8)
    assert model.classify(light).values[0, 0] == pytest.approx(1.0, abs=1e-4)  # 0.02 * 200 / 4


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (None, "carries no card; give its labels"),
        ({"labels": ("a", "b")}, "3 scores per face, but its card has 2"),
        ({**RGB, "scores": "nothing"}, "has no output 'nothing'; it has scores"),
        ({**RGB, "color": "hsv"}, "color is one of rgb, bgr, gray"),
        ({**RGB, "mean": (1, 2)}, "needs 3 numbers"),
        ({**RGB, "colour": "rgb"}, "wrong field"),
        ({**RGB, "input_size": 0}, "1 to 1024 pixels"),
    ],
)
def test_a_card_that_does_not_fit_is_an_error(tmp_path: Path, card: Any, words: str) -> None:
    path = channel_network(tmp_path / "a.onnx")
    with pytest.raises(ModelError, match=words):
        OnnxClassifier(path, card).classify(colored(0))


def test_broken_and_missing_files(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    with pytest.raises(ModelError, match=r"broken\.onnx is not a usable ONNX model"):
        load_classifier(broken)
    with pytest.raises(ModelError, match="there is no model file"):
        load_classifier(tmp_path / "none.onnx")
    with pytest.raises(UsageError, match=r"no classifier 'mobilenet'; did you mean 'mobilenet_7'"):
        load_classifier("mobilenet")


@pytest.mark.parametrize("shape", [(2, 8, 8), (1, 9, 9, 3), (1, 8, 8, 4)])
def test_wrong_crops_are_a_usage_error(tmp_path: Path, shape: tuple[int, ...]) -> None:
    model = OnnxClassifier(channel_network(tmp_path / "a.onnx"), RGB)
    with pytest.raises(UsageError, match=r"uint8 of shape \(n, 8, 8, 3\)"):
        model.classify(np.zeros(shape, np.uint8))


def test_a_classifier_survives_pickling(tmp_path: Path) -> None:
    model = OnnxClassifier(channel_network(tmp_path / "a.onnx"), RGB)
    before = model.classify(colored(1)).values
    assert pickle.loads(pickle.dumps(model)).classify(colored(1)).values == pytest.approx(before)


def redness(crops: Crops) -> Any:
    red = crops[..., 0].mean(axis=(1, 2)) / 255
    return np.stack([red, 1 - red], axis=1)


def test_any_function_is_a_classifier() -> None:
    model = CustomClassifier(redness, ("red", "other"), 8)
    assert model.classify(colored(0)).values[0, 0] == pytest.approx(200 / 255)
    check_classifier(model)
    with pytest.raises(UsageError, match="wrap it"):
        load_classifier(redness)  # type: ignore[arg-type]


def test_a_function_that_returns_invalid_values_is_named() -> None:
    with pytest.raises(PluginError, match=r"must return \(1, 3\) numbers .* got \(1, 2\)"):
        CustomClassifier(redness, ("a", "b", "c"), 8).classify(colored(0))
    double = CustomClassifier(lambda crops: 2 * redness(crops), ("a", "b"), 8)
    with pytest.raises(PluginError, match="sum to 1"):
        double.classify(colored(0))


class _Wrong(CustomClassifier):
    def classify(self, crops: Crops) -> Scores:
        crops[:] = 0
        return super().classify(crops)


def test_the_check_notices_changed_crops() -> None:
    with pytest.raises(PluginError, match="must not change the crops"):
        check_classifier(_Wrong(redness, ("red", "other"), 8))


def test_the_default_model_passes_its_own_check() -> None:
    model = load_classifier("mien-mobilenet")
    check_classifier(model)
    assert isinstance(model, OnnxClassifier)
    assert len(model.labels) == 8
    assert model.path.stat().st_size <= 8_000_000
    inside = model.activations(np.zeros((2, 112, 112, 3), np.uint8))
    assert inside.embedding is not None
    assert inside.feature_map is not None
    assert inside.embedding.shape == (2, 1024)
    assert inside.feature_map.mean(axis=(2, 3)) == pytest.approx(inside.embedding, abs=1e-4)
    assert model.head_weights is not None
    assert model.head_weights.shape == (8, 1024)


def test_the_zoo_model_is_a_users_own_model(shared: Path) -> None:
    name = "facial_expression_recognition_mobilefacenet_2022july_int8.onnx"
    points = [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366)]
    points += [(41.5493, 92.3655), (70.7299, 92.2041)]
    card = {
        "labels": ("angry", "disgust", "fearful", "happy", "neutral", "sad", "surprised"),
        "mean": 127.5,
        "std": 127.5,
        "crop": CropSpec(template=tuple((x / 112, y / 112) for x, y in points)),
    }
    model = load_classifier(shared / "models" / name, card)
    assert model.input_size == 112
    from mien import EmotionAnalyzer

    smile = EmotionAnalyzer(classifier=model)(shared / "media" / "photos" / "astronaut.png")
    assert smile.emotions == ("happy",)


def test_a_card_may_lie_beside_a_model_that_carries_none(shared: Path, tmp_path: Path) -> None:
    model = shared / "models" / "facial_expression_recognition_mobilefacenet_2022july_int8.onnx"
    path = tmp_path / "zoo.onnx"
    shutil.copyfile(model, path)
    labels = ["angry", "disgust", "fearful", "happy", "neutral", "sad", "surprised"]
    beside = tmp_path / "zoo.json"
    beside.write_text(json.dumps({"labels": labels, "mean": 127.5, "std": 127.5, "color": "bgr"}))
    zoo = OnnxClassifier(path)
    assert zoo.labels == tuple(labels)
    assert zoo.card.color == "bgr"
    for text, words in (("[]", "not a JSON object"), ("{", "cannot be read"), ("{}", "no card")):
        beside.write_text(text)
        with pytest.raises(ModelError, match=words):
            OnnxClassifier(path)
