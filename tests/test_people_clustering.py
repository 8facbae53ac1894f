"""Average-linkage clustering against a textbook one, in any order, with separated pairs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from mien.errors import UsageError
from mien.people import clustering
from mien.people.clustering import cluster
from mien.types import FloatArray, IntArray


def people(rng: np.random.Generator, counts: list[int], noise: float, d: int = 32) -> FloatArray:
    """Vectors around one direction a person, some clear, some noisy."""
    centres = rng.standard_normal((len(counts), d)) / np.sqrt(d)
    rows = np.repeat(centres, counts, axis=0)
    spread = noise * np.exp(0.5 * rng.standard_normal((len(rows), 1))) / np.sqrt(d)
    rows = rows + spread * rng.standard_normal(rows.shape)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def textbook(
    points: FloatArray, threshold: float, apart: list[tuple[int, int]]
) -> set[frozenset[int]]:
    """Merge the two groups with the highest mean cosine, again and again."""
    cosines = points.astype(np.float64) @ points.T.astype(np.float64)
    for i, j in apart:
        cosines[i, j] = cosines[j, i] = -np.inf
    groups = [[i] for i in range(len(points))]
    while len(groups) > 1:
        means = {
            (a, b): cosines[np.ix_(groups[a], groups[b])].mean()
            for a, b in combinations(range(len(groups)), 2)
        }
        (a, b), best = max(means.items(), key=lambda item: item[1])
        if best < threshold:
            break
        groups[a] += groups.pop(b)
    return {frozenset(group) for group in groups}


def sets(labels: IntArray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}


@pytest.mark.parametrize("noise", [0.5, 1.0, 1.6])
@pytest.mark.parametrize("threshold", [-0.2, 0.1, 0.3, 0.5, 0.8])
def test_it_is_average_linkage(rng: np.random.Generator, noise: float, threshold: float) -> None:
    points = people(rng, [12, 9, 5, 3, 1, 1, 1], noise)
    apart = [(0, 1), (0, 2), (3, 12), (13, 22), (20, 25)]
    for pairs in ([], apart):
        assert sets(cluster(points, threshold, pairs)) == textbook(points, threshold, pairs)


@pytest.mark.parametrize(("block", "chain"), [(7, 6000), (1024, 1), (7, 1)])
def test_however_the_work_is_cut(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator, block: int, chain: int
) -> None:
    points = people(rng, [20, 15, 5, 2, 1], 1.2)
    apart = [(0, 1), (5, 30), (21, 22)]
    wanted = [cluster(points, t, apart).tolist() for t in (0.0, 0.2, 0.4)]
    monkeypatch.setattr(clustering, "_BLOCK", block)
    monkeypatch.setattr(clustering, "_CHAIN", chain)
    monkeypatch.setattr(clustering, "_SLOW", 0.0)
    assert [cluster(points, t, apart).tolist() for t in (0.0, 0.2, 0.4)] == wanted


def test_the_order_of_the_rows_does_not_matter(rng: np.random.Generator) -> None:
    points = people(rng, [30, 20, 10, 5], 1.2)
    points = np.concatenate([points, points[:7], points[:7], -points[:1]])
    first = cluster(points, 0.3)
    for _ in range(5):
        order = rng.permutation(len(points))
        again = cluster(points[order], 0.3)
        back = np.empty_like(again)
        back[order] = again
        assert sets(back) == sets(first)
        seen = list(dict.fromkeys(again.tolist()))
        assert seen == list(range(len(seen))), "numbered by first appearance"
    assert (first[65:72] == first[:7]).all(), "equal rows are together"


def test_pairs_kept_apart_stay_apart_whatever_is_between_them() -> None:
    same = np.tile(np.array([[1.0, 0.0]], np.float32), (4, 1))
    assert cluster(same, 0.9).tolist() == [0, 0, 0, 0]
    labels = cluster(same, 0.9, [(0, 3), (1, 3)])
    assert labels[0] != labels[3] != labels[1]
    assert len(set(labels.tolist())) == 2
    assert len(set(cluster(same, -1.0, list(combinations(range(4), 2))).tolist())) == 4


def test_nobody_and_one() -> None:
    assert cluster(np.zeros((0, 8), np.float32), 0.5).shape == (0,)
    assert cluster(np.eye(8, dtype=np.float32)[:1], 0.5).tolist() == [0]
    assert cluster(np.eye(8, dtype=np.float32), 0.5).tolist() == list(range(8))


def test_one_clear_face_among_many_poor_ones(rng: np.random.Generator) -> None:
    """Everyone's nearest is the clear one, so that merging goes on one by one."""
    poor = people(rng, [400], 1.0, d=256)
    clear = poor.mean(axis=0, keepdims=True)
    points = np.concatenate([clear / np.linalg.norm(clear), poor]).astype(np.float32)
    assert len(set(cluster(points, 0.1).tolist())) < 20


def test_it_agrees_with_scikit_learn(rng: np.random.Generator) -> None:
    sklearn = pytest.importorskip("sklearn.cluster", reason="scikit-learn is not installed")
    points = people(rng, [60, 40, 40, 20, 5, 1, 1], 1.0, d=128)
    for threshold in (0.15, 0.3, 0.45):
        other = sklearn.AgglomerativeClustering(
            n_clusters=None, metric="cosine", linkage="average", distance_threshold=1 - threshold
        ).fit_predict(points)
        assert sets(cluster(points, threshold)) == sets(other)


@pytest.mark.parametrize(
    ("vectors", "threshold", "apart", "told"),
    [
        (np.ones((3, 4)), 0.5, [], "length 1"),
        (np.full((3, 4), np.nan), 0.5, [], "length 1"),
        (np.ones(4), 0.5, [], r"are \(n, d\)"),
        (np.eye(3), 1.5, [], "-1 to 1"),
        (np.eye(3), float("nan"), [], "-1 to 1"),
        (np.eye(3), 0.5, [(0, 3)], "from 0 to 2"),
        (np.eye(3), 0.5, [(1, 1)], "apart from itself"),
    ],
)
def test_what_cannot_be_clustered(
    vectors: FloatArray, threshold: float, apart: list[tuple[int, int]], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        cluster(vectors, threshold, apart)
