"""``mien demo``: the main job on the photo that ships with mien."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the annotated pictures.")
    ] = Path("demo"),
) -> None:
    """Analyse a real photo and show the result."""
    from importlib import resources

    from mien.analyzer import EmotionAnalyzer
    from mien.cli.console import show_table
    from mien.media.images import write_image

    photo = Path(str(resources.files("mien"))) / "assets" / "astronaut.jpg"
    output.mkdir(parents=True, exist_ok=True)
    result = EmotionAnalyzer()(photo)
    shown = output / "astronaut.annotated.jpg"
    write_image(shown, result.draw(margin_for=0))
    heat = output / "astronaut.heatmap.png"
    write_image(heat, result.heatmaps())
    show_table([result])
    lines = (
        "",
        "Eileen Collins, astronaut (NASA, public domain): what viewers would call her expression,",
        "in percent. A likely description of a face, not of what a person feels.",
        "",
        f"annotated picture:  {shown.resolve()}",
        f"where it looked:    {heat.resolve()}",
    )
    print("\n".join(lines))  # noqa: T201
