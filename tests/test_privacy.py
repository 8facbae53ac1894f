"""Nothing leaves the machine, and only named files are written: every command, traced."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.engagement import FEATURES, blank_networks, engagement_timeline, moving_features
from helpers.tracing import traced
from helpers.videos import Style, write_video
from typer.models import CommandInfo

from mien import read_image, write_image
from mien.cli.commands import app
from mien.cli.commands.batch import app as batch_app
from mien.cli.commands.models import app as models_app
from mien.engagement.card import EngagementCard
from mien.models.session import QUIET
from mien.training.engagement.export import write_networks
from mien.types import Image

SOURCE = Path(__file__).parents[1] / "src" / "mien"
RECIPE = 'network="rca"\nstart=""\nsize=32\nbatch=16\nstages=[{epochs=1, size=32}]\n'
ROOMS = ("src", "benchmarks", "scripts", "notebooks", "recipes")
SPLITS = ("train", "train", "train", "validation")

#: The command; fine-tuning learns for seconds instead of minutes.
COMMAND = """
import sys
if sys.argv[1] == "finetune":
    from mien.training.expressions import finetune
    finetune.HEAD_STEPS = finetune.ALL_STEPS = 1
from mien.cli import main
main()
"""

#: One call or more of every command; {out} is the only folder that may be written to.
CALLS = {
    "analyze photo": "analyze photo.jpg -o {out}/t.csv --annotate {out}/drawn --affect "
    "--without contempt --min-score 0.5",
    "analyze video": "analyze video.mp4 -o {out}/t.parquet --annotate {out}/drawn.mp4 --keep-faces "
    "--embeddings identity,features --affect --actions --landmarks --fps 5 --width 200",
    "analyze adaptive": "analyze video.mp4 --adaptive --json --detector haar",
    "analyze baseline": "analyze photo.jpg -o {out}/t.csv --baseline photo.jpg",
    "analyze prior": "analyze photo.jpg -o {out}/t.csv --prior balanced",
    "analyze jsonl": "analyze photo.jpg video.mp4 -o {out}/t.jsonl",
    "watch": "watch video.mp4 --seconds 1 --actions -o {out}/t.csv --record {out}/r.mp4",
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
    "batch": "batch run faces photo.jpg video.mp4 -o {out}/b --workers 1 && "
    "batch status {out}/b && batch merge {out}/b -o {out}/t.csv && report {out}/b -o {out}/b.html",
    "models list": "models list",
    "models info": "models info mien-mobilenet",
    "models verify": "models verify",
    "models add": "models add copy.onnx --name copy",
    "models bundle": "models add copy.onnx --name copy && models bundle {out}/bundle.tar",
    "models remove": "models add copy.onnx --name copy && models remove copy",
    "help": "--help",
}
#: These need a network: the hub's tests have a server, and test_service_privacy traces a service.
NETWORK = {"models pull", "serve", "worker"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an input for every command."""
    folder = tmp_path_factory.mktemp("place")
    photo = read_image(SOURCE / "assets" / "astronaut.jpg")
    write_image(folder / "photo.jpg", photo)
    video = [np.roll(photo[::2, ::2], i, axis=1) for i in range(20)]
    write_video(folder / "video.mp4", video, fps=10, style=Style(audio=True))
    shutil.copy(SOURCE / "weights" / "mien-mobilenet.onnx", folder / "copy.onnx")
    _write_faces(folder / "faces", photo[40:240, 130:330])
    (folder / "recipe.toml").write_text(RECIPE)
    _write_features(folder)
    call = [
        "analyze",
        "video.mp4",
        "-o",
        "table.parquet",
        "--embeddings",
        "identity,features",
        "--keep-faces",
        "--actions",
    ]
    command = [sys.executable, "-m", "mien", *call]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def _write_faces(folder: Path, face: Image) -> None:
    """Faces in folders by label, and the same once more by split."""
    rng = np.random.default_rng(0)
    for i in range(48):
        blots = np.kron(rng.integers(0, 120, (5, 5, 3)), np.ones((20, 20, 1)))  # no two are twins
        shade = face[::2, ::2] // 2 + blots
        label = "happiness" if i % 2 else "sadness"
        for target in (folder / label, folder.with_name("split") / SPLITS[i % 4] / label):
            target.mkdir(parents=True, exist_ok=True)
            write_image(target / f"{i}.png", shade.clip(0, 255).astype(np.uint8))


def _write_features(folder: Path) -> None:
    """Tables of videos with features, to train on, and a crowd to estimate the engagement of."""
    rng = np.random.default_rng(6)
    clips, videos = ["path,level,group"], ["path,label,group"]
    for who in range(8):
        for level in (0.0, 1.0):
            name = f"{who}-{level:.0f}.parquet"
            engagement_timeline({1: moving_features(level, 3, rng, fps=10)}, fps=10).save(
                folder / name
            )
            clips.append(f"{name},{'engaged' if level else 'distracted'},{who}")
            videos.append(f"{name},{'lively' if level else 'calm'},{who}")
    (folder / "clips.csv").write_text("\n".join(clips))
    (folder / "videos.csv").write_text("\n".join(videos))
    crowd = {who: moving_features(1.0, 6, rng) for who in range(6)}
    engagement_timeline(crowd).save(folder / "crowd.parquet")
    write_networks(
        blank_networks(FEATURES), EngagementCard("net", size=FEATURES), folder / "engaged.onnx"
    )


#: Each command takes one to three seconds under strace; these stand for all in `make test-quick`.
QUICK = {"demo", "analyze photo", "models list"}
TORCH = {"finetune", "train", "train-head", "train-engagement"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in CALLS]
)
def test_a_command_keeps_to_itself(name: str, place: Path, tmp_path: Path) -> None:
    if name in TORCH:
        pytest.importorskip("torch", reason="PyTorch is not installed (extra train)")
    out, home, temporary = (tmp_path / name for name in ("out", "home", "tmp"))
    out.mkdir()
    for path in place.iterdir():
        (tmp_path / path.name).symlink_to(path)
    for call in CALLS[name].format(out=out).split(" && "):
        trace = traced(["-c", COMMAND, *call.split()], tmp_path)
        assert trace.code == 0, trace.stderr
        assert trace.network == []
        assert trace.outside(out, temporary, home / ".cache" / "mien") in (
            [],
            [str(home / ".cache")],
        )
        assert not [*temporary.iterdir()]


def _name(command: CommandInfo) -> str:
    assert command.callback is not None
    return command.name or command.callback.__name__.replace("_", "-")


def test_every_command_is_traced() -> None:
    traced_names = {
        " ".join(words[: 1 + (words[0] in ("models", "batch"))])
        for call in CALLS.values()
        for words in (part.split() for part in call.split(" && "))
    }
    names = {_name(command) for command in app.registered_commands}
    groups = {"models": models_app, "batch": batch_app}
    names |= {
        f"{group} {_name(c)}" for group, one in groups.items() for c in one.registered_commands
    }
    missing = names - NETWORK - traced_names
    assert not missing, f"add a call of {', '.join(sorted(missing))} to CALLS"


PYTHON = """
import mien
result = mien.EmotionAnalyzer()("photo.jpg")
timeline = mien.EmotionAnalyzer("haar").video("video.mp4")
result.heatmaps(), timeline.segments(), result._repr_html_()
"""


@pytest.mark.slow
def test_the_library_keeps_to_itself_for_as_long_as_it_lives(place: Path, tmp_path: Path) -> None:
    for name in ("photo.jpg", "video.mp4"):
        (tmp_path / name).symlink_to(place / name)
    # The runtime's telemetry looks up its collector some seconds after the first network ran.
    trace = traced(["-c", PYTHON + "import time; time.sleep(12)"], tmp_path)
    assert trace.code == 0, trace.stderr
    assert (trace.network, trace.outside()) == ([], [])


NATIVE = """
import ctypes, os, subprocess, sys
libc = ctypes.CDLL(None)
libc.socket(2, 2, 0)
libc.close(libc.open(os.environ["HOME"].encode() + b"/id", os.O_CREAT | os.O_WRONLY, 0o600))
subprocess.run([sys.executable, "-c", "import socket; socket.getaddrinfo('localhost', 80)"])
"""


def test_the_trace_sees_native_code_and_child_processes(tmp_path: Path) -> None:
    trace = traced(["-c", NATIVE], tmp_path)
    assert trace.code == 0, trace.stderr
    assert any("AF_INET, SOCK_DGRAM" in line for line in trace.network)
    assert any("/etc/hosts" in line for line in trace.network)
    assert trace.outside() == [str(tmp_path / "home" / "id")]


def test_one_place_imports_onnx_runtime() -> None:
    imports = re.compile(r"(import |from |import_module\(f?[\"'])onnxruntime")
    files = [p for room in ROOMS for p in (SOURCE.parents[1] / room).rglob("*")]
    texts = {p.name: p.read_text() for p in files if p.suffix in (".py", ".ipynb")}
    assert [name for name, text in texts.items() if imports.search(text)] == ["session.py"]


DOORS = {
    "mien first": ("import mien, onnxruntime", {}, False),
    "later": ("import onnxruntime, mien", {}, True),
    "later, with the variable": ("import onnxruntime, mien", {QUIET: "1"}, False),
    "empty variable": ("import mien", {QUIET: ""}, False),
}


@pytest.mark.parametrize("door", DOORS)
def test_an_earlier_import_is_warned_of_once(door: str, tmp_path: Path) -> None:
    imports, variables, warns = DOORS[door]
    code = f"{imports}\nfrom mien.models.session import runtime\nruntime(), runtime()"
    environment = {k: v for k, v in os.environ.items() if k != QUIET} | variables
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"HOME": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    assert done.stderr.decode().count("import mien first") == warns
    if not warns:
        assert not [*tmp_path.rglob("*")]
