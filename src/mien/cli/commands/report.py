"""``mien report``: a results table as one HTML page, to read and to pass on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mien.cli import options
from mien.errors import UsageError


def report(
    table: options.Table,
    output: Annotated[
        Path | None,
        options.option("PAGE", "Page to write.", "-o", "--output", default="TABLE.html"),
    ] = None,
    affect: options.Affect = False,
    units: Annotated[
        str,
        options.option(
            "NAMES", "Facial actions to draw, such as AU04,AU12.", default="those that move"
        ),
    ] = "",
    smooth: options.Smooth = None,
    baseline: options.Baseline = None,
    all_faces: options.AllFaces = False,
    by: Annotated[
        str | None,
        options.option(
            "COLUMN", "Of a batch: group by this column of its input tables.", default="by folder"
        ),
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Write one HTML page about a table or a batch.

    Curves, segments, faces and settings, in a file that needs no network.

    \b
    Examples:
      mien report film.parquet
      mien report film.csv -o page.html --smooth 2
    """
    from mien.cli.baselines import calibrated
    from mien.cli.console import wrote
    from mien.cli.output.videos import as_shown, note_unfit
    from mien.files import check_output
    from mien.reports import write_report
    from mien.timeline.timeline import Timeline

    if (table / "batch.json").is_file():
        from mien.batch.report import write_batch_report
        from mien.batch.run import read_batch

        page = check_output(output or table.with_name(f"{table.name}.html"), overwrite=overwrite)
        wrote(write_batch_report(*read_batch(str(table)), page, by, overwrite=overwrite))
        return
    if by is not None:
        raise UsageError("--by is for the folder of a batch; compare groups with mien compare.")
    page = output or table.with_suffix(".html")
    check_output(page, inputs=(table,), overwrite=overwrite)
    timeline = as_shown(calibrated(Timeline.load(table), baseline), smooth, all_faces)
    if affect:
        timeline = timeline.derive_affect()
    note_unfit(timeline)
    wrote(write_report(timeline, page, actions=options.names(units), overwrite=overwrite))
