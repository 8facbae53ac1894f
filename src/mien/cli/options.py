"""Options that several commands share."""

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


Detector = Annotated[str, typer.Option(help="mtcnn, haar, or a YuNet .onnx file.")]
Model = Annotated[str, typer.Option(help="Model name, or an .onnx file that carries its card.")]
MinScore = Annotated[
    float | None, typer.Option(help="Drop faces found with less confidence, 0 to 1.")
]
Without = Annotated[list[str] | None, typer.Option(help="Leave out a label, such as contempt.")]
Fps = Annotated[float | None, typer.Option(help="Film: at most so many frames a second.")]
Every = Annotated[int, typer.Option(min=1, help="Film: every n-th frame.")]
Start = Annotated[float | None, typer.Option(help="Film: from this second.")]
End = Annotated[float | None, typer.Option(help="Film: until this second.")]
Width = Annotated[int | None, typer.Option(help="Film: shrink wider frames to this.")]
Stream = Annotated[
    int | None,
    typer.Option(min=0, help="Video: which of its video streams, from 0; default: the file's."),
]
Adaptive = Annotated[
    bool, typer.Option("--adaptive", help="Film: fewer frames where nothing changes.")
]
Split = Annotated[
    str | None,
    typer.Option(
        help="A split, the rows of lists/SPLIT.csv, or all; otherwise test, where the data has one."
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        help="Numbers count as in fer2013, ferplus, rafdb or affectnet; or what words of your own "
        "mean: glad=happiness,odd= (nothing after = leaves those faces out)."
    ),
]
Photos = Annotated[
    bool, typer.Option("--photos", help="The pictures are whole photos: find the faces first.")
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        min=1, callback=_allow, help="Largest image in pixels, where 210 million are not enough."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a picture.")]
Annotate = Annotated[
    Path | None, typer.Option(help="Folder for annotated copies; or an .mp4 for one film.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that are there; never an input.")
]
Resume = Annotated[
    bool,
    typer.Option("--resume/--no-resume", help="Go on where the same command was stopped before."),
]
KeepFaces = Annotated[
    bool, typer.Option("--keep-faces", help="Film: keep each person's strongest faces.")
]
Attributes = Annotated[
    str, typer.Option(help="Apparent age,gender; with large errors, not for individuals.")
]
Kept = Annotated[
    str,
    typer.Option(
        "--embeddings", help="Keep vectors beside the table: identity, features, or both."
    ),
]
FilmModel = Annotated[
    Path | None, typer.Option(help="Film: also judge it whole, by a model of mien train-video.")
]


class FilmKind(StrEnum):
    """Who is judged in a film."""

    person = "person"
    group = "group"


class FilmKernel(StrEnum):
    """Of the support-vector machine that judges films."""

    linear = "linear"
    rbf = "rbf"


Affect = Annotated[
    bool, typer.Option("--affect", help="Columns valence and arousal, derived if not measured.")
]
Smooth = Annotated[
    float | None,
    typer.Option(help="Smooth over this many seconds; default: as saved, or 1 s."),
]
AllFaces = Annotated[
    bool,
    typer.Option("--all-faces", help="Also count faces that are unfit to be judged."),
]
Heads = Annotated[
    list[Path] | None,
    typer.Option("--head", help="A head of mien train-head's, for further columns; repeatable."),
]


def meanings(labels: str | None) -> dict[str, str] | str | None:
    """What ``--labels`` says: the name of a numbering, or words and what they mean."""
    if labels is None or "=" not in labels:
        return labels
    pairs = (part.partition("=") for part in labels.split(",") if part.strip())
    return {word.strip(): meaning.strip() for word, _, meaning in pairs}


def named(text: str, known: Collection[str] = ()) -> tuple[str, ...]:
    """The words of a list such as ``age,gender``.

    Raises:
        UsageError: one is not among the known ones.
    """
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    strange = [word for word in words if known and word not in known]
    if strange:
        raise UsageError(f"{strange[0]!r} is not one of {', '.join(known)}.")
    return words
