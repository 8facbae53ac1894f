"""Live streams to the service: results in order, late frames dropped, wrong ones refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from helpers.service import RunningService
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(tmp_path_factory.mktemp("service"), "--no-worker") as running:
        yield running


def opened(service: RunningService, query: str = "", **options: Any) -> Any:
    address = service.address.replace("http", "ws", 1)
    return connect(f"{address}/v1/stream{query}", open_timeout=30, **options)


def test_a_result_for_each_frame_with_ids_over_time(service: RunningService, photo: Path) -> None:
    with opened(service, "?affect=true") as stream:
        results = []
        for _ in range(4):
            stream.send(photo.read_bytes())
            results.append(json.loads(stream.recv(30)))
    assert [result["frame"] for result in results] == [0, 1, 2, 3]
    assert [face["track_id"] for r in results for face in r["faces"]] == [1, 1, 1, 1]
    assert "valence" in results[0]["faces"][0]
    times = [result["time_s"] for result in results]
    assert times == sorted(times)


def test_late_frames_are_dropped_in_order(service: RunningService, photo: Path) -> None:
    with opened(service) as stream:
        for _ in range(30):
            stream.send(photo.read_bytes())
        results = [json.loads(stream.recv(30)) for _ in range(30)]
    assert [result["frame"] for result in results] == list(range(30))
    assert [r["status"] for r in results].count("dropped") > 5
    assert results[-1]["status"] == "ok"


def test_a_frame_that_is_no_image_is_a_result_with_an_error(
    service: RunningService, photo: Path
) -> None:
    with opened(service) as stream:
        stream.send(b"no image")
        assert json.loads(stream.recv(30))["status"] == "error"
        stream.send(photo.read_bytes())
        assert json.loads(stream.recv(30))["status"] == "ok"


@pytest.mark.parametrize(
    ("query", "message", "words"),
    [("?without=joy", None, "no label"), ("?size=3", None, "size"), ("", "text", "binary")],
)
def test_wrong_use_closes_it(
    service: RunningService, query: str, message: str | None, words: str
) -> None:
    with opened(service, query) as stream:
        if message is not None:
            stream.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv(30)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert words in closed.value.rcvd.reason


def test_other_origins_and_too_many_streams(service: RunningService) -> None:
    with pytest.raises(InvalidStatus), opened(service, origin="http://evil.org"):
        pass
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(opened(service))
        fifth = stack.enter_context(opened(service))
        with pytest.raises(ConnectionClosed) as closed:
            fifth.recv(30)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013
