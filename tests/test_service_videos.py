"""Video jobs of the service: results, repetition, cancellation, and ends by force."""

from __future__ import annotations

import io
import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from helpers.service import RunningService, redis_server
from helpers.videos import write_video

import mien
from mien.media.images import read_image

PARQUET = "application/vnd.apache.parquet"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of one smiling face that moves a little."""
    from conftest import astronaut_path

    face = read_image(astronaut_path())[20:340, 80:400]
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_video(path, [np.roll(face, 2 * n, 1) for n in range(20)], fps=10)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Iterator[RunningService]:
    options = ["--videos", str(clip.parent), "--max-frames", "60"]
    with RunningService(tmp_path_factory.mktemp("service"), *options) as running:
        yield running


@pytest.fixture(scope="module")
def done(service: RunningService, clip: Path) -> str:
    """The id of a job that is done."""
    job = service.submit(clip, name="film.mp4", annotate=True, affect=True)
    assert service.finished(job["id"])["state"] == "done"
    return str(job["id"])


def test_the_table_is_that_of_the_library(
    service: RunningService, done: str, clip: Path, tmp_path: Path
) -> None:
    url = f"/v1/jobs/{done}/tables/faces"
    faces = pd.read_parquet(
        io.BytesIO(service.client.get(url, headers={"Accept": PARQUET}).content)
    )
    expected = mien.EmotionAnalyzer(also="affect").video(clip).faces.assign(source="film.mp4")
    pd.testing.assert_frame_equal(faces, expected, check_dtype=False)
    text = service.client.get(url, headers={"Accept": "text/csv"}).text
    assert len(pd.read_csv(io.StringIO(text))) == len(expected) == 20
    lines = service.client.get(url, headers={"Accept": "application/x-ndjson"}).text
    assert json.loads(lines.splitlines()[3])["frame"] == 3


def test_pages_of_rows(service: RunningService, done: str) -> None:
    get, url = service.client.get, f"/v1/jobs/{done}/tables"
    page = get(f"{url}/images", params={"offset": 15, "limit": 3}).json()
    assert (page["total"], page["offset"]) == (20, 15)
    assert [row["frame"] for row in page["rows"]] == [15, 16, 17]
    assert get(f"{url}/images", params={"offset": 99}).json()["rows"] == []
    (segment,) = get(f"{url}/segments").json()["rows"]
    assert segment["emotion"] == "happiness"
    assert {row["track_id"] for row in get(f"{url}/summary").json()["rows"]} == {1, None}
    assert get(f"{url}/passwords").status_code == 400


def test_page_video_and_face(service: RunningService, done: str, clip: Path) -> None:
    get, url = service.client.get, f"/v1/jobs/{done}"
    page = get(f"{url}/report")
    assert "film.mp4" in page.text
    assert "sandbox" in page.headers["content-security-policy"]
    assert len(list(mien.VideoSource(_saved(get(f"{url}/annotated").content, clip)))) == 20
    assert get(f"{url}/video").content == clip.read_bytes()
    part = get(f"{url}/video", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, clip.read_bytes()[10:20])
    assert read_image(get(f"{url}/people/1/face").content).shape[2] == 3
    assert get(f"{url}/people/7/face").status_code == 404


def _saved(content: bytes, clip: Path) -> Path:
    path = clip.with_name("annotated.mp4")
    path.write_bytes(content)
    return path


def test_events_until_the_end(service: RunningService, clip: Path) -> None:
    job = service.submit(clip)
    with service.client.stream("GET", f"/v1/jobs/{job['id']}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]
    assert lines[-2] == "event: end"
    last = json.loads(lines[-1].removeprefix("data: "))
    assert (last["state"], last["share"], last["frames"]) == ("done", 1.0, 20)
    assert "video" not in last


def test_a_form_and_a_path(service: RunningService, clip: Path) -> None:
    post = service.client.post
    form = post("/v1/videos", files={"video": ("../my film.mp4", clip.read_bytes())})
    named = post("/v1/videos", json={"path": clip.name}, params={"every": 2})
    assert form.headers["location"] == f"/v1/jobs/{form.json()['id']}"
    first, second = (service.finished(answer.json()["id"]) for answer in (form, named))
    assert (first["source"], first["state"], first["frames"]) == ("my film.mp4", "done", 20)
    assert (second["source"], second["state"], second["frames"]) == ("clip.mp4", "done", 10)


@pytest.mark.parametrize("path", ["../clip.mp4", "/etc/passwd", "nothing.mp4", "", "a\0b", "link"])
def test_no_path_leads_out_of_the_folder(service: RunningService, clip: Path, path: str) -> None:
    link = clip.with_name("link")
    if not link.is_symlink():
        link.symlink_to("/etc/passwd")
    response = service.client.post("/v1/videos", json={"path": path})
    assert response.status_code == 404, response.text


def test_what_is_no_video_makes_no_job(service: RunningService, photo: Path, clip: Path) -> None:
    post, before = service.client.post, service.client.get("/v1/jobs").json()["total"]
    kind = {"Content-Type": "video/mp4"}
    playlist = b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"
    for data, status in ((b"", 400), (b"words", 422), (playlist, 422), (photo.read_bytes(), 422)):
        assert post("/v1/videos", content=data, headers=kind).status_code == status
    for body in (b"{", b"[]", b'{"path": 3}', b"[" * 9000, b'{"path": "' + b"x" * 20_000):
        json_kind = {"Content-Type": "application/json"}
        assert post("/v1/videos", content=body, headers=json_kind).status_code == 400
    for wrong in ({"fps": "0"}, {"end": "inf"}, {"start": "1e999"}):
        real = clip.read_bytes()
        assert post("/v1/videos", content=real, headers=kind, params=wrong).status_code == 400
    assert service.client.get("/v1/jobs").json()["total"] == before
    assert service.client.get("/readyz").status_code == 200


def test_a_broken_or_too_long_video_fails_with_a_sentence(
    service: RunningService, clip: Path, tmp_path: Path
) -> None:
    head = tmp_path / "head.mp4"
    head.write_bytes(clip.read_bytes()[:300])
    job = service.finished(service.submit(head, name="head.mp4")["id"])
    assert job["state"] == "failed"
    assert job["error"].startswith("head.mp4 ")
    answer = service.client.get(f"/v1/jobs/{job['id']}/report")
    assert (answer.status_code, "head.mp4" in answer.json()["detail"]) == (409, True)
    long = write_video(tmp_path / "long.mp4", frames=70)
    job = service.finished(service.submit(long, name="long.mp4")["id"])
    assert "more than 60 frames" in job["error"]


def test_a_repeated_request_gets_the_same_job(service: RunningService, clip: Path) -> None:
    first = service.submit(clip, key="study 7, clip 3", every=5)
    again = service.submit(clip, key="study 7, clip 3", every=5)
    assert again["id"] == first["id"]
    other = service.client.post(
        "/v1/videos", content=b"x", headers={"Idempotency-Key": "study 7, clip 3"}
    )
    assert other.status_code == 422
    assert service.submit(clip, key="study 7, clip 4", every=5)["id"] != first["id"]


def test_canceling_deletes_the_files(service: RunningService, clip: Path) -> None:
    job = service.submit(clip, annotate=True)
    url = f"/v1/jobs/{job['id']}"
    assert service.client.delete(url).json()["state"] == "canceled"
    assert service.client.get(url).json()["state"] == "canceled"
    folder = service.data / "jobs" / job["id"]
    until = time.monotonic() + 30
    while {path.name for path in folder.iterdir()} - {"job.json", "lock", "cancel"}:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert service.client.get(f"{url}/report").status_code == 410
    assert service.client.get(url).json()["state"] == "canceled"


def test_too_many_jobs_must_wait(tmp_path: Path, clip: Path) -> None:
    with RunningService(tmp_path, "--max-jobs", "2", "--no-worker") as service:
        job = service.submit(clip)
        service.submit(clip)
        third = service.client.post("/v1/videos", content=clip.read_bytes())
        assert third.status_code == 429
        assert int(third.headers["retry-after"]) > 0
        assert service.client.get(f"/v1/jobs/{job['id']}/report").status_code == 409
        service.client.delete(f"/v1/jobs/{job['id']}")
        service.submit(clip)


def test_jobs_expire(tmp_path: Path, clip: Path) -> None:
    with RunningService(tmp_path, "--keep", "0") as service:
        job = service.submit(clip)
        until = time.monotonic() + 60
        while service.client.get(f"/v1/jobs/{job['id']}").status_code != 404:
            assert time.monotonic() < until
            time.sleep(0.2)
        assert not (tmp_path / "jobs" / job["id"]).exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds workers by /proc")
def test_killed_servers_and_workers_lose_nothing(tmp_path: Path, clip: Path) -> None:
    ended: dict[str, float] = {}
    with RunningService(tmp_path) as service:
        jobs = [service.submit(clip, annotate=number == 1)["id"] for number in range(3)]
        for pause in (0.3, 1.1, 1.9):
            time.sleep(pause)
            for job_id in jobs:
                job = service.client.get(f"/v1/jobs/{job_id}").json()
                assert ended.get(job_id) in (None, job["ended_s"])  # none is done twice
                if job["state"] == "done":
                    ended[job_id] = job["ended_s"]
            service.kill()
            service.start()
        for job_id in jobs:
            job = service.finished(job_id)
            assert job["state"] == "done", job
            assert ended.get(job_id) in (None, job["ended_s"])
            assert service.client.get(f"/v1/jobs/{job_id}/tables/faces").json()["total"] == 20


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_workers_share_a_queue_in_redis(tmp_path: Path, clip: Path) -> None:
    with ExitStack() as stack:
        options = ["--redis", redis_server(stack, tmp_path)]
        data = tmp_path / "data"
        service = stack.enter_context(RunningService(data, *options, "--no-worker"))
        workers = [service.worker(*options) for _ in range(2)]
        jobs = [service.submit(clip)["id"] for _ in range(4)]
        time.sleep(1.5)
        workers[0].kill()
        workers[0].wait()
        assert [service.finished(job_id)["state"] for job_id in jobs] == ["done"] * 4
        workers[1].terminate()
        workers[1].wait()
