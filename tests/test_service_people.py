"""Changes of people of a job go into tables, report and exports, and can be taken back."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.story import story

from mien.service.people import Edit, edited, with_names, without
from mien.timeline.timeline import Timeline


@pytest.fixture
def timeline() -> Timeline:
    return Timeline.from_results(story())


def ids(timeline: Timeline) -> list[int]:
    return sorted(timeline.track_ids)


def test_names_merges_splits_and_hiding(timeline: Timeline) -> None:
    first, second = ids(timeline)[:2]
    times = timeline.faces.loc[timeline.faces["track_id"] == first, "time_s"]
    middle = float(times.iloc[len(times) // 2])
    edits = [
        Edit(change="name", person=first, name=" Anna "),
        Edit(change="split", person=first, at_s=middle),
        Edit(change="hide", person=second),
    ]
    changed, hidden = edited(timeline, edits)
    new = max(ids(timeline)) + 1
    assert hidden == {second}
    assert changed.names == {first: "Anna"}
    own = changed.faces[changed.faces["track_id"] == new]
    assert (own["time_s"] >= middle).all()
    assert len(own) + (changed.faces["track_id"] == first).sum() == len(times)
    shown = without(changed, hidden)
    assert second not in shown.track_ids
    assert shown.images["n_faces"].sum() == len(shown.faces)
    assert len(shown.images) == len(timeline.images)
    rows = with_names(shown.faces, shown)
    assert set(rows.loc[rows["track_id"] == first, "person"]) == {"Anna"}
    assert rows.loc[rows["track_id"] == new, "person"].isna().all()
    merged, _ = edited(timeline, [edits[0], Edit(change="merge", person=first, other=second)])
    assert first not in merged.track_ids
    assert merged.names == {second: "Anna"}
    assert {peak.track_id for peak in merged.peaks} <= set(merged.track_ids)
    assert edited(timeline, [])[0] is timeline
    np.testing.assert_array_equal(
        timeline.faces["track_id"], Timeline.from_results(story()).faces["track_id"]
    )


def test_a_person_without_an_id_stays_nobody(timeline: Timeline) -> None:
    faces = timeline.faces.assign(
        track_id=timeline.faces["track_id"].where(timeline.faces.index > 3)
    )
    from dataclasses import replace

    nobody = replace(timeline, faces=faces)
    changed, _ = edited(nobody, [Edit(change="name", person=ids(timeline)[0], name="A")])
    assert changed.faces["track_id"].isna().sum() == faces["track_id"].isna().sum()


def test_an_exported_table_is_read_again(timeline: Timeline, tmp_path: Path) -> None:
    changed, _ = edited(timeline, [Edit(change="name", person=ids(timeline)[0], name="Anna")])
    text = with_names(changed.faces, changed).to_csv(index=False)
    assert "Anna" in text
    assert pd.read_csv(io.StringIO(text))["person"].notna().any()
    path = changed.export(tmp_path / "a.vtt")
    assert "Anna" in path.read_text()
