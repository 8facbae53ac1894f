"""The cast of a `Timeline`: its people across cuts and films, and what they are called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mien.people.identities import People, find_people
from mien.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd

    from mien.results.embeddings import Embeddings
    from mien.timeline.tracks import Presence

#: The setting that says that track ids are people in all films, and names those who are known.
PEOPLE = "people"


class Cast:
    """What `Timeline` can do about people; the attributes are the timeline's own."""

    if TYPE_CHECKING:
        faces: pd.DataFrame
        images: pd.DataFrame
        settings: Mapping[str, str]
        embeddings: Embeddings | None

        @property
        def _presence(self) -> Presence: ...

    @property
    def names(self) -> dict[int, str]:
        """Names of people, by track id, as far as they are known; see `merged`."""
        return told_names(self.settings)

    def name_of(self, track_id: int) -> str:
        """What a person is called, "Person 3" where no name is known."""
        return self._presence.name_of(track_id)

    def who(
        self,
        threshold: float | None = None,
        names: Mapping[int, str] | None = None,
        known: Mapping[str, FloatArray] | None = None,
    ) -> People:
        """Which tracks are one person, across cuts and films, by their identity embeddings.

        Arguments and errors are those of `mien.people.identities.find_people`; see docs/people.md.
        """
        timed = self.images["time_s"].notna().any()
        seconds = self._presence.seconds if timed else np.zeros(len(self.faces))
        return find_people(self.faces, seconds, self.embeddings, threshold, names, known)

    def people(
        self, threshold: float | None = None, names: Mapping[int, str] | None = None
    ) -> pd.DataFrame:
        """One row a person, as `who` finds them; see `mien.people.identities.People`."""
        return self.who(threshold, names).table

    def merged(self, who: People | None = None) -> Self:
        """The same with people for tracks: ``track_id`` is one number a person, in all films.

        `names` has the names that are known; segments, summary and the rest tell of people.

        Args:
            who: as from `who`, which is asked where it is left out.

        Raises:
            UsageError: as for `who`, or these are people of another timeline.
        """
        found = self.who() if who is None else who
        raw: Any = self.raw  # type: ignore[attr-defined]
        merged = replace(
            raw,
            faces=found.relabelled(raw.faces),
            peaks=found.relabelled_peaks(raw.peaks),
            settings={**raw.settings, PEOPLE: json.dumps(found.known)},
        )
        again: Self = merged.smooth(float(self.settings.get("smooth_s", 0)))
        return again


def told_names(settings: Mapping[str, str]) -> dict[int, str]:
    """The names that are known, by track id."""
    known = json.loads(settings.get(PEOPLE, "{}"))
    return {int(number): str(name) for number, name in known.items()}
