"""Names of expressions: one vocabulary, its aliases, and its colors.

Models differ in the order and the number of their labels, so everything maps by name, never by
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
#: Further outputs of a model, from -1 to 1 (Russell 1980): unpleasant to pleasant, calm to
#: excited.
MEASURES = ("valence", "arousal")
#: Outputs of `mien.expressions.attributes` and their columns in the ``faces`` table: years, and
#: the probability that viewers would say "a woman".
ATTRIBUTES = {"age": "apparent_age", "gender": "apparent_female"}
#: Vectors that a model may compute for each face: identity (of length 1, cosine-similar for images
#: of the same person), and the last layer's features, for heads and video classifiers.
IDENTITY, FEATURES = EMBEDDINGS = ("identity", "features")
#: Further requests: the columns of `mien.expressions.actions`, and the points of the face mesh.
ACTIONS, LANDMARKS = "actions", "landmarks"
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
_CANON = {alias: name for name, aliases in _ALIASES.items() for alias in (name, *aliases)}

#: RGB, 0..255.
Color = tuple[int, int, int]

BLACK: Color = (17, 17, 17)
WHITE: Color = (255, 255, 255)
#: One color per label, distinguishable with the common color-vision deficiencies.
COLORS: dict[str, Color] = {
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
_OTHER_COLORS = (
    *((86, 180, 233), (170, 170, 0), (0, 128, 128), (255, 127, 80), (199, 21, 133)),
    *((90, 90, 210), (139, 69, 19), (60, 160, 60), (110, 120, 130)),
)


def known_as(name: str) -> str | None:
    """The vocabulary's word for `name` ("Happy" is "happiness"), or None where there is none."""
    return _CANON.get(name.strip().lower().replace("_", " ").replace("-", " "))


def canonical(name: str) -> str:
    """The vocabulary's word for `name` ("Happy" is "happiness").

    Raises:
        UsageError: the name is unknown; the message lists the vocabulary.
    """
    label = known_as(name)
    if label is None:
        raise UsageError(f"unknown expression {name!r}; known: {', '.join(EMOTIONS)}.")
    return label


def canonical_labels(names: Iterable[str]) -> tuple[str, ...]:
    """Map known names to the vocabulary and leave a model's other labels as they are."""
    return tuple(known_as(name) or name.strip() for name in names)


def color_of(label: str, labels: Sequence[str] = ()) -> Color:
    """RGB 0..255 of a label; labels outside the vocabulary get a color by their position."""
    if label in COLORS:
        return COLORS[label]
    others = [name for name in labels if name not in COLORS]
    place = others.index(label) if label in others else 0
    return _OTHER_COLORS[place % len(_OTHER_COLORS)]


def hex_color(color: Color) -> str:
    """A color as ``#rrggbb``, for HTML and SVG."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def ink(background: Color) -> Color:
    """Black or white, whichever contrasts more with a background (contrast of WCAG 2.1)."""
    linear = [
        (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4)
        for c in (channel / 255 for channel in background)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return WHITE if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.056 else BLACK
