"""How a video was analyzed: the settings of the run and the card of the model, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mien.errors import MienError
from mien.models.card import METADATA_KEY, ModelCard
from mien.reports.html import percent, whole_percent
from mien.timeline.identification import PEOPLE

_SETTINGS = {
    "mien_version": "mien",
    "classifier": "expression model",
    "classifier_sha256": "its file (SHA-256)",
    "detector": "face detector",
    "detector_settings": "its settings",
    "without": "labels left out",
    "uncertain_below": "uncertain below",
    "smooth_s": "smoothed over",
    "all_faces": "faces unfit to be judged",
    "derived": "derived",
}
_FIGURES = {
    "literature_test": "accuracy on the FER+ list that papers report on",
    "literature_test_without_twins": "the same without near-duplicates of training faces",
    "test_occlusion": "accuracy on partly covered faces",
    "test_pose30": "accuracy on faces turned by 30° and more",
    "test_pose45": "accuracy on faces turned by 45° and more",
    "fer2013": "accuracy on FER2013's own labels",
    "kl_votes": "mean KL divergence from the votes of viewers, nats",
    "ece_votes": "calibration error: gap between probability and share of viewers who agree",
    "ece_majority": "calibration error against the majority label, on faces where viewers agree",
}


def settings_text(settings: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names and values in words; unknown settings are listed as they are."""
    rows = []
    order = [*_SETTINGS, *(key for key in settings if key not in (*_SETTINGS, PEOPLE))]
    for key in order:
        text = value = settings.get(key, "")
        if key == "uncertain_below" and value:
            text = whole_percent(float(value))
        elif key == "smooth_s" and value:
            text = f"{value} s"
        elif key == "heads" and value:
            text = ", ".join(f"{head['name']} ({head['task']})" for head in _heads(settings))
        elif key == "detector_settings":
            text = _json_text(value)
        elif key == "without" and key in settings:
            text = value.replace(",", ", ") or "none"
        if text:
            rows.append((_SETTINGS.get(key, key.replace("_", " ")), text))
    return rows


def _heads(settings: Mapping[str, str]) -> list[dict[str, Any]]:
    """The heads of the run, as the analyzer describes them."""
    heads: list[dict[str, Any]] = json.loads(settings.get("heads", "[]"))
    return heads


def _json_text(value: str) -> str:
    try:
        table = json.loads(value)
    except ValueError:
        return value
    if not isinstance(table, dict):
        return value
    return ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in table.items() if v is not None)


def model_card(settings: Mapping[str, str]) -> tuple[ModelCard | None, str]:
    """The card of the model that made the table, if it is the one in this package, or why not."""
    from mien.models.session import Session, file_sha256
    from mien.plugins import CLASSIFIERS, model_path

    name = settings.get("classifier", "")
    judges = [head["name"] for head in _heads(settings) if head["task"] == "expression"]
    if judges:
        return None, f"Labels come from the head {judges[0]}: figures of {name} do not apply."
    if name not in CLASSIFIERS:
        return None, "This model does not come with mien, so its card is not available."
    try:
        path = model_path(name)
        if file_sha256(path) != settings.get("classifier_sha256"):
            return None, "This mien has another version of the model than was used."
        return ModelCard.from_json(Session(path, threads=1).metadata[METADATA_KEY]), ""
    except (MienError, KeyError):
        return None, "The model's file, and its card with it, is not available."


def card_figures(card: ModelCard | None) -> list[tuple[str, str, str]]:
    """Name, value and meaning of each measured figure."""
    rows = []
    for name, value in (card.accuracy if card else {}).items():
        plain = name.startswith(("kl_", "ece_"))
        recall = name.removeprefix("recall_")
        meaning = f"recall of {recall}" if recall != name else ""
        text = f"{value:.3f}" if plain else percent(value)
        rows.append((name, text, meaning or _FIGURES.get(name, "")))
    return rows
