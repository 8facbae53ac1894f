"""What all trainers of feature models share: progress, the result, the origin of features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple

import numpy as np

from mien.errors import InputError, UsageError
from mien.evaluation.intervals import Estimate
from mien.models.feature_model import CardT

#: Gets progress: ``{"stage": "training", "step": 20, "of": 400, "loss": 0.05}``, figures of an
#: epoch, or ``{"note": "a sentence"}``.
Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, eq=False)
class Trained(Generic[CardT]):
    """A new feature model and what was measured of it.

    Attributes:
        path: its ``.onnx`` file.
        card: what is written in it, the protocol of its figures among it.
        figures: measured on people (or videos) that it was not trained on; none of too few.
        notes: what its user must know, a sentence each.
        left_out: inputs that could not be used, and why.
    """

    path: Path
    card: CardT
    figures: tuple[Estimate, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Estimate:
        """The figure of that name.

        Raises:
            KeyError: there is none.
        """
        return {figure.name: figure for figure in self.figures}[name]


class Origin(NamedTuple):
    """Where features come from: name and hash of the model file, "" where unknown; their number."""

    model: str
    sha256: str
    size: int


def common_origin(origins: Iterable[tuple[str, Origin]]) -> Origin:
    """The one model that the features of all inputs come from.

    Each input comes with its name.

    Raises:
        InputError: there is no input.
        UsageError: two inputs have features of different models.
    """
    known: tuple[str, Origin] | None = None
    for name, origin in origins:
        if known is None:
            known = name, origin
            continue
        first = known[1]
        other = first.sha256 and origin.sha256 and first.sha256 != origin.sha256
        if other or first.size != origin.size:
            shown = (f"{each.model} {each.sha256[:8]}".strip() for each in (first, origin))
            raise UsageError(
                f"the features of {known[0]} and {name} are of different models "
                f"({' and '.join(shown)}): analyze all with one."
            )
        if not first.sha256:
            known = name, origin
    if known is None:
        raise InputError("no input has a face to learn from.")
    return known[1]


def card_figures(
    figures: Iterable[Estimate], counts: Mapping[str, int] | None = None
) -> dict[str, float]:
    """Figures as a card keeps them: each by its name, with ``_low`` and ``_high`` where known."""
    values: dict[str, float] = dict(counts or {})
    for figure in figures:
        name = figure.name
        values |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return {name: round(value, 5) for name, value in values.items() if np.isfinite(value)}


def check_disjoint(trained: Iterable[str], tested: Iterable[str], origin: str) -> None:
    """Make sure that no group (person) is both trained and tested on.

    Raises:
        InputError: one is, which would flatter the figures.
    """
    both = sorted(set(trained) & set(tested))
    if both:
        raise InputError(
            f"{origin}: the group {both[0]!r} is in train and in test ({len(both)} such): the "
            "figures would be of people that the model knows."
        )
