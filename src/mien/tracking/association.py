"""Data association: matches the faces of each frame to the tracks of a video."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from mien.faces.geometry import iou
from mien.tracking.appearance import Recognition, recognition
from mien.tracking.motion import ChangeBaseline, Changes
from mien.tracking.track import FaceImage, Track
from mien.types import Boxes, Faces, Image, IntArray

_LEAP = 0.33  # change around a face, relative to its contrast, that may be another person
_HIDDEN_S, _GONE_S = 2.0, 30.0  # how long a track can be continued by motion, and by appearance
_BLINK_S = 0.3  # after so short a gap appearance is not checked
_WAIT_S, _HOPE = 0.2, 0.15  # wait so long for a better view if the similarity lacks only so much
_REACH, _REACH_MORE, _REACH_MOST = 1.0, 2.5, 2.5  # in face sizes: at once, per second, at most
_GROWTH = np.log(1.8)  # maximum change of a face's size between detections
_CLEAR = 0.3  # lead in closeness that makes a match unambiguous


class TrackManager:
    """Matches faces to tracks from frame to frame, first by position, then by appearance.

    Args:
        fps: frame rate.
        recognition: how faces are compared, only if motion is ambiguous; None for the default.
        certain: confidence that only faces reach, see `DetectorDescription`.
    """

    def __init__(self, fps: float, certain: float, recognition: Recognition | None) -> None:
        self.fps = fps
        self.certain = certain
        self.recognition = recognition
        self.tracks: list[Track] = []
        self._shot = 0
        self._numbers = 0

    @property
    def here(self) -> list[Track]:
        """The tracks with a face in the last frame."""
        return [track for track in self.tracks if track.missed == 0]

    def update(
        self, image: Image, faces: Faces, changes: Changes, *, cut: bool, restless: bool = False
    ) -> IntArray:
        """Match each face to a track, and update all tracks.

        Args:
            image: the frame, ``(H, W, 3)``.
            faces: its n faces.
            changes: the changes since the last frame.
            cut: whether it begins a new shot.
            restless: whether so much has changed everywhere that position alone is unreliable.

        Returns:
            ``(n,)`` track ids from 1; 0 for an unconfirmed face, or a duplicate.
        """
        self._shot += cut
        if self.recognition is None and len(faces):
            self.recognition = recognition(faces)
        view = _FrameFaces(image, faces, self.recognition or recognition(faces))
        changed = [(p, changes.around(p.box)) for p in self.here]
        leapt = [p for p, c in changed if cut or p.usual.exceeded(c) or (restless and c > _LEAP)]
        matches = {} if cut else self._by_place(view, leapt)
        gone = [p for p in self.here if p not in leapt and p not in matches.values()]
        gone = [p for p in gone if changes.around(p.face.boxes[0]) > _LEAP]
        hopes = self._by_looks(view, matches, leapt + gone, stays=not restless)
        for row in range(len(faces)):
            if row not in matches and not _is_duplicate(faces[row], faces[list(matches)]):
                matches[row] = Track(
                    faces[row], self._shot, ChangeBaseline(_LEAP, self.fps), self.certain
                )
        clear = _clear(faces, view.size)
        for row, track in matches.items():
            track.update(faces[row], self._shot)
            newest = partial(view.face_image, row)
            track.remember(newest, round(self.fps), lasting=bool(clear[row]))
            if track.number == 0:
                self._confirm(track, hope=hopes.get(row, False), first=cut or restless)
        self._age(list(matches.values()))
        numbers = [matches[row].number if row in matches else 0 for row in range(len(faces))]
        return np.array(numbers, np.int64)

    def _confirm(self, track: Track, hope: bool, first: bool) -> None:
        """Assign an id to a new track, unless more frames are needed.

        Args:
            track: the new track.
            hope: whether it may turn out to be a missing track.
            first: whether a shot begins, so that there is nothing to wait for.
        """
        track.waited += 1
        confirmed = track.sure or track.waited > 1
        if first or (confirmed and not hope) or track.waited > _WAIT_S * self.fps:
            self._numbers += 1
            track.number = self._numbers

    def _age(self, matched: list[Track]) -> None:
        """Count the missed frames of unmatched tracks, and drop those missed for too long."""
        away = [track for track in self.tracks if track not in matched]
        for track in away:
            track.missed += 1
        limit = _GONE_S * self.fps
        self.tracks = matched + [p for p in away if p.number and p.missed <= limit]

    def _by_place(self, view: _FrameFaces, leapt: list[Track]) -> dict[int, Track]:
        """The tracks with a face near their expected position, by row."""
        tracks = [p for p in self.tracks if self._expected(p, view) and p not in leapt]
        gains = close = _closeness(tracks, view.faces, self.fps)
        for one, row in zip(*np.nonzero(_doubtful(close)), strict=True):
            alike = (view.likeness(tracks[one], row) - view.recognition.stayed) / (
                1 - view.recognition.stayed
            )
            gains = gains.copy() if gains is close else gains
            gains[one, row] += _CLEAR * float(np.clip(alike, -1, 1))
        matches = {}
        for one, row in assign(gains):
            track = tracks[one]
            gap = track.missed > _BLINK_S * self.fps
            if not gap or view.likeness(track, row) >= view.recognition.near:
                matches[row] = track
        return matches

    def _by_looks(
        self, view: _FrameFaces, matches: dict[int, Track], leapt: list[Track], *, stays: bool
    ) -> dict[int, bool]:
        """Add to `matches` the rows that look like a missing track; returns which others may.

        `stays` says whether the same position is evidence for the same person.
        """
        rows = [r for r in range(len(view.faces)) if r not in matches or not matches[r].number]
        tracks = [p for p in self.tracks if p.number and (p.missed or p in leapt)]
        tracks = [p for p in tracks if p not in matches.values()]
        if not rows or not tracks:
            return {}
        close = _closeness(tracks, view.faces[rows], self.fps)
        gains = np.zeros(close.shape)
        for i, track in enumerate(tracks):
            for j, row in enumerate(rows):
                bar = view.recognition.stayed
                if track in leapt:
                    same_place = stays and close[i, j] > 0.5
                    bar = view.recognition.stayed if same_place else view.recognition.again
                elif track.shot != self._shot:
                    bar = view.recognition.again
                elif close[i, j] > 0 and self._expected(track, view):
                    bar = view.recognition.near
                gains[i, j] = view.likeness(track, row) - bar
        hopes = {row: bool(gains[:, j].max() > -_HOPE) for j, row in enumerate(rows)}
        pairs = assign(gains)
        matches |= {rows[j]: tracks[i] for i, j in pairs}
        for i in {*range(len(tracks))} - {i for i, _ in pairs}:
            if tracks[i] in leapt and close[i].max() > 0.5:  # another is there now:
                tracks[i].shot = -1  # from now on the track is matched only by appearance
        return hopes

    def _expected(self, track: Track, view: _FrameFaces) -> bool:
        """Whether the position is predictable: visible, or hidden within the image."""
        if track.missed == 0:
            return True
        if track.missed > _HIDDEN_S * self.fps or track.shot != self._shot:
            return False
        center = (track.box[:2] + track.box[2:]) / 2
        return bool((center > 0).all() and (center < view.size).all())


class _FrameFaces:
    """The faces of one frame, each copied, and its identity vector computed, on first use."""

    def __init__(self, image: Image, faces: Faces, recognition: Recognition) -> None:
        self.faces = faces
        self.size = image.shape[1], image.shape[0]
        self.recognition = recognition
        self._image = image
        self._images: dict[int, FaceImage] = {}

    def face_image(self, row: int) -> FaceImage:
        """The image of one face, which its track may keep."""
        if row not in self._images:
            self._images[row] = FaceImage(self._image, self.faces[row])
        return self._images[row]

    def likeness(self, track: Track, row: int) -> float:
        """The cosine between a face and the most similar image of a track."""
        vectors = self.recognition.vectors
        return track.likeness(self.face_image(row).vector(vectors), vectors)


def _closeness(tracks: list[Track], faces: Faces, fps: float) -> Gains:
    """``(tracks, faces)``: 1 at the expected position and size, 0 out of reach."""
    if not tracks or not len(faces):
        return np.zeros((len(tracks), len(faces)))
    boxes: Boxes = np.stack([track.box for track in tracks])[:, None]
    there: Boxes = faces.boxes.astype(np.float64)[None]
    sides = [np.sqrt((b[..., 2:] - b[..., :2]).prod(axis=-1)) + 1e-6 for b in (boxes, there)]
    apart = np.linalg.norm((boxes - there)[..., :2] + (boxes - there)[..., 2:], axis=-1) / 2
    away = np.array([track.missed + 1 for track in tracks])[:, None] / fps
    reach = np.minimum(_REACH + _REACH_MORE * away, _REACH_MOST) * (sides[0] + sides[1]) / 2
    growth = np.abs(np.log(sides[0] / sides[1])) / _GROWTH
    late = 0.3 * np.minimum(away, 1)  # of two at one position, prefer the more recent
    close = 1 - apart / reach - 0.3 * growth - late
    return np.where((apart < reach) & (growth < 1), np.maximum(close, 0.01), 0.0)


def _doubtful(gains: Gains) -> Gains:
    """The pairs with a rival of nearly equal gain in their row or column."""
    rivals = np.zeros(gains.shape, bool)
    for table, mark in ((gains, rivals), (gains.T, rivals.T)):
        if table.shape[1] > 1:
            best = np.sort(table, axis=1)[:, ::-1]
            close = (best[:, 1] > 0) & (best[:, 0] - best[:, 1] < _CLEAR)
            mark |= close[:, None] & (table > best[:, :1] - _CLEAR) & (table > 0)
    return rivals


def _clear(faces: Faces, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """``(n,)``: which faces are complete, neither behind another nor cut by the image's edge."""
    alone = iou(faces.boxes, faces.boxes).sum(axis=1) < 1.1
    within = (faces.boxes[:, :2] >= 0).all(axis=1) & (faces.boxes[:, 2:] <= size).all(axis=1)
    return np.asarray(alone & within)


def _is_duplicate(face: Faces, others: Faces) -> bool:
    """Whether a face is only another box around one of the others."""
    return bool(iou(face.boxes, others.boxes).max(initial=0) > 0.4)


Gains = npt.NDArray[np.float64]


def assign(gains: Gains) -> list[tuple[int, int]]:
    """The assignment ``(row, column)`` with the greatest sum of gains (Hungarian algorithm).

    Args:
        gains: ``(n, m)``; pairs with a gain of 0 or less, or NaN, are never assigned.

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
    """The column of each row of ``(n, m)``, n <= m, with the least sum of costs."""
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
        while column >= 0:  # reassign the columns along the path
            before = int(came_from[column])
            owner[column] = owner[before] if before >= 0 else new
            column = before
    return [int(np.flatnonzero(owner == row)[0]) for row in range(rows)]
