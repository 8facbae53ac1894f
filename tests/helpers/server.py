"""A server of weights on this machine."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath

DATA = bytes(range(256)) * 4096  # 1 MB


class Handler(BaseHTTPRequestHandler):
    """Serves `data`, or `others` by name.

    The first `cuts` answers break off halfway. It supports ranges if `ranges`, sends the length
    if `sized`, and waits `slow_s` before it sends.
    """

    data, cuts, ranges, sized, slow_s = DATA, 0, True, True, 0.0
    asked: list[str] = []  # noqa: RUF012 - these are set anew by `serving`
    others: dict[str, bytes] = {}  # noqa: RUF012

    def do_GET(self) -> None:
        kind = type(self)
        kind.asked.append(self.headers.get("Range", ""))
        start = 0
        if self.ranges and "Range" in self.headers:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        if self.path.endswith("missing.onnx"):
            self.send_error(404)
            return
        whole = self.others.get(PurePosixPath(self.path).name, self.data)
        rest = whole[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        if self.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if self.sized:
            self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        time.sleep(self.slow_s)
        if kind.cuts:
            kind.cuts -= 1
            self.wfile.write(rest[: len(rest) // 2])
            return
        with contextlib.suppress(ConnectionError):  # a client may hang up
            self.wfile.write(rest)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving() -> Iterator[tuple[type[Handler], str]]:
    """The served files, to be changed, and the address of a mirror that serves them."""
    kind = type("Served", (Handler,), {"asked": [], "others": {}, "cuts": 0})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield kind, f"http://127.0.0.1:{running.server_port}/weights/"
        running.shutdown()
        thread.join()
