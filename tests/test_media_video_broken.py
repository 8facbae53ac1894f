"""Videos that are cut off, damaged or empty, and files that are no videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.videos import Style, numbered_image, truncate, write_video

from mien.errors import InputError, InputNotFoundError, UsageError, VideoError
from mien.media.video import VideoSource
from mien.types import Frame


def parted(source: VideoSource) -> tuple[list[Frame], list[tuple[int, str]]]:
    """The frames that can be read, and index and message of those that cannot."""
    good, bad = [], []
    for frame in source:
        try:
            frame.read()
            good.append(frame)
        except VideoError as error:
            bad.append((frame.index, str(error)))
    return good, bad


@pytest.mark.parametrize("name", ["a.mp4", "b.mp4", "a.mkv", "a.webm", "a.gif", "a.webp"])
def test_a_video_that_is_cut_off(tmp_path: Path, rng: np.random.Generator, name: str) -> None:
    noise = [rng.integers(0, 255, (48, 64, 3)).astype(np.uint8) for _ in range(20)]
    style = Style(encoder={"bf": "2", "preset": "medium"}) if name == "b.mp4" else Style()
    path = truncate(write_video(tmp_path / name, noise, style=style))
    good, bad = parted(VideoSource(path))
    assert 7 <= len(good) <= 11
    assert [frame.index for frame in good] == list(range(len(good)))
    ((index, problem),) = bad
    assert index == len(good)
    assert f"{name} breaks off at {len(good) / 10:.2f} s" in problem
    assert parted(VideoSource(path, start=1.5))[1] == bad


def test_damage_in_the_middle_costs_one_frame(tmp_path: Path, rng: np.random.Generator) -> None:
    noise = [rng.integers(0, 255, (48, 64, 3)).astype(np.uint8) for _ in range(10)]
    path = write_video(tmp_path / "a.mp4", noise, style=Style(gop=1))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    good, bad = parted(VideoSource(path))
    assert bad
    assert all(f"Frame {index} of {path} is damaged" in problem for index, problem in bad)
    indices = sorted([frame.index for frame in good] + [index for index, _ in bad])
    assert indices == list(range(10))
    assert good[-1].index == 9
    assert good[-1].time_s == pytest.approx(0.9)


def test_nothing_in_the_range(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=5)
    good, ((index, problem),) = parted(VideoSource(path, start=30))
    assert not good
    assert index == 5
    assert problem == f"{path} has no frame in the requested range; it is 0.50 s long."


def _zero_frames(path: Path) -> None:
    import av

    with av.open(str(path), "w") as film:
        stream: Any = film.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        film.start_encoding()


def _sound_only(path: Path) -> None:
    import av

    with av.open(str(path), "w") as film:
        sound: Any = film.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", layout="mono")
        frame.sample_rate = 16000
        film.mux(sound.encode(frame))
        film.mux(sound.encode(None))


def _no_index(path: Path) -> None:
    truncate(write_video(path, style=Style(container={})))


def _still(path: Path) -> None:
    from PIL import Image as PilImage

    PilImage.fromarray(numbered_image(1)).save(
        path, format="WEBP" if path.suffix == ".webp" else "JPEG"
    )


@pytest.mark.parametrize(
    ("name", "make", "problem"),
    [
        ("empty.mp4", lambda path: path.write_bytes(b""), "is empty: it has 0 bytes"),
        (
            "text.mp4",
            lambda path: path.write_text("letters\n" * 50),
            "is a text file, not a video",
        ),
        (
            "noise.mp4",
            lambda path: path.write_bytes(bytes(range(255, 0, -1)) * 9),
            "is not a video",
        ),
        ("zero.mp4", _zero_frames, "holds no images"),
        ("zero.webm", lambda path: path.write_bytes(b"\x1a\x45\xdf\xa3\0\xff"), "not a video"),
        ("sound.mp4", _sound_only, "holds only audio"),
        ("noindex.mp4", _no_index, "is cut off: its index"),
        ("photo.mp4", _still, "is an image, not a video"),
        ("photo.webp", _still, "is an image, not a video"),
        ("half.webp", lambda path: path.write_bytes(b"RIFF\0\0\0\0WEBP"), "not a video"),
    ],
)
def test_what_is_not_a_video(tmp_path: Path, name: str, make: Any, problem: str) -> None:
    make(tmp_path / name)
    with pytest.raises(VideoError, match=problem) as caught:
        VideoSource(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert str(caught.value).count(". ") == 0  # one sentence


def test_nothing_there_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match=r"No such file or folder: .*gone\.mp4"):
        VideoSource(tmp_path / "gone.mp4")
    with pytest.raises(InputNotFoundError, match="open a stream as a camera"):
        VideoSource("rtsp://example.org/stream")
    with pytest.raises(InputError, match="is a folder, where one video is expected"):
        VideoSource(tmp_path)
    with pytest.raises(VideoError, match="cannot be opened"):
        VideoSource("a\0b.mp4")


@pytest.mark.parametrize(
    "wrong",
    [{"fps": 0}, {"every": 0}, {"start": -1}, {"end": 0}, {"start": 2, "end": 1}, {"width": 0}],
)
def test_numbers_out_of_range(tmp_path: Path, wrong: dict[str, Any]) -> None:
    path = write_video(tmp_path / "a.mp4", frames=2)
    with pytest.raises(UsageError, match="must be"):
        VideoSource(path, **wrong)
