"""Events of facial actions: onset, apex and offset, and the two sides of a smile."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from helpers.actions import acted, smile
from helpers.command import mien as run
from helpers.results import frame_result, mostly

import mien
from mien.errors import UsageError
from mien.expressions.actions import ACTION_UNITS, USABLE_UNITS
from mien.timeline.actions import SHORTEST_EVENT_S, sides_of

FPS = 25.0


def test_a_smile_has_onset_apex_and_offset() -> None:
    events = acted({7: smile()}).actions()
    assert len(events) == 1
    event = events.iloc[0]
    assert (event["source"], event["track_id"], event["action"]) == ("film.mp4", 7, "AU12")
    assert event["onset_s"] == pytest.approx(2 + 0.1 / 0.8, abs=0.06)
    assert event["apex_s"] == pytest.approx(2.9, abs=0.06)
    assert event["apex_end_s"] == pytest.approx(4.1, abs=0.06)
    assert event["offset_s"] == pytest.approx(5 - 0.1 / 0.8, abs=0.06)
    assert event["duration_s"] == pytest.approx(event["offset_s"] - event["onset_s"])
    assert event["peak"] == pytest.approx(0.8)
    assert event["rest"] == pytest.approx(0)
    assert event["complete"]
    assert event["asymmetry"] == pytest.approx(0, abs=1e-6)


def test_an_event_is_above_how_the_person_rests() -> None:
    resting = acted({1: smile(rest=0.5), 2: smile(left=0.7, right=0.7, rest=0.5)}).actions("AU12")
    assert resting["track_id"].tolist() == [1]  # the other rises by 0.2
    assert resting["rest"].iloc[0] == pytest.approx(0.5)


def test_small_changes_around_a_threshold_are_one_event() -> None:
    values = [0.0] * 50 + [0.5, 0.12] * 25 + [0.0] * 50
    assert len(acted({1: {"AU26": values}}).actions("AU26")) == 1
    values = [0.0] * 50 + [0.5] * 10 + [0.0] * 2 + [0.5] * 10 + [0.0] * 50  # a gap of 0.08 s
    assert len(acted({1: {"AU26": values}}).actions("AU26")) == 1
    values = [0.0] * 50 + [0.2] * 20 + [0.0] * 50  # never reaches the upper threshold
    assert acted({1: {"AU26": values}}).actions("AU26").empty
    short = round(SHORTEST_EVENT_S * FPS) - 1
    values = [0.0] * 50 + [0.9] * short + [0.0] * 50
    assert acted({1: {"AU26": values}}).actions("AU26").empty


def test_events_that_are_cut_are_not_complete() -> None:
    at_start = [0.8] * 20 + [0.0] * 80
    assert acted({1: {"AU26": at_start}}).actions("AU26")["complete"].tolist() == [False]
    at_end = [0.0] * 80 + [0.8] * 20
    assert acted({1: {"AU26": at_end}}).actions("AU26")["complete"].tolist() == [False]
    lost = [0.0] * 40 + [0.8] * 20 + [np.nan] * 20 + [0.0] * 40
    events = acted({1: {"AU26": lost}}).actions("AU26")
    assert events["complete"].tolist() == [False]
    assert events["offset_s"].iloc[0] == pytest.approx(2.4)  # not across the gap
    blinked = [0.0] * 40 + [0.8] * 10 + [np.nan] * 2 + [0.8] * 10 + [0.0] * 40
    assert acted({1: {"AU26": blinked}}).actions("AU26")["complete"].tolist() == [True]


def test_smoothing_does_not_change_events() -> None:
    plain = acted({1: smile()})
    assert plain.smooth(1.0).actions().equals(plain.actions())


def test_smoothing_covers_actions_and_leaves_missing_values_missing() -> None:
    values = [0.0] * 30 + [1.0] * 30 + [np.nan] * 30 + [1.0] * 30
    smoothed = acted({1: {"AU12": values}}).smooth(0.4).faces["AU12"].to_numpy()
    assert np.isnan(smoothed[60:90]).all()
    assert 0.05 < smoothed[28] < smoothed[31] < 0.95
    assert smoothed[59] == pytest.approx(1)  # nothing is mixed in from where nothing is
    assert smoothed[90] == pytest.approx(1)


def test_unfit_faces_have_no_events() -> None:
    unfit = acted({1: smile()}, unfit={1: "blurred"})
    assert unfit.actions().empty
    assert len(unfit.with_all_faces().actions()) == 1


def test_turned_heads_have_no_events() -> None:
    assert acted({1: smile()}, yaw=-35).actions().empty
    assert len(acted({1: smile()}, yaw=-25).actions()) == 1
    assert acted({1: {"AU26": [0.0, 1.0] * 50}}, yaw=40).moving_actions() == ("AU12",)


def test_the_stronger_side_has_the_sign() -> None:
    left = acted({1: smile(left=0.9, right=0.3)}).actions()
    assert left["asymmetry"].iloc[0] == pytest.approx(0.5, abs=0.02)
    right = acted({1: smile(left=0.3, right=0.9)}).actions()
    assert right["asymmetry"].iloc[0] == pytest.approx(-0.5, abs=0.02)


def test_asymmetry_over_time_is_missing_for_weak_smiles_and_turned_heads() -> None:
    sides = acted({1: smile(left=0.9, right=0.3)}).asymmetry()
    assert list(sides.columns) == ["source", "track_id", "time_s", "left", "right", "asymmetry"]
    assert np.isnan(sides["asymmetry"].to_numpy()[:50]).all()
    assert sides["asymmetry"].to_numpy()[80] == pytest.approx(0.5)
    assert sides["left"].to_numpy()[80] == pytest.approx(0.9)
    turned = acted({1: smile(left=0.9, right=0.3)}, yaw=-20)
    assert turned.asymmetry()["asymmetry"].isna().all()
    assert np.isnan(turned.actions()["asymmetry"].iloc[0])


def test_asymmetry_is_that_of_the_face_also_relative_to_rest() -> None:
    plain = acted({1: smile(left=0.9, right=0.3)})
    faces = plain.faces.assign(
        raw_mouthSmileLeft=plain.faces["mouthSmileLeft"],
        raw_mouthSmileRight=plain.faces["mouthSmileRight"],
        mouthSmileRight=plain.faces["mouthSmileRight"] - 0.4,  # this side sank
    )
    calibrated = replace(plain, faces=faces)
    pd.testing.assert_frame_equal(calibrated.asymmetry(), plain.asymmetry())


def test_actions_with_sides() -> None:
    assert sides_of("AU12") == ("mouthSmileLeft", "mouthSmileRight")
    assert sides_of("browDownLeft") == ("browDownLeft", "browDownRight")
    for name in ("AU26", "AU28", "jawOpen", "jawLeft", "mouthRight"):
        assert sides_of(name) is None, name
    with pytest.raises(UsageError, match="AU26 has no left and right side"):
        acted({1: smile()}).asymmetry("AU26")


def test_events_are_in_order_and_of_the_actions_asked_for() -> None:
    one, two = smile(), {"AU26": [0.0] * 10 + [0.9] * 20 + [0.0] * 170}
    both = acted({1: one, 2: two})
    assert both.actions()["action"].tolist() == ["AU26", "AU12"]
    assert both.actions("AU12", "mouthSmileLeft")["action"].tolist() == ["AU12", "mouthSmileLeft"]
    weak = acted({1: {"AU17": [0.0] * 10 + [0.9] * 20 + [0.0] * 170}})
    assert weak.actions().empty  # measurements do not support it
    assert weak.actions("AU17")["action"].tolist() == ["AU17"]
    assert set(USABLE_UNITS) < set(ACTION_UNITS)


def test_nothing_to_report_is_an_empty_table_of_the_same_columns() -> None:
    full = acted({1: smile()}).actions()
    nothing = acted({1: {"AU12": [np.nan] * 20}})
    empty: pd.DataFrame = nothing.actions()
    assert empty.empty
    assert empty.dtypes.equals(full.dtypes)
    assert nothing.asymmetry()["asymmetry"].isna().all()


def test_errors_say_what_to_do() -> None:
    plain = mien.Timeline.from_results([frame_result(0.0, {1: mostly("neutral")})])
    with pytest.raises(UsageError, match="analyze again with --actions"):
        plain.actions()
    with pytest.raises(UsageError, match="there is no action 'AU06'"):
        acted({1: smile()}).actions("AU06")


def test_events_are_exported_as_a_table(tmp_path: Path) -> None:
    timeline = acted({1: smile(left=0.9)})
    path = timeline.export(tmp_path / "events.csv", actions=True)
    table = pd.read_csv(path)
    assert list(table.columns) == list(timeline.actions().columns)
    assert table["offset_s"].to_numpy() == pytest.approx(timeline.actions()["offset_s"].to_numpy())
    assert [p.name for p in tmp_path.iterdir()] == ["events.csv"]
    with pytest.raises(UsageError, match="subtitles hold expressions only"):
        timeline.export(tmp_path / "a.vtt", actions=True)


def test_elan_has_a_tier_for_each_action_with_its_phases(tmp_path: Path) -> None:
    timeline = acted({1: smile()})
    root = ElementTree.parse(timeline.export(tmp_path / "a.eaf", actions=True)).getroot()
    slots = {s.attrib["TIME_SLOT_ID"]: int(s.attrib["TIME_VALUE"]) for s in root.iter("TIME_SLOT")}
    tiers = {tier.attrib["TIER_ID"]: tier for tier in root.iter("TIER")}
    assert list(tiers) == ["Person 1", "Person 1 AU12"]
    assert {tier.attrib["PARTICIPANT"] for tier in tiers.values()} == {"Person 1"}
    phases = []
    for annotation in tiers["Person 1 AU12"].iter("ALIGNABLE_ANNOTATION"):
        ends = [slots[annotation.attrib[f"TIME_SLOT_REF{i}"]] for i in (1, 2)]
        phases.append((annotation.findtext("ANNOTATION_VALUE"), *ends))
    event = timeline.actions().iloc[0]
    times = [round(1000 * event[name]) for name in ("onset_s", "apex_s", "apex_end_s", "offset_s")]
    assert phases == [
        (name, *ends)
        for name, ends in zip(("onset", "apex", "offset"), pairwise(times), strict=True)
    ]
    plain = ElementTree.parse(timeline.export(tmp_path / "b.eaf")).getroot()
    assert [tier.attrib["TIER_ID"] for tier in plain.iter("TIER")] == ["Person 1"]


def test_the_commands_write_actions(tmp_path: Path) -> None:
    table = acted({1: smile()}).save(tmp_path / "t.parquet")
    for name in ("e.csv", "e.svg", "e.eaf"):
        done = run("export", table, "-o", tmp_path / name, "--actions")
        assert done.exit_code == 0, done.output
    assert pd.read_csv(tmp_path / "e.csv")["action"].tolist() == ["AU12"]
    assert "AU12 lip corner puller" in (tmp_path / "e.svg").read_text("utf-8")
    done = run("export", table, "-o", tmp_path / "e.vtt", "--actions")
    assert done.exit_code == 2
    done = run("export", table, "-o", tmp_path / "f.svg", "--actions", "--plane")
    assert (done.exit_code, "leave one out" in done.output) == (2, True)
    done = run("summarize", table, "-o", tmp_path / "sum", "--clips", "0")
    assert done.exit_code == 0, done.output
    assert len(pd.read_csv(tmp_path / "sum" / "t.actions.csv")) == 1
    plain = mien.Timeline.from_results([frame_result(0.0, {1: mostly("neutral")})])
    plain.save(tmp_path / "plain.parquet")
    done = run("export", tmp_path / "plain.parquet", "-o", tmp_path / "p.csv", "--actions")
    assert done.exit_code == 2
    assert "analyze again with --actions" in done.output
