"""Similarity of images of one person and of two. The source of the threshold in docs/people.md.

    python scripts/identity.py --data FERPLUS [--media MEDIA]

Chosen on the validation images of FER+: nearly all pairs of them are two people, so they tell how
often strangers come out alike. A track is the mean of many views of a face, which are more alike
than single images; here each track is a image and five moved, turned, mirrored and lit ones.
Rows that are copies of one another are left out as pairs. The test images, and the photos and
videos of `--media`, only check the choice.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image as PilImage

from mien import EmotionAnalyzer, Timeline, VideoSource
from mien.evaluation import to_crops
from mien.expressions.onnx import OnnxClassifier
from mien.labels import IDENTITY
from mien.people.identities import THRESHOLD, Tracks
from mien.plugins import model_path
from mien.timeline.concat import join
from mien.types import FloatArray, Image

VIEWS = 6
RATES = (1e-2, 1e-3, 1e-4)
FILMS = ("london_timeline.mp4", "london_timeline_vfr.mp4")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--media", type=Path)
    options = parser.parse_args(arguments)
    print(
        "| strangers of FER+ | pairs | " + " | ".join(f"1 in {1 / r:,.0f}" for r in RATES), end=""
    )
    print(f" | at {THRESHOLD} or more: 1 in |\n|---|--:|" + "--:|" * (len(RATES) + 1))
    for split in ("validation", "test"):
        for views in (1, VIEWS):
            cosines = strangers(options.data / f"{split}.parquet", views)
            told = " | ".join(f"{np.quantile(cosines, 1 - rate):.3f}" for rate in RATES)
            wrong = len(cosines) / max(1, int((cosines >= THRESHOLD).sum()))
            kind = "tracks" if views > 1 else "single pictures"
            print(f"| {split}, {kind} | {len(cosines):,} | {told} | {wrong:,.0f} |", flush=True)
    if options.media is not None:
        photos(options.media / "photos")
        films(options.media / "videos")


def strangers(path: Path, views: int) -> FloatArray:
    """Cosines of all pairs of pictures that are no copies of one another."""
    table = pd.read_parquet(path)
    rows = [PilImage.open(io.BytesIO(image["bytes"])).convert("L") for image in table["image"]]
    pictures = np.stack([np.asarray(row, np.uint8) for row in rows])
    model = OnnxClassifier(model_path("mien-mobilenet"), threads=1, also=(IDENTITY,))
    rng = np.random.default_rng(0)
    total: FloatArray = np.zeros((len(pictures), 1), np.float32)
    for view in range(views):
        seen = pictures if not view else np.stack([moved(p, rng, view % 2 == 1) for p in pictures])
        scores = model.classify(to_crops(seen, model.input_size))
        total = total + scores.embeddings[IDENTITY]
    tracks = total / np.linalg.norm(total, axis=1, keepdims=True)
    copies = table["duplicate_group"].to_numpy(np.float64)
    pairs = np.triu_indices(len(tracks), 1)
    other = copies[pairs[0]] != copies[pairs[1]]  # also where there is no number
    return np.asarray((tracks @ tracks.T)[pairs][other], np.float32)


def moved(picture: Image, rng: np.random.Generator, mirrored: bool) -> Image:
    """A picture `(h, w)` as a tracker would cut it out a moment later, in another light."""
    side = picture.shape[0]
    matrix = cv2.getRotationMatrix2D(
        (side / 2, side / 2), rng.uniform(-8, 8), rng.uniform(0.94, 1.06)
    )
    matrix[:, 2] += rng.uniform(-0.04, 0.04, 2) * side
    turned = cv2.warpAffine(picture, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    lit = np.clip(turned.astype(np.float32) * rng.uniform(0.85, 1.15), 0, 255)
    return np.asarray(lit[:, ::-1] if mirrored else lit, np.uint8)


def photos(folder: Path) -> None:
    """Cosines of photos of one person and of two: people of the London set, and one other."""
    paths = sorted([*folder.glob("[0-9]*_0[38].jpg"), *folder.glob("lisa?.jpg")])
    people = np.array([p.stem[:4] if p.stem.startswith("lisa") else p.stem[:3] for p in paths])
    analyzer = EmotionAnalyzer(also=(IDENTITY,))
    results = list(analyzer.analyze([str(path) for path in paths]))
    vectors = np.stack([result.scores.embeddings[IDENTITY][0] for result in results])
    show("photos", vectors, people)


def films(folder: Path) -> None:
    """Cosines of tracks in films that show the same eight people."""
    analyzer = EmotionAnalyzer(also=(IDENTITY,))
    both = join(
        [Timeline.from_results(analyzer.stream(VideoSource(folder / name))) for name in FILMS]
    )
    assert both.embeddings is not None
    tracks = Tracks(both.faces, np.zeros(len(both.faces)), both.embeddings.of(both.faces, IDENTITY))
    found = both.identify().tracks
    people = (found["first_s"] // 3).to_numpy()  # three seconds each
    show("tracks of films", tracks.vectors, people)
    alone = both.source(both.sources[0])
    counts = len(alone.identify()), len(both.identify())
    print(f"\n{FILMS[0]}: {counts[0]} people; both videos: {counts[1]} people")


def show(what: str, vectors: FloatArray, people: npt.NDArray[np.generic]) -> None:
    """Print how alike one person's and two people's vectors are."""
    pairs = np.triu_indices(len(vectors), 1)
    cosines = (vectors @ vectors.T)[pairs]
    same = people[pairs[0]] == people[pairs[1]]
    print(f"\n| {what} | pairs | least | median | most | at {THRESHOLD} or more |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, chosen in (("one person", same), ("two people", ~same)):
        some = cosines[chosen]
        told = f"{some.min():.2f} | {np.median(some):.2f} | {some.max():.2f}"
        print(f"| {name} | {len(some)} | {told} | {(some >= THRESHOLD).sum()} |", flush=True)


if __name__ == "__main__":
    main()
