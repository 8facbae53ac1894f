"""Who may call the service, and what the headers of its responses say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

import httpx
from helpers.command import run_mien
from helpers.service import RunningService
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from mien.service.formats import chosen
from mien.service.problems import ProblemError

TOKEN = "correct horse battery"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "token.txt").write_text(f"{TOKEN}\n")
    options = ["--token-file", str(folder / "token.txt"), "--no-worker", "-v"]
    with RunningService(folder / "data", *options, "--allow-origin", "https://lab.org") as running:
        yield running


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(tmp_path_factory.mktemp("local"), "--no-worker") as running:
        yield running


@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/v1/jobs", "/openapi.json"])
def test_a_token_is_needed(service: RunningService, path: str) -> None:
    get = service.client.get
    assert get(path).status_code == 401
    for wrong in (f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", "Bearer t\xf6ken"):
        headers = {b"Authorization": wrong.encode("latin-1")}
        assert get(path, headers=headers).status_code == 401
    assert get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert get("/healthz").status_code == 200


def test_a_stream_needs_the_token_too(service: RunningService) -> None:
    address = service.address.replace("http", "ws", 1) + "/v1/stream"
    for names in ([], ["bearer"], ["bearer", "wrong-token"]):
        protocols = [Subprotocol(name) for name in names]
        with pytest.raises(InvalidStatus), connect(address, subprotocols=protocols or None):
            pass
    with connect(address, additional_headers={"Authorization": f"Bearer {TOKEN}"}):
        pass


def test_other_origins(service: RunningService, local: RunningService) -> None:
    get, token = service.client.get, {"Authorization": f"Bearer {TOKEN}"}
    assert get("/v1/models", headers={**token, "Origin": "https://evil.org"}).status_code == 403
    allowed = get("/v1/models", headers={**token, "Origin": "https://lab.org"})
    assert allowed.headers["access-control-allow-origin"] == "https://lab.org"
    asked = {"Origin": "https://lab.org", "Access-Control-Request-Method": "POST"}
    assert service.client.options("/v1/images", headers=asked).status_code == 200
    assert local.client.get("/v1/models", headers={"Origin": "null"}).status_code == 403
    own = local.client.get("/v1/models", headers={"Origin": local.address})
    assert own.status_code == 200
    assert "access-control-allow-origin" not in own.headers


@pytest.mark.parametrize("host", ["evil.org", "127.0.0.1.evil.org", "[", ""])
def test_without_a_token_only_names_of_this_machine(local: RunningService, host: str) -> None:
    response = local.client.get("/v1/models", headers={"Host": host})
    assert response.status_code in (400, 421)
    assert local.client.get("/v1/models", headers={"Host": "localhost"}).status_code == 200


def test_headers(local: RunningService) -> None:
    for path in ("/v1/models", "/nothing"):
        headers = local.client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


@pytest.mark.parametrize(
    "path", ["/v1/jobs/..%2f..%2fsecret", "/v1/jobs/../secret", "/v1/jobs/" + "A" * 32]
)
def test_no_path_leads_out_of_the_jobs(local: RunningService, path: str) -> None:
    response = httpx.get(f"{local.address}{path}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--host", "0.0.0.0"], "give a token"),
        (["--videos", "/nowhere"], "no folder"),
        (["--token-file", "/nowhere"], "/nowhere"),
        (["--host", "192.0.2.1", "--without-token"], "cannot listen"),
    ],
)
def test_it_does_not_start(tmp_path: Path, options: list[str], words: str) -> None:
    ended = run_mien("serve", "--port", "0", "--data", tmp_path / "data", *options)
    assert ended.returncode == 2
    assert words in ended.stderr.decode()


def test_choice_of_a_media_type() -> None:
    offered = ("application/json", "text/csv", "image/jpeg")
    assert chosen(None, offered) == "application/json"
    assert chosen("text/*;q=0.9, */*;q=0.1", offered) == "text/csv"
    assert chosen("application/json;q=0.2, image/jpeg", offered) == "image/jpeg"
    assert chosen("*/*, application/json;q=0", offered) == "text/csv"
    assert chosen("text/csv;q=high, image/jpeg;q=.5", offered) == "image/jpeg"
    with pytest.raises(ProblemError, match="text/csv"):
        chosen("audio/ogg", offered)


def test_the_description_has_an_example_of_every_answer(local: RunningService) -> None:
    paths = local.client.get("/openapi.json").json()["paths"]
    assert {"/v1/images", "/v1/videos", "/v1/uploads", "/v1/jobs/{job_id}/report"} <= set(paths)
    for path, methods in paths.items():
        for method, route in methods.items():
            assert route["summary"], (method, path)
            assert "HTTPValidationError" not in str(route)
            for status, answer in route["responses"].items():
                where = (method, path, status)
                if status.startswith(("4", "5")) or status == "default":
                    (content,) = answer["content"].values()
                    assert content["example"]["detail"].endswith("."), where
                    assert content["example"]["status"] >= 400, where
                    passing = status in ("409", "423", "429", "503")
                    assert ("Retry-After" in answer.get("headers", {})) == passing, where
                elif status != "204":
                    named = {**answer.get("content", {}), **answer.get("headers", {})}
                    assert any("example" in part for part in named.values()), where


def test_a_wrong_method_is_told_all_right_ones(local: RunningService) -> None:
    answer = local.client.put("/v1/jobs/" + "0" * 32)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "DELETE, GET")
    assert answer.headers["content-type"] == "application/problem+json"
