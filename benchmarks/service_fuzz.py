"""Random requests to a service: none may end in a status of 500, and memory must not grow.

python benchmarks/service_fuzz.py [--requests 10000]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.service import RunningService
from service import memory_mb, resized

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
)
HEADERS = ("Accept", "Idempotency-Key", "Range", "Host", "Origin", "Content-Encoding", "Expect")


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
        return found

    def method(self) -> str:
        """An HTTP method."""
        return self._random.choice(METHODS)


def main() -> None:
    """Send the requests, and count the statuses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    count = parser.parse_args().requests
    statuses: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, RunningService(Path(folder)) as service:
        dice = Dice(resized(96, 96), ["1" * 32])
        before = 0.0
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
        assert service.client.get("/readyz").status_code == 200
        print(f"{count} requests: {dict(sorted(statuses.items()))}")
        print(f"memory after a fifth {before:.0f} MB, at the end {memory_mb(service):.0f} MB")


if __name__ == "__main__":
    main()
