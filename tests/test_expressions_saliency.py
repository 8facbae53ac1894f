"""Heatmaps: known answers, invariances, and a classifier with a known region."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from mien import EmotionAnalyzer
from mien.errors import UsageError
from mien.expressions.onnx import OnnxClassifier
from mien.expressions.saliency import class_activation, occlusion
from mien.plugins import model_path

RNG = np.random.default_rng(7)


def case() -> tuple[np.ndarray, np.ndarray]:
    return RNG.normal(size=(3, 5, 4, 6)).astype("f4"), RNG.normal(size=(8, 5)).astype("f4")


def test_a_map_that_can_be_worked_out_by_hand() -> None:
    maps = np.array([[[[1, 2], [0, 4]], [[1, 0], [3, 1]]]], np.float32)
    head = np.array([[2, -1], [-1, -1]], np.float32)
    # 2*F0 - F1 = [[1, 4], [-3, 7]]: negative places go to 0, the rest is divided by 7.
    expected = np.array([[[1 / 7, 4 / 7], [0, 1]]], np.float32)
    found = class_activation(maps, head, [0])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert not class_activation(maps, head, [1]).any()  # nothing speaks for it: zero, not NaN


def test_each_face_has_its_own_target_and_scale() -> None:
    maps, head = case()
    found = class_activation(maps, head, [0, 3, 7])
    for i, target in enumerate([0, 3, 7]):
        alone = class_activation(maps[i : i + 1], head, [target])
        np.testing.assert_allclose(found[i], alone[0], rtol=1e-5)
        assert found[i].max() == pytest.approx(1)
        assert found[i].min() >= 0


def test_it_does_not_depend_on_scale_or_order_of_channels() -> None:
    maps, head = case()
    targets = np.array([1, 2, 6])
    found = class_activation(maps, head, targets)
    np.testing.assert_allclose(class_activation(30 * maps, head, targets), found, atol=1e-5)
    np.testing.assert_allclose(class_activation(maps, 4 * head, targets), found, atol=1e-5)
    order = [3, 1, 4, 0, 2]
    shuffled = class_activation(maps[:, order], head[:, order], targets)
    np.testing.assert_allclose(shuffled, found, atol=1e-5)


def test_other_weights_give_another_map() -> None:
    maps, head = case()
    found = class_activation(maps, head, [1, 2, 6])
    other = class_activation(maps, RNG.normal(size=head.shape).astype("f4"), [1, 2, 6])
    assert np.abs(found - other).mean() > 0.1


def test_targets_may_weigh_labels() -> None:
    maps, head = case()
    one_hot = np.eye(8, dtype=np.float32)[[1, 2, 6]]
    np.testing.assert_allclose(
        class_activation(maps, head, one_hot), class_activation(maps, head, [1, 2, 6]), atol=1e-6
    )


def test_no_faces_give_no_maps() -> None:
    _, head = case()
    assert class_activation(np.zeros((0, 5, 4, 6), np.float32), head, []).shape == (0, 4, 6)
    assert occlusion(corner, np.zeros((0, 32, 32, 3), np.uint8), []).shape == (0, 32, 32)


@pytest.mark.parametrize("targets", [[0, 1], [0, 1, 8], [0, -1, 1], [0.5, 1.0, 2.0]])
def test_wrong_targets_are_refused(targets: list[float]) -> None:
    with pytest.raises(UsageError, match="targets"):
        class_activation(*case(), targets)


def test_head_and_maps_must_fit() -> None:
    maps, head = case()
    with pytest.raises(UsageError, match="head weights"):
        class_activation(maps, head[:, :4], [0, 1, 2])


def corner(crops: npt.NDArray[np.uint8]) -> np.ndarray:
    """A toy classifier of two labels that looks only at the 8 x 8 pixels top right."""
    white = crops[:, :8, -8:].mean(axis=(1, 2, 3)) / 255
    return np.asarray(np.stack([white, 1 - white], axis=1))


def test_occlusion_finds_the_place_that_counts() -> None:
    crops = np.full((2, 32, 32, 3), 255, np.uint8)
    before = crops.copy()
    heat = occlusion(corner, crops, [0, 1])
    assert heat.shape == (2, 32, 32)
    assert heat.dtype == np.float32
    y, x = np.unravel_index(heat[0].argmax(), heat[0].shape)
    assert y < 8
    assert x >= 24
    assert heat[0].max() == pytest.approx(1 - 128 / 255, abs=1e-5)  # the true drop, not scaled
    assert not heat[0, 16:].any()
    assert not heat[0, :, :16].any()
    assert not heat[1].any()  # covering white only helps the other label
    assert np.array_equal(crops, before)


def test_occlusion_asks_in_batches_and_reaches_every_edge() -> None:
    sizes: list[int] = []

    def mean(crops: npt.NDArray[np.uint8]) -> np.ndarray:
        sizes.append(len(crops))
        return np.asarray(crops.mean(axis=(1, 2, 3))[:, None] / 255)

    heat = occlusion(mean, np.full((1, 30, 30, 3), 255, np.uint8), [0], window=7, stride=2)
    assert (heat > 0).all()
    assert max(sizes) <= 64
    assert sum(sizes) > 100


@pytest.mark.parametrize(("window", "stride"), [(0, 1), (4, 5), (33, 4), (4, 0)])
def test_patches_must_cover_the_crop(window: int, stride: int) -> None:
    with pytest.raises(UsageError, match="stride"):
        occlusion(corner, np.zeros((1, 32, 32, 3), np.uint8), [0], window=window, stride=stride)


def test_weights_of_labels_mix_their_maps() -> None:
    maps, head = case()
    weights = np.eye(8, dtype=np.float32)[[0, 3, 7]]
    np.testing.assert_allclose(
        class_activation(maps, head, weights), class_activation(maps, head, [0, 3, 7]), rtol=1e-5
    )
    halves = (weights + np.roll(weights, 1, axis=1)) / 2
    expected = class_activation(maps, halves @ head, [0, 1, 2])
    np.testing.assert_allclose(class_activation(maps, head, halves), expected, rtol=1e-5)


def test_occlusion_of_a_mix_is_the_sum_of_its_parts() -> None:
    rng = np.random.default_rng(3)
    crops = rng.integers(0, 255, (2, 16, 16, 3)).astype(np.uint8)

    def classify(batch: np.ndarray) -> np.ndarray:
        """Light above and light below: covering either place lowers its share."""
        halves = np.stack([batch[:, :8].mean((1, 2, 3)), batch[:, 8:].mean((1, 2, 3))], axis=1)
        return halves / 510

    crops[:] = 255
    above, below = (occlusion(classify, crops, [k, k]) for k in (0, 1))
    mixed = occlusion(classify, crops, np.full((2, 2), 0.5, np.float32))
    np.testing.assert_allclose(mixed, (above + below) / 2, atol=1e-6)
    assert above[0, 2, 8] > 0 == above[0, 14, 8]


def test_a_network_with_random_weights_gives_other_maps(tmp_path: Path) -> None:
    """The sanity check of Adebayo et al. 2018 (arXiv 1810.03292): maps must depend on weights."""
    onnx = pytest.importorskip("onnx")
    result = EmotionAnalyzer()(Path(__file__).parents[1] / "src/mien/assets/astronaut.jpg")
    face = result.crops
    trained = OnnxClassifier(model_path("mien-mobilenet"))
    graph = onnx.load(str(trained.path))
    rng = np.random.default_rng(1)
    last = [t for t in graph.graph.initializer if t.name in ("w26.half", "head_weights.half")]
    assert len(last) == 2
    for tensor in last:
        values = onnx.numpy_helper.to_array(tensor)
        drawn = rng.normal(0, values.std(), values.shape).astype(values.dtype)
        tensor.CopyFrom(onnx.numpy_helper.from_array(drawn, tensor.name))
    random = tmp_path / "random.onnx"
    random.write_bytes(graph.SerializeToString())
    maps = []
    for model in (trained, OnnxClassifier(random)):
        inside, head = model.activations(face), model.head_weights
        assert inside.feature_map is not None
        assert head is not None
        every = np.repeat(inside.feature_map, 8, axis=0)
        maps.append(class_activation(every, head, range(8)).reshape(8, -1))
    told = [(found.std(axis=1) > 0.05).sum() for found in maps]
    assert min(told) >= 2  # there are patterns to compare
    lengths = np.linalg.norm(maps, axis=2).prod(axis=0)
    alike = (maps[0] * maps[1]).sum(axis=1) / np.maximum(lengths, 1e-9)
    assert alike[lengths > 0].mean() < 0.7
