"""emotiefflib: its recognizer with ONNX Runtime, whose networks are downloaded from GitHub."""

from __future__ import annotations

from loading_only import LoadingOnly


class Adapter(LoadingOnly):
    package = "emotiefflib"

    def load(self) -> None:
        from emotiefflib.facial_analysis import EmotiEffLibRecognizer

        EmotiEffLibRecognizer(engine="onnx", model_name="enet_b0_8_best_vgaf")
