"""How a film was analysed, as people read it: the settings of the run, the card of the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mien.errors import MienError
from mien.models.card import METADATA_KEY, ModelCard
from mien.reports.html import percent
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
    "literature_test_without_twins": "the same without faces that have a twin in training data",
    "test_occlusion": "accuracy on partly covered faces",
    "test_pose30": "accuracy on faces turned by 30° and more",
    "test_pose45": "accuracy on faces turned by 45° and more",
    "fer2013": "accuracy on FER2013's own labels",
    "kl_votes": "mean KL divergence from the votes of viewers, nats",
    "ece_votes": "calibration error: gap between probability and share of viewers who agree",
    "ece_majority": "calibration error against the majority label, on faces where viewers agree",
}


def told_settings(settings: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names and values as people read them; what is not known here is told as it is."""
    found = []
    order = [*_SETTINGS, *(key for key in settings if key not in (*_SETTINGS, PEOPLE))]
    for key in order:
        told = value = settings.get(key, "")
        if key == "uncertain_below" and value:
            told = percent(float(value))
        elif key == "smooth_s" and value:
            told = f"{value} s"
        elif key == "heads" and value:
            told = ", ".join(f"{head['name']} ({head['task']})" for head in _heads(settings))
        elif key == "detector_settings":
            told = _told_json(value)
        elif key == "without" and key in settings:
            told = value.replace(",", ", ") or "none"
        if told:
            found.append((_SETTINGS.get(key, key.replace("_", " ")), told))
    return found


def _heads(settings: Mapping[str, str]) -> list[dict[str, Any]]:
    """The heads that took part, as the analyzer told them."""
    found: list[dict[str, Any]] = json.loads(settings.get("heads", "[]"))
    return found


def _told_json(value: str) -> str:
    try:
        table = json.loads(value)
    except ValueError:
        return value
    if not isinstance(table, dict):
        return value
    known = {key.replace("_", " "): told for key, told in table.items() if told is not None}
    return ", ".join(f"{key} {told}" for key, told in known.items())


def model_card(settings: Mapping[str, str]) -> tuple[ModelCard | None, str]:
    """The card of the model that made the table, if it is the one in this package, or why not."""
    from mien.models.session import Session, file_sha256
    from mien.plugins import CLASSIFIERS, model_path

    name = settings.get("classifier", "")
    judges = [head["name"] for head in _heads(settings) if head["task"] == "expression"]
    if judges:
        return None, f"The head {judges[0]} answers here: figures of {name} do not speak for it."
    if name not in CLASSIFIERS:
        return None, "This model does not come with mien, so its card is not at hand."
    try:
        path = model_path(name)
        if file_sha256(path) != settings.get("classifier_sha256"):
            return None, "The model of this name in this mien is another version than was used."
        return ModelCard.from_json(Session(path, threads=1).metadata[METADATA_KEY]), ""
    except (MienError, KeyError):
        return None, "The model's file is not at hand, and its card with it."


def card_figures(card: ModelCard | None) -> list[tuple[str, str, str]]:
    """Name, value and meaning of each measured figure."""
    found = []
    for name, value in (card.accuracy if card else {}).items():
        plain = name.startswith(("kl_", "ece_"))
        recall = name.removeprefix("recall_")
        meaning = f"share of {recall} faces that it finds" if recall != name else ""
        told = f"{value:.3f}" if plain else f"{100 * value:.1f} %"
        found.append((name, told, meaning or _FIGURES.get(name, "")))
    return found
