"""Engagement of the people of a video over its windows, with an uncertainty for every value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.engagement.model import EngagementModel
from mien.engagement.windows import LEAST_SEEN, moments, shown, stretched, window_starts
from mien.errors import UsageError
from mien.evaluation import Progress
from mien.results import tables
from mien.timeline.tracks import Presence, extent
from mien.types import FloatArray, Floats, IntArray

if TYPE_CHECKING:
    import pandas as pd

    from mien.timeline.timeline import Timeline

#: The fewest people that are visible together where a group has a value. There is no option.
LEAST_PEOPLE = 5
NOT_FOR = "people at work or in education: forbidden in the EU, AI Act Art. 5(1)(f)"

_BLOCKS = 8  # parts of a window that are left out in turn, where there is one network only
_AT_ONCE = 32
_TYPES = {"source": "string", "track_id": "Int64", "start_s": "float64", "end_s": "float64"}
_TYPES |= {"engagement": "float32", "uncertainty": "float32", "n_people": "int64"}
_TYPES |= {"seen": "float32", "why": "string", "purpose": "string"}
#: Columns of `Engagement.table`.
COLUMNS = tuple(_TYPES)
_SHORT, _NOBODY = "the video is shorter than a window", "nobody is visible for more than half of it"
_FEW = f"fewer than {LEAST_PEOPLE} people"
_UNSEEN = "visible for half of it or less"


@dataclass(frozen=True, eq=False, repr=False)
class Engagement:
    """Engagement over the windows of one or more videos.

    Attributes:
        table: source, track_id (missing for the group), start_s, end_s, engagement (0 distracted
            to 1 engaged), uncertainty (one standard deviation), n_people (with a value), seen
            (share of the window with a face that counts), why (there is no value; else missing),
            purpose (missing for the group). One row for each window; with a purpose, also one
            for each person in it.
        settings: of the run.
    """

    table: pd.DataFrame
    settings: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Engagement({self.summary()})"

    def summary(self) -> str:
        """How many windows of the group have a value, and why not more, in a sentence."""
        group = self.table[self.table["track_id"].isna()]
        good = int(group["engagement"].notna().sum())
        text = f"{good} of {len(group)} windows have a value for the group"
        reasons = group["why"].dropna().value_counts()
        if len(reasons):
            text += "; " + "; ".join(f"{count}: {why}" for why, count in reasons.items())
        people = self.table["track_id"].notna()
        if people.any():
            each = int(self.table.loc[people, "engagement"].notna().sum())
            text += f"; {each} of {int(people.sum())} for single people"
        return text

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the table in the format of its suffix, see `mien.results.files.SUFFIXES`.

        Args:
            path: the table; the settings of CSV and JSON lines lie beside it.
            overwrite: replace any file; otherwise only such a table with no other sources.

        Raises:
            UsageError: another suffix, nothing can be written there, or something would be lost.
        """
        return tables.write_table(self.table, path, self.settings, overwrite=overwrite)


def engagement(
    timeline: Timeline,
    model: EngagementModel | str | Path,
    *,
    purpose: str | None = None,
    hop_s: float = 1.0,
    progress: Progress | None = None,
) -> Engagement:
    """Estimate apparent engagement of the group in each window, as viewers would rate it.

    The single-attention network of Savchenko, Savchenko and Makarov (IEEE Trans. Affective
    Computing, 2022) over the features of each person's face, then the mean over the people. A
    window counts for a person who is visible for more than half of it; a group has a value where
    at least five people have one. Where there is none, the row says why.

    The uncertainty is one standard deviation of a value around the level that viewers would give.
    For one person: the spread between the model's networks (of a single network: a jackknife over
    eighths of the window), and how far levels of unknown people lie from the networks' mean,
    where that was measured. For a group: the spread between the networks' means over the
    people, and the standard error of that mean, as if those visible were drawn from more. Errors of
    overlapping windows are correlated.

    Args:
        timeline: of videos that were analyzed with ``also=("features",)``.
        model: an `EngagementModel`, its file, or the name of a fetched one.
        purpose: one sentence, who needs single people's values and why, which is stored in the
            table and the settings; None: the group alone. For people at work or in education the
            EU forbids this whatever the purpose (AI Act, Art. 5(1)(f)), medical and safety uses
            aside.
        hop_s: from the start of one window to that of the next, seconds.
        progress: wraps the loop over batches.

    Raises:
        UsageError: an empty purpose, a table of images, one without people or features, or with
            features of another model.
        ModelError: the model cannot be used.
    """
    import pandas as pd

    purpose = None if purpose is None else check_purpose(purpose)
    if not 0.01 <= hop_s < np.inf:
        raise UsageError(f"hop_s is at least 0.01 seconds, got {hop_s}.")
    network = model if isinstance(model, EngagementModel) else EngagementModel(model)
    all_faces = timeline.all_faces
    presence = Presence(timeline.faces, timeline.images, timeline.labels, all_faces=all_faces)
    presence.need_people()
    people: dict[tuple[str, int], _Person] = {}
    grids = {video: _grid(timeline.images, video, network, hop_s) for video in timeline.sources}
    if presence.people:
        network.check_embeddings(timeline.embeddings)
        assert timeline.embeddings is not None
        features = timeline.embeddings.of(timeline.faces, "features")
        work = _Work(network, presence, features)
        people = work.all({who: grids[who[0]] for who in presence.people}, progress)
    rows: list[dict[str, Any]] = []
    for video in timeline.sources:
        here = {who[1]: person for who, person in people.items() if who[0] == video}
        rows += _rows(video, grids[video], here, network, purpose)
    table = pd.DataFrame(rows, columns=list(_TYPES)).astype(_TYPES)
    return Engagement(table, _settings(timeline, network, purpose, hop_s))


def check_purpose(purpose: object) -> str:
    """The purpose of estimating single people, as one line of text.

    Raises:
        UsageError: it is empty, or no text.
    """
    text = " ".join(purpose.split()) if isinstance(purpose, str) else ""
    if not text:
        raise UsageError(
            "per-person engagement needs a purpose, one sentence: who needs it and why; it is "
            "stored with every value."
        )
    return text


@dataclass(frozen=True)
class _Grid:
    """The windows of one video."""

    starts: Floats
    start_s: float
    end_s: float


@dataclass(frozen=True)
class _Person:
    """One person in the w windows of a video; NaN where they have no value.

    `members` ``(w, m)``, `spread` ``(w,)`` between networks or of the jackknife, `seen` ``(w,)``.
    """

    members: FloatArray
    spread: FloatArray
    seen: FloatArray


def _grid(images: pd.DataFrame, video: str, network: EngagementModel, hop_s: float) -> _Grid:
    first, end = extent(images[images["source"] == video])
    if first == end:
        return _Grid(np.zeros(0), 0.0, 0.0)
    card = network.card
    return _Grid(window_starts(first, end, card.window_s, hop_s, card.steps), first, end)


class _Work:
    """Estimates the windows of people in batches."""

    def __init__(self, network: EngagementModel, presence: Presence, features: FloatArray) -> None:
        self.network, self.presence, self.features = network, presence, features
        self.networks = network.networks

    def all(
        self, grids: Mapping[tuple[str, int], _Grid], progress: Progress | None
    ) -> dict[tuple[str, int], _Person]:
        """Everybody."""
        blank = {who: self._person(who, grid) for who, grid in grids.items()}
        jobs = [
            (who, windows[first : first + _AT_ONCE])
            for who, (_, _, windows) in blank.items()
            for first in range(0, len(windows), _AT_ONCE)
        ]
        steps: Iterable[int] = range(len(jobs))
        for job in progress(steps, len(jobs)) if progress else steps:
            who, windows = jobs[job]
            person, rows, _ = blank[who]
            members, spread = self._estimate([rows[window] for window in windows])
            person.members[windows], person.spread[windows] = members, spread
        return {who: person for who, (person, _, _) in blank.items()}

    def _person(self, who: tuple[str, int], grid: _Grid) -> tuple[_Person, IntArray, IntArray]:
        """A person without values, the row of each step of their windows, and the valid windows."""
        rows, card = self.presence.judged[who], self.network.card
        starts, ends = (edge[rows] for edge in self.presence.spans)
        places = shown(starts, ends, moments(grid.starts, card.window_s, card.steps))
        seen = (places >= 0).mean(axis=1).astype(np.float32)
        blank = np.full((len(places), self.networks), np.nan, np.float32)
        person = _Person(blank, blank[:, 0].copy(), seen)
        return person, np.append(rows, -1)[places], np.flatnonzero(seen > LEAST_SEEN)

    def _estimate(self, windows: list[IntArray]) -> tuple[FloatArray, FloatArray]:
        """Values ``(n, m)`` and spread ``(n,)`` of windows given by their rows."""
        steps = self.network.card.steps
        valid = [rows[rows >= 0] for rows in windows]
        members = self._predict([stretched(rows, steps) for rows in valid])
        if members.shape[1] > 1:
            return members, members.std(axis=1, ddof=1)
        spreads = []
        for rows in valid:
            parts = np.array_split(np.arange(len(rows)), min(_BLOCKS, len(rows)))
            left = [stretched(np.delete(rows, part), steps) for part in parts if len(rows) > 1]
            if not left:  # one frame over the whole window: its uncertainty is unknown
                spreads.append(np.nan)
                continue
            values = self._predict(left)[:, 0]
            spreads.append(np.sqrt((len(values) - 1) * values.var()))
        return members, np.array(spreads, np.float32)

    def _predict(self, rows: list[IntArray]) -> FloatArray:
        return self.network.predict(self.features[np.stack(rows)])


def _rows(
    video: str,
    grid: _Grid,
    people: Mapping[int, _Person],
    network: EngagementModel,
    purpose: str | None,
) -> Iterator[dict[str, Any]]:
    """The rows of one video: of each window the group, then, for a purpose, each person in it."""
    if not len(grid.starts):
        nothing = {"engagement": np.nan, "uncertainty": np.nan, "n_people": 0, "why": _SHORT}
        yield {"source": video, "start_s": grid.start_s, "end_s": grid.end_s, **nothing}
        return
    everyone = list(people.values())
    for window, start in enumerate(grid.starts):
        place = {"source": video, "start_s": start, "end_s": start + network.card.window_s}
        known = [p for p in everyone if np.isfinite(p.spread[window])]
        yield (
            place
            | of_group([(p.members[window], p.spread[window]) for p in known], network)
            | {"seen": np.mean([p.seen[window] for p in known]) if known else np.nan}
        )
        for track_id, person in people.items() if purpose else ():
            if not person.seen[window]:
                continue
            value = person.members[window].mean()
            yield {
                **place,
                "track_id": track_id,
                "engagement": value,
                "uncertainty": np.hypot(person.spread[window], network.card.residual or 0.0),
                "n_people": int(np.isfinite(value)),
                "seen": person.seen[window],
                "why": None if np.isfinite(value) else _UNSEEN,
                "purpose": purpose,
            }


def of_group(known: list[tuple[FloatArray, float]], network: EngagementModel) -> dict[str, Any]:
    """Value and uncertainty of a group in one window.

    Args:
        known: of each person with a value, the estimates of m networks ``(m,)``, and the spread
            of a single network.
        network: the model.
    """
    n = len(known)
    if n < LEAST_PEOPLE:
        why = _FEW if n else _NOBODY
        return {"engagement": np.nan, "uncertainty": np.nan, "n_people": n, "why": why}
    members = np.array([values for values, _ in known], np.float64)
    if (
        members.shape[1] > 1
    ):  # errors of a network are shared by all people, so its means are compared
        shared = members.mean(axis=0).var(ddof=1)
    else:
        shared = np.sum([spread**2 for _, spread in known]) / n**2
    apart = members.mean(axis=1).var(ddof=1) + (network.card.residual or 0.0) ** 2
    return {
        "engagement": members.mean(),
        "uncertainty": np.sqrt(shared + apart / n),
        "n_people": n,
        "why": None,
    }


def _settings(
    timeline: Timeline, network: EngagementModel, purpose: str | None, hop_s: float
) -> dict[str, str]:
    card = network.card
    known = timeline.embeddings.model if timeline.embeddings else ""
    checked = bool(known and card.model_sha256)
    how = "networks" if card.residual is not None else "window alone, not calibrated"
    return {
        "model": card.name,
        "model_sha256": network.sha256,
        "says": f"{card.says}, 1 engaged, 0 distracted",
        "window_s": f"{card.window_s:.6g}",
        "steps": str(card.steps),
        "hop_s": f"{hop_s:g}",
        "least_people": str(LEAST_PEOPLE),
        "features_sha256": known,
        "features_checked": "by hash" if checked else "by their number only",
        "uncertainty": f"one standard deviation, of the {how}",
        "not_for": NOT_FOR,
        **({} if purpose is None else {"purpose": purpose}),
    }
