"""Self-contained HTML pages: of videos, of people, of evaluations; and clips of highlights."""

from mien.reports.video import PEOPLE, SEGMENTS, report_page, write_report

__all__ = ["PEOPLE", "SEGMENTS", "report_page", "write_report"]
