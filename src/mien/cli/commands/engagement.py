"""``mien engagement``: apparent engagement of a group over a film."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import options
from mien.cli.exit_codes import SOME_FAILED
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.analyzer import EmotionAnalyzer
    from mien.engagement import EngagementModel
    from mien.timeline.timeline import Timeline

#: The expression model whose features are looked at.
Features = Annotated[
    str, typer.Option("--features", help="Of a film: the expression model that gives features.")
]


def engagement(
    film: Annotated[
        Path, typer.Argument(help="A film, or a table of `mien analyze --embeddings features`.")
    ],
    model: Annotated[
        str, typer.Option(help="An engagement model: .onnx, or engagement_single_attention.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Table: .parquet, .csv or .jsonl.")
    ],
    person: Annotated[
        bool, typer.Option("--person", help="Also each person alone; needs --purpose.")
    ] = False,
    purpose: Annotated[
        str | None, typer.Option(help="What single people's values are for, in a sentence.")
    ] = None,
    hop: Annotated[float, typer.Option(help="Seconds from one window to the next.")] = 1.0,
    window: Annotated[
        float | None, typer.Option(help="Seconds of a window; by default the model's own.")
    ] = None,
    detector: options.Detector = "mtcnn",
    features: Features = "mien-mobilenet",
    overwrite: options.Overwrite = False,
) -> None:
    """Apparent engagement of a group, window by window, with an uncertainty for each value.

    A group has a value where at least five people are seen. Not for people at work or in
    education: forbidden in the EU (AI Act, Art. 5(1)(f)). Exit code 3: no window has a value.
    """
    from mien.cli.console import steps, tell
    from mien.engagement import NOT_FOR, EngagementModel
    from mien.engagement import engagement as judged
    from mien.engagement.estimation import COLUMNS
    from mien.engagement.purpose import stated
    from mien.evaluation.intervals import refusal
    from mien.results.files import apart, writable_target
    from mien.results.writer import check_table

    if person != (purpose is not None):
        raise UsageError("--person and --purpose go together: say what single values are for.")
    if purpose is not None:
        stated(purpose)  # before a long film is read
    apart(writable_target(output), Path(film))
    if not overwrite:  # before a long film is read
        check_table(output, COLUMNS, (str(film),))
    judge = EngagementModel(model)
    judge = judge if window is None else judge.rescaled(window)
    timeline = read_film(film, detector, features, judge)
    found = judged(timeline, judge, purpose=purpose, hop_s=hop, progress=steps("judging"))
    tell(f"{found.told()}.")
    people = judge.card.accuracy.get("people")
    refused = refusal(people) if isinstance(people, int | float) else ""
    if refused:
        tell(f"do not rely on these values ({judge.path.name}: {refused})")
    tell(f"wrote {found.save(output, overwrite=overwrite)}; not for {NOT_FOR}")
    if not found.table["engagement"].notna().any():
        raise typer.Exit(SOME_FAILED)


def read_film(
    path: Path, detector: str, features: str, judge: EngagementModel | None = None
) -> Timeline:
    """The timeline of a table, or of a film that is analysed now, with features.

    Raises:
        UsageError: it is neither, or `judge` does not know the features of this model.
        InputError: it cannot be read.
    """
    from mien.cli.console import progress
    from mien.media.inputs import is_moving
    from mien.media.video import VideoSource
    from mien.results.files import SUFFIXES
    from mien.timeline.timeline import Timeline

    if path.suffix.lower() in SUFFIXES:
        return Timeline.load(path)
    if path.exists() and not is_moving(str(path)):
        raise UsageError(f"{path} is neither a film nor a table of one ({', '.join(SUFFIXES)}).")
    source = VideoSource(path)
    analyzer = _analyzer(detector, features)
    if judge is not None:
        judge.check(analyzer.settings.get("classifier_sha256", ""))
    return Timeline.from_results(progress(analyzer.stream(source)), keep_faces=False)


@cache
def _analyzer(detector: str, features: str) -> EmotionAnalyzer:
    """One for all films of a run."""
    from mien.cli.inputs import load_analyzer

    return load_analyzer(detector, features, None, (), ("features",))
