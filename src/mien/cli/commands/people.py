"""``mien people``: the same person across cuts, videos and images."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from mien.cli import options
from mien.cli.console import wrote
from mien.cli.exit_codes import SOME_FAILED
from mien.errors import UsageError


def people(
    files: Annotated[
        list[str],
        options.argument(
            "INPUT", "Videos, images, or tables made with `mien analyze --embeddings identity`."
        ),
    ],
    output: Annotated[
        Path | None,
        options.option(
            "PATH",
            "Folder for page and tables; or an .html page, a .csv or .parquet table.",
            "-o",
            "--output",
        ),
    ] = None,
    detector: options.Detector = "yunet",
    model: options.Model = "mien-mobilenet",
    fps: options.Fps = None,
    every: options.Every = 1,
    width: options.Width = None,
    known: Annotated[
        list[str] | None,
        options.option(
            "NAME=IMAGE", "A known face; or a folder with a folder per name; repeatable."
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        options.option(
            "NUMBER=NAME",
            "Name a person, such as 3=anna; people of one name are merged; repeatable.",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        options.option(
            "COSINE",
            "Similarity from which two tracks are one person.",
            min=-1,
            max=1,
            default="the model's",
        ),
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Match the same person across videos and images.

    Prints one row per person; with -o, writes a page with their faces. Faces below the threshold
    stay unknown. Nothing is saved unless -o is given.

    \b
    Examples:
      mien people session1.mp4 session2.mp4
      mien people film.parquet --known anna=anna.jpg -o people/
    """
    from mien.cli.inputs import load_analyzer, video_options
    from mien.cli.output.people import check_people_output, show_identities, write
    from mien.cli.people_inputs import gather, numbered
    from mien.labels import IDENTITY
    from mien.people.enrollment import known_faces, known_images

    check_people_output(output, files, overwrite)
    names, images = numbered(name or ()), known_images(known or ())
    analyzer = cache(lambda: load_analyzer(detector, model, extras=(IDENTITY,)))
    faces = known_faces(images, analyzer().analyze) if images else {}
    frames = video_options(files, fps=fps, every=every, width=width)
    gathered = gather(files, frames, analyzer)
    identities = gathered.timeline.identify(threshold, known=faces)
    problem = None
    try:
        identities = gathered.timeline.identify(threshold, names, faces)
    except UsageError as error:  # the result is not lost, and shows which names fit
        problem = error
    show_identities(identities)
    if output is not None:
        wrote(*write(gathered, identities, output, overwrite))
    if problem is not None:
        raise problem
    if gathered.failed:
        raise typer.Exit(SOME_FAILED)
