"""Plots of an evaluation: intervals, small bins, axes that do not begin at zero."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from mien.plots.metrics import calibration_plot, confusion_plot, coverage_plot
from mien.plots.values import Plot

SVG = "{http://www.w3.org/2000/svg}"


def drawn(plot: Plot) -> ElementTree.Element:
    return ElementTree.fromstring(plot.svg)


def texts(svg: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in svg.iter(f"{SVG}text")]


def test_bins_of_few_faces_are_hollow_and_no_line_leads_to_them() -> None:
    svg = drawn(calibration_plot([(0.3, 0.0, 4), (0.6, 0.6, 50), (0.9, 0.9, 200)]))
    circles = list(svg.iter(f"{SVG}circle"))
    assert [circle.get("fill") == "none" for circle in circles] == [True, False, False]
    (line,) = [
        p for p in svg.iter(f"{SVG}path") if p.get("stroke-width") == "2" and not p.get("opacity")
    ]
    assert (line.get("d") or "").count("L") == 1
    x = [float(circle.get("cx", "")) for circle in circles]
    assert re.findall(r"[ML]([\d.]+)", line.get("d") or "") == [f"{v:g}" for v in x[1:]]


def test_each_bin_has_the_wilson_interval_of_its_accuracy() -> None:
    svg = drawn(calibration_plot([(0.5, 0.5, 100)]))
    (interval,) = [p.get("d") or "" for p in svg.iter(f"{SVG}path") if p.get("stroke-opacity")]
    low, high = (float(v) for v in re.findall(r"[ V]([\d.]+)", interval))
    # Wilson for 50 of 100: 0.404 to 0.596 (Newcombe 1998, Table I has 81 of 263: 0.2553 to 0.3662)
    assert [1 - (y - 12) / 300 for y in (low, high)] == pytest.approx([0.404, 0.596], abs=0.001)
    svg = drawn(calibration_plot([(0.5, 81 / 263, 263)]))
    (interval,) = [p.get("d") or "" for p in svg.iter(f"{SVG}path") if p.get("stroke-opacity")]
    ends = [1 - (float(y) - 12) / 300 for y in re.findall(r"[ V]([\d.]+)", interval)]
    assert ends == pytest.approx([0.2553, 0.3662], abs=0.001)


def test_an_axis_that_does_not_begin_at_zero_says_so() -> None:
    shares = np.linspace(0.1, 1, 10)
    accuracies = np.linspace(1, 0.72, 10)
    words = texts(drawn(coverage_plot(shares, accuracies, (0.9, 0.8))))
    assert "accuracy, % (axis begins at 70)" in words
    assert {"70", "100"} <= set(words)
    assert "90 % of faces, accuracy 80.0 %" in words
    words = texts(drawn(coverage_plot(np.zeros(0), np.zeros(0), (0.0, float("nan")))))
    assert not any("of faces, accuracy" in text for text in words)


def test_the_confusion_matrix_has_faces_without_a_prediction_only_where_there_are() -> None:
    table = np.array([[8, 2, 0], [0, 10, 0]])
    words = texts(drawn(confusion_plot(table, ("fear", "joy"))))
    assert "predicted" in words
    assert "none" not in words
    assert [word for word in words if "%" in word] == ["80 %", "20 %", "100 %"]
    table[0, 2] = 5
    assert "none" in texts(drawn(confusion_plot(table, ("fear", "joy"))))
