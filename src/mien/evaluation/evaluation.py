"""Evaluation of a classifier on labeled faces: figures with intervals and protocols."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.datasets import LabelledFaces
from mien.datasets.faces import MAX_NAMED
from mien.errors import InputError, UsageError
from mien.evaluation.intervals import (
    DRAWS,
    FEW,
    FEW_PEOPLE,
    Counts,
    Estimate,
    Gap,
    jackknifed,
    largest_gap,
    measured,
    share,
)
from mien.evaluation.metrics import (
    BINS,
    calibration,
    calibration_error,
    confusion,
    coverage,
    divergence,
    macro_f1,
)
from mien.evaluation.predictions import Progress, predict_faces, vocabulary
from mien.expressions.base import EmotionClassifier
from mien.labels import EMOTIONS
from mien.types import FloatArray, Floats, IntArray

_LEAST = 20  # the fewest faces of a group that counts for the gap
_POINTS = 101  # of the coverage curve, in JSON
_MOST = 12  # the most groups of a column of numbers or text


@dataclass(frozen=True)
class Groups:
    """Accuracy in each group of one column.

    Attributes:
        column: of the data.
        parts: name and figure of each group, in order.
        gap: the largest one among those with at least 20 faces, with its interval and a test
            against chance; None for fewer than two. Faces of an unknown group, "", have no part.
    """

    column: str
    parts: tuple[tuple[str, Estimate], ...]
    gap: Gap | None


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """The figures of an evaluation.

    Attributes:
        labels: those of the vocabulary that the data uses.
        table: ``(k, k + 1)`` confusion counts, see `mien.evaluation.metrics.confusion`.
        accuracy, macro_f1: over all faces with a majority label.
        recalls: by label.
        votes: figures against the votes: ``kl_votes``, ``ece_votes``; empty for hard labels.
        ece: calibration error against the label.
        reliability: mean confidence, accuracy, and count, of each used bin.
        selective: threshold, share of faces at or above it, and their accuracy.
        sure: share of the faces that are not uncertain, and their accuracy.
        groups: for each column asked for.
        missed: photos in which no face was detected; each counts as an error.
        protocol: how it was measured, a sentence each.
        rows: places in the data of the evaluated faces.
        right: ``(n,)`` whether each prediction is right.
    """

    labels: tuple[str, ...]
    table: Counts
    accuracy: Estimate
    macro_f1: Estimate
    recalls: Mapping[str, Estimate]
    votes: Mapping[str, float]
    ece: float
    reliability: tuple[tuple[float, float, int], ...]
    selective: tuple[Floats, Floats, Floats] = field(repr=False)
    sure: tuple[float, float]
    groups: tuple[Groups, ...]
    missed: int
    protocol: tuple[str, ...]
    rows: IntArray = field(repr=False)
    right: npt.NDArray[np.bool_] = field(repr=False)

    def __repr__(self) -> str:
        accuracy, f1 = self.accuracy.value, self.macro_f1.value
        figures = f"accuracy {100 * accuracy:.1f} %, macro F1 {100 * f1:.1f} %"
        return f"Evaluation({len(self.right)} faces: {figures})"

    def to_dict(self) -> dict[str, Any]:
        """Everything but the rows, for JSON; what is unknown is None."""
        return {
            "accuracy": _json(self.accuracy),
            "macro_f1": _json(self.macro_f1),
            "recalls": {label: _json(figure) for label, figure in self.recalls.items()},
            "votes": {name: round(value, 5) for name, value in self.votes.items()},
            "ece": _known(self.ece),
            "sure": {"share": _known(self.sure[0]), "accuracy": _known(self.sure[1])},
            "missed": self.missed,
            "labels": list(self.labels),
            "confusion": self.table.tolist(),
            "reliability": [
                {"confidence": round(confidence, 5), "right": round(right, 5), "faces": count}
                for confidence, right, count in self.reliability
            ],
            "coverage": _curve(*self.selective),
            "groups": {
                part.column: {
                    "gap": None if part.gap is None else _gap(part.gap),
                    "groups": {name: _json(figure) for name, figure in part.parts},
                }
                for part in self.groups
            },
            "protocol": list(self.protocol),
        }


def evaluate(
    classifier: EmotionClassifier,
    faces: LabelledFaces,
    *,
    by: Sequence[str] = (),
    uncertain_below: float = 0.5,
    progress: Progress | None = None,
) -> Evaluation:
    """Predict labeled faces and compare with their labels.

    One crop, no flip, one model. Only faces count for which more than half of the annotators chose
    one label. The prediction is the most probable of the labels that the data uses; a label that
    the model does not have is an error each time. Intervals: see `mien.evaluation.intervals`; where
    the data has a column ``person``, they are over people.

    Args:
        classifier: any expression classifier; its labels are mapped by name.
        faces: as from `mien.datasets.load_faces`.
        by: columns of the data; accuracy is reported for each of their values.
        uncertain_below: a face whose top probability is lower is left out of `sure`.
        progress: wraps the loop over batches; gets it and the number of batches.

    Raises:
        UsageError: the data has no such column, or the model shares no label with it.
        InputError: no face has a majority.
    """
    for column in by:
        if column not in faces.columns:
            there = ", ".join(faces.columns) or "none but image and label"
            raise UsageError(f"the data has no column {column!r}; it has {there}.")
    rows = np.flatnonzero(faces.majority >= 0)
    if not len(rows):
        raise InputError("no face of the data has a label that most of its annotators chose.")
    labels = faces.labels
    shared = [label for label in vocabulary(classifier) if label in labels]
    if not shared:
        raise UsageError(
            f"the model has none of the data's labels: {', '.join(labels)}; "
            f"it has {', '.join(classifier.labels)}."
        )
    judged = faces[rows]
    scores = _normal(predict_faces(classifier, judged, progress), labels)
    place = np.array([EMOTIONS.index(label) for label in labels])
    truth = np.searchsorted(place, judged.majority)
    predicted = np.where(judged.missed, -1, scores.argmax(axis=1))
    table = confusion(truth, predicted, len(labels))
    confidence = np.where(judged.missed, 0, scores.max(axis=1)).astype(np.float32)
    right, people = predicted == truth, _people(judged)
    agreed = right.astype(np.float32)
    _, mean_confidence, mean_right, counts = calibration(confidence, agreed)
    answered = confidence >= uncertain_below
    return Evaluation(
        labels=labels,
        table=table,
        accuracy=share(right, people),
        macro_f1=_macro_f1(truth, predicted, len(labels), people),
        recalls={
            label: share(right[truth == row], None if people is None else people[truth == row])
            for row, label in enumerate(labels)
        },
        votes=_votes(scores, judged, place) if faces.kind != "label" else {},
        ece=calibration_error(confidence, agreed),
        reliability=tuple(
            zip(mean_confidence.tolist(), mean_right.tolist(), counts.tolist(), strict=True)
        ),
        selective=coverage(confidence, right),
        sure=(
            float(answered.mean()),
            float(right[answered].mean()) if answered.any() else math.nan,
        ),
        groups=tuple(_groups(column, judged.columns[column], right, people) for column in by),
        missed=int(judged.missed.sum()),
        protocol=_protocol(classifier, faces, judged, shared, uncertain_below),
        rows=rows,
        right=right,
    )


def _normal(scores: FloatArray, labels: Sequence[str]) -> FloatArray:
    """The columns of `labels` only, as if the others had been left out before the softmax."""
    kept = scores[:, [EMOTIONS.index(label) for label in labels]]
    total = kept.sum(axis=1, keepdims=True)
    return np.asarray(kept / np.where(total > 0, total, 1), np.float32)


def _people(faces: LabelledFaces) -> npt.NDArray[np.str_] | None:
    """The person of each face, by the column ``person``; an unknown one counts as another."""
    if "person" not in faces.columns:
        return None
    names = faces.columns["person"].astype(np.str_)
    alone = np.char.add("#", np.arange(len(names)).astype(np.str_))
    return np.where(np.isin(names, ("", "nan")), alone, names)


def _macro_f1(
    truth: IntArray, predicted: IntArray, labels: int, people: npt.NDArray[np.str_] | None
) -> Estimate:
    if people is None:
        return measured(confusion(truth, predicted, labels), macro_f1)
    return jackknifed(
        lambda rows: float(macro_f1(confusion(truth[rows], predicted[rows], labels))), people
    )


def _votes(scores: FloatArray, faces: LabelledFaces, place: IntArray) -> dict[str, float]:
    shares = faces.distribution[:, place]
    detected = ~faces.missed
    agreed = shares[np.arange(len(scores)), scores.argmax(axis=1)]
    return {
        "kl_votes": divergence(scores[detected], shares[detected]),
        "ece_votes": calibration_error(scores.max(axis=1)[detected], agreed[detected]),
    }


def _groups(
    column: str,
    values: npt.NDArray[Any],
    right: npt.NDArray[np.bool_],
    people: npt.NDArray[np.str_] | None,
) -> Groups:
    names = _named(values)
    parts = []
    for name in dict.fromkeys(sorted(set(names.tolist()), key=_order)):
        rows = names == name
        parts.append((name, share(right[rows], None if people is None else people[rows])))
    enough = [name for name, figure in parts if name and figure.count >= _LEAST]
    rows = np.isin(names, enough)
    known = None if people is None else people[rows]
    return Groups(column, tuple(parts), largest_gap(right[rows], names[rows], known))


def _named(values: npt.NDArray[Any]) -> npt.NDArray[np.str_]:
    """Names of groups: text as it is, many different numbers as quarters of the faces."""
    if np.issubdtype(values.dtype, np.number):
        numbers = values.astype(np.float64)
        known = numbers[~np.isnan(numbers)]
        if len(np.unique(known)) > _MOST:
            edges = np.quantile(known, [0, 0.25, 0.5, 0.75, 1])
            part = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, 3)
            ranges = [f"{edges[i]:g} to {edges[i + 1]:g}" for i in range(4)]
            return np.array(
                ["" if np.isnan(n) else ranges[p] for n, p in zip(numbers, part, strict=True)],
                np.str_,
            )
        return np.array(["" if np.isnan(n) else f"{n:g}" for n in numbers], np.str_)
    text = values.astype(np.str_)
    names, counts = np.unique(text[text != ""], return_counts=True)
    if len(names) > _MOST:
        common = names[np.argsort(-counts, kind="stable")[: _MOST - 1]]
        text = np.where(np.isin(text, [*common, ""]), text, "others")
    return text


def _order(name: str) -> tuple[int, float, str]:
    try:
        return 0, float(name.split(" to ")[0]), name
    except ValueError:
        return 1, 0.0, name


def _protocol(
    classifier: EmotionClassifier,
    faces: LabelledFaces,
    judged: LabelledFaces,
    shared: Sequence[str],
    uncertain_below: float,
) -> tuple[str, ...]:
    people = _people(judged)
    agree = "on which more than half of the annotators agree"
    lines = [
        f"{len(judged):,} faces with one label each"
        if faces.kind == "label"
        else f"{len(judged):,} faces, of {len(faces):,}, {agree}",
        *_splits(judged),
        "one crop, no flip, one model",
        "the prediction is the most probable of the data's labels: " + ", ".join(faces.labels),
        _intervals(people),
        f"uncertain: top probability below {uncertain_below:g}",
        "macro F1: the mean over the labels that occur, each counting the same",
        f"calibration error: over {BINS} bins of the top probability, against the label",
    ]
    if faces.kind != "label":
        lines.append(
            "figures of votes: KL divergence in nats and calibration error, on these faces"
        )
    lacking = [label for label in faces.labels if label not in shared]
    if lacking:
        lines.append(f"the model has no {', '.join(lacking)}: an error each time")
    others = [label for label in classifier.labels if label not in faces.labels]
    left_out = [label for label in vocabulary(classifier) if label not in faces.labels]
    if left_out and others:
        lines.append(f"left out before the softmax, since the data lacks it: {', '.join(left_out)}")
    if faces.found is not None:
        lines.append(
            "faces were detected in whole photos, the largest counts; "
            f"{int(judged.missed.sum())} photos without one count as errors"
        )
    if faces.broken:
        some = ", ".join(broken.name for broken in faces.broken[:MAX_NAMED])
        more = (
            f" and {len(faces.broken) - MAX_NAMED:,} more" if len(faces.broken) > MAX_NAMED else ""
        )
        lines.append(f"{len(faces.broken):,} broken images left out: {some}{more}")
    return tuple(lines)


def _intervals(people: npt.NDArray[np.str_] | None) -> str:
    if people is None:
        return (
            f"intervals: 95 %, Wilson's for shares, bootstrap over faces ({DRAWS:,} draws, seed 0) "
            f"for macro F1; none below {FEW} faces"
        )
    return (
        f"intervals: 95 %, over the {len(np.unique(people)):,} people of the column person "
        "(Wilson's with their effective number for shares, jackknife for macro F1); none below "
        f"{FEW_PEOPLE} people"
    )


def _curve(thresholds: Floats, shares: Floats, right: Floats) -> list[dict[str, float]]:
    """Some points of the accuracy over the most confident predictions."""
    places = np.linspace(0, len(shares) - 1, min(_POINTS, len(shares))).astype(int)
    return [
        {
            "confidence": round(float(thresholds[i]), 5),
            "share": round(float(shares[i]), 5),
            "accuracy": round(float(right[i]), 5),
        }
        for i in places
    ]


def _splits(judged: LabelledFaces) -> list[str]:
    """Which splits the faces are of: accuracy on training data would flatter."""
    names, counts = np.unique(judged.splits, return_counts=True)
    splits = [f"{count:,} of {name}" for name, count in zip(names, counts, strict=True) if name]
    return [f"splits: {', '.join(splits)}"] if splits else []


def _json(figure: Estimate) -> dict[str, Any]:
    values = {"value": figure.value, "low": figure.low, "high": figure.high}
    counts = {"faces": figure.count} | ({"people": figure.people} if figure.people else {})
    return {**{name: _known(value) for name, value in values.items()}, **counts}


def _gap(gap: Gap) -> dict[str, Any]:
    return {
        **{name: _known(getattr(gap, name)) for name in ("value", "low", "high", "p")},
        "best": gap.best,
        "worst": gap.worst,
        "is_beyond_chance": gap.is_beyond_chance,
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 5)
