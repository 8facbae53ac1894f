"""Video models: one label for each person in a video, or for the group.

``mien train-video`` makes them (see `mien.training.videos.train`): a support-vector machine on the
video's descriptor (see `mien.timeline.descriptors`), exported as ONNX with its card.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.errors import InputError, ModelError, UsageError
from mien.labels import UNCERTAIN
from mien.models.card import check_labels
from mien.models.feature_model import FeatureCard, FeatureModel
from mien.timeline.descriptors import Descriptor, Kind
from mien.timeline.timeline import Timeline
from mien.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd

#: Names in the file: descriptors ``(n, 4 d)`` in, margins and probabilities ``(n, k)`` out.
DESCRIPTOR, MARGINS, PROBABILITIES = "descriptor", "margins", "probabilities"

_HEAD = {"source": "string", "track_id": "Int64", "frames": "int64", "left_out": "int64"}
_HEAD |= {"label": "string", "probability": "float64"}
_TAIL = {"problem": "string"}
#: Columns of the predictions besides the labels; no label may have such a name.
COLUMNS = (*_HEAD, *_TAIL)


@dataclass(frozen=True)
class VideoCard(FeatureCard):
    """The card of a video model.

    Attributes:
        kind: whether it classifies a ``person`` or the ``group``.
        labels: names of its outputs, in order.
        kernel: ``linear`` or ``rbf``.
        c, gamma: settings of the support-vector machine; gamma is 0 for the linear kernel.
        temperature: margins are divided by it before the softmax; fitted on held-out videos.
        name, size, model, model_sha256, training_data, licence, figures, protocol: see
            `FeatureCard`.
    """

    key = "mien.film"
    what = "a video model"
    made_by = "mien train-video"

    kind: Kind
    labels: tuple[str, ...]
    kernel: str = "linear"
    c: float = 1.0
    gamma: float = 0.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_labels(self.labels, f"the video model {self.name!r}")
        if self.temperature <= 0:
            raise ModelError(f"temperature of {self.name!r} must be above 0.")
        if len(self.labels) < 2 or set(self.labels) & set(COLUMNS):
            raise ModelError(
                f"a video model needs at least two labels, none of them called "
                f"{', '.join(COLUMNS)}; got {', '.join(self.labels)}."
            )


class VideoModel(FeatureModel[VideoCard]):
    """Classifies whole videos by the features of their faces.

    Args:
        path: an ``.onnx`` file that ``mien train-video`` wrote.
        threads: of one run; None for every processor.

    Raises:
        ModelError: the file is missing or broken, or is no video model.
    """

    card_type = VideoCard

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        super().__init__(path, threads)
        count = len(self.card.labels)
        self._net.check((4 * self.card.size,), {MARGINS: count, PROBABILITIES: count})

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.card.labels

    def margins(self, descriptors: npt.ArrayLike) -> FloatArray:
        """``(n, k)`` signed distances of ``(n, 4 d)`` descriptors from each label's boundary."""
        return self._run(MARGINS, descriptors)

    def probabilities(self, descriptors: npt.ArrayLike) -> FloatArray:
        """``(n, k)``: softmax of the margins over the card's temperature; rows sum to 1.

        Raises:
            UsageError: descriptors of another length, or numbers that are not finite.
        """
        return self._run(PROBABILITIES, descriptors)

    def predict(self, timeline: Timeline, uncertain_below: float = 0.5) -> pd.DataFrame:
        """One row for each person of each video, or for each video if the model is of groups.

        Args:
            timeline: of one or more videos, with the embeddings "features".
            uncertain_below: where the top probability is lower, the label is ``uncertain``.

        Returns:
            source, track_id (missing for a group, and where no face was detected), frames and
            left_out (see `mien.timeline.descriptors.Descriptor`), label, probability (the top
            one), one column for each label with its probability, and problem: why there is no
            prediction, else missing.

        Raises:
            UsageError: the timeline has no features, or another model's.
        """
        import pandas as pd

        if timeline.embeddings is not None:
            name = timeline.settings.classifier or "another model"
            self.check_features(name, timeline.embeddings.model)
        rows = [row for source in timeline.sources for row in self._rows(timeline.source(source))]
        complete = [row for row in rows if row["descriptor"] is not None]
        if complete:
            descriptors = np.stack([row["descriptor"].values for row in complete])
            for row, shares in zip(complete, self.probabilities(descriptors), strict=True):
                top = float(shares.max())
                label = self.labels[int(shares.argmax())] if top >= uncertain_below else UNCERTAIN
                row |= {"label": label, "probability": top}
                row |= dict(zip(self.labels, shares.tolist(), strict=True))
        types = {**_HEAD, **dict.fromkeys(self.labels, "float64"), **_TAIL}
        return pd.DataFrame(rows, columns=list(types)).astype(types)

    def _rows(self, video: Timeline) -> list[dict[str, Any]]:
        """The people of one video, or its group, with their descriptors."""
        people: tuple[int | None, ...] = video.track_ids
        if self.card.kind == "group" or not people:
            people = (None,)
        return [self._row(video, person) for person in people]

    def _row(self, video: Timeline, person: int | None) -> dict[str, Any]:
        source = video.sources[0]
        row: dict[str, Any] = {"source": source, "track_id": person, "frames": 0, "left_out": 0}
        try:
            descriptor: Descriptor = video.descriptor(person, group=self.card.kind == "group")
        except InputError as error:
            return {**row, "problem": str(error), "descriptor": None}
        if len(descriptor.values) != 4 * self.card.size:
            raise UsageError(
                f"{self.path.name} takes features of length {self.card.size}, those of {source} "
                f"have {len(descriptor.values) // 4}: they are another model's."
            )
        row |= {"frames": descriptor.frames, "left_out": descriptor.left_out}
        return {**row, "problem": None, "descriptor": descriptor}

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
