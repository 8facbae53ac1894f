"""Files in object stores: listed lazily, read, written, and every failure in one sentence."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from helpers.s3 import Faulty

from mien import stores
from mien.errors import InputError, InputNotFoundError, UsageError


def test_files_are_written_listed_read_and_deleted(s3: object, tmp_path: Path) -> None:
    big = tmp_path / "big.bin"
    big.write_bytes(bytes(range(256)) * (9 << 12))  # 9 MB
    stores.write("s3://faces/a/big.bin", big)
    stores.write("s3://faces/a/b c/x.jpg", b"xyz")
    stores.write("s3://faces/ab/y.jpg", b"")
    found = list(stores.listed("s3://faces/a"))  # not those of "ab"
    assert [(f.address, f.size) for f in found] == [
        ("s3://faces/a/b c/x.jpg", 3),
        ("s3://faces/a/big.bin", big.stat().st_size),
    ]
    assert found[0].version
    assert found[0].version != found[1].version
    stores.fetch("s3://faces/a/big.bin", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == big.read_bytes()
    assert stores.read("s3://faces/a/b c/x.jpg") == b"xyz"
    stores.write("s3://faces/a/b c/x.jpg", b"new")
    assert stores.read("s3://faces/a/b c/x.jpg") == b"new"
    stores.delete("s3://faces/a/big.bin")
    stores.delete("s3://faces/a/big.bin")
    assert len(list(stores.listed("s3://faces/"))) == 2


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.jpg", ["1.jpg"]),
        ("**/*.jpg", ["1.jpg", "a/2.jpg", "a/b/3.jpg"]),
        ("a/**", ["a/2.jpg", "a/b/3.jpg", "a/n.txt"]),
        ("a/[13-9].jpg", []),
        ("a/[!1].jpg", ["a/2.jpg"]),
        ("?/?/?.jpg", ["a/b/3.jpg"]),
    ],
)
def test_patterns(pattern: str, names: list[str], s3: tuple[Any, Any]) -> None:
    for name in ("1.jpg", "a/2.jpg", "a/b/3.jpg", "a/n.txt"):
        s3[1].put_object(Bucket="faces", Key=name, Body=b"1")
    found = [file.address for file in stores.listed(f"s3://faces/{pattern}")]
    assert found == [f"s3://faces/{name}" for name in names]


def test_a_listing_is_read_page_by_page(
    s3: tuple[type[Faulty], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    front, client = s3
    for number in range(1200):
        client.put_object(Bucket="faces", Key=f"{number:04}.jpg", Body=b"")
    pages: list[str] = []
    usual = front._pass_on

    def count(self: Faulty) -> None:
        pages.append(self.path)
        usual(self)

    monkeypatch.setattr(front, "do_GET", count)
    files = stores.listed("s3://faces")
    assert len(list(islice(files, 10))) == 10
    assert len(pages) == 1
    assert len(list(files)) == 1190
    assert len(pages) == 2


def test_throttling_and_lost_connections_are_overcome(s3: tuple[type[Faulty], Any]) -> None:
    front, client = s3
    content = {f"{n}.bin": bytes([n]) * 30_000 for n in range(60)}
    for name, data in content.items():
        client.put_object(Bucket="faces", Key=name, Body=data)
    front.share = 0.2
    found = {file.address: stores.read(file.address) for file in stores.listed("s3://faces")}
    assert found == {f"s3://faces/{name}": data for name, data in content.items()}
    for number in range(30):
        stores.write(f"s3://faces/new/{number}", b"n" * number)
    front.share = 0.0
    assert {file.size for file in stores.listed("s3://faces/new")} == set(range(30))
    assert {"throttled", "cut"} == set(front.failed)


def test_failures_are_one_sentence(
    s3: tuple[type[Faulty], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputNotFoundError, match=r"^There is no s3://faces/none\.jpg\.$"):
        stores.read("s3://faces/none.jpg")
    with pytest.raises(InputError, match="there is no such bucket"):
        list(stores.listed("s3://nobody/a"))
    with pytest.raises(InputError, match="name its bucket"):
        stores.read("s3://")
    with pytest.raises(UsageError, match=r"hf:// is only read"):
        stores.open_store("hf://datasets/a/b").write("c", b"")
    monkeypatch.setattr(stores, "RETRY_S", 1.0)
    stores.open_store.cache_clear()
    s3[0].share = 2.0
    with pytest.raises(InputError, match=r"^s3://faces/a cannot be reached: .*check the address"):
        stores.read("s3://faces/a")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    stores.open_store.cache_clear()
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(UsageError, match=r"pip install 'mien\[cloud\]'"):
        stores.read("s3://faces/a")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r"pip install 'mien\[hf\]'"):
        stores.read("hf://datasets/a/b/c")


@pytest.mark.parametrize(
    ("address", "stored"),
    [("s3://b/a.jpg", True), ("GS://b", True), ("hf://u/r", True), ("az://c/k", True),
     ("https://a/b.jpg", False), ("rtsp://a", False), ("s3", False), ("C:\\s3", False)],
)  # fmt: skip
def test_addresses(address: str, stored: bool) -> None:
    assert stores.is_stored(address) == stored
