"""Base rates: how often each expression is in training data, and the same model for other rates.

A model that learned from faces of which a third was neutral expects that of yours, too. Where the
shares of your own material are known, its probabilities can be re-weighted to them (logit
adjustment: Saerens et al. 2002, "Adjusting the outputs of a classifier to new a priori
probabilities"; with an exponent: Menon et al. 2021, "Long-tail learning via logit adjustment").
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from mien.errors import InputError, InputNotFoundError, UsageError
from mien.expressions.base import ClassifierDescription, EmotionClassifier, describe_classifier
from mien.labels import EMOTIONS, known_as
from mien.models.card import ModelCard
from mien.types import Crops, FloatArray, Scores

#: Mean share of the votes for each label, 28,558 training faces of FER+ (scripts/prior_check.py).
FERPLUS_RATES: Mapping[str, float] = MappingProxyType(
    {
        "neutral": 0.3181,
        "happiness": 0.2613,
        "surprise": 0.1211,
        "sadness": 0.1445,
        "anger": 0.0845,
        "disgust": 0.0162,
        "fear": 0.0358,
        "contempt": 0.0185,
    }
)
#: Base rates of models whose card does not have them, by name.
KNOWN_RATES: Mapping[str, Mapping[str, float]] = {"mien-mobilenet": FERPLUS_RATES}
#: What a model says of the typical neutral face, by name: normalized geometric mean over the
#: 1,220 validation faces of FER+ that most viewers called neutral (scripts/baseline_check.py).
NEUTRAL_FACES: Mapping[str, Mapping[str, float]] = {
    "mien-mobilenet": MappingProxyType(
        {
            "neutral": 0.8326,
            "happiness": 0.0150,
            "surprise": 0.0088,
            "sadness": 0.0994,
            "anger": 0.0150,
            "disgust": 0.0053,
            "fear": 0.0029,
            "contempt": 0.0209,
        }
    )
}
#: The exponent of the weights: of 0, 0.25 ... 1 that with the highest mean recall on the validation
#: faces of FER+ for balanced rates (docs/evaluating.md).
TAU = 0.75
FERPLUS, BALANCED = "fer+", "balanced"
_FLOOR = 1e-4  # the smallest share: a label is never impossible
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Prior:
    """Weights that turn a model's probabilities into those for other base rates.

    ``p'(k)`` is proportional to ``p(k) * (target(k) / trained(k)) ** tau``.

    Attributes:
        weights: by label.
        text: what is done, as the settings of a table keep it.
    """

    weights: Mapping[str, float]
    text: str

    def apply(self, scores: Scores) -> Scores:
        """The same scores, re-weighted; their rows still sum to 1.

        Raises:
            UsageError: the scores are not probabilities.
        """
        if scores.kind != "probability":
            raise UsageError("prior re-weights probabilities, and these are scores: leave it out.")
        return replace(scores, values=self.values(scores.values, scores.labels))

    def values(self, probabilities: FloatArray, labels: Sequence[str]) -> FloatArray:
        """The same for an array ``(n, k)`` of probabilities."""
        weights = np.array([self.weights[label] for label in labels], np.float64)
        return reweighted(probabilities, weights)


def reweighted(probabilities: npt.ArrayLike, weights: npt.ArrayLike) -> FloatArray:
    """``(n, k)`` probabilities times k weights, normalized; float32."""
    values = np.asarray(probabilities, np.float64) * np.asarray(weights, np.float64)
    total = values.sum(axis=1, keepdims=True)
    shares = np.divide(values, total, out=np.zeros_like(values), where=total > 0)
    return np.asarray(shares, np.float32)


def load_prior(name: str | Path, classifier: EmotionClassifier, tau: float = TAU) -> Prior:
    """The prior of this name or file for a classifier.

    Args:
        name: ``balanced`` (every label equally often), ``fer+`` (as in the training data of FER+),
            or a ``.csv`` file with the columns label and share, or a ``.json`` object of shares.
        classifier: whose probabilities are re-weighted.
        tau: 0 changes nothing, 1 is the full adjustment.

    Raises:
        UsageError: `tau` is not in 0 to 2, the base rates of the model are unknown, or `name`
            does not cover its labels.
        InputError: the file cannot be read, or holds something else.
    """
    if not 0 <= tau <= 2:
        raise UsageError(f"tau must be between 0 and 2, got {tau}.")
    labels = classifier.labels
    trained = _trained(classifier)
    if str(name) == BALANCED:
        target, what = dict.fromkeys(labels, 1 / len(labels)), BALANCED
    elif str(name) == FERPLUS:
        target, what = _by_label(FERPLUS_RATES, labels, "fer+"), FERPLUS
    elif Path(name).suffix.lower() in (".csv", ".json"):
        shares = read_shares(Path(name))
        target = _by_label(shares, labels, str(name))
        what = ", ".join(f"{label} {100 * share:.3g} %" for label, share in target.items())
        what = f"{Path(name).name} ({what})"
    else:
        raise UsageError(f"unknown prior {str(name)!r}: use fer+, balanced, or a .csv or .json.")
    weights = {k: (max(target[k], _FLOOR) / max(trained[k], _FLOOR)) ** tau for k in labels}
    return Prior(weights, f"probabilities for the base rates {what}, tau {tau:g}")


def read_shares(path: Path) -> dict[str, float]:
    """Label and share from a CSV or JSON file; shares or counts, which need not sum to 1.

    Raises:
        InputNotFoundError, InputError: it is missing, too large, or holds no shares.
    """
    if not path.is_file():
        raise InputNotFoundError(f"no such file: {path}.")
    wanted = f"{path} does not hold base rates: write label,share and one line for each label."
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(wanted)
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            pairs = [(str(label), float(share)) for label, share in dict(json.loads(text)).items()]
        else:
            rows = [line.split(",") for line in text.splitlines() if line.strip()]
            start = int(bool(rows) and [cell.strip() for cell in rows[0]] == ["label", "share"])
            pairs = [(label.strip(), float(share)) for label, share in rows[start:]]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(wanted) from error
    shares = dict(pairs)
    good = all(math.isfinite(share) and share >= 0 for share in shares.values())
    if not good or len(shares) != len(pairs) or not sum(shares.values()) > 0:
        raise InputError(f"{path} needs each label once, with a share of 0 or more.")
    return shares


def _trained(classifier: EmotionClassifier) -> dict[str, float]:
    """The base rates of a classifier's training data."""
    card = getattr(classifier, "card", None)
    # A head for expressions was trained on other faces, whatever its labels are called.
    heads = getattr(classifier, "heads", ())
    replaced = any(head.card.task == "expression" for head in heads)
    rates: Mapping[str, float] = {}
    if isinstance(card, ModelCard) and not replaced and card.labels == tuple(classifier.labels):
        rates = card.base_rates or KNOWN_RATES.get(card.name, {})
    if not rates:
        name = getattr(card, "name", type(classifier).__name__)
        raise UsageError(
            f"prior needs the base rates of the training data, and those of {name} are unknown: "
            "leave it out, or write base_rates into the model's card."
        )
    return _by_label(rates, classifier.labels, "the model's card")


def _by_label(shares: Mapping[str, float], labels: Sequence[str], owner: str) -> dict[str, float]:
    """Shares of the labels, in their order, that sum to 1; labels are matched by meaning."""
    named = {known_as(name) or name: share for name, share in shares.items()}
    wanted = {label: known_as(label) or label for label in labels}
    lacking = [label for label, name in wanted.items() if name not in named]
    strange = [name for name in named if name not in {*wanted.values(), *EMOTIONS}]
    if lacking or strange:
        problem = f"no share for {lacking[0]!r}" if lacking else f"an unknown label {strange[0]!r}"
        raise UsageError(f"{owner} has {problem}: the model's labels are {', '.join(labels)}.")
    total = sum(named[name] for name in wanted.values())
    if not total > 0:
        raise UsageError(f"{owner} has no share above 0 for {', '.join(labels)}.")
    return {label: named[name] / total for label, name in wanted.items()}


class ReweightedClassifier:
    """A classifier whose probabilities are re-weighted: the plug `EmotionClassifier`.

    `mien.EmotionAnalyzer` takes the prior itself; this is for measuring it.

    Args:
        classifier: gives the probabilities.
        prior: as from `load_prior` for it.
    """

    def __init__(self, classifier: EmotionClassifier, prior: Prior) -> None:
        self._classifier, self._prior = classifier, prior

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self._classifier.labels

    @property
    def input_size(self) -> int:
        """Side of the crops, pixels."""
        return self._classifier.input_size

    @property
    def description(self) -> ClassifierDescription:
        """That of the classifier."""
        return describe_classifier(self._classifier)

    def classify(self, crops: Crops) -> Scores:
        """Classify ``(n, S, S, 3)`` uint8 RGB crops."""
        return self._prior.apply(self._classifier.classify(crops))
