"""docs/columns.md lists every column that a table can have, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mien
from mien.engagement.estimation import COLUMNS as ENGAGEMENT
from mien.expressions.actions import ACTION_COLUMNS
from mien.labels import ATTRIBUTES, EMOTIONS, MEASURES
from mien.people.identities import PEOPLE_COLUMNS
from mien.results.tables import IMAGE_COLUMNS, face_dtypes
from mien.timeline.classifier import COLUMNS as VIDEO_MODEL

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "columns.md"


def documented(heading: str) -> set[str]:
    """The names in the first cells of the table below a heading, with `LABEL` filled in."""
    text = PAGE.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    names = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    for pattern in [name for name in names if "LABEL" in name]:
        names.remove(pattern)
        names |= {pattern.replace("LABEL", label) for label in EMOTIONS}
    return names


@pytest.fixture(scope="module")
def timeline() -> mien.Timeline:
    """Sixteen frames of one face."""
    video = ROOT / "examples" / "sessions" / "P01_pre.mp4"
    return mien.EmotionAnalyzer(also=("identity",)).video(video, fps=2)


def test_faces_and_images() -> None:
    extras = (*MEASURES, *ATTRIBUTES.values(), *ACTION_COLUMNS)
    assert documented("faces") == set(face_dtypes(EMOTIONS, extras))
    assert documented("images") == set(IMAGE_COLUMNS)


def test_tables_of_a_timeline(timeline: mien.Timeline) -> None:
    across = timeline.with_identities().summary(across=True)
    summary = {*timeline.summary().columns, *across.columns}
    assert documented("segments") == set(timeline.segments().columns)
    assert documented("summary") == summary
    assert documented("unfit") == set(timeline.unfit().columns)
    assert documented("group") == set(timeline.group().columns)


def test_blinks() -> None:
    from mien.timeline import blinks

    assert documented("blinks") == set(blinks._EVENTS)
    assert documented("blink rates") == set(blinks._RATES)


def test_actions() -> None:
    from mien.timeline import actions

    events, sides = actions._EVENTS, actions._SIDES
    assert documented("events of actions") == set(events)
    assert documented("asymmetry") == set(sides)


def test_people_engagement_and_video_models() -> None:
    from mien.people import identities

    assert documented("people") == set(PEOPLE_COLUMNS)
    assert documented("tracks of people") == set(identities._TRACKS)
    assert documented("engagement") == set(ENGAGEMENT)
    assert documented("films") - set(EMOTIONS) == set(VIDEO_MODEL)


def test_every_table_of_a_timeline_has_a_section() -> None:
    """A method that is new and returns a table needs a section of its own."""
    tables = {
        name
        for name in dir(mien.Timeline)
        if not name.startswith("_")
        and getattr(getattr(mien.Timeline, name), "__annotations__", {}).get("return")
        == "pd.DataFrame"
    }
    text = PAGE.read_text("utf-8")
    assert {name for name in tables if f"timeline.{name}(" not in text} == set()
