"""A branch that tells of the person: identity, apparent age and gender, on a trunk that stays.

The face network that the default model started from knew these (Savchenko 2021, arXiv 2103.17107),
and forgot them as it learned expressions. The branch learns them back from it, by distillation
(Hinton et al. 2015, arXiv 1503.02531) on faces without any label, and leaves the trunk where the
expressions are not formed yet. No weight of the trunk moves, so not one probability changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.training.expressions.augment import to_input
from mien.training.expressions.pretrained import load_faceres, read_tfjs
from mien.training.networks import ConvBN, MobileNetV1

AGES = 100
#: The teacher's input side, pixels.
FINE = 224


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What the face network says of n faces.

    Attributes:
        identity: ``(n, 1024)`` float32, its embedding.
        ages: ``(n, 100)`` float32 logits; place i means i + 1 years.
        male: ``(n,)`` float32 logits.
    """

    identity: Tensor
    ages: Tensor
    male: Tensor

    def __len__(self) -> int:
        return len(self.male)


class FaceNetwork(nn.Module):
    """`faceres`: MobileNet-v1, a layer of 256, and the heads for age and gender."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.trunk = MobileNetV1(1)
        load_faceres(self.trunk, folder)
        weights = read_tfjs(folder, "faceres")
        for name in ("feats", "age_pred", "gender_pred"):
            for part in ("kernel", "bias"):
                self.register_buffer(f"{name}_{part}", torch.from_numpy(weights[f"{name}/{part}"]))
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Knowledge:
        """Judge ``(n, 3, 224, 224)``, RGB 0..255."""
        embedding = self.trunk(x)[1].float()
        hidden = F.relu(self._dense("feats", embedding))
        male = self._dense("gender_pred", hidden)[:, 0]
        return Knowledge(embedding, self._dense("age_pred", hidden), male)

    def _dense(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, getattr(self, f"{name}_kernel").T, getattr(self, f"{name}_bias"))


class Branch(nn.Module):
    """From a map in the middle of the trunk and the trunk's embedding to what is told of a person.

    Some depthwise-separable blocks, the mean over places, and beside it the embedding; from these
    the identity and, through a layer of 256, age and gender.

    Args:
        channels: of the map, ``(n, channels, 7, 7)`` at 112 px.
        embedding: length of the trunk's embedding.
        width: channels of the branch.
        blocks: how many blocks; the first halves the sides of the map.
        identity: length of the identity vector.
    """

    def __init__(
        self, channels: int, embedding: int, width: int, blocks: int, identity: int
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for block in range(blocks):
            layers.append(ConvBN(channels, channels, 3, 1 if block else 2, channels))
            layers.append(ConvBN(channels, width, 1))
            channels = width
        self.body = nn.Sequential(*layers)
        self.norm = nn.BatchNorm1d(width + embedding)
        self.dropout = nn.Dropout(0.1)
        self.identity = nn.Linear(width + embedding, identity)
        self.hidden = nn.Linear(width + embedding, 256)
        self.ages = nn.Linear(256, AGES)
        self.male = nn.Linear(256, 1)

    def forward(self, maps: Tensor, embedding: Tensor) -> Knowledge:
        """``(n, channels, h, w)`` and ``(n, embedding)``; the identity has length 1."""
        pooled = torch.cat([self.body(maps).float().mean(dim=(2, 3)), embedding.float()], dim=1)
        pooled = self.dropout(self.norm(pooled))
        hidden = F.relu(self.hidden(pooled)).float()
        identity = F.normalize(self.identity(pooled).float(), dim=1)
        return Knowledge(identity, self.ages(hidden), self.male(hidden)[:, 0])


def ask(teacher: FaceNetwork, pictures: npt.NDArray[np.uint8]) -> Knowledge:
    """What the face network says of ``(n, h, w)`` or ``(n, 3, h, w)`` uint8 pictures."""
    with torch.no_grad():
        seen = torch.split(torch.from_numpy(pictures), 64)
        parts = [teacher(to_input(part, FINE)) for part in seen]
    return Knowledge(
        torch.cat([part.identity for part in parts]),
        torch.cat([part.ages for part in parts]),
        torch.cat([part.male for part in parts]),
    )
