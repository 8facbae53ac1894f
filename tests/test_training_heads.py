"""Heads on features: trained on known labels, saved, read, and used in an analysis."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mien import EmotionAnalyzer, load_classifier
from mien.errors import InputError, ModelError, UsageError
from mien.evaluation.metrics import best_threshold, concordance, f1_score
from mien.expressions.heads import Head, HeadCard, HeadedClassifier
from mien.expressions.onnx import OnnxClassifier
from mien.models.session import file_sha256
from mien.testing import check_classifier
from mien.types import FloatArray

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra train)")

from helpers.heads import (  # noqa: E402
    QUIET,
    analyzed_table,
    color_at,
    color_network,
    colored,
    figures,
    labeled_rows,
)

from mien.training.heads.data import Selection, load_rows  # noqa: E402
from mien.training.heads.export import Last, apply, write_head  # noqa: E402
from mien.training.heads.splits import divide  # noqa: E402
from mien.training.heads.train import HeadRecipe, concordances, train_head  # noqa: E402

D = 12


def drawn(n: int = 1500, seed: int = 0) -> tuple[FloatArray, np.random.Generator]:
    """Features of very different sizes, one of which never changes."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, D)) * np.logspace(-2, 2, D) + np.linspace(-5, 5, D)
    features[:, 3] = 7
    return features.astype(np.float32), rng


def standard(features: FloatArray) -> FloatArray:
    return np.asarray((features - features.mean(axis=0)) / (features.std(axis=0) + 1e-9), "f4")


def test_units_are_found_and_their_probability_is_one(tmp_path: Path) -> None:
    features, rng = drawn(3000)
    z = standard(features)
    truth = np.stack([z[:, 0] > 1.3, z[:, 1] + z[:, 2] > 0], axis=1).astype(np.float32)
    flipped = rng.random(truth.shape) < 0.05  # coders err
    values = np.where(flipped, 1 - truth, truth)
    values[rng.random(values.shape) < 0.2] = np.nan  # and leave some open
    rows = labeled_rows(values, ("AU01", "AU12"), features)
    trained = train_head(rows, HeadRecipe("action-units", rounds=12), tmp_path / "au.onnx", **QUIET)
    found = figures(trained)
    assert found["f1_AU12"] > 0.87  # 0.95 is the most, since coders err
    assert found["f1_AU01"] > 0.5  # a tenth is there; a twentieth of the rest is called so
    assert found["mean_f1"] > found["mean_f1_always"] + 0.2
    head = Head(trained.path)
    assert head.card.thresholds == trained.card.thresholds
    measured = head.measures(features)
    assert list(measured) == ["AU01", "AU12", "AU01_present", "AU12_present"]
    for name, column in zip(("AU01", "AU12"), values.T, strict=True):
        there = column[~np.isnan(column)].mean()
        assert measured[name].mean() == pytest.approx(there, abs=0.03)  # in spite of the weights
        least = head.summary["thresholds"][name]
        assert (measured[f"{name}_present"] == (measured[name] >= least)).all()


def test_valence_and_arousal_agree(tmp_path: Path) -> None:
    features, rng = drawn()
    z = standard(features)
    values = np.tanh(np.stack([z[:, 0] - 0.3, 0.5 * z[:, 4] * z[:, 4] - 0.5], axis=1))
    values = np.clip(values + 0.05 * rng.normal(size=values.shape), -1, 1).astype(np.float32)
    rows = labeled_rows(values, ("valence", "arousal"), features)
    trained = train_head(rows, HeadRecipe("valence-arousal"), tmp_path / "va.onnx", **QUIET)
    found = figures(trained)
    assert found["ccc_valence"] > 0.93
    assert found["ccc_arousal"] > 0.8  # not linear: the middle layer is needed
    linear = HeadRecipe("valence-arousal", hidden=0, rounds=12)
    flat = figures(train_head(rows, linear, tmp_path / "flat.onnx", **QUIET))
    assert flat["ccc_valence"] > 0.5
    assert flat["ccc_arousal"] < 0.3
    assert np.abs(Head(trained.path).values(features)).max() <= 1


def test_rare_expressions_count_with_class_weights(tmp_path: Path) -> None:
    features, rng = drawn(2000)
    z = standard(features)
    score = z[:, 5] + 0.8 * rng.normal(size=len(z))
    place = np.where(score > 2.2, 2, (z[:, 6] > 0).astype(int))
    rows = labeled_rows(np.eye(3, dtype=np.float32)[place], ("neutral", "joy", "other"), features)
    found = {}
    for power in (0.0, 1.0):
        recipe = HeadRecipe("expression", rounds=8, class_weights=power)
        found[power] = figures(train_head(rows, recipe, tmp_path / f"e{power}.onnx", **QUIET))
    assert found[0.0]["f1_neutral"] > 0.9
    assert found[1.0]["f1_other"] > found[0.0]["f1_other"]
    values = Head(tmp_path / "e1.0.onnx").values(features)
    assert values.sum(axis=1) == pytest.approx(np.ones(len(z)), abs=1e-4)


def test_numbers_come_back_in_their_own_unit(tmp_path: Path) -> None:
    features, rng = drawn()
    z = standard(features)
    values = np.stack([50 + 20 * z[:, 0], 1e-3 * z[:, 1]], axis=1) + 0
    values[::7, 1] = np.nan
    rows = labeled_rows(values.astype(np.float32), ("age", "tiny"), features)
    found = figures(train_head(rows, HeadRecipe("regression"), tmp_path / "r.onnx", **QUIET))
    assert found["mae_age"] < 3
    assert found["r_tiny"] > 0.95
    shares = rng.dirichlet((1, 1, 1), len(z)).astype(np.float32)
    shares[:, 0] = np.where(z[:, 0] > 0, 0.8, 0.1)
    shares[:, 1:] *= ((1 - shares[:, 0]) / shares[:, 1:].sum(axis=1))[:, None]
    rows = labeled_rows(shares, ("a", "b", "c"), features)
    trained = train_head(rows, HeadRecipe("regression", rounds=12), tmp_path / "s.onnx", **QUIET)
    assert figures(trained)["r_a"] > 0.8
    assert Head(trained.path).values(features).sum(axis=1) == pytest.approx(1, abs=1e-4)
    assert Head(trained.path).card.measures == ("a", "b", "c")  # shares have no threshold


def test_what_cannot_be_learned_is_an_error(tmp_path: Path) -> None:
    features, rng = drawn(400)
    values = (rng.random((400, 2)) < 0.5).astype(np.float32)
    values[:, 1] = 0
    values[5, 1] = 1
    recipe = HeadRecipe("multilabel", rounds=2)
    trained = train_head(
        labeled_rows(values, ("a", "b"), features), recipe, tmp_path / "m.onnx", **QUIET
    )
    assert trained.card.columns == ("a",)
    assert trained.notes == ("too few faces with and without b: left out.",)
    with pytest.raises(
        InputError, match="nothing can be learned: too few faces with b in the training"
    ):
        train_head(
            labeled_rows(values[:, 1:], ("b",), features), recipe, tmp_path / "n.onnx", **QUIET
        )
    few = labeled_rows(values[:20], ("a", "b"), features[:20])
    with pytest.raises(InputError, match="at least 30 labeled faces, there are 20"):
        train_head(few, recipe, tmp_path / "n.onnx", **QUIET)
    assert not (tmp_path / "n.onnx").exists()


def test_no_person_is_in_two_parts() -> None:
    features, _ = drawn(1000)
    values = np.zeros((1000, 1), np.float32)
    values[:200] = 1  # only the first two of ten people
    rows = labeled_rows(values, ("x",), features)
    parts = divide(rows)
    shares = [part.tolist() for part in (parts.train, parts.validation, parts.test)]
    assert sorted(row for part in shares for row in part) == list(range(1000))
    people = [set(rows.people[part]) for part in shares]
    assert not people[0] & people[1] | people[0] & people[2] | people[1] & people[2]
    assert [len(part) for part in shares] == pytest.approx([600, 200, 200], abs=20)
    assert "30 people or videos, none in two parts" in parts.protocol[0]
    given = np.full(1000, "train", dtype=object)
    given[600:] = "validation"
    parts = divide(replace(rows, splits=given))
    assert parts.test.tolist() == list(range(600, 1000))
    assert not set(rows.people[parts.train]) & set(rows.people[parts.validation])
    given[800:] = "test"
    parts = divide(replace(rows, splits=given))
    assert (parts.validation.tolist(), parts.test.tolist()) == (
        list(range(600, 800)),
        list(range(800, 1000)),
    )
    alone = np.full(1000, "she", dtype=object)
    parts = divide(replace(rows, people=alone, videos=alone))
    assert parts.train.max() < parts.validation.min() <= parts.validation.max() < parts.test.min()
    assert "one person or video only" in parts.protocol[0]


def test_figures_of_agreement() -> None:
    truth = np.array([0.0, 1, 2, 3])
    assert concordance(truth, truth) == 1
    assert concordance(truth, truth + 1) == pytest.approx(2 * 1.25 / (1.25 + 1.25 + 1))
    assert np.isnan(concordance(truth * 0, truth * 0))
    values, known = torch.tensor([[0.0], [1], [2], [3], [9]]), torch.ones(5, 1)
    known[4] = 0
    assert float(concordances(values + 1, values, known)) == pytest.approx(2.5 / 3.5)
    there = np.array([True, True, False, False])
    assert f1_score(there, np.array([True, False, True, False])) == 0.5
    least = best_threshold(there, np.array([0.3, 0.2, 0.1, 0.0], np.float32))
    assert 0.1 < least <= 0.2
    assert best_threshold(~there | there, np.zeros(4, np.float32)) == 0.5


def test_figures_have_intervals_over_people() -> None:
    """Fifty faces a person: what a person is like, all of them are."""
    from mien.training.heads.metrics import Predictions, figures_of

    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(12), 50)
    truth = (rng.random((600, 1)) < 0.5).astype(np.float32)
    astray = rng.random(12)[people] < 0.3
    values = np.where(astray, 1 - truth[:, 0], truth[:, 0])[:, None].astype(np.float32)
    units = figures_of("action-units", Predictions(("AU12",), values, truth, (0.5,), people))
    numbers = figures_of("regression", Predictions(("AU12",), values, truth, (), people))
    for figure in (*units, *numbers):
        assert figure.people == 12
        assert figure.low < figure.value < figure.high
        if figure.name != "mean_f1_always":
            assert figure.high - figure.low > 0.2, figure.name
    alone = figures_of("action-units", Predictions(("AU12",), values, truth, (0.5,)))
    named = {figure.name: figure for figure in alone}
    assert named["f1_AU12"].value == pytest.approx(f1_score(truth[:, 0] > 0.5, values[:, 0] > 0.5))
    assert np.isnan(named["f1_AU12"].low)
    perfect = figures_of("action-units", Predictions(("AU12",), truth, truth, (0.5,), people))
    assert next(f for f in perfect if f.name == "f1_AU12").low < 0.9


def bias_head(path: Path, model: Path, card: HeadCard, values: list[float]) -> Path:
    """A head that says the same of every face."""
    layer = (np.zeros((len(values), 3), np.float32), np.array(values, np.float32))
    last: Last = "softmax" if card.task == "expression" else "none"
    write_head(path, replace(card, model_sha256=file_sha256(model)), [layer], last)
    return path


def test_heads_on_a_model(tmp_path: Path) -> None:
    path = color_network(tmp_path / "tiny.onnx")
    faces = HeadCard("mood", "expression", ("calm", "lively"), size=3, model="tiny")
    ages = HeadCard("ages", "regression", ("years",), size=3, model="tiny")
    units = HeadCard("au", "action-units", ("AU01",), (0.4,), size=3, model="tiny")
    heads = [
        bias_head(tmp_path / "mood.onnx", path, faces, [0, np.log(3)]),
        bias_head(tmp_path / "ages.onnx", path, ages, [30]),
        bias_head(tmp_path / "au.onnx", path, units, [0.4]),
    ]
    model = load_classifier(path, heads=heads)
    check_classifier(model)
    assert model.labels == ("calm", "lively")
    crops = colored(np.random.default_rng(0).random((5, 3)).astype(np.float32))
    scores = model.classify(crops)
    assert scores.values[0].tolist() == pytest.approx([0.25, 0.75])
    assert {name: v.tolist() for name, v in scores[0].measures.items()} == {
        "years": [30],
        "AU01": [pytest.approx(0.4)],
        "AU01_present": [1],
    }
    assert not scores.embeddings
    assert isinstance(model, HeadedClassifier)
    assert model.classify(crops[:0]).measures["years"].shape == (0,)
    asked = load_classifier(path, heads=heads[1:2], also=("features",))
    scores = asked.classify(crops)
    assert scores.embeddings["features"].shape == (5, 3)
    assert scores.labels == ("neutral", "happiness", "sadness")
    with pytest.raises(UsageError, match="two heads have the column 'years'"):
        load_classifier(path, heads=[heads[1], heads[1]])
    with pytest.raises(UsageError, match="mood and mood both predict expressions"):
        load_classifier(path, heads=[heads[0], heads[0]])
    with pytest.raises(UsageError, match="heads need an"):
        load_classifier(model, heads=heads)


def test_features_of_another_model_are_one_sentence(tmp_path: Path) -> None:
    path, other = color_network(tmp_path / "tiny.onnx"), color_network(tmp_path / "other.onnx")
    card = HeadCard("ages", "regression", ("years",), size=3, model="tiny")
    head = bias_head(tmp_path / "ages.onnx", path, card, [30])
    with pytest.raises(
        ModelError, match=r"ages was trained on 3 features of tiny \(\w{8}\), not on other"
    ):
        load_classifier(other, heads=[head])
    with pytest.raises(ModelError, match=r"tiny.onnx is not a head"):
        load_classifier(path, heads=[path])
    with pytest.raises(ModelError, match="takes 3 features of tiny for each face, got 4"):
        Head(head).values(np.zeros((2, 4), np.float32))
    with pytest.raises(ModelError, match="needs 1 thresholds, got 0"):
        replace(card, task="multilabel")
    with pytest.raises(ModelError, match="the card of a head cannot be read"):
        HeadCard.from_json("{}")
    again = HeadCard.from_json(json.dumps({**json.loads(card.to_json()), "later": 1}))
    assert again == card
    layers = [(np.ones((2, 3), np.float32), np.zeros(2, np.float32))] * 1
    assert apply(layers, "sigmoid", np.zeros((1, 3), np.float32)).tolist() == [[0.5, 0.5]]


def test_from_videos_to_columns_of_a_table(tmp_path: Path) -> None:
    model = color_network(tmp_path / "tiny.onnx")
    folder = tmp_path / "tables"
    folder.mkdir()
    rows = []
    for film in range(5):
        analyzed_table(folder, model, f"film{film}.mp4")
        for frame in range(120):
            red, green, _ = color_at(frame, 120)
            rows.append((f"film{film}.mp4", frame, 2 * red - 1, int(green > 0.5)))
    table = pd.DataFrame(rows, columns=["source", "frame", "warmth", "AU09"])
    labels = tmp_path / "labels.csv"
    table.to_csv(labels, index=False)
    rows_ = load_rows(folder, labels, Selection("action-units"))
    assert len(rows_) == 600
    assert rows_.sha256 == file_sha256(model)
    au = train_head(rows_, HeadRecipe("action-units", rounds=12), tmp_path / "au.onnx", **QUIET)
    assert figures(au) == {} == au.card.figures, "one film measured says nothing about others"
    assert "people or videos held out: 1" in au.notes[-1]
    rows_ = load_rows(folder, labels, Selection("regression", ("warmth",)))
    warm = train_head(rows_, HeadRecipe("regression", rounds=12), tmp_path / "warm.onnx", **QUIET)
    assert figures(warm) == {}
    classifier = load_classifier(model, heads=[au.path, warm.path])
    analyzer = EmotionAnalyzer(lambda image: [(4, 4, 36, 36, 0.9)], classifier)
    result = analyzer(np.full((40, 40, 3), (204, 255, 51), np.uint8))
    shown = result.to_dataframe()
    assert list(shown.columns[-3:]) == ["AU09", "AU09_present", "warmth"]
    assert shown["AU09_present"].tolist() == [1]
    assert shown["warmth"].tolist() == pytest.approx([0.6], abs=0.1)
    kept = list(result.settings.heads)
    assert [head["name"] for head in kept] == ["au", "warm"]
    assert kept[0]["sha256"] == file_sha256(au.path)
    assert kept[0]["thresholds"]["AU09"] == au.card.thresholds[0]


def test_data_that_does_not_fit_is_one_sentence(tmp_path: Path) -> None:
    model = color_network(tmp_path / "tiny.onnx")
    path = analyzed_table(tmp_path, model, "film.mp4", 10)
    labels = tmp_path / "labels.csv"
    labels.write_text("source,frame,x\nfilm.mp4,700,1\n")
    with pytest.raises(InputError, match=r"the first: film.mp4, frame 700"):
        load_rows(path, labels, Selection("regression"))
    with pytest.raises(UsageError, match="a table needs labels"):
        load_rows(path, None, Selection("regression"))
    labels.write_text("source,frame,expression\nfilm.mp4,7,sad\n")
    with pytest.raises(InputError, match="there is no person 9; the track ids are: none"):
        load_rows(path, labels, Selection("expression", person="9"))
    with pytest.raises(UsageError, match="--person is a track_id, or all; got 'Eve'"):
        load_rows(path, labels, Selection("expression", person="Eve"))
    (tmp_path / "film.embeddings.parquet").unlink()
    with pytest.raises(UsageError, match="has no features beside it: analyze its images or"):
        load_rows(path, labels, Selection("expression"))


def test_a_model_without_features_takes_no_head(tmp_path: Path) -> None:
    path = color_network(tmp_path / "tiny.onnx")
    card = HeadCard("ages", "regression", ("years",), size=3, model="tiny")
    head = bias_head(tmp_path / "ages.onnx", path, card, [30])
    model = OnnxClassifier(path, replace(OnnxClassifier(path).card, embedding=""))
    with pytest.raises(ModelError, match="tiny has no features output, so no head fits it"):
        load_classifier(model, heads=[head])
