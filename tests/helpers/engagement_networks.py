"""Engagement networks that say nothing, of any number of features."""

from __future__ import annotations

from typing import Any

import numpy as np

from mien.training.engagement.export import Networks


def blank_networks(features: int) -> Networks:
    zeros: Any = np.zeros((2, 2 * features, 2), np.float32)
    return Networks(
        mean=zeros[0, :, 0],
        scale=zeros[0, :, 0] + 1,
        attention=zeros[..., 0],
        hidden=zeros,
        hidden_bias=zeros[:, 0],
        last=zeros[:, 0],
        last_bias=zeros[:, 0, 0],
    )
