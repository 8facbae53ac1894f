"""Data for the tests: what ships with mien, and the shared folder where it is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mien.types import Image

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
