"""Keras files, against Keras itself (scripts/keras_reference.py)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.keras_weights import random_images, random_weights

from mien import hub
from mien.errors import ModelError
from mien.expressions.onnx import OnnxClassifier
from mien.hub import cache
from mien.hub.converters.keras import convert_keras
from mien.models.session import Session

h5py = pytest.importorskip("h5py", reason="h5py is not installed (extra keras)")
pytest.importorskip("onnx", reason="onnx is not installed (extra keras)")

GOLDEN = Path(__file__).parent / "golden" / "keras_mobilenet.json"


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(GOLDEN.read_text())
    return values


def write(path: Path, golden: dict[str, Any], config: dict[str, Any] | None = None) -> Path:
    """The file as Keras stores it."""
    values = random_weights(golden["shapes"])
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config or golden["config"])
        for layer, names in golden["stored"].items():
            group = file.create_group(f"model_weights/{layer}")
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name in names:
                short = name.rsplit("/", 1)[-1].split(":")[0]
                group.create_dataset(name, data=values[f"{layer}/{short}"])
    return path


def test_the_converted_network_says_what_keras_says(tmp_path: Path, golden: dict[str, Any]) -> None:
    target = tmp_path / "net.onnx"
    convert_keras(write(tmp_path / "net.h5", golden), target)
    batch = np.ascontiguousarray(random_images(64).transpose(0, 3, 1, 2))
    scores, embedding = Session(target).run(["scores", "embedding"], batch)
    assert scores == pytest.approx(np.array(golden["scores"]), abs=1e-5)
    assert embedding == pytest.approx(np.array(golden["embedding"]), rel=1e-4, abs=1e-4)
    assert np.ptp(golden["scores"], axis=1).min() > 0.05  # the golden answers are no flat ones
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.h5", "net.onnx"]


def test_unknown_layers_and_other_files_are_errors(tmp_path: Path, golden: dict[str, Any]) -> None:
    config = json.loads(json.dumps(golden["config"]))
    config["config"]["layers"][2]["class_name"] = "LSTM"
    path = write(tmp_path / "net.h5", golden, config)
    with pytest.raises(ModelError, match="of kind LSTM cannot be converted"):
        convert_keras(path, tmp_path / "net.onnx")
    path.write_bytes(b"no model")
    with pytest.raises(ModelError, match="is not a Keras model that can be read"):
        convert_keras(path, tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()


def test_the_hub_converts_on_arrival(
    tmp_path: Path, golden: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry of the forerunner's default model, with a small network in its place."""
    from dataclasses import replace

    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    known = hub.find("mobilenet_7")
    path = cache.original(known)
    path.parent.mkdir(parents=True)
    write(path, golden)
    data = path.read_bytes()
    pin = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    card = {**known.card, "input_size": 64}
    monkeypatch.setattr(cache, "ENTRIES", (replace(known, pin=pin, card=card),))
    onnx_path = hub.pull("mobilenet_7")
    assert onnx_path.name == "mobilenet_7.onnx"
    assert hub.verify() == [("mobilenet_7", True)]
    made = onnx_path.read_bytes()
    onnx_path.write_bytes(made[:-1])  # what was made of it is damaged, the published file is not
    assert hub.verify() == [("mobilenet_7", False)]
    hub.pull("mobilenet_7")
    assert hub.verify() == [("mobilenet_7", True)]
    assert onnx_path.read_bytes() == made
    onnx_path.unlink()
    assert hub.verify() == [("mobilenet_7", False)]
    hub.pull("mobilenet_7")
    classifier = OnnxClassifier(onnx_path, hub.find("mobilenet_7").card_fields())
    found = classifier.classify(np.full((3, 64, 64, 3), 128, np.uint8))
    assert found.values.sum(axis=1) == pytest.approx([1, 1, 1], abs=1e-4)
    assert found.labels[3] == "happiness"
    packed = tmp_path / "box.tar"
    hub.bundle(["mobilenet_7"], packed)
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "other"))
    assert hub.unpack(packed) == ["mobilenet_7"]
    assert hub.path_of("mobilenet_7").read_bytes() == onnx_path.read_bytes()
    cache.original(hub.find("mobilenet_7")).write_bytes(data + b"!")
    assert hub.verify() == [("mobilenet_7", False)]
