from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra train)")

from mien.classifiers.onnx import OnnxClassifier  # noqa: E402
from mien.datasets import VotedFaces  # noqa: E402
from mien.errors import InputNotFoundError, UsageError  # noqa: E402
from mien.evaluation import to_crops  # noqa: E402
from mien.testing import check_classifier  # noqa: E402
from mien.training import run as whole  # noqa: E402
from mien.training.augment import Augmentation, augment, to_input  # noqa: E402
from mien.training.backbone import ConvBN, MobileNetV1, restore_batchnorm  # noqa: E402
from mien.training.export import export  # noqa: E402
from mien.training.fit import soft_cross_entropy  # noqa: E402
from mien.training.recipe import Recipe, Stage, load_recipe  # noqa: E402

ROOT = Path(__file__).parents[1]


def lively() -> MobileNetV1:
    """A network with random weights whose every layer has a say."""
    torch.manual_seed(0)
    model = MobileNetV1(8)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.8, 1.6)
            torch.nn.init.uniform_(module.bias, -0.2, 0.6)
            module.running_var.fill_(1.5)
    return model.eval()


def faces(count: int) -> VotedFaces:
    """Left-bright faces that everyone calls happy, right-bright ones that everyone calls sad."""
    rng = np.random.default_rng(3)
    pictures = rng.integers(0, 60, (count, 48, 48)).astype(np.uint8)
    votes = np.zeros((count, 8), np.float32)
    for row in range(count):
        half = slice(0, 24) if row % 2 else slice(24, 48)
        pictures[row, half] += 150
        votes[row, 1 if row % 2 else 3] = 10
    names = np.array([f"{row}.png" for row in range(count)])
    return VotedFaces(names, pictures, votes, np.full(count, ""), np.full(count, -1))


def test_torch_and_onnx_agree(tmp_path: Path) -> None:
    model = lively()
    path = tmp_path / "net.onnx"
    export(model, whole.default_card(Recipe("net", size=64), 1.0), path, half=False)
    pictures = faces(4).pictures
    assert whole.parity(model, path, pictures) < 1e-3
    classifier = OnnxClassifier(path)
    check_classifier(classifier)
    inside = classifier.activations(to_crops(pictures, 64))
    with torch.no_grad():
        batch = torch.from_numpy(to_crops(pictures, 64)).permute(0, 3, 1, 2)
        _, embedding, maps = model(to_input(batch, 64))
    assert inside.embedding == pytest.approx(embedding.numpy(), abs=1e-3)
    assert inside.feature_map == pytest.approx(maps.numpy(), abs=1e-3)
    assert classifier.head_weights == pytest.approx(model.head.weight.detach().numpy())


def test_batchnorm_comes_back_without_changing_the_function() -> None:
    model = lively()
    images = to_input(torch.from_numpy(faces(32).pictures), 64)
    with torch.no_grad():
        before = model(images)[0]
        restore_batchnorm(model, images)
        assert torch.allclose(model(images)[0], before, atol=1e-3)
        first = model.features[0]
        assert isinstance(first, ConvBN)
        mean = first.bn.running_mean
        assert mean is not None
        assert mean.abs().max() > 1  # the statistics are the data's now, no longer the start's


@pytest.mark.parametrize("size", [64, 65])
def test_stride_two_pads_as_tensorflow_does(size: int) -> None:
    """SAME: ceil(size / 2) places; for even sizes the first window starts at pixel 0."""
    layer = ConvBN(1, 1, 3, 2, 1).eval()
    torch.nn.init.zeros_(layer.conv.weight)
    layer.conv.weight.data[0, 0, 0, 0] = 1  # each place shows its window's top left pixel
    image = torch.rand(1, 1, size, size)
    with torch.no_grad():
        out = layer(image)[0, 0] * np.sqrt(1 + 1e-3)
    assert out.shape == (-(-size // 2), -(-size // 2))
    start = 0 if size % 2 == 0 else 1
    assert torch.allclose(out[start, start], image[0, 0, start, start], atol=1e-5)


def test_soft_targets_weigh_by_votes() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    targets = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    weights = torch.tensor([1.0, 0.0])
    expected = -0.5 * (np.log(1 / (1 + np.exp(-2))) + np.log(1 / (1 + np.exp(2))))
    assert float(soft_cross_entropy(logits, targets, weights)) == pytest.approx(expected)


def test_the_majority_rule_drops_single_votes() -> None:
    votes = np.zeros((3, 8), np.float32)
    votes[0, :3] = [5, 4, 1]  # 5 of 9: a majority once the single vote is dropped
    votes[1, :2] = [5, 5]
    votes[2, 7] = 2
    assert replace(faces(3), votes=votes).majority.tolist() == [0, -1, 7]


def test_augmentation_is_repeatable_and_switched_off_changes_nothing() -> None:
    pictures = torch.from_numpy(faces(6).pictures)
    none = Augmentation(0, 0, 0, 0, 0, 0, 0, 0)
    calm = augment(pictures, 64, none, torch.Generator().manual_seed(1))
    assert torch.allclose(calm, to_input(pictures, 64), atol=1e-2)
    wild = [
        augment(pictures, 64, Augmentation(), torch.Generator().manual_seed(5)) for _ in range(2)
    ]
    assert torch.equal(wild[0], wild[1])
    assert (wild[0] - calm).abs().mean() > 5
    assert 0 <= wild[0].min() <= wild[0].max() <= 255


def test_a_training_learns_stops_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a random start on a task a child could do, in two runs that equal one."""
    # A random start instead of the face network: BatchNorm itself keeps such a deep net alive.
    monkeypatch.setattr("mien.training.fit.load_faceres", lambda model, folder: None)
    monkeypatch.setattr("mien.training.fit.restore_batchnorm", lambda model, images: None)
    monkeypatch.setattr(whole, "load_ferplus", lambda folder, split: faces(96))
    recipe = tmp_path / "small.toml"
    text = 'name="small"\nsize=32\nbatch=16\nlr=1e-3\nema=0.5\n'
    recipe.write_text(text + "stages=[{epochs=4, size=32}]\n")
    lines: list[dict[str, Any]] = []

    def stop_after_one(line: dict[str, Any]) -> None:
        if line.get("epoch") == 1 and "loss" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        whole.run(recipe, tmp_path, tmp_path / "out", tmp_path, None, stop_after_one)
    path = whole.run(recipe, tmp_path, tmp_path / "out", tmp_path, None, lines.append)
    epochs = [line for line in lines if "loss" in line]
    assert [line["epoch"] for line in epochs] == [2, 3, 4]
    assert epochs[-1]["loss"] < 0.5  # guessing costs 0.69 once the six other labels are ruled out
    log = (tmp_path / "out" / "small" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in log] == [1, 2, 3, 4]
    whole.run(recipe, tmp_path, tmp_path / "once", tmp_path, None, lines.append)
    stopped, straight = (
        torch.load(tmp_path / name / "small" / "checkpoint.pt", weights_only=True)["average"]
        for name in ("out", "once")
    )
    for name, weights in stopped.items():
        assert torch.allclose(weights, straight[name], atol=1e-5), name
    classifier = OnnxClassifier(path)
    found = classifier.classify(to_crops(faces(4).pictures, 32))
    assert found.values.shape == (4, 8)


def test_a_checkpoint_of_another_training_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.training.fit.load_faceres", lambda model, folder: None)
    monkeypatch.setattr(whole, "load_ferplus", lambda folder, split: faces(32))
    recipe = tmp_path / "small.toml"
    text = 'name="small"\nsize=32\nbatch=16\nstages=[{epochs=1, size=32}]\n'
    recipe.write_text(text)
    whole.run(recipe, tmp_path, tmp_path / "out", tmp_path, None, lambda line: None)
    recipe.write_text(text + "lr=0.5\n")
    with pytest.raises(UsageError, match="comes from another recipe or other data"):
        whole.run(recipe, tmp_path, tmp_path / "out", tmp_path, None, lambda line: None)


def test_every_recipe_can_be_read() -> None:
    recipes = list((ROOT / "recipes").glob("*.toml"))
    assert recipes
    for path in recipes:
        recipe = load_recipe(path)
        assert recipe.name == path.stem
        assert recipe.stage_at(recipe.epochs - 1).size == recipe.size


def test_stages_follow_each_other() -> None:
    recipe = Recipe("r", stages=(Stage(2, 80), Stage(1, 96)))
    assert [recipe.stage_at(epoch).size for epoch in range(3)] == [80, 80, 96]


@pytest.mark.parametrize(
    ("text", "words"),
    [("lr = ", "not a TOML file"), ("speed = 3", "unknown key 'speed'; a recipe has")],
)
def test_a_wrong_recipe_is_told(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        load_recipe(path)
    with pytest.raises(InputNotFoundError):
        load_recipe(tmp_path / "none.toml")
