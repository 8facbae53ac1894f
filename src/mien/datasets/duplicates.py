"""Near-duplicate images, by a perceptual hash and then by their pixels.

A face that is in training and in test makes the test easier than life. FER2013 has hundreds of
such twins: the same photo from two sites, with another frame, contrast or watermark.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mien.datasets.faces import LabelledFaces
from mien.types import FloatArray, IntArray

#: How alike two images must be. Set by eye on FER+ (35,710 images), see docs/data.md: of 48
#: pairs that correlate by 0.93 to 0.95 all were the same photo, of 96 by 0.90 to 0.93 seven of
#: eight; of 20 pairs that do so by 0.94 to 0.96 once aligned all were, of 20 below 0.92 four.
HASH_BITS = 12
CORRELATION = 0.93
ALIGNED = 0.94
MIRRORED_BITS, MIRRORED = 8, 0.95
_WORTH_ALIGNING = 0.8
_INNER = slice(3, 29)  # what is left of a thumbnail to be moved about on the other one
_SIDES = (26, 24, 25, 27, 28)  # and how large, 26 being as it is
_FLAT = 1.0  # mean difference, gray levels, under which images without contrast are the same
_BLOCK = 16


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Which images of one or several sets are the same photo.

    Attributes:
        groups: for each set ``(n,)`` int64: twins share a number, within and across the sets; -1
            for an image without a twin.
        names: what the sets are called.
    """

    groups: tuple[IntArray, ...]
    names: tuple[str, ...]

    def shared(self, first: int, second: int) -> npt.NDArray[np.bool_]:
        """``(n,)``: which images of set `first` have a twin in set `second`."""
        other = self.groups[second]
        return np.isin(self.groups[first], other[other >= 0])

    def surplus(self, which: int) -> npt.NDArray[np.bool_]:
        """``(n,)``: which images of a set repeat one that stands earlier in the same set."""
        groups = self.groups[which]
        again = np.ones(len(groups), np.bool_)
        again[np.unique(groups, return_index=True)[1]] = False
        return again & (groups >= 0)

    def summary(self) -> list[str]:
        """One sentence for each kind of duplicates; [] where there are none."""
        lines = []
        for i, name in enumerate(self.names):
            repeated = int(self.surplus(i).sum())
            if repeated:
                lines.append(
                    f"{repeated:,} of {len(self.groups[i]):,} images repeat within {name}."
                )
        for i, name in enumerate(self.names):
            for j, other in list(enumerate(self.names))[:i]:
                both = int(self.shared(i, j).sum())
                if both:
                    of = len(self.groups[i])
                    lines.append(f"{both:,} of {of:,} images of {name} have a twin in {other}.")
        return lines


def duplicates(*sets: LabelledFaces, names: tuple[str, ...] = ()) -> Duplicates:
    """Find the images that are the same photo, also mirrored, within and across sets.

    Every pair is compared by a 64-bit difference hash, which takes time with the square of the
    number: seconds for 30,000. Those that differ in at most `HASH_BITS` bits are compared by the
    correlation of their 32 x 32 thumbnails, which are moved and scaled a little where that may
    bring them together.

    Args:
        sets: one or more, such as training, validation and test.
        names: what to call them in the summary; by default the split of their first row.
    """
    own = [str(faces.splits[0]) if len(faces) else "" for faces in sets]
    called = names or tuple(name or f"set {i}" for i, name in enumerate(own, 1))
    groups = twin_groups(np.concatenate([faces.thumbnails for faces in sets]))
    edges = np.cumsum([0, *map(len, sets)])
    return Duplicates(tuple(groups[a:b] for a, b in pairwise(edges)), called)


def twin_groups(thumbnails: npt.NDArray[np.uint8]) -> IntArray:
    """``(n,)`` int64 of ``(n, 32, 32)`` gray: the same photo has the same number; -1 for alone.

    Numbers go by the first row of each photo.
    """
    flat = np.ascontiguousarray(thumbnails).reshape(len(thumbnails), -1)
    # The same file many times over would be a pair with each other one: look at each once.
    rows = flat.view(np.dtype((np.void, max(1, flat.shape[1])))).ravel()
    _, unique, copy_of = np.unique(rows, return_index=True, return_inverse=True)
    parent = np.arange(len(unique))
    for first, second in _alike(thumbnails[unique]):
        join(parent, first, second)
    roots = np.array([root(parent, i) for i in range(len(parent))], np.int64)[copy_of.ravel()]
    _, heads, groups, sizes = np.unique(roots, True, True, True)
    shared = np.flatnonzero(sizes > 1)
    numbers = np.full(len(sizes), -1)
    numbers[shared[heads[shared].argsort()]] = np.arange(len(shared))
    return np.asarray(numbers[groups.ravel()], np.int64)


def difference_hash(thumbnails: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """``(n,)`` 64-bit hashes of ``(n, 32, 32)`` gray: is each place brighter than its left one.

    The dHash of N. Krawetz, "Kind of like that" (hackerfactor.com, 2013): 9 x 8 pixels.
    """
    import cv2

    small = np.zeros((len(thumbnails), 8, 9), np.int16)
    for row, image in zip(small, thumbnails, strict=True):
        row[:] = cv2.resize(image, (9, 8), interpolation=cv2.INTER_AREA)
    brighter = (small[:, :, 1:] > small[:, :, :-1]).reshape(-1, 64)
    return np.packbits(brighter, axis=1).view(np.uint64).ravel()


def _alike(thumbnails: npt.NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
    plain = _normalized(thumbnails)
    for first, second, likeness in _near(thumbnails, plain, HASH_BITS):
        small, large = thumbnails[first].astype(np.int16), thumbnails[second]
        same = (likeness >= CORRELATION) | (np.abs(small - large).mean(axis=(1, 2)) <= _FLAT)
        for i in np.flatnonzero((likeness >= _WORTH_ALIGNING) & ~same):
            same[i] = _aligned(plain[first[i]], plain[second[i]])
        yield from zip(first[same].tolist(), second[same].tolist(), strict=True)
    # Mirrored twins are so few that a looser rule would find more that are none.
    mirrored = np.ascontiguousarray(thumbnails[:, :, ::-1])
    for first, second, likeness in _near(thumbnails, plain, MIRRORED_BITS, mirrored):
        same = likeness >= MIRRORED
        yield from zip(first[same].tolist(), second[same].tolist(), strict=True)


def _near(
    thumbnails: npt.NDArray[np.uint8],
    plain: FloatArray,
    bits: int,
    others: npt.NDArray[np.uint8] | None = None,
) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
    """Pairs of rows of which the hashes differ in at most `bits`, and their correlation.

    The second of each pair is looked up in `others`, where given.
    """
    own = difference_hash(thumbnails)
    hashes = own if others is None else difference_hash(others)
    values = (plain if others is None else _normalized(others)).reshape(len(plain), -1)
    for start in range(0, len(own), _BLOCK):
        block = own[start : start + _BLOCK, None]
        first, second = np.nonzero(np.bitwise_count(block ^ hashes[None, start:]) <= bits)
        later = first < second
        if later.any():
            first, second = first[later] + start, second[later] + start
            flat = plain[first].reshape(len(first), -1)
            yield first, second, np.einsum("ij,ij->i", flat, values[second])


def _aligned(first: FloatArray, second: FloatArray) -> bool:
    """Whether the middle of one lies somewhere in the other, a little larger or smaller."""
    import cv2

    inner = np.ascontiguousarray(first[_INNER, _INNER])
    for side in _SIDES:
        part = inner
        if side != len(inner):
            part = np.asarray(cv2.resize(inner, (side, side), interpolation=cv2.INTER_LINEAR))
        best = float(cv2.matchTemplate(second, part, cv2.TM_CCOEFF_NORMED).max())
        if best >= ALIGNED:
            return True
        if best < _WORTH_ALIGNING:
            return False
    return False


def _normalized(thumbnails: npt.NDArray[np.uint8]) -> FloatArray:
    """``(n, 32, 32)`` with mean 0 and length 1; all 0 where an image has no contrast."""
    values = thumbnails.astype(np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    length = np.linalg.norm(values, axis=(1, 2), keepdims=True)
    return np.asarray(values / np.maximum(length, 1e-3), np.float32)


def root(parent: npt.NDArray[np.int64], i: int) -> int:
    """The representative of i in a forest where every row points to another of its group."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = int(parent[i])
    return i


def join(parent: npt.NDArray[np.int64], first: int, second: int) -> None:
    """Make one group of two in such a forest, in place."""
    low, high = sorted((root(parent, first), root(parent, second)))
    parent[high] = low
