"""How a video was analyzed: the settings of the run and the card of the model, in words."""

from __future__ import annotations

from mien.errors import MienError
from mien.models.card import METADATA_KEY, ModelCard
from mien.reports.html import percent, whole_percent
from mien.results.settings import RunSettings

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
    "prior": "re-weighted",
    "baseline": "calibrated to each person",
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


def settings_text(settings: RunSettings) -> list[tuple[str, str]]:
    """Names and values of the settings in words, those that this page explains first."""
    texts = settings.to_metadata()
    if settings.uncertain_below and "uncertain_below" in texts:
        texts["uncertain_below"] = whole_percent(settings.uncertain_below)
    if settings.smooth_s:
        texts["smooth_s"] += " s"
    texts["heads"] = ", ".join(f"{head['name']} ({head['task']})" for head in settings.heads)
    own = settings.detector_settings.items()
    texts["detector_settings"] = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in own if value is not None
    )
    if "without" in texts:
        texts["without"] = ", ".join(settings.without) or "none"
    order = dict.fromkeys([*_SETTINGS, *texts])
    return [
        (_SETTINGS.get(name, name.replace("_", " ")), texts[name])
        for name in order
        if name != "people" and texts.get(name)
    ]


def changes_text(settings: RunSettings) -> str:
    """What was done to the model's probabilities, so that its figures do not apply; or ""."""
    changes = {
        "calibrated to each person's own resting face": settings.baseline,
        "re-weighted to other base rates": settings.prior,
    }
    return " and ".join(text for text, done in changes.items() if done)


def model_card(settings: RunSettings) -> tuple[ModelCard | None, str]:
    """The card of the model that made the table, if it is the one in this package, or why not."""
    from mien.models.session import Session, file_sha256
    from mien.plugins import CLASSIFIERS, model_path

    name = settings.classifier
    judges = [head["name"] for head in settings.heads if head["task"] == "expression"]
    if judges:
        return None, f"Labels come from the head {judges[0]}: figures of {name} do not apply."
    if name not in CLASSIFIERS:
        return None, "This model does not come with mien, so its card is not available."
    try:
        path = model_path(name)
        if file_sha256(path) != settings.classifier_sha256:
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
