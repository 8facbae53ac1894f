"""Plots as SVG: curves over time, paths through valence and arousal, measured figures.

Pure functions on arrays; a plot takes its ink from the page around it.
"""

from mien.plots.actions import actions_plot
from mien.plots.affect_plane import plane_plot
from mien.plots.curves import timeline_plot
from mien.plots.svg import image_uri, round_times, time_text, time_ticks
from mien.plots.values import ActionCurve, ActionSpan, PersonCurve, PersonPath, Plot, write_page

__all__ = [
    "ActionCurve",
    "ActionSpan",
    "PersonCurve",
    "PersonPath",
    "Plot",
    "actions_plot",
    "image_uri",
    "plane_plot",
    "round_times",
    "time_text",
    "time_ticks",
    "timeline_plot",
    "write_page",
]
