"""Everyone in a film, and who is who in its next frame."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mien.errors import PluginError
from mien.faces.geometry import iou
from mien.tracking.motion import Changes, Usual
from mien.tracking.track import Identity, Person
from mien.types import Boxes, Faces, FloatArray, Image, IntArray

_LEAP = 0.33  # the change around a face, in its own contrast, that may be a change of person
_HIDDEN_S, _GONE_S = 2.0, 30.0  # how long motion, and how long looks, can bring someone back
_BLINK_S = 0.3  # so short a gap needs no look at the face
_WAIT_S, _HOPE = 0.2, 0.08  # how long to wait for a better look, where so little is missing
_REACH, _REACH_MORE, _REACH_MOST = 1.0, 2.5, 2.5  # in sizes of the face: now, a second, at most
_GROWTH = np.log(1.8)  # faces do not change their size by more from one sight to the next
_CLEAR = 0.3  # a lead in closeness that leaves no doubt who is who


class Bars(NamedTuple):
    """How alike two pictures must be, as a cosine, to show one person.

    Attributes:
        near: where someone who is hidden may come out.
        stayed: anywhere else in the same shot, or at the same place after a leap.
        again: anywhere after a cut.
    """

    near: float
    stayed: float
    again: float


class Crowd:
    """Recognises people from frame to frame, first by place, then by looks.

    Args:
        identity: makes faces into vectors; asked for only where motion leaves a doubt.
        bars: how alike its vectors must be.
        fps: frames a second.
    """

    def __init__(self, identity: Identity, bars: Bars, fps: float) -> None:
        self.identity = identity
        self.bars = bars
        self.fps = fps
        self.people: list[Person] = []
        self._shot = 0
        self._numbers = 0

    @property
    def here(self) -> list[Person]:
        """Those who were seen in the last frame."""
        return [person for person in self.people if person.missed == 0]

    def recognise(
        self, image: Image, faces: Faces, changes: Changes, *, cut: bool, restless: bool = False
    ) -> IntArray:
        """Find out whose each face is, and bring everyone up to date.

        Args:
            image: the frame, ``(H, W, 3)``.
            faces: its n faces.
            changes: what has changed since the frame before.
            cut: whether it begins a new shot.
            restless: whether so much has changed everywhere that place alone says little.

        Returns:
            ``(n,)`` track ids from 1; 0 for a face that is not sure yet, or a second time there.
        """
        self._shot += cut
        sight = _Sight(image, faces, self.identity)
        changed = [(p, changes.around(p.box)) for p in self.here]
        leapt = [p for p, c in changed if cut or p.usual.exceeded(c) or (restless and c > _LEAP)]
        found = {} if cut else self._by_place(sight, leapt)
        gone = [p for p in self.here if p not in leapt and p not in found.values()]
        gone = [p for p in gone if changes.around(p.face.boxes[0]) > _LEAP]
        hopes = self._by_looks(sight, found, leapt + gone, stays=not restless)
        for row in range(len(faces)):
            if row not in found and not _doubled(faces[row], faces[list(found)]):
                found[row] = Person(faces[row], self._shot, Usual(_LEAP, self.fps))
        clear = _clear(faces, sight.size)
        for row, person in found.items():
            person.see(faces[row], self._shot)
            person.remember(image, round(self.fps), lasting=bool(clear[row]))
            if person.number == 0:
                self._meet(person, hope=hopes.get(row, False), first=cut or restless)
        self._part(list(found.values()))
        numbers = [found[row].number if row in found else 0 for row in range(len(faces))]
        return np.array(numbers, np.int64)

    def _meet(self, person: Person, hope: bool, first: bool) -> None:
        """Number a newcomer, unless another look is needed.

        Args:
            person: who is new.
            hope: whether it may turn out to be someone who is missing.
            first: whether a shot begins, so that there is nothing to wait for.
        """
        person.waited += 1
        known = person.sure or person.waited > 1
        if first or (known and not hope) or person.waited > _WAIT_S * self.fps:
            self._numbers += 1
            person.number = self._numbers

    def _part(self, seen: list[Person]) -> None:
        """Count the frames of those who are not there; forget them in the end."""
        away = [person for person in self.people if person not in seen]
        for person in away:
            person.missed += 1
        limit = _GONE_S * self.fps
        self.people = seen + [p for p in away if p.number and p.missed <= limit]

    def _by_place(self, sight: _Sight, leapt: list[Person]) -> dict[int, Person]:
        """Those who are about where they were going."""
        people = [p for p in self.people if self._expected(p, sight) and p not in leapt]
        gains = close = _closeness(people, sight.faces, self.fps)
        for one, row in zip(*np.nonzero(_doubtful(close)), strict=True):
            alike = (sight.likeness(people[one], row) - self.bars.stayed) / (1 - self.bars.stayed)
            gains = gains.copy() if gains is close else gains
            gains[one, row] += _CLEAR * float(np.clip(alike, -1, 1))
        found = {}
        for one, row in assign(gains):
            person = people[one]
            gap = person.missed > _BLINK_S * self.fps
            if not gap or sight.likeness(person, row) >= self.bars.near:
                found[row] = person
        return found

    def _by_looks(
        self, sight: _Sight, found: dict[int, Person], leapt: list[Person], *, stays: bool
    ) -> dict[int, bool]:
        """Put those into `found` who look like someone missing; for the others, who might be.

        `stays` says whether being at the same place speaks for being the same person.
        """
        rows = [r for r in range(len(sight.faces)) if r not in found or not found[r].number]
        people = [p for p in self.people if p.number and (p.missed or p in leapt)]
        people = [p for p in people if p not in found.values()]
        if not rows or not people:
            return {}
        close = _closeness(people, sight.faces[rows], self.fps)
        gains = np.zeros(close.shape)
        for i, person in enumerate(people):
            for j, row in enumerate(rows):
                bar = self.bars.stayed
                if person in leapt:
                    same_place = stays and close[i, j] > 0.5
                    bar = self.bars.stayed if same_place else self.bars.again
                elif person.shot != self._shot:
                    bar = self.bars.again
                elif close[i, j] > 0 and self._expected(person, sight):
                    bar = self.bars.near
                gains[i, j] = sight.likeness(person, row) - bar
        hopes = {row: bool(gains[:, j].max() > -_HOPE) for j, row in enumerate(rows)}
        pairs = assign(gains)
        found |= {rows[j]: people[i] for i, j in pairs}
        for i in {*range(len(people))} - {i for i, _ in pairs}:
            if people[i] in leapt and close[i].max() > 0.5:  # another took their place: from now
                people[i].shot = -1  # on only looks can bring them back
        return hopes

    def _expected(self, person: Person, sight: _Sight) -> bool:
        """Whether it is known about where they must be: in sight, or hidden within the picture."""
        if person.missed == 0:
            return True
        if person.missed > _HIDDEN_S * self.fps or person.shot != self._shot:
            return False
        centre = (person.box[:2] + person.box[2:]) / 2
        return bool((centre > 0).all() and (centre < sight.size).all())


class _Sight:
    """The faces of one frame; how they look is found out for all at once, when first asked."""

    def __init__(self, image: Image, faces: Faces, identity: Identity) -> None:
        self.faces = faces
        self.size = image.shape[1], image.shape[0]
        self._image = image
        self._identity = identity

    @cached_property
    def _vectors(self) -> FloatArray:
        return _checked(self._identity(self._image, self.faces), len(self.faces))

    def likeness(self, person: Person, row: int) -> float:
        """The cosine between a face and the most similar picture of a person."""
        return person.likeness(self._vectors[row], self._identity)


def _checked(vectors: FloatArray, count: int) -> FloatArray:
    array = np.asarray(vectors, np.float32)
    if array.ndim != 2 or len(array) != count or not np.isfinite(array).all():
        raise PluginError(
            f"identity must return an array of finite numbers of shape ({count}, d), "
            f"got {array.shape}."
        )
    return array


def _closeness(people: list[Person], faces: Faces, fps: float) -> Gains:
    """``(people, faces)``: 1 at the expected place and size, 0 out of reach."""
    if not people or not len(faces):
        return np.zeros((len(people), len(faces)))
    boxes: Boxes = np.stack([person.box for person in people])[:, None]
    there: Boxes = faces.boxes.astype(np.float64)[None]
    sides = [np.sqrt((b[..., 2:] - b[..., :2]).prod(axis=-1)) + 1e-6 for b in (boxes, there)]
    apart = np.linalg.norm((boxes - there)[..., :2] + (boxes - there)[..., 2:], axis=-1) / 2
    away = np.array([person.missed + 1 for person in people])[:, None] / fps
    reach = np.minimum(_REACH + _REACH_MORE * away, _REACH_MOST) * (sides[0] + sides[1]) / 2
    growth = np.abs(np.log(sides[0] / sides[1])) / _GROWTH
    late = 0.3 * np.minimum(away, 1)  # of two at one place, the one who was there
    close = 1 - apart / reach - 0.3 * growth - late
    return np.where((apart < reach) & (growth < 1), np.maximum(close, 0.01), 0.0)


def _doubtful(gains: Gains) -> Gains:
    """The pairs that have a rival, in their row or column, of nearly the same gain."""
    rivals = np.zeros(gains.shape, bool)
    for table, mark in ((gains, rivals), (gains.T, rivals.T)):
        if table.shape[1] > 1:
            best = np.sort(table, axis=1)[:, ::-1]
            close = (best[:, 1] > 0) & (best[:, 0] - best[:, 1] < _CLEAR)
            mark |= close[:, None] & (table > best[:, :1] - _CLEAR) & (table > 0)
    return rivals


def _clear(faces: Faces, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """``(n,)``: which faces are whole, neither behind another nor over the picture's edge."""
    alone = iou(faces.boxes, faces.boxes).sum(axis=1) < 1.1
    within = (faces.boxes[:, :2] >= 0).all(axis=1) & (faces.boxes[:, 2:] <= size).all(axis=1)
    return np.asarray(alone & within)


def _doubled(face: Faces, known: Faces) -> bool:
    """Whether a face is only another box around one that is known."""
    return bool(iou(face.boxes, known.boxes).max(initial=0) > 0.4)


Gains = npt.NDArray[np.float64]


def assign(gains: Gains) -> list[tuple[int, int]]:
    """The pairs ``(row, column)`` with the greatest sum of gains, each row and column once.

    Args:
        gains: ``(n, m)``; a pair whose gain is not above 0 is never made, NaN neither.

    Returns:
        the pairs, by row.
    """
    wanted = np.nan_to_num(np.maximum(gains, 0.0), nan=0.0)
    turned = wanted.shape[0] > wanted.shape[1]
    table = -(wanted.T if turned else wanted)
    if not table.size:
        return []
    chosen = _cheapest(table)
    pairs = [(row, column) for row, column in enumerate(chosen) if table[row, column] < 0]
    return sorted((column, row) for row, column in pairs) if turned else pairs


def _cheapest(costs: Gains) -> list[int]:
    """For each row of ``(n, m)``, n <= m, its column, so that the sum of costs is least."""
    rows, columns = costs.shape
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    owner = np.full(columns, -1)
    for new in range(rows):
        reach = np.full(columns, np.inf)  # the shortest path to each column so far
        came_from = np.full(columns, -1)
        done = np.zeros(columns, bool)
        row, column, length = new, -1, 0.0
        while row >= 0:
            step = length + costs[row] - row_price[row] - column_price
            closer = ~done & (step < reach)
            reach[closer], came_from[closer] = step[closer], column
            column = int(np.where(done, np.inf, reach).argmin())
            length = reach[column]
            done[column] = True
            row = int(owner[column])
        held = done & (owner >= 0)
        row_price[owner[held]] += length - reach[held]
        row_price[new] += length
        column_price[done] -= length - reach[done]
        while column >= 0:  # hand the columns over along the path
            before = int(came_from[column])
            owner[column] = owner[before] if before >= 0 else new
            column = before
    return [int(np.flatnonzero(owner == row)[0]) for row in range(rows)]
