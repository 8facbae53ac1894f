"""Facial actions beside a live image: in the margin, in the terminal, as lines."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.command import mien as run
from helpers.results import frame_result, mostly
from helpers.videos import Style, write_video
from rich.console import Console

from mien.cli.viewer.terminal import layout, lines
from mien.cli.viewer.view import Renderer, Screen
from mien.drawing.overlay import Overlay, Person
from mien.expressions.actions import ACTION_COLUMNS
from mien.labels import EMOTIONS
from mien.results.result import Result
from mien.sinks.stabilizer import READINGS, Stabilizer, people_of, reading_names
from mien.types import Image


def result(time_s: float, smile: float, index: int = 0, **angles: float) -> Result:
    """One person with a smile and angles of head and gaze; a smile of NaN is no mesh."""
    plain = frame_result(time_s, {1: mostly("neutral")}, index=index)
    values = dict.fromkeys(ACTION_COLUMNS, 0.0) | {"AU12": smile}
    if np.isnan(smile):
        values = dict.fromkeys(ACTION_COLUMNS, np.nan)
    measures = {k: np.array([angles.get(k, v)], np.float32) for k, v in values.items()}
    yaw = np.array([angles.get("yaw_deg", 0.0)], np.float32)
    return replace(
        plain,
        scores=replace(plain.scores, measures=measures),
        quality=replace(plain.quality, yaw_deg=yaw, roll_deg=np.zeros(1, np.float32)),
    )


def texts(person: Person) -> dict[str, str]:
    return {name: reading.text for name, reading in person.readings.items()}


def test_readings_are_units_pose_and_gaze() -> None:
    person = people_of(result(0.0, 0.83, pitch_deg=-4.4, yaw_deg=12.0, gaze_yaw_deg=-0.3))[0]
    assert list(person.readings) == list(READINGS.values())
    found = texts(person)
    assert (found["AU12"], found["pitch"], found["yaw"]) == ("0.83", "-4°", "12°")
    assert found["gaze yaw"] == "0°"
    assert person.readings["AU12"].share == pytest.approx(0.83)
    assert np.isnan(person.readings["yaw"].share)


def test_without_actions_there_are_none() -> None:
    plain = frame_result(0.0, {1: mostly("neutral")})
    assert reading_names(plain) == ()
    assert people_of(plain)[0].readings == {}
    assert Stabilizer(EMOTIONS).people(plain)[0].readings == {}


def test_readings_are_smoothed_and_a_lost_mesh_is_missing() -> None:
    stabilizer = Stabilizer(EMOTIONS)
    smiles = [0.0] * 5 + [1.0] * 3 + [np.nan] + [0.5]
    read = [
        float(stabilizer.people(result(i / 25, smile, i))[0].readings["AU12"].share)
        for i, smile in enumerate(smiles)
    ]
    assert read[4] == 0
    assert 0 < read[5] < read[6] < read[7] < 0.5
    assert np.isnan(read[8])
    assert read[9] == pytest.approx(0.5)  # what returns does not fade in from before


def test_the_margin_lists_them_below_the_probabilities() -> None:
    shown = result(0.0, 1.0)
    people, image = people_of(shown), np.full((480, 640, 3), 90, np.uint8)
    plain = Overlay(EMOTIONS, (640, 480)).draw(image, people)
    more = Overlay(EMOTIONS, (640, 480), readings=reading_names(shown)).draw(image, people)
    assert (more[:, :640] == plain[:, :640]).all()  # the frame itself is the same

    def inked(drawn: Image) -> int:
        dark = (drawn[:, 640:] < 200).reshape(len(drawn), -1).any(axis=1)
        return int(np.flatnonzero(dark).max())

    assert inked(more) > inked(plain)


def test_the_window_and_the_terminal_show_them() -> None:
    shown = result(0.0, 0.83, pitch_deg=-4.4, yaw_deg=12.0)
    screen = Screen(None, people_of(shown), EMOTIONS, "x", "keys", readings=reading_names(shown))
    assert Renderer().draw(screen, (800, 600)).shape[1] <= 800
    console = Console(width=100, height=24, record=True, force_terminal=True)
    console.print(layout(screen, console))
    text = console.export_text()
    assert re.search(r"AU12 +█+.* 0\.83", text)
    assert "pitch -4°  yaw 12°  roll 0°" in text
    assert "AU12 0.83" in lines(screen)[0]
    assert len(text.rstrip().splitlines()) <= 24


def test_watch_prints_actions_where_asked(tmp_path: Path, astronaut: Image) -> None:
    video = tmp_path / "video.mp4"
    write_video(video, [astronaut[::2, ::2]] * 10, fps=10, style=Style())
    done = run("watch", video, "--actions", "-o", tmp_path / "t.csv")
    assert done.exit_code == 0, done.output
    assert re.search(
        r"happiness \d+ %  AU01 0\.\d\d .*AU12 0\.[89]\d .*gaze yaw -?\d+°", done.output
    )
    assert "AU12" in (tmp_path / "t.csv").read_text("utf-8").splitlines()[0]
    plain = run("watch", video, "--seconds", "1")
    assert "AU12" not in plain.output
