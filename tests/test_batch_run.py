"""Batches: the same rows as of one run, continued where they were stopped, never mixed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.batches import equal, merged, photos, run, tables
from helpers.command import run_mien
from helpers.s3 import s3_server
from helpers.videos import write_video

from mien import EmotionAnalyzer, TableSink, read_image, stores
from mien.batch import BatchFolder, BatchOptions, Status, begin, manifest, merge, read_batch
from mien.batch.run import share_of, task_of_environment
from mien.batch.shard import ShardRun
from mien.errors import InputError, UsageError
from mien.media.inputs import Input


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "IMAGES", 4)
    monkeypatch.setattr(manifest, "SECONDS", 1.0)


@pytest.fixture
def inputs(tmp_path: Path, photo: Path, small_shards: None) -> Path:
    """Ten photos, a broken one, and two videos, in six shards."""
    folder = photos(tmp_path / "in", photo, 10)
    (folder / "broken.jpg").write_bytes(b"hello")
    (folder / "v").mkdir()
    write_video(folder / "v/a.mp4", frames=20)
    write_video(folder / "v/b.mp4", frames=5)
    return folder


def test_the_rows_are_those_of_one_run(inputs: Path, tmp_path: Path) -> None:
    status = run(tmp_path / "out", inputs, workers=2)
    assert len(status.done) == status.shards == 5
    assert (status.total("images"), status.total("frames"), status.total("faces")) == (10, 25, 10)
    assert status.total("failed") == 1
    assert [name for name, _ in status.errors()] == [str(inputs / "broken.jpg")]
    analyzer = EmotionAnalyzer()
    analyzer.run(str(inputs), TableSink(tmp_path / "t.parquet", analyzer))
    equal(merged(tmp_path / "out", tmp_path / "m.parquet"), tables(tmp_path / "t.parquet"))
    # and it is an analysis like any other
    assert run_mien("export", tmp_path / "m.parquet", "-o", tmp_path / "m.csv").returncode == 0


def test_a_second_call_does_what_is_missing(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(out, inputs, shards=[3, 1])
    assert Status.of(*read_batch(str(out))).missing == [0, 2, 4]
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="3 of 5 shards are not done"):
        merge(*read_batch(str(out)), tmp_path / "t.parquet")
    merge(*read_batch(str(out)), tmp_path / "t.parquet", partly=True)
    assert not run(out, inputs).missing
    merge(*read_batch(str(out)), tmp_path / "t.parquet")  # that of fewer shards is replaced
    shutil.copy(tmp_path / "t.parquet", tmp_path / "other.parquet")
    other = pd.read_parquet(tmp_path / "other.parquet").assign(source="another.jpg")
    other.to_parquet(tmp_path / "other.parquet")
    with pytest.raises(UsageError, match=r"has rows of another\.jpg that would be lost"):
        merge(*read_batch(str(out)), tmp_path / "other.parquet")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    run(tmp_path / "whole", inputs)
    equal(merged(out, tmp_path / "a.parquet"), merged(tmp_path / "whole", tmp_path / "b.parquet"))


def test_other_settings_or_inputs_are_refused(inputs: Path, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(out, inputs, shards=[0])
    for options, word in (
        (BatchOptions(fps=2), "frames"),
        (BatchOptions(without=("contempt",)), "without"),
        (BatchOptions(also=("affect",)), "derived"),
    ):
        with pytest.raises(UsageError, match=f"begun with another {word}"):
            run(out, inputs, options=options)
    shutil.copy(photo, inputs / "new.jpg")
    with pytest.raises(UsageError, match=r"begun with other inputs \(13, now 14\)"):
        run(out, inputs)
    (inputs / "new.jpg").unlink()
    assert not run(out, inputs).missing


def test_nothing_of_the_user_s_is_in_the_way(photo: Path, tmp_path: Path) -> None:
    photos(tmp_path / "in", photo, 1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="files that are not of a batch"):
        run(tmp_path / "mine", tmp_path / "in")
    with pytest.raises(UsageError, match="is a file"):
        run(tmp_path / "mine" / "notes.txt", tmp_path / "in")
    (tmp_path / "none.txt").touch()
    with pytest.raises(InputError, match="no images or videos among the inputs"):
        run(tmp_path / "out", tmp_path / "none.txt")
    status = run(tmp_path / "out", tmp_path / "mine")  # as of `mien analyze`, a row says why
    assert "holds no images or videos" in dict(status.errors())[str(tmp_path / "mine")]
    with pytest.raises(UsageError, match="not the folder of a batch"):
        read_batch(str(tmp_path / "mine"))
    (tmp_path / "out" / "batch.json").write_text("{}")
    with pytest.raises(UsageError, match="damaged or of another version"):
        read_batch(str(tmp_path / "out"))
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"


def test_only_an_unfinished_beginning_is_taken_over(photo: Path, tmp_path: Path) -> None:
    """Records without a plan are of nobody knows which inputs; a folder "images" is the user's."""
    photos(tmp_path / "in", photo, 1)
    out = tmp_path / "out"
    run(out, tmp_path / "in")
    (out / "batch.json").unlink()
    with pytest.raises(UsageError, match="files that are not of a batch"):
        run(out, tmp_path / "in")
    photos(tmp_path / "data" / "images", photo, 1)
    with pytest.raises(UsageError, match="files that are not of a batch"):
        run(tmp_path / "data", tmp_path / "data" / "images")
    begun = tmp_path / "begun"  # as a run leaves it that is killed between its two files
    begun.mkdir()
    shutil.copy(out / "manifest.parquet", begun)
    assert not run(begun, tmp_path / "in").missing


def test_merging_destroys_no_other_analysis(photo: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", [read_image(photo)] * 10)
    out, target = tmp_path / "out", tmp_path / "t.parquet"
    run(out, tmp_path / "v.mp4", options=BatchOptions(fps=5))
    partial = target.with_name("t.parquet.partial")
    partial.write_bytes(b"hours of work")
    with pytest.raises(UsageError, match="of a run that was stopped"):
        merge(*read_batch(str(out)), target)
    assert (partial.read_bytes(), target.exists()) == (b"hours of work", False)
    partial.unlink()
    analyzer = EmotionAnalyzer()
    analyzer.run(str(tmp_path / "v.mp4"), TableSink(target, analyzer))  # every frame
    with pytest.raises(UsageError, match="5 more rows, to be lost"):
        merge(*read_batch(str(out)), target)
    assert len(pd.read_parquet(target)) == 10
    assert merge(*read_batch(str(out)), target, overwrite=True)
    assert len(pd.read_parquet(target)) == 5


def test_a_task_begins_with_the_same_inputs(inputs: Path, tmp_path: Path) -> None:
    """Tasks do not list everything again, but their arguments must be those of the batch."""
    run(tmp_path / "out", inputs, shards=[])
    folder = BatchFolder(tmp_path / "out")
    assert begin(folder, [os.path.relpath(inputs)], BatchOptions(), check=False)[0].count == 13
    with pytest.raises(UsageError, match=r"was begun with .*in: give the same inputs"):
        begin(folder, [str(tmp_path / "elsewhere")], BatchOptions(), check=False)


def test_a_limit_that_was_too_low_is_raised(photo: Path, tmp_path: Path) -> None:
    photos(tmp_path / "in", photo, 1)
    command = ("batch", tmp_path / "in", "-o", tmp_path / "out", "--workers", "1")
    assert run_mien(*command, "--max-pixels", "1000").returncode == 3
    done = run_mien(*command, "--max-pixels", "10000000", "--retry-failed")
    assert (done.returncode, done.stderr.decode()) == (0, done.stderr.decode())
    assert Status.of(*read_batch(str(tmp_path / "out"))).total("failed") == 0


def test_names_need_not_be_utf_8(photo: Path, tmp_path: Path) -> None:
    photos(tmp_path / "in", photo, 1)
    os.rename(tmp_path / "in" / "0.jpg", os.fsencode(tmp_path / "in") + b"/Jos\xe9.jpg")
    with tarfile.open(tmp_path / "t.tar", "w", encoding="latin-1") as file:
        file.add(photo, "Jos\xe9.jpg")
    status = run(tmp_path / "out", tmp_path / "in", tmp_path / "t.tar")
    assert (status.total("images"), status.total("failed")) == (2, 0)


def test_a_stretch_that_cannot_be_read_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"STRETCH_S": 4.0, "OVERLAP_S": 2.0, "SECONDS": 2.0}.items():
        monkeypatch.setattr(manifest, name, value)
    write_video(tmp_path / "v.mp4", [np.full((64, 64, 3), 128, np.uint8)] * 120)
    run(tmp_path / "out", tmp_path / "v.mp4", shards=[0])
    (tmp_path / "v.mp4").rename(tmp_path / "away.mp4")
    folder, plan = read_batch(str(tmp_path / "out"))
    shard = ShardRun(folder, plan.options)
    with folder.local("manifest.parquet") as path:
        known = manifest.Manifest(path)
    for number in (1, 2):
        shard(number, known.items(number))
    assert Status.of(folder, plan).total("failed") == 2


def test_failed_inputs_are_tried_again(inputs: Path, photo: Path, tmp_path: Path) -> None:
    out, call = tmp_path / "out", ["batch", inputs, "-o", tmp_path / "out"]
    ran = run_mien(*call)
    assert ran.returncode == 3
    assert b"broken.jpg is a text file" in ran.stderr
    assert b"--retry-failed" in ran.stderr
    shutil.copy(photo, inputs / "broken.jpg")
    assert run_mien(*call).returncode == 3  # it is done, and says what failed
    assert run_mien(*call, "--retry-failed").returncode == 0
    _, images = merged(out, tmp_path / "t.parquet")
    assert set(images["status"]) == {"ok"}
    status = run_mien("batch", "status", out)
    assert status.stdout.startswith(b"1 of 1 shards done: 11 images, 25 frames, 11 faces")


def test_tasks_share_the_shards(inputs: Path, tmp_path: Path) -> None:
    whole, shared = tmp_path / "whole", tmp_path / "shared"
    run(whole, inputs)
    folder = BatchFolder(shared)
    plan, _ = begin(folder, [str(inputs)], BatchOptions())
    parts = [share_of(number, 3, plan) for number in (3, 1, 2)]
    assert sorted(number for part in parts for number in part) == list(range(plan.shards))
    for part in parts:
        run(shared, inputs, shards=part)
    run(shared, inputs, shards=parts[0])  # again, as two tasks of one number would
    equal(merged(whole, tmp_path / "a.parquet"), merged(shared, tmp_path / "b.parquet"))
    with pytest.raises(UsageError, match="must be 1/3 to 3/3, got 4/3"):
        share_of(4, 3, plan)


@pytest.mark.parametrize(
    ("environment", "task"),
    [
        ({}, None),
        ({"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "7"}, (1, 7)),
        (
            {
                "SLURM_ARRAY_TASK_ID": "9",
                "SLURM_ARRAY_TASK_COUNT": "5",
                "SLURM_ARRAY_TASK_MIN": "1",
                "SLURM_ARRAY_TASK_STEP": "2",
            },
            (5, 5),
        ),
        ({"JOB_COMPLETION_INDEX": "3", "JOB_COMPLETIONS": "4"}, (4, 4)),
        ({"JOB_COMPLETION_INDEX": "3"}, None),
    ],
)
def test_the_number_of_a_task_comes_from_the_scheduler(
    environment: dict[str, str], task: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name.startswith(("SLURM_", "JOB_")):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert task_of_environment() == task
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "x")
    with pytest.raises(UsageError, match="no usable number"):
        task_of_environment()


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on(photo: Path, tmp_path: Path) -> None:
    folder = photos(tmp_path / "in", photo, 1200)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "mien", "batch", str(folder), "-o", str(out)]
    for wanted in (1, 2):
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list(out.glob("done/*.json"))) < wanted:
            time.sleep(0.05)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    _, images = merged(out, tmp_path / "t.parquet")
    names = [str(folder / f"{number}.jpg") for number in range(1200)]
    assert images["source"].tolist() == names
    assert (images["n_faces"] == 1).all()


def test_a_batch_in_a_store(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stores.open_store.cache_clear()
    with s3_server(monkeypatch) as (front, client):
        client.create_bucket(Bucket="faces")
        for number in range(6):
            client.put_object(Bucket="faces", Key=f"in/{number}.jpg", Body=photo.read_bytes())
        front.share = 0.1
        call = ["batch", "s3://faces/in/", "-o", "s3://faces/out"]
        ran = run_mien(*call)
        assert ran.returncode == 0, ran.stderr
        assert b"1 of 1 shards done: 6 images" in ran.stderr
        assert run_mien(*call).returncode == 0
        faces, images = merged("s3://faces/out", tmp_path / "t.parquet")
        assert images["source"].tolist() == [f"s3://faces/in/{n}.jpg" for n in range(6)]
        assert len(faces) == 6
        with pytest.raises(UsageError, match="files that are not of a batch"):
            run("s3://faces/in", photo)
    stores.open_store.cache_clear()


def test_keys_that_look_like_patterns(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server(monkeypatch) as (_, client):
        client.create_bucket(Bucket="odd")
        for key in ("photo1.jpg", "photo[1].jpg", "photo*.jpg"):
            client.upload_file(str(photo), "odd", f"in/{key}")
        status = run(tmp_path / "out", "s3://odd/in/")
        assert (status.total("images"), status.total("failed")) == (3, 0)
        faces, _ = merged(tmp_path / "out", tmp_path / "m.parquet")
        assert sorted(faces["source"].str.rsplit("/").str[-1]) == [
            "photo*.jpg", "photo1.jpg", "photo[1].jpg",
        ]  # fmt: skip


def test_a_store_that_cannot_be_listed_begins_no_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a folder would be taken for all of it."""
    broken = Input("s3://b/p/", "image", "s3://b/p/", InputError("the store went away."))
    whole = Input("s3://b/p/1.jpg", "image", "s3://b/p/1.jpg")
    monkeypatch.setattr("mien.batch.listing.Inputs", lambda *a, **k: Listed([whole, broken]))
    with pytest.raises(InputError, match="the store went away"):
        run(tmp_path / "out", "s3://b/p/")
    assert not (tmp_path / "out" / "batch.json").exists()


class Listed(list[Input]):
    """As `mien.media.inputs.Inputs`."""

    def summary(self) -> str:
        return ""


def test_full_disks_and_lost_folders_are_one_sentence(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(out, inputs, shards=[0])
    shutil.rmtree(out / "faces")
    (out / "faces").write_text("in the way")
    with pytest.raises(UsageError, match=r"000001\.parquet cannot be written"):
        run(out, inputs, shards=[1])
    (out / "faces").unlink()
    with pytest.raises(InputError, match=r"000000\.parquet cannot be read: .*remove done/000000"):
        merged(out, tmp_path / "t.parquet") if not run(out, inputs).missing else None
    (out / "done" / "000000.json").write_text("{")  # as if it had been cut off
    assert Status.of(*read_batch(str(out))).missing == [0]
    assert not run(out, inputs).missing
    merged(out, tmp_path / "t.parquet")


def test_the_command_says_what_is_wrong(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for arguments, sentence in (
        (["--shard", "3"], b"--shard is a number and a count, such as 3/100, not '3'."),
        (["--shard", "9/3"], b"the shard must be 1/3 to 3/3, got 9/3."),
        (["--detector", "nobody"], b"nobody"),
    ):
        ran = run_mien("batch", inputs, "-o", out, *arguments)
        assert ran.returncode == 2
        assert sentence in ran.stderr
    ran = run_mien("batch", inputs, "-o", tmp_path / "other", "--plan")
    assert b"13 inputs in 1 shards" in ran.stderr
    assert json.loads((tmp_path / "other" / "batch.json").read_text())["count"] == 13
    assert not (tmp_path / "other" / "done").exists()
    assert b"merge" in run_mien("batch", "--help").stdout


@pytest.mark.parametrize("seconds", [2.0, 100.0])  # a shard for each stretch, or one for all
def test_long_videos_are_joined(
    seconds: float, tmp_path: Path, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two people; one leaves and comes back across the border of two stretches."""
    monkeypatch.setattr(manifest, "STRETCH_S", 4.0)
    monkeypatch.setattr(manifest, "OVERLAP_S", 2.0)
    monkeypatch.setattr(manifest, "SECONDS", seconds)
    face = astronaut[20:220, 120:320]
    other = np.ascontiguousarray(face[:, ::-1] // 2 + 60)
    frames = []
    for number in range(120):  # 12 seconds
        image = np.full((240, 640, 3), 128, np.uint8)
        image[20:220, 40 + number // 2 : 240 + number // 2] = face
        if not 36 <= number < 44:
            image[20:220, 400:600] = other
        frames.append(image)
    write_video(tmp_path / "v.mp4", frames)
    status = run(tmp_path / "out", tmp_path / "v.mp4")
    assert status.shards == (3 if seconds < 4 else 1)
    analyzer = EmotionAnalyzer(threads=1)
    analyzer.run(str(tmp_path / "v.mp4"), TableSink(tmp_path / "t.parquet", analyzer))
    faces, images = merged(tmp_path / "out", tmp_path / "m.parquet")
    whole_faces, whole_images = tables(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(images, whole_images)
    keys = ["frame", "track_id"]
    pd.testing.assert_frame_equal(faces[keys], whole_faces[keys])
    assert set(faces["track_id"].dropna()) == {1, 2}
