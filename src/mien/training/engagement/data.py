"""Clips of one person each, labeled with apparent engagement."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.datasets.csv import LABEL, SPLIT, VIDEO
from mien.engagement.windows import LEAST_SEEN, moments, shown, stretched, window_starts
from mien.errors import InputError, UsageError
from mien.evaluation import Progress
from mien.timeline.tracks import Presence, extent
from mien.training.listing import read_listing
from mien.training.trained import Origin, check_disjoint, common_origin
from mien.types import FloatArray, Floats, IntArray

if TYPE_CHECKING:
    from mien.timeline.timeline import Timeline

_COLUMNS = {
    "path": VIDEO,
    "level": ("level", "engagement", *LABEL),
    "group": ("group", "subject"),
    "split": SPLIT,
    "person": ("person", "track_id"),
}
#: Usual names of levels; EmotiW's four, DAiSEE's four, and two classes.
_NAMES = (
    {"distracted": 0.0, "disengaged": 0.0, "not engaged": 0.0, "engaged": 1.0},
    {"disengaged": 0.0, "not engaged": 0.0, "barely engaged": 1 / 3, "engaged": 2 / 3}
    | {"highly engaged": 1.0},
    {"very low": 0.0, "low": 1 / 3, "high": 2 / 3, "very high": 1.0},
)


@dataclass(frozen=True, eq=False)
class LabeledClip:
    """One person in one video, and how engaged viewers judged them to be.

    Attributes:
        name: of the video.
        level: 0 (distracted) to 1 (engaged).
        starts, ends: ``(n,)`` seconds: from when to when each row is shown.
        features: ``(n, d)`` float16 or float32.
        group: the person: clips of one group are never on both sides of a split.
        split: "train", "validation" or "test"; "" where none is given.
        span: when the video begins and ends, seconds.
    """

    name: str
    level: float
    starts: Floats
    ends: Floats
    features: npt.NDArray[Any]
    group: str = ""
    split: str = ""
    span: tuple[float, float] = (0.0, 0.0)

    def rows(self, starts: Floats, window_s: float, steps: int) -> IntArray:
        """The row shown at each step of windows, ``(w, steps)``, -1 for none."""
        return shown(self.starts, self.ends, moments(starts, window_s, steps))

    def grid(self, window_s: float, steps: int) -> list[IntArray]:
        """Half-overlapping windows that show enough of the person, as rows ``(steps,)`` each."""
        starts = window_starts(*self.span, window_s, window_s / 2, steps)
        return [r for r in map(_whole, self.rows(starts, window_s, steps)) if r is not None]

    def sample(
        self, rng: np.random.Generator, window_s: float, steps: int, tries: int = 8
    ) -> IntArray | None:
        """The rows of a random window; None where none of the tried ones shows enough."""
        first, end = self.span
        room = max(end - first - window_s, 0.0)
        starts = first + rng.random(tries) * room
        for rows in self.rows(starts, window_s, steps):
            complete = _whole(rows)
            if complete is not None:
                return complete
        return None


def _whole(rows: IntArray) -> IntArray | None:
    """The rows, gaps filled by repeating the others; None where too few are there."""
    there = rows[rows >= 0]
    return stretched(there, len(rows)) if len(there) > LEAST_SEEN * len(rows) else None


@dataclass(frozen=True)
class Clips:
    """Labeled clips and the model that their features come from.

    Attributes:
        clips: those that can be used.
        classes: whether the levels are just distracted and engaged.
        model, sha256: the expression model, and the hash of its file; "" where unknown.
        problems: why each of the others cannot be used.
    """

    clips: tuple[LabeledClip, ...]
    classes: bool
    model: str = ""
    sha256: str = ""
    problems: tuple[str, ...] = field(default=())


def read_clips(
    table: Path, load: Callable[[Path], Timeline], progress: Progress | None = None
) -> Clips:
    """Read a CSV list of videos, or of their tables, each with a level.

    Columns: ``path`` (relative to the CSV), ``level`` (0 to 1, or names such as engaged and
    distracted), and optionally ``group`` (the person), ``split`` (train or test) and ``person``
    (the track id; by default the person who is visible longest). `load` gives the timeline of a
    path, with features.

    Raises:
        InputError: no such list, or none of its clips can be used.
        UsageError: features of several models, or levels that are no numbers or usual names.
    """
    rows = read_listing(table, _COLUMNS)
    levels, classes = parse_levels([row["level"] for row in rows])
    clips, problems, origins = [], [], []
    places: Iterable[int] = range(len(rows))
    for place in progress(places, len(rows)) if progress else places:
        row = rows[place]
        path = table.parent / row["path"]
        try:
            timeline = load(path)
            clips.append(labeled(timeline, levels[place], row))
        except (InputError, UsageError) as error:
            problems.append(f"{row['path']}: {error}")
            continue
        sha256 = timeline.embeddings.model if timeline.embeddings else ""
        name, size = timeline.settings.classifier, clips[-1].features.shape[1]
        origins.append((row["path"], Origin(name, sha256, size)))
    if not clips:
        raise InputError(f"none of the clips of {table} can be used; the first: {problems[0]}")
    origin = common_origin(origins)
    return Clips(tuple(clips), classes, origin.model, origin.sha256, tuple(problems))


def labeled(timeline: Timeline, level: float, row: Mapping[str, str]) -> LabeledClip:
    """One person of a video: the one that `row` names, or else whoever is visible longest.

    Raises:
        InputError: it has no face, or not this person.
        UsageError: its table has no features.
    """
    if len(timeline.sources) > 1:
        raise InputError(f"it is a table of {len(timeline.sources)} videos: give one of each.")
    all_faces = timeline.all_faces
    presence = Presence(timeline.faces, timeline.images, timeline.labels, all_faces=all_faces)
    presence.need_people()
    if not presence.people:
        raise InputError("no face was found in it.")
    if timeline.embeddings is None:
        raise UsageError("it has no features: analyze it again with --embeddings features.")
    seconds = {who: presence.seconds[rows].sum() for who, rows in presence.judged.items()}
    wanted = row.get("person", "")
    if wanted:
        seconds = {who: time for who, time in seconds.items() if str(who[1]) == wanted}
        if not seconds:
            raise InputError(f"there is no person {wanted} in it.")
    rows = presence.judged[max(seconds, key=lambda who: seconds[who])]
    if not len(rows):
        raise InputError("no face in it is fit to be judged.")
    starts, ends = (edge[rows] for edge in presence.spans)
    vectors = timeline.embeddings.of(timeline.faces.iloc[rows], "features")
    return LabeledClip(
        row["path"],
        level,
        starts,
        ends,
        vectors.astype(np.float16),
        row.get("group", "") or row["path"],
        row.get("split", ""),
        extent(timeline.images),
    )


def parse_levels(texts: Sequence[str]) -> tuple[list[float], bool]:
    """Levels 0 to 1 of numbers or names, and whether they are just the two classes.

    Raises:
        UsageError: something that is neither, or a number outside 0 to 1.
    """
    names = [" ".join(text.lower().replace("_", " ").replace("-", " ").split()) for text in texts]
    for known in _NAMES:
        if set(names) <= set(known):
            levels = [known[name] for name in names]
            return levels, set(levels) <= {0.0, 1.0}
    levels = []
    for text in texts:
        try:
            level = float(text)
        except ValueError:
            level = math.nan
        if not 0 <= level <= 1:
            known_names = ", ".join(sorted({name for known in _NAMES for name in known}))
            raise UsageError(
                f"a level is a number from 0 to 1 (divide 0 to 3 by 3), or all are names of one "
                f"kind ({known_names}); got {text!r}."
            )
        levels.append(level)
    return levels, set(levels) <= {0.0, 1.0}


def divide(
    clips: Sequence[LabeledClip], share: float, seed: int
) -> tuple[list[LabeledClip], list[LabeledClip]]:
    """Clips to train on, and clips of other people to test on.

    Where the clips have splits, "test" and "validation" are tested on. Otherwise `share` of the
    groups are, spread over the levels: groups in order of their level, at equal distances.

    Raises:
        InputError: a group is on both sides of the given split.
    """
    if any(clip.split for clip in clips):
        strange = [clip for clip in clips if clip.split not in ("train", "validation", "test")]
        if strange:
            raise InputError(
                f"{strange[0].name} has the split {strange[0].split!r}: say train or test for each."
            )
        train = [clip for clip in clips if clip.split == "train"]
        test = [clip for clip in clips if clip.split != "train"]
        check_disjoint([c.group for c in train], [c.group for c in test], "the clips")
        return train, test
    groups = by_level(clips, seed)
    count = round(share * len(groups))
    start = np.random.default_rng(seed).random()
    chosen = {groups[int((k + start) * len(groups) / count)] for k in range(count)}
    return (
        [clip for clip in clips if clip.group not in chosen],
        [clip for clip in clips if clip.group in chosen],
    )


def by_level(clips: Sequence[LabeledClip], seed: int) -> list[str]:
    """The groups in order of their mean level, those of one level in random order."""
    levels: dict[str, list[float]] = {}
    for clip in clips:
        levels.setdefault(clip.group, []).append(clip.level)
    names = sorted(levels)
    luck = np.random.default_rng(seed).random(len(names))
    order = sorted(range(len(names)), key=lambda i: (np.mean(levels[names[i]]), luck[i]))
    return [names[i] for i in order]


def windows_of(clip: LabeledClip, rows: Sequence[IntArray]) -> FloatArray:
    """The features of windows given by their rows: ``(w, steps, d)`` float32."""
    return np.asarray(clip.features[np.stack(rows)], np.float32)
