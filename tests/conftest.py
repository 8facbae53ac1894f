"""Data for the tests: what ships with mien, and the shared folder where it is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.types import Image


def pytest_configure() -> None:
    """Give each worker of pytest-xdist a core of its own.

    Networks take a thread for each core that their process may use; threads of several workers
    on the same cores would only be in each other's way.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker) % len(cores)]})


SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with pictures and data that are not part of this repository."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared (pictures and data) is not here")
    return SHARED


@pytest.fixture(scope="session")
def astronaut() -> Image:
    """The photo that ships with mien: one smiling face."""
    from mien.media.images import read_image

    return read_image(astronaut_path())


def astronaut_path() -> Path:
    return Path(__file__).parents[1] / "src" / "mien" / "assets" / "astronaut.jpg"


@pytest.fixture
def photo() -> Path:
    return astronaut_path()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(scope="module")
def plain_faces_are_fit() -> Iterator[None]:
    """Flat squares count as sharp, for tests whose faces are painted in one color."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mien.faces.quality.MIN_SHARPNESS", 0.0)
        yield


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any]]:
    """An S3 server with a bucket ``faces``: its switch for failures, and a client."""
    from helpers.s3 import s3_server

    from mien import stores

    stores.open_store.cache_clear()
    with s3_server(monkeypatch) as (front, client):
        client.create_bucket(Bucket="faces")
        yield front, client
    stores.open_store.cache_clear()
