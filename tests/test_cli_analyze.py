"""The command `analyze`."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from helpers.command import mien, run_mien
from PIL import Image as PilImage

from mien import Results
from mien.cli.exit_codes import extra
from mien.errors import MissingExtraError
from mien.results.files import SUFFIXES


def test_a_batch_with_bad_files_loses_nothing(tmp_path: Path, photo: Path) -> None:
    (tmp_path / "text.jpg").write_text("this is no picture")
    (tmp_path / "empty.png").touch()
    PilImage.new("RGB", (80, 60), "green").save(tmp_path / "meadow.png")
    table = tmp_path / "t.parquet"
    done = mien(
        "analyze", photo, tmp_path, "/nowhere.jpg", "-o", table, "--annotate", tmp_path / "a"
    )
    assert done.exit_code == 3
    assert done.stdout == ""
    errors = done.stderr
    assert "Traceback" not in errors
    assert errors.count("mien: ") == 3
    images = pd.read_parquet(tmp_path / "t.images.parquet")
    assert images["status"].tolist().count("error") == 3
    assert len(images) == 5
    assert images["n_faces"].sum() == 1
    faces = pd.read_parquet(table)
    assert faces["emotion"].tolist() == ["happiness"]
    assert [p.name for p in (tmp_path / "a").iterdir()] != []
    loaded = Results.load(table)
    assert [len(result) for result in loaded] == images["n_faces"].tolist()


def test_a_slip_in_a_path_loses_no_older_table(tmp_path: Path, photo: Path) -> None:
    table = tmp_path / "t.csv"
    done = mien("analyze", "/slip.jpg", "-o", table)  # nothing older: what failed is kept
    assert done.exit_code == 3
    assert f"wrote {table}" in done.stderr
    assert f"{table} stays as it was" in mien("analyze", "/no.jpg", "-o", table).stderr
    assert pd.read_csv(tmp_path / "t.images.csv")["status"].tolist() == ["error"]
    assert mien("analyze", "/nowhere.jpg", photo, "-o", table).exit_code == 3
    before = table.read_bytes(), (tmp_path / "t.images.csv").read_bytes()
    assert pd.read_csv(table)["emotion"].tolist() == ["happiness"]
    assert pd.read_csv(tmp_path / "t.images.csv")["status"].tolist() == ["error", "ok"]
    for slip, code, words in (
        ("/nowhere.jpg", 2, "which is not among the inputs"),
        (tmp_path / "t*.jpg", 2, "which is not among the inputs"),
    ):
        done = mien("analyze", slip, "-o", table)
        assert done.exit_code == code
        assert words in done.stderr
    assert (table.read_bytes(), (tmp_path / "t.images.csv").read_bytes()) == before
    assert not list(tmp_path.glob("*.partial"))


def test_json_is_one_object_an_input(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no")
    done = mien("analyze", photo, tmp_path / "text.jpg", "--json")
    assert done.exit_code == 3
    good, bad = [json.loads(line) for line in done.stdout.splitlines()]
    assert good["faces"][0]["emotion"] == "happiness"
    assert sum(good["faces"][0]["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert bad["status"] == "error"
    assert bad["faces"] == []


def test_an_image_on_standard_input(photo: Path) -> None:
    done = run_mien("analyze", "-", "--json", stdin=photo.read_bytes())
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["faces"]) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["analyze"], 2, "Missing argument"),
        (["analyze", "PHOTO", "-o", "t.xlsx"], 2, ", ".join(SUFFIXES)),
        (["analyze", "PHOTO", "-o", "/nowhere/t.csv"], 2, "no folder /nowhere"),
        (["analyze", "a.mp4", "--annotate", "a.avi"], 2, ".mp4, .m4v, .mov, .mkv"),
        (["analyze", "PHOTO", "--detector", "magic"], 2, "there is no detector 'magic'"),
        (["analyze", "PHOTO", "--detector", "yunet.onnx"], 2, "no detector 'yunet.onnx'"),
        (["analyze", "PHOTO", "--model", "enet_b2_8"], 4, "run: mien models pull enet_b2_8"),
        (["analyze", "PHOTO", "--model", "none.onnx"], 4, "no model file none.onnx"),
        (["analyze", "PHOTO", "--min-score", "7"], 2, "between 0 and 1"),
        (["analyze", "PHOTO", "--without", "joy"], 2, "no label 'joy' to exclude"),
        (["analyze", "/nowhere/*.jpg"], 3, "/nowhere/*.jpg"),
        (["evaluate", "mien-mobilenet", "/nowhere"], 3, "there is nothing at /nowhere"),
        (["train", "none.toml", "--data", "/nowhere"], 3, "there is no recipe none.toml"),
    ],
)
def test_wrong_use_is_one_sentence(
    arguments: list[str], code: int, words: str, photo: Path
) -> None:
    if arguments[0] == "train":
        pytest.importorskip("torch", reason="training needs the extra train")
    done = mien(*[str(photo) if a == "PHOTO" else a for a in arguments])
    text = done.stderr
    assert done.exit_code == code, text
    assert words in " ".join(text.replace("│", " ").split())


def test_models_lists_licence_and_labels() -> None:
    done = mien("models")
    assert done.exit_code == 0
    text = done.stdout
    assert "mien-mobilenet" in text
    assert "MIT" in text
    assert "unclear" in text
    assert "mtcnn" in text


def test_a_reader_that_leaves_early_is_no_error(photo: Path) -> None:
    code = "from mien.cli import main; main()"
    many = [str(photo)] * 40
    command = [sys.executable, "-c", code, "analyze", *many, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read().decode()
        assert process.wait(60) == 0, errors
    assert "Traceback" not in errors


def test_ctrl_c_keeps_what_was_done(photo: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    # Python answers Ctrl-C only where it was not told to ignore it, as jobs in the background are.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from mien.cli import main; main()"
    )
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(200):
        shutil.copy(photo, folder / f"{number}.jpg")
    command = [sys.executable, "-c", code, "analyze", str(folder), "--json", "-o", str(table)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.readline()  # the second line comes after the first row of the table
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        errors = process.stderr.read().decode()
        assert process.wait(60) == 130, errors
    assert "mien: stopped; what was written is kept." in errors
    assert f"mien export {table}.partial -o NAME.csv" in errors
    assert "Traceback" not in errors
    assert not table.exists()
    done = mien("export", f"{table}.partial", "-o", tmp_path / "rescued.csv")
    assert done.exit_code == 0, done.stderr
    assert 0 < len(pd.read_csv(tmp_path / "rescued.csv")) < 200


def test_odd_names_are_data_not_markup(photo: Path, tmp_path: Path) -> None:
    odd = tmp_path / "photo [copy] :smile:.jpg"
    odd.write_bytes(photo.read_bytes())
    latin = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    Path(os.fsdecode(latin)).write_bytes(photo.read_bytes())
    assert "photo [copy] :smile:.jpg" in mien("analyze", odd).stdout
    done = run_mien("analyze", tmp_path, "--json", "-o", tmp_path / "t.parquet")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_the_demo_shows_a_happy_astronaut(tmp_path: Path) -> None:
    done = mien("demo", "-o", tmp_path)
    assert done.exit_code == 0, done.stderr
    assert "happiness" in done.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "astronaut.annotated.jpg",
        "astronaut.heatmap.png",
    ]


def test_without_an_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with (
        pytest.raises(
            MissingExtraError, match=r"pip install torch onnx, or in a clone .*whl/cpu\)\."
        ),
        extra("train"),
    ):
        importlib.import_module("torch")
    with pytest.raises(ImportError), extra("video"):
        importlib.import_module("torch")
