"""From a film's people to engagement over its windows, with an uncertainty for every value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.engagement.model import EngagementModel
from mien.engagement.purpose import stated
from mien.engagement.windows import LEAST_SEEN, moments, shown, stretched, window_starts
from mien.errors import UsageError
from mien.results import tables
from mien.timeline.tracks import Presence, extent
from mien.types import FloatArray, Floats, IntArray

if TYPE_CHECKING:
    import pandas as pd

    from mien.timeline.timeline import Timeline

#: So many people must be seen together before a group has a value. There is no option for less.
LEAST_PEOPLE = 5
NOT_FOR = "people at work or in education: forbidden in the EU, AI Act Art. 5(1)(f)"

Progress = Callable[[Iterable[int], int], Iterable[int]]
_BLOCKS = 8  # parts of a window that are left out in turn, where there is one network only
_AT_ONCE = 32
_TYPES = {"source": "string", "track_id": "Int64", "start_s": "float64", "end_s": "float64"}
_TYPES |= {"engagement": "float32", "uncertainty": "float32", "n_people": "int64"}
_TYPES |= {"seen": "float32", "why": "string", "purpose": "string"}
#: Columns of `Engagement.table`.
COLUMNS = tuple(_TYPES)
_SHORT, _NOBODY = "the film is shorter than a window", "nobody is seen for more than half of it"
_FEW = f"fewer than {LEAST_PEOPLE} people"
_UNSEEN = "seen for half of it or less"


@dataclass(frozen=True, eq=False, repr=False)
class Engagement:
    """Engagement over the windows of one or more films.

    Attributes:
        table: source, track_id (missing for the group), start_s, end_s, engagement (0 distracted
            to 1 engaged), uncertainty (one standard deviation), n_people (who have a value in this
            window), seen (share of the window with a face that counts), why (there is no value;
            else missing), purpose (missing for the group). A row a window; with a purpose, also
            one for each person in it.
        settings: what it was made with.
    """

    table: pd.DataFrame
    settings: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Engagement({self.told()})"

    def told(self) -> str:
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
        """Write the table as ``.parquet``, ``.csv`` or ``.jsonl``.

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
    """Judge windows of a film: apparent engagement of the group, as its viewers would rate it.

    The single-attention network of Savchenko, Savchenko and Makarov (IEEE Trans. Affective
    Computing, 2022) over the features of each person's face, then the mean over the people. A
    window counts for a person who is seen for more than half of it; a group has a value where at
    least five people have one. Where there is none, the row says why.

    The uncertainty is one standard deviation of a value around the level that people would give.
    For one person: the spread between the model's networks (of a single network: a jackknife over
    eighths of the window), and how far levels of unknown people lie from what the networks agree
    on, where that was measured. For a group: the spread between the networks' means over the
    people, and the standard error of that mean, as if those seen were drawn from more. Windows that
    overlap err together.

    Args:
        timeline: of films that were analysed with ``also=("features",)``.
        model: an `EngagementModel`, its file, or the name of a fetched one.
        purpose: what single people's values are needed for, in a sentence, which is kept in the
            table and the settings; None: the group alone. For people at work or in education the
            EU forbids this whatever the purpose (AI Act, Art. 5(1)(f)), medical and safety uses
            aside.
        hop_s: from the start of one window to that of the next, seconds.
        progress: wraps the loop over batches, such as to show how far it is.

    Raises:
        UsageError: no purpose to speak of, a table of photos, one without people or features, or
            with features of another model.
        ModelError: the model cannot be used.
    """
    import pandas as pd

    purpose = None if purpose is None else stated(purpose)
    if not 0.01 <= hop_s < np.inf:
        raise UsageError(f"hop_s is at least 0.01 seconds, got {hop_s}.")
    judge = model if isinstance(model, EngagementModel) else EngagementModel(model)
    all_faces = timeline.all_faces
    presence = Presence(timeline.faces, timeline.images, timeline.labels, all_faces=all_faces)
    presence.need_people()
    people: dict[tuple[str, int], _Person] = {}
    grids = {film: _grid(timeline.images, film, judge, hop_s) for film in timeline.sources}
    if presence.people:
        judge.need(timeline.embeddings)
        assert timeline.embeddings is not None
        features = timeline.embeddings.of(timeline.faces, "features")
        work = _Work(judge, presence, features)
        people = work.all({who: grids[who[0]] for who in presence.people}, progress)
    rows: list[dict[str, Any]] = []
    for film in timeline.sources:
        here = {who[1]: found for who, found in people.items() if who[0] == film}
        rows += _rows(film, grids[film], here, judge, purpose)
    table = pd.DataFrame(rows, columns=list(_TYPES)).astype(_TYPES)
    return Engagement(table, _settings(timeline, judge, purpose, hop_s))


@dataclass(frozen=True)
class _Grid:
    """The windows of one film."""

    starts: Floats
    start_s: float
    end_s: float


@dataclass(frozen=True)
class _Person:
    """One person in the w windows of a film; NaN where they have no value.

    `members` ``(w, m)``, `spread` ``(w,)`` between networks or of the jackknife, `seen` ``(w,)``.
    """

    members: FloatArray
    spread: FloatArray
    seen: FloatArray


def _grid(images: pd.DataFrame, film: str, judge: EngagementModel, hop_s: float) -> _Grid:
    first, end = extent(images[images["source"] == film])
    if first == end:
        return _Grid(np.zeros(0), 0.0, 0.0)
    card = judge.card
    return _Grid(window_starts(first, end, card.window_s, hop_s, card.steps), first, end)


class _Work:
    """Judges the windows of people, some at once."""

    def __init__(self, judge: EngagementModel, presence: Presence, features: FloatArray) -> None:
        self.judge, self.presence, self.features = judge, presence, features
        self.networks = judge.networks

    def all(
        self, grids: Mapping[tuple[str, int], _Grid], progress: Progress | None
    ) -> dict[tuple[str, int], _Person]:
        """Everybody."""
        found = {who: self._person(who, grid) for who, grid in grids.items()}
        jobs = [
            (who, windows[first : first + _AT_ONCE])
            for who, (_, _, windows) in found.items()
            for first in range(0, len(windows), _AT_ONCE)
        ]
        steps: Iterable[int] = range(len(jobs))
        for job in progress(steps, len(jobs)) if progress else steps:
            who, windows = jobs[job]
            person, shown_rows, _ = found[who]
            members, spread = self._judged([shown_rows[window] for window in windows])
            person.members[windows], person.spread[windows] = members, spread
        return {who: person for who, (person, _, _) in found.items()}

    def _person(self, who: tuple[str, int], grid: _Grid) -> tuple[_Person, IntArray, IntArray]:
        """Somebody without values yet, the rows shown in their windows, and which can be judged."""
        rows, card = self.presence.judged[who], self.judge.card
        starts, ends = (edge[rows] for edge in self.presence.spans)
        places = shown(starts, ends, moments(grid.starts, card.window_s, card.steps))
        seen = (places >= 0).mean(axis=1).astype(np.float32)
        blank = np.full((len(places), self.networks), np.nan, np.float32)
        person = _Person(blank, blank[:, 0].copy(), seen)
        return person, np.append(rows, -1)[places], np.flatnonzero(seen > LEAST_SEEN)

    def _judged(self, windows: list[IntArray]) -> tuple[FloatArray, FloatArray]:
        """Values ``(n, m)`` and spread ``(n,)`` of windows given by the rows shown in them."""
        steps = self.judge.card.steps
        seen = [rows[rows >= 0] for rows in windows]
        members = self._of([stretched(rows, steps) for rows in seen])
        if members.shape[1] > 1:
            return members, members.std(axis=1, ddof=1)
        spreads = []
        for rows in seen:
            parts = np.array_split(np.arange(len(rows)), min(_BLOCKS, len(rows)))
            left = [stretched(np.delete(rows, part), steps) for part in parts if len(rows) > 1]
            if not left:  # one frame over the whole window: how sure that is cannot be said
                spreads.append(np.nan)
                continue
            told = self._of(left)[:, 0]
            spreads.append(np.sqrt((len(told) - 1) * told.var()))
        return members, np.array(spreads, np.float32)

    def _of(self, rows: list[IntArray]) -> FloatArray:
        return self.judge.judge(self.features[np.stack(rows)])


def _rows(
    film: str,
    grid: _Grid,
    people: Mapping[int, _Person],
    judge: EngagementModel,
    purpose: str | None,
) -> Iterator[dict[str, Any]]:
    """The rows of one film: of each window the group, then, for a purpose, each person in it."""
    if not len(grid.starts):
        nothing = {"engagement": np.nan, "uncertainty": np.nan, "n_people": 0, "why": _SHORT}
        yield {"source": film, "start_s": grid.start_s, "end_s": grid.end_s, **nothing}
        return
    everyone = list(people.values())
    for window, start in enumerate(grid.starts):
        place = {"source": film, "start_s": start, "end_s": start + judge.card.window_s}
        known = [p for p in everyone if np.isfinite(p.spread[window])]
        yield (
            place
            | of_group([(p.members[window], p.spread[window]) for p in known], judge)
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
                "uncertainty": np.hypot(person.spread[window], judge.card.residual or 0.0),
                "n_people": int(np.isfinite(value)),
                "seen": person.seen[window],
                "why": None if np.isfinite(value) else _UNSEEN,
                "purpose": purpose,
            }


def of_group(known: list[tuple[FloatArray, float]], judge: EngagementModel) -> dict[str, Any]:
    """Value and uncertainty of the people who have a value in one window.

    Args:
        known: of each, what the m networks say ``(m,)``, and the spread of a single network.
        judge: the model.
    """
    n = len(known)
    if n < LEAST_PEOPLE:
        why = _FEW if n else _NOBODY
        return {"engagement": np.nan, "uncertainty": np.nan, "n_people": n, "why": why}
    members = np.array([values for values, _ in known], np.float64)
    if members.shape[1] > 1:  # networks err alike on all people, so their means are compared
        shared = members.mean(axis=0).var(ddof=1)
    else:
        shared = np.sum([spread**2 for _, spread in known]) / n**2
    apart = members.mean(axis=1).var(ddof=1) + (judge.card.residual or 0.0) ** 2
    return {
        "engagement": members.mean(),
        "uncertainty": np.sqrt(shared + apart / n),
        "n_people": n,
        "why": None,
    }


def _settings(
    timeline: Timeline, judge: EngagementModel, purpose: str | None, hop_s: float
) -> dict[str, str]:
    card = judge.card
    known = timeline.embeddings.model if timeline.embeddings else ""
    checked = bool(known and card.features_sha256)
    how = "networks" if card.residual is not None else "window alone, not calibrated"
    return {
        "model": card.name,
        "model_sha256": judge.sha256,
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
