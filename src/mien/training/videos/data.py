"""Labeled videos: a CSV file that is checked before any video is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.datasets.csv import GROUP, LABEL, SPLIT, VIDEO
from mien.errors import InputError
from mien.labels import UNCERTAIN
from mien.timeline.classifier import COLUMNS
from mien.training.listing import read_listing
from mien.training.trained import check_disjoint

_MAX_NAMED = 5  # videos that are named in a message


@dataclass(frozen=True, eq=False)
class VideoList:
    """Columns of n videos.

    Attributes:
        origin: the file.
        names: the videos as written.
        paths: where they lie.
        truth: the label of each.
        groups: what must stay in one fold or split, such as a subject or a movie; the video's own
            name where nothing is given.
        parts: "train" or "test", or "" for all where the list has no splits.
        left_out: how many videos are of a split that is neither trained nor tested on.
    """

    origin: Path
    names: tuple[str, ...]
    paths: tuple[Path, ...]
    truth: tuple[str, ...]
    groups: tuple[str, ...]
    parts: tuple[str, ...]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.names)

    @property
    def labels(self) -> tuple[str, ...]:
        """The different labels in alphabetical order."""
        return tuple(sorted(set(self.truth)))

    @property
    def grouped(self) -> bool:
        """Whether some videos belong together."""
        return len(set(self.groups)) < len(self)


def read_videos(path: Path) -> VideoList:
    """Read a list of labeled videos.

    Columns: ``path`` (relative to the list's folder; a video, or a table that ``mien analyze -o``
    wrote with ``--embeddings features``), ``label``, and if wanted ``group`` and ``split``
    (``train``, and ``test`` or ``validation``). Labels stay as they are written.

    Raises:
        InputNotFoundError: there is no such list.
        InputError: it is no such list, names videos that do not exist, or cannot be learned from.
    """
    columns = {"path": VIDEO, "label": LABEL, "group": GROUP, "split": SPLIT}
    rows = read_listing(path, columns)
    for line, row in enumerate(rows, 2):
        if not row["path"] or not row["label"]:
            raise InputError(f"{path}, line {line}: a video and its label are needed.")
    names = [row["path"] for row in rows]
    paths = [path.parent / name for name in names]
    taken = {UNCERTAIN, *COLUMNS}.intersection(row["label"] for row in rows)
    if taken:
        raise InputError(f"{path}: no label can be called {min(taken)!r}, choose another word.")
    _check_files(path, names, paths)
    parts = _parts(path, [row["split"] for row in rows])
    kept = [i for i, part in enumerate(parts) if part is not None]
    videos = VideoList(
        path,
        tuple(names[i] for i in kept),
        tuple(paths[i] for i in kept),
        tuple(rows[i]["label"] for i in kept),
        tuple(rows[i]["group"] or names[i] for i in kept),
        tuple(parts[i] or "" for i in kept),
        len(rows) - len(kept),
    )
    pairs = list(zip(videos.groups, videos.parts, strict=True))
    trained = [group for group, part in pairs if part != "test"]
    check_disjoint(trained, [group for group, part in pairs if part == "test"], str(path))
    if len(videos.labels) < 2:
        raise InputError(f"{path}: at least two labels are needed, it has {videos.labels[0]}.")
    return videos


def _check_files(path: Path, names: Sequence[str], paths: Sequence[Path]) -> None:
    missing = [name for name, video in zip(names, paths, strict=True) if not video.is_file()]
    if missing:
        more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
        raise InputError(
            f"{path} has labels for {len(missing)} of {len(names)} videos that do not exist: "
            f"{', '.join(missing[:_MAX_NAMED])}{more}."
        )
    twice = [file for file, n in Counter(file.resolve() for file in paths).items() if n > 1]
    if twice:
        raise InputError(f"{path} lists a video twice: {twice[0].name}.")


def _parts(path: Path, splits: Sequence[str]) -> list[str | None]:
    """What each video is for; None for nothing."""
    if not any(splits):
        return [""] * len(splits)
    for line, word in enumerate(splits, 2):
        if word not in ("train", "validation", "test"):
            raise InputError(
                f"{path}, line {line}: a split is train, validation or test, not {word!r}."
            )
    tested = "test" if "test" in splits else "validation"
    if "train" not in splits or tested not in splits:
        raise InputError(f"{path}: a split needs videos to train and videos to test.")
    use: dict[str, str | None] = {"train": "train", "validation": None, tested: "test"}
    return [use[word] for word in splits]
