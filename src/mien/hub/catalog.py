"""The catalog: models published by others, with their URL, hash, license and card.

None is downloaded unless requested by name. Hashes and cards are those that the authors publish;
docs/hub.md says which models have been run with their real weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mien.labels import MEASURES

#: Expression models in the wheel; their names are reserved.
PACKAGED = ("mien-mobilenet",)
_HSE = (
    "https://raw.githubusercontent.com/sb-ai-lab/EmotiEffLib/"
    "af833487321c3efdcb1768a91a6c656a1986fdf6/models/affectnet_emotions/onnx/"
)
#: The commit from which public code fetches the engagement model.
_EMOTIEFF = (
    "https://raw.githubusercontent.com/sb-ai-lab/EmotiEffLib/"
    "520a051c64cd191521e5934655314e769a319684/models/"
)
_ZOO = (
    "https://media.githubusercontent.com/media/opencv/opencv_zoo/"
    "47534e27c9851bb1128ccc0102f1145e27f23f98/models/"
)


#: Maximum size, bytes, of a published file whose size is unknown.
MOST_BYTES = 200_000_000


@dataclass(frozen=True)
class Entry:
    """A published model.

    Attributes:
        name: its name in mien.
        kind: what it does; "start" is a network from which training starts.
        url: where it is published.
        pin: SHA-256 of the file, or the SHA-1 of its git blob if only that is published.
        size: bytes; 0 where the authors do not say.
        licence: license of the weights.
        commercial: whether commercial use is permitted.
        training_data: what it was trained on.
        source: who published it.
        card: for classifiers, the fields of a `mien.models.card.ModelCard`; for engagement models,
            those of a `mien.engagement.EngagementCard`.
        suffix: ".h5" for Keras files, which are converted to ``.onnx`` after the download, and
            ".tgz" for archives, from which `members` are extracted.
        members: paths in the archive; the first is the model file.
    """

    name: str
    kind: Literal["classifier", "engagement", "start"]
    url: str
    pin: str
    size: int
    licence: str
    commercial: Literal["yes", "no", "unclear"]
    training_data: str
    source: str
    card: Mapping[str, Any] = field(default_factory=dict)
    suffix: Literal[".onnx", ".h5", ".tgz"] = ".onnx"
    members: tuple[str, ...] = ()

    @property
    def most(self) -> int:
        """Bytes that the published file has at the most."""
        return self.size or MOST_BYTES

    @property
    def file(self) -> str:
        """Name of the downloaded file."""
        return f"{self.name}{self.suffix}"

    def card_fields(self) -> dict[str, Any]:
        """The card with which the model is opened."""
        common = ("name", "licence", "commercial", "training_data", "source")
        return {**{key: getattr(self, key) for key in common}, **self.card}


_SEVEN = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
_EIGHT = ("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
#: Positions of eyes, nose tip and mouth corners in crops for the zoo's model, pixels of 112.
_ZOO_POINTS = (
    (38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655),
    (70.7299, 92.2041),
)  # fmt: skip


#: HSEmotion's models: name, SHA-256, bytes (0 where unknown), side of the input, labels.
_HSEMOTION = """
enet_b0_8_best_vgaf fa07e841fd06c7a67ee651ea4e6e4a3a2bb5695f47b37a7da50492526f59c898 0 224 8
enet_b0_8_best_afew 7aa2ea31c1311f4f8aa9d3fdb085d418dd4e7a48c4b9ed41df8c044f91d0213f 0 224 8
enet_b2_8 180a9d4845b59393de4511598a0d1d34b705034691ea32959ce5009db7cf52b7 30779724 260 8
enet_b2_7 7863032d8c0c0bc259aa0dd7b8ebf6b607af454e7a0ea82be2b37767914ecd0f 0 260 7
enet_b0_8_va_mtl c43e056ad388d4a8dc911832b8291435b2af537f967e5870ebd731574ec7e812 16049834 224 8
mobilevit_va_mtl 93a2bee1f2e0b04e313c695078e9351c75e8fb4c457af4268a1716cb35601b0c 0 224 8
mbf_va_mtl 0323ace52ea6dbe9aa4a909d20933f7b8629c3fb41249e338f4316abf2a4828c 0 112 8
"""


def _hsemotion(name: str, pin: str, size: str, side: str, labels: str) -> Entry:
    if name.startswith("mbf"):  # MobileFaceNet, normalized differently
        scale: dict[str, Any] = {"mean": 127.5, "std": 127.5}
    else:
        scale = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
    return Entry(
        name=name,
        kind="classifier",
        url=f"{_HSE}{name}.onnx",
        pin=pin,
        size=int(size),
        licence="Apache-2.0 (code); AffectNet and VGGFace2 are for research",
        commercial="no",
        training_data="VGGFace2 identities, then AffectNet expressions",
        source="HSEmotion, A. V. Savchenko (arXiv 2203.13436)",
        card={
            "labels": _EIGHT if labels == "8" else _SEVEN,
            "measures": MEASURES if name.endswith("_va_mtl") else (),
            "input_size": int(side),
            **scale,
        },
    )


def _zoo_faces(name: str, file: str, pin: str, size: int) -> Entry:
    return Entry(
        name=name,
        kind="classifier",
        url=f"{_ZOO}facial_expression_recognition/{file}",
        pin=pin,
        size=size,
        licence="Apache-2.0",
        commercial="unclear",
        training_data="RAF-DB, which is for research",
        source="OpenCV Zoo, MobileFaceNet with a progressive teacher",
        card={
            "labels": ("angry", "disgust", "fearful", "happy", "neutral", "sad", "surprised"),
            "input_size": 112,
            "mean": 127.5,
            "std": 127.5,
            "crop": {"template": tuple((x / 112, y / 112) for x, y in _ZOO_POINTS)},
        },
    )


_FER = "facial_expression_recognition_mobilefacenet_2022july"
ENTRIES = (
    _zoo_faces(
        "mobilefacenet-fer",
        f"{_FER}.onnx",
        "4f61307602fc089ce20488a31d4e4614e3c9753a7d6c41578c854858b183e1a9",
        4_791_892,
    ),
    _zoo_faces(
        "mobilefacenet-fer-int8",
        f"{_FER}_int8.onnx",
        "f0d7093aff10e2638c734c5f18a6a7eabd2b9239b20bdb9b8090865a6f69a1ed",
        1_364_007,
    ),
    *(_hsemotion(*row.split()) for row in _HSEMOTION.strip().splitlines()),
    Entry(
        name="mobilenet_7",
        kind="classifier",
        url=f"{_HSE.removesuffix('onnx/')}mobilenet_7.h5",
        pin="3a3d5bb84506960a3ace7586b42b010623bae099",
        size=0,
        licence="Apache-2.0 (code); AffectNet and VGGFace2 are for research",
        commercial="no",
        training_data="VGGFace2 identities, then AffectNet expressions",
        source="HSEmotion, A. V. Savchenko (arXiv 2103.17107); the default of mien's predecessor",
        card={
            "labels": _SEVEN,
            "input_size": 224,
            # The means of BGR subtracted from RGB, as the authors did when they measured 64.71 %.
            "mean": (103.939, 116.779, 123.68),
            "std": 1.0,
            "activation": "none",
            "scores": "scores",
            "embedding": "embedding",
        },
        suffix=".h5",
    ),
    Entry(
        name="engagement_single_attention",
        kind="engagement",
        url=f"{_EMOTIEFF}engagement_classification/engagement_single_attention.h5",
        # Public code that downloads it expects SHA-256 243b4699eec398a335d32774849f65b2f0e2d63e
        # 358df479c5ee95a002cac30d and this size.
        pin="25921a298a0ea8cd6761960ef7233aae071d7ec8",
        size=5_282_144,
        licence="Apache-2.0 (code); its data are for research",
        commercial="no",
        training_data="engagement of students in online courses (EngageWild or DAiSEE; not stated)",
        source="EmotiEffLib, A. V. Savchenko (doi 10.1109/TAFFC.2022.3188390)",
        card={
            "features": 1280,
            "steps": 128,
            "window_s": 128 / 30,
            "engaged_is": 1,
            "says": "probability",
            "features_model": "enet_b0",
        },
        suffix=".h5",
    ),
    Entry(
        name="faceres",
        kind="start",
        url="https://registry.npmjs.org/@vladmandic/human/-/human-3.3.6.tgz",
        pin="425e9c51dbbca0c8934362b170cb0d54c2529c11c654b3c03092b16e9d6ad3f7",
        size=28_615_417,
        licence="MIT",
        commercial="unclear",
        training_data="VGGFace2 identities, which are for research; age and gender",
        source="@vladmandic/human 3.3.6 on npm; A. V. Savchenko (HSE_FaceRec_tf)",
        suffix=".tgz",
        members=("package/models/faceres.json", "package/models/faceres.bin"),
    ),
)
