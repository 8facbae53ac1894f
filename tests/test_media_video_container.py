"""The right stream of a container, its true end, and whether all of it is there."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.videos import Style, number_of, numbered_image, truncate, write_video

from mien.errors import UsageError, VideoError
from mien.media import limits
from mien.media.video import VideoSource
from mien.types import Frame, Image


def mux(
    path: Path, *streams: tuple[str, int, int], size: tuple[int, int] = (64, 48), default: int = 0
) -> Path:
    """Write streams, each (codec, frames, factor of the size); `default` is marked as such."""
    import av
    from av.stream import Disposition

    with av.open(str(path), "w") as file:
        made: list[Any] = []
        for number, (codec, _, scale) in enumerate(streams):
            stream: Any = file.add_stream(codec, rate=10)
            stream.width, stream.height = size[0] * scale, size[1] * scale
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.codec_context.time_base = Fraction(1, 10)
            stream.disposition = Disposition.default if number == default else Disposition(0)
            made.append(stream)
        packets = []
        for number, (stream, (_, count, _)) in enumerate(zip(made, streams, strict=True)):
            for i in range(count):
                shown = numbered_image(i + 100 * number, (stream.width, stream.height))
                packets += stream.encode(av.VideoFrame.from_ndarray(shown, "rgb24"))
            packets += stream.encode(None)
        file.mux(packets)
    return path


def shown(source: VideoSource) -> list[int]:
    return [number_of(frame.read()) for frame in source]


@pytest.mark.parametrize("cover", [0, 1])
def test_a_cover_is_not_the_video_even_unmarked(tmp_path: Path, cover: int) -> None:
    streams = [("libx264", 5, 1)]
    streams.insert(cover, ("mjpeg", 1, 8))
    source = VideoSource(mux(tmp_path / "a.mkv", *streams, default=cover))
    assert shown(source) == [i + 100 * (1 - cover) for i in range(5)]
    assert source.info.streams == 1


@pytest.mark.parametrize("default", [0, 1])
def test_the_default_stream_is_read_though_another_is_larger(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, default: int
) -> None:
    path = mux(tmp_path / "a.mkv", ("libx264", 5, 1), ("libx264", 5, 2), default=default)
    source = VideoSource(path)
    assert "a.mkv has 2 video streams" in caplog.text
    assert shown(source) == [i + 100 * default for i in range(5)]
    assert source.info.streams == 2
    assert source.info.width == 64 * (default + 1)
    other = VideoSource(path, stream=1 - default)
    assert shown(other) == [i + 100 * (1 - default) for i in range(5)]
    again = list(other)[3]
    again.read()
    assert number_of(again.read()) == 3 + 100 * (1 - default)


def test_a_stream_that_is_not_there(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=2)
    with pytest.raises(VideoError, match=r"a\.mp4 has no video stream 1: it has 1"):
        VideoSource(path, stream=1)
    with pytest.raises(UsageError, match="stream must be 0 or more"):
        VideoSource(path, stream=-1)


def ends(frames: list[Frame]) -> list[float]:
    return [(frame.time_s or 0) + (frame.duration_s or 0) for frame in frames]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.ts", "a.avi", "a.gif", "a.webp"])
def test_each_frame_lasts_to_the_next_and_the_last_to_the_end(tmp_path: Path, name: str) -> None:
    style = Style(codec="mpeg4") if name == "a.avi" else None
    path = write_video(tmp_path / name, frames=20, style=style)
    assert ends(list(VideoSource(path))) == pytest.approx(np.arange(1, 21) / 10, abs=2e-3)
    assert ends(list(VideoSource(path, fps=0.8))) == pytest.approx([1.2, 2.0], abs=2e-3)
    assert ends(list(VideoSource(path, every=7))) == pytest.approx([0.7, 1.4, 2.0], abs=2e-3)
    part = list(VideoSource(path, start=0.5, end=1.25, fps=1))
    assert ends(part) == pytest.approx([1.25], abs=2e-3)


def test_a_last_frame_is_not_held_longer_than_the_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", times=[0, 1, 50])
    assert ends(list(VideoSource(path)))[:2] == pytest.approx([1, 50])
    assert 50 < ends(list(VideoSource(path)))[2] < 51


@pytest.mark.parametrize("delay", [3.0, 100_000.0])
@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.mp4", "a.ts"])
def test_clocks_that_start_late(tmp_path: Path, name: str, delay: float) -> None:
    if name == "a.ts" and delay > 90_000:
        pytest.skip("stamps of transport streams start again after 26 hours")
    path = write_video(tmp_path / name, frames=20, style=Style(delay=delay))
    frames = list(VideoSource(path))
    assert len(frames) == 20
    for frame in frames:
        frame.read()
    assert ends(frames)[-1] - (frames[0].time_s or 0) == pytest.approx(2, abs=2e-3)


def noise(frames: int = 40) -> list[Image]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 255, (48, 64, 3)).astype(np.uint8) for _ in range(frames)]


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.avi", "a.ts", "a.mp4", "a.mov"])
def test_less_than_half_a_second_missing_is_noticed(tmp_path: Path, name: str) -> None:
    style = Style(codec="mpeg4") if name == "a.avi" else None
    path = write_video(tmp_path / name, noise(), style=style)
    whole = list(VideoSource(path))
    assert len(whole) == 40
    for frame in whole:
        frame.read()
    truncate(path, 0.93)
    *good, last = VideoSource(path)
    assert 34 <= len(good) <= 38
    with pytest.raises(VideoError, match=r"breaks off at 3\.\d\d s"):
        last.read()


def test_frames_too_large_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LIMITS", limits.Limits(frame_pixels=64 * 48))
    for name in ("small.mp4", "small.webp"):
        assert len(list(VideoSource(write_video(tmp_path / name, frames=3)))) == 3
    for name in ("large.mp4", "large.gif", "large.webp"):
        path = write_video(tmp_path / name, frames=3, size=(128, 96))
        with pytest.raises(VideoError, match=f"{name} .*128 x 96 pixels"):
            VideoSource(path)


def test_a_leap_of_the_clock_is_not_followed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", times=[0, 0.1, 0.2, 1e6, 1e6 + 0.1])
    frames = list(VideoSource(path))
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=0.01)
    for frame in frames:
        frame.read()
