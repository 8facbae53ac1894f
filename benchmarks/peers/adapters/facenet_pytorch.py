"""facenet-pytorch: its MTCNN, which needs torchvision."""

from __future__ import annotations

from peers.adapters.loading_only import LoadingOnly


class Adapter(LoadingOnly):
    """The contract of `peers.adapters.contract.Peer`."""

    package = "facenet-pytorch"

    def load(self) -> None:
        """Open the networks."""
        from facenet_pytorch import MTCNN

        MTCNN(keep_all=True)
