"""The service's answers to images, from a real server."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from helpers.service import RunningService

import mien
from mien.media.images import encode, read_image

PARQUET = "application/vnd.apache.parquet"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(tmp_path_factory.mktemp("service"), "--max-bytes", "2000000") as running:
        yield running


def test_the_result_is_that_of_the_library(service: RunningService, photo: Path) -> None:
    response = service.client.post("/v1/images", content=photo.read_bytes())
    (result,) = response.json()["results"]
    expected = mien.EmotionAnalyzer()(photo).to_dict()
    unlike = ("source", "milliseconds")
    assert {**result, **dict.fromkeys(unlike)} == {**expected, **dict.fromkeys(unlike)}


def test_a_form_of_several_files_is_answered_in_order(service: RunningService, photo: Path) -> None:
    names = ["a.jpg", "no-image.txt", "../../b.jpg"]
    data = [photo.read_bytes(), b"a few words of text", photo.read_bytes()]
    files = [("image", item) for item in zip(names, data, strict=True)]
    results = service.client.post("/v1/images", files=files).json()["results"]
    assert [result["source"] for result in results] == ["a.jpg", "no-image.txt", "b.jpg"]
    assert [result["status"] for result in results] == ["ok", "error", "ok"]


@pytest.mark.parametrize("media", ["text/csv", "application/x-ndjson", PARQUET])
def test_tables_by_accept(service: RunningService, photo: Path, media: str) -> None:
    response = service.client.post(
        "/v1/images", content=photo.read_bytes(), headers={"Accept": media}
    )
    assert response.headers["content-type"].startswith(media)
    if media == PARQUET:
        rows = pd.read_parquet(io.BytesIO(response.content)).to_dict("records")
    elif media == "text/csv":
        rows = pd.read_csv(io.StringIO(response.text)).to_dict("records")
    else:
        rows = json.loads(response.text.splitlines()[0])["faces"]
    assert [row["emotion"] for row in rows] == ["happiness"]


def test_an_image_with_its_faces_drawn(service: RunningService, photo: Path) -> None:
    headers = {"Accept": "image/jpeg"}
    response = service.client.post("/v1/images", content=photo.read_bytes(), headers=headers)
    drawn, plain = read_image(response.content), read_image(photo)
    assert drawn.shape == plain.shape
    assert (abs(drawn.astype(int) - plain) > 60).any()
    two = [("image", ("a.jpg", photo.read_bytes()))] * 2
    assert service.client.post("/v1/images", files=two, headers=headers).status_code == 406


def test_options_are_those_of_the_command(service: RunningService, photo: Path) -> None:
    options = "affect=true&attributes=age&without=contempt&without=fear"
    options += "&uncertain_below=1&detector=haar"
    response = service.client.post("/v1/images", content=photo.read_bytes(), params=options)
    (face,) = response.json()["results"][0]["faces"]
    assert face["emotion"] == "uncertain"
    assert face["valence"] > 0.3
    assert 10 < face["apparent_age"] < 90
    assert not {"contempt", "fear"} & set(face["probabilities"])


def test_actions_of_a_face_and_of_none(service: RunningService, photo: Path) -> None:
    """A face whose mesh is not trusted has no numbers there, and JSON has no NaN."""
    options = {"actions": "true"}
    response = service.client.post("/v1/images", content=photo.read_bytes(), params=options)
    (face,) = response.json()["results"][0]["faces"]
    assert face["AU12"] > 0.3
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    response = service.client.post("/v1/images", content=encode(noise), params=options)
    assert response.json()["results"][0]["faces"] == []


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ({"model": "/etc/passwd"}, 400, "model: "),
        ({"model": "other.onnx"}, 400, "is a file"),
        ({"model": "unknown"}, 400, "unknown"),
        ({"without": "joy"}, 400, "no label 'joy'"),
        ({"attributes": "income"}, 400, "income"),
        ({"min_score": "2"}, 400, "min_score: "),
        ({"min_score": "nan"}, 400, "min_score: "),
        ({"size": "3"}, 400, "size: "),
    ],
)
def test_wrong_options_are_explained(
    service: RunningService, photo: Path, options: dict[str, str], status: int, words: str
) -> None:
    response = service.client.post("/v1/images", content=photo.read_bytes(), params=options)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert words in response.json()["detail"]


def test_requests_that_cannot_be_answered(service: RunningService, photo: Path) -> None:
    post = service.client.post
    assert post("/v1/images", content=b"").status_code == 400
    assert post("/v1/images", content=b"some words").status_code == 422
    assert post("/v1/images", data={"a": "b"}, files={}).status_code == 422
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    assert post("/v1/images", content=b"--x\r\nnonsense", headers=form).status_code == 400
    many = [("image", ("a.jpg", b"x"))] * 65
    assert post("/v1/images", files=many).status_code == 400
    text = {"Accept": "audio/ogg"}
    assert post("/v1/images", content=photo.read_bytes(), headers=text).status_code == 406
    assert post("/v1/images", content=b"x" * 2_000_001).status_code == 413
    chunks = (b"x" * 100_000 for _ in range(30))  # no length in advance
    assert post("/v1/images", content=chunks).status_code == 413


def test_many_clients_at_once(service: RunningService, photo: Path) -> None:
    data = photo.read_bytes()

    def ask(number: int) -> list[str]:
        labels = {} if number % 3 else {"without": "contempt"}
        answer = service.client.post("/v1/images", content=data, params=labels).json()
        return [*answer["results"][0]["faces"][0]["probabilities"]]

    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(ask, range(24)))
    assert [("contempt" in labels) for labels in answers] == [n % 3 > 0 for n in range(24)]


def test_health_models_metrics_and_description(service: RunningService) -> None:
    get = service.client.get
    assert get("/healthz").json() == {"status": "ok"}
    assert get("/readyz").json() == {"status": "ready"}
    assert get("/v1/models").json()["models"][0] == "mien-mobilenet"
    service.client.get("/nothing/here")
    text = get("/metrics").text
    assert 'mien_requests_total{route="/healthz",status="200"}' in text
    assert 'mien_requests_total{route="other",status="404"}' in text
    assert "nothing/here" not in text
    paths = get("/openapi.json").json()["paths"]
    answer = paths["/v1/images"]["post"]["responses"]["200"]["content"]
    assert answer["application/json"]["example"]["results"][0]["faces"]
    assert "/v1/jobs/{job_id}/events" in paths
