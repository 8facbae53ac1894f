"""ONNX files: read, built node by node, and written with a card. The one place that needs onnx."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.errors import InputNotFoundError, MissingExtraError, ModelError
from mien.files import replacing, writing

if TYPE_CHECKING:
    import onnx

OPSET, IR_VERSION = 17, 8
#: Types as ONNX numbers them, for ``Cast``.
FLOAT, DOUBLE = 1, 11
Shape = Sequence[int | str | None]


def _onnx() -> Any:
    """The package.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("writing models needs onnx; run: pip install onnx.") from error
    return onnx


class Graph:
    """A network to which nodes and weights are added one by one.

    The graph of a file is extended where `proto` is given.
    """

    def __init__(self, proto: onnx.GraphProto | None = None) -> None:
        self._onnx = _onnx()
        self.proto: onnx.GraphProto = self._onnx.GraphProto() if proto is None else proto

    def add(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node; returns the name of its output, which is also its own."""
        node = self._onnx.helper.make_node(kind, inputs, [output], name=output, **attributes)
        self.proto.node.append(node)
        return output

    def weight(self, name: str, values: npt.ArrayLike) -> str:
        """Add an array in its own type; returns its name."""
        array = np.asarray(values, order="C")
        self.proto.initializer.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def half(self, name: str, values: npt.NDArray[np.floating]) -> str:
        """Add an array that is stored as float16 and widened to float32 when the file is opened."""
        stored = self.weight(f"{name}.half", values.astype(np.float16))
        return self.add("Cast", [stored], name, to=FLOAT)

    def input(self, name: str, shape: Shape) -> str:
        """Declare a float32 input; returns its name."""
        self.proto.input.append(self._onnx.helper.make_tensor_value_info(name, FLOAT, shape))
        return name

    def output(self, name: str, shape: Shape) -> None:
        """Declare a float32 output."""
        self.proto.output.append(self._onnx.helper.make_tensor_value_info(name, FLOAT, shape))

    def model(self, name: str) -> onnx.ModelProto:
        """The finished network."""
        self.proto.name = name
        opset = self._onnx.helper.make_opsetid("", OPSET)
        model: onnx.ModelProto = self._onnx.helper.make_model(
            self.proto, opset_imports=[opset], ir_version=IR_VERSION
        )
        return model


def read_model(path: Path) -> onnx.ModelProto:
    """The network in a file.

    Raises:
        InputNotFoundError: there is no such file.
        MissingExtraError: onnx is not installed.
        ModelError: it is not an ONNX file.
    """
    loader = _onnx()
    if not path.is_file():
        raise InputNotFoundError(f"no such model file: {path}.")
    try:
        model: onnx.ModelProto = loader.load(str(path))
    except Exception as error:
        raise ModelError(f"{path} is not an ONNX network: {error}.") from error
    return model


def weights_of(model: onnx.ModelProto) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a network by name, in the types in which they are stored."""
    to_array = _onnx().numpy_helper.to_array
    return {tensor.name: to_array(tensor) for tensor in model.graph.initializer}


def metadata_of(model: onnx.ModelProto) -> dict[str, str]:
    """The key-value metadata of a network, its card among them."""
    return {entry.key: entry.value for entry in model.metadata_props}


def write_model(
    model: onnx.ModelProto,
    path: Path,
    metadata: Mapping[str, str] | None = None,
    check: Callable[[Path], None] | None = None,
) -> Path:
    """Write a network, byte for byte the same each time, whole or not at all.

    Args:
        model: a finished one.
        path: the ``.onnx`` file; its folder is made, a file of that name is replaced.
        metadata: replaces the file's own, such as a card by its key.
        check: gets the new file under another name; what it raises leaves nothing at `path`.

    Raises:
        ModelError: the network breaks the rules of ONNX.
        UsageError: the file cannot be written.
    """
    onnx = _onnx()
    if metadata is not None:
        onnx.helper.set_model_props(model, dict(metadata))
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"the network for {path} is not valid ONNX: {error}.") from error
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(model.SerializeToString(deterministic=True))
            if check is not None:
                check(temporary)
    return path
