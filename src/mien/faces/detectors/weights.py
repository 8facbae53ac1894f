"""Where the detectors' networks that ship with mien lie."""

from __future__ import annotations

from pathlib import Path

from mien.errors import ModelError

MODELS = Path(__file__).parents[2] / "weights"


def weights(name: str) -> Path:
    """The ``.onnx`` file of a network.

    Raises:
        ModelError: mien was installed without it.
    """
    path = MODELS / f"{name}.onnx"
    if not path.is_file():
        raise ModelError(
            f"there is no {path.name} in this installation of mien: install it again, "
            "or run 'python hatch_build.py' in a source checkout."
        )
    return path
