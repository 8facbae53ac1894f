"""The values that detectors, classifiers and results exchange: `Faces`, `Scores`, `Frame`.

All are frozen, with read-only arrays, so that a value stays as valid as when it was checked.
Conventions, everywhere: images are ``(H, W, 3)`` uint8 RGB and upright; boxes are
``x1, y1, x2, y2`` in pixels, origin at the top left corner, x to the right, y down.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

Image = npt.NDArray[np.uint8]
Crops = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Boxes = npt.NDArray[np.float64]  # (n, 4), x1 y1 x2 y2
IntArray = npt.NDArray[np.int64]
Index = int | slice | Sequence[int] | npt.NDArray[np.bool_] | npt.NDArray[np.integer[Any]]
ScoreKind = Literal["probability", "score"]


class Comparable:
    """Base of frozen dataclasses that hold arrays: compared by `equals`, as in NumPy and pandas."""

    def equals(self, other: object) -> bool:
        """Whether `other` is of the same type and has the same values; NaN equals NaN."""
        return type(self) is type(other) and all(
            _equal(getattr(self, item.name), getattr(other, item.name))
            for item in fields(self)  # type: ignore[arg-type]
            if item.compare
        )

    def __eq__(self, other: object) -> bool:
        if self is other or type(self) is not type(other):
            return self is other
        raise TypeError(f"== of two {type(self).__name__} is ambiguous: use one.equals(other).")

    def __hash__(self) -> int:
        return object.__hash__(self)


def _equal(one: Any, other: Any) -> bool:
    """Whether two values of a dataclass are equal, where those may be arrays or tables."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other, equal_nan=one.dtype.kind == other.dtype.kind == "f")
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if hasattr(one, "equals"):  # a table, or another Comparable
        return bool(one.equals(other))
    return bool(one == other or (one != one and other != other))


def _frozen(value: Any, dtype: type, shape: tuple[int | None, ...], name: str) -> Any:
    """Copy `value` into a read-only array, or say which shape was expected."""
    try:
        array: npt.NDArray[Any] = np.array(value, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} must be an array of numbers: {error}.") from error
    if array.size == 0 and array.ndim < len(shape):
        array = array.reshape([0 if n is None else n for n in shape])
    fits = array.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits:
        expected = ", ".join("n" if n is None else str(n) for n in shape)
        raise UsageError(f"{name} must have shape ({expected}), got {array.shape}.")
    array.setflags(write=False)
    return array


def rows_of(index: Index, count: int, noun: str = "row") -> Any:
    """Any index over `count` rows as one that keeps the axis: an int selects one row.

    Raises:
        IndexError: there is no such row, or a mask is of another length.
    """
    if isinstance(index, int | np.integer):
        if not -count <= index < count:
            raise IndexError(f"there is no {noun} {index} among {count}.")
        position = int(index)
        return slice(position, position + 1 or None)
    if isinstance(index, slice):
        return index
    rows = np.asarray(index)
    if rows.dtype == bool and rows.shape != (count,):
        raise IndexError(f"a mask of {count} {noun}s has the shape ({count},), got {rows.shape}.")
    return rows.astype(np.intp) if rows.size == 0 else rows


@dataclass(frozen=True, eq=False)
class Faces(Comparable):
    """The faces of one image, as columns of length n.

    Attributes:
        boxes: ``(n, 4)`` float32, x1 y1 x2 y2 in pixels; they may extend beyond the image.
        scores: ``(n,)`` float32, the detector's confidence, 0 to 1; NaN where it has none.
        landmarks: ``(n, 5, 2)`` float32 pixels, or None: the eye on the image's left, the eye on
            its right, the nose tip, the mouth corner on the left, the mouth corner on the right.
        track_ids: ``(n,)`` int64, or None: faces of one person share a number over time.

    Raises:
        UsageError: a shape does not fit, a box is not finite, or x2 < x1 or y2 < y1.
    """

    boxes: FloatArray
    scores: FloatArray | None = None
    landmarks: FloatArray | None = None
    track_ids: IntArray | None = None

    def __post_init__(self) -> None:
        boxes = _frozen(self.boxes, np.float32, (None, 4), "boxes")
        n = len(boxes)
        if not np.isfinite(boxes).all():
            raise UsageError("boxes must be finite numbers.")
        if n and ((boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1])).any():
            raise UsageError("boxes must be x1, y1, x2, y2 with x1 <= x2 and y1 <= y2.")
        scores = np.full(n, np.nan) if self.scores is None else self.scores
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "scores", _frozen(scores, np.float32, (n,), "scores"))
        if self.landmarks is not None:
            points = _frozen(self.landmarks, np.float32, (n, 5, 2), "landmarks")
            if not np.isfinite(points).all():
                raise UsageError("landmarks must be finite numbers.")
            object.__setattr__(self, "landmarks", points)
        if self.track_ids is not None:
            ids = _frozen(self.track_ids, np.int64, (n,), "track_ids")
            object.__setattr__(self, "track_ids", ids)

    @classmethod
    def empty(cls) -> Faces:
        """No faces, as of an image without any."""
        return cls(np.zeros((0, 4), np.float32))

    @classmethod
    def concat(cls, parts: Sequence[Faces]) -> Faces:
        """Concatenate faces; a column that any non-empty part lacks is dropped."""
        parts = [part for part in parts if len(part)]
        if not parts:
            return cls.empty()
        columns: dict[str, Any] = {}
        for name in ("boxes", "scores", "landmarks", "track_ids"):
            values = [getattr(part, name) for part in parts]
            absent = any(value is None for value in values)
            columns[name] = None if absent else np.concatenate(values)
        return cls(**columns)

    def __len__(self) -> int:
        return len(self.boxes)

    def __bool__(self) -> bool:
        """True even when empty: use ``len`` to count."""
        return True

    def __getitem__(self, index: Index) -> Faces:
        """Select by int, slice, list of ints or boolean mask; always returns `Faces`."""
        rows = rows_of(index, len(self), "face")
        return Faces(
            self.boxes[rows],
            None if self.scores is None else self.scores[rows],
            None if self.landmarks is None else self.landmarks[rows],
            None if self.track_ids is None else self.track_ids[rows],
        )

    def __iter__(self) -> Iterator[Faces]:
        return (self[i] for i in range(len(self)))


@dataclass(frozen=True, eq=False)
class Scores(Comparable):
    """A classifier's scores of n faces: the whole distribution, not only the top label.

    Attributes:
        values: ``(n, k)`` float32; rows sum to 1 where `kind` is ``probability``.
        labels: the k names of the columns.
        kind: ``probability``, or ``score`` for values that are not a distribution.
        measures: further numbers per face by column name, each ``(n,)`` float32: ``valence`` and
            ``arousal`` from -1 to 1, where the model gives them, ``apparent_age`` in years ...
        embeddings: vectors per face by name, see `mien.labels.EMBEDDINGS`, each ``(n, d)``
            float32; only those that were requested.

    Raises:
        UsageError: a shape does not fit, two labels are equal, a value is not finite, or rows of
            kind ``probability`` do not sum to 1.
    """

    values: FloatArray
    labels: tuple[str, ...]
    kind: ScoreKind = "probability"
    measures: Mapping[str, FloatArray] = field(default_factory=dict)
    embeddings: Mapping[str, FloatArray] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        labels = tuple(self.labels)
        if not labels or len(set(labels)) != len(labels):
            raise UsageError(f"labels must be different names, at least one, got {labels}.")
        values = _frozen(self.values, np.float32, (None, len(labels)), "values")
        if not np.isfinite(values).all():
            raise UsageError("scores must be finite numbers.")
        if self.kind == "probability" and len(values):
            off = np.abs(values.sum(axis=1) - 1).max()
            if values.min() < -1e-4 or off > 1e-2:
                raise UsageError(
                    "probabilities must be >= 0 and sum to 1 in every row; "
                    "use kind='score' for other values."
                )
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "values", values)
        measures = {
            name: _frozen(column, np.float32, (len(values),), name)
            for name, column in self.measures.items()
        }
        object.__setattr__(self, "measures", measures)
        embeddings = {
            name: _frozen(vectors, np.float32, (len(values), None), name)
            for name, vectors in self.embeddings.items()
        }
        object.__setattr__(self, "embeddings", embeddings)

    @classmethod
    def empty(cls, labels: Sequence[str]) -> Scores:
        """The scores of no faces."""
        return cls(np.zeros((0, len(labels)), np.float32), tuple(labels))

    def __len__(self) -> int:
        return len(self.values)

    def __bool__(self) -> bool:
        """True even when empty: use ``len`` to count."""
        return True

    def __getitem__(self, index: Index) -> Scores:
        """Select rows by int, slice, list of ints or boolean mask; always returns `Scores`."""
        rows = rows_of(index, len(self))
        measures = {name: column[rows] for name, column in self.measures.items()}
        embeddings = {name: vectors[rows] for name, vectors in self.embeddings.items()}
        return Scores(self.values[rows], self.labels, self.kind, measures, embeddings)

    @property
    def top(self) -> IntArray:
        """``(n,)`` int64: the column of the largest value in each row."""
        return np.asarray(np.argmax(self.values, axis=1), np.int64)

    def without(self, label: str) -> Scores:
        """Drop one label and renormalize, as if it had been excluded before the softmax.

        Raises:
            UsageError: there is no such label.
        """
        if label not in self.labels:
            raise UsageError(f"there is no label {label!r}; there are {', '.join(self.labels)}.")
        keep = [i for i, name in enumerate(self.labels) if name != label]
        values = self.values[:, keep]
        if self.kind == "probability" and len(values):
            values = values / np.maximum(values.sum(axis=1, keepdims=True), 1e-12)
        labels = tuple(self.labels[i] for i in keep)
        return Scores(values, labels, self.kind, self.measures, self.embeddings)


@dataclass(frozen=True, eq=False)
class Frame:
    """One image to analyze: where it comes from, and how to read it.

    Attributes:
        source: a path or another name for the input.
        index: 0 for a photo, the frame's number in a video.
        time_s: presentation time in seconds, or None for a photo.
        read: returns the image ``(H, W, 3)`` uint8 RGB; raises `InputError` where that fails.
            Called once, when the image's turn comes, so that a million frames cost no memory.
        duration_s: how long it is shown, seconds: until the next frame of the run or the end of the
            video; None for a photo and where that is unknown.
    """

    source: str
    read: Callable[[], Image] = field(repr=False)
    index: int = 0
    time_s: float | None = None
    duration_s: float | None = None
