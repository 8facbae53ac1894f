"""Videos in the terminal: their people, and the predictions of a model of whole videos."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from mien.cli.console import Meter, answer, colored, console, note, show, table, wrote
from mien.errors import UsageError
from mien.escaping import printable
from mien.labels import FEATURES
from mien.timeline.smoothing import SMOOTH_S

if TYPE_CHECKING:
    import pandas as pd

    from mien.analyzer import EmotionAnalyzer
    from mien.results.result import Result
    from mien.timeline.timeline import Timeline
    from mien.training.videos.metrics import FilmFigures
    from mien.training.videos.train import Step, Trained


def as_shown(timeline: Timeline, smooth: float | None = None, all_faces: bool = False) -> Timeline:
    """A timeline as every page, drawing and terminal table shows it.

    Args:
        timeline: as analysed or loaded.
        smooth: seconds; None as it was saved, or `SMOOTH_S`.
        all_faces: also count faces that are unfit to be judged.
    """
    if smooth is None:
        smooth = float(timeline.settings.get("smooth_s", SMOOTH_S))
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


def show_people(timeline: Timeline) -> None:
    """Print one row per person of each video, see `mien.timeline.text.blocks`."""
    from mien.timeline.text import base, blocks

    out = console()
    for block in blocks(timeline, out.width):
        last = len(block.head) - 1
        made = table(*block.head, left=(0, last), title=block.name)
        made.columns[0].max_width = 16
        for *cells, peak in block.rows:
            made.add_row(*cells, colored(peak, peak.rpartition(" ")[0], timeline.labels))
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
        from mien.timeline.classifier import FilmModel

        if all(item.kind == "image" for item in Inputs(paths)):
            raise UsageError("--video-model needs a video, and there is none among the inputs.")
        self._model = FilmModel(model)
        self.extras = () if FEATURES in saved else (FEATURES,)

    def check(self, analyzer: EmotionAnalyzer) -> None:
        """Say before the run, not after it, when the model is another's."""
        if self._model is not None:
            known = analyzer.settings
            self._model.fits(known["classifier_sha256"], known["classifier"])

    def through(self, results: Iterable[Result]) -> Iterator[Result]:
        """Pass results through, and judge each film behind its last frame."""
        if self._model is None:
            yield from results
            return
        waiting: list[Result] = []
        for result in results:
            if waiting and (result.time_s is None or result.source != waiting[0].source):
                self._judge(waiting)
                waiting = []
            if result.time_s is not None:
                waiting.append(_light(result))
            yield self._without_features(result)
        if waiting:
            self._judge(waiting)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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

    def _judge(self, film: list[Result]) -> None:
        from mien.timeline.timeline import Timeline

        assert self._model is not None
        timeline = Timeline.from_results(film, keep_faces=False)
        timeline = timeline.with_all_faces(self._all_faces)
        self._predictions.append(self._model.judge(timeline))

    def _without_features(self, result: Result) -> Result:
        if not self.extras:
            return result
        kept = {k: v for k, v in result.scores.embeddings.items() if k in self._saved}
        return replace(result, scores=replace(result.scores, embeddings=kept))


def _light(result: Result) -> Result:
    """Its numbers only: squares and pictures of a whole film would fill the memory."""
    return replace(result, crops=np.zeros((0, 1, 1, 3), np.uint8), _read=None, _classifier=None)


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
            made.add_row(name, who, f"none: {row['problem']}")
            continue
        shares = [f"{100 * row[label]:.0f}" for label in labels]
        made.add_row(name, who, str(row["label"]), *shares)
    show(made)


def show_trained(trained: Trained, *, json: bool) -> None:
    """The figures of a new model of videos, and how they were measured."""
    figures = trained.figures
    if json:
        answer(trained.card.to_json())
        return
    from mien.evaluation.intervals import refusal

    refused = refusal(figures.accuracy.people, "groups of films")
    if not refused:
        _show_figures(figures)
    answer("protocol:")
    for line in figures.protocol:
        answer(f"- {line}")
    if refused:
        note(refused)
    elif math.isnan(figures.accuracy.low):
        note("these are too few videos for an interval: the figures may be due to chance.")
    elif figures.accuracy.low <= figures.baseline:
        note(f"this may be no better than always predicting {figures.common}: label more videos.")


def _show_figures(figures: FilmFigures) -> None:
    from mien.reports.evaluation import percent

    made = table("figure", "value", "95 % interval", "videos", "groups")
    rows = [("accuracy", figures.accuracy)]
    if figures.everything.faces > figures.accuracy.faces:
        rows.append(("accuracy, all videos", figures.everything))
    rows += [(f"recall of {label}", part) for label, part in figures.recalls.items()]
    for name, part in rows:
        interval = f"{percent(part.low)} to {percent(part.high)}"
        interval = "too few videos" if math.isnan(part.low) else interval
        made.add_row(name, percent(part.value), interval, f"{part.faces:,}", f"{part.people:,}")
    made.add_row(f"always predicting {figures.common}", percent(figures.baseline), "", "", "")
    covered, accuracy = figures.sure
    made.add_row(f"accuracy, surest {percent(covered, 0)}", percent(accuracy), "", "", "")
    made.add_row("log loss", f"{figures.loss:.3f}", "", "", "")
    made.add_row("log loss of the label frequencies", f"{figures.base_loss:.3f}", "", "", "")
    show(made)


def video_steps() -> Step:
    """Shows how far each stage of training is."""
    meter, stage = Meter(), ""

    def step(what: str, done: int, total: int) -> None:
        nonlocal meter, stage
        if what.split()[0] != stage:
            meter, stage = Meter(), what.split()[0]
        meter(done, total, what=f"{what},")

    return step
