"""Recorded videos on a web server are read to their end; only live streams are live."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import pandas as pd
import pytest
from helpers.command import run_mien
from helpers.server import Handler, serving
from helpers.videos import Style, number_of, numbered_image, outcome, write_video

from mien.errors import VideoError
from mien.media.frame_reader import FrameReader
from mien.media.inputs import Inputs, VideoOptions, is_live
from mien.media.video import VideoSource

FRAMES = 30


@pytest.fixture
def server() -> Iterator[tuple[type[Handler], str]]:
    with serving() as running:
        yield running


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_every_frame_is_read(
    suffix: str, ranges: bool, server: tuple[type[Handler], str], tmp_path: Path
) -> None:
    handler, url = server
    video = write_video(tmp_path / f"a{suffix}", frames=FRAMES)
    handler.others, handler.ranges = {f"a{suffix}": video.read_bytes()}, ranges
    (item,) = Inputs([f"{url}a{suffix}"])
    assert (item.kind, item.name) == ("video", f"{url}a{suffix}")
    assert not is_live(item.place)
    frames, local = list(item.frames()), list(VideoSource(video))
    assert [outcome(frame) for frame in frames] == list(range(FRAMES))
    assert [f.time_s for f in frames] == pytest.approx([f.time_s for f in local])
    some = list(item.frames(VideoOptions(start=1.0, every=5)))
    assert [outcome(frame) for frame in some] == [10, 15, 20, 25]
    assert outcome(some[1]) == 15  # decoded again
    assert number_of(FrameReader(tmp_path)(item.place, 2.0, None)) == 20


def test_a_lost_connection_is_taken_up_or_reported(
    server: tuple[type[Handler], str], tmp_path: Path
) -> None:
    handler, url = server
    noise = write_video(tmp_path / "a.ts", frames=FRAMES, size=(640, 480)).read_bytes()
    handler.others = {"a.ts": noise}
    assert not is_live(f"{url}a.ts")
    handler.cuts = 1
    assert [outcome(frame) for frame in VideoSource(f"{url}a.ts")] == list(range(FRAMES))
    source = VideoSource(f"{url}a.ts")
    handler.cuts = 1000
    *some, last = map(outcome, source)
    assert 0 < len(some) < FRAMES
    assert "a.ts breaks off at" in str(last)


def test_addresses_hide_passwords_and_say_what_is_wrong(
    server: tuple[type[Handler], str], tmp_path: Path
) -> None:
    handler, url = server
    handler.others = {"a.mp4": write_video(tmp_path / "a.mp4").read_bytes()}
    source = VideoSource(url.replace("://", "://me:secret@") + "a.mp4")
    assert source.name == url.replace("://", "://me:***@") + "a.mp4"
    assert {frame.source for frame in source} == {source.name}
    with pytest.raises(VideoError, match=r"missing\.onnx cannot be opened: .*check the address"):
        VideoSource(f"{url}missing.onnx")


def test_the_command_continues_and_keeps_the_sound(
    server: tuple[type[Handler], str], tmp_path: Path
) -> None:
    handler, url = server
    still = [numbered_image(1)] * FRAMES
    video = write_video(tmp_path / "a.mp4", still, style=Style(audio=True))
    handler.others = {"a.mp4": video.read_bytes()}
    table, drawn_path = tmp_path / "t.csv", tmp_path / "drawn.mp4"
    command = ("analyze", f"{url}a.mp4", "-o", table, "--fps", "5", "--annotate", drawn_path)
    done = run_mien(*command)
    assert done.returncode == 0, done.stderr
    images = pd.read_csv(tmp_path / "t.images.csv")
    assert (len(images), set(images["status"])) == (FRAMES // 2, {"ok"})
    with av.open(str(drawn_path)) as drawn:
        assert drawn.streams.audio
    asked = len(handler.asked)
    again = run_mien(*command)
    assert b"1 input was finished before" in again.stderr
    assert again.returncode == 0
    assert len(handler.asked) == asked + 1  # what it is, not what it shows
