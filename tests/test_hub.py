"""Downloads from a local server: complete, wrong, cut off, full, absent, or hostile."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import ssl
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from helpers.server import DATA, Handler, serving
from typer.testing import CliRunner

from mien import hub
from mien.cli.commands import app
from mien.errors import ModelError, UsageError
from mien.hub import cache, downloads

NAME = "mobilefacenet-fer"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Handler]]:
    """A server that has the weights of NAME, an empty cache, and no waiting."""
    with serving() as (kind, mirror):
        monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("MIEN_MIRROR", mirror)
        monkeypatch.setattr(downloads, "_WAIT_S", 0.01)
        known = replace(hub.find(NAME), pin=hashlib.sha256(DATA).hexdigest(), size=len(DATA))
        others = tuple(other for other in hub.ENTRIES if other.name != NAME)
        monkeypatch.setattr(cache, "ENTRIES", (known, *others))
        yield kind


def files(tmp_path: Path) -> list[str]:
    folder = tmp_path / "cache" / "models"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_a_good_file_is_fetched_once(server: type[Handler], tmp_path: Path) -> None:
    reported: list[tuple[int, int]] = []
    path = hub.pull(NAME, lambda have, total: reported.append((have, total)))
    assert path.read_bytes() == DATA
    assert reported[-1] == (len(DATA), len(DATA))
    assert hub.pull(NAME) == path == hub.path_of(NAME)
    assert server.asked == [""]
    assert files(tmp_path) == ["mobilefacenet-fer.onnx"]
    assert hub.verify() == [(NAME, True)]


def test_a_wrong_hash_never_becomes_a_file(server: type[Handler], tmp_path: Path) -> None:
    server.data = DATA[:-1] + b"!"
    with pytest.raises(ModelError, match="is not the published file"):
        hub.pull(NAME)
    assert files(tmp_path) == []


def test_what_was_cut_off_goes_on_from_there(server: type[Handler]) -> None:
    server.cuts = 2
    assert hub.pull(NAME).read_bytes() == DATA
    half, more = len(DATA) // 2, len(DATA) * 3 // 4
    assert server.asked == ["", f"bytes={half}-", f"bytes={more}-"]


def test_a_later_run_goes_on_too(server: type[Handler], tmp_path: Path) -> None:
    server.cuts = 99
    with pytest.raises(ModelError, match="Run the same command again to continue"):
        hub.pull(NAME)
    assert files(tmp_path) == ["mobilefacenet-fer.onnx.partial"]
    server.cuts = 0
    assert hub.pull(NAME).read_bytes() == DATA
    assert server.asked[-1].startswith("bytes=")


def test_a_server_without_ranges_sends_everything_again(server: type[Handler]) -> None:
    server.cuts, server.ranges = 1, False
    assert hub.pull(NAME).read_bytes() == DATA


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_is_an_error(
    server: type[Handler], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr(downloads, "_open", lambda *_a, **_k: os.fdopen(os.dup(full), "wb"))
    monkeypatch.setattr(downloads, "alone", lambda _path: contextlib.nullcontext())
    with pytest.raises(ModelError, match="no space left"):
        hub.pull(NAME)
    assert files(tmp_path) == []
    assert server.asked == [""]


def test_another_size_is_an_error_before_the_download(
    server: type[Handler], tmp_path: Path
) -> None:
    server.data = DATA * 50
    reported: list[int] = []
    with pytest.raises(ModelError, match=f"it has {50 * len(DATA)} bytes, expected {len(DATA)}"):
        hub.pull(NAME, lambda have, _total: reported.append(have))
    assert reported == []
    server.sized = False  # nor is more taken from a server that does not say it
    with pytest.raises(ModelError, match=f"it has more than {len(DATA)} bytes"):
        hub.pull(NAME, lambda have, _total: reported.append(have))
    assert reported[-1] < 2 * len(DATA)
    assert files(tmp_path) == []
    server.data = DATA
    assert hub.pull(NAME).read_bytes() == DATA


def test_two_that_pull_at_once_do_not_mix(server: type[Handler], tmp_path: Path) -> None:
    server.slow_s = 0.2
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(hub.pull, [NAME] * 4))
    assert {path.read_bytes() for path in found} == {DATA}
    assert server.asked == [""], "one fetches, the others wait"
    assert files(tmp_path) == ["mobilefacenet-fer.onnx"]


@pytest.mark.parametrize("mirror", ["foo", "http://host:port/", "http://[1/"])
def test_a_mirror_that_is_no_address_is_wrong_use(
    server: type[Handler], monkeypatch: pytest.MonkeyPatch, mirror: str
) -> None:
    monkeypatch.setenv("MIEN_MIRROR", mirror)
    done = CliRunner().invoke(app, ["models", "pull", NAME])
    assert done.exit_code == 2
    assert "MIEN_MIRROR must begin with https:// or http://" in done.output
    assert server.asked == []


@pytest.mark.parametrize(
    "problem",
    [ssl.SSLError(1, "bad record mac"), OSError(errno.EHOSTUNREACH, "No route to host")],
)
def test_whatever_a_network_does_while_reading_is_tried_again(
    server: type[Handler], monkeypatch: pytest.MonkeyPatch, problem: OSError
) -> None:
    read = HTTPResponse.read
    calls = []

    def breaking(self: HTTPResponse, *asked: int) -> bytes:
        calls.append(self)
        if len(calls) == 3:
            raise problem
        return read(self, *asked)

    monkeypatch.setattr(HTTPResponse, "read", breaking)
    assert hub.pull(NAME).read_bytes() == DATA
    assert len(server.asked) == 2
    monkeypatch.undo()


def test_no_network_is_one_sentence(server: type[Handler], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_MIRROR", "http://127.0.0.1:9/nothing")
    done = CliRunner().invoke(app, ["models", "pull", NAME])
    assert done.exit_code == 4
    assert "cannot be reached" in done.output
    assert "mien models bundle" in done.output
    assert server.asked == []


def test_offline_is_the_default(server: type[Handler]) -> None:
    with pytest.raises(ModelError, match="run: mien models pull mobilefacenet-fer"):
        hub.path_of(NAME)
    with pytest.raises(UsageError, match="no model 'nope' can be downloaded; available: mobile"):
        hub.pull("nope")
    assert server.asked == []


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("form", ["box", "box.tar"])
def test_a_bundle_goes_to_another_machine(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.pull(NAME)
    run = CliRunner().invoke
    assert run(app, ["models", "bundle", str(tmp_path / form)]).exit_code == 0
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "elsewhere"))
    done = run(app, ["models", "add", str(tmp_path / form)])
    assert done.exit_code == 0, done.output
    assert hub.path_of(NAME).read_bytes() == DATA


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("form", ["box", "box.tar"])
def test_a_model_of_ones_own_goes_along(
    form: str, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien import load_classifier

    file = shared / "models" / "facial_expression_recognition_mobilefacenet_2022july_int8.onnx"
    hub.add(file, "mine", {"labels": list("abcdefg"), "temperature": 2})
    run = CliRunner().invoke
    hub.pull(NAME)
    done = run(app, ["models", "bundle", str(tmp_path / form)])
    assert done.exit_code == 0, done.output
    assert "mobilefacenet-fer, mine" in done.output
    only = tmp_path / f"only-{form}"
    assert hub.bundle(["mine"], only) == ["mine"]
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "elsewhere"))
    done = run(app, ["models", "add", str(tmp_path / form)])
    assert done.exit_code == 0, done.output
    assert "mine: use it as --model mine" in done.output
    assert hub.verify() == [(NAME, True)]
    assert load_classifier("mine").labels == tuple("abcdefg")
    assert hub.own_card("mine") == {"labels": list("abcdefg"), "temperature": 2}
    assert hub.unpack(only) == ["mine"], "the same one again"
    hub.add(file, "mine", {}, overwrite=True).write_bytes(b"another")
    with pytest.raises(UsageError, match="you have another model mine already"):
        hub.unpack(only)
    assert hub.own_models()["mine"].read_bytes() == b"another"


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("name", "sha256", "words"),
    [
        ("../up", "right", "cannot be imported: .* is not a valid name"),
        ("mien-mobilenet", "right", "cannot be imported: mien-mobilenet is the name"),
        ("mine", "wrong", "mine in .* is not the file that was packed"),
        ("mine", None, "own.json cannot be read"),
    ],
)
def test_a_hostile_model_of_ones_own_is_refused(
    name: str, sha256: str | None, words: str, tmp_path: Path
) -> None:
    right = hashlib.sha256(DATA).hexdigest()
    entry: dict[str, Any] = {name: {"sha256": right if sha256 == "right" else sha256, "card": {}}}
    listed = json.dumps(entry if sha256 else [entry]).encode()
    with tarfile.open(tmp_path / "box.tar", "w") as package:
        for member, data in ((f"own/{name}.onnx", DATA), ("own.json", listed)):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            package.addfile(info, io.BytesIO(data))
    before = set(tmp_path.rglob("*"))
    with pytest.raises(ModelError, match=words):
        hub.unpack(tmp_path / "box.tar")
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("server")
def test_a_hostile_archive_writes_nowhere_else(tmp_path: Path) -> None:
    box = tmp_path / "box.tar"
    with tarfile.open(box, "w") as package:
        for name in (f"../../{NAME}.onnx", f"/tmp/{NAME}.onnx", f"{NAME}.onnx/../evil.onnx"):
            member = tarfile.TarInfo(name)
            member.size = len(DATA)
            package.addfile(member, io.BytesIO(DATA))
        link = tarfile.TarInfo("mobilefacenet-fer.onnx")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        package.addfile(link)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(ModelError, match="contains no model of the catalog"):
        hub.unpack(box)
    assert set(tmp_path.rglob("*")) == before
    with tarfile.open(box, "w") as package:
        member = tarfile.TarInfo("mobilefacenet-fer.onnx")
        member.size = 4
        package.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(ModelError, match="is not the published file"):
        hub.unpack(box)
    assert files(tmp_path) == []
    box.write_bytes(b"no archive at all")
    with pytest.raises(ModelError, match="is not a bundle"):
        hub.unpack(box)
