"""``mien evaluate``: measured figures, each with its protocol."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    model: Annotated[str, typer.Argument(help="Model name or .onnx file.")],
    data: Annotated[Path, typer.Argument(help="Folder with FER+ (parquet splits and lists).")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure an expression model on the test rows of FER+."""
    from mien.evaluation import evaluate_ferplus
    from mien.registry import load_classifier

    figures = evaluate_ferplus(load_classifier(model), data, _progress)
    if json:
        import json as writer

        table = {f.name: {"value": round(f.value, 5), "faces": f.faces} for f in figures}
        print(writer.dumps(table))  # noqa: T201
        return
    from rich.table import Table

    from mien.cli.console import console

    shown = Table(box=None, pad_edge=False, header_style="bold", title=f"{model} on {data}")
    for name in ("figure", "value", "faces", "protocol"):
        shown.add_column(name, justify="right" if name in ("value", "faces") else "left")
    for figure in figures:
        percent = not figure.name.startswith(("kl_", "ece_"))
        value = f"{100 * figure.value:.2f} %" if percent else f"{figure.value:.4f}"
        shown.add_row(figure.name, value, str(figure.faces), figure.protocol)
    console().print(shown)


def _progress(batches: Iterable[int], total: int) -> Iterator[int]:
    for count, batch in enumerate(batches):
        if sys.stderr.isatty():
            print(f"\r{100 * count // total} %", end="", file=sys.stderr)  # noqa: T201
        yield batch
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)  # noqa: T201
