"""The peers: what is installed, what is imported, what they were trained on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A peer. `package` is the distribution, `trained` what its expression model learned from."""

    package: str
    imports: str
    trained: str


PEERS = {
    "mien": Entry(
        "mien", "from mien import EmotionAnalyzer", "FER+ training split, test images left out"
    ),
    "fer": Entry("fer", "from fer.fer import FER", "FER2013; which part is not documented"),
    "opencv-zoo": Entry("opencv-python-headless", "import cv2", "RAF-DB"),
    "human": Entry(
        "@vladmandic/human", "", "FER2013 (oarriaga's network); which part is not documented"
    ),
    "mediapipe": Entry("mediapipe", "import mediapipe", "no expression labels: 52 blendshapes"),
    "deepface": Entry("deepface", "from deepface import DeepFace", "FER2013"),
    "uniface": Entry("uniface", "import uniface", "AffectNet"),
    "emotiefflib": Entry(
        "emotiefflib",
        "from emotiefflib.facial_analysis import EmotiEffLibRecognizer",
        "AffectNet",
    ),
    "facenet-pytorch": Entry("facenet-pytorch", "import facenet_pytorch", "no expression model"),
    "py-feat": Entry("py-feat", "import feat", "AffectNet, RAF-DB and others"),
}
