"""What comes out: one `Result` a picture, `Results` for many."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien import drawing, explain, tables
from mien.classifiers.base import EmotionClassifier
from mien.classifiers.onnx import OnnxClassifier
from mien.errors import InputError, UsageError
from mien.images import encode_png, write_image
from mien.labels import UNCERTAIN, color_of
from mien.quality import Quality, assess
from mien.types import Crops, Faces, FloatArray, Image, Scores

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Result:
    """Everything about one picture. No face is a normal result.

    Attributes:
        source: a path or another name of the input.
        index, time_s: 0 and None for a photo; number and time of a video frame.
        size: ``(width, height)`` in pixels, or None where the picture could not be read.
        faces: boxes, detection scores and landmarks of the n faces, largest first.
        scores: the whole distribution of each face.
        quality: size, sharpness, roll, yaw and fitness of each face.
        crops: ``(n, S, S, 3)`` uint8, the squares that the classifier saw.
        error: one sentence where the picture could not be read, else None.
        milliseconds: time spent on this picture.
        uncertain_below: a face whose top probability is lower is called ``uncertain``.
        settings: what the run was made with.
    """

    source: str
    faces: Faces
    scores: Scores
    quality: Quality
    crops: Crops
    index: int = 0
    time_s: float | None = None
    size: tuple[int, int] | None = None
    error: str | None = None
    milliseconds: float = 0.0
    uncertain_below: float = 0.5
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    _read: Callable[[], Image] | None = field(default=None, repr=False)
    _classifier: EmotionClassifier | None = field(default=None, repr=False)

    @classmethod
    def failed(cls, source: str, error: str, labels: Sequence[str], **known: Any) -> Result:
        """The result of an input that could not be read."""
        faces, crops = Faces.empty(), np.zeros((0, 1, 1, 3), np.uint8)
        return cls(
            source, faces, Scores.empty(labels), assess(faces, crops), crops, error=error, **known
        )

    def __len__(self) -> int:
        return len(self.faces)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the score columns."""
        return self.scores.labels

    @property
    def emotions(self) -> tuple[str, ...]:
        """The apparent expression of each face, ``uncertain`` where no label has a majority."""
        sure = self.probabilities >= self.uncertain_below
        if self.scores.kind != "probability":
            sure = np.ones(len(self), bool)
        tops = self.scores.top
        return tuple(self.labels[t] if s else UNCERTAIN for t, s in zip(tops, sure, strict=True))

    @property
    def probabilities(self) -> FloatArray:
        """``(n,)``: the top probability of each face."""
        return np.asarray(self.scores.values.max(axis=1, initial=0.0), np.float32)

    @property
    def image(self) -> Image:
        """The picture, ``(H, W, 3)`` uint8 RGB, read again where it was not kept.

        Raises:
            InputError: it could not be read, now or then.
        """
        if self.error is not None or self._read is None:
            raise InputError(self.error or f"the picture {self.source} was not kept.")
        return self._read()

    def to_dataframe(self) -> pd.DataFrame:
        """The ``faces`` table of this picture: one row a face, one column a label."""
        return tables.to_dataframe([self.face_columns()], self.labels)

    def table(self) -> Any:
        """The same as a coloured pandas Styler, for notebooks."""
        return tables.style(self.to_dataframe(), self.labels)

    def draw(self, margin_for: int | None = None) -> Image:
        """The picture with boxes, labels and percents.

        Args:
            margin_for: number of a face whose every probability is listed in an added margin.

        Raises:
            UsageError: there is no face of that number.
        """
        colors = [color_of(emotion, self.labels) for emotion in self.emotions]
        chosen = None if margin_for is None else self._face(margin_for)
        captions = self._captions()
        if len(captions) > 1:  # so that the picture can be read beside the table
            captions = [f"{number} {caption}" for number, caption in enumerate(captions)]
        picture = drawing.draw_faces(
            self.image, self.faces.boxes, captions, colors, selected=chosen
        )
        if chosen is None:
            return picture
        return drawing.draw_margin(
            picture,
            f"face {chosen}",
            self.labels,
            self.scores.values[chosen],
            [color_of(label, self.labels) for label in self.labels],
            thumbnail=self.crops[chosen] if len(self.crops) else None,
        )

    def square_images(self) -> Image:
        """All faces as labelled squares in one picture."""
        colors = [color_of(emotion, self.labels) for emotion in self.emotions]
        return drawing.square_sheet(self.crops, self._captions(), colors)

    def heatmaps(self, label: str | None = None) -> Image:
        """Where each square speaks for a label, drawn over the labelled squares.

        Class activation maps (Zhou et al. 2016) where the model's card names its feature map and
        head; otherwise the drop in probability under a moving grey patch.

        Args:
            label: the label to explain; None for each face's own top label.
        """
        maps = self.activation_maps(label)
        shown = label or None
        captions = [shown or self.labels[top] for top in self.scores.top]
        colors = [color_of(caption, self.labels) for caption in captions]
        return drawing.square_sheet(drawing.blend_heatmaps(self.crops, maps), captions, colors)

    def activation_maps(self, label: str | None = None) -> FloatArray:
        """The maps behind `heatmaps`: ``(n, h, w)`` float32, 0 to 1."""
        model = self._classifier
        if model is None:
            raise UsageError("heatmaps need the model; analyse the picture again.")
        if label is not None and label not in self.labels:
            raise UsageError(f"there is no label {label!r}; there are {', '.join(self.labels)}.")
        targets = [label or self.labels[top] for top in self.scores.top]
        columns = np.array([model.labels.index(name) for name in targets], np.int64)
        if isinstance(model, OnnxClassifier) and model.card.feature_map:
            head = model.head_weights
            if head is not None:
                inside = model.activations(self.crops)
                assert inside.feature_map is not None
                return explain.class_activation(inside.feature_map, head, columns)
        return explain.occlusion(lambda crops: model.classify(crops).values, self.crops, columns)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `to_json` writes them."""
        columns = self.face_columns()
        faces = []
        for row in range(len(self)):
            face: dict[str, Any] = {"face": row, "box": _plain(self.faces.boxes[row])}
            names = ("detection_score", "track_id", "emotion", "probability")
            face |= {name: _plain(columns[name][row]) for name in names}
            face["probabilities"] = {
                name: _plain(value)
                for name, value in zip(self.labels, self.scores.values[row], strict=True)
            }
            face["quality"] = {k: _plain(v[row]) for k, v in self.quality.columns().items()}
            if self.faces.landmarks is not None:
                face["landmarks"] = _plain(self.faces.landmarks[row])
            faces.append(face)
        width, height = self.size or (None, None)
        return {
            "source": self.source,
            "frame": self.index,
            "time_s": self.time_s,
            "width": width,
            "height": height,
            "status": "ok" if self.error is None else "error",
            "error": self.error,
            "milliseconds": round(self.milliseconds, 1),
            "faces": faces,
        }

    def to_json(self) -> str:
        """One JSON object on one line; NaN becomes null."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def save(self, folder: str | Path) -> Path:
        """Write table, annotated picture, squares and JSON into `folder` and return it."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        stem = Path(self.source).stem or "result"
        Results([self]).save(target / f"{stem}.csv")
        (target / f"{stem}.json").write_text(self.to_json() + "\n", encoding="utf-8")
        if self.error is None:
            write_image(target / f"{stem}.annotated.jpg", self.draw())
            write_image(target / f"{stem}.squares.png", self.square_images())
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
            "status": ["ok" if self.error is None else "error"],
            "error": [self.error],
            "milliseconds": [self.milliseconds],
        }

    def _captions(self) -> list[str]:
        percents = (f"{round(100 * float(p))} %" for p in self.probabilities)
        if self.scores.kind != "probability":
            percents = ("" for _ in self.emotions)
        return [f"{e} {p}".strip() for e, p in zip(self.emotions, percents, strict=True)]

    def _face(self, number: int) -> int:
        if not 0 <= number < len(self):
            raise UsageError(
                f"there is no face {number}; this picture has {len(self)}, counted from 0."
            )
        return number

    def _repr_html_(self) -> str:
        """How a notebook shows the result: the picture, then the coloured table."""
        if self.error is not None:
            return f"<p><b>{_escape(self.source)}</b>: {_escape(self.error)}</p>"
        import base64

        html = ""
        if self._read is not None:
            picture = base64.b64encode(encode_png(_fit(self.draw(), 900))).decode()
            html = f'<img style="max-width:100%" src="data:image/png;base64,{picture}"/>'
        return html + str(self.table().to_html()) if len(self) else html + "<p>no face</p>"


class Results(Sequence[Result]):
    """Many results, in order, and their two tables."""

    def __init__(self, results: Iterable[Result] = ()) -> None:
        self._results = tuple(results)

    def __len__(self) -> int:
        return len(self._results)

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results)

    def __getitem__(self, index: Any) -> Any:
        found = self._results[index]
        return Results(found) if isinstance(index, slice) else found

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the score columns."""
        return self._results[0].labels if self._results else ()

    @property
    def faces(self) -> pd.DataFrame:
        """One row a face, of all pictures."""
        return tables.to_dataframe([result.face_columns() for result in self], self.labels)

    @property
    def images(self) -> pd.DataFrame:
        """One row an input, also of those without a face and those that failed."""
        return tables.images_dataframe([result.image_columns() for result in self])

    def to_dataframe(self) -> pd.DataFrame:
        """The ``faces`` table."""
        return self.faces

    def save(self, path: str | Path) -> Path:
        """Write the ``faces`` table to `path` and the ``images`` table beside it.

        The suffix chooses the format: ``.parquet`` (keeps settings and model hash), ``.csv`` or
        ``.jsonl``. ``photos.parquet`` gets ``photos.images.parquet`` as its neighbour.
        """
        target = Path(path)
        settings = dict(self._results[0].settings) if self._results else {}
        settings["labels"] = json.dumps(list(self.labels))
        tables.write_table(self.faces, target, settings)
        tables.write_table(self.images, images_path(target), settings)
        return target

    @classmethod
    def load(cls, path: str | Path) -> Results:
        """Read what `save` or ``mien analyze -o`` wrote.

        Boxes, scores and quality come back; the squares and landmarks are not stored, so pictures
        are read again from their source when they are needed.
        """
        target = Path(path)
        faces, settings = tables.read_table(target)
        images, _ = tables.read_table(images_path(target))
        labels = tables.label_columns(faces)
        settings.pop("labels", None)
        groups = dict(list(faces.groupby(["source", "frame"], sort=False)))
        found = []
        for row in images.to_dict("records"):
            key = (row["source"], row["frame"])
            found.append(_restore(row, groups.get(key, faces.iloc[:0]), labels, settings))
        return cls(found)

    def _repr_html_(self) -> str:
        return str(tables.style(self.faces, self.labels).to_html())


def images_path(path: Path) -> Path:
    """Where the ``images`` table lies, given the path of the ``faces`` table."""
    return path.with_name(f"{path.stem}.images{path.suffix}")


def _restore(
    row: Mapping[Any, Any], rows: pd.DataFrame, labels: tuple[str, ...], settings: Mapping[str, str]
) -> Result:
    from mien.images import read_image

    source = str(row["source"])
    time_s = None if _missing(row["time_s"]) else float(row["time_s"])
    known: dict[str, Any] = {"index": int(row["frame"]), "time_s": time_s, "settings": settings}
    known["milliseconds"] = float(row["milliseconds"])
    if row["status"] == "error":
        return Result.failed(source, str(row["error"]), labels, **known)
    tracks = rows["track_id"]
    faces = Faces(
        rows[["x1", "y1", "x2", "y2"]].to_numpy(np.float32),
        rows["detection_score"].to_numpy(np.float32),
        track_ids=None if tracks.isna().any() or not len(rows) else tracks.to_numpy(np.int64),
    )
    values = rows[list(labels)].to_numpy(np.float32)
    distribution = bool(np.allclose(values.sum(axis=1), 1, atol=1e-2)) if len(values) else True
    measured = {name: rows[name].to_numpy(np.float32) for name in tables.QUALITY_COLUMNS[:-1]}
    quality = Quality(**measured, fit=rows["fit"].to_numpy(bool))
    return Result(
        source,
        faces,
        Scores(values, labels, "probability" if distribution else "score"),
        quality,
        np.zeros((0, 1, 1, 3), np.uint8),
        size=(int(row["width"]), int(row["height"])),
        uncertain_below=float(settings.get("uncertain_below", 0.5)),
        _read=lambda: read_image(source),
        **known,
    )


def _missing(value: Any) -> bool:
    return value is None or value != value


def _plain(value: Any) -> Any:
    """Arrays and numpy numbers as plain Python, six digits, NaN as None."""
    if isinstance(value, np.ndarray):
        return [_plain(v) for v in value]
    if isinstance(value, np.bool_ | bool):
        return bool(value)
    if isinstance(value, np.integer | int):
        return int(value)
    if isinstance(value, np.floating | float):
        return None if math.isnan(value) else round(float(value), 6)
    return None if value is None or type(value).__name__ == "NAType" else value


def _escape(text: str) -> str:
    from html import escape

    return escape(text)


def _fit(image: Image, longest: int) -> Image:
    import cv2

    scale = longest / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
