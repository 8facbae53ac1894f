"""One self-contained page about a film: curves, segments, faces at their peaks, how it was made."""

from mien.reports.video import PEOPLE, SEGMENTS, report_page, write_report

__all__ = ["PEOPLE", "SEGMENTS", "report_page", "write_report"]
