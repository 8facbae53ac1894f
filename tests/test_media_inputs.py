"""The kind of a file by its content; every input ends as frames or is counted."""

from __future__ import annotations

import base64
import os
import shutil
import socket
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.videos import numbered_image, write_video
from PIL import Image as PilImage

from mien import EmotionAnalyzer
from mien.errors import ImageError, InputError, InputNotFoundError, UsageError, VideoError
from mien.media.formats import kind_of
from mien.media.images import encode
from mien.media.inputs import Inputs, VideoOptions
from mien.media.video import VideoSource

PNG = encode(numbered_image(3))


def put(folder: Path, *names: str, data: bytes = PNG) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def animated(path: Path, frames: int = 3) -> Path:
    first, *rest = [PilImage.fromarray(numbered_image(i)) for i in range(frames)]
    first.save(path, save_all=True, append_images=rest, duration=200)
    return path


def raw_stream(path: Path, codec: str, form: str, fps: int, frames: int = 10) -> Path:
    """Coded frames in a row, without a container: only the codec's header knows the rate."""
    import av

    with av.open(str(path), "w", format=form) as file:
        stream: Any = file.add_stream(codec, rate=fps)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        for i in range(frames):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_image(i), "rgb24")))
        file.mux(stream.encode(None))
    return path


def found(*paths: str | os.PathLike[str]) -> dict[str, str]:
    return {Path(item.name).name: item.kind for item in Inputs(paths)}


@pytest.mark.parametrize("name", ["a.f4v", "a.qt", "a.mp4.part", "a", "a.gif", "a.jpg", "a.dat"])
def test_a_video_is_one_by_any_name(tmp_path: Path, name: str) -> None:
    write_video(tmp_path / "film.mp4", frames=4).rename(tmp_path / name)
    assert kind_of(tmp_path / name) == "video"
    assert found(tmp_path) == {name: "video"}
    assert len(list(VideoSource(tmp_path / name))) == 4


@pytest.mark.parametrize("name", ["a", "a.dat", "a.mp4", "a.jpf"])
def test_an_image_is_one_by_any_name(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    assert found(tmp_path) == {name: "image"}
    (frame,) = next(iter(Inputs([tmp_path]))).frames()
    assert np.array_equal(frame.read(), numbered_image(3))


@pytest.mark.parametrize(
    ("codec", "form", "fps"),
    [("libx264", "h264", 20), ("mpeg2video", "mpeg2video", 30), ("mjpeg", "mjpeg", 25)],
)
def test_raw_streams_have_the_times_of_their_rate(
    tmp_path: Path, codec: str, form: str, fps: int
) -> None:
    source = VideoSource(raw_stream(tmp_path / f"a.{form}", codec, form, fps))
    assert kind_of(source.path) == "video"
    assert source.info.fps == fps
    assert [frame.time_s for frame in source] == pytest.approx(np.arange(10) / fps)


def test_raw_motion_jpeg_by_another_name(tmp_path: Path) -> None:
    path = raw_stream(tmp_path / "a.mjpeg", "mjpeg", "mjpeg", 25)
    pair = b"".join([path.read_bytes().split(b"\xff\xd9")[0] + b"\xff\xd9"] * 2)
    path.rename(tmp_path / "a.dat")
    put(tmp_path, "with_depth_map.dat", data=pair)
    assert found(tmp_path) == {"a.dat": "video", "with_depth_map.dat": "image"}


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".avif"])
def test_an_image_with_several_frames_is_a_video(tmp_path: Path, suffix: str) -> None:
    path = animated(tmp_path / f"a{suffix}")
    PilImage.fromarray(numbered_image(0)).save(tmp_path / f"still{suffix}")
    kinds = {path.name: "video", f"still{suffix}": "image"}
    assert found(tmp_path) == kinds
    assert found(path, tmp_path / f"still{suffix}") == kinds  # named or found is the same
    frames = list(VideoSource(path))
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.2, 0.4])
    assert frames[-1].duration_s == pytest.approx(0.2)
    with pytest.raises(InputError, match=r"is a video, not an image: use analyzer\.video\("):
        EmotionAnalyzer()(path)


def test_a_folder_gives_everything_or_counts_it(tmp_path: Path) -> None:
    put(tmp_path, "10.png", "2.png", "sub/3.png", ".hidden.png", ".git/x.png")
    put(tmp_path, "p.annotated.png", "p.annotated-2.png", "sub/q.annotated.png")
    put(tmp_path, "notes.txt", "t.csv", "program.ts", data=b"no image")
    put(tmp_path, "a.jxl", "b", data=b"\xff\x0a" + bytes(90))  # JPEG XL
    put(tmp_path, "broken.jpg", "broken.mp4", data=bytes(range(200)))
    put(tmp_path, "empty.jpg", data=b"")
    write_video(tmp_path / "film.mp4", frames=2)
    os.symlink(tmp_path, tmp_path / "loop")
    os.symlink(tmp_path / "gone", tmp_path / "gone.jpg")
    inputs = Inputs([tmp_path])
    names = [Path(item.name).relative_to(tmp_path).as_posix() for item in inputs]
    first = ["2.png", "10.png", "a.jxl", "b", "broken.jpg", "broken.mp4", "empty.jpg", "film.mp4"]
    assert names == [*first, "gone.jpg", "sub/3.png"]
    assert inputs.left_out == {"hidden": 2, "annotated": 3, "linked": 1, "other": 3}
    assert inputs.summary() == (
        "left out: 2 hidden files or folders, 3 annotated copies by mien, 1 linked folder,"
        " 3 files that are neither image nor video"
    )
    for item in inputs:
        frames = list(item.frames())
        if Path(item.name).stem in ("a", "b", "broken", "empty", "gone"):
            with pytest.raises(InputError, match=Path(item.name).name):
                frames[0].read()
        else:
            assert frames[0].read().shape == (48, 64, 3)


def test_a_named_file_is_an_input_whatever_it_holds(tmp_path: Path) -> None:
    put(tmp_path, ".hidden.png", "p.annotated.png")
    put(tmp_path, "notes.txt", data=b"no image")
    names = [tmp_path / name for name in (".hidden.png", "p.annotated.png", "notes.txt", "gone")]
    inputs = Inputs(names)
    frames = [frame for item in inputs for frame in item.frames()]
    assert [frame.source for frame in frames] == [str(name) for name in names]
    for frame in frames[:2]:
        frame.read()
    with pytest.raises(ImageError, match="text"):
        frames[2].read()
    with pytest.raises(InputNotFoundError, match="gone"):
        frames[3].read()
    assert not inputs.summary()


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", ["1.png", "10.png", "film.mp4", "sub/3.png"]),
        ("*.mp4", ["film.mp4"]),
        ("**", ["1.png", "10.png", "film.mp4", "sub/3.png"]),
        ("**/*.png", ["1.png", "10.png", "sub/3.png"]),
        ("s*", ["sub/3.png"]),
    ],
)
def test_patterns_follow_the_rule_of_folders(
    tmp_path: Path, pattern: str, expected: list[str]
) -> None:
    put(tmp_path, "1.png", "10.png", "sub/3.png", ".hidden.png", "p.annotated.png")
    write_video(tmp_path / "film.mp4", frames=2)
    inputs = Inputs([str(tmp_path / pattern)])
    names = [Path(item.name).relative_to(tmp_path).as_posix() for item in inputs]
    assert names == expected
    assert inputs.left_out["again"] == 0


def test_what_holds_nothing_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    put(tmp_path, "texts/a.txt", "texts/b.txt", data=b"text")
    places = [tmp_path / "empty", tmp_path / "texts", tmp_path / "*.mp4", tmp_path / "texts" / "*"]
    problems = [item.problem for item in Inputs([str(place) for place in places])]
    rest = "only 2 files that are neither image nor video"
    assert list(map(str, problems)) == [
        f"{places[0]} holds no images or videos.",
        f"{places[1]} holds no images or videos, {rest}.",
        f"{places[2]} matches no image or video.",
        f"{places[3]} matches no image or video, {rest}.",
    ]


def test_an_input_named_twice_is_read_once(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png", "c.png")
    os.symlink(tmp_path / "a.png", tmp_path / "link.png")
    paths = [tmp_path / "a.png", tmp_path / ".." / tmp_path.name / "a.png", tmp_path]
    inputs = Inputs([*paths, str(tmp_path / "[bc].png"), tmp_path / "gone", tmp_path / "gone"])
    assert [Path(item.name).name for item in inputs] == ["a.png", "b.png", "c.png", "gone"]
    assert inputs.left_out == {"again": 6}
    assert inputs.summary() == "left out: 6 inputs named twice"
    assert len(list(Inputs(paths, once=False))) == 6


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of Unix")
def test_pipes_sockets_and_devices_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    put(tmp_path, "z.png")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket.mp4"))
        pipe, named, good = [frame for item in Inputs([tmp_path]) for frame in item.frames()]
    for frame, what in ((pipe, "a named pipe"), (named, "a socket")):
        with pytest.raises(InputError, match=f"is {what}, where an image or video file"):
            frame.read()
    good.read()
    with pytest.raises(InputError, match="is a device"):
        next(iter(Inputs(["/dev/zero"]).__iter__().__next__().frames())).read()
    with pytest.raises(InputError, match="is a named pipe"):
        EmotionAnalyzer()(tmp_path / "pipe.jpg")
    with pytest.raises(VideoError, match="is a named pipe"):
        VideoSource(tmp_path / "pipe.jpg")


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="needs /dev/fd")
def test_what_a_shell_hands_over_open_is_read() -> None:
    reading, writing = os.pipe()
    os.write(writing, PNG)
    os.close(writing)
    try:
        (item,) = Inputs([f"/dev/fd/{reading}"])
        (frame,) = item.frames()
        assert np.array_equal(frame.read(), numbered_image(3))
    finally:
        os.close(reading)


def test_home_and_addresses_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    put(tmp_path, "a b.png")
    for path in ("~/a b.png", (tmp_path / "a b.png").as_uri()):
        (item,) = Inputs([path])
        assert item.name == str(tmp_path / "a b.png")
        (frame,) = item.frames()
        frame.read()


def test_data_in_an_address_is_not_repeated() -> None:
    good = "data:image/png;base64," + base64.b64encode(PNG).decode()
    bad = "data:image/png;base64," + "@" * 5000
    (read,), (failed,) = [list(item.frames()) for item in Inputs([good, bad])]
    assert np.array_equal(read.read(), numbered_image(3))
    assert len({read.source, failed.source}) == 2
    assert max(len(read.source), len(failed.source)) < 60
    with pytest.raises(ImageError, match=r"^data:image/png \w+ is not valid base64") as caught:
        failed.read()
    assert len(str(caught.value)) < 200


def test_a_failing_address_is_a_row_and_the_next_input_works(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png")
    address = "http://user:secret@127.0.0.1:9/x.mjpg"
    frames = [
        frame
        for item in Inputs([tmp_path / "a.png", address, tmp_path / "b.png"])
        for frame in item.frames()
    ]
    assert len(frames) == 3
    with pytest.raises(VideoError, match=r"user:\*\*\*@127\.0\.0\.1:9/x\.mjpg cannot be opened"):
        frames[1].read()
    assert frames[2].read().shape == (48, 64, 3)
    (item,) = Inputs([address])
    with pytest.raises(UsageError, match="a camera or stream has no --fps"):
        item.frames(VideoOptions(fps=2))


def test_whatever_a_decoder_raises_is_the_last_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.media import decoding

    path = write_video(tmp_path / "a.mp4", frames=5)
    original = decoding.moments

    def failing(*arguments: Any) -> Any:
        for moment in original(*arguments):
            if moment.index == 3:
                raise EOFError("no more")
            yield moment

    monkeypatch.setattr(decoding, "moments", failing)
    *good, last = VideoSource(path)
    assert [frame.index for frame in good] == [0, 1, 2]
    assert last.index == 3
    assert last.time_s == pytest.approx(0.3)
    with pytest.raises(
        VideoError, match=r"a\.mp4 is damaged and cannot be read from 0\.30 s on.*EOFError"
    ):
        last.read()


def test_the_other_kind_of_call_is_named(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    film = write_video(tmp_path / "film.mp4", frames=3)
    analyzer = EmotionAnalyzer()
    sentence = f"{film} is a video, not an image: use analyzer.video({str(film)!r})."
    with pytest.raises(ImageError) as caught:
        analyzer(film)
    assert str(caught.value) == sentence
    assert [result.error for result in analyzer.analyze(tmp_path)] == [None, sentence]
    with pytest.raises(VideoError, match=r"a\.png is an image, not a video"):
        analyzer.video(tmp_path / "a.png")
    with pytest.raises(VideoError, match=r"no frame in the requested range; it is 0\.30"):
        analyzer.video(film, start=60)


@pytest.mark.parametrize("video", [0, ["a.mp4", "b.mp4"], np.zeros((2, 48, 64, 3), np.uint8)])
def test_what_is_no_video_by_type(video: Any) -> None:
    with pytest.raises(UsageError, match=r"mien\.Frame, not (int|str|ndarray)"):
        EmotionAnalyzer().video(video)


@pytest.mark.parametrize("name", ["webp_EOFError.webp", "T_huge.mkv"])
def test_storm_videos(shared: Path, name: str) -> None:
    path = shared / "cases" / "storm" / name
    if not path.is_file():
        pytest.skip(f"{name} is not here")
    frames = list(VideoSource(path))
    times = [frame.time_s or 0.0 for frame in frames]
    assert times == sorted(times)
    assert times[-1] < 1
    assert len(frames) == {"webp_EOFError.webp": 3, "T_huge.mkv": 4}[name]


def test_good_videos_by_odd_names(shared: Path) -> None:
    folder = shared / "cases" / "reports" / "film_names"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    items = list(Inputs([folder]))
    assert items
    for item in items:
        assert item.kind == "video", item.name
        frames = list(item.frames())
        expected = 40 if item.name.endswith(".mjpeg") else 120
        assert len(frames) == expected, item.name
        for frame in frames:
            frame.read()


def test_annotated_copies_are_skipped_only_in_folders(tmp_path: Path) -> None:
    film = write_video(tmp_path / "a.mp4", frames=2)
    shutil.copy(film, tmp_path / "a.annotated.mp4")
    assert found(tmp_path) == {"a.mp4": "video"}
    assert found(tmp_path / "a.annotated.mp4") == {"a.annotated.mp4": "video"}
