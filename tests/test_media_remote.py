"""Images and videos in object stores and on web servers are inputs like any other."""

from __future__ import annotations

import gc
import json
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pytest
from helpers.command import run_mien
from helpers.s3 import Faulty
from helpers.videos import outcome, write_video

from mien.errors import InputError, InputNotFoundError
from mien.media import remote
from mien.media.frame_reader import FrameReader
from mien.media.images import read_image, write_image
from mien.media.inputs import Inputs, VideoOptions, is_live, is_moving
from mien.media.video import VideoSource

FRAMES = 20


@pytest.fixture
def filled(s3: tuple[type[Faulty], Any], tmp_path: Path) -> type[Faulty]:
    """A bucket with a video, two images, and what is left out."""
    write_image(tmp_path / "a.png", np.full((40, 60, 3), 90, np.uint8))
    video = write_video(tmp_path / "v.mp4", frames=FRAMES)
    image = (tmp_path / "a.png").read_bytes()
    for key, data in {
        "study/a.png": image,
        "study/b/c d.png": image,
        "study/b/v.mp4": video.read_bytes(),
        "study/b/v.annotated.mp4": b"",
        "study/notes.txt": b"hello",
        "study/.hidden.png": image,
        "studies/x.png": image,
    }.items():
        s3[1].put_object(Bucket="faces", Key=key, Body=data)
    return s3[0]


def test_folders_and_patterns(filled: object) -> None:
    inputs = Inputs(["s3://faces/study"])
    assert [(item.name, item.kind) for item in inputs] == [
        ("s3://faces/study/a.png", "image"),
        ("s3://faces/study/b/c d.png", "image"),
        ("s3://faces/study/b/v.mp4", "video"),
    ]
    assert dict(inputs.left_out) == {"hidden": 1, "annotated": 1, "other": 1}
    again = Inputs(["s3://faces/study/a.png", "s3://faces/stud*/**/*.png"])
    assert [item.name.rpartition("/")[2] for item in again] == ["a.png", "x.png", "c d.png"]
    assert again.left_out["again"] == 1
    (nothing,) = Inputs(["s3://faces/none/"])
    with pytest.raises(InputError, match=r"s3://faces/none/ holds no images or videos\."):
        next(iter(nothing.frames())).read()
    assert not is_live("s3://faces/study/b/v.mp4")
    assert is_moving("s3://faces/study/b/v.mp4")
    assert not is_moving("s3://faces/study/a.png")


def test_images_and_videos_are_those_of_local_files(
    filled: type[Faulty], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    filled.share = 0.2
    image, _, video = Inputs(["s3://faces/study"])
    (frame,) = image.frames()
    assert (frame.read() == read_image(tmp_path / "a.png")).all()
    frames, local = list(video.frames()), list(VideoSource(tmp_path / "v.mp4"))
    assert [outcome(frame) for frame in frames] == list(range(FRAMES))
    assert [f.time_s for f in frames] == [f.time_s for f in local]
    assert {f.source for f in frames} == {"s3://faces/study/b/v.mp4"}
    assert outcome(frames[3]) == 3  # decoded again
    some = [outcome(frame) for frame in video.frames(VideoOptions(every=5))]
    assert some == [0, 5, 10, 15]
    reader = FrameReader(tmp_path)
    time_s = local[7].time_s
    assert reader("s3://faces/study/b/v.mp4", time_s, None).shape == local[7].read().shape
    assert reader("s3://faces/study/a.png", None, None).shape == (40, 60, 3)
    del frames, frame, reader
    gc.collect()
    assert list(copies.iterdir()) == []


def test_what_is_missing_is_a_row(filled: object, tmp_path: Path) -> None:
    call = "analyze", "s3://faces/study", "s3://faces/gone.jpg", "-o", tmp_path / "t.csv"
    ran = run_mien(*call)
    assert ran.returncode == 3
    assert b"There is no s3://faces/gone.jpg." in ran.stderr
    assert b"left out: 1 hidden file or folder, 1 annotated copy by mien" in ran.stderr
    rows = pd.read_csv(tmp_path / "t.images.csv")
    assert rows["status"].value_counts().to_dict() == {"ok": FRAMES + 2, "error": 1}
    again = run_mien(*call)
    assert b"finished" in again.stderr + again.stdout


class Web(BaseHTTPRequestHandler):
    """Answers `statuses` first, then `data`."""

    statuses: list[int] = []  # noqa: RUF012
    data = b""
    login: str | None = None

    def do_GET(self) -> None:
        status = self.statuses.pop(0) if self.statuses else 200
        type(self).login = self.headers["Authorization"]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(self.data if status == 200 else b"")

    def log_message(self, *_: object) -> None:
        pass


def test_an_image_on_a_web_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_WAIT_S", 0.01)
    write_image(tmp_path / "a.png", np.full((40, 60, 3), 90, np.uint8))
    Web.data = (tmp_path / "a.png").read_bytes()
    with ThreadingHTTPServer(("127.0.0.1", 0), Web) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{running.server_port}/x/a.png?key=1"
        (item,) = Inputs([address])
        assert (item.kind, item.name) == ("image", address)
        assert not is_live(address)
        for statuses, error in (([503], None), ([404], InputNotFoundError), ([403], InputError)):
            Web.statuses = list(statuses)
            (frame,) = item.frames()
            if error is None:
                assert frame.read().shape == (40, 60, 3)
            else:
                with pytest.raises(error, match=r"/x/a\.png"):
                    frame.read()
        (secret,) = Inputs([address.replace("://", "://me:secret@")])
        assert next(iter(secret.frames())).read().shape == (40, 60, 3)
        assert Web.login == "Basic bWU6c2VjcmV0"
        running.shutdown()
    with pytest.raises(InputError, match=r"me:\*\*\*@.*check the address"):
        next(iter(secret.frames())).read()


class Hub(BaseHTTPRequestHandler):
    """The two routes of Hugging Face that reading needs: the tree, and the files."""

    files: dict[str, bytes] = {}  # noqa: RUF012

    def do_HEAD(self) -> None:
        self._file(body=False)

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/api/") and "/tree/" in path:
            below = path.partition("/tree/main")[2].strip("/")
            rows: dict[str, dict[str, Any]] = {}
            for name, data in self.files.items():
                rest = name.removeprefix(f"{below}/") if below else name
                if below and rest == name:
                    continue
                first = name[: len(name) - len(rest)] + rest.split("/")[0]
                kind = "file" if first == name else "directory"
                rows[first] = {"type": kind, "oid": "0", "path": first, "size": len(data)}
            self._send(json.dumps(list(rows.values())).encode(), "application/json")
        elif path.startswith("/api/"):
            refs = {"id": "u/faces", "sha": "0" * 40, "siblings": [], "branches": [], "tags": []}
            self._send(json.dumps(refs | {"converts": []}).encode(), "application/json")
        else:
            self._file(body=True)

    def _file(self, *, body: bool) -> None:
        data = self.files.get(unquote(urlsplit(self.path).path).partition("/resolve/main/")[2])
        if data is None:
            self.send_error(404)
            return
        start, _, end = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        data = data[int(start) : int(end) + 1 if end else None]
        self._send(data if body else b"", "image/png", len(data))

    def _send(self, data: bytes, kind: str, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.send_header("ETag", '"1"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def test_a_repository_of_hugging_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    write_image(tmp_path / "a.png", np.full((40, 60, 3), 90, np.uint8))
    image = (tmp_path / "a.png").read_bytes()
    Hub.files = {"a.png": image, "b/c.png": image, "b/n.txt": b"1"}
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{running.server_port}")
        ran = run_mien("analyze", "hf://datasets/u/faces", "-o", tmp_path / "t.csv")
        running.shutdown()
    assert ran.returncode == 0, ran.stderr
    rows = pd.read_csv(tmp_path / "t.images.csv")
    assert list(rows["source"]) == ["hf://datasets/u/faces/a.png", "hf://datasets/u/faces/b/c.png"]
