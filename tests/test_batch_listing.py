"""What a batch takes: lists of paths, tables of paths or images, tar files."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pandas as pd
import pytest
from helpers.batches import merged, photos, run

from mien.batch import manifest
from mien.batch.listing import Listing
from mien.batch.manifest import Item, digest_of, in_stretches, numbered
from mien.errors import InputError, UsageError


def names(*inputs: object, column: str | None = None) -> list[str]:
    return [Path(item.name).name for item in Listing(list(map(str, inputs)), column)]


def test_lists_of_paths(photo: Path, tmp_path: Path) -> None:
    photos(tmp_path / "in", photo, 3)
    outside = shutil.copy(photo, tmp_path / "out side.jpg")
    (tmp_path / "all.txt").write_text(f"# a comment\nin/2.jpg\n\n{outside}\nin\ngone.jpg\n")
    found = ["2.jpg", "out side.jpg", "0.jpg", "1.jpg", "2.jpg", "gone.jpg"]
    assert names(tmp_path / "all.txt") == found
    status = run(tmp_path / "out", tmp_path / "all.txt")
    assert status.total("faces") == 5
    gone = str(tmp_path / "gone.jpg")
    assert dict(status.errors()) == {gone: f"No such file or folder: '{gone}'."}


def test_tables_of_paths_and_of_images(photo: Path, tmp_path: Path) -> None:
    photos(tmp_path / "in", photo, 2)
    paths = pd.DataFrame({"id": [7, 8], "image_path": ["in/0.jpg", str(tmp_path / "in" / "1.jpg")]})
    paths.to_parquet(tmp_path / "paths.parquet")
    assert names(tmp_path / "paths.parquet") == ["0.jpg", "1.jpg"]
    data = photo.read_bytes()
    cells = pd.DataFrame({"mine": [data, b"", data], "image": [{"bytes": data, "path": "x"}] * 3})
    cells.to_parquet(tmp_path / "cells.parquet", row_group_size=2)
    assert names(tmp_path / "cells.parquet") == [f"cells.parquet#{n}" for n in range(3)]
    status = run(tmp_path / "a", tmp_path / "cells.parquet")
    assert status.total("faces") == 3
    listing = Listing([str(tmp_path / "cells.parquet")], "mine")
    assert {item.column for item in listing} == {"mine"}
    with pytest.raises(UsageError, match="no column 'other'; it has mine, image"):
        names(tmp_path / "cells.parquet", column="other")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "no.parquet")
    with pytest.raises(UsageError, match="name it with --column; it has a"):
        names(tmp_path / "no.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"bad\.parquet cannot be read"):
        names(tmp_path / "bad.parquet")


def test_tar_files(photo: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, data in (("000.jpg", photo.read_bytes()), ("000.json", b"{}"), ("1.png", b"x")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    assert names(tmp_path / "a.tar") == ["000.jpg", "1.png"]
    run(tmp_path / "out", tmp_path / "a.tar")
    faces, images = merged(tmp_path / "out", tmp_path / "t.parquet")
    assert images["source"].tolist() == [f"{tmp_path}/a.tar/000.jpg", f"{tmp_path}/a.tar/1.png"]
    assert images["status"].tolist() == ["ok", "error"]
    assert len(faces) == 1
    (tmp_path / "bad.tar").write_bytes(b"no tar file at all" * 100)
    with pytest.raises(InputError, match=r"bad\.tar cannot be read"):
        names(tmp_path / "bad.tar")


def test_live_streams_are_refused() -> None:
    with pytest.raises(UsageError, match="live stream, which has no end"):
        names("rtsp://127.0.0.1:9/x")


def test_shards_are_numbered_by_count_and_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "IMAGES", 4)
    monkeypatch.setattr(manifest, "SECONDS", 100.0)
    items = [Item(f"{n}.jpg", "", "image") for n in range(6)]
    items += [Item(f"{s}.mp4", "", "video", seconds=s) for s in (50.0, 1.0, 250.0, 30.0, 70.0)]
    assert [shard for shard, _ in numbered(items)] == [0, 0, 0, 0, 1, 1, 1, 2, 3, 4, 4]
    count, digest = digest_of(items)
    assert (count, digest) == digest_of(list(items))
    assert digest != digest_of(items[1:])[1]


@pytest.mark.parametrize(
    ("seconds", "fps", "cuts"),
    [
        (899.0, None, [(-1, -1)]),
        (901.0, None, [(-1, 600), (600, -1)]),
        (1450.0, None, [(-1, 600), (600, -1)]),
        (1600.0, None, [(-1, 600), (600, 1200), (1200, -1)]),
        (1300.0, 0.7, [(-1, 600), (600, -1)]),
    ],
)
def test_long_videos_are_cut_where_frames_are_sampled(
    seconds: float, fps: float | None, cuts: list[tuple[float, float]]
) -> None:
    stretches = in_stretches(Item("a.mp4", "a.mp4", "video", seconds=seconds), fps)
    assert [s.start_s for s in stretches] == pytest.approx([start for start, _ in cuts])
    assert [s.end_s for s in stretches] == pytest.approx([end for _, end in cuts])
    assert sum(s.seconds for s in stretches) == pytest.approx(seconds)
    for stretch in stretches:
        if fps and stretch.start_s > 0:
            assert stretch.start_s * fps == pytest.approx(round(stretch.start_s * fps))
