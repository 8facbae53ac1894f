"""emotiefflib: its recognizer with ONNX Runtime, whose networks are downloaded from GitHub."""

from __future__ import annotations

from peers.adapters.loading_only import LoadingOnly


class Adapter(LoadingOnly):
    """The contract of `peers.adapters.contract.Peer`."""

    package = "emotiefflib"

    def load(self) -> None:
        """Open the networks."""
        from emotiefflib.facial_analysis import EmotiEffLibRecognizer

        EmotiEffLibRecognizer(engine="onnx", model_name="enet_b0_8_best_vgaf")
