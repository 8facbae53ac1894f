"""`RunSettings`: what an analysis was made with, as values and as the metadata of its tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mien.errors import InputError

_LABELS = "labels"
#: Written even where they are empty, so that a reader finds that they were.
_ALWAYS = (
    "mien_version",
    "detector",
    "detector_settings",
    "classifier",
    "classifier_sha256",
    "without",
    "also",
    "uncertain_below",
)


@dataclass(frozen=True)
class RunSettings:
    """What an analysis was made with; nothing is known of a table that does not say.

    Attributes:
        mien_version: the version that made it.
        detector: name or class of the face detector.
        detector_settings: its settings, see `mien.faces.detectors.base.DetectorDescription`.
        classifier: name of the expression model.
        classifier_sha256: of its file.
        without: labels that were excluded.
        also: attributes, actions, landmarks and embeddings that were requested.
        uncertain_below: faces with a smaller top probability are called ``uncertain``.
        prior: which base rates the probabilities are for, where not those of the training data.
        baseline: how the values were calibrated to each person, see `mien.timeline.baseline`.
        derived: which measures are derived, and from what.
        attributes_sha256: of the model of apparent age and gender.
        identity_sha256: of the identity model.
        mesh_sha256: of the model of the face mesh.
        heads: summaries of the heads, see `mien.expressions.heads.Head.summary`.
        frames: which frames of videos were analyzed; "" for all.
        values: what was done to the values of an exported table, such as smoothing.
        smooth_s: width of the smoothing window, seconds; 0 for none.
        people: names by track id, where track ids are people across videos; else None.
        all_faces: whether faces that are unfit count as the others do.
        other: settings that this version does not know.
    """

    mien_version: str = ""
    detector: str = ""
    detector_settings: Mapping[str, Any] = field(default_factory=dict)
    classifier: str = ""
    classifier_sha256: str = ""
    without: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    uncertain_below: float = 0.5
    prior: str = ""
    baseline: str = ""
    derived: str = ""
    attributes_sha256: str = ""
    identity_sha256: str = ""
    mesh_sha256: str = ""
    heads: tuple[Mapping[str, Any], ...] = ()
    frames: str = ""
    values: str = ""
    smooth_s: float = 0.0
    people: Mapping[int, str] | None = None
    all_faces: bool = False
    other: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return self != RunSettings()

    def to_metadata(self, labels: Sequence[str] | None = None) -> dict[str, str]:
        """The settings as texts, as table files keep them.

        The labels of the table are stored with them, where given.
        """
        plain = RunSettings()
        metadata = {
            name: write(getattr(self, name))
            for name, (write, _) in _FORMS.items()
            if getattr(self, name) != getattr(plain, name)
            or (self.mien_version and name in _ALWAYS)
        }
        metadata |= self.other
        return metadata if labels is None else {**metadata, _LABELS: json.dumps(list(labels))}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], path: Path | None = None) -> RunSettings:
        """Read what `to_metadata` wrote, in this version or in 0.1; the labels are left out.

        Raises:
            InputError: a text is not of its setting's form, or a number is out of its range.
        """
        values = {
            name: _read(name, _FORMS[name][1], text, path)
            for name, text in metadata.items()
            if name in _FORMS
        }
        other = {k: v for k, v in metadata.items() if k not in _FORMS and k != _LABELS}
        return cls(**values, other=other)

    def shared_with(self, others: Sequence[RunSettings]) -> RunSettings:
        """The settings that all have in common; the others are left at their defaults."""
        plain = RunSettings()
        differing = {
            item.name: getattr(plain, item.name)
            for item in fields(self)
            if any(getattr(one, item.name) != getattr(self, item.name) for one in others)
        }
        return replace(self, **differing)


def labels_of(metadata: Mapping[str, str], path: Path | None = None) -> tuple[str, ...]:
    """The labels that `RunSettings.to_metadata` stored; none where there are none.

    Raises:
        InputError: they are not a list of names.
    """
    found: tuple[str, ...] = _read(_LABELS, _names, metadata.get(_LABELS, "[]"), path)
    return found


def _read(name: str, form: Callable[[str], Any], text: str, path: Path | None) -> Any:
    try:
        return form(text)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        where = "" if path is None else f" of {path}"
        raise InputError(f"the setting {name}{where} cannot be read: {text[:60]!r}.") from error


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError


def _names(text: str) -> tuple[str, ...]:
    names = json.loads(text)
    _require(isinstance(names, list) and all(isinstance(name, str) for name in names))
    return tuple(names)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _people(text: str) -> dict[int, str]:
    people = {int(number): name for number, name in json.loads(text).items()}
    _require(all(n >= 0 and isinstance(name, str) for n, name in people.items()))
    return people


def _heads(text: str) -> tuple[Mapping[str, Any], ...]:
    heads = json.loads(text)
    _require(isinstance(heads, list))
    for head in heads:
        _require(isinstance(head["name"], str) and isinstance(head["task"], str))
    return tuple(heads)


def _within(most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        _require(0 <= float(text) <= most)
        return float(text)

    return read


#: How a setting that is no text is written and read.
_OTHERS: dict[str, tuple[Any, Any]] = {
    "detector_settings": (json.dumps, lambda text: dict(json.loads(text))),
    "without": (",".join, _listed),
    "also": (",".join, _listed),
    "uncertain_below": (str, _within(1)),
    "heads": (json.dumps, _heads),
    "smooth_s": ("{:g}".format, _within(1e6)),
    "people": (json.dumps, _people),
    "all_faces": (lambda _: "counted", bool),
}
_FORMS = {
    item.name: _OTHERS.get(item.name, (str, str))
    for item in fields(RunSettings)
    if item.name != "other"
}
