"""How many photos of FER+ occur twice, and what that does to a model's figure.

    python scripts/ferplus_twins.py --data FERPLUS [--sheet twins.png]

Compares what `mien.datasets.duplicates` finds with the column ``duplicate_group`` of the data, and
prints the accuracy on the literature list with and without the rows whose twin is in training.
Last, 1,500 validation images are changed in known ways: how many are still found?
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien import load_classifier
from mien.datasets import SPLITS, Duplicates, LabelledFaces, duplicates, load_faces
from mien.datasets.duplicates import twin_groups
from mien.datasets.loading import thumbnail
from mien.evaluation import predict
from mien.types import Image, IntArray

Pairs = set[tuple[int, int]]


def main() -> None:
    """Print the findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the FER+ splits")
    parser.add_argument("--model", default="mien-mobilenet")
    parser.add_argument("--sheet", type=Path, help="write 96 pairs that the column lacks here")
    options = parser.parse_args()

    started = time.perf_counter()
    faces = load_faces(options.data)
    print(f"{len(faces):,} images read in {time.perf_counter() - started:.1f} s")
    parts = [faces.split(name) for name in SPLITS]
    started = time.perf_counter()
    found = duplicates(*parts)
    print(f"compared in {time.perf_counter() - started:.1f} s")
    print(*found.summary(), sep="\n")

    columns = [np.nan_to_num(part.columns["duplicate_group"], nan=-1) for part in parts]
    known = pairs_of(np.concatenate(columns).astype(np.int64))
    own = pairs_of(np.concatenate(found.groups))
    print(f"pairs: {len(own):,}; of the column's {len(known):,} found: {len(own & known):,}")
    if options.sheet:
        write_sheet(options.sheet, parts, sorted(own - known))

    test, train = SPLITS.index("test"), [SPLITS.index("train"), SPLITS.index("validation")]
    listed = np.isin(parts[test].names, load_faces(options.data, "literature_test").names)
    accuracy(options.model, parts[test], listed, found, test, train)
    changes(parts[SPLITS.index("validation")][:1500])


def pairs_of(groups: IntArray) -> Pairs:
    """Every two rows with the same number of 0 or more."""
    order = np.argsort(groups, kind="stable")
    order = order[groups[order] >= 0]
    edges = np.flatnonzero(np.diff(groups[order])) + 1
    return {pair for rows in np.split(order, edges) for pair in combinations(rows.tolist(), 2)}


def accuracy(
    model: str,
    faces: LabelledFaces,
    listed: np.ndarray[tuple[int], np.dtype[np.bool_]],
    found: Duplicates,
    test: int,
    train: list[int],
) -> None:
    """Print the share of right answers on all listed rows and on those without a twin."""
    scores = predict(load_classifier(model, threads=1), faces.arrays(48).images)
    right = scores.argmax(axis=1) == faces.majority
    twin = np.logical_or.reduce([found.shared(test, other) for other in train])
    for name, rows in (
        ("all", listed),
        ("without twins", listed & ~twin),
        ("twins", listed & twin),
    ):
        print(f"literature_test, {name}: {right[rows].mean():.2%} of {rows.sum():,}")


def changes(faces: LabelledFaces) -> None:
    """Print the share of images that are found again after a change, twins left out."""
    faces = faces[twin_groups(faces.thumbnails) < 0]
    large = faces.crops(192)
    turn = cv2.getRotationMatrix2D((96, 96), 2, 1)
    ways: dict[str, Callable[[Image], Any]] = {
        "trimmed by 1 % a side": lambda image: image[2:-2, 2:-2],
        "trimmed by 2 % a side": lambda image: image[4:-4, 4:-4],
        "trimmed by 3 % a side": lambda image: image[6:-6, 6:-6],
        "trimmed by 5 % a side": lambda image: image[10:-10, 10:-10],
        "moved by 2 %": lambda image: np.roll(image, 4, axis=1),
        "moved by 4 %": lambda image: np.roll(image, 8, axis=1),
        "turned by 2 degrees": lambda image: cv2.warpAffine(image, turn, (192, 192)),
        "darker, gamma 2": lambda image: 255 * (image / 255) ** 2,
        "JPEG of quality 20": lambda image: cv2.imdecode(
            cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 20])[1], cv2.IMREAD_COLOR
        ),
        "mirrored": lambda image: image[:, ::-1],
    }
    for name, change in ways.items():
        after = [thumbnail(np.ascontiguousarray(change(image), np.uint8)) for image in large]
        groups = twin_groups(np.concatenate([faces.thumbnails, np.stack(after)]))
        before, later = np.split(groups, 2)
        print(f"{name}: {((before == later) & (before >= 0)).mean():.1%} of {len(faces):,}")


def write_sheet(path: Path, parts: list[LabelledFaces], pairs: list[tuple[int, int]]) -> None:
    """An image of 96 random pairs, one above the other."""
    small = np.concatenate([part.thumbnails for part in parts])
    chosen = np.random.default_rng(0).permutation(len(pairs))[:96]
    tiles = [np.vstack([small[a], small[b]]) for a, b in (pairs[i] for i in chosen)]
    rows = [np.hstack(tiles[i : i + 16]) for i in range(0, len(tiles) - len(tiles) % 16, 16)]
    cv2.imwrite(str(path), np.asarray(cv2.resize(np.vstack(rows), None, fx=2, fy=2)))


if __name__ == "__main__":
    main()
