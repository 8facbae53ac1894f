"""The engagement network in Keras files, against Keras (scripts/keras_engagement_reference.py)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.engagement import FEATURES, engagement_timeline
from helpers.keras_weights import random_weights, random_windows

from mien import hub
from mien.engagement import EngagementCard, EngagementModel, engagement
from mien.errors import ModelError, UsageError
from mien.hub import cache
from mien.hub.converters.attention import convert_attention
from mien.models.session import Session

h5py = pytest.importorskip("h5py", reason="h5py is not installed (extra keras)")
pytest.importorskip("onnx", reason="onnx is not installed (extra keras)")

GOLDEN = Path(__file__).parent / "golden" / "keras_engagement.json"


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(GOLDEN.read_text())
    return values


def write(
    path: Path,
    shapes: dict[str, list[int]],
    config: dict[str, Any] | None = None,
    prefix: str = "",
) -> dict[str, np.ndarray]:
    """The file as Keras stores it: the weights alone, or with the configuration."""
    values = random_weights(shapes)
    with h5py.File(path, "w") as file:
        if config is not None:
            file.attrs["model_config"] = json.dumps(config)
        for name, value in values.items():
            file.create_dataset(f"{prefix}{name.split('/')[0]}/{name}", data=value)
    return values


def test_the_golden_file_has_the_names_and_the_length_of_the_published_one(
    golden: dict[str, Any],
) -> None:
    known = hub.find("engagement_single_attention")
    assert known.size == golden["bytes_at_real_size"]
    assert golden["stored"] == sorted(f"{name.split('/')[0]}/{name}" for name in golden["shapes"])


@pytest.mark.parametrize("whole", [False, True])
def test_the_converted_network_says_what_keras_says(
    tmp_path: Path, golden: dict[str, Any], whole: bool
) -> None:
    source, target = tmp_path / "net.h5", tmp_path / "net.onnx"
    if whole:
        write(source, golden["shapes"], golden["config"], "model_weights/")
    else:
        write(source, golden["shapes"])
    convert_attention(source, target, {"note": "yes"})
    net = Session(target)
    found = net.run(["engagement"], random_windows(12, 10))[0]
    assert found == pytest.approx(np.array(golden["engagement"]), abs=1e-6)
    assert np.ptp(golden["engagement"], axis=1).max() > 0.5, "the golden answers are no flat ones"
    assert net.metadata["note"] == "yes"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.h5", "net.onnx"]


def test_other_files_and_other_networks_are_errors(tmp_path: Path, golden: dict[str, Any]) -> None:
    source, target = tmp_path / "net.h5", tmp_path / "net.onnx"
    source.write_bytes(b"no model")
    with pytest.raises(ModelError, match="is not a Keras file that can be read"):
        convert_attention(source, target, {})
    write(source, {"e/kernel:0": [10, 1], "e/bias:0": [1]})
    with pytest.raises(ModelError, match=r"no single-attention network.*has \(10, 1\)"):
        convert_attention(source, target, {})
    config = json.loads(json.dumps(golden["config"]))
    config["config"]["layers"][1]["class_name"] = "LSTM"
    write(source, golden["shapes"], config, "model_weights/")
    with pytest.raises(ModelError, match="a layer of kind LSTM cannot be converted"):
        convert_attention(source, target, {})
    config = json.loads(json.dumps(golden["config"]))
    config["config"]["layers"][8]["config"]["activation"] = "tanh"
    write(source, golden["shapes"], config, "model_weights/")
    with pytest.raises(ModelError, match="must be linear, relu and softmax, not linear, tanh"):
        convert_attention(source, target, {})
    assert not target.exists()


def test_the_hub_converts_it_on_arrival_and_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    """The entry of the published model at its real size, with drawn weights in its place."""
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    known = hub.find("engagement_single_attention")
    path = cache.original(known)
    path.parent.mkdir(parents=True)
    shapes = {"e/kernel:0": [2560, 1], "e/bias:0": [1], "hidden_FC/kernel:0": [2560, 512]}
    shapes |= {"hidden_FC/bias:0": [512], "dense/kernel:0": [512, 2], "dense/bias:0": [2]}
    w = write(path, shapes)
    data = path.read_bytes()
    pin = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    monkeypatch.setattr(cache, "ENTRIES", (replace(known, pin=pin),))
    hub.pull("engagement_single_attention")
    assert hub.verify() == [("engagement_single_attention", True)]
    model = EngagementModel("engagement_single_attention")
    assert (model.card.size, model.card.steps, model.card.engaged_is) == (1280, 128, 1)
    assert model.card.residual is None, "nobody has measured it"
    seen = rng.normal(0, 1, (2, 128, 1280)).astype(np.float32)
    both = np.concatenate([np.repeat(seen.std(axis=1)[:, None], 128, axis=1), seen], axis=2)
    scores = both @ w["e/kernel:0"] + w["e/bias:0"]
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    context = (both * (shares / shares.sum(axis=1, keepdims=True))).sum(axis=1)
    inner = np.maximum(context @ w["hidden_FC/kernel:0"] + w["hidden_FC/bias:0"], 0)
    logits = inner @ w["dense/kernel:0"] + w["dense/bias:0"]
    wanted = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))  # the column of "engaged"
    assert model.predict(seen)[:, 0] == pytest.approx(wanted, abs=1e-4)
    film = engagement_timeline({1: np.zeros((200, FEATURES), np.float32)})
    with pytest.raises(UsageError, match="trained on 1280 features of enet_b0, not on 8 features"):
        engagement(film, model)


def test_the_sign_is_what_the_card_says(tmp_path: Path, golden: dict[str, Any]) -> None:
    """The notebooks of the literature trained with 1 for distracted: one column, turned round."""
    shapes = golden["shapes"] | {"dense/kernel:0": [6, 1], "dense/bias:0": [1]}
    write(tmp_path / "net.h5", shapes)
    said = {}
    for sign in (1, 0):
        card = EngagementCard("net", size=5, steps=12, engaged_is=sign)
        path = tmp_path / f"{sign}.onnx"
        convert_attention(tmp_path / "net.h5", path, {"mien.engagement": card.to_json()})
        said[sign] = EngagementModel(path).predict(random_windows(12, 5))
    assert said[0] == pytest.approx(1 - said[1], abs=1e-6)
    assert np.abs(said[0] - 0.5).max() > 0.05


def test_a_file_that_is_no_model_is_an_error(
    tmp_path: Path, golden: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "net.h5", golden["shapes"])
    convert_attention(tmp_path / "net.h5", tmp_path / "net.onnx", {})
    with pytest.raises(ModelError, match="is not an engagement model"):
        EngagementModel(tmp_path / "net.onnx")
    card = EngagementCard("net", size=7, steps=12)
    convert_attention(
        tmp_path / "net.h5", tmp_path / "net.onnx", {"mien.engagement": card.to_json()}
    )
    with pytest.raises(ModelError, match="but its card says"):
        EngagementModel(tmp_path / "net.onnx")
    with pytest.raises(UsageError, match="no model 'nothing' can be downloaded"):
        EngagementModel("nothing")
    with pytest.raises(ModelError, match="run: mien models pull"):
        EngagementModel("engagement_single_attention")
