"""Films with labels: a CSV file with a row a film, checked before any film is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.datasets.csv import GROUP, LABEL, SPLIT, VIDEO, first_column, read_csv
from mien.datasets.records import split_word
from mien.errors import InputError
from mien.labels import UNCERTAIN
from mien.timeline.classifier import COLUMNS

_TOLD = 5  # films that are named in a message
#: How a film takes part; "" where the list has no splits.
PARTS = ("train", "test")


@dataclass(frozen=True, eq=False)
class FilmList:
    """Columns of n films.

    Attributes:
        origin: the file.
        names: the films as written.
        paths: where they lie.
        truth: the label of each.
        groups: what must not be parted, such as a subject or a movie; else each film its own.
        parts: of `PARTS`, or "" for all.
        left_out: films of a split that is neither learned from nor measured on.
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
        """The different ones, by name."""
        return tuple(sorted(set(self.truth)))

    @property
    def grouped(self) -> bool:
        """Whether some films belong together."""
        return len(set(self.groups)) < len(self)


def read_films(path: Path) -> FilmList:
    """Read a list of films.

    Columns: ``path`` (relative to the list's folder; a film, or a table that ``mien analyze -o``
    wrote with ``--embeddings features``), ``label``, and if wanted ``group`` and ``split``
    (``train``, and ``test`` or ``validation``). Labels stay as they are written.

    Raises:
        InputNotFoundError: there is no such list.
        InputError: it is no such list, names films that are not there, or cannot be learned from.
    """
    table = read_csv(path)
    header = [str(name) for name in table.columns]
    columns = [first_column(header, names) for names in (VIDEO, LABEL, GROUP, SPLIT)]
    if columns[0] is None or columns[1] is None:
        raise InputError(
            f"{path} has the columns {', '.join(header) or '(none)'}: path and label are needed; "
            "group and split may be there."
        )
    names, written, groups, splits = (
        [] if column is None else table[column].str.strip().tolist() for column in columns
    )
    for place, (name, label) in enumerate(zip(names, written, strict=True), 2):
        if not name or not label:
            raise InputError(f"{path}, line {place}: a film and its label are needed.")
    paths = [path.parent / name for name in names]
    taken = {UNCERTAIN, *COLUMNS}.intersection(written)
    if taken:
        raise InputError(f"{path}: no label can be called {min(taken)!r}, choose another word.")
    _check_films(path, names, paths)
    parts = _parts(path, splits, len(table))
    groups = groups or names
    kept = [i for i, part in enumerate(parts) if part is not None]
    found = FilmList(
        path,
        tuple(names[i] for i in kept),
        tuple(paths[i] for i in kept),
        tuple(written[i] for i in kept),
        tuple(groups[i] or names[i] for i in kept),
        tuple(parts[i] or "" for i in kept),
        len(table) - len(kept),
    )
    _check_parts(found)
    return found


def _check_films(path: Path, names: Sequence[str], paths: Sequence[Path]) -> None:
    missing = [name for name, film in zip(names, paths, strict=True) if not film.is_file()]
    if missing:
        more = f" and {len(missing) - _TOLD} more" if len(missing) > _TOLD else ""
        raise InputError(
            f"{path} has labels for {len(missing)} of {len(names)} films that do not exist: "
            f"{', '.join(missing[:_TOLD])}{more}."
        )
    twice = [film for film, n in Counter(film.resolve() for film in paths).items() if n > 1]
    if twice:
        raise InputError(f"{path} lists a film twice: {twice[0].name}.")


def _parts(path: Path, splits: Sequence[str], count: int) -> list[str | None]:
    """What each film is for; None for nothing."""
    words = [split_word(word).lower() for word in splits]
    if not any(words):
        return [""] * count
    known = {"train", "validation", "test"}
    for place, word in enumerate(words, 2):
        if word not in known:
            raise InputError(
                f"{path}, line {place}: a split is train, validation or test, not {word!r}."
            )
    measured = "test" if "test" in words else "validation"
    if "train" not in words or measured not in words:
        raise InputError(f"{path}: a split needs films to train and films to test.")
    use: dict[str, str | None] = {"train": "train", "validation": None, measured: "test"}
    return [use[word] for word in words]


def _check_parts(films: FilmList) -> None:
    train = {g for g, part in zip(films.groups, films.parts, strict=True) if part != "test"}
    test = {g for g, part in zip(films.groups, films.parts, strict=True) if part == "test"}
    both = sorted(train & test)
    if both:
        raise InputError(
            f"{films.origin}: the group {both[0]!r} is in train and in test "
            f"({len(both)} such): what is measured would be partly known."
        )
    if len(films.labels) < 2:
        raise InputError(
            f"{films.origin}: two labels or more are needed, there is {', '.join(films.labels)}."
        )
