"""Curves of facial actions as SVG, and what a timeline puts into them."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from helpers.actions import acted, smile

from mien.errors import UsageError
from mien.plots import ActionCurve, ActionSpan, actions_plot

SVG = "{http://www.w3.org/2000/svg}"


def curve(**changes: object) -> ActionCurve:
    times = np.arange(100) / 25
    fields = {
        "name": "Person 1",
        "times": times,
        "values": np.column_stack([np.linspace(0, 1, 100), np.zeros(100)]),
        "actions": ("AU12", "AU26"),
        "pose": np.column_stack([np.full(100, 5.0), np.linspace(-25, 25, 100), np.zeros(100)]),
        "events": [ActionSpan("AU12", 1.0, 2.0, 3.0, 4.0)],
        "closed": [(0.5, 0.75)],
    }
    return ActionCurve(**(fields | changes))  # type: ignore[arg-type]


def elements(svg: str, tag: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(SVG + tag))


def lines(svg: str) -> dict[str, str]:
    paths = elements(svg, "path")
    return {p.attrib["data-label"]: p.attrib["d"] for p in paths if p.get("class") == "mien-line"}


def test_there_is_a_line_for_each_action_and_angle() -> None:
    svg = actions_plot([curve()], names={"AU12": "lip corner puller"}).svg
    assert list(lines(svg)) == ["AU12", "AU26", "pitch", "yaw", "roll"]
    words = ["".join(text.itertext()) for text in elements(svg, "text")]
    assert {"AU12 lip corner puller", "AU26", "yaw of the head", "closed eyes"} <= set(words)
    assert {"\u221230\u00b0", "0\u00b0", "30\u00b0"} <= set(words)  # 25 degrees fit


def test_panels_say_what_their_ends_stand_for() -> None:
    svg = actions_plot([curve()]).svg
    panels = [g for g in elements(svg, "g") if g.get("class") == "mien-panel"]
    scales = [(g.get("data-low"), g.get("data-high"), g.get("data-unit")) for g in panels]
    assert scales == [("0", "1", ""), ("-30", "30", "\u00b0")]
    yaw = lines(svg)["yaw"]
    top, base = float(panels[1].attrib["data-top"]), float(panels[1].attrib["data-base"])
    first = float(yaw.split("l")[0].split()[1])
    assert (base - first) / (base - top) == pytest.approx(5 / 60, abs=0.02)


def test_events_are_thin_and_their_apex_thick() -> None:
    svg = actions_plot([curve()], span=(0, 4)).svg
    events = next(g for g in elements(svg, "g") if g.get("class") == "mien-events")
    rects = [{k: float(r.attrib[k]) for k in ("x", "width", "height")} for r in events]
    whole, apex, closed = rects
    assert whole["width"] == pytest.approx(3 * apex["width"], rel=0.01)
    assert apex["height"] > whole["height"]
    assert closed["width"] == pytest.approx(whole["width"] / 12, rel=0.02)


def test_an_absence_interrupts_lines() -> None:
    times = np.concatenate([np.arange(50), np.arange(100, 150)]) / 25
    assert lines(actions_plot([curve(times=times)]).svg)["AU12"].count("M") == 2


def test_missing_values_and_nobody_are_drawn_as_nothing() -> None:
    empty = np.full((100, 2), np.nan)
    assert lines(actions_plot([curve(values=empty)]).svg) == {}
    assert "no face was found" in actions_plot([]).svg
    with pytest.raises(UsageError, match="pose must have shape"):
        curve(pose=np.zeros((100, 2)))
    with pytest.raises(UsageError, match="at least 240"):
        actions_plot([], width=100)


def test_a_timeline_draws_what_moves() -> None:
    signals = dict(smile()) | {"AU07": [0.9, 0.0] * 100}
    timeline = acted({3: signals})
    assert timeline.moving_actions() == ("AU12",)  # AU07 may not be relied on
    svg = timeline.plot(actions=True).svg
    assert list(lines(svg)) == ["AU12", "pitch", "yaw", "roll"]
    assert svg.count('<g class="mien-events"><rect') == 1
    assert list(lines(timeline.plot(actions=["AU07", "jawOpen"]).svg))[:2] == ["AU07", "jawOpen"]
    with pytest.raises(UsageError, match="no action 'AU99'"):
        timeline.plot(actions=["AU99"])


def test_without_a_movement_a_smile_is_drawn() -> None:
    assert acted({1: {"AU12": [0.1] * 50}}).moving_actions() == ("AU12",)


def test_names_do_not_break_out() -> None:
    svg = actions_plot([curve(name="<script>")]).svg
    assert not re.search("<script", svg)
    assert elements(svg, "text")
