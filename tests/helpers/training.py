"""Faces that a network can learn from in seconds, in memory and on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image as PILImage

from mien.datasets import VotedFaces
from mien.training.networks import Network, make_network


def random_network(name: str = "mobilenet", attention: str = "") -> Network:
    """A network with random weights in which every layer matters."""
    torch.manual_seed(0)
    model = make_network(name, 8, attention=attention)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.8, 1.6)
            torch.nn.init.uniform_(module.bias, -0.2, 0.6)
            assert module.running_var is not None
            module.running_var.fill_(1.5)
    return model.eval()


def voted_faces(count: int) -> VotedFaces:
    """Left-bright faces that everyone calls happy, right-bright ones that everyone calls sad."""
    rng = np.random.default_rng(3)
    pictures = rng.integers(0, 60, (count, 48, 48)).astype(np.uint8)
    votes = np.zeros((count, 8), np.float32)
    for row in range(count):
        half = slice(0, 24) if row % 2 else slice(24, 48)
        pictures[row, half] += 150
        votes[row, 1 if row % 2 else 3] = 10
    names = np.array([f"{row}.png" for row in range(count)])
    return VotedFaces(names, pictures, votes, np.full(count, ""), np.full(count, -1))


def face_folder(folder: Path, count: int) -> Path:
    """The same faces as a folder a label, once for training and once for validation."""
    data = voted_faces(2 * count)
    for row, image in enumerate(data.images):
        split = "train" if row < count else "validation"
        label = "happiness" if data.votes[row, 1] else "sadness"
        path = folder / split / label / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PILImage.fromarray(image).save(path)
    return folder
