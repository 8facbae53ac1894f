"""py-feat 2: its detector, which needs torchvision and weights from Hugging Face."""

from __future__ import annotations

from loading_only import LoadingOnly


class Adapter(LoadingOnly):
    package = "py-feat"

    def load(self) -> None:
        from feat import Detector

        Detector()
