"""py-feat 2: its detector, which needs torchvision and weights from Hugging Face."""

from __future__ import annotations

from peers.adapters.loading_only import LoadingOnly


class Adapter(LoadingOnly):
    """The contract of `peers.adapters.contract.Peer`."""

    package = "py-feat"

    def load(self) -> None:
        """Open the networks."""
        from feat import Detector

        Detector()
