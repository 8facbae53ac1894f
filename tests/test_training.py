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

from mien.datasets import VotedFaces, load_faces  # noqa: E402
from mien.errors import InputError, InputNotFoundError, ModelError, UsageError  # noqa: E402
from mien.evaluation import to_crops  # noqa: E402
from mien.expressions.onnx import OnnxClassifier  # noqa: E402
from mien.plugins import model_path  # noqa: E402
from mien.testing import check_classifier  # noqa: E402
from mien.training.expressions import train as whole  # noqa: E402
from mien.training.expressions.augment import Augmentation, augment, to_input  # noqa: E402
from mien.training.expressions.export import export  # noqa: E402
from mien.training.expressions.finetune import finetune  # noqa: E402
from mien.training.expressions.loop import fit  # noqa: E402
from mien.training.expressions.losses import (  # noqa: E402
    attention_consistency,
    mix,
    sam_gradients,
    soft_cross_entropy,
)
from mien.training.expressions.pretrained import (  # noqa: E402
    convolutions,
    load_exported,
    open_exported,
    restore_batchnorm,
)
from mien.training.expressions.recipe import Recipe, Stage, load_branch, load_recipe  # noqa: E402
from mien.training.expressions.targets import for_training, training_set  # noqa: E402
from mien.training.networks import CBAM, NETWORKS, ConvBN, Network, make_network  # noqa: E402

ROOT = Path(__file__).parents[1]
#: Those of whole networks; branches are in test_branch.py.
RECIPES = sorted(p for p in (ROOT / "recipes").glob("*.toml") if load_branch(p) is None)


def lively(name: str = "mobilenet", attention: str = "") -> Network:
    """A network with random weights whose every layer has a say."""
    torch.manual_seed(0)
    model = make_network(name, 8, attention=attention)
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


def stored(folder: Path, count: int) -> Path:
    """The same faces as a folder a label, once for training and once for validation."""
    told = faces(2 * count)
    for row, picture in enumerate(told.images):
        split = "train" if row < count else "validation"
        label = "happiness" if told.votes[row, 1] else "sadness"
        path = folder / split / label / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PILImage.fromarray(picture).save(path)
    return folder


@pytest.mark.parametrize(
    ("name", "attention", "size"),
    [("mobilenet", "", 64), ("mobilenet", "cbam", 65), ("inception", "", 80), ("rca", "", 48)],
)
def test_torch_and_onnx_agree(tmp_path: Path, name: str, attention: str, size: int) -> None:
    model = lively(name, attention)
    path = tmp_path / "net.onnx"
    card = whole.default_card(Recipe("net", network=name, size=size), model, 1.0)
    export(model, card, path, half=False)
    pictures = faces(4).images
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
    model = lively()
    images = to_input(torch.from_numpy(faces(32).images), 64)
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
    pictures = torch.from_numpy(faces(6).images)
    none = Augmentation(0, 0, 0, 0, 0, 0, 0, 0)
    calm = augment(pictures, 64, none, torch.Generator().manual_seed(1))
    assert torch.allclose(calm, to_input(pictures, 64), atol=1e-2)
    wild = [
        augment(pictures, 64, Augmentation(), torch.Generator().manual_seed(5)) for _ in range(2)
    ]
    assert torch.equal(wild[0], wild[1])
    assert (wild[0] - calm).abs().mean() > 5
    assert 0 <= wild[0].min() <= wild[0].max() <= 255


def test_a_training_learns_stops_and_goes_on(tmp_path: Path) -> None:
    """From a random start on a task a child could do, in two runs that equal one."""
    data = stored(tmp_path / "data", 96)
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
    found = classifier.classify(to_crops(faces(4).images, 32))
    assert found.values.shape == (4, 8)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    data = stored(tmp_path / "data", 32)
    recipe = tmp_path / "small.toml"
    text = 'name="small"\nstart=""\nsize=32\nbatch=16\nstages=[{epochs=1, size=32}]\n'
    recipe.write_text(text)
    whole.run(recipe, data, tmp_path / "out", tmp_path, None, lambda line: None)
    recipe.write_text(text + "lr=0.5\n")
    with pytest.raises(UsageError, match="comes from another recipe or other data"):
        whole.run(recipe, data, tmp_path / "out", tmp_path, None, lambda line: None)


def test_a_stage_may_end_half_way_back(tmp_path: Path) -> None:
    """The blend of a stage is the mean of the network before it and of the one without a blend."""
    data, averages = stored(tmp_path / "d", 32), {}
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
    whole.run(recipe, stored(tmp_path / "d", 32), tmp_path, None, None, lambda line: None)
    state = torch.load(tmp_path / "taught" / "checkpoint.pt", weights_only=True)
    taught = state["taught"]
    assert taught.dtype == torch.float32
    assert taught.sum(dim=1) == pytest.approx(torch.ones(32), abs=1e-4)
    assert taught.max() < 0.9  # a network that has learned nothing is sure of nothing


def test_every_recipe_can_be_read() -> None:
    assert len(RECIPES) > 5
    for path in RECIPES:
        recipe = load_recipe(path)
        assert recipe.name == path.stem
        assert recipe.stage_at(recipe.epochs - 1).size == recipe.size


def test_a_training_tells_of_its_data_and_keeps_its_colours(tmp_path: Path) -> None:
    data = stored(tmp_path / "data", 8)
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


def test_stages_follow_each_other() -> None:
    recipe = Recipe("r", stages=(Stage(2, 80), Stage(1, 96)))
    assert [recipe.stage_at(epoch).size for epoch in range(3)] == [80, 80, 96]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr = ", "not a TOML file"),
        ("speed = 3", "unknown key 'speed'; a recipe has"),
        ("batch = '64'", "batch cannot be '64', it is a whole number"),
        ("batch = 0", "batch is at least 1, got 0"),
        ("lr = true", "lr cannot be True, it is a number"),
        ("crop_template = [[1, 2, 3]]", "crop_template cannot be .*, it is a list"),
        ("name = '../elsewhere'", "name is a plain file name"),
        ("stages = 3", "stages is a list of tables"),
        ("augmentation = 'none'", "augmentation is a table"),
        ("[[stages]]\nepochs = 1", "missing 1 required .* 'size'"),
        ("[[stages]]\nepochs = 0\nsize = 64", "epochs is at least 1"),
    ],
)
def test_a_wrong_recipe_is_told(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        load_recipe(path)
    with pytest.raises(InputNotFoundError):
        load_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_trains_to_the_end(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a sample, one epoch a stage; random weights stand for the face network's."""
    monkeypatch.setattr(whole, "load_faceres", lambda model, folder: None)
    data = stored(tmp_path / "data", 64)
    lines: list[dict[str, Any]] = []
    path = whole.run(recipe, data, tmp_path / "out", tmp_path, 64, lines.append)
    classifier = OnnxClassifier(path)
    told = load_recipe(recipe)
    assert classifier.labels == told.labels
    assert classifier.input_size == told.size
    assert sum("loss" in line for line in lines) == len(told.stages)
    small = OnnxClassifier(path.with_name(f"{told.name}-int8.onnx"))
    assert small.card.name == f"{told.name}-int8"
    crops = to_crops(faces(8).images, told.size)
    assert small.classify(crops).values == pytest.approx(
        classifier.classify(crops).values, abs=0.15
    )
    figures = json.loads((path.parent / "figures.json").read_text())
    assert figures["int8_mb"] < figures["float_mb"]
    assert figures["int8_faces_per_s"] > 0


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
    assert len(blocks) == {"mobilenet": 5, "inception": 2, "rca": 4}[name]
    assert model(torch.zeros(1, 3, 64, 64))[0].shape == (1, 3)


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
    told = replace(faces(4), votes=votes, fer2013=np.array(["anger", "", "happiness", "sadness"]))
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
    told = replace(faces(4), votes=np.eye(8, dtype=np.float32)[[1, 1, 1, 3]] * 10)
    two = Recipe("r", labels=("happiness", "sadness"), class_weights=1.0, label_smoothing=0.2)
    found = for_training(two, training_set(two, told))
    assert found.weights == pytest.approx(np.array([2, 2, 2, 6]) / 3)  # each class weighs the same
    assert found.targets[0].tolist() == pytest.approx([0.9, 0.1])


@pytest.mark.parametrize(
    "options", ["eac=0.5", "sam=0.05", "mixup=0.3", "class_weights=1.0\nlabel_smoothing=0.1"]
)
def test_every_option_trains(tmp_path: Path, options: str) -> None:
    recipe = tmp_path / "r.toml"
    text = 'network="rca"\nstart=""\nsize=32\nbatch=16\nlr=2e-3\nema=0.5\n'
    recipe.write_text(f"{text}{options}\nstages=[{{epochs=3, size=32}}]\n")
    lines: list[dict[str, Any]] = []
    whole.run(recipe, stored(tmp_path / "d", 64), tmp_path / "o", None, None, lines.append)
    last = [line for line in lines if "loss" in line][-1]
    assert last["val_accuracy"] > 0.9


def test_an_exported_model_can_be_taken_up_again(tmp_path: Path) -> None:
    model = lively()
    path = tmp_path / "net.onnx"
    export(model, whole.default_card(Recipe("net", size=64), model, 1.0), path, half=False)
    again = make_network("mobilenet", 3)
    load_exported(again, path, ("sadness", "happiness", "boredom"))
    batch = to_input(torch.from_numpy(faces(4).images), 64)
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
    model = lively(name, attention)
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
    batch = to_input(torch.from_numpy(faces(4).images), size)
    with torch.no_grad():
        before, after = model(batch)[0], again.eval()(batch)[0]
    assert torch.allclose(after, before, atol=1e-3 * before.abs().max())


def test_a_network_with_attention_is_no_plain_one(tmp_path: Path) -> None:
    model = lively("mobilenet", "cbam")
    path = tmp_path / "net.onnx"
    card = whole.default_card(Recipe("net", size=64), model, 1.0)
    export(model, card, path)
    with pytest.raises(ModelError, match="is no MobileNetV1 that mien exported"):
        load_exported(make_network("mobilenet", 8), path, card.labels)


def test_attention_is_put_on_a_plain_network(tmp_path: Path) -> None:
    """It starts open, so that the network goes on as it was."""
    model = lively()
    path = tmp_path / "net.onnx"
    card = whole.default_card(Recipe("net", size=64), model, 1.0)
    export(model, card, path, half=False)
    again = make_network("mobilenet", 8, attention="cbam")
    load_exported(again, path, card.labels)
    batch = to_input(torch.from_numpy(faces(4).images), 64)
    with torch.no_grad():
        before, after = model(batch)[0], again.eval()(batch)[0]
    assert (before.argmax(1) == after.argmax(1)).all()


def test_fine_tuning_learns_from_few_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.training.expressions.finetune.ALL_STEPS", 60)
    recipe = tmp_path / "start.toml"
    text = 'name="start"\nstart=""\nsize=32\nbatch=16\nlr=1e-3\nema=0.5\n'
    recipe.write_text(text + "stages=[{epochs=4, size=32}]\n")
    folder = stored(tmp_path / "data", 96)
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


def test_the_default_model_can_be_tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it tells of a person comes from a branch that would not fit the new network."""
    monkeypatch.setattr("mien.training.expressions.finetune.HEAD_STEPS", 1)
    monkeypatch.setattr("mien.training.expressions.finetune.ALL_STEPS", 1)
    data = load_faces(stored(tmp_path / "data", 24))
    told: list[dict[str, Any]] = []
    tuned = finetune(model_path("mien-mobilenet"), data, tmp_path / "mine.onnx", told.append)
    card = OnnxClassifier(tuned.path).card
    assert card.identity == ""
    distances = [line["val_kl"] for line in told if "loss" in line]
    best = distances.index(min(distances))
    depth = "the last layer" if best < 4 else "all layers"  # four epochs of each at least
    chosen = [line["note"] for line in told if "told" in line][-1]
    assert chosen.startswith(f"{depth}, epoch {best + 1} of 8: {distances[best]:.3f} from")
