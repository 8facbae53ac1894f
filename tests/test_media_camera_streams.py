"""Streams from a real server on this machine: they break off, fall silent and come back."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from helpers.videos import Style, numbered_image, outcome, write_video

from mien.errors import VideoError
from mien.media import addresses
from mien.media.camera import CameraSource
from mien.media.inputs import is_live
from mien.media.video import VideoSource

Handler = Callable[[BaseHTTPRequestHandler, int], None]


@contextmanager
def served(answer: Handler) -> Iterator[str]:
    """A server on this machine; `answer` is told how many requests came before."""
    count = iter(range(1000))

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self, next(count))

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/stream"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(request: BaseHTTPRequestHandler, kind: str, parts: list[bytes], pause: float) -> None:
    """Answer with a stream of unknown length, part by part, and hang up."""
    request.send_response(200)
    request.send_header("Content-Type", kind)
    request.end_headers()
    for part in parts:
        request.wfile.write(part)
        time.sleep(pause)


def motion_jpeg(count: int) -> list[bytes]:
    """Pictures as web cameras send them: one JPEG after the other, with a boundary between."""
    from PIL import Image as PilImage

    parts = []
    for number in range(count):
        jpeg = io.BytesIO()
        PilImage.fromarray(numbered_image(number)).save(jpeg, "JPEG", quality=95)
        head = f"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {jpeg.tell()}\r\n\r\n"
        parts.append(head.encode() + jpeg.getvalue() + b"\r\n")
    return parts


def test_a_stream_that_dies_and_comes_back(tmp_path: Path) -> None:
    data = write_video(tmp_path / "a.ts", frames=12, style=Style(gop=4)).read_bytes()
    told: list[str] = []

    def answer(request: BaseHTTPRequestHandler, before: int) -> None:
        if before == 1:
            request.send_error(503)
        else:
            send(request, "video/mp2t", [data], 0)

    with served(answer) as url:
        camera = CameraSource(url, attempts=2, wait_s=0.02, report=told.append)
        frames = list(camera)
    assert "stopped sending images; reopening it in 0.02 s, attempt 1 of 2." in told[0]
    assert "attempt 2 of 2" in told[1]
    assert told[2] == f"{url} is back."
    assert [f.index for f in frames] == list(range(25))
    *some, last = map(outcome, frames)
    assert set(some) - {"dropped"} <= set(range(12))
    assert some.count("dropped") == camera.dropped
    assert last == f"{url} was given up after 2 attempts: {url} stopped sending images."


def test_a_web_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(request: BaseHTTPRequestHandler, before: int) -> None:
        send(request, "multipart/x-mixed-replace; boundary=cut", motion_jpeg(30), 0.02)

    with served(answer) as url:
        assert is_live(url)
        with pytest.raises(VideoError, match="is a live stream, not a recorded video"):
            VideoSource(url)
        camera = CameraSource(url, width=32, attempts=0)
        frames = list(camera)
    outcomes = [outcome(f) for f in frames]
    assert "stopped sending images" in str(outcomes.pop())
    numbers = [o for o in outcomes if isinstance(o, int)]
    assert numbers
    assert numbers == sorted(numbers)
    assert len(numbers) + camera.dropped == len(outcomes)


def test_a_server_that_falls_silent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(addresses, "READ_S", 1.0)
    data = write_video(tmp_path / "a.ts", frames=40).read_bytes()
    release = threading.Event()

    def answer(request: BaseHTTPRequestHandler, before: int) -> None:
        send(request, "video/mp2t", [data], 0)
        release.wait(60)

    with served(answer) as url:
        *_, last = [outcome(f) for f in CameraSource(url, attempts=0)]
        release.set()
    assert last == f"{url} sent nothing for 1 s."


def test_a_page_that_is_no_stream() -> None:
    def answer(request: BaseHTTPRequestHandler, before: int) -> None:
        send(request, "text/html", [b"<html>hello</html>" * 100], 0)

    with served(answer) as url, pytest.raises(VideoError, match=r"cannot be opened: .*check the"):
        list(CameraSource(url))
