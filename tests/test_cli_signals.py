"""How a process ends: scripts that leave a loop, signals, odd standard streams."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import av
import pytest
from helpers.results import frame_result, mostly, save_table
from helpers.videos import write_video

from mien import Results

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev and signals")
CLI = [sys.executable, "-m", "mien"]
Done = subprocess.CompletedProcess[bytes]


def script(code: str, folder: Path, *arguments: object) -> Done:
    """Run Python code of a user, in `folder`."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, timeout=300, check=False)


LOOP = """
    import sys, mien
    analyzer = mien.EmotionAnalyzer()
    mine = open("mine.csv", "w")
    def loop(results):
        for count, result in enumerate(results):
            mine.write(f"{count}\\n")
            if count == 2:
                return count
    folder, film = sys.argv[1:]
    """
ENDS = {
    "photos": "results = analyzer.analyze(folder); loop(results)",
    "video": "results = analyzer.stream(mien.VideoSource(film)); loop(results)",
    "kept": "results = analyzer.stream(mien.VideoSource(film), keep=True); loop(results)",
    "frames": "frames = iter(mien.VideoSource(film)); loop(frames)",
    "next": "results = analyzer.analyze(folder); next(results); loop([1, 2, 3])",
    "two": "a, b = analyzer.analyze(folder), iter(mien.VideoSource(film)); next(a); loop(b)",
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder with 40 photos, and a video of 400 frames."""
    folder = tmp_path_factory.mktemp("inputs")
    photo = Path(__file__).parents[1] / "src" / "mien" / "assets" / "astronaut.jpg"
    (folder / "photos").mkdir()
    for i in range(40):
        shutil.copy(photo, folder / "photos" / f"{i}.jpg")
    return folder / "photos", write_video(folder / "video.mp4", frames=400)


@pytest.mark.parametrize("end", ENDS)
def test_a_script_that_leaves_the_loop_loses_nothing(
    end: str, inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    done = script(LOOP + ENDS[end], tmp_path, *inputs)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine.csv").read_text() == "0\n1\n2\n"


def test_an_error_in_the_loop_is_the_only_one(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    code = LOOP + "results = analyzer.analyze(folder)\n    loop(results)\n    1 / 0"
    done = script(code, tmp_path, *inputs)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == b"ZeroDivisionError: division by zero"
    assert (tmp_path / "mine.csv").read_text() == "0\n1\n2\n"


PUSH = """
    import os, signal, sys, threading
    import mien, numpy as np

    def push():
        for i in range(40):
            yield mien.Frame("push", lambda: np.zeros((64, 64, 3), np.uint8), i, i / 25)
        if sys.argv[1] == "signal":
            os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait()

    analyzer = mien.EmotionAnalyzer()
    results = analyzer.stream(push())
    try:
        for count, result in enumerate(results):
            if count == 2 and sys.argv[1] != "signal":
                break
    except KeyboardInterrupt:
        print("stopped")
    if sys.argv[1] == "close":
        results.close()
    print("end")
    """


@pytest.mark.parametrize("how", ["break", "close", pytest.param("signal", marks=linux)])
def test_an_iterator_that_never_comes_back_does_not_hang_the_end(how: str, tmp_path: Path) -> None:
    done = script(PUSH, tmp_path, how)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ([b"stopped"] if how == "signal" else []) + [b"end"]


def test_a_camera_that_hangs_does_not_hang_the_end(tmp_path: Path) -> None:
    code = """
        import threading, mien, numpy as np
        def shots():
            yield 0.0, np.zeros((64, 64, 3), np.uint8)
            threading.Event().wait()
        frames = iter(mien.CameraSource("/dev/null", open_=shots))
        next(frames)
        print("end")
        """
    done = script(code, tmp_path)
    assert (done.returncode, done.stdout) == (0, b"end\n"), done.stderr


@pytest.mark.slow
@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_keeps_what_is_done(
    number: signal.Signals, inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    command = [*CLI, "analyze", inputs[1], "--json", "-o", "t.parquet", "--annotate", "a.mp4"]
    with subprocess.Popen(
        [*map(str, command)], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        running.send_signal(number)
        running.send_signal(number) if number != signal.SIGINT else None
        _, errors = running.communicate(timeout=300)
    assert errors.endswith(b"mien: stopped; what was written is kept.\n")
    assert b"Traceback" not in errors
    assert running.returncode == 130
    count = len([*Results.load(tmp_path / "t.parquet.partial")])
    assert 1 <= count < 400
    with av.open(str(tmp_path / "a.partial.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) >= 1
    assert not [p.name for p in tmp_path.iterdir() if p.name.endswith(".new")]


@linux
@pytest.mark.parametrize("presses", [1, 2])
def test_a_result_is_written_whole_before_a_signal_counts(presses: int, tmp_path: Path) -> None:
    code = f"""
        import os, signal
        from mien.cli.signals import interrupt_on_signals, uninterrupted
        interrupt_on_signals()
        try:
            with uninterrupted():
                for _ in range({presses}):
                    os.kill(os.getpid(), signal.SIGINT)
                print("written")
            print("after")
        except KeyboardInterrupt:
            print("stopped")
        """
    done = script(code, tmp_path)
    assert done.stdout.split() == ([b"written"] if presses == 1 else []) + [b"stopped"]


@linux
def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path, photo: Path) -> None:
    code = "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    code += "from mien.cli import main; from mien.cli import signals; import sys; "
    code += "sys.argv = ['mien', '--version']; signals.os.kill(os.getpid(), signal.SIGHUP); main()"
    assert script(code, tmp_path).returncode == 0


@pytest.mark.slow
@linux
@pytest.mark.parametrize("module", ["typer", "mien.cli.commands", "numpy", "onnxruntime", "av"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_while_mien_is_loading_is_no_traceback(
    module: str, name: str, inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent(
            f"""
            import os, signal, sys
            class Finder:
                @staticmethod
                def find_spec(name, path=None, target=None):
                    if name == {module!r}:
                        os.kill(os.getpid(), signal.{name})
            sys.meta_path.insert(0, Finder)
            """
        )
    )
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [*CLI, "analyze", str(inputs[1])],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr in (b"", b"mien: stopped; what was written is kept.\n")


ODD = ["participant_012_session_03_baseline.jpg", "日本語の名前.jpg", "caf\u00e9 😀.jpg"]
ENCODINGS = ["ascii", "latin-1", "cp437", "cp1252", "utf-16"]


def speak(encoding: str, *arguments: object, folder: Path, redirect: str = "") -> Done:
    """Run the command where standard output has an encoding, or is redirected by the shell."""
    command = ["sh", "-c", f'exec "$@" {redirect}', "sh", *CLI, *map(str, arguments)]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    photo = Path(__file__).parents[1] / "src" / "mien" / "assets" / "astronaut.jpg"
    for name in ODD:
        shutil.copy(photo, folder / name)
    film = [
        frame_result(i / 10, {1: mostly("happiness")}, index=i, source=ODD[1]) for i in range(9)
    ]
    save_table(film, folder / "t.parquet")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_gets_its_table(encoding: str, odd: Path) -> None:
    done = speak(encoding, "analyze", *ODD, folder=odd)
    assert done.returncode == 0, done.stderr.decode(encoding)
    rows = done.stdout.decode(encoding).splitlines()[1:4]
    assert ["happiness" in row.split() for row in rows] == [True] * 3
    assert len({row.index("happiness") for row in rows} if encoding != "utf-16" else {0}) == 1
    for command in (["view", "t.parquet"], ["people", *ODD], ["models"], ["--help"]):
        done = speak(encoding, *command, folder=odd)
        assert done.returncode == 0, done.stderr.decode(encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_is_exact_in_every_encoding(encoding: str, odd: Path) -> None:
    done = speak(encoding, "analyze", *ODD, "--json", folder=odd)
    lines = done.stdout.decode(encoding).splitlines()
    assert [json.loads(line)["source"] for line in lines] == ODD


@linux
def test_names_are_found_in_a_locale_that_is_not_utf8(odd: Path, tmp_path: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for code, *arguments in (
        (0, "analyze", odd / ODD[1], "-o", tmp_path / "é.parquet"),
        (0, "export", tmp_path / "é.parquet", "-o", tmp_path / "é.csv"),
        (3, "summarize", odd / "t.parquet", "-o", tmp_path / "sümm"),  # its video is not there
    ):
        done = subprocess.run(
            [*CLI, *map(str, arguments)], env=os.environ | plain, capture_output=True, check=False
        )
        assert done.returncode == code, done.stderr
        assert b"bug" not in done.stderr
    assert {p.name for p in tmp_path.iterdir()} >= {"é.parquet", "é.csv", "sümm"}


@linux
@pytest.mark.parametrize(
    ("redirect", "code"),
    [
        (">&-", 0),
        ("2>&-", 0),
        ("<&-", 0),
        ("<&- >&- 2>&-", 0),
        (">/dev/full", 2),
        ("2>/dev/full", 0),
    ],
)
def test_closed_and_full_streams(redirect: str, code: int, odd: Path) -> None:
    done = speak("utf-8", "analyze", ODD[0], folder=odd, redirect=redirect)
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    if code:
        assert done.stderr.splitlines()[-1] == b"mien: stdout: No space left on device."


@linux
def test_a_closed_standard_input_is_an_input_that_cannot_be_read(odd: Path) -> None:
    done = speak("utf-8", "analyze", "-", folder=odd, redirect="<&-")
    assert done.returncode == 3
    assert b"empty" in done.stderr


@linux
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_reader_that_leaves_is_no_error(more: list[str], odd: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*CLI, "analyze", str(odd / ODD[0]), *more], stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_what_should_not_happen_is_one_sentence() -> None:
    import typer
    from typer.testing import CliRunner

    from mien.cli.exit_codes import BROKEN, with_exit_code

    problems: list[Exception] = [EOFError("of a codec"), KeyError("of a table")]

    def fail() -> None:
        raise problems.pop(0)

    app = typer.Typer()
    app.command()(with_exit_code(fail))
    done = CliRunner().invoke(app)
    assert done.exit_code == BROKEN
    assert done.stderr.startswith("mien: this is a bug of mien: EOFError: of a codec; ")
    assert isinstance(CliRunner().invoke(app, ["--verbose"]).exception, KeyError)
