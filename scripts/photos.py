"""Check the whole analysis on real photos.

    python scripts/photos.py ../shared/media [--detector mtcnn] [--min-score 0.9]

Reads ``photos.csv`` (file, faces, label, label_sure) and prints every photo with its face count and
answer, the misses, and the share of sure labels that are right; ``uncertain`` is not right.
Exit code 1 where a count is wrong or fewer than 95 % of the sure labels are right.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mien import EmotionAnalyzer, Result


@dataclass
class Tally:
    """What was counted over the photos."""

    counted: int = 0
    wrong_counts: list[str] = field(default_factory=list)
    sure: int = 0
    wrong_labels: list[str] = field(default_factory=list)

    @property
    def right(self) -> float:
        """Share of the surely labeled faces whose label was given."""
        return 1 - len(self.wrong_labels) / max(1, self.sure)


def check(folder: Path, analyzer: EmotionAnalyzer, kind: str = "photos/") -> Tally:
    """Compare the answers with the list, for the files whose path begins with `kind`."""
    with (folder / "photos.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["file"].startswith(kind)]
    tally = Tally()
    for row, result in zip(rows, analyzer.analyze(folder / r["file"] for r in rows), strict=True):
        _compare(row, result, tally)
    return tally


def _compare(row: dict[str, str], result: Result, tally: Tally) -> None:
    name = Path(row["file"]).name
    if row["faces"] in ("0", "1"):
        tally.counted += 1
        if len(result) != int(row["faces"]):
            tally.wrong_counts.append(f"{name}: {len(result)} faces, {row['faces']} expected")
    if row["faces"] == "1" and row["label"] and row["label_sure"] == "yes":
        tally.sure += 1
        if result.emotions[:1] != (row["label"],):
            predicted = result.emotions[0] if len(result) else result.error or "no face"
            tally.wrong_labels.append(f"{name}: {predicted}, {row['label']} expected")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the counts for photos and for formats."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--detector", default="yunet")
    parser.add_argument("--min-score", type=float)
    options = parser.parse_args(arguments)
    analyzer = EmotionAnalyzer(options.detector, min_score=options.min_score)
    good = True
    for kind in ("photos/", "formats/"):
        tally = check(options.folder, analyzer, kind)
        print(
            f"{kind} {tally.counted - len(tally.wrong_counts)} of {tally.counted} counts right, "
            f"{100 * tally.right:.1f} % of {tally.sure} sure labels right"
        )
        for line in (*tally.wrong_counts, *tally.wrong_labels):
            print(f"  {line}")
        if kind == "photos/":
            good = not tally.wrong_counts and tally.right >= 0.95
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
