"""Random requests to a service: none may end in a status of 500, and memory must not grow.

    python benchmarks/service_fuzz.py [--requests 10000] [--schemathesis PROGRAM]

With --schemathesis, the requests are those that Schemathesis derives from the description at
/openapi.json (`pip install schemathesis` in an environment of its own; PROGRAM is its command).
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.service import RunningService
from helpers.videos import write_video
from service import PHOTO, memory_mb, resized

from mien.media.images import read_image

METHODS = ("GET", "POST", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")
WORDS = (
    "",
    "0",
    "-1",
    "1e309",
    "nan",
    "true",
    "null",
    "a" * 300,
    "../..",
    "%00",
    "é",
    "mtcnn",
    "\0",
)
PARAMETERS = (
    *("detector", "model", "min_score", "uncertain_below", "without", "affect", "attributes"),
    *("fps", "every", "start", "end", "width", "stream", "adaptive", "name", "limit", "offset"),
)
TYPES = (
    *("application/json", "multipart/form-data; boundary=x", "multipart/form-data", "video/mp4"),
    *("text/plain", "", "application/x-www-form-urlencoded", "image/jpeg"),
    *("application/offset+octet-stream",) * 2,
)
HEADERS = ("Accept", "Idempotency-Key", "Range", "Host", "Origin", "Content-Encoding", "Expect")
TUS = ("Upload-Length", "Upload-Offset", "Upload-Metadata", "X-HTTP-Method-Override")


class Dice:
    """Makes requests at random.

    Args:
        image: a JPEG, to be damaged.
        jobs: ids that exist.
    """

    def __init__(self, image: bytes, jobs: list[str]) -> None:
        self._random, self._image, self._jobs = random.Random(11), image, jobs

    def path(self) -> str:
        """An address of the service, or nearly one."""
        job = self._random.choice([*self._jobs, "0" * 32, "x", "..%2f..", "%00"])
        tails = ["", "/events", "/tables/faces", "/tables/summary", "/report", "/annotated"]
        tails += ("/video", "/people/1/face", "/people/-1/face", "/tables/x", "/%2e%2e/secret")
        places = ["/v1/images"] * 4 + ["/v1/videos", "/v1/models", "/metrics", "/v1/jobs"]
        places += ["/openapi.json", "/healthz", "/", "//", "/v1/stream", "/%ff"]
        places += ["/v1/uploads"] * 2 + [f"/v1/uploads/{job}"] * 2
        places += [f"/v1/jobs/{job}{self._random.choice(tails)}"] * 4
        query = [f"{self._random.choice(PARAMETERS)}={quote(self._random.choice(WORDS))}"]
        return self._random.choice(places) + ("?" + query[0]) * self._random.randint(0, 1)

    def body(self) -> bytes:
        """A body that is an image, nearly one, a form, or noise."""
        data = bytearray(self._image)
        for _ in range(self._random.choice((0, 1, 5, 200))):
            data[self._random.randrange(len(data))] = self._random.randrange(256)
        damaged = bytes(data[: self._random.choice((len(data), 500, 20))])
        form = b'--x\r\nContent-Disposition: form-data; name="a"; filename="%s"\r\n\r\n'
        forms = form % self._random.randbytes(9) + damaged + b"\r\n--x--\r\n"
        json = b'{"path": "%s"}' % self._random.choice(WORDS).encode()
        return self._random.choice((damaged, forms, forms[:60], json, b"{", b""))

    def headers(self) -> dict[bytes, bytes]:
        """A type, and perhaps another header."""
        found = {b"Content-Type": self._random.choice(TYPES).encode()}
        if self._random.random() < 0.3:
            value = self._random.choice((*WORDS[:-1], "text/csv", "bytes=5-1", "*/*;q=x"))
            found[self._random.choice(HEADERS).encode()] = value.encode()
        if self._random.random() < 0.4:
            found[b"Tus-Resumable"] = b"1.0.0"
            for name in TUS:
                value = self._random.choice(("0", "10", "20", "PATCH", "DELETE", "filename eA=="))
                found[name.encode()] = value.encode()
        return found

    def method(self) -> str:
        """An HTTP method."""
        return self._random.choice(METHODS)


def send(service: RunningService, count: int, jobs: list[str]) -> None:
    """Send requests, and print their statuses and what they cost."""
    statuses: Counter[str] = Counter()
    dice, before = Dice(resized(96, 96), jobs), 0.0
    for number in range(count):
        method, path, headers = dice.method(), dice.path(), dice.headers()
        try:
            answer = service.client.request(
                method, path, headers=headers, content=dice.body(), timeout=20
            )
        except (httpx.RemoteProtocolError, httpx.LocalProtocolError, httpx.InvalidURL) as error:
            statuses[type(error).__name__] += 1
            continue
        statuses[str(answer.status_code)] += 1
        assert answer.status_code != 500, (method, path, headers, answer.text)
        if number == count // 5:
            before = memory_mb(service)
    print(f"{count} requests: {dict(sorted(statuses.items()))}")
    print(f"memory after a fifth {before:.0f} MB, at the end {memory_mb(service):.0f} MB")


def describe(service: RunningService, count: int, job_id: str, program: str) -> None:
    """Let Schemathesis send requests: any ids, then those of a job that is done."""
    folder = Path(__file__).parent
    settings = service.data.with_name("schemathesis.toml")
    settings.write_text(f'[parameters]\n"path.job_id" = "{job_id}"\n')
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    environment["SCHEMATHESIS_HOOKS"] = "schemathesis_hooks"
    routes = service.client.get("/openapi.json").json()["paths"]
    each = str(count // sum(map(len, routes.values())))
    options = ["-c", "not_a_server_error", "-n", each, "--continue-on-failure", "--seed", "7"]
    options += ["--suppress-health-check", "all", "--no-shrink", "--mode", "all"]
    options += ["--phases", "examples,coverage,fuzzing"]
    for first, last in (
        ([], []),
        (
            ["--config-file", str(settings)],
            ["--exclude-method", "DELETE", "--include-path-regex", "job_id"],
        ),
    ):
        command = [program, *first, "run", f"{service.address}/openapi.json", *options, *last]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder)
        print(done.stdout[done.stdout.find("SUMMARY") :])
    pattern = r'mien_requests_total\{route="[^"]*",status="(\d+)"\} ([\d.]+)'
    statuses: Counter[str] = Counter()
    for status, number in re.findall(pattern, service.client.get("/metrics").text):
        statuses[status] += int(float(number))
    assert not statuses["500"]
    print(f"{statuses.total()} requests: {dict(sorted(statuses.items()))}")
    print(f"memory at the end {memory_mb(service):.0f} MB")


def main() -> None:
    """Start a service with a job that is done, and send the requests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--schemathesis")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = write_video(folder / "clip.mp4", [read_image(PHOTO)] * 10, fps=10)
        with RunningService(folder / "data", "--max-jobs", "100000") as service:
            job = service.finished(service.submit(clip, annotate=True)["id"])
            if chosen.schemathesis:
                describe(service, chosen.requests, job["id"], chosen.schemathesis)
            else:
                send(service, chosen.requests, [job["id"], "1" * 32])
            assert service.client.get("/readyz").status_code == 200


if __name__ == "__main__":
    main()
