"""Webhooks: signed, repeated until they are taken, and only to servers that the operator named."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from helpers.service import RunningService
from helpers.videos import write_video
from standardwebhooks import Webhook

from mien.errors import UsageError
from mien.service import webhooks
from mien.service.jobs import Job, JobStore, State
from mien.service.problems import ProblemError
from mien.service.webhooks import Webhooks, is_public


class Receiver:
    """A client's server, which refuses the first calls."""

    def __init__(self, failures: int = 0, status: int = 500) -> None:
        self.calls: list[tuple[str, dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.calls.append((self.path, headers, body))
                self.send_response(status if len(receiver.calls) <= failures else 204)
                self.send_header("Location", "http://127.0.0.1:9/")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, count: int, seconds: float = 20) -> None:
        until = time.monotonic() + seconds
        while len(self.calls) < count:
            assert time.monotonic() < until, self.calls
            time.sleep(0.05)


@contextmanager
def receiving(failures: int = 0, status: int = 500) -> Iterator[Receiver]:
    receiver = Receiver(failures, status)
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()


@contextmanager
def running(data: Path, *hosts: str) -> Iterator[JobStore]:
    """Webhooks of a data folder, as they run in a service."""
    store, stopped = JobStore(data), Event()
    calls = Webhooks(store, data, hosts)
    thread = Thread(target=calls.run, args=(stopped,))
    thread.start()
    try:
        yield store
    finally:
        stopped.set()
        thread.join()


def ended(store: JobStore, url: str, state: State = State.done) -> Job:
    """A job that has ended just now."""
    job_id = store.id_for(None)
    store.folder(job_id).mkdir()
    job = Job(job_id, "secret name.mp4", "video", {}, state, webhook=url, ended_s=time.time())
    return store.save(job)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "DELAYS_S", (0.1, 0.1))


def test_the_end_of_a_job_is_told_to_whom_the_client_named(tmp_path: Path) -> None:
    image = np.full((64, 64, 3), 99, np.uint8)
    clip = write_video(tmp_path / "clip.mp4", [image] * 3, fps=5)
    with (
        receiving() as receiver,
        RunningService(tmp_path / "data", "--webhook-host", receiver.host) as service,
    ):
        url = f"http://{receiver.host}/ended?study=7"
        job = service.submit(clip, webhook=url, name="Mary Miller.mp4")
        assert receiver.host not in json.dumps(job)
        service.finished(job["id"])
        receiver.wait(1)
        path, headers, body = receiver.calls[0]
        secret = (service.data / "webhook.secret").read_text().strip()
        said = Webhook(secret).verify(body, headers)
        assert path == "/ended?study=7"
        assert (said["type"], said["data"]) == ("job.done", {"id": job["id"], "state": "done"})
        assert (service.data / "webhook.secret").stat().st_mode & 0o77 == 0
        refused = service.client.post("/v1/videos?webhook=http://127.0.0.1:1/", content=b"x")
        assert (refused.status_code, "webhook" in refused.json()["detail"]) == (400, True)
        time.sleep(1.5)
        assert len(receiver.calls) == 1


@pytest.mark.usefixtures("quick")
def test_it_is_repeated_until_it_is_taken_also_after_a_restart(tmp_path: Path) -> None:
    with receiving(failures=3) as receiver:
        with running(tmp_path, receiver.host) as store:
            job = ended(store, f"http://{receiver.host}/", State.failed)
            receiver.wait(2)
        with running(tmp_path, receiver.host):
            receiver.wait(4)
            time.sleep(1)
        assert len(receiver.calls) == 4
        ids = {headers["webhook-id"] for _, headers, _ in receiver.calls}
        assert ids == {f"{job.id}-failed"}
        assert all(b"secret name" not in body for _, _, body in receiver.calls)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("status", "calls"), [(410, 1), (302, 2)])
def test_who_is_gone_is_left_alone_and_nobody_is_redirected(
    tmp_path: Path, status: int, calls: int
) -> None:
    with receiving(1, status) as receiver, running(tmp_path, receiver.host) as store:
        ended(store, f"http://{receiver.host}/")
        receiver.wait(calls)
        time.sleep(1)
        assert len(receiver.calls) == calls


@pytest.mark.usefixtures("quick")
def test_one_service_of_several_calls(tmp_path: Path) -> None:
    with (
        receiving() as receiver,
        running(tmp_path, receiver.host) as store,
        running(tmp_path, receiver.host),
    ):
        for _ in range(5):
            ended(store, f"http://{receiver.host}/")
        receiver.wait(5)
        time.sleep(1)
        assert len(receiver.calls) == 5


def test_a_name_that_leads_inside_is_not_called_unless_the_address_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lookup(_: str, port: int, *__: object, **___: object) -> list[object]:
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    with receiving() as receiver:
        port = receiver.server.server_port
        monkeypatch.setattr("socket.getaddrinfo", lookup)
        url = f"http://hooks.lab.org:{port}/"
        with running(tmp_path, f"hooks.lab.org:{port}") as store:
            job = ended(store, url)
            until = time.monotonic() + 10
            while not (store.folder(job.id) / "webhook.json").exists():
                assert time.monotonic() < until
                time.sleep(0.05)
        assert receiver.calls == []
        (store.folder(job.id) / "webhook.json").unlink()
        with running(tmp_path, f"hooks.lab.org:{port}", "127.0.0.1"):
            receiver.wait(1)
        assert receiver.calls[0][1]["host"] == f"hooks.lab.org:{port}"


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.org/",
        "http://hooks.lab.org.evil.org/",
        "http://hooks.lab.org@evil.org/",
        "http://hooks.lab.org:81/",
        "http://user@hooks.lab.org/",
        "ftp://hooks.lab.org/",
        "file:///etc/passwd",
        "http://hooks.lab.org/ HTTP/1.1\r\nX: y",
        "http://[::1",
        "hooks.lab.org",
        "http://hooks.lab.org:x/",
    ],
)
def test_addresses_that_are_not_allowed(tmp_path: Path, url: str) -> None:
    calls = Webhooks(JobStore(tmp_path), tmp_path, ["hooks.lab.org", "10.1.2.3:8443"])
    with pytest.raises(ProblemError, match="webhook"):
        calls.check(url)
    calls.check("https://hooks.lab.org/a?b=c")
    calls.check("https://HOOKS.lab.org:443/")
    calls.check("https://10.1.2.3:8443/")
    with pytest.raises(ProblemError, match="--webhook-host"):
        Webhooks(JobStore(tmp_path), tmp_path, []).check("https://hooks.lab.org/")


@pytest.mark.parametrize("host", ["", "http://a.org", "a.org/path", "a@b.org", "a.org:x"])
def test_hosts_that_are_none(tmp_path: Path, host: str) -> None:
    with pytest.raises(UsageError, match="no host"):
        Webhooks(JobStore(tmp_path), tmp_path, [host])


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:192.168.0.1", False),
        ("224.0.0.1", False),
        ("0.0.0.0", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::808:808", True),
        ("2002:a00:1::1", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public
