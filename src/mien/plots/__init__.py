"""Curves over time as SVG: a panel a person, a line a label, faces at their strongest moments.

And ways through the plane of valence and arousal: a plane a person, coloured by time.

The drawing takes its ink from the page around it (``currentColor``), so that it fits light and
dark pages; alone, on white, it is black. Pure functions on arrays.
"""

from mien.plots.affect_plane import plane_plot
from mien.plots.curves import timeline_plot
from mien.plots.svg import picture_uri, round_times, time_text
from mien.plots.values import PersonCurve, PersonPath, Plot, write_page

__all__ = [
    "PersonCurve",
    "PersonPath",
    "Plot",
    "picture_uri",
    "plane_plot",
    "round_times",
    "time_text",
    "timeline_plot",
    "write_page",
]
