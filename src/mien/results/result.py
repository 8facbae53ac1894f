"""`Result`: everything about one image or video frame."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.drawing import image
from mien.drawing.mesh import draw_mesh
from mien.errors import InputError, UsageError
from mien.expressions import affect, saliency
from mien.expressions.base import EmotionClassifier, MappedClassifier
from mien.faces.mesh import Mesh
from mien.faces.quality import Quality, assess
from mien.files import write_text, writing
from mien.labels import UNCERTAIN, color_of
from mien.media.images import encode, write_image
from mien.results import display, serialization, tables
from mien.results.settings import RunSettings
from mien.results.writer import check_table
from mien.types import Comparable, Crops, Faces, FloatArray, Image, Index, IntArray, Scores, rows_of

if TYPE_CHECKING:
    import pandas as pd

#: In place of a label, for maps: all labels, weighted by their probability.
MIX = "mix"
_SHOWN = 5  # faces that a result names when it is printed


@dataclass(frozen=True, eq=False, repr=False)
class Result(Comparable):
    """Everything about one image. No face is a normal result.

    Attributes:
        source: a path or another name of the input.
        index, time_s: 0 and None for a photo; number and time of a video frame.
        size: ``(width, height)`` in pixels, or None where the image could not be read.
        faces: boxes, detection scores and landmarks of the n faces, largest first.
        scores: the whole distribution of each face.
        quality: size, sharpness, roll, yaw and fitness of each face.
        crops: ``(n, S, S, 3)`` uint8, the input of the classifier.
        error: one sentence where the image could not be read, else None.
        dropped: whether it is a live frame that was dropped; `error` then says so.
        milliseconds: time spent on this image; `equals` does not compare it.
        duration_s: how long a video frame is shown, seconds: until the next one analyzed or the
            end of the video; None where that is unknown.
        mesh: 478 points of each face, where actions or landmarks were requested; else None.
        uncertain_below: a face whose top probability is lower is called ``uncertain``.
        settings: what the analysis was made with.

    The image itself is kept only by a call on one image; otherwise it is read again where it is
    needed. An image that was given as an array or bytes stays in memory with its result, also
    when pickled; the classifier is left out of pickles.
    """

    source: str
    faces: Faces = field(repr=False)
    scores: Scores = field(repr=False)
    quality: Quality = field(repr=False)
    crops: Crops = field(repr=False)
    index: int = 0
    time_s: float | None = None
    size: tuple[int, int] | None = None
    error: str | None = None
    dropped: bool = False
    milliseconds: float = field(default=0.0, compare=False)
    duration_s: float | None = None
    mesh: Mesh | None = field(default=None, repr=False)
    uncertain_below: float = 0.5
    settings: RunSettings = field(default=RunSettings(), repr=False)
    _stored_emotions: tuple[str, ...] | None = field(default=None, repr=False, compare=False)
    _read: Callable[[], Image] | None = field(default=None, repr=False, compare=False)
    _classifier: EmotionClassifier | None = field(default=None, repr=False, compare=False)

    @classmethod
    def failed(cls, source: str, error: str, labels: Sequence[str], **known: Any) -> Result:
        """The result of an input that could not be read."""
        faces, crops = Faces.empty(), np.zeros((0, 1, 1, 3), np.uint8)
        return cls(
            source, faces, Scores.empty(labels), assess(faces, crops), crops, error=error, **known
        )

    def __len__(self) -> int:
        return len(self.faces)

    def __bool__(self) -> bool:
        """True even without a face: use ``len`` to count."""
        return True

    def __getitem__(self, index: Index) -> Result:
        """Select faces by int, slice, list of ints or boolean mask; always returns `Result`.

        result[result.quality.fit]
        """
        rows = rows_of(index, len(self), "face")
        stored = self._stored_emotions
        return replace(
            self,
            faces=self.faces[rows],
            scores=self.scores[rows],
            quality=self.quality[rows],
            mesh=None if self.mesh is None else self.mesh[rows],
            crops=self.crops[rows] if len(self.crops) == len(self) else self.crops,
            _stored_emotions=None if stored is None else tuple(np.array(stored, object)[rows]),
        )

    def __iter__(self) -> Iterator[Result]:
        """A result per face."""
        return (self[row] for row in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_classifier": None}

    def __repr__(self) -> str:
        """The result in a line: ``Result('a.jpg', 512x512, 1 face: happiness 98 %)``."""
        parts = [repr(self.source)]
        if self.time_s is not None:
            parts.append(f"frame {self.index} at {self.time_s:.2f} s")
        if self.size is not None:
            parts.append(f"{self.size[0]}x{self.size[1]}")
        if self.error is not None:
            parts.append(f"{self.status}: {self.error}")
        else:
            faces = ", ".join(self._captions()[:_SHOWN]) + ", ..." * (len(self) > _SHOWN)
            parts.append(f"{len(self) or 'no'} face{'s' * (len(self) > 1)}")
            if len(self):
                parts[-1] += f": {faces}"
        return f"Result({', '.join(parts)})"

    def __str__(self) -> str:
        """The result in a line, and a row per face with its most probable expressions."""
        return "\n".join([repr(self), *display.lines(self.to_dataframe(), self.labels)])

    @property
    def status(self) -> str:
        """``ok``, ``error``, or ``dropped`` for a live frame."""
        if self.dropped:
            return "dropped"
        return "ok" if self.error is None else "error"

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the score columns."""
        return self.scores.labels

    @property
    def emotions(self) -> tuple[str, ...]:
        """The apparent expression of each face, ``uncertain`` where no label has a majority."""
        if self._stored_emotions is not None:
            return self._stored_emotions
        sure = self.probabilities >= self.uncertain_below
        if self.scores.kind != "probability":
            sure = np.ones(len(self), bool)
        tops = self.scores.top
        return tuple(self.labels[t] if s else UNCERTAIN for t, s in zip(tops, sure, strict=True))

    @property
    def probabilities(self) -> FloatArray:
        """``(n,)``: the top probability of each face."""
        return np.asarray(self.scores.values.max(axis=1), np.float32)

    @property
    def image(self) -> Image:
        """The image, ``(H, W, 3)`` uint8 RGB, read again where it was not kept.

        Raises:
            InputError: it cannot be read, or could not be when it was analyzed.
        """
        if self.error is not None or self._read is None:
            raise InputError(self.error or f"the image {self.source} was not kept.")
        return self._read()

    @property
    def meshed_image(self) -> Image:
        """The `image` with the contours of the `mesh`, where there is one."""
        return self.image if self.mesh is None else draw_mesh(self.image, self.mesh.points)

    def derive_affect(self) -> Result:
        """The same with valence and arousal, derived where the model does not predict them.

        Raises:
            UsageError: the coordinates of a label are unknown, see `mien.expressions.affect`.
        """
        names = affect.missing(tuple(self.scores.measures))
        if not names:
            return self
        settings = replace(self.settings, derived=affect.provenance_note(names))
        return replace(self, scores=affect.with_affect(self.scores), settings=settings)

    def to_dataframe(self) -> pd.DataFrame:
        """The ``faces`` table of this image: one row per face, the expression first.

        ``attrs`` of the table name the columns of labels and measures, and the settings.
        """
        return display.expression_first(self._faces_table())

    def _faces_table(self) -> pd.DataFrame:
        table = tables.to_dataframe([self.face_columns()], self.labels)
        return tables.describe(table, self.labels, self.settings)

    def table(self) -> Any:
        """The ``faces`` table as a colored pandas Styler, for notebooks."""
        return display.style(self._faces_table(), self.labels)

    def draw(self, margin_for: int | None = None) -> Image:
        """The image with boxes, labels and percentages.

        Args:
            margin_for: number of a face; a margin is added that lists all its probabilities.

        Raises:
            UsageError: there is no face of that number.
        """
        colors = [color_of(emotion, self.labels) for emotion in self.emotions]
        chosen = None if margin_for is None else self._face(margin_for)
        captions = self._numbered(self._captions())
        drawn = image.draw_faces(
            self.meshed_image, self.faces.boxes, captions, colors, selected=chosen
        )
        if chosen is None:
            return drawn
        return image.draw_margin(
            drawn,
            f"face {chosen}",
            self.labels,
            self.scores.values[chosen],
            [color_of(label, self.labels) for label in self.labels],
            thumbnail=self.crops[chosen] if len(self.crops) else None,
        )

    def square_images(self) -> Image:
        """All face crops with their labels as one image."""
        colors = [color_of(emotion, self.labels) for emotion in self.emotions]
        return image.crop_sheet(self._squares(), self._numbered(self._captions()), colors)

    def heatmaps(self, label: str | None = None) -> Image:
        """Explain a label: the crops as one image, with a heatmap of what supports it over each.

        Class activation maps (Zhou et al. 2016) where the model's card names its feature map and
        head; otherwise occlusion: the drop in probability under a moving gray patch.

        Args:
            label: the label to explain; None for the top label of each face; "mix" for all labels,
                weighted by their probabilities.
        """
        maps = self.activation_maps(label)
        captions = [label or self.labels[top] for top in self.scores.top]
        colors = [color_of(caption, self.labels) for caption in captions]
        return image.heatmap_sheet(self.crops, maps, self._numbered(captions), colors)

    def activation_maps(self, label: str | None = None) -> FloatArray:
        """The maps behind `heatmaps`: ``(n, h, w)`` float32, 0 to 1."""
        model = self._classifier
        if model is None:
            raise UsageError("heatmaps need the model: analyze the image again.")
        if label is not None and label not in (*self.labels, MIX):
            raise UsageError(
                f"there is no label {label!r}; there are {', '.join(self.labels)}, and {MIX!r}."
            )
        targets = self._targets(model, label)
        if isinstance(model, MappedClassifier):
            maps = model.class_activation_maps(self.crops, targets)
            if maps is not None:
                return maps
        return saliency.occlusion(lambda crops: model.classify(crops).values, self.crops, targets)

    def _targets(self, model: EmotionClassifier, label: str | None) -> FloatArray | IntArray:
        """What the map of each face explains: the index of a label, or weights of all labels."""
        place = {name: column for column, name in enumerate(model.labels)}
        if label == MIX:
            weights = np.zeros((len(self), len(place)), np.float32)
            weights[:, [place[name] for name in self.labels]] = self.scores.values
            return weights
        wanted = [label or self.labels[top] for top in self.scores.top]
        return np.array([place[name] for name in wanted], np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `to_json` writes them."""
        return serialization.to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], labels: Sequence[str] = ()) -> Result:
        """The result that `to_dict` or `to_json` wrote, without its crops and settings.

        Args:
            data: of one result, such as a line of ``mien analyze --json``.
            labels: of the model, needed only for a result without faces.

        Raises:
            InputError: this is no result of mien's.
        """
        return serialization.from_dict(data, labels)

    def to_json(self) -> str:
        """One JSON object on one line; NaN becomes null."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write annotated image, crops, JSON and table of this image into `folder`.

        The files are named after the image: ``NAME.annotated.jpg``, ``NAME.squares.png``,
        ``NAME.json`` and ``NAME.csv``; files of those names are replaced where mien wrote them
        of this image, or with `overwrite`.

        Raises:
            UsageError: nothing can be written there, or mien did not write files of those names.
        """
        target = Path(folder)
        stem = Path(self.source).stem or "result"
        squares = None if self.error is not None else self.square_images()
        with writing(target):
            target.mkdir(parents=True, exist_ok=True)
        table = self._faces_table()
        if not overwrite:  # before the first is written
            check_table(target / f"{stem}.csv", table.columns, [self.source])
        write_text(target / f"{stem}.json", self.to_json() + "\n", overwrite=overwrite)
        tables.write_table(table, target / f"{stem}.csv", overwrite=overwrite)
        if squares is not None:
            write_image(target / f"{stem}.annotated.jpg", self.draw(), overwrite=overwrite)
            write_image(target / f"{stem}.squares.png", squares, overwrite=overwrite)
        return target

    def face_columns(self) -> dict[str, Any]:
        """The rows of the ``faces`` table as columns."""
        return tables.face_columns(
            self.source,
            self.index,
            self.time_s,
            self.faces,
            self.scores,
            self.emotions,
            self.probabilities,
            self.quality.columns(),
        )

    def image_columns(self) -> dict[str, Any]:
        """The row of the ``images`` table as columns of length 1."""
        width, height = self.size or (None, None)
        return {
            "source": [self.source],
            "frame": [self.index],
            "time_s": [math.nan if self.time_s is None else self.time_s],
            "width": [width],
            "height": [height],
            "n_faces": [len(self)],
            "status": [self.status],
            "error": [self.error],
            "milliseconds": [self.milliseconds],
            "duration_s": [math.nan if self.duration_s is None else self.duration_s],
        }

    def _captions(self) -> list[str]:
        percents = (f"{round(100 * float(p))} %" for p in self.probabilities)
        if self.scores.kind != "probability":
            percents = ("" for _ in self.emotions)
        unfit = (f" ({str(why).replace('_', ' ')})" if why else "" for why in self.quality.reason)
        parts = zip(self.emotions, percents, unfit, strict=True)
        return [f"{emotion} {percent}".strip() + why for emotion, percent, why in parts]

    def _numbered(self, captions: Sequence[str]) -> list[str]:
        """Captions that begin with the face's row in the table, where there is more than one."""
        if len(captions) < 2:
            return list(captions)
        return [f"{number} {caption}" for number, caption in enumerate(captions)]

    def _squares(self) -> Crops:
        """The crops; results that were loaded from a table do not have them."""
        if len(self.crops) != len(self):
            raise UsageError("crops are not stored in tables: analyze the image again.")
        return self.crops

    def _face(self, number: int) -> int:
        if not 0 <= number < len(self):
            where = f"faces are numbered 0 to {len(self) - 1}" if len(self) else "it has none"
            raise UsageError(f"there is no face {number} in {self.source}: {where}.")
        return number

    def _repr_html_(self) -> str:
        """How a notebook shows the result: the image, then the colored table."""
        if self.error is not None:
            return f"<p><b>{escape(self.source)}</b>: {escape(self.error)}</p>"
        import base64

        html = ""
        if self._read is not None:
            data = base64.b64encode(encode(image.shrunk(self.draw(), 900))).decode()
            html = f'<img style="max-width:100%" src="data:image/png;base64,{data}"/>'
        return html + str(self.table().to_html()) if len(self) else html + "<p>no face</p>"
