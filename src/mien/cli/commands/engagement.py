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

#: The expression model whose features an engagement model works on.
Features = Annotated[
    str, options.option("NAME", "Expression model that gives the features.", "--features")
]


def engagement(
    video: Annotated[
        Path,
        options.argument("VIDEO", "A video, or its table of `mien analyze --embeddings features`."),
    ],
    model: Annotated[
        str, options.option("NAME", "Engagement model: .onnx, or engagement_single_attention.")
    ],
    output: options.RequiredTable,
    detector: options.Detector = "yunet",
    features: Features = "mien-mobilenet",
    window: Annotated[
        float | None, options.option("SECONDS", "Length of a window.", default="the model's own")
    ] = None,
    hop: Annotated[float, options.option("SECONDS", "Time from one window to the next.")] = 1.0,
    person: Annotated[
        bool, options.flag("Also each person alone; needs --purpose.", "--person")
    ] = False,
    purpose: Annotated[
        str | None, options.option("TEXT", "One sentence: who needs values of single people, why.")
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Estimate a group's engagement over a video.

    Window by window, with an uncertainty for each value, where at least five people are visible.
    Not for people at work or in education: forbidden in the EU (AI Act, Art. 5(1)(f)). Exit code
    3: no window has a value.

    \b
    Examples:
      mien engagement talk.mp4 --model engagement.onnx -o engagement.csv
      mien engagement talk.parquet --model engagement.onnx -o engagement.csv --hop 5
    """
    from mien.cli.console import note, steps
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
    note(f"{found.summary()}.")
    people = network.card.figures.get("people")
    refused = refusal(people) if isinstance(people, int | float) else ""
    if refused:
        note(f"do not rely on these values ({network.path.name}: {refused})")
    note(f"wrote {found.save(output, overwrite=overwrite)}; not for {NOT_FOR}")
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
    from mien.cli.run import counted
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
        model.check_features(used.classifier, used.classifier_sha256)
    return Timeline.from_results(counted(analyzer.stream(source), source), keep_faces=False)


@cache
def _analyzer(detector: str, features: str) -> EmotionAnalyzer:
    """One for all videos of a run."""
    from mien.cli.inputs import load_analyzer

    return load_analyzer(detector, features, extras=("features",))
