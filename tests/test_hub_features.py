"""A further output for networks that only give scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.errors import InputNotFoundError, ModelError
from mien.hub.converters.features import give_features
from mien.models.session import Session

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra keras)")


@pytest.mark.parametrize("ending", ["Gemm", "MatMul"])
def test_the_last_layers_input_comes_out(tmp_path: Path, ending: str) -> None:
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    kernel = np.random.default_rng(0).normal(0, 1, (5, 3)).astype(np.float32)
    bias = np.arange(3, dtype=np.float32)
    nodes = [helper.make_node("Relu", ["x"], ["inner"])]
    if ending == "Gemm":  # as the EfficientNets end, with the weights turned
        nodes += [helper.make_node("Gemm", ["inner", "w", "b"], ["scores"], transB=1)]
    else:
        nodes += [helper.make_node("MatMul", ["inner", "w"], ["sum"])]
        nodes += [helper.make_node("Add", ["sum", "b"], ["scores"])]
    weights = {"w": kernel.T if ending == "Gemm" else kernel, "b": bias}
    value, kind = helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "net",
        [value("x", kind, ["n", 5])],
        [value("scores", kind, ["n", 3])],
        [numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in weights.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
    seen = np.array([[1, -2, 3, -4, 5]], np.float32)
    scores, features = Session(give_features(path, tmp_path / "more.onnx")).run(
        ["scores", "features"], seen
    )
    assert features.tolist() == [[1, 0, 3, 0, 5]]
    assert scores == pytest.approx(features @ kernel + bias, abs=1e-5)
    with pytest.raises(ModelError, match="has an output 'features' already"):
        give_features(tmp_path / "more.onnx", tmp_path / "most.onnx")


def test_other_networks_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="no such model file"):
        give_features(tmp_path / "none.onnx", tmp_path / "out.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(ModelError, match="is not an ONNX network"):
        give_features(tmp_path / "text.onnx", tmp_path / "out.onnx")
    helper = onnx.helper
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 5])
    out = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 5])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", [value], [out])
    onnx.save(helper.make_model(graph, ir_version=8), str(tmp_path / "relu.onnx"))
    with pytest.raises(ModelError, match="does not end in a linear layer"):
        give_features(tmp_path / "relu.onnx", tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()
