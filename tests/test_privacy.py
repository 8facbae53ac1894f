"""Nothing leaves the machine, and nothing is written but what was named: every command, traced."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from engaged import filmed, moving
from films import Style, write_film
from tracing import Trace, traced

from mien import read_image, write_image
from mien.cli.commands import app
from mien.models.session import QUIET
from mien.types import Image

SOURCE = Path(__file__).parents[1] / "src" / "mien"
RECIPE = 'network="rca"\nstart=""\nsize=32\nbatch=16\nstages=[{epochs=1, size=32}]\n'

#: One call or more of every command; {out} is the only folder that may be written to.
CALLS = {
    "analyze photo": "analyze photo.jpg -o {out}/t.csv --annotate {out}/drawn --affect "
    "--without contempt --min-score 0.5",
    "analyze video": "analyze video.mp4 -o {out}/t.parquet --annotate {out}/drawn.mp4 --keep-faces "
    "--embeddings identity,features --affect --fps 5 --width 200",
    "analyze adaptive": "analyze video.mp4 --adaptive --json --detector haar",
    "analyze jsonl": "analyze photo.jpg video.mp4 -o {out}/t.jsonl",
    "watch": "watch video.mp4 --seconds 1 -o {out}/t.csv --record {out}/r.mp4",
    "view": "view table.parquet --at 0.5",
    "report": "report table.parquet -o {out}/page.html --affect",
    "summarize": "summarize table.parquet -o {out}/summary",
    "summarize gif": "summarize video.mp4 -o {out}/summary --gif",
    "export vtt": "export table.parquet -o {out}/t.vtt",
    "export eaf": "export table.parquet -o {out}/t.eaf",
    "export svg": "export table.parquet -o {out}/t.svg --plane --affect",
    "people": "people table.parquet -o {out}/people --known she=photo.jpg",
    "people photos": "people photo.jpg video.mp4 --every 5",
    "evaluate": "evaluate mien-mobilenet faces -o {out}/evaluation",
    "compare": "compare mien-mobilenet mien-mobilenet faces --json",
    "finetune": "finetune faces -o {out}/tuned.onnx",
    "train": "train recipe.toml --data split -o {out}/run --sample 64",
    "train-head": "train-head faces -o {out}/head.onnx --hidden 8",
    "train-video": "train-video videos.csv -o {out}/mood.onnx --cache {out}/features",
    "train-engagement": "train-engagement clips.csv -o {out}/engaged.onnx --window 2",
    "engagement": "engagement crowd.parquet --model engaged.onnx -o {out}/t.csv",
    "demo": "demo -o {out}/demo",
    "models list": "models list",
    "models info": "models info mien-mobilenet",
    "models verify": "models verify",
    "models add": "models add copy.onnx --name copy",
    "models bundle": "models bundle {out}/bundle.tar",
    "help": "--help",
}
#: These need a network; the hub's own tests have a server for them.
NETWORK = {"models pull"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an input for every command."""
    folder = tmp_path_factory.mktemp("place")
    photo = read_image(SOURCE / "assets" / "astronaut.jpg")
    write_image(folder / "photo.jpg", photo)
    small = photo[::2, ::2]
    video = [np.roll(small, i, axis=1) for i in range(20)]
    write_film(folder / "video.mp4", video, fps=10, style=Style(audio=True))
    face = photo[40:240, 130:330]
    rng = np.random.default_rng(0)
    for label in ("happiness", "sadness"):
        for i in range(24):
            shade = face[:: 2 + i % 3, ::2].astype(int) + int(rng.integers(-30, 30))
            target = folder / "faces" / label / f"{i}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            write_image(target, shade.clip(0, 255).astype(np.uint8))
    yield folder


def run(place: Path, folder: Path, call: str, **variables: str) -> Trace:
    """One call of the command, in a folder of its own beside links to the inputs."""
    out = folder / "out"
    out.mkdir()
    for path in place.iterdir():
        (folder / path.name).symlink_to(path)
    return traced(["-m", "mien", *call.format(out=out).split()], folder, **variables)


@pytest.mark.parametrize("name", CALLS)
def test_a_command_keeps_to_itself(name: str, place: Path, tmp_path: Path) -> None:
    trace = run(place, tmp_path, CALLS[name])
    assert trace.code == 0, trace.stderr
    assert trace.network == []
    cache = tmp_path / "home" / ".cache" / "mien"
    assert trace.outside(tmp_path / "out", tmp_path / "tmp", cache, *cache.parents[:1]) == []
    assert not [*(tmp_path / "tmp").iterdir()]
