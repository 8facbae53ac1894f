"""Arguments and options of the commands, each declared once: one name, one order, one meaning.

The order is that of a run: output, detector, model, frames, further columns, how it is shown, and
what happens to files that exist.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mien.errors import UsageError


def _allow(pixels: int | None) -> int | None:
    """Set the largest image of the process as soon as the option is parsed."""
    from mien.media.limits import allow

    allow(pixels)
    return pixels


# Arguments
Inputs = Annotated[
    list[str],
    typer.Argument(metavar="INPUT", help="Images, videos, folders, patterns or stream URLs."),
]
Table = Annotated[
    Path, typer.Argument(metavar="TABLE", help="A results table, written by `mien analyze -o`.")
]
VideoOrTable = Annotated[
    Path, typer.Argument(metavar="VIDEO", help="A video, or a table of `mien analyze -o`.")
]
LabelledFaces = Annotated[
    Path, typer.Argument(metavar="DATA", help="Labeled faces: a folder, a CSV or Parquet file.")
]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="Model name or .onnx file.")]

# Output
TableOutput = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="TABLE", help="Table: .parquet, .csv or .jsonl."),
]
RequiredTable = Annotated[
    Path, typer.Option("-o", "--output", metavar="TABLE", help="Table: .parquet, .csv or .jsonl.")
]
ModelOutput = Annotated[
    Path, typer.Option("-o", "--output", metavar="FILE", help="The new model, NAME.onnx.")
]
Annotate = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Folder for annotated copies; of one video, an .mp4."),
]
KeepFaces = Annotated[
    bool,
    typer.Option("--keep-faces", help="Videos: save the clearest face crops of each person."),
]

# Models
Detector = Annotated[
    str,
    typer.Option(metavar="NAME", help="mtcnn, haar, yunet, a plug-in, or a YuNet .onnx file."),
]
Model = Annotated[
    str, typer.Option(metavar="NAME", help="Expression model: a name, or an .onnx file.")
]
MinScore = Annotated[
    float | None,
    typer.Option(
        metavar="0..1",
        help="Minimum detection confidence.",
        show_default="the detector's: mtcnn 0.9, yunet 0.7, haar 0",
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option(metavar="LABEL", help="Leave out a label, such as contempt; repeatable."),
]

# Frames of videos
Fps = Annotated[
    float | None,
    typer.Option(metavar="RATE", help="Videos: at most this many frames per second."),
]
Every = Annotated[int, typer.Option(min=1, metavar="N", help="Videos: only every N-th frame.")]
Start = Annotated[float | None, typer.Option(metavar="SECONDS", help="Videos: start here.")]
End = Annotated[float | None, typer.Option(metavar="SECONDS", help="Videos: stop here.")]
Width = Annotated[
    int | None, typer.Option(metavar="PIXELS", help="Videos: downscale wider frames to this.")
]
Stream = Annotated[
    int | None,
    typer.Option(
        min=0, metavar="N", help="Videos: which video stream, from 0.", show_default="the file's"
    ),
]
Adaptive = Annotated[
    bool, typer.Option("--adaptive", help="Videos: sample fewer frames in static parts.")
]

# Further columns
Affect = Annotated[
    bool,
    typer.Option("--affect", help="Add valence and arousal, derived if the model lacks them."),
]
Attributes = Annotated[
    str,
    typer.Option(
        metavar="NAMES",
        help="Add apparent age,gender; large errors, not for individuals.",
        show_default=False,
    ),
]
Embeddings = Annotated[
    str,
    typer.Option(
        metavar="NAMES",
        help="Save vectors beside the table: identity, features, or both.",
        show_default=False,
    ),
]
Heads = Annotated[
    list[Path] | None,
    typer.Option(
        "--head", metavar="FILE", help="Add the columns of a head of train-head; repeatable."
    ),
]
VideoModel = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Also classify whole videos, by a model of train-video."),
]

# How results are shown
Smooth = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Smooth over this time.", show_default="as saved, else 1"),
]
AllFaces = Annotated[
    bool, typer.Option("--all-faces", help="Also count faces that are unfit to be judged.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]

# Labelled data
Split = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A split, the rows of lists/NAME.csv, or all.",
        show_default="test, where the data has one",
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="MEANING",
        help="What labels mean: numbers as in fer2013, ferplus, rafdb or affectnet; or words: "
        "glad=happiness,odd= (nothing after = leaves those faces out).",
    ),
]
Photos = Annotated[
    bool, typer.Option("--photos", help="The images are whole photos: detect the faces first.")
]

# Files that exist, limits
Resume = Annotated[
    bool,
    typer.Option("--resume/--no-resume", help="Continue where the same command was stopped."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace existing files; never an input.")
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        callback=_allow,
        help="Largest image, in pixels.",
        show_default="210 million",
    ),
]

# Every command
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Report problems only.")]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Report settings, every problem, and tracebacks.")
]


class VideoKind(StrEnum):
    """What a model of whole videos classifies."""

    person = "person"
    group = "group"


class VideoKernel(StrEnum):
    """Kernel of the support-vector machine that classifies videos."""

    linear = "linear"
    rbf = "rbf"


def meanings(labels: str | None) -> dict[str, str] | str | None:
    """What ``--labels`` says: the name of a numbering, or words and what they mean."""
    if labels is None or "=" not in labels:
        return labels
    pairs = (part.partition("=") for part in labels.split(",") if part.strip())
    return {word.strip(): meaning.strip() for word, _, meaning in pairs}


def names(text: str, allowed: Collection[str] = ()) -> tuple[str, ...]:
    """The words of a list such as ``age,gender``.

    Raises:
        UsageError: one is not among those allowed.
    """
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    strange = [word for word in words if allowed and word not in allowed]
    if strange:
        raise UsageError(f"{strange[0]!r} is not one of {', '.join(allowed)}.")
    return words
