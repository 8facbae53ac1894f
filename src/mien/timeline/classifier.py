"""A model of whole films: one answer for each person in a film, or for the group.

``mien train-video`` makes such models (see `mien.training.videos.train`): a support-vector machine
on the
film's descriptor (see `mien.timeline.descriptors`), exported as ONNX, with its card under the key
``mien.film`` of the file's metadata.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.errors import InputError, ModelError, UsageError
from mien.labels import UNCERTAIN
from mien.models.card import Card, card_of, check_labels
from mien.models.session import Session
from mien.timeline.descriptors import Descriptor, Kind
from mien.timeline.timeline import Timeline
from mien.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd

METADATA_KEY = "mien.film"
#: Names in the file: descriptors ``(n, 4 d)`` in, margins and probabilities ``(n, k)`` out.
DESCRIPTOR, MARGINS, PROBABILITIES = "descriptor", "margins", "probabilities"

_HEAD = {"source": "string", "track_id": "Int64", "frames": "int64", "left_out": "int64"}
_HEAD |= {"label": "string", "probability": "float64"}
_TAIL = {"problem": "string"}
#: Columns of the answers besides those of the labels: no label may be called so.
COLUMNS = (*_HEAD, *_TAIL)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FilmCard(Card):
    """What a model of films says of itself.

    Attributes:
        name: what it is called.
        kind: whether it judges a ``person`` or the ``group``.
        labels: names of its outputs, in order.
        size: d, the length of a face's features.
        model, model_sha256: name and file of the model that gave the features; no other's fit.
        kernel: ``linear`` or ``rbf``.
        c, gamma: the machine's settings; gamma is 0 where the kernel has none.
        temperature: margins are divided by it before the softmax; fitted on held-out films.
        training_data: what it was trained on, in words.
        protocol: how the figures were measured, a sentence each.
        figures: what was measured, name -> value (shares, not percent).
    """

    what = "the model of films"

    name: str
    kind: Kind
    labels: tuple[str, ...]
    size: int
    model: str = ""
    model_sha256: str = ""
    kernel: str = "linear"
    c: float = 1.0
    gamma: float = 0.0
    temperature: float = 1.0
    training_data: str = "unknown"
    protocol: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_labels(self.labels, f"the model of videos {self.name!r}")
        if self.size < 1 or self.temperature <= 0:
            raise ModelError(f"size and temperature of {self.name!r} must be above 0.")
        taken = [label for label in self.labels if label in COLUMNS]
        if len(self.labels) < 2 or len(set(self.labels)) < len(self.labels) or taken:
            raise ModelError(
                f"a model of films needs two different labels or more, none called as "
                f"{', '.join(COLUMNS)}; got {', '.join(self.labels) or 'none'}."
            )


class FilmModel:
    """Judges films by the features of their faces.

    Args:
        path: an ``.onnx`` file that ``mien train-video`` wrote.
        threads: of one run; None for every processor.

    Raises:
        ModelError: the file is missing or broken, or is no model of films.
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        self._net = Session(path, threads)
        text = self._net.metadata.get(METADATA_KEY)
        if text is None:
            raise ModelError(f"{path} is no model of films: mien train-video makes them.")
        with card_of(self.path):
            self.card = FilmCard.from_json(text)
        count = len(self.card.labels)
        self._net.check((4 * self.card.size,), {MARGINS: count, PROBABILITIES: count})

    @property
    def path(self) -> Path:
        """The model file."""
        return self._net.path

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.card.labels

    def margins(self, descriptors: npt.ArrayLike) -> FloatArray:
        """``(n, k)``: on which side of each label's machine ``(n, 4 d)`` descriptors are."""
        return self._run(MARGINS, descriptors)

    def probabilities(self, descriptors: npt.ArrayLike) -> FloatArray:
        """``(n, k)``: softmax of the margins over the card's temperature; rows sum to 1.

        Raises:
            UsageError: descriptors of another length, or numbers that are not finite.
        """
        return self._run(PROBABILITIES, descriptors)

    def fits(self, sha256: str, name: str = "another model") -> None:
        """Check that features are of the model that this one was trained on.

        Args:
            sha256: of the file of the model that gives the features; "" where it is not known,
                which is let through with a warning in the log.
            name: of that model.

        Raises:
            UsageError: they are another's.
        """
        if not (sha256 and self.card.model_sha256):
            _log.warning("whether the features fit %s is not known.", self.path.name)
        elif sha256 != self.card.model_sha256:
            raise UsageError(
                f"{self.path.name} was trained on the features of {self.card.model} "
                f"({self.card.model_sha256[:8]}), these are of {name} ({sha256[:8]}): "
                "analyse the film with that model, or train again."
            )

    def judge(self, timeline: Timeline, uncertain_below: float = 0.5) -> pd.DataFrame:
        """One row a person of each film, or one a film where the model is of groups.

        Args:
            timeline: of one or more films, with the embeddings "features".
            uncertain_below: a lower top probability is told as ``uncertain``.

        Returns:
            source, track_id (missing for a group, and where nobody was found), frames and
            left_out (see `mien.timeline.descriptors.Descriptor`), label, probability (the top
            one), a column a label with its probability, and problem: why there is no answer, else
            missing.

        Raises:
            UsageError: the features were not kept, or are another model's.
        """
        import pandas as pd

        if timeline.embeddings is not None:
            name = timeline.settings.get("classifier", "another model")
            self.fits(timeline.embeddings.model, name)
        rows = [row for source in timeline.sources for row in self._rows(timeline.film(source))]
        known = [row["descriptor"] for row in rows if row["descriptor"] is not None]
        shares = np.full((len(rows), len(self.labels)), np.nan)
        if known:
            there = [row["descriptor"] is not None for row in rows]
            shares[there] = self.probabilities(np.stack([found.values for found in known]))
        told = np.array([*self.labels, UNCERTAIN], dtype=object)
        for row, share in zip(rows, shares, strict=True):
            if row.pop("descriptor") is None:
                continue
            top = share.max()
            place = int(share.argmax()) if top >= uncertain_below else len(self.labels)
            row |= {"label": told[place], "probability": top}
            row |= dict(zip(self.labels, share.tolist(), strict=True))
        types = {**_HEAD, **dict.fromkeys(self.labels, "float64"), **_TAIL}
        return pd.DataFrame(rows, columns=list(types)).astype(types)

    def _rows(self, film: Timeline) -> list[dict[str, Any]]:
        """What there is to judge in one film."""
        people: tuple[int | None, ...] = film.track_ids
        if self.card.kind == "group" or not people:
            people = (None,)
        return [self._row(film, person) for person in people]

    def _row(self, film: Timeline, person: int | None) -> dict[str, Any]:
        source = film.sources[0]
        row: dict[str, Any] = {"source": source, "track_id": person, "frames": 0, "left_out": 0}
        try:
            found: Descriptor = film.descriptor(person, group=self.card.kind == "group")
        except InputError as error:
            return {**row, "problem": str(error), "descriptor": None}
        if len(found.values) != 4 * self.card.size:
            raise UsageError(
                f"{self.path.name} needs features of length {self.card.size}, "
                f"those of {source} have {len(found.values) // 4}: they are another model's."
            )
        row |= {"frames": found.frames, "left_out": found.left_out}
        return {**row, "problem": None, "descriptor": found}

    def _run(self, output: str, descriptors: npt.ArrayLike) -> FloatArray:
        values = np.asarray(descriptors, np.float32)
        if values.ndim != 2 or values.shape[1] != 4 * self.card.size:
            raise UsageError(
                f"descriptors for {self.path.name} have the shape (n, {4 * self.card.size}), "
                f"got {values.shape}."
            )
        if not np.isfinite(values).all():
            raise UsageError("descriptors must be finite numbers.")
        if not len(values):
            return np.zeros((0, len(self.labels)), np.float32)
        return np.asarray(self._net.run([output], values)[0], np.float32)
