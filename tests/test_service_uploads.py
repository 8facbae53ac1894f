"""Videos in parts, by tus: the job is that of the whole, whatever breaks off on the way."""

from __future__ import annotations

import os
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

import httpx
from helpers.service import RunningService
from helpers.videos import write_video

from mien.media.images import read_image
from mien.service.jobs import UNFINISHED_S, JobStore

PART = "application/offset+octet-stream"
TUS = {"Tus-Resumable": "1.0.0"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from conftest import astronaut_path

    face = read_image(astronaut_path())[20:340, 80:400]
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_video(path, [np.roll(face, 2 * n, 1) for n in range(10)], fps=10)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(
        tmp_path_factory.mktemp("service"), "--max-video-bytes", "3000000"
    ) as running:
        yield running


def begun(service: RunningService, length: int, query: str = "", **headers: str) -> str:
    """The address of a new upload."""
    named = {"Upload-Metadata": "filename " + b64encode(b"../my film.mp4").decode()}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = service.client.post(
        f"/v1/uploads{query}", headers={**TUS, **named, "Upload-Length": str(length), **given}
    )
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


def send(service: RunningService, url: str, offset: int, data: bytes) -> httpx.Response:
    headers = {**TUS, "Upload-Offset": str(offset), "Content-Type": PART}
    return service.client.patch(url, headers=headers, content=data)


def offset(service: RunningService, url: str) -> int:
    answer = service.client.head(url, headers=TUS)
    assert answer.status_code == 200
    return int(answer.headers["Upload-Offset"])


def job_of(url: str) -> str:
    return url.rpartition("/")[2]


def test_parts_become_one_job(service: RunningService, clip: Path) -> None:
    data = clip.read_bytes()
    url = begun(service, len(data), "?every=2&affect=true")
    assert offset(service, url) == 0
    assert service.client.get(f"/v1/jobs/{job_of(url)}").status_code == 404
    first = send(service, url, 0, data[:1000])
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "1000")
    assert first.headers["Tus-Resumable"] == "1.0.0"
    assert "GMT" in first.headers["Upload-Expires"]
    again = send(service, url, 0, data[:1000])
    assert (again.status_code, again.headers["Upload-Offset"]) == (409, "1000")
    assert send(service, url, 1000, data[1000:]).status_code == 204
    job = service.finished(job_of(url))
    assert (job["source"], job["state"], job["frames"]) == ("my film.mp4", "done", 5)
    assert service.client.get(f"/v1/jobs/{job_of(url)}/video").content == data
    assert offset(service, url) == len(data)
    assert send(service, url, len(data), b"more").status_code == 409
    assert service.client.delete(url, headers=TUS).status_code == 204
    assert service.client.get(f"/v1/jobs/{job_of(url)}").json()["state"] == "canceled"
    assert service.client.head(url, headers=TUS).status_code == 404


def test_what_it_can_do_and_what_it_needs(service: RunningService, clip: Path) -> None:
    headers = service.client.options("/v1/uploads").headers
    assert headers["Tus-Version"] == "1.0.0"
    assert headers["Tus-Max-Size"] == "3000000"
    assert {"creation", "termination", "expiration"} <= set(headers["Tus-Extension"].split(","))
    post = service.client.post
    length = {"Upload-Length": "10"}
    old = post("/v1/uploads", headers={"Tus-Resumable": "0.2.2", **length})
    assert (old.status_code, old.headers["Tus-Version"]) == (412, "1.0.0")
    assert post("/v1/uploads", headers=TUS).status_code == 400
    wrong = {**TUS, **length, "Upload-Metadata": "filename !"}
    assert post("/v1/uploads", headers=wrong).status_code == 400
    assert post("/v1/uploads?model=x", headers={**TUS, **length}).status_code == 400
    url = begun(service, 10)
    assert service.client.patch(url, headers={**TUS, "Upload-Offset": "0"}).status_code == 415
    for nothing in ("0" * 32, "x", "..%2f.."):
        assert service.client.head(f"/v1/uploads/{nothing}", headers=TUS).status_code == 404
    assert service.client.delete(url, headers=TUS).status_code == 204
    assert service.client.delete(url, headers=TUS).status_code == 404
    assert not (service.data / "jobs" / job_of(url)).exists()


def test_limits_hold_while_it_arrives(service: RunningService) -> None:
    headers = {**TUS, "Upload-Length": "3000001"}
    assert service.client.post("/v1/uploads", headers=headers).status_code == 413
    url = begun(service, 100_000)
    folder = service.data / "jobs" / job_of(url)
    parts = (b"x" * 50_000 for _ in range(4))  # no length in advance
    answer = service.client.patch(
        url, headers={**TUS, "Upload-Offset": "0", "Content-Type": PART}, content=parts
    )
    assert answer.status_code == 413
    assert (folder / "video").stat().st_size <= 100_000
    service.client.delete(url, headers=TUS)


def test_what_is_no_video_makes_no_job(service: RunningService) -> None:
    url = begun(service, 5)
    answer = send(service, url, 0, b"words")
    assert (answer.status_code, "my film.mp4" in answer.json()["detail"]) == (422, True)
    assert service.client.get(f"/v1/jobs/{job_of(url)}").status_code == 404
    assert service.client.head(url, headers=TUS).status_code == 404


def test_a_repeated_request_goes_on(service: RunningService, clip: Path) -> None:
    data, key = clip.read_bytes(), {"Idempotency_Key": "study 9"}
    url = begun(service, len(data), **key)
    send(service, url, 0, data[:500])
    assert begun(service, len(data), **key) == url
    assert offset(service, url) == 500
    headers = {**TUS, "Upload-Length": str(len(data)), "Idempotency-Key": "study 9"}
    other = service.client.post("/v1/uploads?every=3", headers=headers)
    assert other.status_code == 422
    assert send(service, url, 500, data[500:]).status_code == 204
    assert begun(service, len(data), **key) == url
    same = service.submit(clip, key="study 9")
    assert same["id"] == job_of(url)


def test_the_first_part_may_come_with_the_beginning(service: RunningService, clip: Path) -> None:
    data = clip.read_bytes()
    answer = service.client.post(
        "/v1/uploads",
        headers={**TUS, "Upload-Length": str(len(data)), "Content-Type": PART},
        content=data,
    )
    assert answer.status_code == 201
    assert answer.headers["Upload-Offset"] == str(len(data))
    assert service.finished(job_of(answer.headers["Location"]))["state"] == "done"


def test_only_get_and_post_pass_a_proxy(service: RunningService, clip: Path) -> None:
    url = begun(service, 10)
    headers = {**TUS, "Upload-Offset": "0", "Content-Type": PART, "X-HTTP-Method-Override": "PATCH"}
    answer = service.client.post(url, headers=headers, content=b"12345")
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "5")
    delete = {**TUS, "X-HTTP-Method-Override": "DELETE"}
    assert service.client.post(url, headers=delete).status_code == 204
    assert service.client.post(url, headers=TUS).status_code == 405


def break_off(service: RunningService, url: str, data: bytes, whole: int) -> socket.socket:
    """Send a part of a part, and keep the connection."""
    host = urlsplit(service.address)
    connection = socket.create_connection((str(host.hostname), int(host.port or 0)))
    head = (
        f"PATCH {url} HTTP/1.1\r\nHost: {host.netloc}\r\nTus-Resumable: 1.0.0\r\n"
        f"Upload-Offset: 0\r\nContent-Type: {PART}\r\nContent-Length: {whole}\r\n\r\n"
    )
    connection.sendall(head.encode() + data)
    return connection


def arrived(service: RunningService, url: str) -> int:
    """Bytes of an upload on the disk, once there are some."""
    path, until = service.data / "jobs" / job_of(url) / "video", time.monotonic() + 10
    while not path.stat().st_size:
        assert time.monotonic() < until
        time.sleep(0.05)
    return path.stat().st_size


def test_it_goes_on_where_the_connection_broke(service: RunningService) -> None:
    url = begun(service, 2_000_000)
    with closing(break_off(service, url, b"x" * 1_000_000, 2_000_000)):
        arrived(service, url)
        assert send(service, url, 0, b"x").status_code == 423  # two at once would be mixed up
    until = time.monotonic() + 10
    while send(service, url, 10**9, b"").status_code != 409:  # until the server has noticed
        assert time.monotonic() < until
        time.sleep(0.05)
    there = offset(service, url)
    assert 0 < there <= 1_000_000
    assert send(service, url, there, b"x").status_code == 204
    service.client.delete(url, headers=TUS)


def test_it_survives_the_end_of_the_server(tmp_path: Path, clip: Path) -> None:
    data = clip.read_bytes()
    with RunningService(tmp_path / "data") as service:
        url = begun(service, len(data))
        big = begun(service, 10_000_000)
        send(service, url, 0, data[:700])
        with closing(break_off(service, big, b"x" * 5_000_000, 10_000_000)):
            arrived(service, big)
            service.kill()
        service.start()
        assert offset(service, url) == 700
        assert 0 < offset(service, big) <= 5_000_000
        assert send(service, url, 700, data[700:]).status_code == 204
        assert service.finished(job_of(url))["state"] == "done"


def test_a_whole_upload_whose_job_was_not_begun(tmp_path: Path, clip: Path) -> None:
    """As left by a server that was killed after the last byte."""
    with RunningService(tmp_path / "data") as service:
        url = begun(service, clip.stat().st_size)
        (service.data / "jobs" / job_of(url) / "video").write_bytes(clip.read_bytes())
        assert offset(service, url) == clip.stat().st_size
        assert service.finished(job_of(url))["state"] == "done"


def test_unfinished_uploads_count_and_expire(tmp_path: Path) -> None:
    with RunningService(tmp_path / "data", "--max-jobs", "2", "--no-worker") as service:
        old, new = begun(service, 10), begun(service, 10)
        third = service.client.post("/v1/uploads", headers={**TUS, "Upload-Length": "10"})
        assert third.status_code == 429
        assert int(third.headers["Retry-After"]) > 0
        folder, store = service.data / "jobs" / job_of(old), JobStore(service.data)
        for path in (*folder.iterdir(), folder):
            os.utime(path, (0, time.time() - UNFINISHED_S - 60))
        store.expire(0)
        assert not folder.exists()
        assert offset(service, new) == 0


def test_the_client_of_the_documentation(
    service: RunningService, clip: Path, tmp_path: Path
) -> None:
    page = (Path(__file__).parents[1] / "docs" / "service.md").read_text("utf-8")
    code = page.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(compile(code, "service.md", "exec"), names)
    headers = {"Idempotency-Key": "of the page"}
    job_id = names["upload"](service.address, str(clip), headers, part=1000)
    job = service.finished(job_id)
    assert (job["state"], job["source"], job["options"]["fps"]) == ("done", "clip.mp4", 5.0)
    assert names["upload"](service.address, str(clip), headers) == job_id
