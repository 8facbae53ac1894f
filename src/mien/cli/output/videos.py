"""What commands say of videos: their people, the answers of a model of whole videos."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from mien.cli.console import tell
from mien.errors import UsageError
from mien.escaping import printable
from mien.labels import FEATURES, color_of
from mien.timeline.smoothing import SMOOTH_S

if TYPE_CHECKING:
    import pandas as pd

    from mien.analyzer import EmotionAnalyzer
    from mien.results.result import Result
    from mien.timeline.timeline import Timeline


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


def tell_unfit(timeline: Timeline) -> None:
    """Say on standard error how much does not count, or that there is nothing to show."""
    names = ", ".join(Path(source).name for source in timeline.sources[:3])
    names += f" and {len(timeline.sources) - 3} more" if len(timeline.sources) > 3 else ""
    if not len(timeline.faces):
        tell(f"no face was found in {names}.")
    elif not len(timeline.counted_faces):
        tell(f"no face in {names} is fit to be judged: nothing to show without --all-faces.")
    elif timeline.unfit_note:
        tell(timeline.unfit_note)


def show_people(timeline: Timeline) -> None:
    """Print one row a person of each video, see `mien.timeline.text.blocks`."""
    from rich.table import Table
    from rich.text import Text

    from mien.cli.console import console
    from mien.timeline.text import base, blocks

    out = console()
    for block in blocks(timeline, out.width):
        table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
        table.title = Text(block.name, style="bold")
        first, *middle, last = block.head
        table.add_column(first, no_wrap=True, overflow="ellipsis", max_width=16)
        for name in middle:
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column(last, no_wrap=True, overflow="ellipsis")
        for *cells, peak in block.rows:
            red, green, blue = color_of(peak.rpartition(" ")[0], timeline.labels)
            table.add_row(*cells, Text(peak, style=f"bold rgb({red},{green},{blue})"))
        out.print(table)
    tell(base(timeline))
    tell_unfit(timeline)


class FilmAnswers:
    """Judges each film of a run as soon as it ends; tells and writes the answers at the end.

    A film is judged whole: where the run is stopped, those before are told.

    Args:
        model: path of the model of films; None judges nothing.
        paths: the arguments of the command.
        output: where the ``faces`` table goes, if anywhere; the answers go beside it, to
            ``NAME.films.SUFFIX``.
        kept: embeddings that are written beside the table; others go no further than here.
        json: print a JSON object an answer.
        all_faces: also count faces that are unfit to be judged.

    Raises:
        UsageError: there is no film among the arguments.
        ModelError: it is no model of films.
    """

    def __init__(
        self,
        model: Path | None,
        paths: Sequence[str],
        output: Path | None,
        kept: Sequence[str],
        json: bool,
        all_faces: bool = False,
    ) -> None:
        self._all_faces = all_faces
        self.also: tuple[str, ...] = ()
        self._model = None
        self._output, self._kept, self._json = output, tuple(kept), json
        self._found: list[pd.DataFrame] = []
        if model is None:
            return
        from mien.media.inputs import Inputs
        from mien.timeline.classifier import VideoModel

        if all(item.kind == "image" for item in Inputs(paths)):
            raise UsageError("--film-model judges films, and there is none among the inputs.")
        self._model = VideoModel(model)
        self.also = () if FEATURES in kept else (FEATURES,)

    def check(self, analyzer: EmotionAnalyzer) -> None:
        """Say before the run, not after it, when the model is another's."""
        if self._model is not None:
            known = analyzer.settings
            self._model.check_features(known["classifier"], known["classifier_sha256"])

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
        if self._model is None or not self._found:
            return
        import pandas as pd

        from mien.results.files import AnalysisFiles
        from mien.results.tables import write_table

        table = pd.concat(self._found, ignore_index=True)
        show_answers(table, self._model.labels, self._model.path.name, json=self._json)
        if self._output is not None and kind is None:
            path = AnalysisFiles(self._output).videos
            card = {"film_model": self._model.card.to_json()}
            tell(f"wrote {write_table(table, path, card, overwrite=True)}")

    def _judge(self, film: list[Result]) -> None:
        from mien.timeline.timeline import Timeline

        assert self._model is not None
        timeline = Timeline.from_results(film, keep_faces=False)
        timeline = timeline.with_all_faces(self._all_faces)
        self._found.append(self._model.predict(timeline))

    def _without_features(self, result: Result) -> Result:
        if not self.also:
            return result
        kept = {k: v for k, v in result.scores.embeddings.items() if k in self._kept}
        return replace(result, scores=replace(result.scores, embeddings=kept))


def _light(result: Result) -> Result:
    """Its numbers only: squares and pictures of a whole film would fill the memory."""
    return replace(result, crops=np.zeros((0, 1, 1, 3), np.uint8), _read=None, _classifier=None)


def show_answers(table: pd.DataFrame, labels: Sequence[str], model: str, *, json: bool) -> None:
    """One row a film or person: the answer, and every probability in percent."""
    if json:
        sys.stdout.write(table.assign(film_model=model).to_json(orient="records", lines=True))
        return
    from rich.table import Table

    from mien.cli.console import console

    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("film", overflow="ellipsis", no_wrap=True, max_width=28)
    shown.add_column("judged", no_wrap=True)
    shown.add_column(model, no_wrap=True)
    for label in labels:
        shown.add_column(label[:12], justify="right", no_wrap=True)
    for row in table.to_dict("records"):
        who = "group" if str(row["track_id"]) == "<NA>" else f"person {row['track_id']}"
        name = printable(Path(str(row["source"])).name)
        if isinstance(row["problem"], str):
            shown.add_row(name, who, f"no answer: {row['problem']}")
            continue
        shares = [f"{100 * row[label]:.0f}" for label in labels]
        shown.add_row(name, who, str(row["label"]), *shares)
    console().print(shown)
