"""The identity branch: trained on a frozen network, with another network as teacher."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra train)")

from PIL import Image as PILImage  # noqa: E402

from mien.errors import UsageError  # noqa: E402
from mien.evaluation import to_crops  # noqa: E402
from mien.expressions.onnx import OnnxClassifier  # noqa: E402
from mien.plugins import model_path  # noqa: E402
from mien.training.expressions import distill as growing  # noqa: E402
from mien.training.expressions import train as whole  # noqa: E402
from mien.training.expressions.attach import attach_branch  # noqa: E402
from mien.training.expressions.branch import Branch, TeacherOutputs  # noqa: E402
from mien.training.expressions.recipe import load_branch  # noqa: E402

TRUNK = model_path("mien-mobilenet")


class Teacher:
    """Knows a face by where it is bright: identity, age and gender follow from that."""

    def __init__(self, folder: Path) -> None:
        pass

    def __call__(self, x: Any) -> TeacherOutputs:
        left, top = x[:, 0, :, :112].mean((1, 2)) / 255, x[:, 0, :112].mean((1, 2)) / 255
        identity = torch.zeros(len(x), 1024)
        identity[:, 0], identity[:, 1], identity[:, 2] = left, top, 1
        ages = torch.full((len(x), 100), -20.0)
        ages[torch.arange(len(x)), (60 * left).long()] = 5.0
        return TeacherOutputs(identity, ages, 20 * (left - 0.5))


def data(folder: Path, count: int = 192) -> Path:
    rng = np.random.default_rng(0)
    for split, some in (("train", count), ("validation", 48), ("test", 48)):
        place = folder / split / "happiness"
        place.mkdir(parents=True)
        for number in range(some):
            left, top = rng.integers(0, 2, 2) * 150
            face = rng.integers(0, 60, (48, 48)).astype(np.uint8)
            face[:, :24] += np.uint8(left)
            face[:24] += np.uint8(top // 3)
            PILImage.fromarray(face).save(place / f"{number}.png")
    return folder


@pytest.fixture
def grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[dict[str, Any]]]:
    monkeypatch.setattr(growing, "FaceNetwork", Teacher)
    recipe = tmp_path / "r.toml"
    recipe.write_text('name="grown"\ntrunk="mien-mobilenet"\nwidth=64\nepochs=6\nbatch=32\n')
    lines: list[dict[str, Any]] = []
    faces = data(tmp_path / "faces")
    return whole.run(recipe, faces, tmp_path / "o", tmp_path, None, lines.append), lines


@pytest.mark.slow
def test_it_learns_what_the_teacher_knows(grown: tuple[Path, list[dict[str, Any]]]) -> None:
    path, lines = grown
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 6
    assert losses[-1] < 0.7 * losses[0]
    figures = json.loads((path.parent / "figures.json").read_text())
    assert figures["test_identity_cosine"] > 0.5


@pytest.mark.slow
def test_expressions_stay_bit_for_bit(grown: tuple[Path, list[dict[str, Any]]]) -> None:
    crops = np.random.default_rng(1).integers(0, 256, (5, 112, 112, 3), dtype=np.uint8)
    before = OnnxClassifier(TRUNK).classify(crops)
    model = OnnxClassifier(grown[0], also=("identity", "features"))
    after = model.classify(crops)
    assert np.array_equal(before.values, after.values)
    assert after.embeddings["identity"].shape == (5, 192)
    assert np.linalg.norm(after.embeddings["identity"], axis=1) == pytest.approx(1, abs=1e-4)
    assert tuple(after.measures) == () == model.measures
    assert len(model.classify(crops[:0]).embeddings["identity"]) == 0


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_another_recipe_does_not(
    grown: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    recipe, out = load_branch(tmp_path / "r.toml"), grown[0].parent
    assert recipe is not None
    grown[0].unlink()
    lines: list[dict[str, Any]] = []
    growing.distill(recipe, tmp_path / "faces", out, tmp_path, None, lines.append)
    assert not any("loss" in line for line in lines), "everything was there already"
    (tmp_path / "r.toml").write_text('name="grown"\ntrunk="mien-mobilenet"\nwidth=32\n')
    other = load_branch(tmp_path / "r.toml")
    assert other is not None
    with pytest.raises(UsageError, match="comes from another recipe"):
        growing.distill(other, tmp_path / "faces", out, tmp_path, None, lines.append)


@pytest.mark.slow
def test_predictions_of_other_images_are_not_reused(
    grown: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    recipe = load_branch(tmp_path / "r.toml")
    assert recipe is not None
    others = data(tmp_path / "others", 128)
    with pytest.raises(UsageError, match=r"teacher-train.pt is about other images"):
        growing.distill(recipe, others, grown[0].parent, tmp_path, None, lambda line: None)


def test_file_and_network_agree(tmp_path: Path) -> None:
    """Also where BatchNorm's statistics are not those of the beginning."""
    torch.manual_seed(0)
    trunk = growing._Trunk(TRUNK, 12)
    branch = Branch(trunk.channels, 1024, 48, 2, 16)
    with torch.no_grad():
        for module in branch.modules():
            if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
                torch.nn.init.uniform_(module.bias, -0.3, 0.3)
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 2)
    card = OnnxClassifier(TRUNK).card
    path = tmp_path / "g.onnx"

    attach_branch(
        TRUNK,
        branch.eval(),
        (12, 7),
        replace(card, identity="identity"),
        path,
    )
    pictures = np.random.default_rng(2).integers(0, 256, (6, 48, 48), dtype=np.uint8)
    model = OnnxClassifier(path, also=("identity",))
    told = model.classify(to_crops(pictures, model.input_size)).embeddings["identity"]
    with torch.no_grad():
        crops = torch.from_numpy(to_crops(pictures, 112)).permute(0, 3, 1, 2).float()
        wanted = branch(*trunk(crops))
    assert told == pytest.approx(wanted.identity.numpy(), abs=5e-3)


def test_after_which_layer(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leaves after layer 0 to 26, got 40"):
        growing._Trunk(TRUNK, 40)
