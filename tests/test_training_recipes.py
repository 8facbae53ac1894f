"""Recipes: each can be read and trained from start to end, and a wrong one is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra train)")

from helpers.training import face_folder, voted_faces  # noqa: E402

from mien.errors import InputNotFoundError, UsageError  # noqa: E402
from mien.evaluation import to_crops  # noqa: E402
from mien.expressions.onnx import OnnxClassifier  # noqa: E402
from mien.training.expressions import train as whole  # noqa: E402
from mien.training.expressions.recipe import Recipe, Stage, load_recipe  # noqa: E402

ROOT = Path(__file__).parents[1]


#: Those of whole networks; branches are in test_training_branch.py.
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


def test_every_recipe_can_be_read() -> None:
    assert len(RECIPES) > 5
    for path in RECIPES:
        recipe = load_recipe(path)
        assert recipe.name == path.stem
        assert recipe.stage_at(recipe.epochs - 1).size == recipe.size


def test_stages_follow_each_other() -> None:
    recipe = Recipe("r", stages=(Stage(2, 80), Stage(1, 96)))
    assert [recipe.stage_at(epoch).size for epoch in range(3)] == [80, 80, 96]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr = ", "not a TOML file"),
        ("speed = 3", "unknown key 'speed'; a recipe has"),
        ("batch = '64'", "batch is a whole number, got '64'"),
        ("batch = 0", "batch is at least 1, got 0"),
        ("lr = true", "lr is a number, got True"),
        ("crop_template = [[1, 2, 3]]", "crop_template has 2 items, got 3"),
        ("name = '../elsewhere'", "name is a plain file name"),
        ("stages = 3", "stages is a list of tables"),
        ("augmentation = 'none'", "augmentation is a table"),
        ("[[stages]]\nepochs = 1", "missing 1 required .* 'size'"),
        ("[[stages]]\nepochs = 0\nsize = 64", "epochs is at least 1"),
    ],
)
def test_a_wrong_recipe_is_a_usage_error(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        load_recipe(path)
    with pytest.raises(InputNotFoundError):
        load_recipe(tmp_path / "none.toml")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_trains_to_the_end(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a sample, one epoch a stage; random weights stand for the face network's."""
    monkeypatch.setattr(whole, "load_faceres", lambda model, folder: None)
    data = face_folder(tmp_path / "data", 64)
    lines: list[dict[str, Any]] = []
    path = whole.run(recipe, data, tmp_path / "out", tmp_path, 64, lines.append)
    classifier = OnnxClassifier(path)
    told = load_recipe(recipe)
    assert classifier.labels == told.labels
    assert classifier.input_size == told.size
    assert sum("loss" in line for line in lines) == len(told.stages)
    small = OnnxClassifier(path.with_name(f"{told.name}-int8.onnx"))
    assert small.card.name == f"{told.name}-int8"
    crops = to_crops(voted_faces(8).images, told.size)
    assert small.classify(crops).values == pytest.approx(
        classifier.classify(crops).values, abs=0.15
    )
    figures = json.loads((path.parent / "figures.json").read_text())
    assert figures["int8_mb"] < figures["float_mb"]
    assert figures["int8_faces_per_s"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", ["eac=0.5", "sam=0.05", "mixup=0.3", "class_weights=1.0\nlabel_smoothing=0.1"]
)
def test_every_option_trains(tmp_path: Path, options: str) -> None:
    recipe = tmp_path / "r.toml"
    text = 'network="rca"\nstart=""\nsize=32\nbatch=16\nlr=2e-3\nema=0.5\n'
    recipe.write_text(f"{text}{options}\nstages=[{{epochs=3, size=32}}]\n")
    lines: list[dict[str, Any]] = []
    whole.run(recipe, face_folder(tmp_path / "d", 64), tmp_path / "o", None, None, lines.append)
    last = [line for line in lines if "loss" in line][-1]
    assert last["val_accuracy"] > 0.9
