"""Training of expression networks: it learns, stops, goes on, and fine-tunes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra train)")

from helpers.training import face_folder, voted_faces  # noqa: E402

from mien.datasets import load_faces  # noqa: E402
from mien.errors import InputError, UsageError  # noqa: E402
from mien.evaluation import predict, to_crops  # noqa: E402
from mien.expressions.onnx import OnnxClassifier  # noqa: E402
from mien.labels import EMOTIONS  # noqa: E402
from mien.models.card import CropSpec  # noqa: E402
from mien.plugins import model_path  # noqa: E402
from mien.training.expressions import train as whole  # noqa: E402
from mien.training.expressions.augment import Augmentation, augment, to_input  # noqa: E402
from mien.training.expressions.export import write_card  # noqa: E402
from mien.training.expressions.finetune import finetune  # noqa: E402
from mien.training.expressions.loop import fit  # noqa: E402
from mien.training.expressions.losses import (  # noqa: E402
    attention_consistency,
    mix,
    sam_gradients,
    soft_cross_entropy,
)
from mien.training.expressions.recipe import Recipe, Stage  # noqa: E402
from mien.training.expressions.targets import for_training, training_set  # noqa: E402


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
    assert replace(voted_faces(3), votes=votes).majority.tolist() == [0, -1, 7]


def test_augmentation_is_repeatable_and_switched_off_changes_nothing() -> None:
    pictures = torch.from_numpy(voted_faces(6).images)
    none = Augmentation(0, 0, 0, 0, 0, 0, 0, 0)
    calm = augment(pictures, 64, none, torch.Generator().manual_seed(1))
    assert torch.allclose(calm, to_input(pictures, 64), atol=1e-2)
    wild = [
        augment(pictures, 64, Augmentation(), torch.Generator().manual_seed(5)) for _ in range(2)
    ]
    assert torch.equal(wild[0], wild[1])
    assert (wild[0] - calm).abs().mean() > 5
    assert 0 <= wild[0].min() <= wild[0].max() <= 255


@pytest.mark.slow
def test_a_training_learns_stops_and_goes_on(tmp_path: Path) -> None:
    """From a random start on a task a child could do, in two runs that equal one."""
    data = face_folder(tmp_path / "data", 96)
    recipe = tmp_path / "small.toml"
    text = 'name="small"\nstart=""\nsize=32\nbatch=16\nlr=1e-3\nema=0.5\n'
    recipe.write_text(text + "stages=[{epochs=4, size=32}]\n")
    lines: list[dict[str, Any]] = []

    def stop_after_one(line: dict[str, Any]) -> None:
        if line.get("epoch") == 1 and "loss" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        whole.run(recipe, data, tmp_path / "out", tmp_path, None, stop_after_one)
    path = whole.run(recipe, data, tmp_path / "out", tmp_path, None, lines.append)
    epochs = [line for line in lines if "loss" in line]
    assert [line["epoch"] for line in epochs] == [2, 3, 4]
    assert epochs[-1]["loss"] < 0.5  # guessing costs 0.69 once the six other labels are ruled out
    log = (tmp_path / "out" / "small" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in log] == [1, 2, 3, 4]
    whole.run(recipe, data, tmp_path / "once", tmp_path, None, lines.append)
    stopped, straight = (
        torch.load(tmp_path / name / "small" / "checkpoint.pt", weights_only=True)["average"]
        for name in ("out", "once")
    )
    for name, weights in stopped.items():
        assert torch.allclose(weights, straight[name], atol=1e-5), name
    classifier = OnnxClassifier(path)
    found = classifier.classify(to_crops(voted_faces(4).images, 32))
    assert found.values.shape == (4, 8)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    data = face_folder(tmp_path / "data", 32)
    recipe = tmp_path / "small.toml"
    text = 'name="small"\nstart=""\nsize=32\nbatch=16\nstages=[{epochs=1, size=32}]\n'
    recipe.write_text(text)
    whole.run(recipe, data, tmp_path / "out", tmp_path, None, lambda line: None)
    recipe.write_text(text + "lr=0.5\n")
    with pytest.raises(UsageError, match="comes from another recipe or other data"):
        whole.run(recipe, data, tmp_path / "out", tmp_path, None, lambda line: None)


@pytest.mark.slow
def test_a_stage_may_end_half_way_back(tmp_path: Path) -> None:
    """The blend of a stage is the mean of the network before it and of the one without a blend."""
    data, averages = face_folder(tmp_path / "d", 32), {}
    for name, stages in {
        "first": "{epochs=1, size=32}",
        "plain": "{epochs=1, size=32}, {epochs=2, size=32, restart=true}",
        "blended": "{epochs=1, size=32}, {epochs=2, size=32, restart=true, blend=0.5}",
    }.items():
        recipe = tmp_path / f"{name}.toml"
        recipe.write_text(f'network="rca"\nstart=""\nsize=32\nbatch=16\nstages=[{stages}]\n')
        whole.run(recipe, data, tmp_path / "o", None, None, lambda line: None)
        checkpoint = torch.load(tmp_path / "o" / name / "checkpoint.pt", weights_only=True)
        averages[name] = checkpoint["average"]["head.weight"]
    expected = (averages["first"] + averages["plain"]) / 2
    assert torch.allclose(averages["blended"], expected, atol=1e-6)


@pytest.mark.parametrize("narrow", ["false", "true"])
def test_a_teacher_answers_with_probabilities(tmp_path: Path, narrow: str) -> None:
    """What the network teaches itself differs from the votes, also in bfloat16."""
    recipe = tmp_path / "taught.toml"
    stages = "{epochs=1, size=32, teacher=0.5}"
    text = f'network="rca"\nstart=""\nsize=32\nbatch=16\nbfloat16={narrow}\nstages=[{stages}]\n'
    recipe.write_text(text)
    whole.run(recipe, face_folder(tmp_path / "d", 32), tmp_path, None, None, lambda line: None)
    state = torch.load(tmp_path / "taught" / "checkpoint.pt", weights_only=True)
    taught = state["taught"]
    assert taught.dtype == torch.float32
    assert taught.sum(dim=1) == pytest.approx(torch.ones(32), abs=1e-4)
    assert taught.max() < 0.9  # a network that has learned nothing is sure of nothing


def test_teachers_agree_on_the_mean(tmp_path: Path) -> None:
    """Each is asked about image and mirror image, cut as its card says, in the recipe's order."""
    images = np.random.default_rng(0).integers(0, 255, (3, 48, 48)).astype(np.uint8)
    aligned = tmp_path / "aligned.onnx"
    shutil.copy(model_path("mien-mobilenet"), aligned)
    card = OnnxClassifier(aligned).card
    template = card.crop.template
    turned = tuple((x, y - 0.1) for x, y in template)
    write_card(aligned, replace(card, name="aligned", crop=CropSpec(0.0, turned, template)))
    names = ("mien-mobilenet", str(aligned))
    labels = tuple(reversed(("neutral", "happy", *EMOTIONS[2:])))  # in other words, too
    opinions = [
        whole.opinion(Recipe("r", labels=labels, teachers=teachers), images)
        for teachers in ((names[0],), (names[1],), names)
    ]
    assert np.abs(opinions[0] - opinions[1]).max() > 0.01  # shifted by a tenth of the image
    assert opinions[2] == pytest.approx((opinions[0] + opinions[1]) / 2, abs=1e-6)
    one = predict(OnnxClassifier(aligned), images)
    mirrored = predict(OnnxClassifier(aligned), np.ascontiguousarray(images[..., ::-1]))
    assert opinions[1] == pytest.approx(((one + mirrored) / 2)[:, ::-1], abs=1e-6)
    with pytest.raises(UsageError, match="mien-mobilenet does not teach the labels happiness"):
        whole.opinion(Recipe("r", labels=("happiness",), teachers=names), images)


def test_training_reports_its_data_and_keeps_its_colors(tmp_path: Path) -> None:
    data = face_folder(tmp_path / "data", 8)
    recipe = Recipe("r", size=48)
    told: list[dict[str, Any]] = []
    train, validation = whole.read_data(recipe, data, told.append)
    assert train.images.shape == validation.images.shape == (8, 48, 48)
    (data / "train" / "sadness" / "torn.png").write_bytes(b"no picture")
    (data / "test" / "sadness").mkdir(parents=True)
    twin = next((data / "train" / "sadness").glob("[0-9]*.png"))
    shutil.copy(twin, data / "test" / "sadness" / "twin.png")
    rng = np.random.default_rng(0)
    for split in ("train", "validation"):
        bright = rng.integers(0, 255, (40, 40, 3)).astype(np.uint8)
        PILImage.fromarray(bright).save(data / split / "sadness" / "bright.png")
    told.clear()
    train, validation = whole.read_data(recipe, data, told.append)
    assert train.images.shape == validation.images.shape == (9, 3, 48, 48)
    words = "\n".join(line["note"] for line in told)
    assert "train: 1 broken image" in words
    assert "torn.png" in words
    assert "1 of 1 images of test have a twin in train" in words
    small = Recipe("colour", network="rca", start="", size=32, batch=4, stages=(Stage(1, 32),))
    model = whole.starting_network(small, train, None)
    model = fit(small, model, train, validation, tmp_path / "o", lambda line: None)
    assert whole.finish(small, model, validation, tmp_path / "o", lambda line: None).is_file()


def test_attention_consistency_keeps_its_promises() -> None:
    torch.manual_seed(1)
    maps = torch.rand(4, 6, 5, 5, requires_grad=True)
    head = torch.rand(3, 6, requires_grad=True)
    same = attention_consistency(maps, maps.flip(-1), head).item()
    assert same == pytest.approx(0, abs=1e-9)
    loss = attention_consistency(maps, torch.rand(4, 6, 5, 5), head)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss > 0
    assert head.grad is None
    assert maps.grad is not None
    other = torch.rand(4, 6, 5, 5)
    turn = torch.tensor([2, 0, 3, 1])
    plain = attention_consistency(maps, other, head).item()
    turned = attention_consistency(maps[turn], other[turn], head).item()
    assert turned == pytest.approx(plain)


def test_mixing_keeps_shares_and_blends_pairs() -> None:
    batch, targets = torch.arange(6.0).view(6, 1, 1, 1), torch.eye(6)
    mixed, aims = mix(batch, targets, 0.4, torch.Generator().manual_seed(2))
    assert torch.allclose(aims.sum(dim=1), torch.ones(6))
    assert torch.allclose(mixed.flatten(), aims @ torch.arange(6.0))
    assert not torch.equal(mixed, batch)


def test_sharpness_takes_the_gradient_uphill() -> None:
    """For x^4 at 1 with rho 0.5 the gradient is that at 1.5; the weight stays."""
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    loss = sam_gradients([weight], lambda: (weight**4).sum(), 0.5)
    assert float(loss.detach()) == 1
    assert weight.grad is not None
    assert float(weight.grad) == pytest.approx(4 * 1.5**3)
    assert float(weight.detach()) == pytest.approx(1)


def test_targets_are_votes_the_majority_or_the_older_label() -> None:
    votes = np.zeros((4, 8), np.float32)
    votes[0, :2] = [4, 4]
    votes[1, 1] = 10
    votes[2, 7] = 8
    votes[3, 3] = 6
    told = replace(
        voted_faces(4), votes=votes, fer2013=np.array(["anger", "", "happiness", "sadness"])
    )
    soft = training_set(Recipe("r"), told)
    assert soft.targets[0, :2].tolist() == [0.5, 0.5]
    assert soft.weights.tolist() == pytest.approx([0.8, 1.0, 0.8, 0.6])
    assert soft.answers.tolist() == [-1, 1, 7, 3]
    hard = training_set(Recipe("r", targets="majority"), told)
    assert hard.answers.tolist() == [1, 7, 3]
    seven = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    older = training_set(Recipe("r", targets="fer2013", labels=seven), told)
    assert older.answers.tolist() == [0, 3, 4]
    assert older.targets.shape == (3, 7)
    view = training_set(Recipe("r", labels=seven), told)  # contempt drops out, and so does its face
    assert view.answers.tolist() == [-1, 3, 4]
    with pytest.raises(UsageError, match="targets are votes, majority, fer2013"):
        training_set(Recipe("r", targets="guess"), told)


def test_class_weights_and_smoothing() -> None:
    told = replace(voted_faces(4), votes=np.eye(8, dtype=np.float32)[[1, 1, 1, 3]] * 10)
    two = Recipe("r", labels=("happiness", "sadness"), class_weights=1.0, label_smoothing=0.2)
    found = for_training(two, training_set(two, told))
    assert found.weights == pytest.approx(np.array([2, 2, 2, 6]) / 3)  # each class weighs the same
    assert found.targets[0].tolist() == pytest.approx([0.9, 0.1])


@pytest.mark.slow
def test_fine_tuning_learns_from_few_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.training.expressions.finetune.ALL_STEPS", 60)
    recipe = tmp_path / "start.toml"
    text = 'name="start"\nstart=""\nsize=32\nbatch=16\nlr=1e-3\nema=0.5\n'
    recipe.write_text(text + "stages=[{epochs=4, size=32}]\n")
    folder = face_folder(tmp_path / "data", 96)
    start = whole.run(recipe, folder, tmp_path / "out", None, None, lambda line: None)
    # What the network learned to call happiness is called sadness here, and the other way.
    data = load_faces(folder, labels={"happiness": "sadness", "sadness": "happiness"})[:160]
    tuned = finetune(start, data, tmp_path / "mine.onnx", lambda line: None)
    assert (tuned.train, tuned.test) == (96, 64)
    assert tuned.gain.overall.one < 0.9 < tuned.gain.overall.other
    card = OnnxClassifier(tuned.path).card
    assert card.name == "mine"
    assert "fine-tuned on 96 faces" in card.training_data
    assert sorted(path.name for path in tmp_path.glob("mine*")) == ["mine.onnx"]
    with pytest.raises(InputError, match="at least 40 faces"):
        finetune(start, data[:30], tmp_path / "few.onnx", lambda line: None)


@pytest.mark.slow
def test_the_default_model_can_be_tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.training.expressions.finetune.HEAD_STEPS", 1)
    monkeypatch.setattr("mien.training.expressions.finetune.ALL_STEPS", 1)
    data = load_faces(face_folder(tmp_path / "data", 24))
    told: list[dict[str, Any]] = []
    tuned = finetune(model_path("mien-mobilenet"), data, tmp_path / "mine.onnx", told.append)
    assert OnnxClassifier(tuned.path).card.name == "mine"
    distances = [line["val_kl"] for line in told if "loss" in line]
    best = distances.index(min(distances))
    depth = "the last layer" if best < 4 else "all layers"  # four epochs of each at least
    chosen = [line["note"] for line in told if "note" in line][-1]
    divergence = f"KL divergence {distances[best]:.3f}"
    assert chosen.startswith(f"{depth}, epoch {best + 1} of 8: {divergence} on")
