"""Speed of clustering tracks into people, compared with scikit-learn's average linkage.

    python benchmarks/people.py [--tracks 10000] [--rounds 3]

Both cluster the same made-up vectors in turns, and the partitions are compared. Four casts: a
series with many guests, a few people all the time, everyone once, and one person only (the worst
case, as all is linked with all). Needs scikit-learn for the comparison.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence

import numpy as np

from mien.people.clustering import cluster
from mien.types import FloatArray, IntArray

Spent = tuple[float, float]

SIDE = 256  # length of a vector
THRESHOLD = 0.4


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    n = options.tracks
    casts = {
        "500 people, 20 tracks each": np.arange(n) % max(1, n // 20),
        "10 people": np.arange(n) % 10,
        "everyone once": np.arange(n),
        "one person": np.zeros(n, np.int64),
    }
    print(
        f"{n:,} tracks of {SIDE} numbers, threshold {THRESHOLD}, {os.cpu_count()} cores, least of "
        f"{options.rounds}; seconds on the clock, and in brackets of the processors\n"
    )
    print("| cast | people found | mien | scikit-learn | ratio | same partition |")
    print("|---|--:|--:|--:|--:|---|")
    for name, people in casts.items():
        vectors = made_up(people.astype(np.int64))
        ours: list[Spent] = []
        theirs: list[Spent] = []
        for _ in range(options.rounds):
            spent, labels = timed(mien, vectors)
            ours.append(spent)
            spent, other = timed(scikit, vectors)
            theirs.append(spent)
        clock, work = (min(column) for column in zip(*ours, strict=True))
        their_clock, their_work = (min(column) for column in zip(*theirs, strict=True))
        print(
            f"| {name} | {labels.max() + 1:,} | {clock:.2f} ({work:.2f}) "
            f"| {their_clock:.1f} ({their_work:.1f}) | {their_clock / clock:.1f} "
            f"| {'yes' if alike(labels, other) else 'no'} |",
            flush=True,
        )


def made_up(people: IntArray) -> FloatArray:
    """A direction a person, and noise about as long, more of it in some tracks than in others."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((int(people.max()) + 1, SIDE))
    spread = 0.9 * np.exp(0.2 * rng.standard_normal((len(people), 1)))
    vectors = centres[people] + spread * rng.standard_normal((len(people), SIDE))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def mien(vectors: FloatArray) -> IntArray:
    """What `mien people` does."""
    return cluster(vectors, THRESHOLD)


def scikit(vectors: FloatArray) -> IntArray:
    """The same by scikit-learn."""
    from sklearn.cluster import AgglomerativeClustering

    model = AgglomerativeClustering(
        n_clusters=None, metric="cosine", linkage="average", distance_threshold=1 - THRESHOLD
    )
    return np.asarray(model.fit_predict(vectors), np.int64)


def timed(call: Callable[[FloatArray], IntArray], vectors: FloatArray) -> tuple[Spent, IntArray]:
    """Seconds on the clock and of the processors, and what the call returns."""
    clock, work = time.perf_counter(), time.process_time()
    found = call(vectors)
    return (time.perf_counter() - clock, time.process_time() - work), found


def alike(one: IntArray, other: IntArray) -> bool:
    """Whether two labelings make the same groups."""
    pairs = np.unique(np.stack([one, other], axis=1), axis=0)
    return len(pairs) == len(np.unique(one)) == len(np.unique(other))


if __name__ == "__main__":
    main()
