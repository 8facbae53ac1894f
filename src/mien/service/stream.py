"""``WS /v1/stream``: JPEG frames in, results out, in order; late frames are dropped and counted."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from threading import Condition
from typing import NoReturn

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from mien.errors import FrameDroppedError, MienError
from mien.media.base import Timing
from mien.media.images import read_image
from mien.results.result import Result
from mien.service.options import AnalysisOptions
from mien.service.state import Service, service_of
from mien.types import Frame

router: APIRouter = APIRouter()
_WRONG, _BUSY, _BROKEN = 1008, 1013, 1011  # RFC 6455, and IANA's registry of close codes
_REASON = 120  # bytes of a reason


class _Incoming:
    """A live source of the frames that a client sends.

    Of those that arrive while one is analyzed, only the last is analyzed after it; the others come
    before it in order, as frames that were dropped.
    """

    timing = Timing(live=True)

    def __init__(self) -> None:
        self._frames: deque[tuple[int, float, bytes]] = deque()
        self._changed = Condition()
        self._closed = False
        self._count, self._started = 0, time.monotonic()

    def put(self, data: bytes) -> None:
        """Take a frame; the one that waited is dropped."""
        with self._changed:
            if self._frames:
                index, time_s, _ = self._frames.pop()
                self._frames.append((index, time_s, b""))
            self._frames.append((self._count, time.monotonic() - self._started, data))
            self._count += 1
            self._changed.notify()

    def close(self) -> None:
        """End the source; what waits is not analyzed."""
        with self._changed:
            self._closed = True
            self._frames.clear()
            self._changed.notify()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._frames or self._closed)
                if not self._frames:
                    return
                index, time_s, data = self._frames.popleft()
            read = partial(read_image, data, name="frame") if data else partial(_dropped, index)
            yield Frame("stream", read, index, time_s)


def _dropped(index: int) -> NoReturn:
    raise FrameDroppedError(f"Frame {index} was dropped: an earlier one was still being processed.")


@router.websocket("/v1/stream")
async def stream(socket: WebSocket) -> None:
    """Answer each JPEG with the JSON of its result, with ids of the people over time.

    Options are query parameters, as for images. Nothing is stored.
    """
    service = service_of(socket)
    protocols = socket.scope.get("subprotocols") or []
    await socket.accept(subprotocol="bearer" if "bearer" in protocols else None)
    if service.streams >= service.settings.limits.streams:
        await socket.close(_BUSY, "too many live streams: try again later.")
        return
    service.streams += 1
    incoming = _Incoming()
    try:
        query = {n: v for n, v in socket.query_params.items() if n != "without"}
        without = tuple(socket.query_params.getlist("without"))
        options = AnalysisOptions.model_validate({**query, "without": without})
        receiving = asyncio.create_task(_receive(socket, incoming, service))
        try:
            await _answer(socket, incoming, service, options)
        finally:
            incoming.close()
            receiving.cancel()
            with suppress(asyncio.CancelledError):
                await receiving
    except WebSocketDisconnect:
        pass
    except ValidationError as error:
        first = error.errors()[0]
        await _close(socket, _WRONG, f"{'.'.join(map(str, first['loc']))}: {first['msg']}.")
    except MienError as error:
        await _close(socket, _WRONG, str(error))
    except Exception:
        await _close(socket, _BROKEN, "an unexpected error occurred.")
        raise
    finally:
        service.streams -= 1


async def _receive(socket: WebSocket, incoming: _Incoming, service: Service) -> None:
    """Take frames until the client goes."""
    most = service.settings.limits.image_bytes
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            data = message.get("bytes")
            if not data or len(data) > most:
                await _close(socket, _WRONG, "a frame is one binary message with a JPEG.")
                return
            incoming.put(data)
    except (WebSocketDisconnect, RuntimeError):
        return
    finally:
        incoming.close()


async def _answer(
    socket: WebSocket, incoming: _Incoming, service: Service, options: AnalysisOptions
) -> None:
    """Send results until there are no more frames."""
    analyzer = await run_in_threadpool(service.analyzers.get, options)
    results = analyzer.stream(incoming, fps=25.0)

    def following() -> tuple[Result, str] | None:
        result = next(results, None)
        return None if result is None else (result, result.to_json())

    while (answer := await run_in_threadpool(following)) is not None:
        service.metrics.add([answer[0]])
        await socket.send_text(answer[1])


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    with suppress(RuntimeError, WebSocketDisconnect):  # it may be closed already
        await socket.close(code, reason.encode()[:_REASON].decode(errors="ignore"))
