"""Models as people read about them in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from mien.errors import ModelError
from mien.hub import Entry
from mien.models.card import ModelCard


def show_shelf() -> None:
    """Two tables: what is at hand, and what can be fetched."""
    from mien import hub
    from mien.cli.console import console
    from mien.faces.detectors import BUILTIN
    from mien.plugins import CLASSIFIERS, load_classifier

    here = [*CLASSIFIERS, *(e.name for e in _fetched() if e.kind == "classifier")]
    shown = _table("model", "labels", "input", "MB", "accuracy", "licence", "commercial use")
    broken = []  # one bad model hides none of the others
    for name in (*here, *hub.own_models()):
        try:
            model = load_classifier(name)
            shown.add_row(*_row(name, model.card, model.path))  # type: ignore[attr-defined]
        except ModelError as error:
            broken.append(f"{name} cannot be used: {error}")
    out = console()
    out.print(shown)
    for line in broken:
        out.print(line, soft_wrap=True)
    yunet = [] if hub.cached(hub.find("yunet")).is_file() else ["yunet"]
    names = ", ".join(name for name in BUILTIN if name not in yunet)
    out.print(f"\ndetectors: {names} (MTCNN's weights: MIT; OpenCV's Haar: Apache-2.0)")
    others = [known.name for known in _fetched() if known.kind == "engagement"]
    if others:
        out.print(f"engagement models: {', '.join(others)} (docs/engagement.md)")
    others = [known.name for known in _fetched() if known.kind == "start"]
    if others:
        out.print(f"to start a training from: {', '.join(others)} (docs/training.md)")
    missing = [known for known in hub.ENTRIES if known not in _fetched()]
    if missing:
        out.print("\nto be fetched with mien models pull NAME:")
        shown = _table("name", "kind", "MB", "licence", "commercial use")
        for known in missing:
            size = f"{known.size / 1e6:.1f}" if known.size else "?"
            shown.add_row(known.name, known.kind, size, known.licence, known.commercial)
        out.print(shown)


def show_info(name: str) -> None:
    """All fields of a model's card, or of its entry in the list."""
    from mien import hub
    from mien.cli.console import console
    from mien.plugins import is_network, load_classifier

    known = hub.entry(name)
    fields: dict[str, object] = {}
    if known is not None:
        path = hub.cached(known)
        here = path.is_file()
        fields = {"kind": known.kind, "url": known.url, "pin": known.pin}
        fields["size"] = _size(known.size or (path.stat().st_size if here else 0))
        fields["file"] = path if here else f"not here; mien models pull {name}"
        fields |= known.card_fields()
    elif is_network(name):
        model = load_classifier(name)
        path = model.path  # type: ignore[attr-defined]
        fields = {"file": path, "size": _size(path.stat().st_size)}
        fields |= vars(model.card)  # type: ignore[attr-defined]
    else:
        hub.find(name)  # says which names there are
    out = console()
    wide = max(map(len, fields), default=0)
    for key, value in fields.items():
        told = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        # Whole lines, however long: an address or a hash is there to be copied.
        out.print(f"{key.replace('_', ' '):{wide}}  {told}".rstrip(), soft_wrap=True)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB ({count:,} bytes)" if count else "not told"


def bar(name: str) -> Callable[[int, int], None]:
    """Shows how much of a download has come."""
    seen = sys.stderr.isatty()

    def report(have: int, total: int) -> None:
        if seen:
            share = f" of {total / 1e6:.1f}" if total else ""
            end = "\r\033[K" if total and have >= total else ""
            print(f"\r{name}: {have / 1e6:.1f}{share} MB{end}", end="", file=sys.stderr)  # noqa: T201

    return report


def _fetched() -> list[Entry]:
    from mien import hub

    return [known for known in hub.ENTRIES if hub.cached(known).is_file()]


def _row(name: str, card: ModelCard, path: Path) -> tuple[str, ...]:
    figure = card.accuracy.get("literature_test")
    return (
        name,
        str(len(card.labels)),
        f"{card.input_size} px",
        f"{path.stat().st_size / 1e6:.1f}",
        "-" if figure is None else f"{100 * figure:.1f} % (FER+ literature list)",
        card.licence,
        card.commercial,
    )


def _table(*columns: str):  # type: ignore[no-untyped-def]
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        shown.add_column(name)
    return shown
