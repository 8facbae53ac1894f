"""The networks that recipes can name; all are a `Network`."""

from __future__ import annotations

from collections.abc import Callable

from mien.errors import UsageError
from mien.training.networks.inception import InceptionResNetV1
from mien.training.networks.layers import CBAM, ConvBN, Network
from mien.training.networks.mobilefacenet import MobileFaceNet, PlaceWeights
from mien.training.networks.mobilenet import MobileNetV1
from mien.training.networks.rca import RCA

__all__ = [
    "CBAM",
    "NETWORKS",
    "RCA",
    "ConvBN",
    "InceptionResNetV1",
    "MobileFaceNet",
    "MobileNetV1",
    "Network",
    "PlaceWeights",
]

NETWORKS: dict[str, Callable[[int, float], Network]] = {
    "mobilenet": MobileNetV1,
    "mobilefacenet": MobileFaceNet,
    "inception": InceptionResNetV1,
    "rca": RCA,
}


def make_network(name: str, classes: int, *, dropout: float = 0.0, attention: str = "") -> Network:
    """A network with random weights.

    Args:
        name: "mobilenet", "mobilefacenet", "inception" or "rca".
        classes: outputs.
        dropout: on the embedding, before the last layer.
        attention: "cbam" puts such a block at the end of each of the network's stages.

    Raises:
        UsageError: an unknown network or kind of attention.
    """
    if name not in NETWORKS:
        raise UsageError(f"there is no network {name!r}; there are {', '.join(NETWORKS)}.")
    if attention not in ("", "cbam"):
        raise UsageError(f'attention is "cbam" or "", got {attention!r}.')
    network = NETWORKS[name](classes, dropout)
    if attention:
        network.attend()
    return network
