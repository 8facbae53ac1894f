"""Plots as SVG: curves over time, paths through valence and arousal, measured figures.

Pure functions on arrays; a plot takes its ink from the page around it.
"""

from mien.plots.affect_plane import plane_plot
from mien.plots.curves import timeline_plot
from mien.plots.svg import image_uri, round_times, time_text, time_ticks
from mien.plots.values import PersonCurve, PersonPath, Plot, write_page

__all__ = [
    "PersonCurve",
    "PersonPath",
    "Plot",
    "image_uri",
    "plane_plot",
    "round_times",
    "time_text",
    "time_ticks",
    "timeline_plot",
    "write_page",
]
