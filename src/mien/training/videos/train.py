"""Training of a video model: features, choice of C, figures, export, parity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mien.errors import InputError
from mien.evaluation.intervals import FEW, FEW_PEOPLE, Estimate, refusal
from mien.results.files import SUFFIXES
from mien.timeline.classifier import VideoCard
from mien.timeline.descriptors import Kind
from mien.training.trained import Report, Trained, card_figures, common_origin
from mien.training.videos.cross_validation import Choice, choose, fits, fold_count, folds, softmax
from mien.training.videos.data import VideoList
from mien.training.videos.export import export_svm
from mien.training.videos.features import FeatureCache, VideoFeatures
from mien.training.videos.metrics import Predictions, measure
from mien.training.videos.svm import Kernel, KernelMatrix
from mien.types import Floats, IntArray

Flags = npt.NDArray[np.bool_]
_LEAST_GROUPS = 3  # what cross-validation inside of cross-validation needs


@dataclass(frozen=True, eq=False)
class _Videos:
    """The readable videos of a list: n with a descriptor, then m without.

    Attributes:
        names: of the first n.
        features: theirs.
        truth, groups, test: ``(n + m,)`` label, group, and whether it is tested on.
        unread: how many could not be read.
        problems: name and reason of those without a descriptor, and of those not read.
    """

    names: list[str]
    features: list[VideoFeatures]
    truth: IntArray
    groups: IntArray
    test: Flags
    unread: int
    problems: dict[str, str]

    @property
    def silent(self) -> IntArray:
        """Groups of the videos that were tested on and gave no prediction."""
        rest = slice(len(self.features), None)
        split = self.test.any()
        return self.groups[rest][self.test[rest]] if split else self.groups[rest]


def train_videos(
    videos: VideoList,
    path: Path,
    cache: FeatureCache,
    kind: Kind = "person",
    kernel: Kernel = "linear",
    report: Report = lambda line: None,
) -> Trained[VideoCard]:
    """Train a classifier of videos and write it to `path`.

    Where the list has splits, C is chosen by grouped cross-validation among the videos to train,
    and the videos to test are used once. Otherwise the figures come from cross-validation with the
    choice of C inside each fold, and the model is then fitted on all videos.

    Args:
        videos: with labels.
        path: the new ``.onnx``.
        cache: computes their descriptors.
        kind: classify a person (in training, who is visible longest in each video) or the group.
        kernel: of the support-vector machine.
        report: gets progress.

    Raises:
        InputError: too few videos with a face.
        UsageError: features of different models.
        ModelError: the exported file differs from what was trained.
    """
    labels = videos.labels
    read = _read(videos, cache, kind, report)
    origins = [video.origin(kind) for video in read.features]
    origin = common_origin(zip(read.names, origins, strict=True))
    _check_enough(videos, read)
    count = len(read.features)
    values = np.stack([video.values[kind] for video in read.features])
    data = KernelMatrix(values, read.truth[:count], len(labels), kernel)
    groups, test = read.groups[:count], read.test[:count]
    predicted = (
        _tested(data, groups, test, report) if test.any() else _crossed(data, groups, report)
    )
    predictions, choice, words = predicted
    figures, counts = measure(predictions, labels, read.silent)
    svm = choice.svm
    card = VideoCard(
        path.stem,
        kind,
        labels,
        size=origin.size,
        model=origin.model,
        model_sha256=origin.sha256,
        kernel=svm.kernel,
        c=svm.c,
        gamma=svm.gamma,
        temperature=choice.temperature,
        training_data=_training_data(videos, np.flatnonzero(~test), read, cache.frames),
        protocol=(*words, *_protocol(videos, read, kind)),
        figures=card_figures(figures, counts),
    )
    export_svm(svm, card, path, values, data.margins(svm, np.arange(count)))
    notes = refusal(counts["groups"], "groups of videos") or _doubt(figures)
    left_out = tuple(f"{name}: {problem}" for name, problem in read.problems.items())
    return Trained(path, card, figures, (notes,) if notes else (), left_out)


def _read(videos: VideoList, cache: FeatureCache, kind: Kind, report: Report) -> _Videos:
    """Every video; tables first, since their faults are found at once."""
    order = sorted(range(len(videos)), key=lambda i: videos.paths[i].suffix.lower() not in SUFFIXES)
    features: dict[int, VideoFeatures] = {}
    problems: dict[int, str] = {}
    unread: set[int] = set()
    for done, i in enumerate(order):
        report({"stage": f"analyzing {videos.names[i]}", "step": done, "of": len(videos)})
        try:
            features[i] = cache.compute(videos.paths[i], kind)
        except InputError as error:
            problems[i] = str(error)
            unread.add(i)
            continue
        if kind not in features[i].values:
            problems[i] = features[i].problem[kind]
    report({"stage": "analyzing videos", "step": len(videos), "of": len(videos)})
    kept = [i for i in sorted(features) if i not in problems]
    rest = [i for i in sorted(problems) if i not in unread]
    names = {name: number for number, name in enumerate(sorted(set(videos.groups)))}
    place = {label: number for number, label in enumerate(videos.labels)}
    return _Videos(
        [videos.names[i] for i in kept],
        [features[i] for i in kept],
        np.array([place[videos.truth[i]] for i in (*kept, *rest)], np.int64),
        np.array([names[videos.groups[i]] for i in (*kept, *rest)], np.int64),
        np.array([videos.parts[i] == "test" for i in (*kept, *rest)], bool),
        len(unread),
        {videos.names[i]: problems[i] for i in sorted(problems)},
    )


def _check_enough(videos: VideoList, read: _Videos) -> None:
    """Each label needs videos with a face in two groups, to be trained and tested on."""
    count = len(read.features)
    train = ~read.test[:count]
    truth, groups = read.truth[:count][train], read.groups[:count][train]
    what = "groups" if videos.grouped else "videos"
    for number, label in enumerate(videos.labels):
        there = len(np.unique(groups[truth == number]))
        if there < 2:
            raise InputError(
                f"{videos.origin}: label {label!r} has only {there} usable {what} to train on; "
                "at least 2 are required."
            )
    if not read.test.any() and len(np.unique(groups)) < _LEAST_GROUPS:
        raise InputError(
            f"{videos.origin}: cross-validation needs at least {_LEAST_GROUPS} groups, there are 2."
        )
    if read.test.any() and train.all():
        raise InputError(f"{videos.origin}: no video to test has a face.")


def _tested(
    data: KernelMatrix, groups: IntArray, test: Flags, report: Report
) -> tuple[Predictions, Choice, list[str]]:
    """Train on some videos, and predict the others once."""
    train, held = np.flatnonzero(~test), np.flatnonzero(test)
    truth, own = data.labels[train], groups[train]
    choice = choose(data, groups, train, _ticker(report, fits(truth, own)))
    probabilities = softmax(data.margins(choice.svm, held), choice.temperature)
    prior = np.tile(_prior(data, train), (len(held), 1))
    words = [
        f"measured once, on {len(held)} videos of the list's own test split; "
        f"C = {choice.svm.c:g} and the temperature chosen by cross-validation of "
        f"{fold_count(truth, own)} folds among the {len(train)} videos to train"
    ]
    return Predictions(data.labels[held], probabilities, prior, groups[held]), choice, words


def _crossed(
    data: KernelMatrix, groups: IntArray, report: Report
) -> tuple[Predictions, Choice, list[str]]:
    """Hold out each video once, and then train on all."""
    every, truth = np.arange(len(data)), data.labels
    probabilities, prior = (np.zeros((len(data), data.count)) for _ in range(2))
    parts = list(folds(truth, groups))
    total = sum(fits(truth[rows], groups[rows]) for rows in (*(a for a, _ in parts), every))
    tick = _ticker(report, total)
    for train, held in parts:
        choice = choose(data, groups, train, tick)
        probabilities[held] = softmax(data.margins(choice.svm, held), choice.temperature)
        prior[held] = _prior(data, train)
    choice = choose(data, groups, every, tick)
    words = [
        f"cross-validation of {len(parts)} folds over {len(data)} videos; in each fold C and the "
        "temperature were chosen by cross-validation among its training videos",
        f"the model itself was then fitted on all {len(data)} videos, with C = "
        f"{choice.svm.c:g}: the figures are of models like it",
    ]
    return Predictions(truth, probabilities, prior, groups), choice, words


def _prior(data: KernelMatrix, rows: IntArray) -> Floats:
    """Shares of the labels among some videos."""
    return np.asarray(np.bincount(data.labels[rows], minlength=data.count) / len(rows))


def _ticker(report: Report, total: int) -> Callable[[], None]:
    steps = iter(range(1, total + 1))
    return lambda: report({"stage": "choosing C", "step": next(steps), "of": total})


def _protocol(videos: VideoList, read: _Videos, kind: Kind) -> list[str]:
    """The part of the protocol that does not depend on how videos were held out."""
    groups = len(np.unique(read.groups))
    apart = (
        f"no group of videos ({groups}) is in two folds or in both splits"
        if videos.grouped
        else "each video is its own group: videos of one person or movie may be in two folds"
    )
    who = "whoever is visible longest in a video" if kind == "person" else "everyone in a video"
    lines = [
        apart,
        f"classified is {who}; right is where the most probable label is the video's",
        f"intervals: 95 %, Wilson's over groups with Student's t; none below {FEW} videos, no "
        f"figure below {FEW_PEOPLE} groups",
    ]
    if len(read.silent):
        lines.append(f"{len(read.silent)} videos gave no prediction; accuracy_of_all counts errors")
    if read.unread:
        lines.append(f"{read.unread} videos could not be read and take no part")
    if videos.left_out:
        lines.append(f"{videos.left_out} validation videos take no part, as there are test videos")
    left_out = sum(video.left_out[kind] for video in read.features)
    if left_out:
        lines.append(f"{left_out} frames had a face without features and were left out")
    return lines


def _doubt(figures: tuple[Estimate, ...]) -> str:
    """Why the figures may be luck, in a sentence; "" where they are clearly better than nothing."""
    named = {figure.name: figure for figure in figures}
    accuracy, baseline = named["accuracy"], named["most_common_label"]
    if np.isnan(accuracy.low):
        return "these are too few videos for an interval: the figures may be luck."
    if accuracy.low > baseline.value:
        return ""
    return f"this may be no better than {baseline.protocol}: label more videos."


def _training_data(videos: VideoList, train: IntArray, read: _Videos, frames: str) -> str:
    truth = read.truth[: len(read.features)][train]
    counts = np.bincount(truth, minlength=len(videos.labels)).tolist()
    each = ", ".join(f"{n} {label}" for label, n in zip(videos.labels, counts, strict=True))
    return f"{len(train)} videos of {videos.origin.name}: {each}" + (
        f"; {frames}" if frames else ""
    )
