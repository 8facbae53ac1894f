"""`LabelledFaces`: images of faces with the labels of annotators, whatever they were read from.

The images stay as they lie in the files (paths, encoded bytes, or pixels where the file holds
pixels) and are decoded when they are asked for. Training then decodes each once, straight into one
uint8 array of the size it wants; evaluation decodes batch by batch at full resolution, because
models differ in input size and a whole photo must be cut as the model's card says. Held in
between is only what is small: votes, names, columns and a gray thumbnail of 1 kB an image, made
on the one pass that also detects broken images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.datasets.records import Kind, in_split, split_word
from mien.faces.alignment import Aligner
from mien.faces.crops import crop_faces
from mien.labels import EMOTIONS
from mien.media.images import ImageSource, read_image
from mien.models.card import CropSpec
from mien.types import Crops, Faces, FloatArray, Image, IntArray

#: Side of the thumbnails by which near-duplicates are found.
THUMBNAIL = 32
VIEWERS = 10
MAX_NAMED = 10

Rows = slice | Sequence[int] | npt.NDArray[np.bool_] | npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Broken:
    """An image that cannot be used, why, and of which split it is."""

    name: str
    reason: str
    split: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class LabelledFaces:
    """n faces with their labels.

    Attributes:
        names: ``(n,)`` the key of each row: a path relative to the data, or a name in a table.
        sources: n images as they were stored: paths, bytes of files, or uint8 arrays.
        votes: ``(n, 8)`` float32, in the order of `mien.labels.EMOTIONS`: people for each label;
            1 for a hard label; or shares. Every row has something above 0.
        kind: which of these three the votes are.
        splits: ``(n,)`` "train", "validation", "test", a word of the data's own, or "".
        columns: the further columns of the data by name, each ``(n,)``: numbers or text.
        thumbnails: ``(n, 32, 32)`` uint8 gray.
        found: where faces were detected in whole photos, one `Faces` for each row, with the
            largest face, or none where the detector missed it; None where the images are crops.
        broken: images that could not be read; they are no rows here.
        unlabeled: names of images without an expression; no rows here either.
    """

    names: npt.NDArray[np.str_]
    sources: tuple[ImageSource, ...] = field(repr=False)
    votes: FloatArray
    kind: Kind
    splits: npt.NDArray[np.str_]
    columns: Mapping[str, npt.NDArray[Any]]
    thumbnails: npt.NDArray[np.uint8] = field(repr=False)
    found: tuple[Faces, ...] | None = None
    broken: tuple[Broken, ...] = ()
    unlabeled: tuple[str, ...] = ()

    def __repr__(self) -> str:
        names, counts = np.unique([name or "no split" for name in self.splits], return_counts=True)
        splits = ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))
        return f"LabelledFaces({len(self)} faces: {splits})"

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: Rows) -> LabelledFaces:
        """The same faces, fewer rows: a slice, positions or a mask. `broken` goes along."""
        places = np.arange(len(self))[rows if isinstance(rows, slice) else np.asarray(rows)]
        return replace(
            self,
            names=self.names[places],
            sources=tuple(self.sources[i] for i in places),
            votes=self.votes[places],
            splits=self.splits[places],
            columns={name: values[places] for name, values in self.columns.items()},
            thumbnails=self.thumbnails[places],
            found=None if self.found is None else tuple(self.found[i] for i in places),
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The expressions that occur, in the order of the vocabulary."""
        return tuple(np.array(EMOTIONS)[(self.votes > 0).any(axis=0)].tolist())

    @property
    def distribution(self) -> FloatArray:
        """``(n, 8)``: share of the votes for each label; rows sum to 1."""
        return np.asarray(self.votes / self.votes.sum(axis=1, keepdims=True), np.float32)

    @property
    def majority(self) -> IntArray:
        """``(n,)``: place in `EMOTIONS` of the label that more than half chose; -1 for none.

        Of votes, single ones are dropped first: the official rule of FER+.
        """
        return majority(self.votes, single=1.0 if self.kind == "votes" else 0.0)

    @property
    def missed(self) -> npt.NDArray[np.bool_]:
        """``(n,)``: no face was detected in the photo, which counts as an error.

        All False where the images are crops.
        """
        if self.found is None:
            return np.zeros(len(self), np.bool_)
        return np.array([not len(faces) for faces in self.found], np.bool_)

    def describe(self) -> list[str]:
        """What the data has and lacks, in lines to show before training or evaluation."""
        tops = self.votes.argmax(axis=1)
        counts = {label: int((tops == EMOTIONS.index(label)).sum()) for label in self.labels}
        counted = ", ".join(f"{count:,} {label}" for label, count in counts.items() if count)
        lines = [f"{len(self):,} faces: {counted}."]
        if self.missed.any():
            lines.append(f"{int(self.missed.sum()):,} photos in which no face was found.")
        if self.unlabeled:
            lines.append(f"{len(self.unlabeled):,} images without an expression left out.")
        if self.broken:
            lines.append(f"{len(self.broken):,} broken images left out:")
            lines += [f"  {broken.name}: {broken.reason}" for broken in self.broken[:MAX_NAMED]]
            if len(self.broken) > MAX_NAMED:
                lines.append(f"  and {len(self.broken) - MAX_NAMED:,} more.")
        return lines

    def split(self, name: str) -> LabelledFaces:
        """The rows of one split, and its broken images.

        Raises:
            UsageError: there is no such split; the message names those there are.
        """
        rows, wanted = in_split(self.splits, name, "the data"), split_word(name).casefold()
        broken = tuple(one for one in self.broken if one.split.casefold() == wanted)
        return replace(self[rows], broken=broken)

    def image(self, row: int) -> Image:
        """``(H, W, 3)`` uint8 RGB: one image at full resolution."""
        return read_image(self.sources[row], name=str(self.names[row]))

    def crops(self, size: int, rows: Rows | None = None, spec: CropSpec | None = None) -> Crops:
        """Crops ``(m, size, size, 3)`` uint8 RGB of the given rows, or of all.

        Where faces were detected in whole photos, each is cut as `spec` says; a missed one gives a
        gray square. An image that is a crop already is the square itself, or is aligned where
        `spec` says so; one that is not square is continued at its shorter sides by repeating its
        edge.
        """
        chosen = self if rows is None else self[rows]
        out = np.full((len(chosen), size, size, 3), 128, np.uint8)
        aligner = Aligner(spec) if spec and spec.usual and chosen.found is None else None
        for row, crop in enumerate(out):
            image = chosen.image(row)
            if aligner is not None:
                crop[:] = aligner.crop(image, size)[0]
            elif chosen.found is None:
                crop[:] = fit(image, size)
            elif len(chosen.found[row]):
                crop[:] = crop_faces(image, chosen.found[row], size, spec)[0]
        return out

    def arrays(self, size: int, color: bool = False) -> VotedFaces:
        """All images decoded, for training: ``(n, size, size)`` gray, or ``(n, 3, size, size)``.

        A hard label and shares count as those of ten viewers, so that they weigh as FER+ rows do.
        Rows whose face was missed are left out.
        """
        import cv2

        kept = self[~self.missed]
        shape = (len(kept), size, size, 3) if color else (len(kept), size, size)
        images: npt.NDArray[np.uint8] = np.empty(shape, np.uint8)
        for start in range(0, len(kept), 256):
            squares = kept.crops(size, slice(start, start + 256))
            for row, square in enumerate(squares, start):
                images[row] = square if color else cv2.cvtColor(square, cv2.COLOR_RGB2GRAY)
        groups = kept.columns.get("duplicate_group", np.full(len(kept), np.nan))
        fer2013 = kept.columns.get("fer2013_label", np.full(len(kept), ""))
        return VotedFaces(
            names=kept.names,
            images=np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if color else images,
            votes=kept.votes if kept.kind == "votes" else kept.distribution * VIEWERS,
            fer2013=np.asarray(fer2013, np.str_),
            groups=np.nan_to_num(np.asarray(groups, np.float64), nan=-1).astype(np.int64),
        )


def fit(image: Image, size: int) -> Image:
    """An image ``(H, W, 3)`` as a square of `size`, centered, edges repeated, nothing cut off."""
    import cv2

    height, width = image.shape[:2]
    side = max(height, width)
    if height != width:
        top, left = (side - height) // 2, (side - width) // 2
        edges = (top, side - height - top, left, side - width - left)
        image = np.asarray(cv2.copyMakeBorder(image, *edges, cv2.BORDER_REPLICATE), np.uint8)
    if side == size:
        return image
    how = cv2.INTER_AREA if size < side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size, size), interpolation=how), np.uint8)


@dataclass(frozen=True, eq=False)
class VotedFaces:
    """Decoded face images and the votes of annotators.

    Attributes:
        names: ``(n,)`` file names, the key of the published lists.
        images: ``(n, h, w)`` uint8 gray, 48 pixels in FER+; or ``(n, 3, h, w)`` in color.
        votes: ``(n, 8)`` float32, people for each label, in the order of `mien.labels.EMOTIONS`.
        fer2013: ``(n,)`` the older single label, "" where unknown.
        groups: ``(n,)`` int64, rows that are near-identical images share a number; -1 for none.
    """

    names: npt.NDArray[np.str_]
    images: npt.NDArray[np.uint8]
    votes: npt.NDArray[np.float32]
    fer2013: npt.NDArray[np.str_]
    groups: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def distribution(self) -> npt.NDArray[np.float32]:
        """``(n, 8)``: share of the emotion votes for each label; rows sum to 1."""
        total = self.votes.sum(axis=1, keepdims=True)
        return np.asarray(self.votes / np.maximum(total, 1), np.float32)

    @property
    def majority(self) -> npt.NDArray[np.int64]:
        """``(n,)``: the label of more than half of the emotion votes; -1 where there is none.

        The official rule of FER+: single votes are dropped first.
        """
        return majority(self.votes, single=1.0)


def majority(votes: FloatArray, single: float) -> IntArray:
    """``(n,)``: place of the label that has more than half of the votes ``(n, k)``; -1 for none.

    Votes of at most `single` are dropped first: with 1.0, the official rule of FER+.
    """
    kept = np.where(votes > single, votes, 0)
    clear = kept.max(axis=1, initial=0) > kept.sum(axis=1) / 2
    return np.where(clear, kept.argmax(axis=1), -1)
