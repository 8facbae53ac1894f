"""``mien people``: who is in these films, across cuts and across films."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from mien.cli import options
from mien.cli.exit_codes import SOME_FAILED
from mien.errors import UsageError


def people(
    files: Annotated[
        list[str],
        typer.Argument(help="Videos, images, or tables made with `mien analyze --embeddings`."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Folder for all of it; or an .html page, a .csv or .parquet table.",
        ),
    ] = None,
    known: Annotated[
        list[str] | None,
        typer.Option(help="A known face: NAME=PICTURE, or a folder with a folder a name."),
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="Name a person by number, such as 3=anna.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=-1, max=1, help="From which similarity two tracks are one person."),
    ] = None,
    detector: options.Detector = "mtcnn",
    model: options.Model = "mien-mobilenet",
    fps: options.Fps = None,
    every: options.Every = 1,
    width: options.Width = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Say who is who, a row a person, and with -o show their faces on a page.

    Who is not like any known face stays unknown. Nothing is kept of any face without -o.
    """
    from mien.cli.inputs import load_analyzer, video_options
    from mien.cli.output.people import check_people_output, show_who, write
    from mien.cli.people_inputs import gather, numbered
    from mien.labels import IDENTITY
    from mien.people.enrollment import known_faces, known_pictures

    check_people_output(output, files, overwrite)
    names, pictures = numbered(name or ()), known_pictures(known or ())
    analyzer = cache(lambda: load_analyzer(detector, model, None, (), (IDENTITY,)))
    faces = known_faces(pictures, analyzer().analyze) if pictures else {}
    wanted = video_options(files, fps=fps, every=every, width=width)
    gathered = gather(files, wanted, analyzer)
    who = gathered.timeline.who(threshold, known=faces)
    wrong = None
    try:
        who = gathered.timeline.who(threshold, names, faces)
    except UsageError as error:  # what was found is not lost, and shows which names fit
        wrong = error
    show_who(who)
    if output is not None:
        for path in write(gathered, who, output, overwrite):
            print(f"wrote {path}", file=sys.stderr)  # noqa: T201
    if wrong is not None:
        raise wrong
    if gathered.failed:
        raise typer.Exit(SOME_FAILED)
