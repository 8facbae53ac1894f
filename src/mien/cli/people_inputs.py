"""The inputs of `mien people`: videos, images and tables as one timeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import UsageError
from mien.labels import IDENTITY
from mien.results.files import SUFFIXES

if TYPE_CHECKING:
    from mien.analyzer import EmotionAnalyzer
    from mien.media.inputs import VideoOptions
    from mien.timeline.timeline import Timeline


@dataclass(frozen=True)
class Gathered:
    """All inputs of a command.

    Attributes:
        timeline: of all inputs, in order.
        origins: for each of its sources, the folder to look in and the name there.
        failed: how many inputs could not be read.
    """

    timeline: Timeline
    origins: dict[str, tuple[Path, str]]
    failed: int


def numbered(names: Iterable[str]) -> dict[int, str]:
    """Names by number, from words such as ``3=anna``.

    Raises:
        UsageError: a word is not of this form.
    """
    numbers: dict[int, str] = {}
    for word in names:
        number, _, name = word.partition("=")
        if not number.strip().isdigit() or not name.strip():
            raise UsageError(f"--name is NUMBER=NAME, such as 3=anna, got {word!r}.")
        numbers[int(number)] = name.strip()
    return numbers


def gather(
    files: Sequence[str], options: VideoOptions, analyzer: Callable[[], EmotionAnalyzer]
) -> Gathered:
    """Read the tables, then analyze the videos and images.

    Problems of the tables are reported before any video is read.

    Raises:
        InputError: a table cannot be read.
        UsageError: a table keeps no identity, or tables or the model do not fit each other.
    """
    from mien.cli.console import warn
    from mien.cli.run import Tally, analyzed
    from mien.media.inputs import Inputs
    from mien.timeline.concat import join, new_names
    from mien.timeline.timeline import Timeline

    tables = {path: _loaded(Path(path)) for path in files if _is_table(path)}
    if tables:
        join(list(tables.values()))
    if len(tables) < len(set(files)):
        _check_model(tables, analyzer())
    parts: list[Timeline] = []
    folders: list[Path] = []
    tally = Tally()

    for is_table, group in groupby(dict.fromkeys(files), _is_table):
        paths = list(group)
        parts += (
            [tables[path] for path in paths]
            if is_table
            else [
                Timeline.from_results(analyzed(analyzer(), Inputs(paths), options, sinks=[tally]))
            ]
        )
        folders += [Path(path).parent for path in paths] if is_table else [Path()]
    renamed = new_names(parts)
    for part, names in zip(parts, renamed, strict=True):
        for source in part.sources:
            if source not in names:
                warn(f"{source} is in more than one table, and is used once.")
    origins = {
        new: (folder, old)
        for folder, names in zip(folders, renamed, strict=True)
        for old, new in names.items()
    }
    return Gathered(join(parts), origins, tally.failed)


def _is_table(path: str) -> bool:
    return Path(path.removesuffix(".partial")).suffix.lower() in SUFFIXES


def _loaded(path: Path) -> Timeline:
    from mien.timeline.timeline import Timeline

    timeline = Timeline.load(path)
    saved = timeline.embeddings
    if len(timeline.faces) and (saved is None or IDENTITY not in saved.names):
        raise UsageError(
            f"{path} has no identity embeddings: analyze its videos again with "
            f"--embeddings {IDENTITY}, or give the videos."
        )
    return timeline


def _check_model(tables: Mapping[str, Timeline], analyzer: EmotionAnalyzer) -> None:
    used = analyzer.settings.identity_sha256
    for path, timeline in tables.items():
        if timeline.embeddings is not None and timeline.embeddings.identity_model != used:
            raise UsageError(
                f"{path} has identity vectors of another network than this version of mien "
                "computes, and they cannot be compared: analyze its videos again."
            )
