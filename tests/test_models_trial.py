"""Model files and cards that are damaged or hostile: one sentence each, and nothing worse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mien.errors import ModelError
from mien.expressions.onnx import OnnxClassifier
from mien.models import trial
from mien.models.card import CropSpec, ModelCard
from mien.models.session import Session

CARD: dict[str, Any] = {"name": "tiny", "labels": ["a", "b"], "input_size": 8}
VALUE = helper.make_tensor_value_info


def write(
    path: Path,
    nodes: list[onnx.NodeProto],
    held: list[onnx.TensorProto] | None = None,
    card: Any = None,
    outputs: int = 2,
) -> Path:
    """A network from ``x`` to ``y``."""
    graph = helper.make_graph(
        nodes,
        "g",
        [VALUE("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [VALUE("y", TensorProto.FLOAT, ["n", outputs])],
        held or [],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if card is not None:
        text = card if isinstance(card, str) else json.dumps(card)
        helper.set_model_props(model, {"mien.card": text})
    onnx.save(model, str(path))
    return path


def tiny(path: Path, card: Any = CARD, outputs: int = 2) -> Path:
    """A whole network: the mean of the image, as many times as there are outputs."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["m", "axis"], ["c"]),
        helper.make_node("Gemm", ["c", "w"], ["y"]),
    ]
    held = [
        numpy_helper.from_array(np.array([1]), "axis"),
        numpy_helper.from_array(np.ones((1, outputs), np.float32), "w"),
    ]
    return write(path, nodes, held, card, outputs)


def test_a_whole_model_is_tried_once_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny(tmp_path / "tiny.onnx")
    crops = np.zeros((3, 8, 8, 3), np.uint8)
    assert OnnxClassifier(path).classify(crops).values.shape == (3, 2)
    monkeypatch.setattr("subprocess.run", lambda *_a, **_k: pytest.fail("tried again"))
    assert OnnxClassifier(path).classify(crops).values.shape == (3, 2)
    with pytest.raises(pytest.fail.Exception):
        OnnxClassifier(tiny(path, {**CARD, "name": "another"}))


def test_models_that_ship_with_mien_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.plugins import model_path

    monkeypatch.setattr("subprocess.run", lambda *_a, **_k: pytest.fail("tried"))
    assert Session(model_path("mien-mobilenet")).output_names


def loop(path: Path) -> Path:
    """A network that goes round and round."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["more"], ["more_out"]),
            helper.make_node("Identity", ["v"], ["v_out"]),
        ],
        "body",
        [
            VALUE("i", TensorProto.INT64, []),
            VALUE("more", TensorProto.BOOL, []),
            VALUE("v", TensorProto.FLOAT, ["n", 2]),
        ],
        [VALUE("more_out", TensorProto.BOOL, []), VALUE("v_out", TensorProto.FLOAT, ["n", 2])],
    )
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["m", "axis"], ["c"]),
        helper.make_node("Gemm", ["c", "w"], ["s"]),
        helper.make_node("Loop", ["often", "go"], [], body=body),
    ]
    nodes[-1].input.append("s")
    nodes[-1].output.append("y")
    held = [
        numpy_helper.from_array(np.array([1]), "axis"),
        numpy_helper.from_array(np.ones((1, 2), np.float32), "w"),
        numpy_helper.from_array(np.array(2**62), "often"),
        numpy_helper.from_array(np.array(True), "go"),
    ]
    return write(path, nodes, held, CARD)


def huge(path: Path, side: int) -> Path:
    """A network that pads the image by `side` pixels on each side."""
    nodes = [
        helper.make_node("Pad", ["x", "pads"], ["p"]),
        helper.make_node("ReduceMean", ["p"], ["m"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["m", "axis"], ["c"]),
        helper.make_node("Gemm", ["c", "w"], ["y"]),
    ]
    pads = np.array([0, 0, side, side, 0, 0, side, side])
    held = [
        numpy_helper.from_array(pads, "pads"),
        numpy_helper.from_array(np.array([1]), "axis"),
        numpy_helper.from_array(np.ones((1, 2), np.float32), "w"),
    ]
    return write(path, nodes, held, CARD)


@pytest.mark.slow
def test_an_endless_loop_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_SECONDS", 2)
    with pytest.raises(ModelError, match=r"loop\.onnx is not a usable ONNX model: it does not"):
        OnnxClassifier(loop(tmp_path / "loop.onnx"))


def test_a_network_that_asks_for_all_memory_is_refused(tmp_path: Path) -> None:
    OnnxClassifier(huge(tmp_path / "small.onnx", 50))
    with pytest.raises(ModelError, match=r"huge\.onnx is not a usable ONNX model: .*alloc"):
        OnnxClassifier(huge(tmp_path / "huge.onnx", 15_000))


def test_a_crash_of_the_runtime_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process of the trial is lost, not this one."""
    path = tiny(tmp_path / "tiny.onnx", {**CARD, "name": "crashing"})
    crash = "print('started', flush=True); import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    module = tmp_path / "crashing.py"
    module.write_text(crash)
    monkeypatch.setattr(trial, "__name__", "crashing")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ModelError, match=r"tiny\.onnx .*: ONNX Runtime crashes on it"):
        Session(path).session  # noqa: B018


@pytest.mark.parametrize("data", [b"", b"no network", b"\x08" * 300, None])
def test_damaged_files_are_refused(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "damaged.onnx"
    path.write_bytes(tiny(path).read_bytes()[:150] if data is None else data)
    with pytest.raises(ModelError, match=r"damaged\.onnx is not a usable ONNX model"):
        OnnxClassifier(path, CARD)


WRONG: list[tuple[str, Any]] = [
    ("name", 5), ("name", "\ud800"), ("name", "x" * 20_000), ("labels", "ab"), ("labels", []),
    ("labels", ["a", "a"]), ("labels", ["a", 1]), ("labels", ["a", "\udc00"]), ("labels", None),
    ("labels", ["a", ""]), ("labels", ["a", "b\x1b[31m"]), ("labels", ["a", "uncertain"]),
    ("input_size", 0), ("input_size", 10**9), ("input_size", float("nan")), ("input_size", "8"),
    ("input_size", 8.5), ("input_size", True), ("color", "red"), ("color", []), ("mean", "0"),
    ("mean", [0, 0]), ("mean", [float("nan")]), ("std", 0), ("std", [1, 1, float("inf")]),
    ("layout", 3), ("activation", "relu"), ("temperature", 0), ("temperature", float("inf")),
    ("temperature", 10**400), ("crop", 5), ("crop", {"margin": "a"}), ("crop", {"margin": 1e30}),
    ("crop", {"template": [["a", "b"]] * 5}), ("crop", {"template": [[0.5, 0.5]] * 5}),
    ("crop", {"template": [[0.1, 0.2]] * 3}), ("crop", {"template": 7}),
    ("measures", ["dominance"]),
    ("measures", 3), ("scores", 4), ("scores", "absent"), ("embedding", ["x"]), ("accuracy", [1]),
    ("accuracy", {"fer": "good"}), ("accuracy", {"fer": float("nan")}), ("commercial", "perhaps"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_cards_are_validated_whole(tmp_path: Path, name: str, value: Any) -> None:
    path = tiny(tmp_path / "tiny.onnx", None)
    path.with_suffix(".json").write_text(json.dumps({**CARD, name: value}))
    with pytest.raises(ModelError) as caught:
        OnnxClassifier(path)
    text = str(caught.value)
    assert str(path) in text
    assert len(text) < 400
    assert text.isprintable()


@pytest.mark.parametrize("text", ["[" * 50_000, "null", "[]", "7", "{", '{"labels": ', "{}"])
def test_what_is_no_card(tmp_path: Path, text: str) -> None:
    with pytest.raises(ModelError, match="card"):
        OnnxClassifier(tiny(tmp_path / "tiny.onnx", text))
    bare = tiny(tmp_path / "bare.onnx", None)
    bare.with_suffix(".json").write_text(text)
    with pytest.raises(ModelError, match="card"):
        OnnxClassifier(bare)


def test_metadata_that_is_not_utf8(tmp_path: Path) -> None:
    path = tiny(tmp_path / "tiny.onnx")
    path.write_bytes(path.read_bytes().replace(b'"tiny"', b'"\xff\xfeny"'))
    with pytest.raises(ModelError, match=r"tiny\.onnx"):
        OnnxClassifier(path)


def test_the_models_that_failed(shared: Path, photo: Path) -> None:
    from mien.engagement import EngagementModel

    folder = shared / "cases" / "storm"
    models, engagement = (sorted(folder.glob(f"{kind}_*.onnx")) for kind in ("model", "engagement"))
    assert models
    assert engagement
    for path in models:
        if path.name != "model_endless_loop.onnx":  # the limit is tested above, in less time
            with pytest.raises(ModelError):
                OnnxClassifier(path)
    for path in engagement:
        with pytest.raises(ModelError):
            EngagementModel(path)


def test_a_card_says_its_numbers_as_they_are_used() -> None:
    card = ModelCard("m", ["a", "b"], 8, mean=1, std=(2,), temperature=2)  # type: ignore[arg-type]
    assert (card.labels, card.mean, card.std) == (("a", "b"), (1.0,) * 3, (2.0,) * 3)
    assert CropSpec(margin=1).margin == 1.0


def test_a_network_that_does_not_fit_its_card_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="2 scores per face, but its card has 3 labels"):
        OnnxClassifier(tiny(tmp_path / "tiny.onnx", {**CARD, "labels": ["a", "b", "c"]}))
    with pytest.raises(ModelError, match=r"takes \(n, 3, 8, 8\), but its card says \(n, 3, 16"):
        OnnxClassifier(tiny(tmp_path / "other.onnx", {**CARD, "input_size": 16}))
    with pytest.raises(ModelError, match=r"takes \(n, 3, 8, 8\), but its card says \(n, 1, 8, 8\)"):
        OnnxClassifier(tiny(tmp_path / "gray.onnx", {**CARD, "color": "gray"}))


def test_a_file_without_end_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.truncate(trial.MAX_BYTES + 1)
    with pytest.raises(ModelError, match=r"large\.onnx has 1,073,741,825 bytes"):
        Session(path).session  # noqa: B018
