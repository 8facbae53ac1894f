"""The viewer of a results table: the current frame, and who is selected in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.cli.viewer.view import Screen, save_snapshot
from mien.drawing.overlay import Person
from mien.errors import InputError, MienError
from mien.escaping import printable
from mien.labels import color_of
from mien.types import Image

if TYPE_CHECKING:
    import pandas as pd

KEYS = "q quit  left/right frame  page 1 s  home/end  up/down face  space play  s save"
_PAGE_S = 1.0
_PAGE = 10  # images, where there is no time
_BOX = ["x1", "y1", "x2", "y2"]
_NOBODY, _UNFIT, _FAILED = (226, 228, 232), (176, 180, 186), (60, 60, 60)  # colors of the strip

#: Reads an image again: source, seconds or None, width and height in the analysis.
Reader = Callable[[str, float | None, tuple[int, int] | None], Image]


class Viewer:
    """Steps through the frames of a table.

    The tables are as `mien.results.collection.load_tables` returns them; `read` gives the image of
    a row of `images`, or raises `InputError`.

    Raises:
        InputError: the tables hold no frame.
    """

    def __init__(
        self,
        faces: pd.DataFrame,
        images: pd.DataFrame,
        labels: tuple[str, ...],
        read: Reader,
        *,
        name: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not len(images):
            raise InputError(f"{name or 'the table'} has no frames to show.")
        self.title: str
        self.pause_s: float
        self.done: bool
        self.title, self.pause_s, self.done = f"mien: {name}", 0.015, False
        self.labels: tuple[str, ...]
        self.position: int
        self.labels, self.position = labels, 0
        self._read, self._clock = read, clock
        self._images = images.reset_index(drop=True)
        self._ends = np.cumsum(images["n_faces"].to_numpy(np.int64))
        self._times = images["time_s"].to_numpy(np.float64)
        self._sources = images["source"].astype(str).to_numpy()
        self._source_codes = images["source"].astype("category").cat.codes.to_numpy()
        self._status = images["status"].astype(str).to_numpy()
        self._boxes = faces[_BOX].to_numpy(np.float32)
        self._values = faces[list(labels)].to_numpy(np.float32)
        self._emotions = faces["emotion"].astype(str).to_numpy()
        self._probabilities = faces["probability"].to_numpy(np.float32)
        reasons = faces.reindex(columns=["unfit_reason"])["unfit_reason"].astype(object)
        self._reasons: list[str] = reasons.fillna("").tolist()
        self._shares = bool(np.allclose(self._values.sum(axis=1), 1, atol=1e-2))
        tracked = len(faces) > 0 and not faces["track_id"].isna().any()
        self._who = "person" if tracked else "face"
        self._keys = faces["track_id" if tracked else "face"].to_numpy(np.int64)
        self._chosen: int | None = int(self._keys[0]) if len(faces) else None
        self._message = ""
        self._stale = True
        self._playing: tuple[float, float] | None = None  # clock and video time
        self._strip: tuple[int | None, Image] | None = None

    def __len__(self) -> int:
        return len(self._images)

    @property
    def selected(self) -> int | None:
        """Key of the selected person; of another one where that one is not in the frame."""
        keys = self._keys[self._rows(self.position)].tolist()
        return self._chosen if self._chosen in keys else keys[0] if keys else None

    def press(self, key: str) -> None:
        """React to a key; see `KEYS`."""
        self._message, self._stale = "", True
        if key != "s" and key != "space":
            self._playing = None
        if key in ("q", "escape"):
            self.done = True
        elif key in ("left", "right"):
            self.go(self.position + (1 if key == "right" else -1))
        elif key in ("pageup", "pagedown"):
            self._page(1 if key == "pagedown" else -1)
        elif key in ("home", "end"):
            self.go(0 if key == "home" else len(self) - 1)
        elif key in ("up", "down"):
            self._select(1 if key == "down" else -1)
        elif key == "space":
            self._play()
        elif key == "s":
            self._snapshot()

    def go(self, position: int) -> None:
        """Show the frame at this position, or the nearest."""
        self.position = min(max(position, 0), len(self) - 1)
        self._stale = True

    def seek(self, share: float) -> None:
        """Go to a position in the strip, 0 to 1."""
        self._playing = None
        self.go(round(share * (len(self) - 1)))

    def at(self, time_s: float) -> None:
        """Show the frame at this time of the first source."""
        self.go(self._before(0, time_s))

    def next_screen(self) -> Screen | None:
        """What to display; None if nothing has changed."""
        import pandas as pd

        self._play_on()
        if not self._stale:
            return None
        self._stale = False
        row, time_s = self._images.iloc[self.position], self._times[self.position]
        message = self._message
        width, height = row["width"], row["height"]
        size = None if pd.isna(width) or pd.isna(height) else (int(width), int(height))
        image: Image | None = None
        if self._status[self.position] != "ok":
            message = message or str(row["error"])
        else:
            try:
                when = None if np.isnan(time_s) else float(time_s)
                image = self._read(str(row["source"]), when, size)
            except InputError as error:
                message = message or str(error)
        return Screen(
            image,
            self.people(self.position),
            self.labels,
            self._headline(row, float(time_s)),
            KEYS,
            size=size or (640, 480),
            selected=self.selected,
            message=message,
            index=int(row["frame"]),
            time_s=0.0 if np.isnan(time_s) else float(time_s),
            strip=self._colors(),
            cursor=self.position / max(1, len(self) - 1),
        )

    def people(self, position: int) -> list[Person]:
        """The faces of a frame, as in the table."""
        people = []
        for row in range(*self._rows(position).indices(len(self._keys))):
            key = int(self._keys[row])
            percent = round(100 * float(self._probabilities[row])) if self._shares else None
            name, emotion = f"{self._who} {key}", str(self._emotions[row])
            about = emotion, percent, self._values[row], self._reasons[row]
            people.append(Person(key, name, self._boxes[row], *about))
        return people

    def first_with_face(self) -> int:
        """The first frame with a face, or 0."""
        return int(np.argmax(self._ends > 0))

    def _rows(self, position: int) -> slice:
        end = int(self._ends[position])
        return slice(int(self._ends[position - 1]) if position else 0, end)

    def _headline(self, row: Any, time_s: float) -> str:
        parts = [printable(Path(str(row["source"])).name)]
        if np.isnan(time_s):
            parts.append(f"image {self.position + 1} of {len(self)}")
        else:
            parts += [
                f"{time_s:.2f} s",
                f"frame {row['frame']} ({self.position + 1} of {len(self)})",
            ]
        if self._status[self.position] == "ok":
            count = int(row["n_faces"])
            parts.append("no face" if not count else f"{count} face{'s' if count > 1 else ''}")
        else:
            parts.append(str(row["status"]))
        return "   ".join(parts)

    def _page(self, step: int) -> None:
        """A second forward or back, and always at least one frame."""
        now = self._times[self.position]
        if np.isnan(now):
            self.go(self.position + step * _PAGE)
            return
        position = self._before(self.position, now + step * _PAGE_S)
        self.go(position if position != self.position else self.position + step)

    def _before(self, position: int, time_s: float) -> int:
        """The last frame at or before a time, in the source of the frame at `position`."""
        same = np.flatnonzero(self._source_codes == self._source_codes[position])
        times = self._times[same]
        place = int(np.searchsorted(times, time_s + 1e-6, side="right")) - 1
        return int(same[max(0, place)])

    def _select(self, step: int) -> None:
        keys = self._keys[self._rows(self.position)].tolist()
        if keys:
            current = self.selected
            self._chosen = keys[(keys.index(current) + step) % len(keys)]
        else:
            self._message = "there is no face in this frame"

    def _play(self) -> None:
        if self._playing is not None or np.isnan(self._times[self.position]):
            self._playing = None
            return
        if self.position == len(self) - 1:
            self.go(0)
        self._playing = self._clock(), float(self._times[self.position])

    def _play_on(self) -> None:
        """Go to the frame that is due; playing stops at the end of a source."""
        if self._playing is None:
            return
        begun, time_s = self._playing
        position = self._before(self.position, time_s + self._clock() - begun)
        if position > self.position:
            self.go(position)
        codes = self._source_codes
        if position == len(self) - 1 or codes[position + 1] != codes[position]:
            self._playing = None

    def _snapshot(self) -> None:
        screen = self.next_screen()
        assert screen is not None  # a key was pressed just now
        name = f"{Path(self._sources[self.position]).stem}-{screen.index}"
        try:
            self._message = save_snapshot(screen, Path(), name)
        except MienError as error:
            self._message = str(error)
        self._stale = True

    def _colors(self) -> Image | None:
        """A color per frame of the table: the selected person's expression."""
        if len(self) < 2:
            return None
        who = self.selected if self._who == "person" else None
        if self._who == "person" and who is None:
            who = self._chosen
        if self._strip is None or self._strip[0] != who:
            self._strip = who, self._colors_of(who)
        return self._strip[1]

    def _colors_of(self, who: int | None) -> Image:
        colors = np.empty((len(self), 3), np.uint8)
        colors[:] = _NOBODY
        colors[self._status != "ok"] = _FAILED
        owner = np.searchsorted(self._ends, np.arange(len(self._keys)), side="right")
        rows: npt.NDArray[np.int64] = np.arange(len(self._keys))
        if who is not None:
            rows = rows[self._keys == who]
        for row in rows[::-1].tolist():  # the first face of a frame is the one that stays
            unfit = bool(self._reasons[row])
            colors[owner[row]] = _UNFIT if unfit else color_of(self._emotions[row], self.labels)
        return colors
