"""facenet-pytorch: its MTCNN, which needs torchvision."""

from __future__ import annotations

from loading_only import LoadingOnly


class Adapter(LoadingOnly):
    package = "facenet-pytorch"

    def load(self) -> None:
        from facenet_pytorch import MTCNN

        MTCNN(keep_all=True)
