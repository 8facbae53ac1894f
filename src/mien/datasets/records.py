"""`Records`: what a reader read from the files, before labels are mapped and images decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mien.errors import InputError, UsageError
from mien.labels import EMOTIONS, known_as
from mien.media.images import ImageSource
from mien.types import FloatArray

Kind = Literal["label", "votes", "shares"]

#: Words of data for no expression, or no face.
NO_LABEL = frozenset(
    {"", "unknown", "uncertain", "none", "nf", "not a face", "no face", "nan", "unlabeled"}
)
_SPLITS = {
    "train": ("training", "fer2013train", "train set", "trainset"),
    "validation": ("val", "valid", "dev", "development", "publictest", "fer2013valid", "eval"),
    "test": ("testing", "privatetest", "fer2013test", "held out", "heldout", "test set"),
}
_SPLIT_OF = {word: name for name, words in _SPLITS.items() for word in (name, *words)}

#: What numbers mean, where data has numbers for labels. FER2013: its challenge's own description
#: (Goodfellow et al. 2013, arXiv 1307.0414); RAF-DB: list_patition_label.txt counts from 1 (Li et
#: al. 2017); AffectNet: Mollahosseini et al. 2017, arXiv 1708.03985, 8 and above are no expression.
NUMBERINGS: dict[str, tuple[str, ...]] = {
    "fer2013": ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
    "ferplus": (*EMOTIONS, "unknown", "not a face"),
    "rafdb": ("", "surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"),
    "affectnet": (
        *("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"),
        *("none", "uncertain", "no face"),
    ),
}


@dataclass
class Records:
    """Columns as read; each list has n entries.

    Attributes:
        origin: what they were read from, for messages.
        names: key of each row.
        sources: image of each row; an exception where the file itself says it is broken.
        labels: hard labels as written, or None where there are votes.
        votes: votes a label name as written, or None where there are hard labels.
        splits: as written, "" for none.
        columns: the further columns.
        numbering: what number i stands for as a label, where the data itself says so.
    """

    origin: str
    names: list[str] = field(default_factory=list)
    sources: list[ImageSource | Exception] = field(default_factory=list)
    labels: list[str] | None = None
    votes: dict[str, list[float]] | None = None
    splits: list[str] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    numbering: Sequence[str] = ()


def split_word(name: str) -> str:
    """The split's usual name for "Training", "val", "PrivateTest" and the like; else as it is."""
    plain = name.strip().lower().replace("_", " ").replace("-", " ")
    return _SPLIT_OF.get(plain, name.strip())


def is_split(name: str) -> bool:
    """Whether `name` is a common word for one of the three splits."""
    return split_word(name) in _SPLITS


def in_split(splits: npt.NDArray[np.str_], name: str, origin: str) -> npt.NDArray[np.bool_]:
    """``(n,)``: which rows are of the split `name`, of ``(n,)`` names of splits.

    Raises:
        UsageError: none; the message names the splits that `origin` has.
    """
    wanted = split_word(name).casefold()
    rows = np.array([word.casefold() == wanted for word in splits.tolist()], np.bool_)
    if not rows.any():
        known = sorted(set(splits.tolist()) - {""})
        there = f"it has {', '.join(known)}" if known else "it is one set, without splits"
        raise UsageError(f"{origin} has no split {name!r}: {there}.")
    return rows


def to_votes(records: Records, given: Mapping[str, str] | str | None) -> tuple[FloatArray, Kind]:
    """``(n, 8)`` votes in the order of `EMOTIONS`, all 0 where nobody named an expression.

    `given` is the argument `labels` of `mien.datasets.load_faces`.

    Raises:
        InputError: labels that are not known, all named.
    """
    if records.votes is not None:
        names = list(records.votes)
        meaning = _meanings(records, Counter(dict.fromkeys(names, 1)), given)
        votes = np.zeros((len(records.names), len(EMOTIONS)), np.float32)
        for name in names:
            if meaning[name]:
                values = np.nan_to_num(np.asarray(records.votes[name], np.float32), posinf=0)
                votes[:, EMOTIONS.index(meaning[name])] += np.maximum(values, 0)
        counted = bool((votes == np.rint(votes)).all() and votes.sum(axis=1).max(initial=0) > 1)
        return votes, "votes" if counted else "shares"
    labels = records.labels or []
    meaning = _meanings(records, Counter(labels), given)
    places = [EMOTIONS.index(word) if (word := meaning[label]) else -1 for label in labels]
    votes = np.zeros((len(labels), len(EMOTIONS)), np.float32)
    kept = np.flatnonzero(np.array(places, np.int64) >= 0)
    votes[kept, np.array(places, np.int64)[kept]] = 1
    return votes, "label"


def _meanings(
    records: Records, counts: Counter[str], given: Mapping[str, str] | str | None
) -> dict[str, str]:
    """The vocabulary's word for every label as written, "" for none."""
    if isinstance(given, str):
        if given not in NUMBERINGS:
            raise UsageError(
                f"labels cannot be {given!r}: give {', '.join(NUMBERINGS)}, or a mapping of the"
                " data's words to mien's."
            )
        renamed: Mapping[str, str] = _numbered(NUMBERINGS[given])
    elif given is not None:
        own = {str(key).strip(): str(value or "") for key, value in given.items()}
        renamed = _numbered(records.numbering) | own
    else:
        renamed = _numbered(records.numbering)
    meanings, unknown = {}, []
    for label in counts:
        word = _meaning(renamed.get(_whole(label), label))
        if word is None:
            unknown.append(label)
        meanings[label] = word or ""
    if unknown:
        raise InputError(_unknown(records.origin, unknown, counts, given))
    return meanings


def _numbered(names: Iterable[str]) -> dict[str, str]:
    return {str(number): name for number, name in enumerate(names)}


def _whole(label: str) -> str:
    """A number as pandas may have written it, 3.0, as 3."""
    plain = label.strip()
    return plain[:-2] if plain.endswith(".0") and plain[:-2].isdecimal() else plain


def _meaning(label: str) -> str | None:
    plain = label.strip().lower().replace("_", " ").replace("-", " ")
    if plain in NO_LABEL:
        return ""
    # Folders are often numbered to keep an order: "0_angry", "03. fear".
    return known_as(plain) or known_as(plain.lstrip("0123456789. "))


def _unknown(
    origin: str,
    unknown: Sequence[str],
    counts: Counter[str],
    given: Mapping[str, str] | str | None,
) -> str:
    named = ", ".join(f"{label!r} ({counts[label]}x)" for label in sorted(unknown)[:12])
    more = f" and {len(unknown) - 12} more" if len(unknown) > 12 else ""
    if isinstance(given, str):
        last = len(NUMBERINGS[given]) - 1
        return f"{origin} has labels outside the numbering {given}, 0 to {last}: {named}{more}."
    if all(_whole(label).isdecimal() for label in unknown):
        ways = " or ".join(NUMBERINGS)
        return (
            f"{origin} has numbers for labels, {named}{more}, and does not say what they stand for:"
            f" name the numbering ({ways}) or map them to {', '.join(EMOTIONS)}."
        )
    return (
        f"{origin} has labels that mien does not know: {named}{more}; known are"
        f" {', '.join(EMOTIONS)} and common words for them: rename those, or say what they mean"
        " (labels=, --labels glad=happiness); nothing after = leaves them out."
    )


def typed(values: Sequence[Any]) -> npt.NDArray[Any]:
    """A column as numbers where every filled field is one, else as text; "" and NaN are empty."""
    filled = [value for value in values if value is not None and value != ""]
    try:
        if any(isinstance(value, bool) for value in filled):
            raise TypeError
        numbers = [float(value) for value in filled]
    except (TypeError, ValueError):
        return np.array(["" if value is None else str(value) for value in values], np.str_)
    if not filled:
        return np.full(len(values), "", np.str_)
    if len(filled) == len(values) and all(number.is_integer() for number in numbers):
        return np.array(numbers, np.int64)
    column = np.full(len(values), np.nan)
    column[[value is not None and value != "" for value in values]] = numbers
    return column
