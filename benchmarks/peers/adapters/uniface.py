"""uniface: its detector and its expression model, which are downloaded from GitHub."""

from __future__ import annotations

from peers.adapters.loading_only import LoadingOnly


class Adapter(LoadingOnly):
    """The contract of `peers.adapters.contract.Peer`."""

    package = "uniface"

    def load(self) -> None:
        """Open the networks."""
        import uniface

        uniface.RetinaFace()
