"""Predictions on labeled faces: calibration, divergence, and the accuracy of the card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien import CustomClassifier, load_classifier
from mien.datasets import load_ferplus, read_list
from mien.errors import InputError, InputNotFoundError
from mien.evaluation import calibration_error, divergence, evaluate_ferplus, predict
from mien.labels import EMOTIONS
from mien.types import Crops


def test_calibration_error_of_known_cases() -> None:
    truth = np.array([1, 1, 0, 0], np.float32)
    assert calibration_error(np.full(4, 0.5, np.float32), truth) == pytest.approx(0)
    assert calibration_error(np.full(4, 0.9, np.float32), truth) == pytest.approx(0.4)
    both = np.array([0.95, 0.95, 0.55, 0.55], np.float32)
    assert calibration_error(both, truth) == pytest.approx(0.5 * 0.05 + 0.5 * 0.55)


def test_divergence_is_zero_only_for_the_votes_themselves() -> None:
    votes = np.array([[0.7, 0.3], [1.0, 0.0]], np.float32)
    assert divergence(votes, votes) == pytest.approx(0, abs=1e-6)
    even = np.full((2, 2), 0.5, np.float32)
    expected = (0.7 * np.log(1.4) + 0.3 * np.log(0.6) + np.log(2)) / 2
    assert divergence(even, votes) == pytest.approx(expected, abs=1e-6)


def test_labels_are_matched_by_name_not_by_place() -> None:
    def happy(crops: Crops) -> Any:
        return np.tile([0.2, 0.7, 0.1], (len(crops), 1))

    model = CustomClassifier(happy, ("Sad", "Happy", "bored"), 8)
    scores = predict(model, np.zeros((3, 48, 48), np.uint8))
    assert scores.shape == (3, 8)
    assert scores[0, EMOTIONS.index("happiness")] == pytest.approx(0.7)
    assert scores[0, EMOTIONS.index("sadness")] == pytest.approx(0.2)
    assert scores[0].sum() == pytest.approx(0.9)


def test_the_data_is_read_as_published(shared: Path) -> None:
    folder = shared / "data" / "ferplus"
    test = load_ferplus(folder, "test")
    assert len(test) == 3573
    assert test.images.shape == (3573, 48, 48)
    assert test.distribution.sum(axis=1) == pytest.approx(1)
    listed = read_list(folder / "lists" / "literature_test.csv")
    assert len(listed) == 3137
    assert set(listed) <= set(test.names.tolist())
    assert set(listed.values()) == set(EMOTIONS)


def test_missing_data_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match=r"there is no .*test\.parquet"):
        load_ferplus(str(tmp_path), "test")


@pytest.mark.slow
def test_the_shipped_model_is_as_right_as_its_card_says(shared: Path) -> None:
    model = load_classifier("mien-mobilenet")
    found = {f.name: f for f in evaluate_ferplus(model, shared / "data" / "ferplus")}
    card = getattr(model, "card", None)
    assert card is not None
    assert found["literature_test"].count == 3137
    for name, figure in found.items():
        assert card.accuracy[name] == pytest.approx(figure.value, abs=0.004), name
    assert found["ece_votes"].value <= 0.03


def test_another_layout_of_data_is_named(tmp_path: Path) -> None:
    import pandas as pd

    pd.DataFrame({"image": [b""], "label": ["happiness"]}).to_parquet(tmp_path / "test.parquet")
    with pytest.raises(InputError, match="the column duplicate_group is not there"):
        load_ferplus(str(tmp_path), "test")
    (tmp_path / "train.parquet").write_text("no table")
    with pytest.raises(InputError, match="not a readable Parquet"):
        load_ferplus(tmp_path, "train")
