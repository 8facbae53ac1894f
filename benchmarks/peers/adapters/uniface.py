"""uniface: its detector and its expression model, which are downloaded from GitHub."""

from __future__ import annotations

from loading_only import LoadingOnly


class Adapter(LoadingOnly):
    package = "uniface"

    def load(self) -> None:
        import uniface

        uniface.RetinaFace()
