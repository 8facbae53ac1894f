"""How much worse do answers get in little light, with a sensor's noise? A source of docs/.

    python scripts/light_limits.py --media ../shared/media

Photos with a sure expression and the cells of the London grid, at most 800 px along the longer
side, are darkened as by a sensor that gets less light: in linear light, with shot noise (Poisson),
read noise (Gaussian), 8 bits and JPEG. The shares of the light are those of the pixel values. Dark
skin is a median lightness L* below 50 between eyes and mouth, at full light.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from mien import EmotionAnalyzer
from mien.media.images import read_image
from mien.results.result import Result
from mien.types import Floats, Image

_SENSORS = {
    "large": (10_000, 3.0),
    "medium": (3_000, 3.0),
    "small": (1_000, 3.0),
}  # electrons at white, of noise
_LIGHTS = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02)
_DARK_SKIN = 50.0  # L* below which skin counts as dark here
_SIDE, _JPEG = 800, 90
#: Photos of one person whose names do not begin with their number.
_SAME = {"15cm": "cm", "60cm": "cm"} | {f"lisa{i}": "lisa" for i in range(1, 5)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a Markdown table for each sensor and skin, and one for all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--media", type=Path, required=True)
    parser.add_argument("--faces", type=Path, help="also write every face to this CSV")
    options = parser.parse_args(arguments)
    analyzer = EmotionAnalyzer()
    rng = np.random.default_rng(0)
    rows = []
    for person, label, image in _photos(options.media):
        clear = analyzer(image)
        if len(clear.faces) != 1 or clear.emotions[0] != label:
            print(f"left out, not right at full light: {person}", flush=True)
            continue
        skin = "dark" if _lightness(image, clear) < _DARK_SKIN else "light"
        for sensor, (full, read) in _SENSORS.items():
            for light in _LIGHTS:
                dim = _darkened(image, light, full, read, rng)
                rows.append(
                    {"sensor": sensor, "skin": skin, "light": light, "person": person}
                    | _judged(analyzer(dim), label)
                )
    table = pd.DataFrame(rows)
    if options.faces:
        table.to_csv(options.faces, index=False)
    for keys in (["sensor", "skin", "light"], ["light"]):
        head = [*keys, "faces", "people", "found", "right", "uncertain", "wrong"]
        print(f"\n| {' | '.join([*head, 'wrong, noisy', 'right, noisy'])} |")
        print(f"|{'---|' * (len(head) + 2)}")
        for which, part in table.groupby(keys):
            answers = Counter(part["answer"])
            noisy = Counter(part.loc[part["reason"] == "noisy", "answer"])
            cells = [*which, len(part), part["person"].nunique(), len(part) - answers["missed"]]
            cells += [answers[answer] for answer in ("right", "uncertain", "wrong")]
            print(f"| {' | '.join(map(str, [*cells, noisy['wrong'], noisy['right']]))} |")


def _photos(media: Path) -> Iterator[tuple[str, str, Image]]:
    """Person, expression and image of each face."""
    listed = pd.read_csv(media / "photos.csv")
    sure = listed[listed["file"].str.startswith("photos/") & (listed["label_sure"] == "yes")]
    for row in sure.dropna(subset="label").to_dict("records"):
        name = Path(str(row["file"])).stem
        image = read_image(media / str(row["file"]))
        scale = min(1.0, _SIDE / max(image.shape[:2]))
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        yield _SAME.get(name, name.split("_0")[0]), str(row["label"]), np.asarray(small, np.uint8)
    grid = read_image(media / "formats" / "london_grid_36.jpg")
    for cell in json.loads((media / "formats" / "london_grid_36.json").read_text()):
        x, y, width, height = cell["cell"]
        yield cell["id"], cell["label"], grid[y : y + height, x : x + width].copy()


def _darkened(
    image: Image, light: float, full: int, read: float, rng: np.random.Generator
) -> Image:
    """What a sensor stores of `image` where its pixel values are `light` times as high."""
    linear = _to_linear(image.astype(np.float64) / 255 * light)
    electrons = rng.poisson(linear * full) + rng.normal(0, read, image.shape)
    stored = np.rint(255 * _to_srgb(np.clip(electrons / full, 0, 1))).astype(np.uint8)
    done, coded = cv2.imencode(".jpg", stored[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG])
    assert done
    decoded = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])


def _to_linear(values: Floats) -> Floats:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _to_srgb(values: Floats) -> Floats:
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)


def _lightness(image: Image, result: Result) -> float:
    """Median L* of the skin between eyes and mouth corners, 0 to 100."""
    assert result.faces.landmarks is not None
    points = result.faces.landmarks[0][[0, 1, 4, 3]].round().astype(np.int32)
    mask = cv2.fillConvexPoly(np.zeros(image.shape[:2], np.uint8), points, 1)
    return float(np.median(cv2.cvtColor(image, cv2.COLOR_RGB2LAB)[mask > 0][:, 0]) / 2.55)


def _judged(result: Result, label: str) -> dict[str, object]:
    """How the largest face was judged, and how bright it is."""
    if not len(result.faces):
        return {"answer": "missed"}
    emotion = result.emotions[0]
    answer = emotion if emotion == "uncertain" else "right" if emotion == label else "wrong"
    brightest = result.crops[0].max(axis=2)
    return {
        "answer": answer,
        "emotion": emotion,
        "reason": str(result.quality.reason[0]),
        "sharpness": float(result.quality.sharpness[0]),
        "level": float(np.quantile(brightest, 0.99)),
        "median": float(np.median(brightest)),
        "probability": float(result.scores.values[0].max()),
    }


if __name__ == "__main__":
    main()
