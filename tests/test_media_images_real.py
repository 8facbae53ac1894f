"""One real image in every encoding, orientation and state of damage; needs ../shared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as PilImage

from mien.errors import ImageError
from mien.media.images import read_image

FORMATS = Path(__file__).resolve().parents[2] / "shared" / "media" / "formats"

pytestmark = pytest.mark.skipif(not FORMATS.is_dir(), reason=f"there is no {FORMATS}")


def far(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(float) - b).mean())


@pytest.mark.parametrize(
    ("name", "gray", "most"),
    [
        ("astronaut.avif", False, 4),
        ("astronaut.heic", False, 3),
        ("astronaut.webp", False, 4),
        ("astronaut_2page.tif", False, 0),
        ("astronaut_cmyk.jpg", False, 3),
        ("astronaut_gray.jpg", True, 2),
        ("astronaut_gray16.png", True, 1),
        ("astronaut_la.png", True, 1),
        ("astronaut_palette.png", False, 6),
        ("astronaut_palette_trns.png", False, 6),
        ("astronaut_progressive.jpg", False, 4),
        ("astronaut_rgb16.png", False, 1),
    ],
)
def test_real_files_show_the_astronaut(name: str, gray: bool, most: float) -> None:
    reference = read_image(FORMATS / "astronaut.bmp")
    if gray:
        reference = read_image(PilImage.fromarray(reference).convert("L"))
    assert far(read_image(FORMATS / name), reference) <= most


def test_real_cut_out_keeps_the_face_and_hides_the_rest() -> None:
    image, reference = (
        read_image(FORMATS / name) for name in ("astronaut_rgba_circle.png", "astronaut.bmp")
    )
    assert image[0, 0].tolist() == [128] * 3
    assert far(image[100:200, 200:300], reference[100:200, 200:300]) == 0


@pytest.mark.parametrize("orientation", range(2, 9))
def test_real_orientations(orientation: int) -> None:
    reference = read_image(FORMATS / "exif_orient_1.jpg")
    assert far(read_image(FORMATS / f"exif_orient_{orientation}.jpg"), reference) < 2


def test_every_real_file_is_an_image_or_a_clear_error() -> None:
    broken = {"astronaut_truncated.jpg", "astronaut_truncated_baseline.jpg", "not_an_image.jpg"}
    paths = [path for path in FORMATS.iterdir() if path.suffix != ".json"]
    assert broken < {path.name for path in paths}
    for path in paths:
        if path.name in broken:
            with pytest.raises(ImageError, match=r"is cut off|is a text file"):
                read_image(path)
        else:
            image = read_image(path)
            assert image.ndim == 3
            assert image.std() > 20
