"""``mien demo``: the main job on the photo that ships with mien."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mien.cli import options


def demo(
    output: Annotated[
        Path, options.option("FOLDER", "Where the images go.", "-o", "--output")
    ] = Path("demo"),
) -> None:
    """Analyze a photo that comes with mien.

    \b
    Examples:
      mien demo
      mien demo -o /tmp/demo
    """
    from importlib import resources

    from mien.analyzer import EmotionAnalyzer
    from mien.cli.console import answer
    from mien.cli.output.images import show_faces
    from mien.media.images import write_image

    photo = Path(str(resources.files("mien"))) / "assets" / "astronaut.jpg"
    output.mkdir(parents=True, exist_ok=True)
    result = EmotionAnalyzer()(photo)
    annotated = output / "astronaut.annotated.jpg"
    write_image(annotated, result.draw(margin_for=0))
    heatmap = output / "astronaut.heatmap.png"
    write_image(heatmap, result.heatmaps())
    show_faces([result])
    for line in (
        "",
        "Eileen Collins, astronaut (NASA, public domain): the expression viewers would perceive,",
        "in percent. A likely description of a face, not of what a person feels.",
        "",
        f"annotated image:  {annotated.resolve()}",
        f"saliency map:     {heatmap.resolve()}",
    ):
        answer(line)
