"""Facial actions as columns: what they say of a smile, where they are stored, and when not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.command import run_mien

import mien
from mien.expressions.actions import (
    ACTION_COLUMNS,
    ACTION_UNITS,
    BLENDSHAPES,
    action_columns,
    mouth_openness,
)
from mien.results.result import Result
from mien.types import Faces, Image


@pytest.fixture(scope="module")
def analyzer() -> mien.EmotionAnalyzer:
    return mien.EmotionAnalyzer(also=("actions", "landmarks"), threads=1)


@pytest.fixture(scope="module")
def smile(analyzer: mien.EmotionAnalyzer, astronaut: Image) -> Result:
    return analyzer(astronaut)


def test_names_are_those_of_arkit_and_facs() -> None:
    assert len(set(BLENDSHAPES)) == 51
    assert len(set(ACTION_COLUMNS)) == len(ACTION_COLUMNS)
    for unit, shapes in ACTION_UNITS.items():
        assert set(shapes) <= set(BLENDSHAPES), unit
        sides = [shape for shape in shapes if shape.endswith("Left")]
        assert all(shape.replace("Left", "Right") in shapes for shape in sides), unit


def test_units_are_means_of_their_shapes() -> None:
    values = np.zeros((2, 51), np.float32)
    values[0, BLENDSHAPES.index("mouthSmileLeft")] = 0.8
    values[0, BLENDSHAPES.index("mouthSmileRight")] = 0.4
    values[1] = np.nan
    columns = action_columns(values)
    assert columns["AU12"][0] == pytest.approx(0.6)
    assert columns["AU01"][0] == 0
    assert np.isnan(columns["AU12"][1])


def test_a_smile_is_a_smile(smile: Result) -> None:
    values = {name: float(column[0]) for name, column in smile.scores.measures.items()}
    assert list(values) == list(ACTION_COLUMNS)
    assert values["AU12"] > 0.7
    assert values["mouthSmileLeft"] > 0.7
    assert values["AU15"] < 0.1
    assert values["AU45"] < 0.2
    assert 0.2 < values["eye_openness_left"] < 0.45
    assert 0.1 < values["mouth_openness"] < 0.3
    assert values["mesh_presence"] > 0.99
    assert abs(values["gaze_yaw_deg"]) < 10
    ratios = [values[name] for name in (*ACTION_UNITS, *BLENDSHAPES)]
    assert 0 <= min(ratios) <= max(ratios) <= 1
    assert smile.quality.roll_deg[0] == pytest.approx(3, abs=2)


def test_a_face_that_is_none_has_missing_values(astronaut: Image) -> None:
    boxes = np.array([[300, 300, 480, 480], [181, 64, 265, 171]], np.float32)
    result = mien.EmotionAnalyzer(boxes, also="actions", threads=1)(astronaut)
    measures = result.scores.measures
    assert measures["mesh_presence"][0] < 0.5
    for name in ACTION_COLUMNS:
        if name != "mesh_presence":
            assert np.isnan(measures[name]).tolist() == [True, False], name
    assert np.isnan(result.quality.yaw_deg).tolist() == [True, False]  # there are no landmarks
    assert "AU12" in result.to_dataframe()
    nobody = mien.EmotionAnalyzer(np.zeros((0, 4)), also="actions", threads=1)(astronaut)
    assert list(nobody.to_dataframe().columns) == list(result.to_dataframe().columns)


def test_without_the_request_nothing_is_loaded(astronaut: Image) -> None:
    result = mien.EmotionAnalyzer(threads=1)(astronaut)
    assert result.mesh is None
    assert not result.scores.measures
    assert result.settings.mesh_sha256 == ""
    code = "import mien, sys; sys.exit('mien.faces.mesh' in sys.modules)"
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_columns_come_back_from_a_table(smile: Result, tmp_path: Path, suffix: str) -> None:
    path = mien.Results([smile]).save(tmp_path / f"faces{suffix}")
    back = mien.Results.load(path)
    assert list(back[0].scores.measures) == list(ACTION_COLUMNS)
    for name, column in smile.scores.measures.items():
        assert back[0].scores.measures[name] == pytest.approx(column, abs=1e-6)
    assert back.settings.mesh_sha256 == smile.settings.mesh_sha256


def test_columns_come_back_from_json(smile: Result) -> None:
    import json

    back = Result.from_dict(json.loads(smile.to_json()))
    assert back.scores.measures["AU12"] == pytest.approx(smile.scores.measures["AU12"], abs=1e-5)


def test_landmarks_lie_beside_the_table(
    analyzer: mien.EmotionAnalyzer, photo: Path, smile: Result, tmp_path: Path
) -> None:
    table = tmp_path / "faces.csv"
    analyzer.run([photo, photo], mien.TableSink(table, analyzer))
    stored = mien.load_landmarks(table)
    assert len(stored) == 2
    assert smile.mesh is not None
    points = stored.vectors["landmarks"].reshape(-1, 478, 3)
    np.testing.assert_allclose(points[1], smile.mesh.points[0], atol=0.5)
    others = mien.EmotionAnalyzer(also="actions", threads=1)
    plain = tmp_path / "plain.parquet"
    others.run(photo, mien.TableSink(plain, others))
    with pytest.raises(mien.InputNotFoundError, match="--landmarks"):
        mien.load_landmarks(plain)


def test_the_command_writes_actions_and_landmarks_and_resumes(photo: Path, tmp_path: Path) -> None:
    table = tmp_path / "faces.parquet"
    asked = ("analyze", photo, "--actions", "--landmarks", "-o", table)
    assert run_mien(*asked).returncode == 0
    assert mien.load(table).faces["AU12"].iloc[0] > 0.7
    assert len(mien.load_landmarks(table)) == 1
    again = run_mien(*asked)
    assert again.returncode == 0
    assert b"finished before" in again.stderr
    (tmp_path / "faces.landmarks.parquet").unlink()
    assert run_mien(*asked).returncode == 0  # the points are missing: the photo is analyzed again
    assert len(mien.load_landmarks(table)) == 1
    other = run_mien("analyze", photo, "--actions", "-o", table)
    assert other.returncode == 2
    assert b"another also" in other.stderr


def test_landmarks_need_a_table(photo: Path) -> None:
    done = run_mien("analyze", photo, "--landmarks")
    assert done.returncode == 2
    assert b"--landmarks needs -o" in done.stderr


def test_the_terminal_shows_no_hundred_columns(photo: Path) -> None:
    done = run_mien("analyze", photo, "--actions")
    assert done.returncode == 0
    assert b"happiness" in done.stdout
    assert b"AU12" not in done.stdout


def test_faces_are_selected_with_their_meshes(smile: Result) -> None:
    assert smile.mesh is not None
    assert len(smile[[]].mesh or ()) == 0
    chosen = smile[[0]].mesh
    assert chosen is not None
    assert chosen.equals(smile.mesh)


def test_contours_are_drawn_on_the_face_only(smile: Result, astronaut: Image) -> None:
    drawn = smile.meshed_image
    changed = np.argwhere((drawn != astronaut).any(axis=2))
    low, high = changed.min(axis=0), changed.max(axis=0)
    box = smile.faces.boxes[0]
    assert (low > box[[1, 0]] - 30).all()
    assert (high < box[[3, 2]] + 30).all()
    assert 200 < len(changed) < 0.5 * (box[2] - box[0]) * (box[3] - box[1])
    bare = mien.EmotionAnalyzer(threads=1)(astronaut)
    assert np.array_equal(bare.meshed_image, astronaut)


def test_mouth_openness_is_a_ratio() -> None:
    points = np.zeros((1, 478, 3))
    points[0, 61], points[0, 291] = [0, 0, 0], [40, 0, 0]
    points[0, 13], points[0, 14] = [20, -5, 0], [20, 5, 0]
    assert mouth_openness(points)[0] == pytest.approx(0.25)


def test_a_face_without_track_stays_whole_in_a_stream(
    analyzer: mien.EmotionAnalyzer, astronaut: Image
) -> None:
    frames = [mien.Frame("video", lambda: astronaut, index=i, time_s=i / 25) for i in range(3)]
    results = list(analyzer.stream(frames))
    assert [len(result) for result in results] == [1, 1, 1]
    smiles = [float(result.scores.measures["AU12"][0]) for result in results]
    assert min(smiles) > 0.7
    timeline = mien.Timeline.from_results(results)
    assert timeline.smooth(1.0).faces["AU12"].between(0.7, 1).all()


def test_boxes_of_any_detector_will_do(astronaut: Image) -> None:
    for detector in ("haar", lambda image: [[181, 64, 265, 171]]):
        result = mien.EmotionAnalyzer(detector, also="actions", threads=1)(astronaut)
        best = int(np.argmax(result.scores.measures["mesh_presence"]))
        assert result.scores.measures["AU12"][best] > 0.6
    assert isinstance(result.faces, Faces)
