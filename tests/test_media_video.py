"""Videos: frames, times, orientation, colors, ranges and threads."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers.videos import Style, number_of, numbered_image, write_video

from mien.errors import InputNotFoundError
from mien.media import prefetch
from mien.media.base import Source
from mien.media.formats import kind_of
from mien.media.rendering import Renderer
from mien.media.video import VideoSource
from mien.testing import check_source

VFR = (0.0, 0.1, 0.2, 0.6, 0.7, 1.5)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def seen(source: VideoSource) -> list[tuple[int, float, int]]:
    """Index, time and the number in the picture of every frame."""
    return [(f.index, round(f.time_s or 0.0, 4), number_of(f.read())) for f in source]


@pytest.mark.parametrize(
    ("name", "style"),
    [
        ("film.mp4", Style()),
        ("bframes.mp4", Style(encoder={"bf": "2", "preset": "medium"})),
        ("film.mov", Style(audio=True)),
        ("film.mkv", Style(audio=True)),
        ("film.webm", Style(audio=True)),
        ("film.avi", Style(codec="mpeg4")),
        ("film.gif", None),
        ("film.webp", None),
    ],
)
def test_every_frame_in_order_with_its_time(tmp_path: Path, name: str, style: Style | None) -> None:
    source = VideoSource(write_video(tmp_path / name, frames=12, style=style))
    assert seen(source) == [(i, i / 10, i) for i in range(12)]
    assert seen(source) == seen(source)  # a second time, too
    assert source.info.frames == 12
    assert source.info.fps == pytest.approx(10, abs=0.5)
    assert isinstance(source, Source)
    check_source(source)


@pytest.mark.parametrize("name", ["vfr.mp4", "vfr.webm", "vfr.mkv", "vfr.gif", "vfr.webp"])
def test_times_come_from_the_stamps(tmp_path: Path, name: str) -> None:
    source = VideoSource(write_video(tmp_path / name, times=VFR))
    assert seen(source) == [(i, t, i) for i, t in enumerate(VFR)]
    assert source.info.duration_s == pytest.approx(1.6, abs=0.01)


def test_properties_before_the_first_frame(tmp_path: Path) -> None:
    info = VideoSource(write_video(tmp_path / "a.mp4", style=Style(audio=True))).info
    assert (info.source, info.width, info.height) == (str(tmp_path / "a.mp4"), 64, 48)
    assert (info.fps, info.frames, info.codec, info.has_audio) == (10, 20, "h264", True)
    assert info.duration_s == pytest.approx(2.0, abs=0.05)
    assert info.rotation == 0
    assert not VideoSource(write_video(tmp_path / "b.webm")).info.has_audio


@pytest.mark.parametrize(("rotation", "clockwise"), [(-90, 90), (90, 270), (180, 180)])
def test_rotation_metadata_is_honoured(tmp_path: Path, rotation: int, clockwise: int) -> None:
    lying = [np.rot90(numbered_image(i), -rotation // 90) for i in range(4)]
    path = write_video(tmp_path / "phone.mp4", lying, style=Style(rotation=rotation))
    source = VideoSource(path, width=32)
    assert seen(source) == [(i, i / 10, i) for i in range(4)]
    assert (source.info.width, source.info.height, source.info.rotation) == (32, 24, clockwise)
    assert all(frame.read().shape == (24, 32, 3) for frame in source)


def test_mirrored_videos_are_flipped_back(tmp_path: Path) -> None:
    mirrored = [numbered_image(i)[:, ::-1] for i in range(4)]
    path = write_video(tmp_path / "selfie.mp4", mirrored, style=Style(mirror=True))
    assert [number for _, _, number in seen(VideoSource(path))] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "style"), [("a.mp4", Style(pix_fmt="yuv444p")), ("a.webm", Style())]
)
def test_odd_sizes(tmp_path: Path, name: str, style: Style) -> None:
    path = write_video(tmp_path / name, frames=3, size=(65, 49), style=style)
    assert [frame.read().shape for frame in VideoSource(path)] == [(49, 65, 3)] * 3
    assert [frame.read().shape for frame in VideoSource(path, width=33)] == [(25, 33, 3)] * 3


def test_stretched_pixels_are_made_square(tmp_path: Path) -> None:
    path = tmp_path / "tv.mkv"
    write_video(path, frames=2, style=Style(encoder={"aspect": "2:1"}))
    source = VideoSource(path)
    assert source.info.width == 128
    assert [frame.read().shape for frame in source] == [(48, 128, 3)] * 2


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.webp"])
def test_width_only_makes_smaller(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, frames=2)
    small, same = VideoSource(path, width=32), VideoSource(path, width=640)
    assert (small.info.width, small.info.height) == (32, 24)
    assert [number for _, _, number in seen(small)] == [0, 1]
    assert {frame.read().shape for frame in same} == {(48, 64, 3)}


@pytest.mark.parametrize(
    ("height", "space", "told"),
    [(720, "ITU709", True), (720, "ITU709", False), (480, "ITU601", True), (480, "ITU601", False)],
)
def test_colors_follow_the_standard_of_the_size(height: int, space: str, told: bool) -> None:
    import av

    plain = np.full((height, 64, 3), (200, 60, 40), np.uint8)
    frame = av.VideoFrame.from_ndarray(plain).reformat(format="yuv420p", dst_colorspace=space)
    if not told:
        frame.colorspace = 2
    context = SimpleNamespace(width=64, height=height)
    stream: Any = SimpleNamespace(codec_context=context, sample_aspect_ratio=None)
    image = Renderer(stream).render(frame)
    assert np.abs(image.astype(int) - plain).max() <= 4


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.ts", "a.avi", "a.gif", "a.webp"])
def test_start_and_end_are_exact(tmp_path: Path, name: str) -> None:
    style = Style(gop=4, encoder={"bf": "2"}) if name in ("a.mp4", "a.mkv", "a.ts") else None
    style = Style(codec="mpeg4", gop=4) if name == "a.avi" else style
    path = write_video(tmp_path / name, style=style)
    whole = seen(VideoSource(path))
    assert [number for _, _, number in whole] == list(range(20))
    for start in (0.0, 0.05, 0.6, 1.2, 1.3, 1.9):
        part = seen(VideoSource(path, start=start, end=start + 0.35))
        assert part == [row for row in whole if start <= row[1] + 1e-4 < start + 0.35], start


def test_index_after_start_is_counted_where_the_rate_varies(tmp_path: Path) -> None:
    times = [i * 0.1 for i in range(10)] + [1 + i * 0.5 for i in range(10)]
    path = write_video(tmp_path / "a.mp4", times=times, style=Style(gop=4))
    assert seen(VideoSource(path, start=3.4))[0] == (15, 3.5, 15)


def test_every_counts_frames_of_the_whole_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    assert [i for i, _, _ in seen(VideoSource(path, every=6))] == [0, 6, 12, 18]
    assert [i for i, _, _ in seen(VideoSource(path, every=6, start=0.7))] == [12, 18]


def test_fps_takes_frames_by_time(tmp_path: Path) -> None:
    fast = write_video(tmp_path / "fast.mp4", frames=50, fps=25)
    assert [i for i, _, _ in seen(VideoSource(fast, fps=5))] == list(range(0, 50, 5))
    assert len(seen(VideoSource(fast, fps=10))) == 20
    assert len(seen(VideoSource(fast, fps=25))) == 50
    assert len(seen(VideoSource(fast, fps=60))) == 50
    vfr = write_video(tmp_path / "vfr.mp4", times=VFR)
    assert [t for _, t, _ in seen(VideoSource(vfr, fps=5))] == [0.0, 0.2, 0.6, 1.5]


def test_fps_of_the_video_itself_leaves_nothing_out(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.webm", times=[i / 30 for i in range(30)]
    )  # rounded to 1/1000 s
    assert len(seen(VideoSource(path, fps=30))) == 30


def test_sound_that_starts_first(tmp_path: Path) -> None:
    for name in ("late.mp4", "late.mkv"):
        path = write_video(tmp_path / name, frames=3, style=Style(audio=True, delay=0.5))
        assert [t for _, t, _ in seen(VideoSource(path))] == [0.5, 0.6, 0.7]


def test_stamps_that_are_missing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "raw.h264", frames=6)  # players assume 25 frames a second
    assert seen(VideoSource(path)) == [(i, i / 25, i) for i in range(6)]
    assert [i for i, _, _ in seen(VideoSource(path, start=0.12))] == [3, 4, 5]


@pytest.mark.parametrize("name", ["a:b.mp4", "100%d.mp4", "grüße an.mp4", "-x.mp4"])
def test_names_that_mean_something_to_ffmpeg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", frames=2).rename(tmp_path / name)
    assert [number for _, _, number in seen(VideoSource(name))] == [0, 1]


def test_an_image_can_be_read_again(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", style=Style(gop=5))
    frames = list(VideoSource(path, width=32))
    first = [frame.read() for frame in frames]
    for frame in (frames[13], frames[2], pickle.loads(pickle.dumps(frames[19]))):
        again = frame.read()
        assert np.array_equal(again, first[frame.index])
    path.unlink()
    with pytest.raises(InputNotFoundError):
        frames[0].read()


def test_a_video_longer_than_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4")
    monkeypatch.setattr(prefetch, "LIMIT_BYTES", 2 * 64 * 48 * 3)
    made = []
    original = VideoSource._frame

    def counted(self: VideoSource, moment: Any) -> Any:
        made.append(moment.index)
        return original(self, moment)

    monkeypatch.setattr(VideoSource, "_frame", counted)
    frames = iter(VideoSource(path))
    for index, frame in enumerate(frames):
        assert frame.index == index
        assert len(made) <= index + 1 + 2 + 2  # handed out, waiting, and two in the thread's hand
    assert len(made) == 20


def test_frames_left_out_are_not_rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = []
    original = Renderer.render

    def counted(self: Renderer, frame: Any, width: int | None = None) -> Any:
        rendered.append(frame.pts)
        return original(self, frame, width)

    monkeypatch.setattr(Renderer, "render", counted)
    path = write_video(tmp_path / "a.mp4")
    assert len(list(VideoSource(path, every=5))) == len(rendered) == 4


def test_stopping_early_ends_the_thread_and_closes_the_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=100)
    before = threading.active_count()
    for frame in VideoSource(path):
        assert threading.active_count() == before + 1
        if frame.index == 3:
            break
    frames = VideoSource(path).__iter__()
    next(frames)
    del frames
    assert threading.active_count() == before
    if os.path.isdir("/proc/self/fd"):
        open_files = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
        assert str(path) not in open_files


def test_an_error_in_the_thread_surfaces_after_what_came_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mp4")
    original = VideoSource._frame

    def failing(self: VideoSource, moment: Any) -> Any:
        if moment.index == 5:
            raise RuntimeError("out of luck")
        return original(self, moment)

    monkeypatch.setattr(VideoSource, "_frame", failing)
    source = iter(VideoSource(path))
    assert [next(source).index for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(RuntimeError, match="out of luck"):
        next(source)


# The shared films, against what videos.csv says of them.


@pytest.mark.parametrize(
    ("name", "frames", "size", "last"),
    [
        ("WolfgangLanger_Pexels.mp4", 472, (640, 360), 19.6446),
        ("london_timeline_vfr.mp4", 165, (480, 480), 23.8),
        ("london_timeline_rot90.mp4", 120, (480, 480), 5.95),
        ("london_timeline_vp9.webm", 120, (480, 480), 5.95),
        ("head-pose-face-detection-male.gif", 62, (480, 270), 5.08),
        ("face-demographics-walking-and-pause.gif", 41, (480, 270), 3.33),
    ],
)
def test_shared_videos(
    shared: Path, name: str, frames: int, size: tuple[int, int], last: float
) -> None:
    source = VideoSource(shared / "media" / "videos" / name, width=32)
    every = list(source)
    assert [frame.index for frame in every] == list(range(frames))
    assert every[0].time_s == 0
    assert every[-1].time_s == pytest.approx(last, abs=1e-3)
    assert source.info.frames == frames
    full = VideoSource(source.path).info
    assert (full.width, full.height) == size


def test_shared_copies_show_the_same_at_the_same_time(shared: Path) -> None:
    folder = shared / "media" / "videos"
    for at in (0.0, 2.0, 4.55):
        plain = next(iter(VideoSource(folder / "london_timeline.mp4", start=at, width=64)))
        for copy in ("rot90.mp4", "vp9.webm"):
            other = next(iter(VideoSource(folder / f"london_timeline_{copy}", start=at, width=64)))
            assert (other.index, other.time_s) == (plain.index, plain.time_s)
            difference = np.abs(plain.read().astype(int) - other.read()).mean()
            assert difference < 4, (at, copy)


def test_shared_animated_images(shared: Path) -> None:
    folder = shared / "media" / "formats"
    gif = VideoSource(folder / "london_096_smile.gif")
    webp = VideoSource(folder / "london_096_smile_anim.webp")
    assert kind_of(gif.path) == kind_of(webp.path) == "video"
    assert kind_of(folder / "astronaut.webp") == "image"
    times = [0.0, 0.48, 0.6, 0.72, 0.84]
    assert [frame.time_s for frame in gif] == [frame.time_s for frame in webp] == times
    for one, other in zip(gif, webp, strict=True):
        assert np.abs(one.read().astype(int) - other.read()).mean() < 8
