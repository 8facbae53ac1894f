"""Paths of the detector networks in the package."""

from __future__ import annotations

from pathlib import Path

from mien.errors import ModelError

MODELS = Path(__file__).parents[2] / "weights"


def weights(name: str) -> Path:
    """The ``.onnx`` file of a network.

    Raises:
        ModelError: the installation lacks it.
    """
    path = MODELS / f"{name}.onnx"
    if not path.is_file():
        raise ModelError(
            f"{path.name} is missing in this installation of mien: install mien again."
        )
    return path
