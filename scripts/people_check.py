"""Errors of apparent age, gender and identity by group of people.

    python scripts/people_check.py london_info.csv --media ../shared/media

The table is ``data-raw/london_info.csv`` of debruine/webmorphR.stim (face_id, face_age,
face_gender, face_eth) about the Face Research Lab London Set (DeBruine and Jones,
doi:10.6084/m9.figshare.5047666). The photos are those of the set in ``photos/`` and the cells of
``formats/london_grid_*.jpg``. Prints the rows of the tables in docs/person.md and docs/people.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

import mien
from mien.labels import ATTRIBUTES, IDENTITY
from mien.media.images import read_image
from mien.people.identities import THRESHOLD
from mien.types import Image

AGE, FEMALE = ATTRIBUTES["age"], ATTRIBUTES["gender"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Analyze every photo and print the errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", type=Path)
    parser.add_argument("--media", type=Path, required=True)
    options = parser.parse_args(arguments)
    people = pd.read_csv(options.people, dtype={"face_id": "string"}).set_index("face_id")
    analyzer = mien.EmotionAnalyzer(also=(*ATTRIBUTES, IDENTITY))
    rows, vectors = [], []
    for person, image in photos(options.media):
        result = analyzer(image)
        if not len(result):
            print(f"no face found of {person}")
            continue
        sides = result.faces.boxes[:, 2] - result.faces.boxes[:, 0]
        largest = int(sides.argmax())
        values = {name: float(result.scores.measures[name][largest]) for name in (AGE, FEMALE)}
        vectors.append(result.scores.embeddings[IDENTITY][largest])
        rows.append({"person": person, **values})
    table = pd.DataFrame(rows).join(people, on="person")
    table["age_error"] = table[AGE] - table["face_age"]
    table["right"] = (table[FEMALE] > 0.5) == (table["face_gender"] == "female")
    report("all", table)
    mean_age = table["face_age"].mean()
    print(
        f"predicting the mean age of these photos: {(table.face_age - mean_age).abs().mean():.1f}"
    )
    for (group, gender), part in table.groupby(["face_eth", "face_gender"]):
        report(f"{group}, {gender}", part)
    bands = pd.cut(table["face_age"], [0, 24, 34, 100], labels=["to 24", "25 to 34", "35 and more"])
    for band, part in table.groupby(bands, observed=True):
        report(str(band), part)
    print("\nidentity: people, pairs of strangers, joined")
    joined(table, np.stack(vectors))


def photos(media: Path) -> Iterator[tuple[str, Image | npt.NDArray[np.uint8]]]:
    """Every photo of the set, with its person."""
    for path in sorted((media / "photos").glob("[0-9][0-9][0-9]_0[38].jpg")):
        yield path.stem[:3], read_image(path)
    for path in sorted((media / "formats").glob("london_grid_*.jpg")):
        image = read_image(path)
        for part in json.loads(path.with_suffix(".json").read_text()):
            x, y, width, height = part["cell"]
            yield part["id"], np.ascontiguousarray(image[y : y + height, x : x + width])


def report(name: str, part: pd.DataFrame) -> None:
    """One row: photos, people, mean error and bias of the age, share of right genders."""
    error = part["age_error"].dropna()
    print(
        f"| {name} | {len(part)} | {part['person'].nunique()} | {error.abs().mean():.1f} | "
        f"{error.mean():+.1f} | {int(part['right'].sum())} of {len(part)} |"
    )


def joined(table: pd.DataFrame, vectors: npt.NDArray[np.float32]) -> None:
    """Pairs of people of one group, and how many of them have two photos above the threshold."""
    near = vectors @ vectors.T
    same = [near[i, j] for i, j in combinations(range(len(table)), 2) if same_person(table, i, j)]
    print(f"pairs of photos of one person joined: {np.mean(np.array(same) >= THRESHOLD):.0%}")
    for (group, gender), part in table.groupby(["face_eth", "face_gender"]):
        places = {name: rows.index.to_numpy() for name, rows in part.groupby("person")}
        pairs = [near[np.ix_(places[a], places[b])].max() for a, b in combinations(places, 2)]
        if pairs:
            count = int((np.array(pairs) >= THRESHOLD).sum())
            print(f"| {group}, {gender} | {len(places)} | {len(pairs)} | {count} |")


def same_person(table: pd.DataFrame, i: int, j: int) -> bool:
    """Whether two photos are of one person."""
    return bool(table["person"].iloc[i] == table["person"].iloc[j])


if __name__ == "__main__":
    main()
