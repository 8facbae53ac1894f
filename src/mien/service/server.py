"""Runs the application on an address, with workers beside it."""

from __future__ import annotations

import ctypes
import logging
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Thread

import uvicorn

from mien.errors import UsageError
from mien.service.app import make_app
from mien.service.settings import ServiceSettings

_log = logging.getLogger("mien.service")
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_ARENA_MAX, _ARENAS = -8, 2  # glibc's M_ARENA_MAX
_AGAIN_S = 1.0  # between the end of a worker and the next one


def check_reach(settings: ServiceSettings, without_token: bool) -> None:
    """Make sure that no service is open to others by mistake.

    Raises:
        UsageError: it would listen on other addresses without a token.
    """
    if settings.host not in _LOCAL and settings.token is None and not without_token:
        raise UsageError(
            f"{settings.host} can be reached from other machines: give a token with --token-file "
            "or the variable MIEN_TOKEN, or say --without-token."
        )


def serve(
    settings: ServiceSettings, port: int, worker: Sequence[str], announce: Callable[[str], None]
) -> None:
    """Serve until the process is told to stop.

    Args:
        settings: see `ServiceSettings`.
        port: to listen on; 0 for any that is free.
        worker: the command of a worker, kept running beside the server; empty for none.
        announce: called with the address once requests are accepted.

    Raises:
        UsageError: the address cannot be used.
    """
    _share_memory()
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    tempfile.tempdir = str(settings.data)  # parts of large forms are not written elsewhere
    listening = _socket(settings.host, port)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{listening.getsockname()[1]}/"
    config = uvicorn.Config(
        make_app(settings),
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=settings.limits.image_bytes,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
    )
    server = _Server(config, lambda: announce(address))
    stop = Event()
    keeper = Thread(target=_keep_running, args=(worker, stop), name="mien-worker", daemon=True)
    if worker:
        keeper.start()
    try:
        server.run(sockets=[listening])
    finally:
        stop.set()
        if worker:
            keeper.join()


def _share_memory() -> None:
    """Let all threads share two heaps: glibc gives each its own, and all of them grow."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):  # other C libraries have no such option
            ctypes.CDLL(None).mallopt(_ARENA_MAX, _ARENAS)


class _Server(uvicorn.Server):
    """A server that says when it accepts requests."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        if self.started:
            self._announce()


def _socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    if sys.platform != "win32":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise UsageError(
            f"cannot listen on {host}:{port} ({error.strerror or error}): choose another --port."
        ) from error
    return listening


def _keep_running(command: Sequence[str], stop: Event) -> None:
    """Start a worker, again whenever it ends, until told to stop.

    It holds the read end of a pipe, by which it notices the end of this process.
    """
    while not stop.is_set():
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ) as process:
            while process.poll() is None and not stop.wait(0.2):
                pass
            if stop.is_set():
                process.terminate()
                return
        _log.warning("the worker ended with code %s; starting another", process.returncode)
        stop.wait(_AGAIN_S)
