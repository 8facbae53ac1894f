"""No output replaces what a user has."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.command import mien
from helpers.results import Run, frame_result, mostly
from helpers.videos import write_video

from mien.errors import UsageError
from mien.files import SIGNATURE, check_output, hidden, replacing, signed, write_text
from mien.labels import EMOTIONS
from mien.media.images import write_image
from mien.results.collection import Results
from mien.results.files import SUFFIXES, AnalysisFiles
from mien.results.settings import RunSettings
from mien.results.tables import IMAGE_DTYPES, TableWriter, write_table
from mien.sinks.checkpoint import Checkpoint, Plan
from mien.sinks.gif import GifSink
from mien.sinks.images import AnnotatedNames
from mien.sinks.tables import TableSink
from mien.sinks.video import VideoSink
from mien.timeline.timeline import Timeline

IMAGE = np.zeros((48, 64, 3), np.uint8)

X = Run(EMOTIONS, RunSettings(detector="x"))


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "video.mp4", frames=3)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The analysis of a video, as `mien analyze` would write it."""
    results = [
        replace(frame_result(i / 10, {1: mostly("happiness")}, index=i), settings=X.settings)
        for i in range(20)
    ]
    return Timeline.from_results(results, keep_faces=False).save(tmp_path / "table.parquet")


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize("link", [None, os.symlink, os.link])
@pytest.mark.parametrize("command", [("analyze", "--annotate"), ("watch", "--record")])
def test_no_output_is_an_input(
    video: Path, command: tuple[str, str], link: Callable[..., None] | None, overwrite: list[str]
) -> None:
    target, before = video, video.read_bytes()
    if link is not None:
        target = video.with_name("link.mp4")
        link(video, target)
    done = mien(command[0], video, command[1], target, *overwrite)
    assert done.exit_code == 2
    assert f"{target} is an input, which is never replaced" in " ".join(done.output.split())
    assert video.read_bytes() == before


def test_a_video_in_an_annotated_folder_is_an_input_too(video: Path) -> None:
    with (
        pytest.raises(UsageError, match="is an input"),
        VideoSink(video, overwrite=True) as sink,
    ):
        sink.write(frame_result(0.0, source=str(video)))
    assert not hidden(video).exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_of_the_users_stays(photo: Path, tmp_path: Path, suffix: str) -> None:
    mine = pd.DataFrame({"participant": ["P01"], "age": [31]})
    path = write_table(mine, tmp_path / f"participants{suffix}")
    before = path.read_bytes()
    done = mien("analyze", photo, "-o", path)
    assert (done.exit_code, path.read_bytes()) == (2, before)
    assert "no analysis by mien" in done.output
    assert "--overwrite" in done.output
    with pytest.raises(UsageError, match="columns that would be lost"):
        Results([frame_result(None, source="a.jpg")]).save(path)
    assert path.read_bytes() == before
    assert mien("analyze", photo, "-o", path, "--overwrite").exit_code == 0
    assert len(Results.load(path)) == 1


@pytest.mark.parametrize("name", ["mine.vtt", "mine.svg", "mine.html", "mine.csv"])
def test_exports_replace_mien_files_only(table: Path, name: str) -> None:
    path = table.with_name(name)
    path.write_text("what,I\nwrote,myself\n", encoding="utf-8")
    before, command = path.read_bytes(), "report" if name.endswith("html") else "export"
    done = mien(command, table, "-o", path)
    assert (done.exit_code, path.read_bytes()) == (2, before)
    assert "--overwrite" in done.output
    assert mien(command, table, "-o", path, "--overwrite").exit_code == 0
    assert path.read_bytes() != before
    assert mien(command, table, "-o", path).exit_code == 0  # what mien wrote is replaced


def test_a_report_beside_the_table_asks_first(table: Path) -> None:
    page = table.with_suffix(".html")
    page.write_text("my notes", encoding="utf-8")
    assert mien("report", table).exit_code == 2
    assert page.read_text("utf-8") == "my notes"


def test_a_summary_leaves_pages_and_tables_of_others(table: Path, video: Path) -> None:
    folder = table.parent
    (folder / "index.html").write_text("my site", encoding="utf-8")
    assert mien("summarize", table, "-o", folder).exit_code == 2
    assert (folder / "index.html").read_text("utf-8") == "my site"
    (folder / "index.html").unlink()
    richer = table.rename(folder / "video.parquet")
    AnalysisFiles(table).images.rename(AnalysisFiles(richer).images)
    before = richer.read_bytes()
    done = mien("summarize", video, "-o", folder)
    assert (done.exit_code, richer.read_bytes()) == (2, before)
    assert "video.parquet was made with another" in done.output


def test_a_summary_made_again_reads_its_own_table(video: Path, tmp_path: Path) -> None:
    for _ in range(2):
        done = mien("summarize", video, "-o", tmp_path / "summary", "--detector", "haar")
        assert done.exit_code == 0, done.output
    assert "has the faces of" in done.output


def test_python_asks_for_overwrite_too(tmp_path: Path) -> None:
    result = frame_result(0.0, {1: mostly("anger")}, source="video.mp4")
    timeline = Timeline.from_results([result])
    for name in ("video.json", "a.jpg", "a.png", "a.gif", "a.mp4", "a.svg", "a.vtt", "a.eaf"):
        (tmp_path / name).write_text('{"shapes": [1]}', encoding="utf-8")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def write_all(overwrite: bool) -> list[Callable[[], object]]:
        def into(sink: GifSink | VideoSink) -> None:
            with sink:
                sink.write(result)

        return [
            lambda: result.save(tmp_path, overwrite=overwrite),
            lambda: write_image(tmp_path / "a.jpg", IMAGE, overwrite=overwrite),
            lambda: write_image(tmp_path / "a.png", IMAGE, overwrite=overwrite),
            lambda: into(GifSink(tmp_path / "a.gif", overwrite=overwrite)),
            lambda: into(VideoSink(tmp_path / "a.mp4", overwrite=overwrite)),
            lambda: timeline.plot().save(tmp_path / "a.svg", overwrite=overwrite),
            lambda: timeline.export(tmp_path / "a.vtt", overwrite=overwrite),
            lambda: timeline.export(tmp_path / "a.eaf", overwrite=overwrite),
        ]

    for write in write_all(overwrite=False):
        with pytest.raises(UsageError, match="exists and was not written by mien"):
            write()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    for write in (*write_all(overwrite=True), *write_all(overwrite=False)):
        write()  # and then what mien wrote is replaced
    assert all(p.read_bytes() != before[p.name] for p in tmp_path.iterdir() if p.name in before)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_images_say_what_wrote_them(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / name, IMAGE)
    assert signed(tmp_path / name)


def test_a_table_with_other_inputs_stays(photo: Path, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(photo, tmp_path / name)
    table = tmp_path / "t.csv"
    assert mien("analyze", tmp_path / "a.jpg", tmp_path / "b.jpg", "-o", table).exit_code == 0
    before = table.read_bytes()
    for arguments, words in (
        ([tmp_path / "a.jpg"], "also holds"),
        ([tmp_path / "a.jpg", tmp_path / "b.jpg", "--detector", "haar"], "another detector"),
        ([tmp_path / "a.jpg", tmp_path / "b.jpg", "--affect"], "made with another derived"),
    ):
        done = mien("analyze", *arguments, "-o", table)
        assert done.exit_code == 2
        assert words in " ".join(done.output.split())
    (tmp_path / "b.jpg").unlink()
    done = mien("analyze", tmp_path, "-o", table)
    assert done.exit_code == 2
    assert "which no longer exists" in done.output
    assert table.read_bytes() == before


def test_the_same_command_again_does_only_what_is_new(photo: Path, tmp_path: Path) -> None:
    folder, table = tmp_path / "photos", tmp_path / "t.parquet"
    folder.mkdir()
    for name in ("a.jpg", "c.jpg"):
        shutil.copy(photo, folder / name)
    (folder / "b.jpg").write_bytes(b"no image")
    assert mien("analyze", folder, "-o", table).exit_code == 3
    before = table.read_bytes()
    done = mien("analyze", folder, "-o", table)
    assert (done.exit_code, table.read_bytes()) == (3, before)
    assert "3 inputs were finished before" in done.output
    shutil.copy(photo, folder / "d.jpg")
    done = mien("analyze", folder, "-o", table)
    assert done.exit_code == 3
    assert "1 image, 1 face" in done.output
    sources = [Path(result.source).name for result in Results.load(table)]
    assert sources == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    shutil.copy(photo, folder / "b.jpg")  # mended: it and those behind it are read again
    done = mien("analyze", folder, "-o", table)
    assert done.exit_code == 0
    assert "1 input was finished before" in done.output
    assert [len(result) for result in Results.load(table)] == [1, 1, 1, 1]


def test_files_beside_a_table_are_not_deleted(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    plan = Plan(X.settings, (), ["film.mp4"], {"peaks"})
    with TableSink(path, X, keep_faces=True, checkpoint=Checkpoint(path, plan)) as sink:
        sink.write(frame_result(0.0, {1: mostly("anger")}))
    peaks = AnalysisFiles(path).peaks
    assert peaks.is_file()
    columns = list(pd.read_parquet(path).columns)
    (tmp_path / "film.mp4").touch()
    with pytest.raises(UsageError, match="which no longer exists"):
        Checkpoint(path, Plan(X.settings, columns, ["film.mp4"]))
    with pytest.raises(UsageError, match=r"t\.parquet exists"):
        TableSink(path, Run(EMOTIONS))
    assert peaks.is_file()


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
def test_text_tables_keep_their_settings(tmp_path: Path, suffix: str) -> None:
    timeline = Timeline.from_results(
        frame_result(i / 10, {1: mostly("anger")}, index=i) for i in range(3)
    )
    saved = timeline.smooth(0.5)
    path = saved.save(tmp_path / f"t{suffix}")
    assert Timeline.load(path).settings == saved.settings
    assert json.loads((tmp_path / f"t{suffix}.settings.json").read_text("utf-8"))["smooth_s"]
    (tmp_path / f"t{suffix}.settings.json").unlink()
    assert Timeline.load(path).labels == EMOTIONS  # as of older tables


def test_fit_is_logical_for_r(tmp_path: Path) -> None:
    path = Results([frame_result(None, {1: mostly("anger")})]).save(tmp_path / "t.csv")
    cells = pd.read_csv(path, dtype=str)["fit"].unique().tolist()
    assert cells in (["TRUE"], ["FALSE"])
    old = path.read_text("utf-8").replace("TRUE", "True").replace("FALSE", "False")
    fits = [bool(result.quality.fit[0]) for result in Results.load(path)]
    path.write_text(old, encoding="utf-8")
    assert [bool(result.quality.fit[0]) for result in Results.load(path)] == fits


def test_videos_of_one_name_get_numbers(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_video(tmp_path / name / "1.mp4", frames=2)
    videos = [tmp_path / "a/1.mp4", tmp_path / "b/1.mp4"]
    assert (
        mien("analyze", *videos, "--annotate", tmp_path / "out", "--detector", "haar").exit_code
        == 0
    )
    made = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert made == ["1-2.annotated.mp4", "1.annotated.mp4"]


def test_copies_lie_in_the_folders_of_their_originals(tmp_path: Path) -> None:
    names = AnnotatedNames(tmp_path / "out", [str(tmp_path / "in"), str(tmp_path / "x*" / "*.png")])
    (tmp_path / "out").mkdir()
    (tmp_path / "out/c.annotated.jpg").write_bytes(b"somebody else's")
    found = [
        names.name(str(tmp_path / source), ".jpg").relative_to(tmp_path / "out").as_posix()
        for source in ("in/p.jpg", "in/a/p.jpg", "in/a/p.png", "x1/p.png", "c.jpg")
    ]
    assert found == [
        "p.annotated.jpg",
        "a/p.annotated.jpg",
        "a/p-2.annotated.jpg",
        "x1/p.annotated.jpg",
        "c-2.annotated.jpg",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights that a user lacks")
def test_links_at_the_names_of_unfinished_files_are_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious", encoding="utf-8")
    (tmp_path / "t.csv.partial").symlink_to(victim)
    with pytest.raises(UsageError, match=r"t\.csv cannot be written"):
        TableWriter(tmp_path / "t.csv", IMAGE_DTYPES).__enter__()
    hidden(tmp_path / "page.html").symlink_to(victim)
    with pytest.raises(UsageError, match=r"page\.html cannot be written"):
        write_text(tmp_path / "page.html", "text")
    assert victim.read_text("utf-8") == "precious"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no locks of this kind")
def test_two_runs_with_one_name_do_not_mix(tmp_path: Path) -> None:
    plan = Plan(RunSettings(), (), ["film.mp4"], {"embeddings"})
    with TableWriter(tmp_path / "t.csv", IMAGE_DTYPES):
        with pytest.raises(UsageError, match=r"t\.csv is being written by another run"):
            Checkpoint(tmp_path / "t.csv", plan)
        with pytest.raises(UsageError, match=r"would replace those of t\.csv"):
            Checkpoint(tmp_path / "t.parquet", plan)
    with replacing(tmp_path / "page.html") as temporary:
        temporary.write_text("first", encoding="utf-8")
        with pytest.raises(UsageError, match=r"page\.html is being written by another run"):
            write_text(tmp_path / "page.html", "second")
    assert (tmp_path / "page.html").read_text("utf-8") == "first"


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    hidden(tmp_path / "a.html").write_text("half a pa", encoding="utf-8")
    write_text(tmp_path / "a.html", "whole")
    assert (tmp_path / "a.html").read_text("utf-8") == f"whole<!-- {SIGNATURE} -->\n"
    assert [p.name for p in tmp_path.iterdir()] == ["a.html"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not let an open file go")
def test_a_removed_folder_is_noticed_at_the_next_write(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    sink = TableSink(tmp_path / "out/t.csv", Run(EMOTIONS))
    sink.write(frame_result(0.0))
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(UsageError, match=r"t\.images\.csv\.partial was removed meanwhile"):
        sink.__exit__(None, None, None)
    (tmp_path / "out").mkdir()
    film = VideoSink(tmp_path / "out/a.mp4").__enter__()
    film.write(frame_result(0.0))
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(UsageError, match="its folder was removed"):
        film.write(frame_result(0.1))
    with pytest.raises(UsageError, match="cannot be written"):
        film.__exit__(None, None, None)


def test_checks_are_distinguished(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        check_output(tmp_path / "none/a.html")
    with pytest.raises(UsageError, match="it is a folder"):
        check_output(tmp_path)
    (tmp_path / "empty.html").touch()
    with pytest.raises(UsageError, match="not written by mien"):
        check_output(tmp_path / "empty.html")


def test_an_unfinished_table_says_how_to_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "t.csv"
    sink = TableSink(path, X).__enter__()
    sink.write(frame_result(0.0, {1: mostly("anger")}))
    sink.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert not path.exists()
    assert sink.unfinished == tmp_path / "t.csv.partial"
    with caplog.at_level(logging.ERROR):
        assert mien("export", sink.unfinished, "-o", tmp_path / "rescued.csv").exit_code == 0
    assert pd.read_csv(tmp_path / "rescued.csv")["emotion"].tolist() == ["anger"]
    assert mien("export", path, "-o", tmp_path / "too.parquet").exit_code == 0
    assert len(pd.read_parquet(tmp_path / "too.parquet")) == 1
