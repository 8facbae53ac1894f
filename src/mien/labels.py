"""Names of expressions: one vocabulary, its aliases, and colours.

Models differ in the order and the number of their labels. Everything here maps by name, never by
position.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mien.errors import UsageError

#: The eight expressions of FER+ (Barsoum et al. 2016), in its own order.
EMOTIONS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
)
#: What a model may measure besides, from -1 to 1 (Russell 1980): unpleasant to pleasant, calm to
#: excited.
MEASURES = ("valence", "arousal")
#: What `mien.expressions.attributes` estimates when asked, and the column of the ``faces`` table:
#: years, and how probable it is that viewers would say "a woman".
ATTRIBUTES = {"age": "apparent_age", "gender": "apparent_female"}
#: Vectors that a model may give of each face when asked: who it is (of length 1, near for pictures
#: of one person), and what the last layer sees, for heads and films.
IDENTITY, FEATURES = EMBEDDINGS = ("identity", "features")
#: The answer where no label would win a majority of viewers.
UNCERTAIN = "uncertain"

_ALIASES = {
    "neutral": ("neutrality", "calm", "natural", "neutral face", "no emotion", "neu", "ne"),
    "happiness": ("happy", "joy", "joyful", "smile", "smiling", "hapiness", "hap", "ha"),
    "surprise": ("surprised", "surprize", "suprise", "suprised", "astonished", "sur", "su"),
    "sadness": ("sad", "sorrow", "unhappy", "sa"),
    "anger": ("angry", "mad", "ang", "an"),
    "disgust": ("disgusted", "dis", "di"),
    "fear": ("fearful", "afraid", "scared", "fea", "fe", "af"),
    "contempt": ("contemptuous", "scorn", "con"),
}
_CANON = {alias: name for name, known in _ALIASES.items() for alias in (name, *known)}

#: One colour a label, RGB 0..255, told apart by people with the common colour-vision defects.
COLORS: dict[str, tuple[int, int, int]] = {
    "neutral": (120, 130, 140),
    "happiness": (230, 159, 0),
    "surprise": (204, 121, 167),
    "sadness": (0, 114, 178),
    "anger": (213, 44, 30),
    "disgust": (0, 158, 115),
    "fear": (117, 75, 183),
    "contempt": (140, 86, 52),
    UNCERTAIN: (105, 105, 105),
}
_OTHER_COLORS = ((86, 180, 233), (170, 170, 0), (0, 128, 128), (255, 127, 80), (199, 21, 133))


def known_as(name: str) -> str | None:
    """The vocabulary's word for `name` ("Happy" is "happiness"), or None where there is none."""
    return _CANON.get(name.strip().lower().replace("_", " ").replace("-", " "))


def canonical(name: str) -> str:
    """The vocabulary's word for `name` ("Happy" is "happiness").

    Raises:
        UsageError: the name is not known; the message lists the known ones.
    """
    found = known_as(name)
    if found is None:
        raise UsageError(f"unknown expression {name!r}; known: {', '.join(EMOTIONS)}.")
    return found


def canonical_labels(names: Iterable[str]) -> tuple[str, ...]:
    """Map known names to the vocabulary and leave a model's other labels as they are."""
    return tuple(known_as(name) or name.strip() for name in names)


def color_of(label: str, labels: Sequence[str] = ()) -> tuple[int, int, int]:
    """RGB 0..255 of a label; labels outside the vocabulary get a colour by their place."""
    if label in COLORS:
        return COLORS[label]
    others = [name for name in labels if name not in COLORS]
    place = others.index(label) if label in others else 0
    return _OTHER_COLORS[place % len(_OTHER_COLORS)]
