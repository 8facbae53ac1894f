"""Each person's own neutral: the formula and its limits, references, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.command import mien as run
from helpers.results import frame_result

import mien
from mien.datasets import load_ferplus
from mien.errors import UsageError
from mien.evaluation import predict
from mien.expressions.base_rates import NEUTRAL_FACES
from mien.labels import EMOTIONS
from mien.results.result import Result
from mien.results.settings import RunSettings
from mien.timeline.baseline import MOST, SHRINKAGE_S, Rest, references_of, stretch_of

SETTINGS = RunSettings(
    mien_version="1", detector="yunet", classifier="mien-mobilenet", classifier_sha256="ab"
)
TYPICAL = NEUTRAL_FACES["mien-mobilenet"]
#: Neutral, happiness, sadness; the rest goes to anger.
SULLEN, FAINT, GLAD = (0.45, 0.005, 0.5), (0.35, 0.35, 0.25), (0.05, 0.93, 0.01)
CALM = (0.85, 0.02, 0.1)


def shares(values: Sequence[float]) -> list[float]:
    neutral, happiness, sadness = values
    others = (1 - sum(values)) / 5
    return [neutral, happiness, others, sadness, others, others, others, others]


def frame(time_s: float | None, people: Mapping[int, Sequence[float]], **more: Any) -> Result:
    rows = [(person, shares(values)) for person, values in people.items()]
    boxes = [[60 * n, 0, 60 * n + 50, 50] for n in range(len(rows))]
    given: dict[str, Any] = {
        "labels": EMOTIONS,
        "boxes": boxes,
        "settings": SETTINGS,
        "source": "film.mp4",
        "index": round((time_s or 0) * 10),
        "size": (640, 480),
    }
    return frame_result(time_s, rows, **{**given, **more})


def film(**more: Any) -> mien.Timeline:
    """Person 1 rests sullenly for 5 s, smiles faintly, then broadly; 2 is calm until 3 s."""
    frames = []
    for number in range(150):
        moment = SULLEN if number < 50 else FAINT if number < 100 else GLAD
        people = {1: moment} | ({2: CALM} if number < 30 else {})
        frames.append(frame(number / 10, people, **more))
    return mien.Timeline.from_results(frames)


def called(timeline: mien.Timeline, person: int, start: float, end: float) -> set[str]:
    return set(timeline.track(person).between(start, end).faces["emotion"])


def test_a_resting_face_becomes_neutral_and_a_faint_smile_a_smile() -> None:
    raw = film()
    assert called(raw, 1, 0, 5) == {"sadness"}
    assert called(raw, 1, 5, 10) == {"uncertain"}
    done = raw.baseline("0:00-0:04")
    assert called(done, 1, 0, 5) == {"neutral"}
    assert called(done, 1, 5, 10) == {"happiness"}
    assert called(done, 1, 10, 15) == {"happiness"}
    assert called(done, 2, 0, 3) == {"neutral"}
    assert done.faces[list(EMOTIONS)].sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)
    assert "person 1 by 0 to 4 s (4.0 s); person 2 by 0 to 4 s (3.0 s)" in done.settings.baseline


def test_the_weights_follow_the_formula_and_its_limits() -> None:
    own = dict.fromkeys(EMOTIONS, 0.0) | {"neutral": 0.5, "sadness": 0.5}
    weights = Rest(own, 3.0, "").weights(EMOTIONS, TYPICAL)
    mixed = (3 * 0.5 + SHRINKAGE_S * TYPICAL["neutral"]) / (3 + SHRINKAGE_S)
    total = sum(TYPICAL.values())
    assert weights[0] == pytest.approx(TYPICAL["neutral"] / mixed, rel=1e-3)
    assert weights[EMOTIONS.index("happiness")] == MOST  # b is 0: the limit
    assert weights[EMOTIONS.index("sadness")] >= 1 / MOST
    nothing = Rest(own, 0.0, "").weights(EMOTIONS, TYPICAL)
    assert nothing == pytest.approx(1, abs=1e-6)  # no reference, no correction
    assert total == pytest.approx(1, abs=1e-3)


def test_raw_values_stay_beside_and_are_read_again(tmp_path: Path) -> None:
    raw = film()
    done = raw.baseline((0, 4))
    for label in EMOTIONS:
        assert done.faces[f"raw_{label}"].to_numpy() == pytest.approx(raw.faces[label].to_numpy())
    for suffix in (".parquet", ".csv", ".jsonl"):
        path = done.save(tmp_path / f"t{suffix}")
        again = mien.Timeline.load(path)
        assert again.settings.baseline == done.settings.baseline
        assert again.labels == done.labels
        assert again.faces["raw_happiness"].to_numpy() == pytest.approx(
            raw.faces["happiness"].to_numpy(), abs=1e-6
        )
        with pytest.raises(UsageError, match="calibrated already"):
            again.baseline("auto")


def test_smoothing_is_done_again_after_calibration() -> None:
    smooth = film().smooth(2).baseline((0, 4))
    assert smooth.settings.smooth_s == 2
    assert smooth.raw.equals(film().baseline((0, 4)))


def test_auto_finds_the_calm_time_of_each_person_and_refuses_who_is_never_neutral() -> None:
    frames = [frame(n / 10, {1: CALM if 20 <= n < 60 else GLAD, 2: SULLEN}) for n in range(100)]
    raw = mien.Timeline.from_results(frames)
    done = raw.baseline("auto")
    assert "person 1 by auto" in done.settings.baseline
    assert "not person 2" in done.settings.baseline
    two = raw.track(2).faces[list(EMOTIONS)].to_numpy()
    assert done.track(2).faces[list(EMOTIONS)].to_numpy() == pytest.approx(two)
    assert called(done, 1, 2, 6) == {"neutral"}
    with pytest.raises(UsageError, match=r"person 2 is hardly ever neutral in film\.mp4"):
        raw.track(2).baseline("auto")


def test_actions_become_differences_from_rest_and_angles_stay() -> None:
    results = []
    for result in (frame(n / 10, {1: CALM}) for n in range(20)):
        value = 0.5 if result.index < 10 else 0.8
        measures = {"AU12": np.array([value], np.float32), "pitch_deg": np.array([5], np.float32)}
        results.append(replace(result, scores=replace(result.scores, measures=measures)))
    done = mien.Timeline.from_results(results).baseline((0, 1))
    assert done.faces["AU12"].to_numpy()[[0, -1]] == pytest.approx([0, 0.3], abs=1e-6)
    assert done.faces["raw_AU12"].to_numpy()[[0, -1]] == pytest.approx([0.5, 0.8])
    assert (done.faces["pitch_deg"] == 5).all()


def test_derived_valence_follows() -> None:
    done = film().derive_affect().baseline((0, 4))
    plain = film().baseline((0, 4)).derive_affect()
    assert done.faces["valence"].to_numpy() == pytest.approx(plain.faces["valence"].to_numpy())


def test_kept_faces_have_their_calibrated_label() -> None:
    crops = np.zeros((2, 16, 16, 3), np.uint8)
    frames = [frame(n / 10, {1: SULLEN, 2: CALM}, crops=crops) for n in range(20)]
    raw = mien.Timeline.from_results(frames)
    assert {(p.track_id, p.label) for p in raw.peaks} == {(1, "sadness"), (2, "neutral")}
    done = raw.baseline((0, 2))
    assert {(p.track_id, p.label) for p in done.peaks} == {(1, "neutral"), (2, "neutral")}


def test_a_photo_or_a_table_is_a_reference_of_one_person() -> None:
    raw = film().track(1)
    photo = frame(None, {1: SULLEN}, source="rest.jpg")
    for reference in (photo, raw.between(0, 5)):
        done = raw.baseline(reference)
        assert called(done, 1, 0, 5) == {"neutral"}
        assert called(done, 1, 5, 10) == {"happiness"}
    everyone = film()
    with pytest.raises(UsageError, match="say whose it is"):
        everyone.baseline(photo)
    one = everyone.baseline({1: photo})
    assert "not person 2" in one.settings.baseline


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ((20, 30), "outside the video, which ends at 15.0 s"),
        ((14.9, 15), "is not seen for 0.5 s"),
        ({2: (5, 10)}, "person 2 is not seen for 0.5 s"),
        ({7: "auto"}, "there is no person 7"),
        ("0:10-0:05", "ends before it begins"),
        ("tomorrow", "there is no baseline 'tomorrow'"),
    ],
)
def test_references_that_do_not_fit_are_refused(reference: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        film().baseline(reference)


def test_photos_of_no_face_several_faces_or_another_model_are_refused() -> None:
    raw = film().track(1)
    cases: list[tuple[Mapping[int, Sequence[float]], str]] = [({}, "has no face")]
    cases += [({1: CALM, 2: CALM}, "has 2 faces")]
    for people, message in cases:
        with pytest.raises(UsageError, match=message):
            raw.baseline(frame(None, people, source="rest.jpg"))
    other = replace(SETTINGS, classifier_sha256="cd", classifier="other")
    with pytest.raises(UsageError, match="made by other with other labels or settings"):
        raw.baseline(frame(None, {1: CALM}, settings=other))
    with pytest.raises(UsageError, match="calibrated itself"):
        raw.baseline(raw.baseline("0-4"))
    weighted = replace(raw, settings=replace(raw.settings, prior="balanced"))
    with pytest.raises(UsageError, match="would undo the prior"):
        weighted.baseline("auto")
    with pytest.raises(UsageError, match="other labels or settings"):
        raw.baseline(weighted)
    strange = replace(raw, settings=replace(raw.settings, classifier="other"))
    with pytest.raises(UsageError, match="typical neutral face"):
        strange.baseline("auto")
    assert strange.baseline("0-4", neutral=TYPICAL).settings.baseline


def test_texts_are_understood() -> None:
    assert stretch_of("0:00-0:10") == (0, 10)
    assert stretch_of("1:00:02.5-1:01:00") == (3602.5, 3660)
    assert stretch_of("3-4.5") == (3, 4.5)
    assert stretch_of("auto") is None
    assert references_of(["auto", "2=a=b.jpg"]) == {None: "auto", 2: "a=b.jpg"}
    with pytest.raises(UsageError, match="two baselines of person 2"):
        references_of(["2=auto", "2=0-1"])


def test_commands_calibrate_stored_tables(tmp_path: Path) -> None:
    table = film().save(tmp_path / "film.parquet")
    done = run("export", table, "--baseline", "0:00-0:04", "-o", tmp_path / "rest.csv")
    assert done.exit_code == 0
    assert "each person's own neutral" in done.output
    again = run("export", tmp_path / "rest.csv", "--baseline", "auto", "-o", tmp_path / "x.csv")
    assert again.exit_code == 2
    assert "calibrated already" in again.output
    page = tmp_path / "film.html"
    assert run("report", table, "--baseline", "0:00-0:04", "-o", page).exit_code == 0
    assert "calibrated to each person" in page.read_text()
    assert "They are not shares of viewers" in page.read_text()
    missing = run("report", table, "--baseline", "0:30-0:40", "-o", page)
    assert missing.exit_code == 2
    assert "outside the video" in missing.output


def test_the_command_calibrates_a_photo_and_refuses_what_is_none(
    photo: Path, tmp_path: Path
) -> None:
    table = tmp_path / "t.csv"
    assert run("analyze", photo, "--baseline", photo, "-o", table).exit_code == 0
    assert "raw_happiness" in table.read_text().splitlines()[0]
    again = run("analyze", photo, "--baseline", photo, "-o", table)
    assert again.exit_code == 2
    assert "calibrated already" in again.output
    assert run("analyze", photo, "--baseline", photo, "-o", table, "--overwrite").exit_code == 0
    for more in (["--json"], ["--annotate", tmp_path / "a"], []):
        assert run("analyze", photo, "--baseline", photo, *more).exit_code == 2
    both = run("analyze", photo, "--baseline", photo, "--prior", "balanced", "-o", table)
    assert both.exit_code == 2
    assert "would undo --prior" in both.output
    text = tmp_path / "no.jpg"
    text.write_text("no image")
    assert run("analyze", photo, "--baseline", text, "-o", tmp_path / "u.csv").exit_code == 3
    assert not (tmp_path / "u.csv").exists()
    kept = run("analyze", photo, "--baseline", "auto", "-o", tmp_path / "v.csv")
    assert kept.exit_code == 2
    assert "v.csv has the raw values" in " ".join(kept.output.split())
    assert (tmp_path / "v.csv").exists()


@pytest.mark.slow
def test_smiles_of_the_london_video_stay_smiles_and_rests_stay_neutral(shared: Path) -> None:
    raw = mien.EmotionAnalyzer().video(shared / "media" / "videos" / "london_timeline.mp4")
    done = raw.baseline({i + 1: (3.0 * i, 3.0 * i + 0.75) for i in range(8)})
    place = done.faces["time_s"] % 3
    assert set(done.faces.loc[place.between(0.8, 1.4), "emotion"]) == {"neutral"}
    smiles = done.faces[place.between(1.6, 2.9)]
    assert set(smiles["emotion"]) == {"happiness"}
    assert smiles["happiness"].min() > 0.8
    woman = mien.EmotionAnalyzer().video(shared / "media" / "videos" / "WolfgangLanger_Pexels.mp4")
    with pytest.raises(UsageError, match="hardly ever neutral"):
        woman.baseline("auto")


@pytest.mark.slow
def test_the_typical_neutral_face_is_that_of_the_model_in_the_package(shared: Path) -> None:
    faces = load_ferplus(shared / "data" / "ferplus", "validation")
    rows = np.flatnonzero(faces.majority == EMOTIONS.index("neutral"))[::3]
    scores = predict(mien.load_classifier("mien-mobilenet"), faces.images[rows])
    mean = np.exp(np.log(scores + 1e-6).mean(axis=0))
    wanted = np.array([TYPICAL[name] for name in EMOTIONS])
    assert np.abs(mean / mean.sum() - wanted).max() < 0.02
