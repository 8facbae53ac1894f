"""``mien models``: what is installed, under which licence, how accurate."""

from __future__ import annotations


def models() -> None:
    """List the installed expression models and face detectors."""
    from rich.table import Table

    from mien.classifiers.onnx import OnnxClassifier
    from mien.cli.console import console
    from mien.detectors import BUILTIN
    from mien.registry import CLASSIFIERS, model_path

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("model", "labels", "input", "MB", "accuracy", "licence", "commercial use"):
        table.add_column(name)
    for name in CLASSIFIERS:
        path = model_path(name)
        card = OnnxClassifier(path).card
        figure = card.accuracy.get("literature_test")
        table.add_row(
            card.name,
            str(len(card.labels)),
            f"{card.input_size} px",
            f"{path.stat().st_size / 1e6:.1f}",
            "-" if figure is None else f"{100 * figure:.1f} % (FER+ literature list)",
            card.licence,
            card.commercial,
        )
    out = console()
    out.print(table)
    out.print(
        f"\ndetectors: {', '.join(BUILTIN)} (MTCNN's weights: MIT; OpenCV's Haar: Apache-2.0)"
    )
