"""What the viewers draw in a terminal and a window, and the keys of terminals."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.results import frame_result, mostly
from helpers.videos import numbered_image

from mien.cli.viewer.keys import names_of
from mien.cli.viewer.terminal import half_blocks, layout, lines
from mien.cli.viewer.view import Renderer, Screen
from mien.cli.viewer.window import _ppm
from mien.sinks.stabilizer import people_of


def test_keys_of_terminals() -> None:
    assert names_of("q \x1b[A\x1bOB\x1b[6~\x1b[5~\x1b[H7\r\x1b") == [
        "q",
        "space",
        "up",
        "down",
        "pagedown",
        "pageup",
        "home",
        "7",
        "enter",
        "escape",
    ]
    assert names_of("\x1b[1;5Cx") == ["x"]  # Ctrl with an arrow means nothing


def seen() -> Screen:
    """Two people in one frame, the second selected."""
    people = {1: mostly("happiness"), 2: mostly("fear", 0.4)}
    result = frame_result(1.5, people, boxes=[[5, 5, 20, 20], [30, 5, 50, 25]])
    strip = np.array([[230, 159, 0]] * 5 + [[0, 0, 0]] * 5, np.uint8)
    return Screen(
        result.image,
        people_of(result),
        result.labels,
        "a.mp4",
        "q quit",
        selected=2,
        time_s=1.5,
        strip=strip,
    )


@pytest.mark.parametrize("size", [(80, 24), (140, 40), (40, 12)])
@pytest.mark.parametrize("colors", [True, False])
def test_a_screen_fits_its_terminal(size: tuple[int, int], colors: bool) -> None:
    import io

    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out,
        width=size[0],
        height=size[1],
        force_terminal=True,
        color_system="truecolor" if colors else None,
    )
    console.print(layout(seen(), console))
    text = out.getvalue()
    assert len(text.splitlines()) <= max(size[1], 17)  # the bars need their lines
    assert ("▀" in text) == colors
    for words in ("person 2", "happiness", "q quit", "a.mp4"):
        assert words in text
    if size[0] >= 80:
        assert "40 %" in text


def test_half_blocks_show_the_image() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[:20] = (250, 0, 0)
    text = half_blocks(image, 10, 4)
    rows = text.plain.split("\n")
    assert [len(row) for row in rows] == [8] * 4
    assert str(text.spans[0].style) == "rgb(250,0,0) on rgb(250,0,0)"
    assert str(text.spans[-1].style) == "rgb(0,0,0) on rgb(0,0,0)"


def test_lines_name_everybody() -> None:
    assert lines(seen()) == [
        "    1.50 s  person 1: happiness 80 %",
        "    1.50 s  person 2: uncertain",
    ]


@pytest.mark.parametrize("room", [(1280, 860), (400, 300), (700, 250), (250, 800)])
def test_the_stage_fits_its_room(room: tuple[int, int]) -> None:
    renderer = Renderer()
    drawn = renderer.draw(seen(), room)
    assert drawn.shape[1] <= room[0] + 2
    assert drawn.shape[0] <= max(room[1], 200) + 2
    row = drawn[renderer.strip_rows[len(renderer.strip_rows) // 2]]
    assert tuple(row[row.shape[0] // 4]) == (230, 159, 0)
    assert tuple(row[-2]) == (0, 0, 0)


def test_ppm_is_what_tk_reads() -> None:
    from io import BytesIO

    from PIL import Image as Pil

    image = numbered_image(9)
    with Pil.open(BytesIO(_ppm(image))) as read:
        assert (np.array(read) == image).all()
