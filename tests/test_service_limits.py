"""What happens at the limits of the service: one sentence, a status, and when to try again."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

import httpx
import uvicorn
from helpers.videos import write_video

from mien.service import worker
from mien.service.app import make_app
from mien.service.jobs import Job, JobStore, State
from mien.service.problems import as_problem
from mien.service.settings import Limits, ServiceSettings
from mien.service.worker import Worker


@contextmanager
def served(data: Path, limits: Limits) -> Iterator[httpx.Client]:
    """A service in a thread of this process, with limits that the command does not offer."""
    listening = socket.create_server(("127.0.0.1", 0))
    app = make_app(ServiceSettings(data, limits=limits))
    config = uvicorn.Config(app, log_config=None, ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with httpx.Client(base_url=address, timeout=30) as client:
            until = time.monotonic() + 30
            while not server.started:
                assert time.monotonic() < until
                time.sleep(0.05)
            yield client
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def test_too_many_images_are_refused_for_a_second(tmp_path: Path, photo: Path) -> None:
    data = photo.read_bytes()
    with served(tmp_path, Limits(waiting_images=2)) as client:
        three = [("image", (f"{n}.jpg", data)) for n in range(3)]
        answer = client.post("/v1/images", files=three)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"
        assert answer.json()["detail"].startswith("too many images are waiting")
        assert client.post("/v1/images", files=three[:2]).status_code == 200
        text = client.get("/metrics").text
        assert 'mien_requests_total{route="/v1/images",status="503"} 1.0' in text
        assert "mien_waiting_images 0.0" in text


@pytest.mark.parametrize("path", ["/v1/images", "/v1/videos", "/v1/uploads"])
def test_a_request_that_stops_coming_is_given_up(tmp_path: Path, path: str) -> None:
    with served(tmp_path, Limits(stall_seconds=0.4)) as client:
        host = client.base_url
        with socket.create_connection((host.host, host.port or 0), timeout=20) as connection:
            head = (
                f"POST {path} HTTP/1.1\r\nHost: {host.host}\r\nContent-Length: 1000\r\n"
                "Tus-Resumable: 1.0.0\r\nUpload-Length: 1000\r\n"
                "Content-Type: application/offset+octet-stream\r\n\r\nfirst words"
            )
            connection.sendall(head.encode())
            answer = b""
            while b"}" not in answer and (part := connection.recv(10_000)):
                answer += part
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"application/problem+json" in answer
        assert b"the request stopped coming" in answer
        assert client.get("/readyz").status_code == 200


def _job(data: Path, video: Path) -> tuple[JobStore, Job]:
    store = JobStore(data)
    job = Job(store.id_for(None), "clip.mp4", str(video))
    store.folder(job.id).mkdir()
    return store, store.save(job)


def test_a_job_that_takes_too_long_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_EVERY_S", 0.0)
    clip = write_video(tmp_path / "clip.mp4", [np.zeros((64, 64, 3), np.uint8)] * 20, fps=10)
    store, job = _job(tmp_path / "data", clip)
    Worker(ServiceSettings(tmp_path / "data", limits=Limits(job_seconds=0.001))).work(job.id)
    ended = store.find(job.id)
    assert ended is not None
    assert ended.state is State.failed
    assert "the limit of this service: give fps, or start and end." in str(ended.error)
    assert 0 < ended.frames < 20


def test_a_plug_that_breaks_ends_its_job_and_not_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_video(tmp_path / "clip.mp4", [np.zeros((64, 64, 3), np.uint8)] * 3, fps=10)
    store, job = _job(tmp_path / "data", clip)
    working = Worker(ServiceSettings(tmp_path / "data"))

    def broken(*_: object) -> None:
        raise ZeroDivisionError("of a plug-in")

    monkeypatch.setattr(Worker, "_analyze", broken)
    working.work(job.id)
    ended = store.find(job.id)
    assert ended is not None
    assert (ended.state, ended.error) == (
        State.failed,
        "unexpected: ZeroDivisionError: of a plug-in",
    )


def test_a_full_disk_is_a_problem_of_its_own() -> None:
    full = as_problem(OSError(errno.ENOSPC, "No space left on device"))
    assert (full.status, "disk" in full.detail) == (507, True)
    assert as_problem(OSError(errno.EIO, "/secret/path")).detail.startswith("an unexpected error")
