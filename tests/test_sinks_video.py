"""Annotated videos: times, sound, images, and what happens when something goes wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from helpers.results import failed_frame, frame_result, mostly
from helpers.videos import Style, number_of, numbered_image, write_video

from mien.errors import InputNotFoundError, UsageError
from mien.results.result import Result
from mien.sinks.video import VideoSink
from mien.types import Image

HAPPY = mostly("happiness")


def film_of(path: Path, results: Iterable[Result], **options: Any) -> Path:
    with VideoSink(path, **options) as sink:
        for result in results:
            sink.write(result)
    return path


def times_of(path: Path) -> tuple[list[float], float]:
    """When each frame begins, and when the last one ends, seconds."""
    with av.open(str(path)) as film:
        packets = [p for p in film.demux(film.streams.video[0]) if p.pts is not None]
        begins = [float(p.pts * p.time_base) for p in packets]  # type: ignore[operator]
        return begins, begins[-1] + float((packets[-1].duration or 0) * packets[-1].time_base)


def pictures_of(path: Path) -> list[Image]:
    with av.open(str(path)) as film:
        return [np.asarray(f.to_ndarray(format="rgb24"), np.uint8) for f in film.decode(video=0)]


def sound_of(path: Path) -> tuple[np.ndarray[Any, Any], int, float]:
    """Samples ``(n,)``, their rate, and when the first is heard (negative ones are skipped)."""
    with av.open(str(path)) as film:
        frames = list(film.decode(audio=0))
        rate, first = frames[0].rate, frames[0]
        samples = np.concatenate([f.to_ndarray().astype(np.float64).mean(axis=0) for f in frames])
        return samples, rate, float(first.pts * first.time_base)  # type: ignore[operator]


def onset_of(path: Path) -> float:
    """When silence ends, seconds."""
    samples, rate, begin = sound_of(path)
    loud = np.abs(samples) > 0.3 * np.abs(samples).max()
    return begin + float(np.argmax(loud)) / rate


def write_with_burst(path: Path, codec: str, *, frames: int = 30, burst_s: float = 1.0) -> Path:
    """A film of 10 frames a second whose sound is silent until `burst_s`."""
    with av.open(str(path), "w") as film:
        video = film.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound: Any = film.add_stream(codec, rate=48000)
        sound.codec_context.layout = "mono"
        for i in range(frames):
            film.mux(video.encode(av.VideoFrame.from_ndarray(numbered_image(i), format="rgb24")))
        at = np.arange(frames * 4800) / 48000
        wave = np.where(at >= burst_s, 0.5 * np.sin(2 * np.pi * 440 * at), 0.0)
        form = "fltp" if codec in ("aac", "libopus") else "s16"
        raw = wave.astype(np.float32) if form == "fltp" else (32767 * wave).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(raw[None], form, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        film.mux(sound.encode(frame))
        film.mux(sound.encode(None))
        film.mux(video.encode(None))
    return path


def played(path: Path, first: int, stop: int, fps: int = 10) -> list[Result]:
    """Results of the frames of a film with a fixed rate, as an analysis of a part gives them."""
    source = str(path)
    return [frame_result(i / fps, {1: HAPPY}, index=i, source=source) for i in range(first, stop)]


def test_every_frame_keeps_its_own_time_and_its_image(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.0801, 0.3, 1 / 3, 0.9, 1.0]
    results = [frame_result(t, index=i) for i, t in enumerate(times)]
    path = film_of(tmp_path / "a.mp4", results)
    begins, end = times_of(path)
    assert begins == pytest.approx(times, abs=1e-4)
    assert end == pytest.approx(1.0 + np.median(np.diff(times)), abs=1e-4)
    assert [number_of(image[:48, :64]) for image in pictures_of(path)] == list(range(len(times)))


def test_what_browsers_need(tmp_path: Path) -> None:
    path = film_of(tmp_path / "a.mp4", [frame_result(i / 10, index=i) for i in range(3)])
    data = path.read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")
    with av.open(str(path)) as film:
        code = film.streams.video[0].codec_context
        assert (code.name, code.pix_fmt, code.profile) == ("h264", "yuv420p", "High")
        assert not code.has_b_frames


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv"])
def test_containers(tmp_path: Path, suffix: str) -> None:
    source = write_video(tmp_path / "in.mp4", frames=6, style=Style(audio=True))
    path = film_of(tmp_path / f"a{suffix}", played(source, 0, 6), audio_from=source)
    with av.open(str(path)) as film:
        assert [s.codec_context.name for s in film.streams] == ["h264", "aac"]
        assert film.duration == pytest.approx(600_000, abs=50_000)


@pytest.mark.parametrize("size", [(63, 48), (64, 47), (65, 49), (300, 201)])
def test_odd_sizes_lose_nothing(tmp_path: Path, size: tuple[int, int]) -> None:
    image = numbered_image(77, size)
    path = film_of(tmp_path / "a.mp4", [frame_result(0.0, image=image)], margin=False)
    (shown,) = pictures_of(path)
    assert shown.shape == (size[1] + size[1] % 2, size[0] + size[0] % 2, 3)
    assert number_of(shown[: size[1], : size[0]]) == 77
    # colors survive, also at the edges
    assert np.abs(shown[: size[1], : size[0]].astype(int) - image).mean() < 8


def test_the_margin_never_changes_its_size(tmp_path: Path) -> None:
    crowds: list[dict[int, list[float]]] = [{}, {1: HAPPY}, {1: HAPPY, 2: HAPPY}, {}]
    results = [frame_result(i / 10, people, index=i) for i, people in enumerate(crowds)]
    with_margin = pictures_of(film_of(tmp_path / "a.mp4", results))
    without = pictures_of(film_of(tmp_path / "b.mp4", results, margin=False))
    assert len({image.shape for image in with_margin}) == 1
    assert without[0].shape == (48, 64, 3)
    assert with_margin[0].shape[1] > 64
    assert with_margin[0].shape[0] >= 9 * 8  # a low picture still has a legible list


def test_a_frame_that_is_missing_leaves_the_one_before(tmp_path: Path) -> None:
    results = [
        frame_result(0.0, index=0),
        failed_frame(0.1, index=1),
        failed_frame(0.2, index=2, dropped=True),
        frame_result(0.3, index=3),
        failed_frame(0.4, index=4),
    ]
    begins, end = times_of(film_of(tmp_path / "a.mp4", results))
    assert begins == pytest.approx([0.0, 0.3], abs=1e-4)
    assert end == pytest.approx(0.5, abs=1e-4)


def test_a_video_that_begins_with_a_damaged_frame_has_no_hole(tmp_path: Path) -> None:
    results = [
        failed_frame(0.0),
        failed_frame(0.1, index=1),
        frame_result(0.2, index=2),
        frame_result(0.3, index=3),
    ]
    begins, end = times_of(film_of(tmp_path / "a.mp4", results))
    assert begins == pytest.approx([0.0, 0.3], abs=1e-4)
    assert end == pytest.approx(0.4, abs=1e-4)


def test_the_last_frame_stands_to_the_end_of_the_video(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", frames=20, fps=10)
    results = [r for r in played(source, 0, 20) if r.index % 3 == 0]  # last at 1.8, of 2.0
    _, end = times_of(film_of(tmp_path / "a.mp4", results, audio_from=source))
    assert end == pytest.approx(2.0, abs=1e-3)


def test_another_source_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    first = [frame_result(i / 10, index=i) for i in range(3)]
    second = [frame_result(5 + i / 10, index=i, source="b.mp4") for i in range(3)]
    begins, _ = times_of(film_of(tmp_path / "a.mp4", [*first, *second]))
    assert begins == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5], abs=1e-4)


def test_equal_times_show_the_later_image(tmp_path: Path) -> None:
    results = [frame_result(t, index=i) for i, t in enumerate([0.0, 0.1, 0.1, 0.2])]
    path = film_of(tmp_path / "a.mp4", results)
    assert [number_of(image[:48, :64]) for image in pictures_of(path)] == [0, 2, 3]


@pytest.mark.parametrize(
    ("name", "codec", "kept"),
    [
        ("in.mp4", "aac", "aac"),
        ("in.mkv", "libopus", "opus"),
        ("in.mkv", "pcm_s16le", "aac"),
        ("in.mkv", "flac", "aac"),
    ],
)
def test_sound_is_cut_and_aligned(tmp_path: Path, name: str, codec: str, kept: str) -> None:
    source = write_with_burst(tmp_path / name, codec)
    assert onset_of(source) == pytest.approx(1.0, abs=0.02)
    path = film_of(tmp_path / "whole.mp4", played(source, 0, 30), audio_from=source)
    with av.open(str(path)) as film:
        assert film.streams.audio[0].codec_context.name == kept
    assert onset_of(path) == pytest.approx(1.0, abs=0.02)
    path = film_of(tmp_path / "part.mp4", played(source, 5, 15), audio_from=source)
    assert times_of(path)[1] == pytest.approx(1.0, abs=1e-3)
    assert onset_of(path) == pytest.approx(0.5, abs=0.02)
    samples, rate, begin = sound_of(path)
    assert begin + len(samples) / rate == pytest.approx(1.0, abs=0.03)


def test_copied_sound_is_the_same_to_the_byte(tmp_path: Path) -> None:
    source = write_with_burst(tmp_path / "in.mp4", "aac")
    path = film_of(tmp_path / "a.mp4", played(source, 0, 30), audio_from=source)
    packets = []
    for each in (source, path):
        with av.open(str(each)) as film:
            packets.append([(p.pts, bytes(p)) for p in film.demux(audio=0) if p.pts is not None])
    assert packets[0] == packets[1]


def test_sound_that_goes_on_after_the_images_is_kept_only_at_the_end(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", frames=10, fps=10, style=Style(audio=1.5))
    whole = film_of(tmp_path / "a.mp4", played(source, 0, 10), audio_from=source)
    part = film_of(tmp_path / "b.mp4", played(source, 0, 6), audio_from=source)
    for path, seconds in ((whole, 1.5), (part, 0.6)):
        with av.open(str(path)) as film:
            assert film.duration == pytest.approx(1e6 * seconds, abs=30_000)


def test_images_that_begin_after_the_sound_stay_in_step(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", frames=10, fps=10, style=Style(audio=True, delay=0.4))
    late = [frame_result(0.4 + i / 10, index=i, source=str(source)) for i in range(10)]
    begins, end = times_of(film_of(tmp_path / "a.mp4", late, audio_from=source))
    assert begins == pytest.approx([0.0, *(0.4 + i / 10 for i in range(1, 10))], abs=1e-3)
    assert end == pytest.approx(1.4, abs=1e-3)


def test_damaged_sound_does_not_spoil_the_video(tmp_path: Path) -> None:
    source = write_with_burst(tmp_path / "in.mkv", "pcm_s16le")
    source.write_bytes(source.read_bytes()[:-60_000])
    path = film_of(tmp_path / "a.mp4", played(source, 0, 30), audio_from=source)
    assert times_of(path)[1] == pytest.approx(3.0, abs=0.15)


def test_a_silent_or_unknown_source_gives_a_silent_video(tmp_path: Path) -> None:
    (tmp_path / "in.dat").write_bytes(b"not a film at all")
    for source in (write_video(tmp_path / "in.mp4", frames=3), tmp_path / "in.dat"):
        path = film_of(tmp_path / "a.mp4", played(source, 0, 3), audio_from=source)
        with av.open(str(path)) as film:
            assert not film.streams.audio
    with pytest.raises(InputNotFoundError, match=r"no file .*gone\.mp4"):
        film_of(tmp_path / "b.mp4", [frame_result(0.0)], audio_from=tmp_path / "gone.mp4")
    assert not list(tmp_path.glob("*b.mp4*"))


def test_frames_of_another_size_are_fitted_in(tmp_path: Path) -> None:
    results = [
        frame_result(0.0, image=numbered_image(5)),
        frame_result(0.1, image=numbered_image(9, (60, 90)), index=1),
    ]
    first, second = pictures_of(film_of(tmp_path / "a.mp4", results, margin=False))
    assert first.shape == second.shape == (48, 64, 3)
    assert second[:, :14].max() < 40  # 32 of 64 columns, black on both sides
    assert number_of(second[:, 16:48]) == 9


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_finished_frames_stay_when_the_run_breaks_off(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "a.mp4"
    results = [frame_result(i / 10, index=i) for i in range(4)]

    def breaking_off() -> Iterator[Result]:
        yield from results
        assert not path.exists()
        raise error

    with pytest.raises(error):
        film_of(path, breaking_off())
    torso = tmp_path / "a.partial.mp4"
    assert len(times_of(torso)[0]) == 4
    assert list(tmp_path.iterdir()) == [torso]
    film_of(path, results)
    assert list(tmp_path.iterdir()) == [path]


def test_without_an_image_there_is_no_video(tmp_path: Path) -> None:
    before = film_of(tmp_path / "a.mp4", [frame_result(0.0)]).read_bytes()
    film_of(tmp_path / "a.mp4", [failed_frame(0.0)])
    assert (tmp_path / "a.mp4").read_bytes() == before
    film_of(tmp_path / "b.mp4", [failed_frame(0.0)])
    assert not (tmp_path / "b.mp4").exists()


def test_wrong_use_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder.mp4").mkdir()
    for name, words in [
        ("a.avi", r"\.mp4, .*not 'a\.avi'"),
        ("gone/a.mp4", "no folder"),
        ("folder.mp4", "is a folder"),
    ]:
        with pytest.raises(UsageError, match=words):
            film_of(tmp_path / name, [frame_result(0.0)])
    with pytest.raises(UsageError, match="no time"):
        film_of(tmp_path / "a.mp4", [frame_result(None)])

    def none(name: str, mode: str) -> None:
        raise av.codec.codec.UnknownCodecError(name)

    monkeypatch.setattr("av.codec.Codec", none)
    with pytest.raises(UsageError, match=r"cannot write H\.264"):
        film_of(tmp_path / "a.mp4", [frame_result(0.0)])
