"""Weights and images that anyone can generate again from a seed, for the Keras converter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def random_weights(shapes: Mapping[str, Sequence[int]]) -> dict[str, npt.NDArray[Any]]:
    """Random values for weights of these names and shapes, in this order."""
    rng = np.random.default_rng(11)
    values = {}
    for name, shape in shapes.items():
        kind = name.rsplit("/", 1)[-1].split(":")[0]
        if kind in ("gamma", "moving_variance"):
            array = rng.uniform(0.7, 1.4, shape)
        elif kind in ("beta", "bias", "moving_mean"):
            array = rng.normal(0.05, 0.1, shape)
        else:
            fan = np.prod(shape[:2]) if kind == "depthwise_kernel" else np.prod(shape[:-1])
            array = rng.normal(0, np.sqrt(2 / fan), shape)
        values[name] = array.astype(np.float32)
    return values


def random_images(size: int) -> npt.NDArray[Any]:
    """Two prepared images ``(2, size, size, 3)`` float32."""
    return np.random.default_rng(12).normal(0, 1, (2, size, size, 3)).astype(np.float32)


def random_windows(steps: int, features: int) -> npt.NDArray[Any]:
    """Two windows of features ``(2, steps, features)`` float32."""
    return np.random.default_rng(13).normal(0, 1, (2, steps, features)).astype(np.float32)
