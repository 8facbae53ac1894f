"""``mien engagement``: apparent engagement of a group over a video."""

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

#: The expression model that computes the features.
Features = Annotated[
    str, typer.Option("--features", help="Of a video: the expression model that computes features.")
]


def engagement(
    video: Annotated[
        Path, typer.Argument(help="A video, or a table of `mien analyze --embeddings features`.")
    ],
    model: Annotated[
        str, typer.Option(help="An engagement model: .onnx, or engagement_single_attention.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Table: .parquet, .csv or .jsonl.")
    ],
    person: Annotated[
        bool, typer.Option("--person", help="Also each person; needs --purpose.")
    ] = False,
    purpose: Annotated[
        str | None, typer.Option(help="One sentence: who needs single people's values, and why.")
    ] = None,
    hop: Annotated[float, typer.Option(help="Step from one window to the next, seconds.")] = 1.0,
    window: Annotated[
        float | None, typer.Option(help="Length of a window, seconds; default: the model's.")
    ] = None,
    detector: options.Detector = "mtcnn",
    features: Features = "mien-mobilenet",
    overwrite: options.Overwrite = False,
) -> None:
    """Apparent engagement of a group, window by window, with an uncertainty for each value.

    A group has a value where at least five people are visible. Not for people at work or in
    education: forbidden in the EU (AI Act, Art. 5(1)(f)). Exit code 3: no window has a value.
    """
    from mien.cli.console import steps, tell
    from mien.engagement import NOT_FOR, EngagementModel
    from mien.engagement import engagement as estimate
    from mien.engagement.estimation import COLUMNS, check_purpose
    from mien.evaluation.intervals import refusal
    from mien.results.files import apart, writable_target
    from mien.results.writer import check_table

    if person != (purpose is not None):
        raise UsageError(
            "--person and --purpose go together: say who needs single values, and why."
        )
    if purpose is not None:
        check_purpose(purpose)  # before a long video is read
    apart(writable_target(output), Path(video))
    if not overwrite:  # before a long video is read
        check_table(output, COLUMNS, (str(video),))
    network = EngagementModel(model)
    network = network if window is None else network.rescaled(window)
    timeline = read_video(video, detector, features, network)
    progress = steps("estimating")
    found = estimate(timeline, network, purpose=purpose, hop_s=hop, progress=progress)
    tell(f"{found.summary()}.")
    people = network.card.figures.get("people")
    refused = refusal(people) if isinstance(people, int | float) else ""
    if refused:
        tell(f"do not rely on these values ({network.path.name}: {refused})")
    tell(f"wrote {found.save(output, overwrite=overwrite)}; not for {NOT_FOR}")
    if not found.table["engagement"].notna().any():
        raise typer.Exit(SOME_FAILED)


def read_video(
    path: Path, detector: str, features: str, model: EngagementModel | None = None
) -> Timeline:
    """The timeline of a table, or of a video that is analyzed now, with features.

    Raises:
        UsageError: it is neither, or `model` was trained on features of another model.
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
        raise UsageError(f"{path} is neither a video nor a table of one ({', '.join(SUFFIXES)}).")
    source = VideoSource(path)
    analyzer = _analyzer(detector, features)
    if model is not None:
        used = analyzer.settings
        model.check_features(used["classifier"], used.get("classifier_sha256", ""))
    return Timeline.from_results(progress(analyzer.stream(source)), keep_faces=False)


@cache
def _analyzer(detector: str, features: str) -> EmotionAnalyzer:
    """One for all videos of a run."""
    from mien.cli.inputs import load_analyzer

    return load_analyzer(detector, features, None, (), ("features",))
