"""The command line as people meet it: help, options, suggestions, progress, and tables."""

from __future__ import annotations

import inspect
import io
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from helpers.command import run_mien
from helpers.results import frame_result
from typer.testing import CliRunner

from mien.cli import console
from mien.cli.command_group import ModelsGroup
from mien.cli.commands import app
from mien.cli.output.videos import show_people
from mien.faces.detectors import BUILTIN
from mien.plugins import load_detector
from mien.timeline.timeline import Timeline

#: The order of options that several commands share.
ORDER = [
    *("output", "annotate", "keep_faces", "detector", "model", "min_score", "without", "fps"),
    *("every", "start", "end", "width", "stream", "adaptive", "affect", "attributes"),
    *("embeddings", "head", "video_model", "smooth", "all_faces", "json", "resume", "overwrite"),
    *("max_pixels", "quiet", "verbose"),
]
#: Where one of them is something else: an engagement model, an argument, a name in a list.
OWN = {("engagement", "model"), ("evaluate", "model"), ("models add", "overwrite")}


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its name, as ``models pull``."""
    root: Any = typer.main.get_command(app)
    for name in root.list_commands(None):
        command = root.get_command(None, name)
        yield from (
            [(f"{name} {below}", one) for below, one in command.commands.items()]
            if hasattr(command, "commands")
            else [(name, command)]
        )


COMMANDS = dict(commands())


def test_the_help_groups_commands_and_cuts_nothing() -> None:
    for option in ("-h", "--help"):
        done = CliRunner().invoke(app, [option], env={"COLUMNS": "80"})
        assert done.exit_code == 0
    lines = done.output.splitlines()
    heads = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert heads == [
        *("Options:", "Analyze:", "Look:", "People:", "Measure:", "Serve:", "Train:", "Models:"),
    ]
    assert "..." not in done.output.replace("[ARGS]...", "")
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_and_shows_two_examples(name: str) -> None:
    command = COMMANDS[name]
    assert 10 < len(command.get_short_help_str(200)) <= 55
    done = CliRunner().invoke(app, [*name.split(), "-h"], env={"COLUMNS": "80"})
    assert done.exit_code == 0
    assert not {"<list", "<path>", "<str>", "<float>", "<int>"} & set(done.output.split())
    assert "list[" not in done.output
    _, _, examples = done.output.partition("Examples:\n")
    calls = [line.strip() for line in examples.splitlines()[:2]]
    for call in calls:  # parsed, not run
        program, *words = shlex.split(call)
        places = len(name.split())
        last = words[places - 1]
        assert (program, *words[: places - 1]) == ("mien", *name.split()[:-1])
        assert ModelsGroup.aliases.get(last, last) == name.split()[-1]
        command.make_context(name, words[places:])


def test_the_same_option_has_the_same_order_text_and_short_form_everywhere() -> None:
    texts: dict[str, set[str]] = {}
    for name, command in COMMANDS.items():
        shared = [p.name for p in command.params if p.name in ORDER and (name, p.name) not in OWN]
        assert shared == sorted(shared, key=ORDER.index), name
        assert shared[-2:] == ["quiet", "verbose"], name
        for param in command.params:
            if param.name == "output":
                assert param.opts == ["-o", "--output"], name
            elif param.name in ORDER and (name, param.name) not in {
                ("engagement", "model"),  # an engagement model
                ("evaluate", "model"),  # an argument
                ("models add", "overwrite"),
            }:
                texts.setdefault(param.name, set()).add(param.help)
    assert {name: said for name, said in texts.items() if len(said) > 1} == {}


def test_the_detectors_and_their_thresholds_are_those_of_the_help() -> None:
    text = {param.name: param for param in COMMANDS["analyze"].params}
    for name in BUILTIN:
        assert name in (text["detector"].help or "")
        detector = getattr(import_module(f"mien.faces.detectors.{name}"), f"{name.title()}Detector")
        score = inspect.signature(detector).parameters["min_score"].default
        assert f"{name} {score:g}" in str(text["min_score"].show_default)
        assert f"``{name}``" in (load_detector.__doc__ or "")


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        ("photo.jpg", "mien analyze photo.jpg"),
        ("film.MP4 -o t.csv", "mien analyze film.MP4"),
        ("rtsp://camera/1", "mien analyze rtsp://camera/1"),
        ("detect", "mien analyze"),
        ("webcam", "mien watch"),
        ("live", "mien watch"),
        ("list", "mien models list"),
        ("download", "mien models pull"),
        ("sumarize", "'summarize'"),
        ("analyze a.jpg --device cuda", "CUDA is used where onnxruntime-gpu is installed"),
        ("analyze a.jpg --overwrit", "--overwrite"),
    ],
)
def test_a_guess_is_answered(words: str, suggestion: str) -> None:
    done = run_mien(*words.split())
    assert done.returncode == 2
    assert suggestion in " ".join(done.stderr.decode().split())


def test_models_answer_to_the_words_of_package_managers(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert "mien-mobilenet" in run(app, ["models", "ls"]).output
    for words in (["download", "nothing"], ["rm", "nothing"]):
        done = run(app, ["models", *words], env={"MIEN_CACHE": str(tmp_path)})
        assert done.exit_code == 2
        assert "nothing" in done.stderr


def test_quiet_says_problems_only_and_verbose_says_the_settings(
    photo: Path, tmp_path: Path
) -> None:
    table = tmp_path / "t.csv"
    done = run_mien("analyze", photo, "/nowhere.jpg", "-o", table, "-q")
    assert done.returncode == 3
    assert done.stdout == b""
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("mien: ")
    assert "/nowhere.jpg" in line
    done = run_mien("analyze", photo, "-v", "--detector", "MTCNN")
    assert done.returncode == 0, done.stderr
    assert "detector: mtcnn" in done.stderr.decode()


def test_the_table_of_photos_fits_and_hides_what_says_nothing(photo: Path) -> None:
    done = CliRunner().invoke(
        app, ["analyze", str(photo), "--attributes", "age"], env={"COLUMNS": "80"}
    )
    assert done.exit_code == 0, done.output
    head, row, *rest = done.stdout.splitlines()
    assert rest == []
    assert "happiness" in head
    assert head.split()[:2] == ["image", "expression"]
    assert "age" in head
    assert "face" not in head.split(), "one face has no number"
    assert "contempt" not in head, "nobody shows it"
    assert "…" not in head + row
    assert max(len(head), len(row)) <= 80


def test_the_table_of_a_video_shows_measures(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    results = [frame_result(index, {1: [1.0, *[0.0] * 7]}, index=index) for index in range(3)]
    timeline = Timeline.from_results(results)
    timeline.faces["apparent_age"] = 41.6
    show_people(timeline)
    _, head, row = capsys.readouterr().out.splitlines()[:3]
    assert head.split()[-2:] == ["age", "peak"]
    assert "42" in row.split()
    for name in ("apparent_female", "AU06_raised", "AU12_raised"):
        timeline.faces[name] = 0.25
    show_people(timeline)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "neutral" in lines[1], "labels come first"
    assert lines[4].split()[0] == "person"
    assert lines[4].split()[1:] == ["age", "female", "AU06", "raised", "AU12", "raised"]
    assert lines[5].split()[-4:].count("0.25") == 3


class _Clock:
    """A clock that is set by hand."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(console, "time", clock)
    return clock


def test_progress_says_how_far_how_fast_and_how_long(
    clock: _Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    meter = console.Meter("reading", "faces")
    for second in range(1, 11):
        clock.now += 1
        meter(20 * second, 400)
        if second == 1:
            assert terminal.getvalue() == "", "what is over at once shows nothing"
    console.note("a line between")
    text = terminal.getvalue()
    assert "reading 200 of 400 faces (50 %), 20 faces/s, 10 s left" in text
    assert text.endswith("a line between\n")
    assert text.rpartition("a line")[0].endswith("\x1b[2K"), "the bar makes room for the line"
    meter(400, 400)
    assert console.Meter._bar is None


def test_progress_elsewhere_is_a_line_a_minute_and_nothing_when_quiet(
    clock: _Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    meter = console.Meter("", "images")
    for minute in range(600):
        clock.now += 0.5
        meter(minute, 6000)
    assert len(log.getvalue().splitlines()) == 5
    assert log.getvalue().splitlines()[0] == "119 of 6,000 images (2 %), 2.0 images/s, 49 min left"
    monkeypatch.setattr(console.verbosity, "quiet", True)
    clock.now += 100
    meter(700, 6000)
    console.note("nothing")
    assert len(log.getvalue().splitlines()) == 5


def test_a_photo_is_shown_without_pandas(photo: Path) -> None:
    """It takes 0.15 s to import, a third of the command."""
    code = (
        "import sys; from mien.cli import main; sys.argv = ['mien', 'analyze', sys.argv[1]]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('pandas', 'pyarrow', 'torch') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(photo)]
    done = subprocess.run(command, capture_output=True, check=True)
    assert b"happiness" in done.stdout
    assert done.stdout.splitlines()[-1] == b"[]"


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from mien.cli.commands import app; "
        "print([m for m in ('numpy', 'cv2', 'pandas', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"
