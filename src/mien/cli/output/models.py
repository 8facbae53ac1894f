"""Models in the terminal: what is installed, what can be downloaded, and their cards."""

from __future__ import annotations

from pathlib import Path

from mien.cli.console import answer, show, table
from mien.errors import ModelError
from mien.models.card import ModelCard


def show_models() -> None:
    """Print two tables: models that are installed, and models that can be downloaded."""
    from mien import hub
    from mien.faces.detectors import BUILTIN
    from mien.plugins import CLASSIFIERS, load_classifier

    installed = [entry for entry in hub.ENTRIES if hub.cached(entry).is_file()]
    names = [*CLASSIFIERS, *(entry.name for entry in installed if entry.kind == "classifier")]
    made = table(
        "model", "labels", "input", "MB", "accuracy", "license", "commercial use", left=(0, 5, 6)
    )
    broken = []  # one bad model hides none of the others
    for name in (*names, *hub.own_models()):
        try:
            model = load_classifier(name)
            made.add_row(*_row(name, model.card, model.path))  # type: ignore[attr-defined]
        except ModelError as error:
            broken.append(f"{name} cannot be used: {error}")
    show(made)
    answer("accuracy: on the list of the FER+ test that papers use")
    for line in broken:
        answer(line)
    missing = [entry for entry in hub.ENTRIES if entry not in installed]
    answer(f"\ndetectors: {', '.join(BUILTIN)} (YuNet, MTCNN: MIT; OpenCV's Haar: Apache-2.0)")
    for kind, text in (
        ("engagement", "engagement models: {} (docs/engagement.md)"),
        ("start", "to start a training from: {} (docs/training.md)"),
    ):
        if others := [entry.name for entry in installed if entry.kind == kind]:
            answer(text.format(", ".join(others)))
    if missing:
        answer("\navailable for download with mien models pull NAME:")
        made = table("name", "kind", "MB", "license", "commercial use", left=(0, 1, 3, 4))
        for entry in missing:
            size = f"{entry.size / 1e6:.1f}" if entry.size else "?"
            made.add_row(entry.name, entry.kind, size, _short(entry.licence), entry.commercial)
        show(made)


def show_info(name: str) -> None:
    """Print all fields of a model's card, or of its entry in the catalog."""
    from mien import hub
    from mien.plugins import is_network, load_classifier

    entry = hub.entry(name)
    fields: dict[str, object] = {}
    if entry is not None:
        path = hub.cached(entry)
        here = path.is_file()
        fields = {"kind": entry.kind, "url": entry.url, "pin": entry.pin}
        fields["size"] = _size(entry.size or (path.stat().st_size if here else 0))
        fields["file"] = path if here else f"not installed; run: mien models pull {name}"
        fields |= entry.card_fields()
    elif is_network(name):
        model = load_classifier(name)
        path = model.path  # type: ignore[attr-defined]
        fields = {"file": path, "size": _size(path.stat().st_size)}
        fields |= vars(model.card)  # type: ignore[attr-defined]
    else:
        hub.find(name)  # says which names there are
    wide = max(map(len, fields), default=0)
    for key, value in fields.items():
        text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        # Whole lines, however long: an address or a hash is there to be copied.
        answer(f"{key.replace('_', ' '):{wide}}  {text}".rstrip())


def _short(license: str) -> str:
    """A license without what is in brackets, which `mien models info` shows."""
    return license.partition(" (")[0]


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB ({count:,} bytes)" if count else "unknown"


def _row(name: str, card: ModelCard, path: Path) -> tuple[str, ...]:
    figure = card.accuracy.get("literature_test")
    return (
        name,
        str(len(card.labels)),
        f"{card.input_size} px",
        f"{path.stat().st_size / 1e6:.1f}",
        "-" if figure is None else f"{100 * figure:.1f} %",
        _short(card.licence),
        card.commercial,
    )
