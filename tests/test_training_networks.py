"""Networks of the recipes: their layers, and that nothing of one is lost between trainings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra train)")

from helpers.training import random_network, voted_faces  # noqa: E402

from mien.errors import ModelError  # noqa: E402
from mien.evaluation import to_crops  # noqa: E402
from mien.expressions.onnx import OnnxClassifier  # noqa: E402
from mien.testing import check_classifier  # noqa: E402
from mien.training.expressions import train as whole  # noqa: E402
from mien.training.expressions.augment import to_input  # noqa: E402
from mien.training.expressions.export import export  # noqa: E402
from mien.training.expressions.pretrained import (  # noqa: E402
    convolutions,
    load_exported,
    open_exported,
    restore_batchnorm,
)
from mien.training.expressions.recipe import Recipe  # noqa: E402
from mien.training.networks import CBAM, NETWORKS, ConvBN, make_network  # noqa: E402


@pytest.mark.parametrize(
    ("name", "attention", "size"),
    [
        ("mobilenet", "", 64),
        ("mobilenet", "cbam", 65),
        ("mobilefacenet", "", 80),
        ("mobilefacenet", "", 112),
        ("inception", "", 80),
        ("rca", "", 48),
    ],
)
def test_torch_and_onnx_agree(tmp_path: Path, name: str, attention: str, size: int) -> None:
    model = random_network(name, attention)
    path = tmp_path / "net.onnx"
    card = whole.default_card(Recipe("net", network=name, size=size), model, 1.0)
    export(model, card, path, half=False)
    pictures = voted_faces(4).images
    assert whole.parity(model, path, pictures) < 1e-3
    classifier = OnnxClassifier(path)
    check_classifier(classifier)
    inside = classifier.activations(to_crops(pictures, size))
    with torch.no_grad():
        batch = torch.from_numpy(to_crops(pictures, size)).permute(0, 3, 1, 2)
        _, embedding, maps = model(to_input(batch, size))
    assert inside.embedding == pytest.approx(embedding.numpy(), abs=1e-3)
    assert inside.feature_map == pytest.approx(maps.numpy(), abs=1e-3)
    assert classifier.head_weights == pytest.approx(model.head.weight.detach().numpy())


def test_batchnorm_comes_back_without_changing_the_function() -> None:
    model = random_network()
    images = to_input(torch.from_numpy(voted_faces(32).images), 64)
    with torch.no_grad():
        before = model(images)[0]
        restore_batchnorm(model, images)
        assert torch.allclose(model(images)[0], before, atol=1e-3)
        mean = convolutions(model)[0].bn.running_mean
        assert mean is not None
        assert mean.abs().max() > 1  # the statistics are the data's now, no longer the start's


@pytest.mark.parametrize("size", [64, 65])
def test_stride_two_pads_as_tensorflow_does(size: int) -> None:
    """SAME: ceil(size / 2) places; for even sizes the first window starts at pixel 0."""
    layer = ConvBN(1, 1, 3, 2).eval()
    torch.nn.init.zeros_(layer.conv.weight)
    layer.conv.weight.data[0, 0, 0, 0] = 1  # each place shows its window's top left pixel
    image = torch.rand(1, 1, size, size)
    with torch.no_grad():
        out = layer(image)[0, 0] * np.sqrt(1 + 1e-3)
    assert out.shape == (-(-size // 2), -(-size // 2))
    start = 0 if size % 2 == 0 else 1
    assert torch.allclose(out[start, start], image[0, 0, start, start], atol=1e-5)


def test_inception_has_the_published_size() -> None:
    count = sum(p.numel() for p in make_network("inception", 7).parameters())
    assert count == pytest.approx(10.44e6, rel=0.002)
    maps = make_network("inception", 7).eval()(torch.zeros(1, 3, 160, 160))[2]
    assert maps.shape == (1, 256, 8, 8)


def test_cbam_starts_open_and_weighs_channels_and_places() -> None:
    block = CBAM(16).eval()
    x = torch.rand(2, 16, 6, 6)
    with torch.no_grad():
        assert (block(x) / x).min() > 0.9
        last = block.mlp[2]
        assert isinstance(last, torch.nn.Conv2d)
        assert last.bias is not None
        last.bias[3] = -20.0  # the gate of channel 3 shuts
        closed = block(x)
        assert closed[:, 3].abs().max() < 1e-6
        assert (closed[:, 4] / x[:, 4]).min() > 0.9


@pytest.mark.parametrize("name", NETWORKS)
def test_attention_goes_into_any_network(name: str) -> None:
    model = make_network(name, 3, attention="cbam").eval()
    blocks = [module for module in model.modules() if isinstance(module, CBAM)]
    assert len(blocks) == {"mobilenet": 5, "mobilefacenet": 4, "inception": 2, "rca": 4}[name]
    assert model(torch.zeros(1, 3, 64, 64))[0].shape == (1, 3)


def test_an_exported_model_can_be_taken_up_again(tmp_path: Path) -> None:
    model = random_network()
    path = tmp_path / "net.onnx"
    export(model, whole.default_card(Recipe("net", size=64), model, 1.0), path, half=False)
    again = make_network("mobilenet", 3)
    load_exported(again, path, ("sadness", "happiness", "boredom"))
    batch = to_input(torch.from_numpy(voted_faces(4).images), 64)
    with torch.no_grad():
        before, after = model(batch)[0], again.eval()(batch)[0]
    assert torch.allclose(after[:, 0], before[:, 3], atol=1e-3)
    assert torch.allclose(after[:, 1], before[:, 1], atol=1e-3)
    assert after[:, 2].abs().max() == 0
    with pytest.raises(ModelError, match="is no RCA that mien exported"):
        load_exported(make_network("rca", 3), path, ("sadness", "happiness", "boredom"))


@pytest.mark.parametrize(
    ("name", "attention", "size"),
    [("mobilenet", "", 64), ("mobilenet", "cbam", 64), ("inception", "", 96), ("rca", "", 48)],
)
def test_no_part_of_a_network_is_lost_between_trainings(
    tmp_path: Path, name: str, attention: str, size: int
) -> None:
    model = random_network(name, attention)
    for module in model.modules():
        if isinstance(module, CBAM):  # gates that say something
            torch.nn.init.normal_(module.mlp[2].weight, std=0.3)
            torch.nn.init.normal_(module.places.weight, std=0.3)
    path = tmp_path / "net.onnx"
    card = whole.default_card(Recipe("net", size=size), model, 1.0)
    export(model, card, path, half=False)
    again, told = open_exported(path, card.labels, 0.1)
    assert told == card
    assert type(again) is type(model)
    batch = to_input(torch.from_numpy(voted_faces(4).images), size)
    with torch.no_grad():
        before, after = model(batch)[0], again.eval()(batch)[0]
    assert torch.allclose(after, before, atol=1e-3 * before.abs().max())


def test_a_network_with_attention_is_no_plain_one(tmp_path: Path) -> None:
    model = random_network("mobilenet", "cbam")
    path = tmp_path / "net.onnx"
    card = whole.default_card(Recipe("net", size=64), model, 1.0)
    export(model, card, path)
    with pytest.raises(ModelError, match="is no MobileNetV1 that mien exported"):
        load_exported(make_network("mobilenet", 8), path, card.labels)


def test_attention_is_put_on_a_plain_network(tmp_path: Path) -> None:
    """It starts open, so that the network goes on as it was."""
    model = random_network()
    path = tmp_path / "net.onnx"
    card = whole.default_card(Recipe("net", size=64), model, 1.0)
    export(model, card, path, half=False)
    again = make_network("mobilenet", 8, attention="cbam")
    load_exported(again, path, card.labels)
    batch = to_input(torch.from_numpy(voted_faces(4).images), 64)
    with torch.no_grad():
        before, after = model(batch)[0], again.eval()(batch)[0]
    assert (before.argmax(1) == after.argmax(1)).all()
