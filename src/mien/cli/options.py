"""Arguments and options of the commands, each declared once: one name, one order, one meaning.

The order is that of a run: output, detector, model, frames, further columns, how it is shown, and
what happens to files that exist.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.models import ArgumentInfo, OptionInfo

from mien.errors import UsageError
from mien.results.files import SUFFIXES


def _allow(pixels: int | None) -> int | None:
    """Set the largest image of the process as soon as the option is parsed."""
    from mien.media.limits import allow

    allow(pixels)
    return pixels


def option(
    metavar: str, text: str, *names: str, default: str | bool = True, **more: Any
) -> OptionInfo:
    """An option with a value; `default` is shown where the real one says nothing."""
    info: OptionInfo = typer.Option(
        *names, metavar=metavar, help=text, show_default=default, **more
    )
    return info


def flag(text: str, *names: str) -> OptionInfo:
    """An option without a value."""
    info: OptionInfo = typer.Option(*names, help=text)
    return info


def argument(metavar: str, text: str, *, default: str | bool = True) -> ArgumentInfo:
    """An argument; `default` is shown where the real one says nothing."""
    info: ArgumentInfo = typer.Argument(metavar=metavar, help=text, show_default=default)
    return info


# Arguments
Inputs = Annotated[
    list[str], argument("INPUT", "Images, videos, folders, patterns or stream URLs.")
]
Table = Annotated[Path, argument("TABLE", "A results table, written by `mien analyze -o`.")]
VideoOrTable = Annotated[Path, argument("VIDEO", "A video, or a table of `mien analyze -o`.")]
LabelledFaces = Annotated[Path, argument("DATA", "Labeled faces: a folder, a CSV or Parquet file.")]
ModelArgument = Annotated[str, argument("MODEL", "Model name or .onnx file.")]

# Output
_TABLE = option("TABLE", f"Table: {', '.join(SUFFIXES)}.", "-o", "--output")
TableOutput = Annotated[Path | None, _TABLE]
RequiredTable = Annotated[Path, _TABLE]
ModelOutput = Annotated[Path, option("FILE", "The new model, NAME.onnx.", "-o", "--output")]
Annotate = Annotated[
    Path | None, option("PATH", "Folder for annotated copies; of one video, an .mp4.")
]
KeepFaces = Annotated[
    bool, flag("Videos: save the clearest face crops of each person.", "--keep-faces")
]

# Models
Detector = Annotated[str, option("NAME", "yunet, mtcnn, haar, or a plug-in.")]
Model = Annotated[str, option("NAME", "Expression model: a name, or an .onnx file.")]
MinScore = Annotated[
    float | None,
    option(
        "0..1",
        "Minimum detection confidence.",
        default="the detector's: yunet 0.7, mtcnn 0.9, haar 0",
    ),
]
Without = Annotated[
    list[str] | None, option("LABEL", "Leave out a label, such as contempt; repeatable.")
]

Prior = Annotated[
    str | None,
    option(
        "RATES",
        "Re-weight to other base rates: balanced, fer+, or a CSV of label,share.",
        default="the model's",
    ),
]

# Frames of videos
Fps = Annotated[float | None, option("RATE", "Videos: at most this many frames per second.")]
Every = Annotated[int, option("N", "Videos: only every N-th frame.", min=1)]
Start = Annotated[float | None, option("SECONDS", "Videos: start here.")]
End = Annotated[float | None, option("SECONDS", "Videos: stop here.")]
Width = Annotated[int | None, option("PIXELS", "Videos: downscale wider frames to this.")]
Stream = Annotated[
    int | None, option("N", "Videos: which video stream, from 0.", min=0, default="the file's")
]
Adaptive = Annotated[bool, flag("Videos: sample fewer frames in static parts.", "--adaptive")]

# Further columns
Affect = Annotated[
    bool, flag("Add valence and arousal, derived if the model lacks them.", "--affect")
]
Attributes = Annotated[
    str,
    option("NAMES", "Add apparent age,gender; large errors, not for individuals.", default=False),
]
Actions = Annotated[
    bool, flag("Add facial actions, head pose, gaze and openness of eyes and mouth.", "--actions")
]
Landmarks = Annotated[bool, flag("Save 478 points per face beside the table.", "--landmarks")]
Embeddings = Annotated[
    str,
    option("NAMES", "Save vectors beside the table: identity, features, or both.", default=False),
]
Heads = Annotated[
    list[Path] | None,
    option("FILE", "Add the columns of a head of train-head; repeatable.", "--head"),
]
VideoModel = Annotated[
    Path | None, option("FILE", "Also classify whole videos, by a model of train-video.")
]

# How results are shown
Smooth = Annotated[
    float | None, option("SECONDS", "Smooth over this time.", default="as saved, else 1")
]
AllFaces = Annotated[bool, flag("Also count faces that are unfit to be judged.", "--all-faces")]
Json = Annotated[bool, flag("Print JSON, one object per line.", "--json")]

Baseline = Annotated[
    list[str] | None,
    option(
        "REF",
        "Calibrate to each person at rest: 0:00-0:10, a photo, a table, auto; 2=REF for person 2.",
    ),
]

# Labeled data
Split = Annotated[
    str | None,
    option(
        "NAME",
        "A split, the rows of lists/NAME.csv, or all.",
        default="test, where the data has one",
    ),
]
Labels = Annotated[
    str | None,
    option(
        "MEANING",
        "What labels mean: numbers as in fer2013, ferplus, rafdb or affectnet; or words: "
        "glad=happiness,odd= (nothing after = leaves those faces out).",
    ),
]
Photos = Annotated[bool, flag("The images are whole photos: detect the faces first.", "--photos")]

# Files that exist, limits
Resume = Annotated[
    bool, flag("Continue where the same command was stopped.", "--resume/--no-resume")
]
Overwrite = Annotated[bool, flag("Replace existing files; never an input.", "--overwrite")]
MaxPixels = Annotated[
    int | None,
    option("N", "Largest image, in pixels.", min=1, callback=_allow, default="210 million"),
]

# Every command
Quiet = Annotated[bool, flag("Report problems only.", "-q", "--quiet")]
Verbose = Annotated[
    bool, flag("Report settings, every problem, and tracebacks.", "-v", "--verbose")
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
