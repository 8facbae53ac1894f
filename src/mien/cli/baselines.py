"""What ``--baseline`` asks for: references, understood before a run, and calibrated tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli.console import note
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.analyzer import EmotionAnalyzer
    from mien.results.settings import RunSettings
    from mien.timeline.timeline import Timeline


def references(
    texts: Sequence[str], analyzer: Callable[[], EmotionAnalyzer]
) -> dict[int | None, Any]:
    """The references of ``--baseline`` by person; photos are analyzed, tables read.

    Args:
        texts: as given, such as ``0:00-0:10`` or ``2=neutral.jpg``.
        analyzer: makes the analyzer for photos, when there is one.

    Raises:
        UsageError: a text is no reference, or a photo is not of one face.
        InputError: a file cannot be read.
    """
    from mien.results.files import SUFFIXES
    from mien.timeline.baseline import AUTO, references_of, stretch_of
    from mien.timeline.timeline import Timeline

    found: dict[int | None, Any] = {}
    for person, text in references_of(texts).items():
        if text == AUTO or stretch_of(text) is not None:
            found[person] = text
        elif Path(text).suffix.lower() in SUFFIXES:
            found[person] = Timeline.load(text)
        elif Path(text).is_file():
            result = analyzer()(text)
            if len(result) != 1:
                count = "no face" if not len(result) else f"{len(result)} faces"
                raise UsageError(f"{text} has {count}: a baseline photo has one.")
            found[person] = result
        else:
            raise UsageError(
                f"there is no baseline {text!r}: give auto, a stretch such as 0:00-0:10, a photo "
                "or a table."
            )
    return found


def calibrated(timeline: Timeline, texts: Sequence[str] | None) -> Timeline:
    """A stored table, calibrated as ``--baseline`` says; the same where it was not given."""
    if not texts:
        return timeline
    return apply(timeline, references(texts, lambda: analyzer_of(timeline.settings)))


def apply(timeline: Timeline, found: Mapping[int | None, Any]) -> Timeline:
    """A timeline calibrated to references; what was done is said."""
    done = timeline.baseline(found)
    note(done.settings.baseline)
    return done


def check_target(table: Path | None, paths: Sequence[str], *, overwrite: bool) -> None:
    """Make sure, before a run, that its results can be calibrated, and are not yet.

    Raises:
        UsageError: they cannot, or are.
    """
    from mien.media.inputs import Inputs
    from mien.results.settings import RunSettings
    from mien.results.tables import read_table

    if table is None and any(item.kind == "image" for item in Inputs(paths)):
        raise UsageError("--baseline of images needs -o: it is known after all are analyzed.")
    if table is None or overwrite or not table.is_file():
        return
    if RunSettings.from_metadata(read_table(table)[1], table).baseline:
        raise UsageError(
            f"{table} is calibrated already: choose another name, or replace it with --overwrite."
        )


def calibrate_file(table: Path, found: Mapping[int | None, Any]) -> None:
    """Calibrate the table that a run has just written; it keeps its raw values where that fails.

    Raises:
        UsageError: nobody has a baseline.
    """
    from mien.timeline.timeline import Timeline

    try:
        apply(Timeline.load(table), found).save(table, overwrite=True)
    except UsageError as error:
        raise UsageError(f"{str(error).rstrip('.')}; {table} has the raw values.") from error


def analyzer_of(settings: RunSettings) -> EmotionAnalyzer:
    """An analyzer like the one that made a table, for a photo beside it.

    Raises:
        UsageError: its detector or model is not known by name.
    """
    from mien.analyzer import EmotionAnalyzer

    also = [name for name in settings.also if name == "actions"]
    return EmotionAnalyzer(
        settings.detector, settings.classifier, without=settings.without, also=also
    )
