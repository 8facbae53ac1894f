"""Downloads and bundles without end, links in the cache folder: nothing is filled or followed."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.server import DATA, Handler, serving

from mien import hub
from mien.errors import ModelError
from mien.hub import cache, downloads

NAME = "enet_b2_7"  # whose authors do not say how large it is


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Handler]]:
    with serving() as (kind, mirror):
        monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("MIEN_MIRROR", mirror)
        monkeypatch.setattr(downloads, "_WAIT_S", 0.01)
        yield kind


def fetched(tmp_path: Path) -> list[str]:
    folder = tmp_path / "cache" / "models"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_every_entry_has_a_size_or_a_limit() -> None:
    assert all(0 < entry.most <= 200_000_000 for entry in hub.ENTRIES)
    assert hub.find(NAME).size == 0


@pytest.mark.parametrize("sized", [True, False])
def test_a_download_without_end_is_stopped(
    server: type[Handler], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sized: bool
) -> None:
    server.data, server.sized = DATA * 8, sized
    least = replace(hub.find(NAME), name="small")
    monkeypatch.setattr(cache, "ENTRIES", (least,))
    monkeypatch.setattr(type(least), "most", len(DATA))
    have: list[int] = []
    with pytest.raises(ModelError, match="more than 1048576"):
        hub.pull("small", lambda now, _all: have.append(now))
    assert max(have, default=0) < 2 * len(DATA)
    assert fetched(tmp_path) == []


def test_a_download_that_trickles_is_stopped(
    server: type[Handler], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_PATIENCE_S", -1e9)
    with pytest.raises(ModelError, match=r"is too slow: .* bytes so far"):
        hub.pull(NAME)
    assert fetched(tmp_path) == [f"{NAME}.onnx.partial"]
    assert len(server.asked) == 1


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="this system cannot refuse links")
@pytest.mark.parametrize("name", ["mobilefacenet-fer.onnx.partial", "mobilefacenet-fer.onnx.lock"])
def test_links_in_the_cache_folder_are_not_followed(
    server: type[Handler], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    known = replace(hub.find("mobilefacenet-fer"), pin=_sha256(DATA), size=len(DATA))
    monkeypatch.setattr(cache, "ENTRIES", (known,))
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    folder = tmp_path / "cache" / "models"
    folder.mkdir(parents=True)
    (folder / name).symlink_to(victim)
    assert hub.pull("mobilefacenet-fer").read_bytes() == DATA
    assert victim.read_bytes() == b"precious"
    assert fetched(tmp_path) == ["mobilefacenet-fer.onnx"]


def _sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def test_members_that_are_larger_than_the_bundle_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    box = tmp_path / "box.tar"
    for size in (2_000_000_000, 100_000_000):
        member = tarfile.TarInfo("own/mine.onnx")
        member.size = size
        listed = tarfile.TarInfo("own.json")
        listed.size = 2
        head = listed.tobuf() + b"{}".ljust(512, b"\0") + member.tobuf()
        box.write_bytes(head + bytes(1024))
        with pytest.raises(ModelError, match=r"box\.tar"):
            hub.unpack(box)


def test_a_compressed_bundle_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two megabytes can hold two gigabytes; what bundle writes is not compressed."""
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    box = tmp_path / "box.tar.gz"
    with tarfile.open(box, "w:gz") as package:
        member = tarfile.TarInfo("mobilefacenet-fer.onnx")
        member.size = 5_000_000
        package.addfile(member, io.BytesIO(bytes(5_000_000)))
    with pytest.raises(
        ModelError, match=r"box\.tar\.gz is not a bundle of models .*as mien models"
    ):
        hub.unpack(box)


def test_links_in_a_folder_of_models_are_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    box = tmp_path / "box"
    (box / "own").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"secret")
    (box / "own" / "mine.onnx").symlink_to(tmp_path / "secret")
    catalog = {"mine": {"sha256": _sha256(b"secret"), "card": {}}}
    (box / "own.json").write_text(json.dumps(catalog))
    with pytest.raises(ModelError, match=r"own/mine\.onnx is a link"):
        hub.unpack(box)


@pytest.mark.parametrize("text", ["[" * 50_000, "[]", '{"a": 1}', "\xff"])
def test_lists_of_bundles_that_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    box = tmp_path / "box"
    box.mkdir()
    (box / "own.json").write_text(text, encoding="latin-1")
    with pytest.raises(ModelError, match="box is not a bundle of models"):
        hub.unpack(box)
