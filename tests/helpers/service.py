"""A service in a process of its own, and requests to it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

_MIEN = [sys.executable, "-P", "-c", "from mien.cli import main; main()"]


class RunningService:
    """``mien serve`` on a free port, from here until the block ends.

    Args:
        data: its data folder.
        options: further ones of the command.
    """

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self._command = [*_MIEN, "serve", "--port", "0", "--data", str(data), *options]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait(30)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def start(self) -> None:
        """Start the process, and wait until it says where it serves."""
        self.process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        said = []
        for line in self.process.stderr:
            said.append(line)
            if found := re.search(r"serving at (http://\S+)/", line):
                self.address = found[1]
                self.client = httpx.Client(base_url=self.address, timeout=60)
                return
        raise AssertionError("".join(said))

    def kill(self) -> None:
        """End the server as a power cut does, and every worker of it."""
        workers = self.workers()
        self.client.close()
        for process in [self.process.pid, *workers]:
            os.kill(process, signal.SIGKILL)
        self.process.wait(30)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def workers(self) -> list[int]:
        """The processes of its workers."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task").glob("*/children")
        return [int(child) for path in children for child in path.read_text().split()]

    def worker(self, *options: str) -> subprocess.Popen[bytes]:
        """Start a further worker."""
        return subprocess.Popen([*_MIEN, "worker", "--data", str(self.data), *options])

    def submit(self, video: Path, **options: Any) -> dict[str, Any]:
        """Send a video, and return its job."""
        headers = {"Content-Type": "video/mp4"}
        if key := options.pop("key", None):
            headers["Idempotency-Key"] = key
        response = self.client.post(
            "/v1/videos", content=video.read_bytes(), headers=headers, params=options
        )
        assert response.status_code == 202, response.text
        return dict(response.json())

    def finished(self, job_id: str, seconds: float = 90) -> dict[str, Any]:
        """A job once it has ended."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            job: dict[str, Any] = self.client.get(f"/v1/jobs/{job_id}").json()
            if job["state"] in ("done", "failed", "canceled"):
                return job
            time.sleep(0.1)
        raise AssertionError(f"the job has not ended: {job}")


def redis_server(stack: ExitStack, folder: Path) -> str:
    """Start a Redis server for this run; returns its address."""
    program = shutil.which("redis-server") or "redis-server"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    process = subprocess.Popen([*command, "--save", ""], stdout=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    for _ in range(100):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            break
        time.sleep(0.1)
    return f"redis://127.0.0.1:{port}"
