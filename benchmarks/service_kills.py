"""Kills the server and its workers in the middle of jobs: nothing lost, nothing done twice.

    python benchmarks/service_kills.py [--rounds 20] [--redis]

In each round three videos are sent, everything is killed with SIGKILL at a random moment and
started again. With --redis, the queue is in Redis (redis-server must be installed), two workers
share the jobs, and one of them is killed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.service import RunningService, redis_server
from helpers.videos import write_video

import mien
from mien.media.images import read_image

PHOTO = Path(mien.__file__).parent / "assets" / "astronaut.jpg"


def check(service: RunningService, jobs: list[str], ended: dict[str, Any]) -> None:
    """Make sure that what clients were told is still true."""
    for job_id in jobs:
        job = service.client.get(f"/v1/jobs/{job_id}").json()
        assert job["id"] == job_id
        assert ended.setdefault(job_id, job["ended_s"]) in (None, job["ended_s"]), "done twice"
        if ended[job_id] is None:
            ended[job_id] = job["ended_s"]


def main() -> None:
    """Do all rounds, and print how many attempts the jobs took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--redis", action="store_true")
    chosen = parser.parse_args()
    dice, attempts, ended = random.Random(7), [], dict[str, Any]()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        face = read_image(PHOTO)[20:340, 80:400]
        clip = write_video(folder / "clip.mp4", [np.roll(face, n, 1) for n in range(30)])
        data, options = folder / "data", list[str]()
        if chosen.redis:
            options = ["--redis", redis_server(stack, folder), "--no-worker"]
        service = stack.enter_context(RunningService(data, *options))

        workers = [service.worker(*options[:2]) for _ in range(2)] if chosen.redis else []
        for number in range(chosen.rounds):
            jobs = [service.submit(clip)["id"] for _ in range(3)]
            time.sleep(dice.uniform(0, 3.5))
            check(service, jobs, ended)
            service.kill()
            if workers:
                workers[number % 2].kill()
                workers[number % 2].wait()
                workers[number % 2] = service.worker(*options[:2])
            service.start()
            for job_id in jobs:
                job = service.finished(job_id)
                assert job["state"] == "done", job
                rows = service.client.get(f"/v1/jobs/{job_id}/tables/faces").json()
                assert rows["total"] == 30, rows["total"]
                attempts.append(job["attempt"])
            check(service, list(ended), ended)
        for process in workers:
            process.terminate()
            process.wait()
    print(f"{len(attempts)} jobs in {chosen.rounds} rounds, all done once; attempts: ", end="")
    print({n: attempts.count(n) for n in sorted(set(attempts))})


if __name__ == "__main__":
    main()
