"""Similarity of images of one person and of two: the source of the figures in docs/people.md.

    python scripts/identity.py --media MEDIA [--data FERPLUS]

Nobody here trained the identity network, and none of these images was used to train it. Nearly all
pairs of images in FER+ show two people, so they say how often strangers are taken for one person in
small gray images of all kinds. The photos of `--media` are of the Face Research Lab London Set (one
neutral and one smiling portrait, and cells of its grids) and of one other woman. Smaller, darker
and compressed copies of them say from which quality on people are not found again.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from people_check import photos
from PIL import Image as PilImage

from mien import EmotionAnalyzer, Timeline, VideoSource, load_detector, read_image
from mien.faces.detectors.weights import weights
from mien.labels import IDENTITY
from mien.people.identities import THRESHOLD, Tracks
from mien.plugins import load_identity
from mien.timeline.concat import join
from mien.types import FloatArray, Image

RATES = (1e-2, 1e-3, 1e-4, 1e-5)
VIDEOS = ("london_timeline.mp4", "london_timeline_vfr.mp4")
ONE_PERSON = ("lisa1", "lisa2", "lisa3", "lisa4", "15cm", "60cm")
_SIDE, _EDGE = 192, 32


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--media", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args(arguments)
    people(options.media)
    videos(options.media / "videos")
    if options.data is not None:
        strangers(options.data)


def people(media: Path) -> None:
    """Cosines of photos of one person and of two, and of worse copies of these photos."""
    given = [*photos(media), *others(media / "photos")]
    names = np.array([name for name, _ in given])
    images = [image for _, image in given]
    whole = vectors_of(images)
    show("photos", whole, whole, names)
    for name, worse in COPIES.items():
        copies = vectors_of([worse(image) for image in images])
        show(f"photos and copies, {name}", whole, copies, names)


def others(folder: Path) -> Iterator[tuple[str, Image]]:
    """Photos of one more person, by two cameras in two rooms."""
    for name in ONE_PERSON:
        yield "lisa", read_image(folder / f"{name}.jpg")


def vectors_of(images: Sequence[Image]) -> FloatArray:
    """``(n, d)``: of the largest face of each; NaN where none is detected."""
    detector, identity = load_detector("yunet", model_path=weights("yunet")), load_identity()
    rows = []
    for image in images:
        found = identity(image, detector.detect(image)[:1])
        rows.append(found[0] if len(found) else np.full(found.shape[1], np.nan, np.float32))
    return np.stack(rows)


def shrunk(side: int) -> Callable[[Image], Image]:
    """A function that shrinks an image until its face has `side` pixels."""

    def worse(image: Image) -> Image:
        faces = load_detector("yunet", model_path=weights("yunet")).detect(image)
        width, height = faces.boxes[0, 2:] - faces.boxes[0, :2]
        scale = side / max(width, height)
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8)

    return worse


def compressed(image: Image) -> Image:
    """A face of 96 pixels, as JPEG of quality 15."""
    _, data = cv2.imencode(".jpg", shrunk(96)(image), [cv2.IMWRITE_JPEG_QUALITY, 15])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def dark(image: Image) -> Image:
    """A face of 96 pixels with a tenth of the light and the noise of a sensor."""
    small = shrunk(96)(image).astype(np.float32) * 0.1
    noise = np.random.default_rng(0).normal(0, 2, small.shape)
    return np.asarray(np.clip(small + noise, 0, 255), np.uint8)


COPIES: dict[str, Callable[[Image], Image]] = {
    **{f"face of {side} px": shrunk(side) for side in (96, 64, 48, 32, 24)},
    "96 px, JPEG of quality 15": compressed,
    "96 px, a tenth of the light": dark,
}


def videos(folder: Path) -> None:
    """Cosines of tracks in videos that show the same eight people."""
    analyzer = EmotionAnalyzer(also=(IDENTITY,))
    both = join(
        [Timeline.from_results(analyzer.stream(VideoSource(folder / name))) for name in VIDEOS]
    )
    assert both.embeddings is not None
    tracks = Tracks(both.faces, np.zeros(len(both.faces)), both.embeddings.of(both.faces, IDENTITY))
    found = both.identify().tracks
    persons = (found["first_s"] // 3).to_numpy()  # three seconds each
    show("tracks of videos", tracks.vectors, tracks.vectors, persons)
    alone = both.source(both.sources[0])
    counts = len(alone.identify()), len(both.identify())
    print(f"\n{VIDEOS[0]}: {counts[0]} people; both videos: {counts[1]} people")


def show(what: str, ones: FloatArray, others: FloatArray, names: npt.NDArray[np.generic]) -> None:
    """Print how similar one person's and two people's vectors are."""
    found = np.isfinite(others[:, 0])
    first, second = np.triu_indices(len(ones), 0 if ones is not others else 1)
    first, second = first[found[second]], second[found[second]]
    cosines = (ones[first] * others[second]).sum(axis=1)
    same = names[first] == names[second]
    print(f"\n| {what} ({found.sum()} of {len(found)}) | pairs | least | mean | most | joined |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, chosen in (("one person", same), ("two people", ~same)):
        some = cosines[chosen]
        values = f"{some.min():.2f} | {some.mean():.2f} | {some.max():.2f}"
        print(f"| {name} | {len(some):,} | {values} | {(some >= THRESHOLD).sum()} |", flush=True)


def strangers(data: Path) -> None:
    """Rates at which pairs of FER+ reach a cosine; pairs of copies are left out."""
    heads = " | ".join(f"1 in {1 / rate:,.0f}" for rate in RATES)
    print(f"\n| FER+ | pairs | {heads} | at {THRESHOLD} or more |")
    print("|---|--:|" + "--:|" * (len(RATES) + 1))
    for split in ("validation", "test"):
        table = pd.read_parquet(data / f"{split}.parquet")
        images = [enlarged(image["bytes"]) for image in table["image"]]
        vectors = vectors_of(images)
        found = np.isfinite(vectors[:, 0])
        vectors = vectors[found]
        copies = table["duplicate_group"].to_numpy(np.float64)[found]
        pairs = np.triu_indices(len(vectors), 1)
        other = copies[pairs[0]] != copies[pairs[1]]  # also where there is no number
        cosines = (vectors @ vectors.T)[pairs][other]
        values = " | ".join(f"{np.quantile(cosines, 1 - rate):.3f}" for rate in RATES)
        count = int((cosines >= THRESHOLD).sum())
        print(f"| {split} | {len(cosines):,} | {values} | {count:,} |", flush=True)


def enlarged(data: bytes) -> Image:
    """An image of FER+ as the detector needs it."""
    image = np.asarray(PilImage.open(io.BytesIO(data)).convert("RGB"), np.uint8)
    large = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
    edges = (_EDGE, _EDGE, _EDGE, _EDGE)
    return np.asarray(cv2.copyMakeBorder(large, *edges, cv2.BORDER_REPLICATE), np.uint8)


if __name__ == "__main__":
    main()
