"""A branch for identity, apparent age and gender, on a frozen trunk.

The face network that the default model started from computed these (Savchenko 2021, arXiv
2103.17107), and lost them in training on expressions. The branch learns them from it again, by
distillation (Hinton et al. 2015, arXiv 1503.02531) on faces without labels. It starts from an
earlier layer of the trunk. No weight of the trunk changes, so no probability does.
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
class TeacherOutputs:
    """Outputs of the face network for n faces.

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

    def forward(self, x: Tensor) -> TeacherOutputs:
        """The outputs for ``(n, 3, 224, 224)``, RGB 0..255."""
        embedding = self.trunk(x)[1].float()
        hidden = F.relu(self._dense("feats", embedding))
        male = self._dense("gender_pred", hidden)[:, 0]
        return TeacherOutputs(embedding, self._dense("age_pred", hidden), male)

    def _dense(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, getattr(self, f"{name}_kernel").T, getattr(self, f"{name}_bias"))


class Branch(nn.Module):
    """From a feature map of the trunk and its embedding to identity, age and gender.

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

    def forward(self, maps: Tensor, embedding: Tensor) -> TeacherOutputs:
        """``(n, channels, h, w)`` and ``(n, embedding)``; the identity has length 1."""
        pooled = torch.cat([self.body(maps).float().mean(dim=(2, 3)), embedding.float()], dim=1)
        pooled = self.dropout(self.norm(pooled))
        hidden = F.relu(self.hidden(pooled)).float()
        identity = F.normalize(self.identity(pooled).float(), dim=1)
        return TeacherOutputs(identity, self.ages(hidden), self.male(hidden)[:, 0])


def teacher_outputs(teacher: FaceNetwork, images: npt.NDArray[np.uint8]) -> TeacherOutputs:
    """Outputs of the face network for ``(n, h, w)`` or ``(n, 3, h, w)`` uint8 images."""
    with torch.no_grad():
        batches = torch.split(torch.from_numpy(images), 64)
        parts = [teacher(to_input(part, FINE)) for part in batches]
    return TeacherOutputs(
        torch.cat([part.identity for part in parts]),
        torch.cat([part.ages for part in parts]),
        torch.cat([part.male for part in parts]),
    )
