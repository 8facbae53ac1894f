"""A run: inputs are analyzed, each result is written and counted, and progress is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mien.cli.console import Meter, note, verbosity, warn, wrote
from mien.cli.signals import uninterrupted
from mien.media.inputs import ALL_FRAMES, Input, Inputs, VideoOptions
from mien.results.summary import RunSummary

if TYPE_CHECKING:
    from mien.analyzer import EmotionAnalyzer
    from mien.media.frames import VideoInfo
    from mien.results.result import Result
    from mien.sinks.base import Sink
    from mien.types import Frame

_NAMED = 20  # failures that are reported one by one


class Tally(RunSummary):
    """A sink that counts the results of a run, and reports what could not be read."""

    def write(self, result: Result) -> None:
        """Count one result; of very many failures, only the first are reported one by one."""
        self.add(result)
        if result.status != "error":
            return
        if self.failed <= _NAMED or verbosity.verbose:
            warn(result.error or "")
        elif self.failed == _NAMED + 1:
            warn("more could not be read; --verbose names all.")

    def show(self, files: Sequence[Path]) -> None:
        """A line about the whole run, and which files were written."""
        note(str(self))
        wrote(*files)


def analyzed(
    analyzer: EmotionAnalyzer,
    inputs: Inputs,
    options: VideoOptions = ALL_FRAMES,
    *,
    sinks: Iterable[Sink | Tally] = (),
    through: Callable[[Iterator[Result]], Iterator[Result]] = iter,
    keep: bool = False,
    adaptive: bool = False,
    skips: Callable[[Input], bool] = lambda item: False,
) -> Iterator[Result]:
    """Results of every input in order, each written before it is given on.

    What `inputs` left out is noted at the end.

    Args:
        analyzer, inputs, options, keep, adaptive: as for `EmotionAnalyzer.results`.
        sinks: take every result; open.
        through: passes the results on, before they are written.
        skips: asked for each input, in order, whether to pass over it.

    Raises:
        UsageError: `options` are not for a stream, or out of range.
    """
    progress = _Progress(inputs)
    sinks = list(sinks)

    def sources() -> Iterator[Input | Iterable[Frame]]:
        for item in inputs:
            if progress.passes_over(skips(item)):
                continue
            if item.kind == "image":
                yield item
                continue
            frames = item.frames(options)
            progress.opens(item.name, getattr(frames, "info", None), options)
            yield frames

    results = analyzer.results(sources(), keep=keep, adaptive=adaptive)
    try:
        for result in through(results):
            with uninterrupted():
                for sink in sinks:
                    sink.write(result)
            progress.add(result)
            yield result
    finally:
        Meter.hide()
    if text := inputs.summary():
        warn(text)


def counted(results: Iterable[Result], source: object = None) -> Iterator[Result]:
    """Pass the results of one source on, and show progress, by its ``info`` where it has one."""
    progress = _Progress(None)
    info: VideoInfo | None = getattr(source, "info", None)
    if info is not None:
        progress.opens(info.source, info, ALL_FRAMES)
    try:
        for result in results:
            progress.add(result)
            yield result
    finally:
        Meter.hide()


class _Progress:
    """How far a run is: in a video by its time, among several inputs by their number."""

    def __init__(self, inputs: Inputs | None) -> None:
        self._inputs, self._meter = inputs, Meter(unit="images")
        self._ranges: dict[str, tuple[float, float]] = {}  # of videos, seconds
        self._all: int | None = None
        self._skipped = self._finished = self._frames = 0
        self._video: str | None = None

    def passes_over(self, skipped: bool) -> bool:
        """Count an input that an earlier run has finished."""
        self._skipped += skipped
        return skipped

    def opens(self, name: str, info: VideoInfo | None, options: VideoOptions) -> None:
        """Take note how long a video is."""
        if info is not None and info.duration_s:
            end = min(options.end or info.duration_s, info.duration_s)
            self._ranges[name] = options.start or 0.0, end

    def add(self, result: Result) -> None:
        """Count a result, and show now and then how far the run is."""
        video = None if result.time_s is None else result.source
        if video != self._video:
            self._finished += self._video is not None
            self._video = video
        self._finished += video is None
        self._frames += video is not None
        if self._meter.is_due():
            self._show(result)

    def _show(self, result: Result) -> None:
        if self._all is None and self._inputs is not None:  # a second walk, once, in long runs
            self._all = sum(1 for _ in Inputs(self._inputs.paths))
        total = None if self._all is None else self._all - self._skipped
        if result.time_s is None:
            self._meter(self._finished, total)
            return
        start, end = self._ranges.get(result.source, (0.0, 0.0))
        share = min((result.time_s - start) / (end - start), 0.999) if end > start else 0.0
        name = f"{Path(result.source).name}:"
        if total is not None and total > 1:
            name = f"{self._finished + 1:,} of {total:,}, {name}"
        else:
            total = 1 if end > start else None
        self._meter(self._finished + share, total, what=name, count=(self._frames, "frames"))
