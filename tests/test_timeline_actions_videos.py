"""Facial actions of real videos, as a viewer sees them; skipped where the test media are absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mien

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def analyzer() -> mien.EmotionAnalyzer:
    return mien.EmotionAnalyzer(also="actions", threads=1)


def test_a_woman_cries_covers_her_mouth_and_laughs(
    shared: Path, analyzer: mien.EmotionAnalyzer
) -> None:
    """Eyes closed until 6 s, hand before the mouth from 6 to 9 s, laughing from 10 s on."""
    timeline = analyzer.video(shared / "media" / "videos" / "WolfgangLanger_Pexels.mp4")
    raw = timeline.faces
    smile = raw.set_index("time_s")["AU12"]
    assert smile.loc[6.5:9.0].max() < 0.2
    assert smile.loc[12.5:].min() > 0.5
    events = timeline.actions("AU12")
    last = events.iloc[-1]
    assert 9.0 < last["onset_s"] < 10.0
    assert last["offset_s"] == pytest.approx(timeline.duration_s, abs=0.1)
    assert not last["complete"]  # the video ends in it
    assert abs(last["asymmetry"]) < 0.1
    closures = timeline.blinks()
    first = closures.iloc[0]
    assert first["start_s"] == 0
    assert 5.5 < first["end_s"] < 6.2
    assert not first["blink"]
    assert int(closures["blink"].sum()) == 4
    assert "AU12" in timeline.moving_actions()


def test_eight_people_smile_in_the_frame_in_which_they_do(
    shared: Path, analyzer: mien.EmotionAnalyzer
) -> None:
    events = analyzer.video(shared / "media" / "videos" / "london_timeline.mp4").actions("AU12")
    assert events["track_id"].tolist() == list(range(1, 9))
    assert events["onset_s"].to_numpy() == pytest.approx(np.arange(8) * 3 + 1.5, abs=0.06)


def test_a_turning_head_turns(shared: Path, analyzer: mien.EmotionAnalyzer) -> None:
    timeline = analyzer.video(shared / "media" / "videos" / "head-pose-face-detection-female.gif")
    yaw = timeline.faces["yaw_deg"].to_numpy()
    assert yaw.min() < -45
    assert yaw.max() > 25
    assert np.abs(np.diff(yaw)).max() < 25  # without jumps
    assert timeline.actions("AU12").empty  # she is calm
