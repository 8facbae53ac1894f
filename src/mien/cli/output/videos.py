"""Videos in the terminal: their people, and the predictions of a model of whole videos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from mien.cli.console import answer, colored, console, note, show, table, wrote
from mien.errors import UsageError
from mien.escaping import printable
from mien.labels import FEATURES
from mien.timeline.smoothing import SMOOTH_S

if TYPE_CHECKING:
    import pandas as pd

    from mien.analyzer import EmotionAnalyzer
    from mien.results.result import Result
    from mien.timeline.timeline import Timeline


def as_shown(timeline: Timeline, smooth: float | None = None, all_faces: bool = False) -> Timeline:
    """A timeline as pages, drawings and tables show it: smoothed as saved, or over `SMOOTH_S`."""
    if smooth is None:
        smooth = timeline.settings.smooth_s or SMOOTH_S
    return timeline.with_all_faces(all_faces or timeline.all_faces).smooth(smooth)


def note_unfit(timeline: Timeline) -> None:
    """Say how many faces do not count, or that there is nothing to show."""
    names = ", ".join(Path(source).name for source in timeline.sources[:3])
    names += f" and {len(timeline.sources) - 3} more" if len(timeline.sources) > 3 else ""
    if not len(timeline.faces):
        note(f"no face was found in {names}.")
    elif not len(timeline.counted_faces):
        note(f"no face in {names} is fit to be judged: nothing to show without --all-faces.")
    elif timeline.unfit_note:
        note(timeline.unfit_note)
    if timeline.orientation_note:
        note(timeline.orientation_note)


def show_people(timeline: Timeline) -> None:
    """Print one row per person of each video, see `mien.timeline.text.blocks`."""
    from mien.timeline.text import base, blocks

    out = console()
    for block in blocks(timeline, out.width):
        with_peak = block.head[-1] == "peak"
        left = (0, len(block.head) - 1) if with_peak else (0,)
        made = table(*block.head, left=left, title=block.name)
        made.columns[0].max_width = 16
        for *cells, last in block.rows:
            label = last.rpartition(" ")[0]
            made.add_row(*cells, colored(last, label, timeline.labels) if with_peak else last)
        out.print(made)
    note(base(timeline))
    note_unfit(timeline)


class VideoPredictions:
    """Classifies each video of a run as soon as it ends; shows and writes the predictions at last.

    Args:
        model: file of the model of whole videos; None predicts nothing.
        paths: the arguments of the command.
        output: where the ``faces`` table goes, if anywhere; the predictions go beside it.
        saved: embeddings that are written beside the table; others go no further than here.
        json: print a JSON object per prediction.
        all_faces: also count faces that are unfit to be judged.

    Attributes:
        extras: what the analyzer has to compute besides.

    Raises:
        UsageError: there is no video among the arguments.
        ModelError: it is no model of videos.
    """

    def __init__(
        self,
        model: Path | None,
        paths: Sequence[str],
        output: Path | None,
        saved: Sequence[str],
        json: bool,
        all_faces: bool = False,
    ) -> None:
        self._all_faces = all_faces
        self.extras: tuple[str, ...] = ()
        self._model = None
        self._output, self._saved, self._json = output, tuple(saved), json
        self._predictions: list[pd.DataFrame] = []
        if model is None:
            return
        from mien.media.inputs import Inputs
        from mien.timeline.classifier import VideoModel

        if all(item.kind == "image" for item in Inputs(paths)):
            raise UsageError("--video-model needs a video, and there is none among the inputs.")
        self._model = VideoModel(model)
        self.extras = () if FEATURES in saved else (FEATURES,)

    def check(self, analyzer: EmotionAnalyzer) -> None:
        """Make sure, before the run, that the model was trained on this analyzer's features."""
        if self._model is not None:
            used = analyzer.settings
            self._model.check_features(used.classifier, used.classifier_sha256)

    def through(self, results: Iterable[Result]) -> Iterator[Result]:
        """Pass results on, and classify each video after its last frame."""
        if self._model is None:
            yield from results
            return
        waiting: list[Result] = []
        for result in results:
            if waiting and (result.time_s is None or result.source != waiting[0].source):
                self._predict(waiting)
                waiting = []
            if result.time_s is not None:  # crops and images of a whole video fill the memory
                nothing = np.zeros((0, 1, 1, 3), np.uint8)
                waiting.append(replace(result, crops=nothing, _read=None, _classifier=None))
            if self.extras:
                kept = {k: v for k, v in result.scores.embeddings.items() if k in self._saved}
                result = replace(result, scores=replace(result.scores, embeddings=kept))
            yield result
        if waiting:
            self._predict(waiting)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._model is None or not self._predictions:
            return
        import pandas as pd

        from mien.results.files import AnalysisFiles
        from mien.results.tables import write_table

        predictions = pd.concat(self._predictions, ignore_index=True)
        show_predictions(predictions, self._model.labels, self._model.path.name, json=self._json)
        if self._output is not None and kind is None:
            path = AnalysisFiles(self._output).videos
            card = {"film_model": self._model.card.to_json()}
            wrote(write_table(predictions, path, card, overwrite=True))

    def _predict(self, video: list[Result]) -> None:
        from mien.timeline.timeline import Timeline

        assert self._model is not None
        timeline = Timeline.from_results(video, keep_faces=False)
        timeline = timeline.with_all_faces(self._all_faces)
        self._predictions.append(self._model.predict(timeline))


def show_predictions(
    predictions: pd.DataFrame, labels: Sequence[str], model: str, *, json: bool
) -> None:
    """One row per video or person: the prediction, and every probability in percent."""
    if json:
        lines = predictions.assign(film_model=model).to_json(orient="records", lines=True)
        answer(lines.rstrip("\n"))
        return
    made = table("video", "of", model, *(label[:12] for label in labels), left=(0, 1, 2))
    made.columns[0].max_width = 28
    for row in predictions.to_dict("records"):
        who = "group" if str(row["track_id"]) == "<NA>" else f"person {row['track_id']}"
        name = printable(Path(str(row["source"])).name)
        if isinstance(row["problem"], str):
            made.add_row(name, who, f"no prediction: {row['problem']}")
            continue
        shares = [f"{100 * row[label]:.0f}" for label in labels]
        made.add_row(name, who, str(row["label"]), *shares)
    show(made)
