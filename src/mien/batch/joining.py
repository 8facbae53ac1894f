"""Joins the stretches of a video: people keep their track ids from one stretch to the next.

Each stretch begins some seconds before the one before it ends, with a tracker of its own. In these
seconds both have boxes of the same faces, which tell whose track continues as whose.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from mien.faces.geometry import iou

_SAME = 0.5  # overlap of two boxes that are one face
_BOX = ["x1", "y1", "x2", "y2"]


class TrackJoiner:
    """Gives the faces of a video's stretches, in order, the ids that they have in the whole video.

    Attributes:
        source: the video; "" before the first one.
    """

    def __init__(self) -> None:
        self.source: str = ""
        self._last: dict[int, pd.DataFrame] = {}  # rows of the last stretch by frame, with ids
        self._number = 0

    def join(self, source: str, rows: pd.DataFrame, overlap: pd.DataFrame | None) -> pd.Series:
        """The ids of a stretch's faces.

        Args:
            source: the video.
            rows: its faces, with ``frame``, ``track_id`` and the box.
            overlap: the same of the seconds before the stretch; None for the first one, or where
                there were no faces.

        Returns:
            ``track_id`` of each row, <NA> where it was.
        """
        if source != self.source:
            self.source, self._number, self._last = source, 0, {}
        own = rows["track_id"]
        known = {} if overlap is None else self._continued(overlap)
        names = [int(i) for i in own.dropna().unique()]
        for track in names:  # in order of appearance, as the tracker numbers them
            if track not in known:
                self._number += 1
                known[track] = self._number
        ids = own.map(known, na_action="ignore").astype("Int64")
        joined = rows.assign(track_id=ids)
        last = joined["frame"].max() if len(joined) else 0
        recent = joined[joined["frame"] > last - 10_000]
        self._last = {int(part["frame"].iloc[0]): part for _, part in recent.groupby("frame")}
        return ids

    def _continued(self, overlap: pd.DataFrame) -> dict[int, int]:
        """Which track of the overlap is which track of the whole video."""
        votes: Counter[tuple[int, int]] = Counter()
        for _, new in overlap.dropna(subset=["track_id"]).groupby("frame"):
            old = self._last.get(int(new["frame"].iloc[0]))
            if old is None:
                continue
            old = old.dropna(subset=["track_id"])
            if not len(old):
                continue
            shared = iou(old[_BOX].to_numpy(np.float32), new[_BOX].to_numpy(np.float32))
            for row, column in zip(*np.nonzero(shared > _SAME), strict=True):
                votes[int(old["track_id"].iloc[row]), int(new["track_id"].iloc[column])] += 1
        known: dict[int, int] = {}
        for (old_id, new_id), _ in votes.most_common():
            if new_id not in known and old_id not in known.values():
                known[new_id] = old_id
        return known
