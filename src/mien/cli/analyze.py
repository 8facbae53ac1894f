"""``mien analyze``: pictures in, tables and annotated pictures out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.exits import SOME_FAILED
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.result import Result


def analyze(
    paths: Annotated[list[str], typer.Argument(help="Pictures, folders or patterns.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Table: .parquet, .csv or .jsonl.")
    ] = None,
    annotate: Annotated[
        Path | None, typer.Option(help="Folder for pictures with boxes and labels.")
    ] = None,
    detector: Annotated[str, typer.Option(help="mtcnn, haar, or a YuNet .onnx file.")] = "mtcnn",
    model: Annotated[
        str, typer.Option(help="Model name, or an .onnx file that carries its card.")
    ] = "mien-mobilenet",
    min_score: Annotated[
        float | None, typer.Option(help="Drop faces found with less confidence, 0 to 1.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="Leave out a label, such as contempt.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object an input.")] = False,
) -> None:
    """Find every face and say which expression viewers would see.

    Exit code 0 when all inputs were read, 3 when some were not, 2 for wrong use.
    """
    from mien.cli.console import progress, show_summary, show_table
    from mien.sinks.json_lines import JsonSink
    from mien.sinks.pictures import PictureSink

    analyzer = _analyzer(detector, model, min_score, tuple(without or ()))
    failed = seen = faces = 0
    shown: list[Result] = []
    with ExitStack() as stack:
        sinks: list[Any] = []
        if output is not None:
            from mien.sinks.tables import TableSink

            sinks.append(TableSink(output, analyzer.labels, analyzer.settings))
        if annotate is not None:
            sinks.append(PictureSink(annotate))
        if json:
            sinks.append(JsonSink(sys.stdout))
        for sink in sinks:
            stack.enter_context(sink)
        for result in progress(analyzer.analyze(_listed(paths))):
            seen, faces, failed = seen + 1, faces + len(result), failed + bool(result.error)
            for sink in sinks:
                sink.write(result)
            if result.error is not None:
                print(f"mien: {result.error}", file=sys.stderr)  # noqa: T201
            elif not json and output is None:
                shown.append(result)
                if len(shown) >= 50:  # print as we go: a long run must not fill the memory
                    show_table(shown)
                    shown = []
    if shown:
        show_table(shown)
    show_summary(seen, faces, failed, [p for p in (output, annotate) if p is not None])
    if failed:
        raise typer.Exit(SOME_FAILED)


def _analyzer(detector: str, model: str, min_score: float | None, without: tuple[str, ...]) -> Any:
    from mien.analyzer import EmotionAnalyzer
    from mien.registry import load_detector

    if detector.lower().endswith(".onnx"):
        options = {} if min_score is None else {"min_score": min_score}
        yunet = load_detector("yunet", model_path=detector, **options)
        return EmotionAnalyzer(yunet, model, without=without)
    if detector == "yunet":
        raise UsageError("yunet needs its file: --detector face_detection_yunet_2023mar.onnx.")
    return EmotionAnalyzer(detector, model, min_score=min_score, without=without)


def _listed(paths: list[str]) -> Iterator[Any]:
    """The arguments; "-" is a picture on standard input."""
    for path in paths:
        yield sys.stdin.buffer.read() if path == "-" else path
