"""Other base rates: the formula, files, and models whose base rates are unknown."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.command import mien as run

import mien
from mien.errors import InputError, UsageError
from mien.expressions.base_rates import FERPLUS_RATES, TAU, load_prior, read_shares
from mien.labels import EMOTIONS
from mien.models.card import ModelCard
from mien.types import Image, Scores


@pytest.fixture(scope="module")
def model() -> mien.EmotionClassifier:
    return mien.load_classifier("mien-mobilenet")


def test_balanced_rates_follow_the_formula(model: mien.EmotionClassifier) -> None:
    shares = np.random.default_rng(3).dirichlet(np.ones(8), 20).astype(np.float32)
    for tau in (0.0, 0.5, 1.0):
        prior = load_prior("balanced", model, tau)
        trained = np.array([FERPLUS_RATES[name] for name in EMOTIONS])
        wanted = shares * (0.125 / trained) ** tau
        wanted /= wanted.sum(axis=1, keepdims=True)
        got = prior.apply(Scores(shares, EMOTIONS))
        assert got.values == pytest.approx(wanted, abs=1e-6)
        assert got.values.sum(axis=1) == pytest.approx(1, abs=1e-6)


def test_the_rates_of_the_training_data_change_nothing(model: mien.EmotionClassifier) -> None:
    shares = np.random.default_rng(3).dirichlet(np.ones(8), 20).astype(np.float32)
    assert load_prior("fer+", model).values(shares, EMOTIONS) == pytest.approx(shares, abs=1e-6)


def test_rates_come_from_files_as_shares_or_counts(
    tmp_path: Path, model: mien.EmotionClassifier
) -> None:
    table, other = tmp_path / "rates.csv", tmp_path / "rates.json"
    counts = {name: 10 * (place + 1) for place, name in enumerate(EMOTIONS)}
    rows = "\n".join(f"{name},{count}" for name, count in counts.items())
    table.write_text(f"label,share\n{rows}\n")
    other.write_text(
        json.dumps({("happy" if n == "happiness" else n): c for n, c in counts.items()})
    )
    a, b = load_prior(table, model), load_prior(other, model)
    assert a.weights == pytest.approx(b.weights)
    assert a.weights["happiness"] == pytest.approx((20 / 360 / FERPLUS_RATES["happiness"]) ** TAU)
    assert "happiness 5.56 %" in a.text


@pytest.mark.parametrize(
    "text",
    ["", "neutral,x", "neutral,-1", "neutral,0", "neutral,1\nneutral,2", "a,b,c", "neutral,nan"],
)
def test_a_file_that_holds_no_rates_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rates.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"rates\.csv"):
        read_shares(path)


def test_rates_have_to_cover_the_labels(tmp_path: Path, model: mien.EmotionClassifier) -> None:
    path = tmp_path / "rates.csv"
    path.write_text("neutral,0.5\nhappiness,0.5\n")
    with pytest.raises(UsageError, match="no share for 'surprise'"):
        load_prior(path, model)
    every = "\n".join(f"{name},0.1" for name in EMOTIONS)
    path.write_text(f"{every}\nboredom,0.2\n")
    with pytest.raises(UsageError, match="unknown label 'boredom'"):
        load_prior(path, model)
    with pytest.raises(UsageError, match="unknown prior 'even'"):
        load_prior("even", model)


def test_a_model_with_unknown_base_rates_is_refused() -> None:
    own = mien.CustomClassifier(
        lambda crops: np.full((len(crops), 2), 0.5), ("neutral", "happiness")
    )
    with pytest.raises(UsageError, match="base rates of the training data"):
        mien.EmotionAnalyzer(classifier=own, prior="balanced")


def test_a_card_may_have_base_rates() -> None:
    own = mien.CustomClassifier(
        lambda crops: np.full((len(crops), 2), 0.5), ("neutral", "happiness")
    )
    rates = {"neutral": 0.9, "happiness": 0.1}
    card = ModelCard("mine", ("neutral", "happiness"), 112, base_rates=rates)
    assert ModelCard.from_json(card.to_json()).base_rates == rates
    own.card = card  # type: ignore[attr-defined]
    values = load_prior("balanced", own, 1).values(np.array([[0.9, 0.1]], np.float32), own.labels)
    assert values == pytest.approx(np.array([[0.5, 0.5]]), abs=1e-6)


def test_an_analyzer_reweights_and_says_so(astronaut: Image) -> None:
    plain, balanced = mien.EmotionAnalyzer(), mien.EmotionAnalyzer(prior="balanced", also="affect")
    before, after = plain(astronaut), balanced(astronaut)
    prior = load_prior("balanced", plain.classifier)
    wanted = prior.values(before.scores.values, before.labels)
    assert after.scores.values == pytest.approx(wanted, abs=1e-5)
    assert after.settings.prior == "probabilities for the base rates balanced, tau 0.75"
    assert not before.settings.prior
    seven = mien.EmotionAnalyzer(prior="balanced", without="contempt")(astronaut)
    assert seven.scores.values.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_the_command_stores_the_prior(photo: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.parquet"
    assert run("analyze", photo, "--prior", "balanced", "-o", table).exit_code == 0
    assert mien.load(table).settings.prior.endswith("balanced, tau 0.75")
    done = run("analyze", photo, "--prior", "nothing")
    assert done.exit_code == 2
    assert "unknown prior" in done.output
    assert run("analyze", photo, "--prior", tmp_path / "none.csv").exit_code == 3
