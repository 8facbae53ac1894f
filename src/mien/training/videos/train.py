"""A model of films from films with labels: features, C, figures, export, parity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mien.errors import InputError
from mien.evaluation.intervals import FEW, FEW_PEOPLE
from mien.results.files import SUFFIXES
from mien.timeline.classifier import FilmCard
from mien.timeline.descriptors import Kind
from mien.training.videos.cross_validation import Choice, choose, fits, fold_count, folds, shares
from mien.training.videos.data import FilmList
from mien.training.videos.export import check_parity, export_machine
from mien.training.videos.features import Camera, Footage, same_model
from mien.training.videos.metrics import Answers, FilmFigures, measure
from mien.training.videos.svm import Films, Kernel
from mien.types import Floats, IntArray

Flags = npt.NDArray[np.bool_]
#: Called with what is done, how many of it are done, and of how many.
Step = Callable[[str, int, int], None]
_GROUPS = 3  # what cross-validation inside of cross-validation needs


@dataclass(frozen=True, eq=False)
class Trained:
    """A model of films and how it came about.

    Attributes:
        path: the ``.onnx``.
        card: what is written in it.
        figures: on films that were held out.
        choice: of C, among the films that the model learned from.
        problems: films that gave nothing to learn from, and why.
    """

    path: Path
    card: FilmCard
    figures: FilmFigures
    choice: Choice
    problems: dict[str, str]


@dataclass(frozen=True, eq=False)
class _Seen:
    """The films of a list that could be read: n with a descriptor, then m without.

    Attributes:
        found: what was seen of the first n.
        truth, groups, test: ``(n + m,)`` label, group, and whether it measures.
        unread: how many could not be read.
        problems: name and reason of those without a descriptor, and of those not read.
    """

    found: list[Footage]
    truth: IntArray
    groups: IntArray
    test: Flags
    unread: int
    problems: dict[str, str]

    @property
    def silent(self) -> IntArray:
        """Groups of the films that were measured and gave no answer."""
        rest = slice(len(self.found), None)
        split = self.test.any()
        return self.groups[rest][self.test[rest]] if split else self.groups[rest]


def train_films(
    films: FilmList,
    path: Path,
    camera: Camera,
    kind: Kind = "person",
    kernel: Kernel = "linear",
    step: Step = lambda what, done, total: None,
) -> Trained:
    """Learn to tell the labels of films apart, and write the model to `path`.

    Where the list has splits, C is chosen by grouped cross-validation among the films to train,
    and the films to test are looked at once. Otherwise the figures come from cross-validation with
    the choice of C inside each fold, and the model is then fitted on all films.

    Args:
        films: with labels.
        path: where the ``.onnx`` goes.
        camera: looks at the films.
        kind: judge a person (in training, who is seen longest in each film) or the group.
        kernel: of the support-vector machine.
        step: gets progress.

    Raises:
        InputError: too few films with a face.
        UsageError: features of different models.
        ModelError: the exported file differs from what was trained.
    """
    labels = films.labels
    seen = _look(films, camera, kind, step)
    _check_enough(films, seen)
    first, count = seen.found[0], len(seen.found)
    values = np.stack([found.values[kind] for found in seen.found])
    known = Films(values, seen.truth[:count], len(labels), kernel)
    groups, test = seen.groups[:count], seen.test[:count]
    learned = np.flatnonzero(~test)
    answers, choice, protocol = (_held_out if test.any() else _crossed)(known, groups, test, step)
    figures = measure(answers, labels, seen.silent, [*protocol, *_words(films, seen, kind)])
    machine = choice.machine
    card = FilmCard(
        path.stem,
        kind,
        labels,
        values.shape[1] // 4,
        model=first.model,
        model_sha256=first.sha256,
        temperature=choice.temperature,
        training_data=_training_words(films, learned, seen, camera.words),
        protocol=figures.protocol,
        figures=figures.to_dict(),
        **machine.settings,
    )
    partial = path.with_name(f"{path.stem}.partial.onnx")
    try:
        export_machine(machine, card, partial)
        check_parity(partial, machine, known, values)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return Trained(path, card, figures, choice, seen.problems)


def _look(films: FilmList, camera: Camera, kind: Kind, step: Step) -> _Seen:
    """Every film; tables first, since what is wrong with them is known at once."""
    order = sorted(range(len(films)), key=lambda i: films.paths[i].suffix.lower() not in SUFFIXES)
    footage: dict[int, Footage] = {}
    problems: dict[int, str] = {}
    unread: set[int] = set()
    for done, i in enumerate(order):
        step(f"looking at {films.names[i]}", done, len(films))
        try:
            found = camera.look(films.paths[i], kind)
        except InputError as error:
            problems[i] = str(error)
            unread.add(i)
            continue
        footage[i] = found
        if kind not in found.values:
            problems[i] = found.problem[kind]
    step("looking at films", len(films), len(films))
    same_model([(films.names[i], footage[i]) for i in sorted(footage)], kind)
    kept = [i for i in sorted(footage) if i not in problems]
    rest = [i for i in sorted(problems) if i not in unread]
    names = {name: number for number, name in enumerate(sorted(set(films.groups)))}
    place = {label: number for number, label in enumerate(films.labels)}
    return _Seen(
        [footage[i] for i in kept],
        np.array([place[films.truth[i]] for i in (*kept, *rest)], np.int64),
        np.array([names[films.groups[i]] for i in (*kept, *rest)], np.int64),
        np.array([films.parts[i] == "test" for i in (*kept, *rest)], bool),
        len(unread),
        {films.names[i]: problems[i] for i in sorted(problems)},
    )


def _check_enough(films: FilmList, seen: _Seen) -> None:
    """Each label needs films with a face of two groups, to be learned from and held out."""
    count = len(seen.found)
    learned = ~seen.test[:count]
    truth, groups = seen.truth[:count][learned], seen.groups[:count][learned]
    what = "groups" if films.grouped else "films"
    for number, label in enumerate(films.labels):
        there = len(np.unique(groups[truth == number]))
        if there < 2:
            raise InputError(
                f"{films.origin}: {label!r} has {there} of its {what} with a face to learn from; "
                "two and more are needed."
            )
    if not seen.test.any() and len(np.unique(groups)) < _GROUPS:
        raise InputError(
            f"{films.origin}: cross-validation needs {_GROUPS} groups or more, there are 2."
        )
    if seen.test.any() and learned.all():
        raise InputError(f"{films.origin}: no film to test has a face.")


def _held_out(
    films: Films, groups: IntArray, test: Flags, step: Step
) -> tuple[Answers, Choice, list[str]]:
    """Learn from some films, and look at the others once."""
    learned, held = np.flatnonzero(~test), np.flatnonzero(test)
    total = fits(films.labels[learned], groups[learned])
    choice = choose(films, groups, learned, _ticker(step, "choosing C", total))
    told = shares(films.margins(choice.machine, held), choice.temperature)
    base = np.tile(_base(films, learned), (len(held), 1))
    number = fold_count(films.labels[learned], groups[learned])
    words = [
        f"measured once, on {len(held)} films of the list's own split for tests; "
        f"C = {choice.machine.c:g} and the temperature chosen by cross-validation of {number} folds"
        f" among the {len(learned)} films to train"
    ]
    return Answers(films.labels[held], told, base, groups[held]), choice, words


def _crossed(
    films: Films, groups: IntArray, test: Flags, step: Step
) -> tuple[Answers, Choice, list[str]]:
    """Hold out each film once, and then learn from all."""
    every, truth = np.arange(len(films)), films.labels
    told, base = np.zeros((len(films), films.count)), np.zeros((len(films), films.count))
    parts = list(folds(truth, groups))
    total = sum(fits(truth[rows], groups[rows]) for rows in (*(a for a, _ in parts), every))
    tick = _ticker(step, "choosing C", total)
    for learned, held in parts:
        choice = choose(films, groups, learned, tick)
        told[held] = shares(films.margins(choice.machine, held), choice.temperature)
        base[held] = _base(films, learned)
    choice = choose(films, groups, every, tick)
    words = [
        f"cross-validation of {len(parts)} folds over {len(films)} films; in each fold C and the "
        "temperature were chosen by cross-validation among its other films",
        f"the model itself was then fitted on all {len(films)} films, with C = "
        f"{choice.machine.c:g}: the figures are of models like it",
    ]
    return Answers(truth, told, base, groups), choice, words


def _base(films: Films, rows: IntArray) -> Floats:
    """Shares of the labels among some films."""
    return np.asarray(np.bincount(films.labels[rows], minlength=films.count) / len(rows))


def _ticker(step: Step, what: str, total: int) -> Callable[[], None]:
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        step(what, done, total)

    return tick


def _words(films: FilmList, seen: _Seen, kind: Kind) -> list[str]:
    """The rest of the protocol."""
    groups = len(np.unique(seen.groups))
    apart = (
        f"no group of films ({groups}) is in two folds or in both splits"
        if films.grouped
        else "each film is its own group: films of one person or movie may be in two folds"
    )
    who = "who is seen longest in a film" if kind == "person" else "everyone in a film"
    words = [
        apart,
        f"judged is {who}; right is where the most probable label is the film's",
        f"intervals: 95 %, Wilson's over groups with Student's t; none below {FEW} films, no "
        f"figure below {FEW_PEOPLE} groups",
    ]
    if len(seen.silent):
        words.append(f"{len(seen.silent)} films gave no answer; in 'all films' each is an error")
    if seen.unread:
        words.append(f"{seen.unread} films could not be read and take no part")
    if films.left_out:
        words.append(f"{films.left_out} films for validation take no part, as there are tests")
    left_out = sum(found.left_out[kind] for found in seen.found)
    if left_out:
        words.append(f"{left_out} frames had a face without features and were left out")
    return words


def _training_words(films: FilmList, learned: IntArray, seen: _Seen, frames: str) -> str:
    truth = seen.truth[: len(seen.found)][learned]
    counts = np.bincount(truth, minlength=len(films.labels)).tolist()
    told = ", ".join(f"{n} {label}" for label, n in zip(films.labels, counts, strict=True))
    return f"{len(learned)} films of {films.origin.name}: {told}" + (
        f"; {frames}" if frames else ""
    )
