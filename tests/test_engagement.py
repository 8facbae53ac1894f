"""Engagement over windows: of groups, and of one person for a purpose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.engagement import FEATURES, SHA, Signal, engagement_timeline, moving_features

from mien.engagement import EngagementCard, EngagementModel, engagement
from mien.engagement.windows import described, moments, shown, stretched, window_starts
from mien.errors import ModelError, UsageError
from mien.results.tables import read_table
from mien.timeline.timeline import Timeline

pytest.importorskip("onnx", reason="onnx is not installed (extra train)")

from mien.training.engagement.export import Networks, write_networks

PURPOSE = "Audience research at a public concert, with everybody's consent."


def written(path: Path, networks: int = 3, **known: Any) -> EngagementModel:
    """Networks that say ``sigmoid(4 (s - 0.8) + k)`` for a spread s of feature 3, k a network's."""
    size = 2 * FEATURES
    hidden = np.zeros((networks, size, 2), np.float32)
    hidden[:, 3, 0] = 1  # the standard deviation of feature 3
    tilt = np.linspace(-0.2, 0.2, networks) if networks > 1 else np.zeros(1)
    weights = Networks(
        mean=np.zeros(size, np.float32),
        scale=np.ones(size, np.float32),
        attention=np.zeros((networks, size), np.float32),
        hidden=hidden,
        hidden_bias=np.zeros((networks, 2), np.float32),
        last=np.tile(np.array([4, 0], np.float32), (networks, 1)),
        last_bias=(tilt - 3.2).astype(np.float32),
    )
    defaults: dict[str, Any] = {"residual": 0.1, "model_sha256": SHA, "model": "acted"}
    card = EngagementCard("by-hand", size=FEATURES, **{**defaults, **known})
    write_networks(weights, card, path)
    return EngagementModel(path)


@pytest.fixture
def model(tmp_path: Path) -> EngagementModel:
    return written(tmp_path / "by-hand.onnx")


def expected(spread: float) -> float:
    return float(1 / (1 + np.exp(-4 * (spread - 0.8))))


def swaying(width: float, seconds: float, fps: float = 25.0) -> Signal:
    """Feature 3 goes up and down as a sine of this width, once a second."""
    times = (np.arange(round(seconds * fps)) + 0.5) / fps
    signal = np.zeros((len(times), FEATURES), np.float32)
    signal[:, 3] = width * np.sin(2 * np.pi * times)
    return signal


def people(count: int, seconds: float = 8.0, fps: float = 25.0) -> dict[int, Signal]:
    return {track: swaying(0.4 * track, seconds, fps) for track in range(1, count + 1)}


def of_group(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["track_id"].isna()]


def test_a_video_of_exactly_one_window_has_one() -> None:
    window = 128 / 30
    times = np.arange(128) / 30
    assert window_starts(0, times[-1] + 1 / 30, window, 1.0, 128).tolist() == [0]
    assert len(window_starts(0, times[-2] + 1 / 30, window, 1.0, 128)) == 0
    assert window_starts(2.0, 2.0 + window + 2.5, window, 1.0, 128).tolist() == [2, 3, 4]
    places = shown(times, times + 1 / 30, moments(np.zeros(1), window, 128))
    assert places.tolist() == [list(range(128))], "at 30 a second, each moment is a frame"


def test_128_frames_at_30_a_second_are_windows_as_in_the_literature(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    model = written(tmp_path / "m.onnx", networks=1)
    signal = rng.normal(0, 0.8, (128, FEATURES)).astype(np.float32)
    film = engagement_timeline({1: signal}, fps=30)
    table = engagement(film, model, purpose=PURPOSE).table
    one = table[table["track_id"] == 1]
    assert len(one) == 1
    assert one["engagement"].item() == pytest.approx(expected(signal[:, 3].std()), abs=1e-5)
    assert one["seen"].item() == 1
    assert described(signal[None]).shape == (1, 128, 2 * FEATURES)


@pytest.mark.parametrize("fps", [12.0, 25.0, 30.0, 59.94])
def test_windows_are_seconds_whatever_the_frame_rate(model: EngagementModel, fps: float) -> None:
    film = engagement_timeline({1: swaying(1.0, 10, fps)}, fps=fps)
    table = engagement(film, model.rescaled(4.0), purpose=PURPOSE).table
    one = table[table["track_id"] == 1]
    assert one["start_s"].tolist() == pytest.approx([0, 1, 2, 3, 4, 5, 6])
    assert (one["end_s"] - one["start_s"]).tolist() == pytest.approx([4.0] * 7)
    assert one["engagement"].to_numpy() == pytest.approx(
        np.full(7, expected(np.sqrt(0.5))), abs=0.03
    )


def test_a_group_of_five_has_values_and_four_have_none(model: EngagementModel) -> None:
    five = engagement(engagement_timeline(people(5)), model)
    wanted = np.mean([expected(0.4 * k * np.sqrt(0.5)) for k in range(1, 6)])
    assert of_group(five.table)["engagement"].to_numpy() == pytest.approx(
        np.full(len(five.table), wanted), abs=0.01
    )
    assert five.table["track_id"].isna().all(), "nobody alone without a purpose"
    assert five.table["purpose"].isna().all()
    assert set(five.table["n_people"]) == {5}
    assert (five.table["uncertainty"] > 0.05).all()
    four = engagement(engagement_timeline(people(4)), model)
    assert four.table["engagement"].isna().all()
    assert set(four.table["n_people"]) == {4}
    assert set(four.table["why"]) == {"fewer than 5 people"}
    assert four.summary().startswith("0 of 4 windows have a value for the group; 4: fewer than 5")


def test_a_person_who_is_absent_does_not_count_in_that_window(model: EngagementModel) -> None:
    cast = people(5, seconds=12)
    cast[5][100:] = np.nan  # leaves after 4 s
    found = engagement(engagement_timeline(cast), model).table
    assert found["n_people"].tolist() == [5, 5, 4, 4, 4, 4, 4, 4]
    assert found["engagement"].notna().tolist() == [True, True, *[False] * 6]
    assert found["seen"].iloc[0] == pytest.approx(1 - 0.2 * (1 - 4 / (128 / 30)), abs=0.01)


def test_a_gap_is_left_out_and_not_filled(model: EngagementModel) -> None:
    whole = swaying(1.0, 8)
    gap = whole.copy()
    gap[25:50] = np.nan  # one whole second of the sine: what is left sways as widely
    half = whole.copy()
    half[50:] = np.nan
    film = engagement_timeline({1: whole, 2: gap, 3: half})
    table = engagement(film, model.rescaled(4.0), purpose=PURPOSE, hop_s=4.0).table
    first = table[table["start_s"] == 0].set_index("track_id")
    assert first.loc[2, "engagement"] == pytest.approx(first.loc[1, "engagement"], abs=1e-3)
    assert first.loc[2, "seen"] == pytest.approx(0.75)
    assert first["engagement"].isna()[3]
    assert first.loc[3, "why"] == "visible for half of it or less"
    assert 3 not in set(table[table["start_s"] == 4]["track_id"]), "no row where nobody is"


def test_moments_that_are_missing_leave_the_answer_of_those_that_are_there() -> None:
    rows = np.array([3, 5, 9])
    assert stretched(rows, 9).tolist() == [3, 3, 3, 5, 5, 5, 9, 9, 9]
    assert stretched(np.arange(200), 4).tolist() == [0, 50, 100, 150]


def test_the_network_knows_no_order(model: EngagementModel, rng: np.random.Generator) -> None:
    film = moving_features(0.7, 128 / 30, rng, 30)
    back = engagement(
        engagement_timeline({1: film[::-1].copy()}, fps=30), model, purpose=PURPOSE
    ).table
    forth = engagement(engagement_timeline({1: film}, fps=30), model, purpose=PURPOSE).table
    assert back["engagement"].iloc[1] == pytest.approx(forth["engagement"].iloc[1], abs=1e-4)


def test_uncertainties_add_up(model: EngagementModel) -> None:
    table = engagement(engagement_timeline(people(6)), model, purpose=PURPOSE).table
    first = table[table["start_s"] == 0]
    alone = first[first["track_id"].notna()]
    tilts = np.linspace(-0.2, 0.2, 3)
    for k in range(1, 7):
        logit = 4 * (0.4 * k * np.sqrt(0.5) - 0.8)
        spread = (1 / (1 + np.exp(-logit - tilts))).std(ddof=1)
        row = alone[alone["track_id"] == k]
        assert row["uncertainty"].item() == pytest.approx(np.hypot(spread, 0.1), abs=0.003)
    group = of_group(first)["uncertainty"].item()
    between = alone["engagement"].to_numpy().var(ddof=1)
    assert group > np.sqrt((between + 0.01) / 6), "the networks' disagreement comes on top"
    assert group < np.sqrt((between + 0.01) / 6) + 0.1


def test_one_network_alone_is_jackknifed(tmp_path: Path, rng: np.random.Generator) -> None:
    """Noise in the window is noise in the value; a window that is the same all over is sure."""
    model = written(tmp_path / "m.onnx", networks=1, residual=None)
    noisy = rng.normal(0, 0.8, (128, FEATURES)).astype(np.float32)
    film = engagement_timeline({1: noisy, 2: swaying(0.0, 128 / 30, 30)}, fps=30)
    found = engagement(film, model, purpose=PURPOSE)
    errors = found.table.set_index("track_id")["uncertainty"]
    again = [expected(rng.normal(0, 0.8, 128).std()) for _ in range(2000)]
    assert errors[1] == pytest.approx(np.std(again), rel=0.6)
    assert errors[2] == pytest.approx(0, abs=1e-6)
    assert "not calibrated" in found.settings["uncertainty"]


def test_a_purpose_goes_into_the_table_and_the_file(tmp_path: Path, model: EngagementModel) -> None:
    found = engagement(engagement_timeline(people(1)), model, purpose=f"  {PURPOSE}\n")
    path = found.save(tmp_path / "one.parquet")
    table, settings = read_table(path)
    assert settings["purpose"] == PURPOSE
    assert "Art. 5(1)(f)" in settings["not_for"]
    assert settings["features_checked"] == "by hash"
    assert settings["model_sha256"] == model.sha256
    assert set(table.loc[table["track_id"].notna(), "purpose"]) == {PURPOSE}
    assert PURPOSE in found.save(tmp_path / "one.csv").read_text()


@pytest.mark.parametrize("purpose", ["", "   \n", True])
def test_no_purpose_no_person(model: EngagementModel, purpose: str) -> None:
    with pytest.raises(UsageError, match="needs a purpose, one sentence"):
        engagement(engagement_timeline(people(1)), model, purpose=purpose)


def test_a_video_shorter_than_a_window(model: EngagementModel) -> None:
    found = engagement(engagement_timeline(people(5, seconds=3.0)), model)
    assert found.table["why"].tolist() == ["the video is shorter than a window"]
    assert found.table["end_s"].tolist() == pytest.approx([3.0])
    assert found.table["engagement"].isna().all()


def test_a_video_with_no_face(model: EngagementModel) -> None:
    found = engagement(engagement_timeline({}, frames=200), model)
    assert found.table["n_people"].tolist() == [0] * 4
    assert set(found.table["why"]) == {"nobody is visible for more than half of it"}


def test_features_of_another_model_and_none_at_all(model: EngagementModel) -> None:
    with pytest.raises(
        UsageError, match=r"trained on 8 features of acted \(abababab\), not on .*\(cdcdcdcd\)"
    ):
        engagement(engagement_timeline(people(5), sha="cd" * 32), model)
    film = engagement_timeline(people(5))
    assert film.embeddings is not None
    narrow = replace(film.embeddings, vectors={"features": np.zeros((1000, 5), np.float32)})
    with pytest.raises(UsageError, match=r"8 features .*, not on 5 features: analyze"):
        engagement(replace(film, embeddings=narrow), model)
    with pytest.raises(UsageError, match="--embeddings features"):
        engagement(replace(film, embeddings=None), model)
    nameless = engagement(engagement_timeline(people(5), sha=""), model)
    assert nameless.settings["features_checked"] == "by their number only"


def test_photos_and_nonsense_are_one_sentence(model: EngagementModel) -> None:
    film = engagement_timeline(people(5))
    photos = replace(
        film, images=film.images.assign(time_s=np.nan), faces=film.faces.assign(time_s=np.nan)
    )
    with pytest.raises(UsageError, match="has no times, it is of photos"):
        engagement(photos, model)
    with pytest.raises(UsageError, match="hop_s is at least"):
        engagement(film, model, hop_s=0)
    with pytest.raises(UsageError, match="lasts more than 0 seconds"):
        model.rescaled(0)
    with pytest.raises(UsageError, match="windows must have shape"):
        model.predict(np.zeros((1, 5, FEATURES), np.float32))
    with pytest.raises(ModelError, match="window_s of 'x' must be above 0"):
        EngagementCard("x", size=3, window_s=0)
    with pytest.raises(ModelError, match="cannot be read"):
        EngagementCard.from_json("no card")


def test_several_videos_and_a_smoothed_one(model: EngagementModel, tmp_path: Path) -> None:
    film, short = (
        engagement_timeline(people(5)),
        engagement_timeline(people(5, seconds=2), source="short.mp4"),
    )
    assert film.embeddings is not None
    assert short.embeddings is not None
    both = Timeline(
        pd.concat([film.faces, short.faces]),
        pd.concat([film.images, short.images]),
        film.settings,
        film.labels,
        embeddings=film.embeddings.concat([film.embeddings, short.embeddings]),
    )
    table = engagement(both, model).table
    assert table["source"].tolist() == ["film.mp4"] * 4 + ["short.mp4"]
    again = Timeline.load(both.save(tmp_path / "both.parquet")).smooth(1.0)
    kept = engagement(again, model).table  # features are kept in float16
    assert kept["engagement"].to_numpy() == pytest.approx(
        table["engagement"].to_numpy(), abs=1e-3, nan_ok=True
    )


def test_progress_is_reported(model: EngagementModel) -> None:
    seen: list[int] = []

    def progress(batches: Any, total: int) -> Any:
        for count, batch in enumerate(batches, 1):
            seen.append(total)
            yield batch
            assert count <= total

    engagement(engagement_timeline(people(5)), model, progress=progress)
    assert seen == [5] * 5
