"""Whatever the user has becomes frames, lazily, and nothing goes missing."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

from mien.errors import ImageError, InputError, InputNotFoundError, UsageError
from mien.media.base import Source
from mien.media.images import encode
from mien.media.photos import photos
from mien.types import Frame, Image

SHADE = 10


def picture(shade: int = SHADE) -> Image:
    return np.full((4, 5, 3), shade, np.uint8)


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encode(picture()))


def sources(inputs: Any, below: Path | None = None) -> list[str]:
    names = [frame.source for frame in photos(inputs)]
    return names if below is None else [Path(n).relative_to(below).as_posix() for n in names]


def only(inputs: Any) -> Frame:
    (frame,) = photos(inputs)
    return frame


def test_folder_is_recursive_natural_and_only_images(tmp_path: Path) -> None:
    put(tmp_path, "10.jpg", "2.JPG", "a.webp", "b/3.png", "b/1.heic", "B2/1.tif", "b10/1.gif")
    put(tmp_path, ".hidden.jpg", ".git/x.jpg", "nosuffix")
    (tmp_path / "notes.txt").write_text("no image")
    expected = ["2.JPG", "10.jpg", "a.webp", "nosuffix"]
    expected += ["b/1.heic", "b/3.png", "B2/1.tif", "b10/1.gif"]
    assert sources(tmp_path, tmp_path) == expected
    assert sources(str(tmp_path), tmp_path) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", ["1.jpg", "2.jpg", "10.jpg"]),
        ("*", ["1.jpg", "2.jpg", "10.jpg", "raw.dat", "sub/3.jpg"]),
        ("**/*.jpg", ["1.jpg", "2.jpg", "10.jpg", "sub/3.jpg"]),
        ("**", ["1.jpg", "2.jpg", "10.jpg", "raw.dat", "sub/3.jpg"]),
        ("[12].jpg", ["1.jpg", "2.jpg"]),
        ("*.dat", ["raw.dat"]),
        ("s*/?.jpg", ["sub/3.jpg"]),
    ],
)
def test_patterns(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    put(tmp_path, "10.jpg", "2.jpg", "1.jpg", "sub/3.jpg", "raw.dat", ".x.jpg")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "album.jpg").mkdir()
    assert sources(str(tmp_path / pattern), tmp_path) == expected


def test_a_name_with_brackets_that_exists_is_a_name(tmp_path: Path) -> None:
    put(tmp_path, "party[1].jpg", "party1.jpg", "all [new]/a.jpg")
    assert sources(tmp_path / "party[1].jpg", tmp_path) == ["party[1].jpg"]
    assert sources(tmp_path / "all [new]", tmp_path) == ["all [new]/a.jpg"]


def test_nothing_there_is_a_frame_with_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    good = picture()
    missing, pattern, folder = (str(tmp_path / n) for n in ("no.jpg", "*.png", "empty"))
    frames = list(photos([good, missing, pattern, folder, good]))
    assert [f.source for f in frames] == ["array 0", missing, pattern, folder, "array 4"]
    with pytest.raises(InputNotFoundError, match=r"no\.jpg"):
        frames[1].read()
    with pytest.raises(InputNotFoundError, match="matches no image or video"):
        frames[2].read()
    with pytest.raises(InputError, match="holds no images or videos"):
        frames[3].read()
    assert np.array_equal(frames[4].read(), good)


def test_closed_subfolder_does_not_go_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a.jpg", "closed/b.jpg")
    scandir = os.scandir

    def guarded(path: str) -> Any:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    good, bad = photos(tmp_path)
    assert good.source == str(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"closed cannot be opened: Permission denied"):
        bad.read()


def test_a_video_is_an_error_row_not_a_crash(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    (tmp_path / "b.MOV").write_bytes(b"\0\0\0\x14ftypqt  " + bytes(50))
    good, bad = photos([tmp_path / "a.jpg", tmp_path / "b.MOV"])
    assert good.read().shape == (4, 5, 3)
    with pytest.raises(ImageError, match="is a video"):
        bad.read()


def test_every_kind_of_item_is_read_and_named(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    path, data = tmp_path / "a.png", encode(picture())
    passed = Frame("mine", picture, index=7, time_s=0.5)
    with path.open("rb") as file:
        items = [path, data, io.BytesIO(data), file, PilImage.open(path), picture(), passed]
        items += [PilImage.fromarray(picture()), memoryview(data), picture()[..., 0]]
        frames = list(photos(items))
        assert all(np.array_equal(frame.read(), picture()) for frame in frames)
    names = [str(path), "bytes 1", "file 2", str(path), str(path), "array 5", "mine"]
    assert [frame.source for frame in frames] == [*names, "image 7", "bytes 8", "array 9"]
    assert frames[6] is passed
    assert {(f.index, f.time_s) for f in frames if f is not passed} == {(0, None)}


@pytest.mark.parametrize(
    ("inputs", "count"),
    [
        (picture(), 1),
        (picture()[..., 0], 1),
        ([picture(), picture()], 2),
        (np.stack([picture()] * 3), 3),
        ([np.stack([picture()] * 2), picture()], 3),
        (np.array(["a.jpg", "b.jpg"]), 2),
        (np.array([Path("a.jpg"), Path("b.jpg")], dtype=object), 2),
        (encode(picture()), 1),
        (iter(["a.jpg", ["b.jpg", "c.jpg"]]), 3),
        ([], 0),
    ],
)
def test_how_many_images(inputs: Any, count: int) -> None:
    names = sources(inputs)
    assert len(names) == len(set(names)) == count


def test_order_of_a_batch_is_kept() -> None:
    batch = np.stack([picture(shade) for shade in (1, 2, 3)])
    assert [int(frame.read()[0, 0, 0]) for frame in photos(batch)] == [1, 2, 3]


def test_generators_are_read_one_at_a_time() -> None:
    def items() -> Iterator[Any]:
        yield picture()
        yield "never-read.jpg"
        raise AssertionError("read too far")

    frames = photos(items())
    assert next(frames).source == "array 0"
    assert next(frames).source == "never-read.jpg"  # and not opened: it does not exist
    with pytest.raises(AssertionError, match="read too far"):
        next(frames)


def test_an_array_that_is_no_image_fails_alone() -> None:
    good, bad = photos([picture(), picture().astype(np.float32)])
    good.read()
    with pytest.raises(ImageError, match=r"^array 1 is float32"):
        bad.read()


@pytest.mark.parametrize("inputs", [None, 3, ["a.jpg", None], {"a": "b.jpg"}, [[1, 2]]])
def test_wrong_types_stop_the_run(inputs: Any) -> None:
    with pytest.raises(UsageError, match="is not an image"):
        list(photos(inputs))


def test_frames_of_files_can_go_to_another_process(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    copy = pickle.loads(pickle.dumps(only(tmp_path)))
    assert np.array_equal(copy.read(), picture())
    (tmp_path / "a.png").unlink()
    failing = pickle.loads(pickle.dumps(only(tmp_path)))
    with pytest.raises(InputError, match="holds no images or videos"):
        failing.read()


def test_photos_is_a_source() -> None:
    assert isinstance(photos([]), Source)
    assert not isinstance(3, Source)
