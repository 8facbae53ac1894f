"""An S3 server on this machine, which can fail as often as a test wants."""

from __future__ import annotations

import http.client
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

_DROPPED = {"transfer-encoding", "connection", "content-length", "date", "server"}


class Faulty(BaseHTTPRequestHandler):
    """Passes requests on to `port`; a share of the answers fails: throttled, or cut off halfway."""

    protocol_version = "HTTP/1.1"
    port = 0
    share = 0.0
    choice = random.Random(0)
    failed: list[str] = []  # noqa: RUF012 - set anew by `s3_server`

    def _pass_on(self) -> None:
        kind = type(self)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if kind.choice.random() < kind.share / 2:
            kind.failed.append("throttled")
            self._answer(503, {}, b"<Error><Code>SlowDown</Code></Error>")
            return
        server = http.client.HTTPConnection("127.0.0.1", kind.port, timeout=30)
        server.request(self.command, self.path, body, dict(self.headers))
        answer = server.getresponse()
        headers = {k: v for k, v in answer.getheaders() if k.lower() not in _DROPPED}
        data = answer.read()
        if self.command == "HEAD":
            headers["Content-Length"] = answer.getheader("Content-Length") or "0"
        cut = self.command == "GET" and len(data) > 1 and kind.choice.random() < kind.share / 2
        if cut:
            kind.failed.append("cut")
        self._answer(answer.status, headers, data, cut=cut)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815

    def _answer(
        self, status: int, headers: dict[str, str], data: bytes, *, cut: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with suppress(ConnectionError):  # a client may hang up
            self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = cut

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def s3_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[type[Faulty], Any]]:
    """The switch for failures, and a client of boto3; the environment leads there."""
    moto = pytest.importorskip("moto.server", reason="the S3 server (moto) is not installed")
    import boto3

    behind = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    behind.start()
    _, port = behind.get_host_and_port()
    reset = http.client.HTTPConnection("127.0.0.1", port)
    reset.request("POST", "/moto-api/reset")  # its buckets outlive it
    reset.getresponse().read()
    kind = type("Front", (Faulty,), {"port": port, "failed": [], "choice": random.Random(1)})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as front:
        thread = threading.Thread(target=front.serve_forever, daemon=True)
        thread.start()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{front.server_port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        client = boto3.client(
            "s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1"
        )
        yield kind, client
        front.shutdown()
        thread.join()
    behind.stop()
