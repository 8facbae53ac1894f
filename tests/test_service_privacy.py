"""A service and its worker open no socket but the one they listen on, and write in their folder."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

import httpx
from helpers.tracing import trace_of, tracing
from helpers.videos import write_video
from websockets.sync.client import connect

from mien.media.images import read_image

COMMAND = "from mien.cli import main; main()"


def _use(address: str, photo: Path, clip: Path) -> None:
    """One request of every kind, and a job until its end."""
    data = photo.read_bytes()
    large = [("image", ("a.jpg", data + bytes(2_000_000)))] * 2  # parts of forms go to the disk
    with httpx.Client(base_url=address, timeout=120) as client:
        options = {"actions": "true", "affect": "true", "attributes": "age,gender"}
        assert client.post("/v1/images", content=data, params=options).status_code == 200
        assert client.post("/v1/images", files=large).status_code == 200
        tus = {"Tus-Resumable": "1.0.0", "Upload-Length": str(clip.stat().st_size)}
        kind = {"Content-Type": "application/offset+octet-stream"}
        sent = client.post(
            "/v1/uploads?annotate=true", headers=tus | kind, content=clip.read_bytes()
        )
        url = sent.headers["Location"].replace("uploads", "jobs")
        until = time.monotonic() + 120
        while client.get(url).json()["state"] != "done":
            assert time.monotonic() < until
            time.sleep(0.2)
        for place in ("tables/faces", "report", "annotated", "video", "people/1/face", "events"):
            assert client.get(f"{url}/{place}").status_code == 200
        with connect(f"{address.replace('http', 'ws', 1)}/v1/stream") as stream:
            stream.send(data)
            assert json.loads(stream.recv(60))["status"] == "ok"
        assert client.delete(url).status_code == 200


@pytest.mark.slow
def test_a_service_keeps_to_itself(photo: Path, tmp_path: Path) -> None:
    face = read_image(photo)[20:340, 80:400]
    clip = write_video(tmp_path / "clip.mp4", [np.roll(face, n, 1) for n in range(10)], fps=10)
    data, place = tmp_path / "data", tmp_path / "place"
    place.mkdir()
    arguments = ["-P", "-c", COMMAND, "serve", "--port", "0", "--data", str(data), "-v"]
    said = []
    with tracing(arguments, place) as strace:
        assert strace.stderr is not None
        for line in strace.stderr:
            said.append(line)
            if found := re.search(r"serving at (http://\S+)/", line):
                break
        else:
            raise AssertionError("".join(said))
        _use(found[1], photo, clip)
    trace = trace_of(strace, place)
    (listening,) = trace.network
    assert "socket(AF_INET, SOCK_STREAM" in listening
    assert trace.outside(data) == []
    assert data / "queue.sqlite" in trace.written  # the server's part, and the worker's
    assert any("annotated.mp4" in path.name for path in trace.written)
    assert not [*(place / "tmp").iterdir(), *(place / "home").iterdir()]
