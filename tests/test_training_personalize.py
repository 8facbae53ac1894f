"""A head for one person, the command, and real images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.command import mien

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra train)")

from helpers.heads import QUIET, analyzed_table, color_network, colored, figures, labeled_rows  # noqa: E402

from mien.datasets import load_faces  # noqa: E402
from mien.datasets.frames.labels import labels_of  # noqa: E402
from mien.errors import InputError, ModelError, UsageError  # noqa: E402
from mien.expressions.heads import Head  # noqa: E402
from mien.expressions.onnx import OnnxClassifier  # noqa: E402
from mien.models.session import file_sha256  # noqa: E402
from mien.plugins import load_classifier, model_path  # noqa: E402
from mien.training.heads.alignment import LabeledFeatures, match  # noqa: E402
from mien.training.heads.features import features_of  # noqa: E402
from mien.training.heads.personalize import LastLayer, adapt, fit_layer  # noqa: E402
from mien.training.heads.train import HeadRecipe, train_head  # noqa: E402
from mien.types import FloatArray  # noqa: E402

LABELS = ("neutral", "happiness", "sadness")


def person(model: Path, features: FloatArray, labels: list[str]) -> LabeledFeatures:
    """Pictures of one person."""
    values = np.eye(3, dtype=np.float32)[[LABELS.index(label) for label in labels]]
    rows = labeled_rows(values, LABELS, features)
    n = len(labels)
    names = np.array([f"{i}.jpg" for i in range(n)], dtype=object)
    alone = np.full(n, "she", dtype=object)
    unknown = np.full(n, np.nan)
    return replace(rows, videos=names, people=alone, times=unknown, sha256=file_sha256(model))


def blue(n: int, seed: int = 0) -> FloatArray:
    """A person whose face is bluish at rest, which the model takes for sadness."""
    rng = np.random.default_rng(seed)
    return np.asarray([0.3, 0.5, 0.72] + 0.03 * rng.normal(size=(n, 3)), np.float32)


def test_the_last_layer_is_the_model_itself(tmp_path: Path) -> None:
    model = OnnxClassifier(color_network(tmp_path / "tiny.onnx"))
    start = LastLayer.of(model)
    colors = np.random.default_rng(1).random((6, 3)).astype(np.float32)
    crops = colored(colors)
    features = model.activations(crops).embedding
    assert features is not None
    logits = features @ start.weights.T + start.biases
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert probabilities == pytest.approx(model.classify(crops).values, abs=1e-4)
    hidden = OnnxClassifier(model.path, replace(model.card, head=""))
    with pytest.raises(ModelError, match="tiny does not export its last layer"):
        LastLayer.of(hidden)


def test_a_resting_face_is_learned_from_a_few_images(tmp_path: Path) -> None:
    path = color_network(tmp_path / "tiny.onnx")
    model = OnnxClassifier(path)
    assert model.classify(colored(blue(20))).top.tolist() == [2] * 20
    warm = np.asarray([[0.9, 0.5, 0.2]] * 4, np.float32)
    rows = person(path, np.concatenate([blue(8), warm]), ["neutral"] * 8 + ["happiness"] * 4)
    trained = adapt(model, rows, tmp_path / "she.onnx")
    found = figures(trained)
    assert found["loss_after"] < found["loss_before"] - 0.2
    assert "fits these labels better" in trained.notes[0]
    right = next(figure for figure in trained.figures if figure.name == "accuracy_after")
    assert right.low < 1, "twelve moments prove no 100 %"
    few = adapt(model, person(path, blue(8), ["neutral"] * 8), tmp_path / "few.onnx")
    assert few.figures == ()
    assert "8 moments are too few for figures" in few.notes[1]
    adapted = load_classifier(path, heads=[trained.path])
    fresh, before = colored(blue(20, seed=5)), model.classify(colored(blue(20, seed=5)))
    after = adapted.classify(fresh)
    assert adapted.labels == LABELS
    assert (after.values[:, 0] > before.values[:, 0] + 0.15).all()
    # Far from the frames it stays the model.
    assert adapted.classify(colored(warm)).top.tolist() == [1] * 4


def test_frames_that_say_nothing_new_change_nothing(tmp_path: Path) -> None:
    path = color_network(tmp_path / "tiny.onnx")
    model = OnnxClassifier(path)
    colors = np.random.default_rng(3).random((30, 3)).astype(np.float32)
    own = [LABELS[top] for top in model.classify(colored(colors)).top]
    rng = np.random.default_rng(4)
    noisy = [str(rng.choice(LABELS)) if rng.random() < 0.5 else label for label in own]
    trained = adapt(model, person(path, colors, noisy), tmp_path / "none.onnx")
    assert "so the head is the model's last layer unchanged" in trained.notes[0]
    features = np.random.default_rng(5).random((9, 3)).astype(np.float32)
    crops = colored(features)
    same = load_classifier(path, heads=[trained.path]).classify(crops).values
    assert same == pytest.approx(model.classify(crops).values, abs=1e-4)


def test_the_more_frames_the_further_it_moves(tmp_path: Path) -> None:
    start = LastLayer.of(OnnxClassifier(color_network(tmp_path / "tiny.onnx")))
    away = []
    for n in (2, 10, 50):
        truth = np.tile(np.array([[1, 0, 0]], np.float32), (n, 1))
        kernel, bias = fit_layer(start, blue(n), truth, np.ones(n))
        away.append(np.abs(kernel - start.weights).max() + np.abs(bias - start.biases).max())
    assert away[0] < away[1] < away[2] < 5
    truth = np.tile(np.array([[1, 0, 0]], np.float32), (50, 1))
    shared = fit_layer(start, blue(50), truth, np.full(50, 1 / 50))  # one moment, fifty frames
    assert np.abs(shared[0] - start.weights).max() < away[0]


def test_too_little_of_a_person_is_one_sentence(tmp_path: Path) -> None:
    path = color_network(tmp_path / "tiny.onnx")
    model = OnnxClassifier(path)
    rows = person(path, blue(6), ["neutral"] * 6)
    film = np.full(6, "film.mp4", dtype=object)
    moment = replace(rows, videos=film, times=np.arange(6, dtype=np.float64) / 25)
    with pytest.raises(InputError, match="at 4 or more moments are needed, there are 1"):
        adapt(model, moment, tmp_path / "a.onnx")
    adapt(model, replace(moment, times=np.arange(6, dtype=np.float64) * 3), tmp_path / "a.onnx")
    with pytest.raises(ModelError, match="features of another model"):
        adapt(model, replace(rows, sha256="other"), tmp_path / "b.onnx")
    with pytest.raises(UsageError, match="tiny has no label 'bored'; it has neutral, happiness"):
        adapt(model, replace(rows, columns=("neutral", "bored", "sadness")), tmp_path / "b.onnx")


def test_the_command_from_table_to_analysis(tmp_path: Path, photo: Path) -> None:
    model = color_network(tmp_path / "tiny.onnx")
    folder = tmp_path / "tables"
    folder.mkdir()
    lines = ["source,frame,valence,arousal,expression"]
    for film in range(3):
        analyzed_table(folder, model, f"film{film}.mp4", 60)
        rows = [(i / 30 - 1, 1 - i / 30, "happy" if i > 30 else "sad") for i in range(60)]
        lines += [f"film{film},{i},{v:.3f},{a:.3f},{e}" for i, (v, a, e) in enumerate(rows)]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(lines))
    head = tmp_path / "va.onnx"
    done = mien(
        *("train-head", folder, labels, "--task", "valence-arousal"),
        *("--hidden", 16, "-o", head, "--model", model),
    )
    assert done.exit_code == 0, done.stderr
    assert "people or videos held out: 1" in done.stderr
    assert done.stdout.splitlines()[-1] == str(head)
    assert "3 people or videos, none in two parts" in done.stderr
    table = tmp_path / "t.csv"
    done = mien("analyze", photo, "--model", model, "--head", head, "-o", table)
    assert done.exit_code == 0, done.stderr
    row = pd.read_csv(table).iloc[0]
    assert -1 <= row["valence"] <= 1
    assert row["valence"] == pytest.approx(-row["arousal"], abs=0.25)
    one = tmp_path / "one.onnx"
    done = mien("train-head", folder, labels, "--person", "all", "-o", one, "--model", model)
    assert done.exit_code == 0, done.stderr
    assert Head(one).card.columns == LABELS
    for wrong, code, sentence in (
        ((folder, "--task", "valence-arousal"), 2, "mien: a table needs labels: name a CSV"),
        ((folder, labels, "--task", "smiles"), 2, "mien: the task is one of expression, val"),
        (
            (folder, labels, "-o", "h.pt"),
            2,
            "mien: the name of the new model must end in .onnx, got h.pt",
        ),
        ((folder, tmp_path / "no.csv"), 3, "mien: there are no labels at"),
        ((tmp_path / "no", labels), 3, "mien: there is no table or folder"),
        ((folder, labels, "--person", "4"), 3, "mien: there is no person 4"),
        ((folder, labels, "--person", "all"), 4, "mien: these are features of another model"),
    ):
        done = mien("train-head", *wrong)
        assert (done.exit_code, done.stderr.startswith(sentence)) == (code, True), done.stderr
    done = mien("analyze", photo, "--head", head)
    assert done.exit_code == 4
    assert "va was trained on 3 features of tiny" in done.stderr


def test_votes_of_real_faces(shared: Path, tmp_path: Path) -> None:
    """Share of the votes as numbers to learn, on 900 faces of FER+ validation."""
    folder = shared / "data" / "ferplus"
    if not (folder / "validation.parquet").is_file():
        pytest.skip("FER+ is not here")
    faces = load_faces(folder, "validation")[:900]
    model = OnnxClassifier(model_path("mien-mobilenet"))
    seen = features_of(model, faces)
    assert seen.values.shape == (900, 1024)
    rows = match(seen, labels_of(faces, "regression"))
    rows = replace(rows, splits=np.full(900, "", dtype=object))
    trained = train_head(rows, HeadRecipe("regression", rounds=8), tmp_path / "v.onnx", **QUIET)
    found = figures(trained)
    assert found["r_votes_happiness"] > 0.9
    assert found["kl"] < 0.6
    head = Head(trained.path)
    assert head.card.model == "mien-mobilenet"
    adapted = load_classifier("mien-mobilenet", heads=[trained.path])
    scores = adapted.classify(faces.crops(model.input_size, slice(0, 3)))
    expected = head.values(seen.values[:3])
    place = head.card.columns.index("votes_happiness")
    assert scores.measures["votes_happiness"] == pytest.approx(expected[:, place], abs=1e-3)
