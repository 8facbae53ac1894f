"""What every peer gets: photos, faces of FER+, a 720p video, the London video, damaged files."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import cv2
from video import make_film

#: Every n-th image of the list, so that the slowest peer needs less than a minute.
STEP = 6


def prepare(work: Path, shared: Path) -> None:
    """Fill the folder `work` from the folder of media and data."""
    shutil.rmtree(work, ignore_errors=True)
    (work / "crops").mkdir(parents=True)
    (work / "empty").mkdir()
    photos = [shared / "media" / row["file"] for row in photo_rows(shared)]
    (work / "photos.json").write_text(json.dumps([str(path) for path in photos]))
    shutil.copy(shared / "media/photos/astronaut.png", work / "cold.png")
    shutil.copy(shared / "media/videos/london_timeline.mp4", work / "london.mp4")
    shutil.copy(shared / "media/formats/astronaut_truncated_baseline.jpg", work / "truncated.jpg")
    (work / "text.jpg").write_text("This is no image.\n")
    make_film(work / "film.mp4", seconds=60)
    write_crops(work / "crops", shared)


def photo_rows(shared: Path) -> list[dict[str, str]]:
    """Rows of ``photos.csv`` that are photos, not derived formats."""
    with (shared / "media/photos.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["file"].startswith("photos/")]


def write_crops(folder: Path, shared: Path) -> None:
    """Every sixth image of FER+'s ``literature_test``, as color PNG files of 48 pixels."""
    import numpy as np
    import pandas as pd
    from PIL import Image

    names = list(votes(shared))
    data = pd.read_parquet(shared / "data/ferplus/test.parquet", columns=["image"])
    images = {image["path"]: image["bytes"] for image in data["image"]}
    for name in names:
        gray = np.asarray(Image.open(io.BytesIO(images[name])).convert("L"))
        cv2.imwrite(str(folder / name), cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR))


def votes(shared: Path) -> dict[str, tuple[str, dict[str, int]]]:
    """By image: the label of the majority and the votes by label."""
    import pandas as pd

    rows = pd.read_csv(shared / "data/ferplus/lists/literature_test.csv").iloc[::STEP]
    data = pd.read_parquet(shared / "data/ferplus/test.parquet")
    paths = [image["path"] for image in data["image"]]
    labels = [name for name in data.columns if name.startswith("votes_")]
    labels = [name for name in labels if name not in ("votes_unknown", "votes_not_a_face")]
    counts = dict(zip(paths, data[labels].to_numpy().tolist(), strict=True))
    names = [label.removeprefix("votes_") for label in labels]
    return {
        str(image): (str(label), dict(zip(names, counts[image], strict=True)))
        for image, label in zip(rows["image"], rows["label"], strict=True)
    }
